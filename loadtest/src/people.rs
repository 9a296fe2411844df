//! Drivers and passengers for the benches, written in bulk: registration has tests of its own.

use anyhow::Context;
use futures_util::StreamExt;
use ibora::actors::{Caller, Command, Dispatch, Sent};
use ibora_domain::category::Category;
use ibora_domain::ids::{Shard, UserId};
use ibora_domain::person::Role;
use ibora_domain::place::Coordinates;
use sqlx::PgPool;
use uuid::Uuid;

/// Drivers who go online at the same time.
const AT_ONCE: usize = 256;

/// Makes approved drivers, each with a car.
pub(crate) async fn make_drivers(pool: &PgPool, count: usize) -> anyhow::Result<Vec<Caller>> {
    let (ids, shards) = make_users(pool, count, "driver").await?;
    sqlx::query(
        "INSERT INTO drivers (id, shard, approval)
         SELECT id, shard, 'approved' FROM unnest($1::uuid[], $2::smallint[]) AS u(id, shard)",
    )
    .bind(&ids)
    .bind(&shards)
    .execute(pool)
    .await?;
    let cars: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    let car_shards: Vec<i16> = cars.iter().map(|id| shard(*id)).collect();
    sqlx::query(
        "INSERT INTO vehicles
             (id, shard, driver_id, plate, make, model, color, year, categories, created_at)
         SELECT id, shard, driver, 'ABC1D23', 'Fiat', 'Argo', 'prata', 2022, '{economy}', now()
         FROM unnest($1::uuid[], $2::smallint[], $3::uuid[]) AS v(id, shard, driver)",
    )
    .bind(&cars)
    .bind(&car_shards)
    .bind(&ids)
    .execute(pool)
    .await?;
    Ok(callers(ids, Role::Driver))
}

/// Makes passengers.
pub(crate) async fn make_passengers(pool: &PgPool, count: usize) -> anyhow::Result<Vec<Caller>> {
    let (ids, _) = make_users(pool, count, "passenger").await?;
    Ok(callers(ids, Role::Passenger))
}

/// Puts drivers online, each at his place, through the engine's own door.
pub(crate) async fn go_online(
    dispatch: &Dispatch,
    drivers: impl Iterator<Item = (Caller, Coordinates)>,
) -> anyhow::Result<()> {
    let mut going = futures_util::stream::iter(drivers)
        .map(async |(driver, place)| {
            let location = Some(place);
            let category = Some(Category::Economy);
            let command = Command::Online { category, vehicle_id: None, location };
            let sent = Sent { id: None, if_version: None, command };
            dispatch.command(driver, sent).await
        })
        .buffer_unordered(AT_ONCE);
    while let Some(answer) = going.next().await {
        answer.map_err(|refusal| anyhow::anyhow!("{}", refusal.code())).context("going online")?;
    }
    Ok(())
}

async fn make_users(
    pool: &PgPool,
    count: usize,
    role: &str,
) -> anyhow::Result<(Vec<Uuid>, Vec<i16>)> {
    let ids: Vec<Uuid> = (0..count).map(|_| Uuid::now_v7()).collect();
    let shards: Vec<i16> = ids.iter().map(|id| shard(*id)).collect();
    sqlx::query(
        "INSERT INTO users (id, shard, role, name, email, created_at)
         SELECT id, shard, $3, 'Maria Aparecida', id || '@bench.invalid', now()
         FROM unnest($1::uuid[], $2::smallint[]) AS u(id, shard)",
    )
    .bind(&ids)
    .bind(&shards)
    .bind(role)
    .execute(pool)
    .await?;
    Ok((ids, shards))
}

fn callers(ids: Vec<Uuid>, role: Role) -> Vec<Caller> {
    ids.into_iter().map(|id| Caller { user: UserId(id), role }).collect()
}

/// The shard column of an entity.
pub(crate) fn shard(id: Uuid) -> i16 {
    Shard::of(id).number().cast_signed()
}

/// A place of its own for each lane or caller: `far` degrees from its neighbours, around São Paulo.
pub(crate) fn place(number: usize, far: f64) -> anyhow::Result<Coordinates> {
    let (row, column) = (number / 100, number % 100);
    let lat = -23.0 - crate::report::number(row) * far;
    let lng = -47.0 + crate::report::number(column) * far;
    Ok(Coordinates::new(lat, lng)?)
}
