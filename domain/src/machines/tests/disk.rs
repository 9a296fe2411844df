//! The records of the small world: decisions go in whole, machines are rebuilt from them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::category::Category;
use crate::facts::{
    Answer, AttemptsRow, CommandKey, Decision, Entity, EventRow, RideRow, Row, StreamId, StreamRow,
    Timer, WaveRow,
};
use crate::ids::{DriverId, PassengerId, RideId, UserId};
use crate::machines::{
    DriverProfile, DriverRecords, MeanRating, OnlineAs, PastCommand, RideRecords, Slot, WaveId,
};
use crate::policy::RidePolicy;
use crate::refusal::Refusal;
use crate::ride::{Offer, Ride, RideEvent, Status, sample};
use crate::units::UnixMillis;
use uuid::Uuid;

/// Why a decision is not recorded.
#[derive(Debug, PartialEq)]
pub(super) enum Refused {
    /// The driver or the passenger has another active ride.
    Index,
    /// The command has another answer already.
    Key,
}

#[derive(Default)]
pub(super) struct Disk {
    /// How many events each entity has.
    events: BTreeMap<Uuid, u64>,
    histories: BTreeMap<RideId, Vec<(RideEvent, UnixMillis)>>,
    pub(super) rides: BTreeMap<RideId, RideRow>,
    online: BTreeMap<DriverId, bool>,
    versions: BTreeMap<DriverId, u64>,
    waves: BTreeMap<RideId, Vec<WaveRow>>,
    pub(super) attempts: BTreeMap<RideId, Vec<AttemptsRow>>,
    answers: BTreeMap<(UserId, Arc<str>), (CommandKey, Uuid, Answer)>,
    pub(super) streams: BTreeMap<StreamId, Vec<StreamRow>>,
    pub(super) timers: BTreeMap<Entity, UnixMillis>,
}

fn is_active(row: &RideRow) -> bool {
    !row.status.is_final()
}

impl Disk {
    /// Records a decision whole, or not at all.
    pub(super) fn commit(&mut self, decision: &Decision) -> Result<(), Refused> {
        let owner = decision.entity.id();
        let mut answers = vec![];
        for result in &decision.results {
            answers.push((result.key.clone(), result.owner, result.answer.clone()));
        }
        for row in &decision.rows {
            match row {
                Row::Attempts(row) => answers.extend(answers_of(row)),
                Row::Ride(row) if is_active(row) => self.check_indexes(row)?,
                _ => {}
            }
        }
        for (key, _, _) in &answers {
            let id = (key.principal, Arc::clone(&key.id));
            if self.answers.contains_key(&id) {
                return Err(Refused::Key);
            }
        }
        for (key, owner, answer) in answers {
            let id = (key.principal, Arc::clone(&key.id));
            self.answers.insert(id, (key, owner, answer));
        }
        for event in &decision.events {
            let last = self.events.entry(owner).or_default();
            *last += 1;
            assert_eq!(event.seq, *last, "{:?}: a gap", decision.entity);
            if let Entity::Ride(id) = decision.entity {
                self.remember(id, event);
            }
        }
        for row in &decision.rows {
            self.put(row.clone());
        }
        for event in &decision.streams {
            let stream = self.streams.entry(event.stream).or_default();
            stream.push(event.clone());
        }
        match decision.timer {
            Some(Timer::Due(at)) => drop(self.timers.insert(decision.entity, at)),
            Some(Timer::Off) => drop(self.timers.remove(&decision.entity)),
            None => {}
        }
        Ok(())
    }

    fn check_indexes(&self, new: &RideRow) -> Result<(), Refused> {
        let others = self.rides.values().filter(|row| row.id != new.id);
        let chained = self.chained(new);
        let clash = others.filter(|row| is_active(row)).any(|row| {
            row.passenger == new.passenger
                || (row.driver.is_some() && row.driver == new.driver && row.chained == chained)
        });
        if clash { Err(Refused::Index) } else { Ok(()) }
    }

    /// What the row says, unless the end of the other ride has said so before.
    fn chained(&self, new: &RideRow) -> bool {
        let before = self.rides.get(&new.id).filter(|row| row.status == Status::Accepted);
        new.chained && before.is_none_or(|row| row.chained)
    }

    /// The end of a ride makes the one that is chained to it its driver's active ride.
    fn put_ride(&mut self, mut new: RideRow) {
        new.chained = self.chained(&new);
        if new.status.is_final() {
            let his = |row: &&mut RideRow| row.driver.is_some() && row.driver == new.driver;
            self.rides.values_mut().filter(his).for_each(|row| row.chained = false);
        }
        self.rides.insert(new.id, new);
    }

    fn put(&mut self, row: Row) {
        match row {
            Row::Ride(row) => self.put_ride(row),
            Row::Wave(row) => self.waves.entry(row.ride).or_default().push(row),
            Row::Attempts(row) => {
                let rows = self.attempts.entry(row.ride).or_default();
                let recorded: usize = rows.iter().map(|row| row.attempts.len()).sum();
                let rank = usize::try_from(row.first_rank).expect("fits");
                assert_eq!(rank, recorded + 1, "ranks count on");
                rows.push(row);
            }
            Row::Driver(row) => {
                self.online.insert(row.id, row.online);
                self.versions.insert(row.id, row.version);
            }
            row => assert!(row.is_of_money(), "kept by nobody: {row:?}"),
        }
    }

    /// The recorded answer to a command.
    pub(super) fn answer(&self, key: &CommandKey) -> Option<&Answer> {
        let (_, _, answer) = self.answers.get(&(key.principal, Arc::clone(&key.id)))?;
        Some(answer)
    }

    fn past_commands(&self, of: Uuid) -> Vec<PastCommand> {
        let his = self.answers.values().filter(|(_, owner, _)| *owner == of);
        his.map(|(key, _, answer)| PastCommand {
            key: key.clone(),
            refusal: answer.as_ref().err().copied(),
        })
        .collect()
    }

    pub(super) fn ride(&self, id: RideId) -> Option<Ride> {
        let row = self.rides.get(&id)?;
        let mut ride: Ride = serde_json::from_str(&row.state).expect("a row reads back");
        ride.restore_offers(self.offers(id));
        Some(ride)
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

    pub(super) fn ride_records(&self, id: RideId) -> RideRecords {
        let rows = self.attempts.get(&id).into_iter().flatten();
        let attempts: usize = rows.map(|row| row.attempts.len()).sum();
        let ride = self.ride(id);
        let row = self.rides.get(&id);
        let chained = ride.as_ref().is_some_and(|ride| ride.chain.is_some());
        let driver = row.and_then(|row| row.driver);
        RideRecords {
            preceding_ended: chained && row.is_some_and(|row| !row.chained),
            next: self
                .active_ride(|row| row.chained && row.driver.is_some() && row.driver == driver),
            ride,
            offers: self.offers(id),
            commands: self.past_commands(id.0),
            attempts: u32::try_from(attempts).expect("fits"),
            payment: None,
        }
    }

    pub(super) fn driver_records(&self, id: DriverId, policy: &RidePolicy) -> DriverRecords {
        let searching = |row: &&RideRow| row.status == Status::Searching;
        let searching = self.rides.values().filter(searching);
        let open_offers = searching
            .filter_map(|row| {
                let ride = self.ride(row.id)?;
                let offer = ride.open_offer_to(id)?;
                Some(Slot {
                    ride: ride.id,
                    of: WaveId::UNKNOWN,
                    until: policy.accepts_until(offer.expires_at),
                })
            })
            .collect();
        let card = sample::card(id);
        let vehicle = card.vehicle.expect("has one");
        let online = OnlineAs { category: Category::Economy, vehicle: Some(vehicle.id) };
        DriverRecords {
            profile: Some(DriverProfile {
                name: card.name,
                rating: MeanRating { hundredths: card.rating, of: 1 },
                approved: true,
                approval: "approved".to_owned(),
                vehicles: vec![(vehicle, vec![Category::Economy])],
                pix_key: None,
            }),
            online: self.online.get(&id).copied().unwrap_or(true).then_some(online),
            version: self.versions.get(&id).copied().unwrap_or(0),
            active: self.active_ride(|row| row.driver == Some(id) && !row.chained),
            next: self.active_ride(|row| row.driver == Some(id) && row.chained),
            open_offers,
            commands: self.past_commands(id.0),
            elsewhere: vec![],
        }
    }

    pub(super) fn passenger_records(&self, id: PassengerId) -> (Option<RideId>, Vec<PastCommand>) {
        let active = self.active_ride(|row| row.passenger == id);
        (active, self.past_commands(id.0))
    }

    fn active_ride(&self, whose: impl Fn(&RideRow) -> bool) -> Option<RideId> {
        let mut his = self.rides.values().filter(|row| whose(row));
        his.find(|row| is_active(row)).map(|row| row.id)
    }

    fn remember(&mut self, id: RideId, row: &EventRow) {
        let event: RideEvent = serde_json::from_str(&row.body).expect("an event reads back");
        assert_eq!(event.kind(), row.kind);
        self.histories.entry(id).or_default().push((event, row.at));
    }

    /// The recorded events of a ride.
    pub(super) fn history(&self, id: RideId) -> &[(RideEvent, UnixMillis)] {
        self.histories.get(&id).map_or(&[], |events| events)
    }
}

fn answers_of(row: &AttemptsRow) -> Vec<(CommandKey, Uuid, Answer)> {
    let answer = |code| Err(Refusal::from_code(code).expect("a refused attempt has a code"));
    let commands = row.attempts.iter();
    commands
        .filter_map(|attempt| {
            let key = attempt.command.clone()?;
            Some((key, row.ride.0, answer(attempt.outcome)))
        })
        .collect()
}
