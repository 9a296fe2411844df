//! A payment and its driver's wallet together, with books, a provider and a disk, and a moment at
//! which a commit is lost, or whatever leaves after it. For tests.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::dispute::Dispute;
use crate::facts::Answer;
use crate::ids::{DriverId, PassengerId, RideId, UserId};
use crate::ledger::{Account, Books, Due, Earning, Rate, Shares, Trip, Wallet};
use crate::machines::effect::RefundSeen;
use crate::machines::{
    Envelope, Output, Outputs, WalletInput, WalletMachine, WalletPolicy, WalletRecords,
};
use crate::payment::{Debt, TakenBack};

pub(super) const START: UnixMillis = UnixMillis(1_795_310_763_512);
pub(super) const DAY: i64 = 86_400_000;
pub(super) const PASSENGER: UserId = UserId(Uuid::from_u128(2));
pub(super) const DRIVER: DriverId = DriverId(Uuid::from_u128(3));
pub(super) const ADMIN: UserId = UserId(Uuid::from_u128(4));
const RIDE: RideId = RideId(Uuid::from_u128(0x0193_6a4e_7c10_7abc_8def_0123_4567_89ab));

/// What goes wrong, at which step: a commit with all that it would have led to, or only that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    Commit,
    Words,
}

/// What is on disk.
#[derive(Default)]
struct Disk {
    payment: Option<Payment>,
    books: Books,
    holds: BTreeMap<Earning, Hold>,
    disputes: BTreeMap<DisputeId, Dispute>,
    events: u64,
}

pub(super) struct Court {
    disk: Disk,
    payment: PaymentMachine<u8>,
    wallet: WalletMachine<u8>,
    mail: VecDeque<Envelope<u8>>,
    pub(super) now: UnixMillis,
    pub(super) crash: Option<(usize, Lost)>,
    /// Steps that decided something.
    pub(super) steps: usize,
    /// Whether the provider carries refunds out.
    pub(super) pays: bool,
    pub(super) refunds_sent: Vec<(RefundId, Centavos)>,
    pub(super) taken_back: Vec<TakenBack>,
    pub(super) answers: Vec<Answer>,
}

pub(super) fn pix() -> EndToEndId {
    EndToEndId::parse("E1").expect("a number")
}

pub(super) fn ask(by: UserId) -> Ask<u8> {
    Ask { by, key: None, if_version: None, origin: None, reply: 0 }
}

impl Court {
    /// A ride of 20.00 that was just paid, 16.00 of it held for its driver.
    pub(super) fn paid() -> Self {
        let trip = Trip { ride: RIDE, passenger: PassengerId(PASSENGER.0), driver: DRIVER };
        let shares = Shares::of(Centavos(2000), Rate::percent(20)).expect("an amount");
        let policy = PaymentPolicy { charges: true, ..PaymentPolicy::default() };
        let mut payment = Payment::owed(Debt { trip, due: Due::Fare, shares }, START, &policy);
        let mut disk = Disk::default();
        let owed = trip.owed(Due::Fare, shares, Centavos::ZERO, START).expect("fits");
        disk.books.book(&owed).expect("booked");
        let (txid, amount) = (Some(payment.txid(1)), Centavos(2000));
        let incoming = Incoming { pix: pix(), txid, amount, tariff: None, taken_back: vec![] };
        for event in payment.receive(&incoming) {
            payment.apply(&event, START);
            for booked in payment.booked(&event, START).expect("fits") {
                disk.books.book(&booked).expect("booked");
            }
        }
        let earning = Earning { ride: RIDE, due: Due::Fare };
        disk.holds.insert(earning, Hold::of(Centavos(1600), START + policy.hold));
        disk.payment = Some(payment);
        let (payment, wallet) = built(&disk, START);
        Self {
            disk,
            payment,
            wallet,
            mail: VecDeque::new(),
            now: START,
            crash: None,
            steps: 0,
            pays: true,
            refunds_sent: Vec::new(),
            taken_back: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// As [`Self::paid`], a day later: the driver's share was released, and he has been paid all
    /// but `left` of it.
    pub(super) fn paid_out(left: i64) -> Self {
        let mut court = Self::paid();
        court.now = START + Millis::from_secs(86_400);
        court.tell(Envelope::Wallet(DRIVER, WalletInput::Alarm));
        let gone = crate::ledger::PayoutTerms {
            id: crate::ids::PayoutId(Uuid::from_u128(9)),
            payee: crate::ledger::Payee::Driver(DRIVER),
            amount: Centavos(1600 - left),
            fee: Centavos(0),
        };
        for event in [gone.requested(court.now), gone.done(Centavos(0), court.now)] {
            court.disk.books.book(&event.expect("fits")).expect("booked");
        }
        court.rebuild();
        court.settle();
        court
    }

    /// The balance of an account by its code, on the side on which it grows.
    pub(super) fn balance(&self, code: u16) -> i64 {
        let escrows = self.disk.disputes.keys().map(|id| Account::DisputeEscrow(*id));
        let accounts = [
            Account::PspCash,
            Account::PspClearing,
            Account::PspBlocked,
            Account::RefundInTransit,
            Account::DriverReceivable(DRIVER),
            Account::DriverHeld(DRIVER),
            Account::DriverAvailable(DRIVER),
            Account::Commission,
            Account::GoodwillRefunds,
            Account::BadDebt,
        ];
        let all = accounts.into_iter().chain(escrows).filter(|account| account.code() == code);
        all.map(|account| self.disk.books.balance(account).0).sum()
    }

    pub(super) fn payment(&self) -> &Payment {
        self.disk.payment.as_ref().expect("a payment")
    }

    pub(super) fn dispute(&self) -> &Dispute {
        self.disk.disputes.values().next().expect("a dispute")
    }

    pub(super) fn say(&mut self, input: PaymentInput<u8>) {
        let id = self.payment().id;
        self.tell(Envelope::Payment(id, input));
        self.settle();
    }

    pub(super) fn tell_wallet(&mut self, input: WalletInput<u8>) {
        self.tell(Envelope::Wallet(DRIVER, input));
        self.settle();
    }

    pub(super) fn later(&mut self, ms: i64) {
        self.now = UnixMillis(self.now.0 + ms);
        self.settle();
    }

    fn tell(&mut self, envelope: Envelope<u8>) {
        self.mail.push_back(envelope);
        while let Some(envelope) = self.mail.pop_front() {
            let mut out = Outputs::new();
            match envelope {
                Envelope::Payment(_, input) => self.payment.step(self.now, input, &mut out),
                Envelope::Wallet(_, input) => self.wallet.step(self.now, input, &mut out),
                _ => continue,
            }
            self.carry_out(out);
        }
    }

    /// Lets everybody ask again until nothing changes any more.
    fn settle(&mut self) {
        for _ in 0..8 {
            let id = self.payment().id;
            self.tell(Envelope::Payment(id, PaymentInput::Alarm));
            self.tell(Envelope::Wallet(DRIVER, WalletInput::Alarm));
            self.now = self.now + Millis::from_secs(130);
        }
    }

    fn rebuild(&mut self) {
        (self.payment, self.wallet) = built(&self.disk, self.now);
        let mut out = Outputs::new();
        self.payment.wake(self.now, &mut out);
        self.wallet.wake(self.now, &mut out);
        self.carry_out(out);
    }

    fn carry_out(&mut self, out: Outputs<u8>) {
        let decides = out.iter().any(|output| matches!(output, Output::Persist(_)));
        let lost = self.crash.filter(|(at, _)| decides && *at == self.steps).map(|(_, lost)| lost);
        self.steps += usize::from(decides);
        for output in out {
            match output {
                Output::Persist(decision) if lost != Some(Lost::Commit) => self.commit(*decision),
                Output::Reply(_, answer, _) if lost.is_none() => self.answers.push(answer),
                Output::Send(envelope) if lost.is_none() => self.mail.push_back(envelope),
                Output::Effect(Effect::Payment(id, effect)) if lost.is_none() => {
                    let seen = self.provider(effect);
                    let told = seen.map(|seen| Envelope::Payment(id, PaymentInput::Seen(seen)));
                    self.mail.extend(told);
                }
                _ => {}
            }
        }
        if lost.is_some() {
            self.mail.clear();
            self.rebuild();
        }
    }

    fn provider(&mut self, effect: PaymentEffect) -> Option<PaymentSeen> {
        match effect {
            PaymentEffect::Refund { id, amount, .. } => {
                if !self.refunds_sent.iter().any(|(known, _)| *known == id) {
                    self.refunds_sent.push((id.clone(), amount));
                }
                let taken: i64 = self.taken_back.iter().map(|taken| taken.amount.0).sum();
                let pays = self.pays && amount.0 + taken <= 2000;
                let seen = if pays { RefundSeen::Returned } else { RefundSeen::Failed };
                Some(PaymentSeen::Refund { id, said: Said::Found(seen) })
            }
            PaymentEffect::Confirm { pix } => {
                let (txid, taken_back) = (Some(self.payment().txid(1)), self.taken_back.clone());
                let amount = Centavos(2000);
                let found = Incoming { pix: pix.clone(), txid, amount, tariff: None, taken_back };
                Some(PaymentSeen::Confirm { pix, said: Said::Found(found) })
            }
            PaymentEffect::Charge { .. }
            | PaymentEffect::Look { .. }
            | PaymentEffect::TakeBack { .. } => None,
        }
    }

    fn commit(&mut self, decision: Decision) {
        for event in &decision.money {
            self.disk.books.book(event).expect("booked once, above every floor");
        }
        assert_eq!(self.disk.books.trial(), 0);
        for row in decision.rows {
            match row {
                Row::Payment(row) => {
                    self.disk.payment = serde_json::from_str(&row.state).ok();
                }
                Row::Held(row) => drop(self.disk.holds.insert(row.earning, row.hold)),
                Row::Dispute(row) => {
                    let read = serde_json::from_str(&row.state).expect("a dispute");
                    self.disk.disputes.insert(row.id, read);
                    let escrow = self.disk.books.balance(Account::DisputeEscrow(row.id));
                    assert_eq!(escrow, row.escrow, "what lies there is what the row says");
                }
                _ => {}
            }
        }
        if let Entity::Wallet(_) = decision.entity {
            self.disk.events += u64::try_from(decision.events.len()).expect("few");
        }
        let held: i64 = self.disk.holds.values().map(|hold| hold.left().0).sum();
        assert_eq!(self.balance(2000), held, "what is held is what the holds say");
    }
}

fn built(disk: &Disk, now: UnixMillis) -> (PaymentMachine<u8>, WalletMachine<u8>) {
    let policy = PaymentPolicy { charges: true, ..PaymentPolicy::default() };
    let payment = disk.payment.clone();
    let id = payment.as_ref().expect("a payment").id;
    let records = PaymentRecords { payment, commands: vec![] };
    let balance = |account| disk.books.balance(account);
    let (available, owed) =
        (balance(Account::DriverAvailable(DRIVER)), balance(Account::DriverReceivable(DRIVER)));
    let holds = disk.holds.iter().map(|(earning, hold)| (*earning, *hold));
    // As the records do: what ended long ago is not read.
    let long_ago = now - Millis::from_secs(2 * 86_400);
    let holds = holds.filter(|(_, hold)| hold.left() > Centavos(0) || hold.release_at > long_ago);
    let records_of_wallet = WalletRecords {
        wallet: Wallet::restore(DRIVER, (available, owed), holds, (0, Centavos::ZERO)),
        events: disk.events,
        payouts: vec![],
        disputes: disk.disputes.values().cloned().collect(),
        document: None,
        commands: vec![],
    };
    let wallet = WalletMachine::new(DRIVER, Arc::new(WalletPolicy::default()), records_of_wallet);
    (PaymentMachine::new(id, policy, records), wallet)
}
