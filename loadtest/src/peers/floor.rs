//! The floor: how many one-row commits a second this database does when nothing else is asked of
//! it. The best of several numbers of connections, for nobody knows the right one beforehand.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

/// Connections that are tried.
pub(crate) const CONNECTIONS: [usize; 4] = [1, 8, 32, 128];

/// One-row commits a second over this many connections.
pub(crate) async fn floor(
    owner: &PgConnectOptions,
    connections: usize,
    lasting: Duration,
) -> anyhow::Result<f64> {
    let mut first = PgConnection::connect_with(owner).await?;
    sqlx::raw_sql("CREATE TABLE IF NOT EXISTS one_row (id bigserial PRIMARY KEY, body text)")
        .execute(&mut first)
        .await?;
    first.close().await?;
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut writers = Vec::with_capacity(connections);
    for _ in 0..connections {
        let connection = PgConnection::connect_with(owner).await?;
        writers.push(tokio::spawn(write(connection, Arc::clone(&over), Arc::clone(&done))));
    }
    // The first commits prepare the statement and warm the table.
    tokio::time::sleep(lasting / 5).await;
    let (start, before) = (Instant::now(), done.load(Ordering::Relaxed));
    tokio::time::sleep(lasting).await;
    let (took, after) = (start.elapsed(), done.load(Ordering::Relaxed));
    over.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await??;
    }
    Ok(crate::report::number(usize::try_from(after - before)?) / took.as_secs_f64())
}

async fn write(
    mut connection: PgConnection,
    over: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> anyhow::Result<()> {
    while !over.load(Ordering::Relaxed) {
        sqlx::query("INSERT INTO one_row (body) VALUES ('a row')").execute(&mut connection).await?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(connection.close().await?)
}
