//! The audit of a race: what callers were told, held against each other and against the database.

use std::collections::{BTreeMap, HashMap, HashSet};

use sqlx::PgPool;
use uuid::Uuid;

use crate::report::{number, rounded};

/// The word a winner is told.
pub(super) const ACCEPTED: &str = "accepted";
/// The word a peer tells its losers; the engine tells them the code of the refusal.
pub(super) const LOST: &str = "lost";

/// What one caller was told.
pub(super) struct Told {
    pub(super) ride: Uuid,
    pub(super) driver: Uuid,
    pub(super) command: String,
    pub(super) word: &'static str,
}

/// Everything that a side told.
#[derive(Default)]
pub(super) struct Audit {
    told: Vec<Told>,
}

impl Audit {
    pub(super) fn take(&mut self, told: Vec<Told>) {
        self.told.extend(told);
    }

    /// Winners of each ride, as told.
    fn winners(&self) -> HashMap<Uuid, usize> {
        let mut winners: HashMap<Uuid, usize> = HashMap::new();
        for told in &self.told {
            *winners.entry(told.ride).or_default() += usize::from(told.word == ACCEPTED);
        }
        winners
    }

    /// Rides that more than one driver was told to have won.
    pub(super) fn duplicates(&self) -> usize {
        self.winners().values().filter(|count| **count > 1).count()
    }

    /// Rides that nobody was told to have won.
    pub(super) fn no_winner(&self) -> usize {
        self.winners().values().filter(|count| **count == 0).count()
    }

    /// Answers that the engine's database contradicts: a win without its ride, its event or its
    /// stored result; a loss that is not among the stored attempts, or of a driver who has won.
    pub(super) async fn lost_acks(&self, pool: &PgPool) -> anyhow::Result<usize> {
        let rides: Vec<Uuid> = self.winners().into_keys().collect();
        let drivers: HashMap<Uuid, Uuid> = sqlx::query_as::<_, (Uuid, Uuid)>(
            "SELECT r.id, r.driver_id FROM rides r
             JOIN events e ON e.entity_id = r.id AND e.kind = 'assigned'
             WHERE r.id = ANY ($1) AND r.driver_id IS NOT NULL",
        )
        .bind(&rides)
        .fetch_all(pool)
        .await?
        .into_iter()
        .collect();
        let results: HashSet<(Uuid, String)> = sqlx::query_as(
            "SELECT principal, id FROM command_results WHERE owner = ANY ($1) AND outcome = 'ok'",
        )
        .bind(&rides)
        .fetch_all(pool)
        .await?
        .into_iter()
        .collect();
        let attempts: HashSet<(Uuid, Uuid, String, String)> = sqlx::query_as(
            "SELECT ride_id, driver_id, command_id, outcome FROM ride_accept_attempt_lines
             WHERE ride_id = ANY ($1) AND command_id IS NOT NULL",
        )
        .bind(&rides)
        .fetch_all(pool)
        .await?
        .into_iter()
        .collect();
        let holds = |told: &&Told| {
            let his = drivers.get(&told.ride) == Some(&told.driver);
            if told.word == ACCEPTED {
                return his && results.contains(&(told.driver, told.command.clone()));
            }
            let attempt = (told.ride, told.driver, told.command.clone(), told.word.to_owned());
            !his && attempts.contains(&attempt)
        };
        Ok(self.told.len() - self.told.iter().filter(holds).count())
    }

    /// Rows that a won ride's race left, by table; medians would hide what varies, so averages.
    pub(super) async fn rows_per_win(
        &self,
        pool: &PgPool,
        is_engine: bool,
    ) -> anyhow::Result<BTreeMap<String, f64>> {
        let rides: Vec<Uuid> = self.winners().into_keys().collect();
        let mut counts: Vec<(String, i64)> = sqlx::query_as(
            "SELECT 'rides', count(*) FROM rides WHERE id = ANY ($1)
             UNION ALL SELECT 'events', count(*) FROM events
                 WHERE entity_id = ANY ($1) AND kind = 'assigned'
             UNION ALL SELECT 'command_results', count(*) FROM command_results
                 WHERE owner = ANY ($1) AND id LIKE 'accept-%'
             UNION ALL SELECT 'stream_events', count(*) FROM stream_events s
                 JOIN events e ON e.entity_id = s.key AND e.seq = s.version
                 WHERE s.key = ANY ($1) AND e.kind = 'assigned'
             UNION ALL SELECT 'timers_ended', count(*) FROM rides r
                 WHERE r.id = ANY ($1) AND NOT EXISTS (
                     SELECT 1 FROM timers t WHERE t.entity_id = r.id)",
        )
        .bind(&rides)
        .fetch_all(pool)
        .await?;
        if is_engine {
            let attempts = sqlx::query_scalar(
                "SELECT count(*) FROM ride_accept_attempts WHERE ride_id = ANY ($1)",
            );
            let attempts: i64 = attempts.bind(&rides).fetch_one(pool).await?;
            counts.push(("ride_accept_attempts".to_owned(), attempts));
        }
        let each =
            |count: i64| number(usize::try_from(count).unwrap_or(0)) / number(rides.len().max(1));
        Ok(counts.into_iter().map(|(table, count)| (table, rounded(each(count), 2))).collect())
    }
}

/// How many drivers the engine told, a ride, that an offer was taken back.
pub(super) async fn withdrawals(pool: &PgPool) -> anyhow::Result<usize> {
    let (told, rides): (i64, i64) = sqlx::query_as(
        "SELECT count(*), (SELECT count(*) FROM events WHERE kind = 'assigned')
         FROM stream_events WHERE op = 'offer.withdrawn'",
    )
    .fetch_one(pool)
    .await?;
    Ok(usize::try_from((told + rides / 2) / rides.max(1))?)
}
