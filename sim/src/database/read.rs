//! Reading back from the model, as `src/journal/records` reads from PostgreSQL.

use std::sync::Arc;

use ibora_domain::category::Category;
use ibora_domain::facts::{AttemptsRow, CommandKey, StreamRow};
use ibora_domain::ids::{DriverId, OfferId, PassengerId, RideId, UserId};
use ibora_domain::machines::{
    DriverRecords, OnlineAs, PastCommand, RideRecords, Slot, UsedId, WaveId,
};
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::{Offer, Ride, Status};
use ibora_domain::units::UnixMillis;
use serde::Deserialize;
use uuid::Uuid;

use super::{Database, ResultRec};
use crate::people;

/// An offer that is open by the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOffer {
    pub ride: RideId,
    pub offer: OfferId,
    pub until: UnixMillis,
}

/// Newest events in which offers are looked for.
const LOOKED_THROUGH: usize = 100;

#[derive(Deserialize)]
struct OfferBody {
    offer_id: OfferId,
}

impl Database {
    /// How many events an entity has.
    #[must_use]
    pub fn events_of(&self, id: Uuid) -> u64 {
        self.events.get(&id).map_or(0, |events| events.len() as u64)
    }

    /// A ride's current row, read as what it is.
    #[must_use]
    pub fn ride(&self, id: RideId) -> Option<Ride> {
        serde_json::from_str(&self.rides.get(&id)?.state).ok()
    }

    /// What a ride's machine must know.
    #[must_use]
    pub fn ride_records(&self, id: RideId) -> RideRecords {
        let attempts = self.attempts.get(&id).into_iter().flatten();
        let mut commands: Vec<PastCommand> = attempts.clone().flat_map(refused_in).collect();
        commands.extend(self.past_commands(id.0));
        let ride = self.ride(id);
        let indexed = self.rides.get(&id).is_some_and(|row| row.chained);
        let waits = |ride: &Ride| ride.status == Status::Accepted && ride.chain.is_some();
        let driver = ride.as_ref().and_then(Ride::driver_id);
        RideRecords {
            next: driver.and_then(|driver| self.chained_drivers.get(&driver).copied()),
            preceding_ended: ride.as_ref().is_some_and(waits) && !indexed,
            ride,
            offers: self.offers(id),
            payment: self.payment_of(id),
            commands,
            ..RideRecords::default()
        }
    }

    fn offers(&self, of: RideId) -> Vec<Offer> {
        let waves = self.waves.get(&of).into_iter().flatten();
        let lines = waves.flat_map(|row| row.offers.iter().map(move |line| (row, line)));
        lines
            .map(|(row, line)| Offer {
                id: line.id,
                driver: line.driver,
                wave: row.wave,
                expires_at: row.expires_at,
                distance: line.distance,
                eta: line.eta,
            })
            .collect()
    }

    /// The first statements that a driver's machine is built from: who he is, and his ride.
    #[must_use]
    pub fn driver_stands(&self, id: DriverId) -> DriverRecords {
        let row = self.drivers.get(&id);
        let online = row.filter(|row| row.online);
        DriverRecords {
            profile: Some(people::profile(id)),
            online: online.map(|row| OnlineAs {
                category: row.category.unwrap_or(Category::Economy),
                vehicle: row.vehicle,
            }),
            version: row.map_or(0, |row| row.version),
            active: self.active_drivers.get(&id).copied(),
            next: self.chained_drivers.get(&id).copied(),
            open_offers: Vec::new(),
            commands: Vec::new(),
            elsewhere: Vec::new(),
        }
    }

    /// The later statements, which may see what was committed since. What is known beside the
    /// records comes after them.
    pub fn driver_has(&self, id: DriverId, now: UnixMillis, records: &mut DriverRecords) {
        let slot =
            |open: OpenOffer| Slot { ride: open.ride, of: WaveId::UNKNOWN, until: open.until };
        records.open_offers = self.open_offers(id, now).into_iter().map(slot).collect();
        records.commands = self.past_commands(id.0);
        records.elsewhere.splice(..0, self.used_elsewhere(id));
    }

    /// Ids under which rides answered a driver.
    fn used_elsewhere(&self, driver: DriverId) -> Vec<UsedId> {
        let user = UserId::from(driver);
        let results = self.results.iter().filter(|(key, _)| key.0 == user);
        let results = results.map(|(key, result)| UsedId::new(&key.1, result.fingerprint));
        let rows = self.attempts.values().flatten();
        let attempts = rows.flat_map(|row| &row.attempts).filter(|line| line.driver == driver);
        let refused = attempts.filter_map(|line| line.command.as_ref());
        results.chain(refused.map(|key| UsedId::new(&key.id, key.fingerprint))).collect()
    }

    /// Offers to a driver that are open by the records, newest first.
    #[must_use]
    pub fn open_offers(&self, driver: DriverId, now: UnixMillis) -> Vec<OpenOffer> {
        let events = self.stream_events.get(&driver.0).into_iter().flatten();
        let newest = events.rev().take(LOOKED_THROUGH).map(|(_, row)| row);
        let open = |row: &StreamRow| {
            let until = row.expires_at.filter(|at| *at > now)?;
            let ride = RideId(row.key);
            let body: OfferBody = serde_json::from_str(&row.body).ok()?;
            let state = self.rides.get(&ride).filter(|row| row.status == Status::Searching);
            let state = state.and_then(|_| self.ride(ride))?;
            let is_open = state.search.open.contains(&body.offer_id);
            is_open.then_some(OpenOffer { ride, offer: body.offer_id, until })
        };
        newest.filter(|row| row.op == "offer.made").filter_map(open).collect()
    }

    /// The ride that a person has not ended.
    #[must_use]
    pub fn active_ride(&self, user: UserId) -> Option<RideId> {
        if people::is_driver(user) {
            self.active_drivers.get(&DriverId::from(user)).copied()
        } else {
            self.active_passengers.get(&PassengerId::from(user)).copied()
        }
    }

    /// What was answered by this entity before.
    #[must_use]
    pub fn past_commands(&self, of: Uuid) -> Vec<PastCommand> {
        let keys = self.results_of.get(&of).into_iter().flatten();
        let past = keys.filter_map(|key| {
            let ResultRec { fingerprint, answer, .. } = self.results.get(key)?;
            let (principal, id) = (key.0, Arc::clone(&key.1));
            let key = CommandKey { principal, id, fingerprint: *fingerprint };
            Some(PastCommand { key, refusal: answer.as_ref().err().copied() })
        });
        past.collect()
    }

    /// The stored answer to a command.
    #[must_use]
    pub fn result(&self, key: &CommandKey) -> Option<&ResultRec> {
        self.results.get(&(key.principal, Arc::clone(&key.id)))
    }

    /// The refusal that an attempt to accept recorded under this key.
    #[must_use]
    pub fn refused_attempt(&self, ride: RideId, key: &CommandKey) -> Option<Refusal> {
        let rows = self.attempts.get(&ride)?;
        let mut attempts = rows.iter().rev().flat_map(|row| &row.attempts);
        let his = attempts.find(|attempt| attempt.command.as_ref() == Some(key))?;
        Refusal::from_code(his.outcome)
    }

    /// The last number of a stream, and its epoch.
    #[must_use]
    pub fn stream(&self, user: Uuid) -> (i64, Option<Arc<str>>) {
        let last = self.stream_events.get(&user).and_then(|events| events.last());
        (last.map_or(0, |(seq, _)| *seq), self.streams.get(&user).cloned())
    }

    /// The epoch of a stream, begun under `new` if need be, and its last number.
    pub fn head(&mut self, user: Uuid, new: &str) -> (Arc<str>, i64) {
        let epoch = self.streams.entry(user).or_insert_with(|| Arc::from(new));
        let epoch = Arc::clone(epoch);
        (epoch, self.stream(user).0)
    }

    /// The newest event with this op up to number `upto`.
    #[must_use]
    pub fn last_told(&self, user: Uuid, upto: u64, op: &str) -> Option<&StreamRow> {
        let mut events = self.stream_events.get(&user)?.iter().rev();
        let wanted = |(seq, row): &&(i64, StreamRow)| {
            u64::try_from(*seq).is_ok_and(|seq| seq <= upto) && row.op == op
        };
        events.find(wanted).map(|(_, row)| row)
    }

    /// The events of a stream after number `after` up to `upto`.
    #[must_use]
    pub fn events_between(&self, user: Uuid, after: u64, upto: u64) -> Vec<(u64, StreamRow)> {
        let events = self.stream_events.get(&user).into_iter().flatten();
        let numbered = events.map(|(seq, row)| (u64::try_from(*seq).unwrap_or(0), row));
        let wanted = numbered.filter(|(seq, _)| *seq > after && *seq <= upto);
        wanted.map(|(seq, row)| (seq, row.clone())).collect()
    }
}

fn refused_in(row: &AttemptsRow) -> impl Iterator<Item = PastCommand> + '_ {
    row.attempts.iter().filter_map(|attempt| {
        let refusal = Refusal::from_code(attempt.outcome);
        Some(PastCommand { key: attempt.command.clone()?, refusal })
    })
}
