//! The engine in a race, in process: accepts go in by the door that REST and sessions use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ibora::actors::{Caller, Command, Dispatch, Sent};
use ibora::geo::{CategoryBits, Query};
use ibora_domain::category::Category;
use ibora_domain::ids::{RideId, UserId};
use ibora_domain::person::Role;
use ibora_domain::place::Coordinates;
use ibora_domain::ride::CancelReason;
use ibora_domain::units::Metres;
use sqlx::PgPool;
use uuid::Uuid;

use super::audit::ACCEPTED;
use super::volley::Racer;
use crate::engine::{Engine, Handles};
use crate::facts::{Script, Step};
use crate::people;

/// Degrees between lanes: no wave reaches another lane's drivers.
pub(super) const FAR: f64 = 0.2;

/// The engine with its lanes.
pub(super) struct EngineSide {
    engine: Handles,
    pool: PgPool,
    lanes: Vec<Lane>,
    admin: Caller,
}

struct Lane {
    passenger: Caller,
    drivers: Vec<Caller>,
    pickup: Coordinates,
}

impl EngineSide {
    pub(super) const NAME: &'static str = "engine";

    /// Makes the people of all lanes and puts the drivers online.
    pub(super) async fn open(
        engine: &Engine,
        count: usize,
        drivers: usize,
    ) -> anyhow::Result<Self> {
        let passengers = people::make_passengers(&engine.pool, count).await?;
        let all = people::make_drivers(&engine.pool, count * drivers).await?;
        let mut lanes = Vec::with_capacity(count);
        for (number, (passenger, drivers)) in
            passengers.into_iter().zip(all.chunks(drivers)).enumerate()
        {
            let pickup = people::place(number, FAR)?;
            lanes.push(Lane { passenger, drivers: drivers.to_vec(), pickup });
        }
        let here =
            |lane: &Lane| lane.drivers.clone().into_iter().zip(std::iter::repeat(lane.pickup));
        people::go_online(&engine.handles.dispatch, lanes.iter().flat_map(here)).await?;
        let admin = Caller { user: UserId(Uuid::now_v7()), role: Role::Admin };
        Ok(Self { engine: engine.handles.clone(), pool: engine.pool.clone(), lanes, admin })
    }

    fn dispatch(&self) -> &Arc<Dispatch> {
        &self.engine.dispatch
    }

    /// Waits until every driver of a lane is free again after the race before.
    async fn all_free(&self, at: Coordinates, drivers: usize) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let category = CategoryBits(Category::Economy.bit());
        loop {
            let (radius, now) = (Metres(1000), self.dispatch().now());
            let query = Query { at, radius, limit: drivers, category, now, excluded: &[] };
            if self.dispatch().index().nearest(&query).len() == drivers {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < deadline, "a driver is not free within 10 s");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Lets the first lane race once, and keeps what its steps stored.
    pub(super) async fn script(&self) -> anyhow::Result<Script> {
        let mut script = Script::default();
        let ride = self.set_up(0).await?;
        let version = script.read(&self.pool, (ride, Step::Request), 0).await?;
        script.forget_streams(Step::Request);
        let drivers = 0..self.lanes[0].drivers.len();
        let commands: Vec<String> = drivers.clone().map(|n| format!("first-{n}")).collect();
        let accepts = drivers.map(|n| self.accept(0, n, (ride, &commands[n])));
        futures_util::future::try_join_all(accepts).await?;
        script.read(&self.pool, (ride, Step::Accept), version).await?;
        self.clear(ride).await?;
        Ok(script)
    }
}

impl Racer for EngineSide {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    async fn set_up(&self, lane: usize) -> anyhow::Result<Uuid> {
        let Lane { passenger, drivers, pickup } = &self.lanes[lane];
        self.all_free(*pickup, drivers.len()).await?;
        let id = format!("request-{}", Uuid::now_v7());
        let ride = self.engine.request(*passenger, *pickup, id).await?.id.0;
        self.engine.board.told(ride, drivers.len()).await?;
        Ok(ride)
    }

    async fn accept(
        &self,
        lane: usize,
        racer: usize,
        (ride, command): (Uuid, &str),
    ) -> anyhow::Result<&'static str> {
        let accept = Command::Accept { ride: RideId(ride), offer_id: None };
        let sent = Sent { id: Some(command.to_owned()), if_version: None, command: accept };
        match self.dispatch().command(self.lanes[lane].drivers[racer], sent).await {
            Ok(_) => Ok(ACCEPTED),
            Err(refusal) => Ok(refusal.code()),
        }
    }

    fn driver(&self, lane: usize, racer: usize) -> Uuid {
        self.lanes[lane].drivers[racer].user.0
    }

    async fn clear(&self, ride: Uuid) -> anyhow::Result<()> {
        let (ride, reason) = (RideId(ride), CancelReason::Other);
        let cancel = Command::Cancel { ride, reason, note: None };
        self.engine.done(self.admin, format!("end-{}", ride.0), cancel).await?;
        Ok(())
    }
}
