//! Statements with an end: whatever goes through a [`Db`] is answered in time, or given up together
//! with its connection.
//!
//! For `journal` and `readmodel`, which read with it, and `app`, which makes it. A [`Db`] is used
//! as a pool is. What must always hold: nobody waits for ever on a database that does not answer,
//! and a connection that did not answer is used by nobody after.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream::{BoxStream, StreamExt, TryStreamExt, iter, once};
use futures_util::{FutureExt, future::BoxFuture};
use sqlx::pool::PoolConnection;
use sqlx::postgres::{
    PgConnectOptions, PgConnection, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{Connection, Describe, Either, Error, Execute, Executor, PgPool, Postgres, SqlStr};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// How long a statement may take, while a person waits.
const STATEMENT: Duration = Duration::from_secs(3);
/// How long one over everything may take, as a start needs them: longer than the server lets it.
const LONG_STATEMENT: Duration = Duration::from_secs(10);
/// How long to wait for a connection, a new one among them.
const ACQUIRE: Duration = Duration::from_secs(3);
/// How long the first one is tried: a server that is just up, on a machine where much starts at
/// once, may need more than a person would wait.
const FIRST: Duration = Duration::from_secs(15);
/// How long a connection may take to say that it lives.
const PING: Duration = Duration::from_secs(1);
/// Waits in vain, one after another, that tell of the way to the database and not of a statement.
const VAIN_MAX: u32 = 2;

/// A pool whose connections are tried before and after each use.
///
/// # Errors
/// Whatever keeps the first connection from being made.
pub async fn pool(connect: PgConnectOptions, size: u32) -> Result<PgPool, Error> {
    let latest = Instant::now() + FIRST;
    loop {
        match tried(size).connect_with(connect.clone()).await {
            Err(Error::PoolTimedOut) if Instant::now() < latest => {}
            outcome => return outcome,
        }
    }
}

/// As [`pool`], connected when it is first used.
pub fn lazy_pool(connect: PgConnectOptions, size: u32) -> PgPool {
    tried(size).connect_lazy_with(connect)
}

fn tried(size: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(size)
        .acquire_timeout(ACQUIRE)
        // In place of the pool's own test, which waits for as long as it takes.
        .test_before_acquire(false)
        .before_acquire(|connection, _| Box::pin(async { Ok(lives(connection).await) }))
        .after_release(|connection, _| Box::pin(async { Ok(lives(connection).await) }))
}

async fn lives(connection: &mut PgConnection) -> bool {
    matches!(timeout(PING, connection.ping()).await, Ok(Ok(())))
}

/// Gives `work` its time and no more.
///
/// # Errors
/// Those of `work`, or that it took too long: its connection is then to be dropped.
pub async fn within<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(limit, work).await.unwrap_or_else(|elapsed| Err(too_late(&elapsed)))
}

fn too_late(_: &Elapsed) -> Error {
    Error::Io(std::io::Error::new(ErrorKind::TimedOut, "the database did not answer in time"))
}

/// The database, for statements that are their own transactions.
#[derive(Debug, Clone)]
pub struct Db {
    pool: PgPool,
    limit: Duration,
    /// Waits in vain since the last answer, of all that use this pool.
    vain: Arc<AtomicU32>,
}

impl Db {
    /// Through this pool.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        Self { pool, limit: STATEMENT, vain: Arc::default() }
    }

    /// The same, for statements that go over everything.
    #[must_use]
    pub fn patient(&self) -> Self {
        Self { limit: LONG_STATEMENT, ..self.clone() }
    }

    /// A connection for oneself. It is closed when it is dropped, with what was not committed.
    ///
    /// # Errors
    /// There is none in time.
    pub async fn connection(&self) -> Result<PgConnection, Error> {
        Ok(self.acquire().await?.detach())
    }

    async fn acquire(&self) -> Result<PoolConnection<Postgres>, Error> {
        let acquired = self.pool.acquire().await;
        if matches!(acquired, Err(Error::PoolTimedOut)) {
            self.waited_in_vain();
        }
        acquired
    }

    /// One slow statement costs its own connection. Where several get no answer, the idle ones lead
    /// the same way: they go too, and new ones tell whether it is open again.
    fn waited_in_vain(&self) {
        if self.vain.fetch_add(1, Ordering::Relaxed) + 1 < VAIN_MAX {
            return;
        }
        while let Some(idle) = self.pool.try_acquire() {
            drop(idle.detach());
        }
    }

    /// What a statement came to, its connection given back, or away where it did not answer.
    fn settle<T>(
        &self,
        connection: PoolConnection<Postgres>,
        outcome: Result<Result<T, Error>, Elapsed>,
    ) -> Result<T, Error> {
        match outcome {
            Ok(answered) => {
                self.vain.store(0, Ordering::Relaxed);
                answered
            }
            Err(elapsed) => {
                drop(connection.detach());
                self.waited_in_vain();
                Err(too_late(&elapsed))
            }
        }
    }
}

impl<'c> Executor<'c> for &'_ Db {
    type Database = Postgres;

    /// Gathers what a statement answers: a reader that is slow holds up no connection.
    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let db = self.clone();
        let gathered = async move {
            let mut connection = db.acquire().await?;
            let rows = connection.fetch_many(query).try_collect::<Vec<_>>();
            let rows = timeout(db.limit, rows).await;
            Ok::<_, Error>(iter(db.settle(connection, rows)?.into_iter().map(Ok)))
        };
        once(gathered).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let db = self.clone();
        async move {
            let mut connection = db.acquire().await?;
            let row = timeout(db.limit, connection.fetch_optional(query)).await;
            db.settle(connection, row)
        }
        .boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        let db = self.clone();
        async move {
            let mut connection = db.acquire().await?;
            let statement = timeout(db.limit, connection.prepare_with(sql, parameters)).await;
            db.settle(connection, statement)
        }
        .boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        let db = self.clone();
        async move {
            let mut connection = db.acquire().await?;
            let described = timeout(db.limit, connection.describe(sql)).await;
            db.settle(connection, described)
        }
        .boxed()
    }
}
