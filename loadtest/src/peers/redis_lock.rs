//! The lock in Redis: `SET NX PX`, then the transaction of the row lock, then the lock given back
//! by whoever holds it. Who does not get the lock fails at once and never reaches PostgreSQL.

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::cmd;

use super::{Call, Desk, ForUpdate, Peer};

/// How long a lock lives that nobody gives back.
const LOCK_MS: u32 = 5000;

/// Gives back only one's own lock.
const RELEASE: &str =
    "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0";

/// Locks a key in Redis before it goes to the database.
pub(crate) struct RedisLock {
    redis: MultiplexedConnection,
    inner: ForUpdate,
}

impl RedisLock {
    pub(crate) const NAME: &'static str = "redis_lock";

    /// The database part is that of [`ForUpdate`].
    pub(crate) fn new(redis: MultiplexedConnection, desk: Desk) -> Self {
        Self { redis, inner: ForUpdate::new(desk) }
    }
}

impl Peer for RedisLock {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn desk(&self) -> &Desk {
        self.inner.desk()
    }

    async fn step(&self, call: &Call<'_>) -> anyhow::Result<bool> {
        let key = call.ride.as_bytes().as_slice();
        let mut redis = self.redis.clone();
        let locked: Option<String> = cmd("SET")
            .arg(key)
            .arg(call.command)
            .arg("NX")
            .arg("PX")
            .arg(LOCK_MS)
            .query_async(&mut redis)
            .await?;
        if locked.is_none() {
            return Ok(false);
        }
        let moved = self.inner.step(call).await;
        let _: i64 = cmd("EVAL")
            .arg(RELEASE)
            .arg(1)
            .arg(key)
            .arg(call.command)
            .query_async(&mut redis)
            .await?;
        moved
    }
}
