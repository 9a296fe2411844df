//! Wallets, the line and a provider that loses what it can, by seed: engines crash, commits and
//! words are lost, and in the end everybody has what he should, to the centavo.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use crate::facts::{Decision, Entity, Row, Timer};
use crate::ids::{DriverId, PayoutId, RideId};
use crate::ledger::{Account, Books, Due, Earning, Hold, Wallet, funded};
use crate::machines::tests::Chance;
use crate::machines::{
    Ask, Effect, EffectEnded, Envelope, LinePolicy, Machine, Note, Output, Outputs,
    PayoutLineMachine, Resumed, WalletInput, WalletMachine, WalletPolicy, WalletRecords, Wanted,
};
use crate::money::Centavos;
use crate::payout::{Cleared, Heard, Payout, PayoutCall, Phase, Returned, SendState, SentPayout};
use crate::pix::{EndToEndId, Payee, PixKey, ReturnId, SendId};
use crate::provider::{Code, Outcome, ProviderError, Why};
use crate::units::{Millis, UnixMillis};

const DRIVERS: u128 = 4;
const EARNED: i64 = 3000;

/// A send as the provider has it.
struct Kept {
    amount: Centavos,
    /// Nobody sees it before.
    seen_from: UnixMillis,
    ends_at: UnixMillis,
    fails: bool,
    returned: Vec<i64>,
}

#[derive(Default)]
struct Disk {
    books: Books,
    holds: BTreeMap<Earning, (DriverId, Hold)>,
    payouts: BTreeMap<PayoutId, Payout>,
    events: BTreeMap<DriverId, u64>,
    timers: BTreeMap<Entity, UnixMillis>,
}

struct World {
    chance: Chance,
    now: UnixMillis,
    disk: Disk,
    wallets: BTreeMap<DriverId, WalletMachine<u64>>,
    line: Option<PayoutLineMachine<u64>>,
    alarms: BTreeMap<Entity, UnixMillis>,
    mail: Vec<Envelope<u64>>,
    calls: Vec<(u64, PayoutCall)>,
    provider: BTreeMap<SendId, Kept>,
    money: i64,
    /// Nothing goes wrong any more.
    calm: bool,
    asked: u128,
}

fn driver(number: u128) -> DriverId {
    DriverId(Uuid::from_u128(number << 8))
}

fn refuse(status: u16, code: &str) -> Outcome<SentPayout> {
    let code = Some(Code::new(code));
    Outcome::Refused(ProviderError { code, ..ProviderError::bare(status) })
}

impl World {
    fn new(seed: u64) -> Self {
        let mut disk = Disk::default();
        let now = UnixMillis(1_000_000_000);
        disk.books.book(&funded("start", Centavos(100_000), now).expect("fits")).expect("booked");
        let mut world = Self {
            chance: Chance::new(seed),
            now,
            disk,
            wallets: BTreeMap::new(),
            line: None,
            alarms: BTreeMap::new(),
            mail: vec![],
            calls: vec![],
            provider: BTreeMap::new(),
            money: 100_000,
            calm: false,
            asked: 0,
        };
        for number in 1..=DRIVERS {
            world.earns(number);
        }
        world
    }

    /// A ride was paid: what its payment commits, and the word that may be lost.
    fn earns(&mut self, number: u128) {
        let trip = crate::ledger::Trip {
            ride: RideId(Uuid::from_u128(number)),
            passenger: crate::ids::PassengerId(Uuid::from_u128(1)),
            driver: driver(number),
        };
        let shares = crate::ledger::Shares { driver: Centavos(EARNED), platform: Centavos(0) };
        let (pix, amount, at) = (number.to_string(), Centavos(EARNED), self.now);
        let receipt = crate::ledger::Receipt { end_to_end: &pix, payment: None, amount, at };
        for event in [
            trip.owed(Due::Fare, shares, Centavos::ZERO, at).expect("fits"),
            receipt.settles(&trip, shares, Centavos::ZERO).expect("fits"),
        ] {
            self.disk.books.book(&event).expect("booked");
        }
        let earning = Earning { ride: trip.ride, due: Due::Fare };
        let hold = Hold::of(amount, at + Millis(60_000));
        self.disk.holds.insert(earning, (trip.driver, hold));
        self.mail.push(Envelope::Wallet(trip.driver, WalletInput::Earned { earning, hold }));
    }

    fn wallet(&mut self, id: DriverId) -> &mut WalletMachine<u64> {
        if !self.wallets.contains_key(&id) {
            let machine = self.build(id);
            self.wallets.insert(id, machine);
            let mut out = Outputs::new();
            let now = self.now;
            self.wallets.get_mut(&id).expect("built").wake(now, &mut out);
            self.carry_out(Entity::Wallet(id), out);
        }
        self.wallets.get_mut(&id).expect("built")
    }

    fn build(&self, id: DriverId) -> WalletMachine<u64> {
        let policy = WalletPolicy::default();
        let books = &self.disk.books;
        let balance = |account| books.balance(account);
        let balances =
            (balance(Account::DriverAvailable(id)), balance(Account::DriverReceivable(id)));
        let holds = self.disk.holds.iter().filter(|(_, (of, _))| *of == id);
        let holds = holds.map(|(earning, (_, hold))| (*earning, *hold));
        let payouts = self.disk.payouts.values().filter(|payout| payout.driver == id);
        let records = WalletRecords {
            wallet: Wallet::restore(id, balances, holds, (0, Centavos::ZERO)),
            events: self.disk.events.get(&id).copied().unwrap_or(0),
            payouts: payouts.filter(|payout| payout.is_under_way()).cloned().collect(),
            disputes: vec![],
            document: None,
            commands: vec![],
        };
        WalletMachine::new(id, Arc::new(policy), records)
    }

    fn line(&mut self) -> &mut PayoutLineMachine<u64> {
        if self.line.is_none() {
            let resumed = self.disk.payouts.values().filter_map(|payout| {
                let since = payout.in_flight_since()?;
                let aside = matches!(payout.phase, Phase::SetAside { .. });
                Some(Resumed { order: payout.order(None), driver: payout.driver, since, aside })
            });
            let mut line =
                PayoutLineMachine::new(LinePolicy::default(), resumed.collect(), self.now);
            let mut out = Outputs::new();
            line.wake(self.now, &mut out);
            self.line = Some(line);
            self.carry_out(Entity::PayoutLine, out);
        }
        self.line.as_mut().expect("built")
    }

    fn deliver(&mut self, envelope: Envelope<u64>) {
        let (now, entity) = (self.now, envelope.entity());
        let mut out = Outputs::new();
        match envelope {
            Envelope::Wallet(id, input) => self.wallet(id).step(now, input, &mut out),
            Envelope::PayoutLine(input) => self.line().step(now, input, &mut out),
            other => unreachable!("{other:?}"),
        }
        self.carry_out(entity, out);
    }

    /// Commits, then lets leave; where the commit is lost, so is the machine and what it said.
    fn carry_out(&mut self, entity: Entity, out: Outputs<u64>) {
        let lost = !self.calm && self.chance.one_in(20);
        let decides = out.iter().any(|output| matches!(output, Output::Persist(_)));
        if lost && decides {
            if let Entity::Wallet(id) = entity {
                self.wallets.remove(&id);
                self.alarms.insert(entity, self.now + Millis(1000));
            }
            return;
        }
        for output in out {
            match output {
                Output::Persist(decision) => self.commit(*decision),
                Output::Send(envelope) if self.calm || !self.chance.one_in(15) => {
                    self.mail.push(envelope);
                }
                Output::Effect(Effect::Payout(call, ask)) => self.calls.push((call, ask)),
                Output::Alarm(Some(at)) => drop(self.alarms.insert(entity, at)),
                Output::Alarm(None) => drop(self.alarms.remove(&entity)),
                Output::Note(note) => assert!(note != Note::PayoutOdd, "cannot be"),
                Output::Send(_) | Output::Reply(..) => {}
                other => unreachable!("{other:?}"),
            }
        }
    }

    fn commit(&mut self, decision: Decision) {
        let Entity::Wallet(id) = decision.entity else { unreachable!("{decision:?}") };
        for event in &decision.money {
            self.disk.books.book(event).expect("booked once, above every floor");
        }
        for event in &decision.events {
            let last = self.disk.events.entry(id).or_default();
            *last += 1;
            assert_eq!(event.seq, *last);
        }
        for row in decision.rows {
            match row {
                Row::Payout(row) => {
                    let payout: Payout = serde_json::from_str(&row.state).expect("readable");
                    self.disk.payouts.insert(row.id, payout);
                }
                Row::Held(row) => drop(self.disk.holds.insert(row.earning, (id, row.hold))),
                other => unreachable!("{other:?}"),
            }
        }
        match decision.timer {
            Some(Timer::Due(at)) => drop(self.disk.timers.insert(decision.entity, at)),
            Some(Timer::Off) => drop(self.disk.timers.remove(&decision.entity)),
            None => {}
        }
    }

    /// Nothing is left but the disk, the provider, and calls that are on their way to it.
    fn crash(&mut self) {
        self.wallets.clear();
        self.line = None;
        self.mail.clear();
        self.alarms = self.disk.timers.clone();
        for (_, call) in std::mem::take(&mut self.calls) {
            if self.chance.one_in(2) {
                self.provide(&call);
            }
        }
        self.line();
    }

    /// The provider carries out a call.
    fn provide(&mut self, call: &PayoutCall) -> Heard {
        match call {
            PayoutCall::Clear(_) => {
                let odd = !self.calm && self.chance.one_in(4);
                Heard::Cleared(if odd { Cleared::Short } else { Cleared::Yes })
            }
            PayoutCall::Ask(id) => Heard::Asked(match self.provider.get(id) {
                Some(kept) if kept.seen_from <= self.now => Outcome::Done(self.show(id, kept)),
                _ => refuse(404, "nao_encontrado"),
            }),
            PayoutCall::Send(order) => {
                assert!(
                    self.disk.payouts[&order.payout].in_flight_since().is_some(),
                    "sent only what is recorded as sent"
                );
                Heard::Sent(self.take(&order.id(), order.amount))
            }
        }
    }

    fn take(&mut self, id: &SendId, amount: Centavos) -> Outcome<SentPayout> {
        if self.provider.contains_key(id) {
            return refuse(409, "id_envio_duplicado");
        }
        if !self.calm && self.chance.one_in(6) {
            return refuse(422, "pagamento_negado");
        }
        let late = Millis(if self.chance.one_in(3) { 30_000 } else { 0 });
        let settles = Millis(if self.chance.one_in(8) { 400_000 } else { 3000 });
        let fails = self.chance.one_in(5);
        let kept = Kept {
            amount,
            seen_from: self.now + late,
            ends_at: self.now + settles,
            fails,
            returned: vec![],
        };
        let shown = self.show(id, &kept);
        self.provider.insert(id.clone(), kept);
        Outcome::Done(shown)
    }

    fn show(&self, id: &SendId, kept: &Kept) -> SentPayout {
        let state = match (self.now >= kept.ends_at, kept.fails) {
            (false, _) => SendState::Pending,
            (true, false) => SendState::Done,
            (true, true) => SendState::Failed,
        };
        let part = |(at, amount): (usize, &i64)| Returned {
            id: ReturnId::parse(&format!("D{id}{at}")).expect("a number"),
            amount: Centavos(*amount),
        };
        SentPayout {
            pix: EndToEndId::parse(&format!("E{id}")).expect("a number"),
            amount: kept.amount,
            key: None,
            state,
            returns: kept.returned.iter().enumerate().map(part).collect(),
        }
    }

    /// A part of one that was done comes back, and somebody may hear of it.
    fn returns(&mut self) {
        let done = |kept: &Kept, now| {
            let back: i64 = kept.returned.iter().sum();
            !kept.fails && kept.ends_at <= now && back + 500 <= kept.amount.0
        };
        let now = self.now;
        if let Some((_, kept)) = self.provider.iter_mut().find(|(_, kept)| done(kept, now)) {
            kept.returned.push(500);
        }
        self.hint_all();
    }

    /// What a janitor does: whatever the provider lists is hinted at.
    fn hint_all(&mut self) {
        let payouts: Vec<_> = self.disk.payouts.values().cloned().collect();
        for payout in payouts {
            let as_of = self.disk.events.get(&payout.driver).copied().unwrap_or(0);
            let driver = payout.driver;
            let input = WalletInput::Hint { payout: Box::new(payout), as_of };
            self.mail.push(Envelope::Wallet(driver, input));
        }
    }

    fn asks(&mut self) {
        let who = driver(1 + self.chance.below(4) as u128);
        self.asked += 1;
        let payee = Payee {
            key: PixKey::parse("joao@example.com").expect("a key"),
            usable_from: UnixMillis(0),
            cpf: None,
        };
        let wanted = Box::new(Wanted {
            id: PayoutId(Uuid::from_u128(self.asked << 64)),
            amount: Centavos(500 + i64::try_from(self.chance.below(1500)).expect("small")),
            key: None,
            payee: Some(payee),
            sweep: None,
        });
        let ask = Ask { by: who.into(), key: None, if_version: None, origin: None, reply: 0 };
        self.mail.push(Envelope::Wallet(who, WalletInput::Payout { ask, wanted }));
    }

    fn tick(&mut self) {
        match self.chance.below(if self.calm { 8 } else { 12 }) {
            0..=2 if !self.mail.is_empty() => {
                let at = self.chance.below(self.mail.len());
                let envelope = self.mail.remove(at);
                self.deliver(envelope);
            }
            3..=4 if !self.calls.is_empty() => {
                let at = self.chance.below(self.calls.len());
                let (call, ask) = self.calls.remove(at);
                self.answer(call, &ask);
            }
            8 => self.asks(),
            9 if self.chance.one_in(6) => self.crash(),
            10 => self.returns(),
            11 => self.now = self.now + Millis(self.chance.below(20_000) as u64),
            _ => self.ring(),
        }
    }

    fn answer(&mut self, call: u64, ask: &PayoutCall) {
        let luck = if self.calm { 9 } else { self.chance.below(10) };
        let heard = match (luck, ask) {
            (0, PayoutCall::Send(_)) => Heard::Sent(Outcome::Unclear(Why::TimedOut)),
            (1, PayoutCall::Send(_)) => {
                self.provide(ask);
                Heard::Sent(Outcome::Unclear(Why::Lost))
            }
            (0, PayoutCall::Ask(_)) => Heard::Asked(Outcome::Unclear(Why::TimedOut)),
            (2, _) => return,
            _ => self.provide(ask),
        };
        self.mail.push(EffectEnded::Payout(call, heard).into());
    }

    /// The next alarm, and the time that goes by until then.
    fn ring(&mut self) {
        if !self.mail.is_empty() || !self.calls.is_empty() {
            return;
        }
        let next = self.alarms.iter().min_by_key(|(_, at)| **at).map(|(entity, at)| (*entity, *at));
        let Some((entity, at)) = next else { return };
        self.now = self.now.max(at);
        self.alarms.remove(&entity);
        self.deliver(match entity {
            Entity::Wallet(id) => Envelope::Wallet(id, WalletInput::Alarm),
            Entity::PayoutLine => Envelope::PayoutLine(crate::machines::LineInput::Alarm),
            other => unreachable!("{other:?}"),
        });
    }

    /// Nothing goes wrong any more, until everything has come to rest.
    fn rest(&mut self, seed: u64) {
        self.calm = true;
        self.crash();
        for step in 0..20_000 {
            self.tick();
            let quiet = self.mail.is_empty() && self.calls.is_empty() && self.alarms.is_empty();
            if quiet {
                self.hint_all();
                for _ in 0..400 {
                    self.tick();
                }
                return;
            }
            assert!(step < 19_999, "seed {seed}: no rest: {:?} {:?}", self.alarms, self.mail);
        }
    }

    fn check(&self, seed: u64) {
        let books = &self.disk.books;
        assert_eq!(books.trial(), 0, "seed {seed}");
        let (mut gone, mut back) = (0, 0);
        for kept in self.provider.values().filter(|kept| !kept.fails) {
            gone += kept.amount.0;
            back += kept.returned.iter().sum::<i64>();
        }
        let cash = books.balance(Account::PspCash).0;
        assert_eq!(cash, self.money - gone + back, "seed {seed}: the provider's books are ours");
        assert_eq!(books.balance(Account::PayoutInTransit), Centavos::ZERO, "seed {seed}");
        for payout in self.disk.payouts.values() {
            assert!(!payout.is_under_way(), "seed {seed}: {payout}");
            assert_eq!(
                self.provider.get(&payout.order(None).id()).is_some_and(|kept| !kept.fails),
                matches!(payout.phase, Phase::Done { .. }),
                "seed {seed}: {payout}"
            );
        }
        for (id, wallet) in &self.wallets {
            let figures = (wallet.wallet().held(), wallet.wallet().available());
            let held = books.balance(Account::DriverHeld(*id));
            let booked = (held, books.balance(Account::DriverAvailable(*id)));
            assert_eq!(figures, booked, "seed {seed}");
        }
    }
}

#[test]
fn whatever_is_lost_everybody_is_paid_once_or_has_it_still() {
    let (mut paid, mut failed, mut came_back) = (0, 0, 0);
    for seed in 1..=300 {
        let mut world = World::new(seed);
        for _ in 0..600 {
            world.tick();
        }
        world.rest(seed);
        world.check(seed);
        for payout in world.disk.payouts.values() {
            paid += u32::from(matches!(payout.phase, Phase::Done { .. }));
            failed += u32::from(matches!(payout.phase, Phase::Failed { .. }));
            came_back += u32::from(!payout.returns.is_empty());
        }
    }
    assert!(paid > 300 && failed > 100 && came_back > 50, "{paid} {failed} {came_back}");
}
