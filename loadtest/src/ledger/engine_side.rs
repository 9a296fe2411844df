//! The engine's side: decisions with money in them, handed to the journal as actors hand theirs.

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use ibora::journal::Journal;
use ibora_domain::facts::{Decision, Entity};
use ibora_domain::ids::{DriverId, PassengerId, RideId};
use ibora_domain::ledger::{Due, FinancialEvent, LedgerError, Shares, Trip};
use ibora_domain::money::Centavos;
use ibora_domain::units::UnixMillis;
use uuid::Uuid;

use super::Load;
use crate::closed::Caller;
use crate::engine::Engine;

/// Journals on their way while accounts are made.
const AT_ONCE: usize = 200;

/// One who books, and waits until it is durable.
pub(super) struct Booker {
    journal: Arc<Journal>,
    load: Load,
    people: Arc<[Uuid]>,
    now: UnixMillis,
    /// Journals that were told to be durable.
    pub(super) told: u64,
}

impl Booker {
    pub(super) fn open(
        engine: &Engine,
        (load, people): (Load, &Arc<[Uuid]>),
        count: usize,
    ) -> Vec<Self> {
        let dispatch = &engine.handles.dispatch;
        let booker = |_| Self {
            journal: Arc::clone(dispatch.journal()),
            load,
            people: Arc::clone(people),
            now: dispatch.now(),
            told: 0,
        };
        (0..count).map(booker).collect()
    }

    /// Books one journal between whomever.
    async fn book(&mut self, who: usize, whom: usize) -> anyhow::Result<()> {
        let ride = RideId(Uuid::now_v7());
        let (passenger, driver) = (PassengerId(self.people[who]), DriverId(self.people[whom]));
        let trip = Trip { ride, passenger, driver };
        let mut decision = Decision::new(Entity::Ride(ride), self.now);
        decision.money.push(self.event(trip)?);
        self.journal.record(decision).await?;
        self.told += 1;
        Ok(())
    }

    /// What is booked of `trip`, two postings: the commission of a cash ride, which is the
    /// platform's, or a tip, which is all his driver's.
    fn event(&self, trip: Trip) -> anyhow::Result<FinancialEvent> {
        let amount = Centavos(rand::random_range(1..5000));
        match self.load {
            Load::Hot => {
                let shares = Shares { driver: Centavos::ZERO, platform: amount };
                trip.cash(shares, self.now)?.ok_or_else(|| LedgerError::Nothing.into())
            }
            Load::Spread => {
                let shares = Shares { driver: amount, platform: Centavos::ZERO };
                Ok(trip.owed(Due::Tip, shares, Centavos::ZERO, self.now)?)
            }
        }
    }
}

impl Caller for Booker {
    async fn step(&mut self) -> anyhow::Result<()> {
        let (who, whom) = two_of(self.people.len());
        self.book(who, whom).await
    }
}

/// A passenger, of the first half, and a driver, of the second: people are one or the other.
pub(super) fn two_of(people: usize) -> (usize, usize) {
    let half = people / 2;
    (rand::random_range(..half), rand::random_range(half..people))
}

/// Books once on each account, for they are made at first use; how many journals that took.
pub(super) async fn open_accounts(engine: &Engine, people: &Arc<[Uuid]>) -> anyhow::Result<u64> {
    let pairs = (0..people.len()).flat_map(|who| [(Load::Hot, who), (Load::Spread, who)]);
    let booked = futures_util::stream::iter(pairs).map(async |(load, who)| {
        let mut bookers = Booker::open(engine, (load, people), 1);
        let Some(booker) = bookers.first_mut() else { return anyhow::Ok(0) };
        booker.book(who, who).await?;
        anyhow::Ok(1)
    });
    booked.buffer_unordered(AT_ONCE).try_fold(0, async |sum, one| Ok(sum + one)).await
}
