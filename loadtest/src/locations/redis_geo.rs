//! Redis in the same business: `GEOADD` of one driver at a time and `GEOSEARCH` for the nearest
//! ten, pipelined, so that its CPU goes into the work and not into the network.

use std::time::{Duration, Instant};

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{Pipeline, pipe};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::nearest::{RADIUS_M, anywhere};
use super::{Options, PerCpuSecond};
use crate::procs;
use crate::redis::RedisServer;
use crate::report::number;

/// Commands in one pipeline.
const AT_ONCE: usize = 200;

pub(super) async fn run(redis: &RedisServer, options: Options) -> anyhow::Result<PerCpuSecond> {
    let mut connection = redis.connect().await?;
    let mut random = SmallRng::seed_from_u64(7);
    let lasting = Duration::from_secs(options.measure_s) / 2;
    fill(&mut connection, options.drivers, &mut random).await?;
    let updates = per_cpu_second(redis, lasting, async || {
        let mut updates = pipe();
        for _ in 0..AT_ONCE {
            let driver = random.random_range(0..options.drivers);
            add(&mut updates, driver, &mut random)?;
        }
        Ok(updates.query_async(&mut connection.clone()).await?)
    })
    .await?;
    fill(&mut connection, options.crowd, &mut random).await?;
    let queries = per_cpu_second(redis, lasting, async || {
        let mut queries = pipe();
        for _ in 0..AT_ONCE {
            let place = anywhere(&mut random)?;
            queries.cmd("GEOSEARCH").arg("drivers").arg("FROMLONLAT").arg(place.lng());
            queries.arg(place.lat()).arg("BYRADIUS").arg(RADIUS_M).arg("m").arg("ASC");
            queries.arg("COUNT").arg(10).ignore();
        }
        Ok(queries.query_async(&mut connection.clone()).await?)
    })
    .await?;
    Ok(PerCpuSecond { updates, queries })
}

async fn fill(
    connection: &mut MultiplexedConnection,
    count: usize,
    random: &mut SmallRng,
) -> anyhow::Result<()> {
    let mut driver = 0;
    while driver < count {
        let mut updates = pipe();
        for _ in 0..AT_ONCE.min(count - driver) {
            add(&mut updates, driver, random)?;
            driver += 1;
        }
        let () = updates.query_async(connection).await?;
    }
    Ok(())
}

fn add(updates: &mut Pipeline, driver: usize, random: &mut SmallRng) -> anyhow::Result<()> {
    let place = anywhere(random)?;
    updates.cmd("GEOADD").arg("drivers").arg(place.lng()).arg(place.lat());
    updates.arg(driver).ignore();
    Ok(())
}

async fn per_cpu_second(
    redis: &RedisServer,
    lasting: Duration,
    mut work: impl AsyncFnMut() -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let (before, until) = (procs::of_process(redis.pid()), Instant::now() + lasting);
    let mut done = 0;
    while Instant::now() < until {
        work().await?;
        done += AT_ONCE;
    }
    let used = procs::of_process(redis.pid()).saturating_sub(before);
    anyhow::ensure!(!used.is_zero(), "Redis used no CPU time that could be told");
    Ok(number(done) / used.as_secs_f64())
}
