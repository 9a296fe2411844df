//! The fence: proof, inside every commit, that this engine still owns what it writes for.

use sqlx::PgConnection;

use crate::db::Db;

/// What this engine owns, and as whose successor.
#[derive(Debug)]
pub(super) struct Fence {
    pub(super) node: String,
    pub(super) incarnation: i64,
    /// Epoch per shard, by number.
    pub(super) epochs: Vec<i64>,
}

impl Fence {
    /// Takes every shard under a new incarnation and new epochs. Locking a lane's row waits for the
    /// commit that an engine before still has in flight there, and refuses all it sends after.
    pub(super) async fn raise(
        transaction: &mut PgConnection,
        node: &str,
        lanes: u16,
    ) -> Result<Self, sqlx::Error> {
        let lanes: Vec<i16> =
            (0..lanes).map(|lane| i16::try_from(lane).unwrap_or(i16::MAX)).collect();
        // Rows of all nodes and lanes: whoever wrote last, under whatever name, is shut out.
        sqlx::query("UPDATE node_fence SET incarnation = incarnation + 1")
            .execute(&mut *transaction)
            .await?;
        let incarnation: i64 = sqlx::query_scalar(
            "INSERT INTO node_fence (node, lane, incarnation)
             SELECT $1, lane, (SELECT coalesce(max(incarnation), 0) + 1 FROM node_fence)
             FROM unnest($2::smallint[]) AS lane
             ON CONFLICT (node, lane) DO UPDATE SET incarnation = excluded.incarnation
             RETURNING incarnation",
        )
        .bind(node)
        .bind(&lanes)
        .fetch_one(&mut *transaction)
        .await?;
        let mut owned: Vec<(i16, i64)> = sqlx::query_as(
            "UPDATE shard_owner SET node = $1, epoch = epoch + 1 RETURNING shard, epoch",
        )
        .bind(node)
        .fetch_all(&mut *transaction)
        .await?;
        owned.sort_unstable();
        let epochs = owned.into_iter().map(|(_, epoch)| epoch).collect();
        Ok(Self { node: node.to_owned(), incarnation, epochs })
    }

    /// Gives every shard up. Waits for commits still in flight, and refuses all that come after.
    pub(super) async fn lower(&self, transaction: &mut PgConnection) -> Result<(), sqlx::Error> {
        for statement in [
            "UPDATE node_fence SET incarnation = incarnation + 1 WHERE node = $1",
            "UPDATE shard_owner SET node = NULL WHERE node = $1",
        ] {
            sqlx::query(statement).bind(&self.node).execute(&mut *transaction).await?;
        }
        Ok(())
    }

    /// A fence of its own for a tool beside an engine: it owns no shard.
    pub(super) async fn beside(db: &Db) -> Result<Self, sqlx::Error> {
        let node = format!("tool-{}", uuid::Uuid::now_v7());
        sqlx::query("INSERT INTO node_fence (node, lane, incarnation) VALUES ($1, 0, 1)")
            .bind(&node)
            .execute(db)
            .await?;
        Ok(Self { node, incarnation: 1, epochs: Vec::new() })
    }

    pub(super) fn epoch(&self, shard: u16) -> i64 {
        self.epochs.get(usize::from(shard)).copied().unwrap_or(0)
    }
}
