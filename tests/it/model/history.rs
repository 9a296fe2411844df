//! Histories: batches drawn from a seed, of few people and few rides, so that they collide.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use ibora_domain::category::Category;
use ibora_domain::credit::CreditUse;
use ibora_domain::facts::{
    Attempt, AttemptsRow, CommandKey, Decision, Done, DriverRow, Entity, EventRow, ResultRow,
    RideRow, Row, StreamId, StreamRow, Timer, WaveOffer, WaveRow,
};
use ibora_domain::ids::{PaymentId, RideId};
use ibora_domain::ledger::{Due, FinancialEvent, Shares, Trip, credit_used, goodwill};
use ibora_domain::money::Centavos;
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::Status;
use ibora_domain::units::{Metres, Millis, Seconds, UnixMillis};
use ibora_sim::chance::Chance;
use ibora_sim::database::{Fence, Write};
use ibora_sim::people;
use uuid::Uuid;

use super::purse;

/// What a history has come to.
#[derive(Default)]
pub(super) struct History {
    batches: u64,
    now: i64,
    events: BTreeMap<Uuid, u64>,
    seqs: BTreeMap<Uuid, i64>,
}

const STATUSES: [Status; 7] = [
    Status::Searching,
    Status::Accepted,
    Status::Arriving,
    Status::Started,
    Status::Completed,
    Status::Canceled,
    Status::NoDriver,
];

impl History {
    /// The next batch: mostly right, sometimes with a number or a key that is taken.
    pub(super) fn batch(&mut self, chance: &mut Chance, fence: Rc<Fence>) -> Write {
        self.batches += 1;
        self.now += 17;
        let seal = chance.percent(8);
        let id = match chance.percent(if seal { 50 } else { 6 }) {
            true => chance.between(1, self.batches),
            false => self.batches,
        };
        let count = if seal { 0 } else { chance.between(1, 3) };
        let decisions: Vec<_> = (0..count).map(|_| Rc::new(self.decision(chance))).collect();
        let mut seqs = Vec::new();
        let mut next = self.seqs.clone();
        for row in decisions.iter().flat_map(|decision| &decision.streams) {
            let last = next.entry(row.stream.user().0).or_default();
            *last += 1;
            let wrong = i64::from(chance.percent(4));
            seqs.push((*last - wrong).max(1));
        }
        let users = decisions.iter().flat_map(|decision| &decision.streams);
        let new_streams = users.map(|row| (row.stream.user().0, format!("epoch {id}"))).collect();
        let id = Uuid::from_u128(u128::from(id));
        let lane = u16::try_from(chance.below(2)).expect("few");
        Write { id, lane, fence, decisions, seqs, new_streams, seal }
    }

    /// This batch is recorded.
    pub(super) fn written(&mut self, write: &Write) {
        for decision in &write.decisions {
            let events = self.events.entry(decision.entity.id()).or_default();
            *events += decision.events.len() as u64;
        }
        let rows = write.decisions.iter().flat_map(|decision| &decision.streams);
        for (row, seq) in rows.zip(&write.seqs) {
            self.seqs.insert(row.stream.user().0, *seq);
        }
    }

    fn decision(&self, chance: &mut Chance) -> Decision {
        let at = UnixMillis(1_760_000_000_000 + self.now);
        if chance.percent(40) {
            return purse::decision(chance, (self.batches, at));
        }
        if chance.percent(20) {
            let id = people::driver(chance.below(3));
            let mut decision = Decision::new(Entity::Driver(id), at);
            self.event(chance, &mut decision, "online");
            decision.rows.push(Row::Driver(DriverRow {
                id,
                online: chance.percent(50),
                category: Some(Category::Economy),
                vehicle: None,
                version: self.batches,
            }));
            return decision;
        }
        let ride = people::ride(chance.below(6));
        let mut decision = Decision::new(Entity::Ride(ride), at);
        if chance.percent(80) {
            self.event(chance, &mut decision, "happened");
            decision.rows.push(self.ride(chance, ride));
            self.deadline(chance, &mut decision);
        }
        if chance.percent(20) {
            decision.rows.push(wave(chance, ride, at));
        }
        if chance.percent(20) {
            decision.rows.push(attempts(chance, ride, at));
        }
        if chance.percent(40) {
            decision.results.push(self.result(chance, ride));
        }
        for _ in 0..chance.below(3) {
            decision.streams.push(told(chance, ride));
        }
        for _ in 0..chance.below(3) {
            decision.money.push(self.money(chance, at));
        }
        decision
    }

    fn event(&self, chance: &mut Chance, decision: &mut Decision, kind: &'static str) {
        let last = self.events.get(&decision.entity.id()).copied().unwrap_or(0);
        let seq = if chance.percent(3) { last.max(1) } else { last + 1 };
        let body = Arc::from(format!("{{\"n\":{}}}", self.batches));
        decision.events.push(EventRow { seq, kind, at: decision.at, body });
    }

    fn ride(&self, chance: &mut Chance, id: RideId) -> Row {
        let status = STATUSES[chance.index(STATUSES.len())];
        let chained = status == Status::Accepted && chance.percent(80);
        // One has all chained rides, so that he has two now and then.
        let drivers = if chained { 1 } else { 4 };
        let his = chained || chance.percent(60);
        let driver = his.then(|| people::driver(chance.below(drivers)));
        let chain = if chained { r#","chain":{"due":1}"# } else { "" };
        Row::Ride(RideRow {
            id,
            status,
            passenger: people::passenger(id.0.as_u128() as u64 % 4),
            driver,
            chained,
            category: Category::Economy,
            version: self.batches,
            requested_at: UnixMillis(1_760_000_000_000),
            state: Arc::from(format!("{{\"n\":{}{chain}}}", self.batches)),
        })
    }

    fn deadline(&self, chance: &mut Chance, decision: &mut Decision) {
        decision.timer = match chance.below(3) {
            0 => Some(Timer::Due(decision.at + Millis(chance.below(9000)))),
            1 => Some(Timer::Off),
            _ => None,
        };
    }

    /// Credit given or spent, or given by mistake; mostly in that order, sometimes twice.
    fn money(&self, chance: &mut Chance, at: UnixMillis) -> FinancialEvent {
        let passenger = people::passenger(chance.below(2));
        let number = if chance.percent(8) { 1 } else { self.batches * 1000 + chance.below(1000) };
        let shares = shares(chance);
        let trip =
            Trip { ride: people::ride(number), passenger, driver: people::driver(chance.below(2)) };
        let whole = shares.whole().expect("small");
        let given = goodwill(&number.to_string(), passenger, whole, at).expect("an amount");
        let payment = PaymentId::of_ride(trip.ride);
        let used = CreditUse { payment, number: 1, passenger, amount: whole, at };
        match chance.below(9) {
            0 | 1 => given,
            2 => given.reversal("goodwill_revoked", at).expect("a first reversal"),
            3..=5 => trip.owed(Due::Fare, shares, Centavos::ZERO, at).expect("amounts"),
            6 => trip.paid_by_credit(Due::Fare, shares, at).expect("amounts").expect("a share"),
            _ => credit_used(&used).expect("an amount"),
        }
    }

    fn result(&self, chance: &mut Chance, ride: RideId) -> ResultRow {
        let principal = people::driver(chance.below(3)).into();
        // One key in so many was used before.
        let id = if chance.percent(10) { chance.below(self.batches + 1) } else { self.batches };
        let key = CommandKey { principal, id: Arc::from(format!("k{id}")), fingerprint: 7 };
        let answer = match chance.percent(70) {
            true => Ok(Done { version: self.batches, body: "{}".into() }),
            false => Err(Refusal::IllegalTransition),
        };
        ResultRow { key, owner: ride.0, answer }
    }
}

/// A driver's share and the platform's.
fn shares(chance: &mut Chance) -> Shares {
    let driver = Centavos(i64::try_from(chance.between(1, 900)).expect("small"));
    Shares { driver, platform: Centavos(driver.0 / 4) }
}

fn wave(chance: &mut Chance, ride: RideId, at: UnixMillis) -> Row {
    let offer = |number: u64| WaveOffer {
        id: people::offer(number),
        driver: people::driver(number % 4),
        distance: Metres(700),
        eta: Seconds(90),
    };
    Row::Wave(WaveRow {
        ride,
        wave: u16::try_from(chance.between(1, 4)).expect("few"),
        search: u8::try_from(chance.below(2)).expect("few"),
        offered_at: at,
        expires_at: at + Millis(15_000),
        offers: (0..chance.below(3)).map(offer).collect(),
    })
}

fn attempts(chance: &mut Chance, ride: RideId, at: UnixMillis) -> Row {
    let attempt = Attempt {
        driver: people::driver(chance.below(4)),
        outcome: "offer_expired",
        at,
        latency: Millis(900),
        command: None,
    };
    Row::Attempts(AttemptsRow { ride, first_rank: 1, attempts: vec![attempt] })
}

fn told(chance: &mut Chance, ride: RideId) -> StreamRow {
    let stream = match chance.percent(50) {
        true => StreamId::Driver(people::driver(chance.below(3))),
        false => StreamId::Passenger(people::passenger(chance.below(3))),
    };
    StreamRow {
        stream,
        op: "ride.updated",
        key: ride.0,
        version: 1,
        expires_at: None,
        urgent: false,
        body: "{}".into(),
    }
}
