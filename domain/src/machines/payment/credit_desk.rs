//! A passenger's machine and those of his payments, with a disk, books and a provider, of which
//! words and commits may be lost. For the tests of credit.

use std::collections::{BTreeMap, VecDeque};
use std::marker::PhantomData;

use uuid::Uuid;

use super::*;
use crate::credit::{CreditLot, CreditUse};
use crate::facts::CommandKey;
use crate::ids::{CreditId, DriverId, PassengerId, RideId, UserId};
use crate::ledger::{Account, Books, Due, Rate, Shares};
use crate::machines::{Envelope, Output, PassengerMachine, PassengerRecords, Riding};
use crate::payment::{Debt, PaymentStatus};

pub(super) const START: UnixMillis = UnixMillis(1_795_310_763_512);
pub(super) const HE: PassengerId = PassengerId(Uuid::from_u128(2));
pub(super) const TRIP: Trip = Trip {
    ride: RideId(Uuid::from_u128(0x0193_6a4e_7c10_7abc_8def_0123_4567_89ab)),
    passenger: HE,
    driver: DriverId(Uuid::from_u128(3)),
};
const TOP_UP: PaymentId = PaymentId(Uuid::from_u128(77));

pub(super) fn policy() -> PaymentPolicy {
    PaymentPolicy { charges: true, ..PaymentPolicy::default() }
}

/// What is lost at a step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Lost {
    Commit,
    Words,
}

/// How a script runs.
#[derive(Clone, Copy, Default)]
pub(super) struct Luck {
    /// At the how manieth decision what is lost.
    pub(super) crash: Option<(usize, Lost)>,
    pub(super) twice: bool,
}

#[derive(Default)]
pub(super) struct Disk {
    pub(super) payments: BTreeMap<PaymentId, Payment>,
    books: Books,
    lots: BTreeMap<CreditId, CreditLot>,
    uses: BTreeMap<(PaymentId, u16), CreditUse>,
    held: i64,
}

/// A passenger, his payments, and their provider.
pub(super) struct Desk {
    pub(super) disk: Disk,
    payments: BTreeMap<PaymentId, PaymentMachine<u8>>,
    passenger: Riding<u8>,
    mail: VecDeque<Envelope<u8>>,
    pub(super) now: UnixMillis,
    luck: Luck,
    steps: usize,
    /// Charges that were asked of the provider, and for how much.
    charged: BTreeMap<String, Centavos>,
    /// Whether charges that are looked at have ended.
    pub(super) ends: bool,
}

impl Desk {
    pub(super) fn new(luck: Luck) -> Self {
        let disk = Disk::default();
        let passenger = he(&disk);
        Self {
            disk,
            payments: BTreeMap::new(),
            passenger,
            mail: VecDeque::new(),
            now: START,
            luck,
            steps: 0,
            charged: BTreeMap::new(),
            ends: false,
        }
    }

    /// His ride has ended with so much to pay: its commit holds the payment.
    pub(super) fn owes(&mut self, due: Due, amount: i64, prepaid: bool) -> PaymentId {
        let shares = Shares::of(Centavos(amount), Rate::percent(20)).expect("an amount");
        let debt = Debt { trip: TRIP, due, shares };
        let owed = TRIP.owed(due, shares, Centavos::ZERO, self.now).expect("fits");
        self.disk.books.book(&owed).expect("booked");
        let payment = match prepaid {
            true => Payment::prepaid(debt, self.now),
            false => Payment::owed(debt, self.now, &policy()),
        };
        self.disk.payments.insert(payment.id, payment.clone());
        let id = payment.id;
        let ended = PassengerInput::Ended { ride: TRIP.ride, owes: Some(id) };
        self.mail.push_back(Envelope::Payment(id, PaymentInput::Opened(Box::new(payment))));
        self.tell(Envelope::Passenger(HE, ended));
        self.settle();
        id
    }

    /// Somebody says something until it is heard.
    pub(super) fn say(&mut self, input: impl Fn() -> Envelope<u8>, done: impl Fn(&Self) -> bool) {
        for _ in 0..3 {
            if !done(self) {
                self.tell(input());
                self.settle();
            }
        }
        assert!(done(self), "it never happened");
    }

    pub(super) fn tops_up(&mut self, amount: i64) {
        let amount = Centavos(amount);
        let input = || PassengerInput::TopUp { ask: ask("t"), payment: TOP_UP, amount };
        let charged = |desk: &Self| {
            desk.disk.payments.get(&TOP_UP).is_some_and(|payment| payment.copy_paste().is_some())
        };
        self.say(|| Envelope::Passenger(HE, input()), charged);
        self.pays(TOP_UP, 1, amount.0);
    }

    pub(super) fn is_given(&mut self, amount: i64) {
        let credit = CreditId(Uuid::from_u128(5));
        let input = || PassengerInput::GiveCredit {
            ask: ask("g"),
            credit,
            amount: Centavos(amount),
            reason: "sorry".to_owned(),
        };
        let given = |desk: &Self| desk.disk.lots.contains_key(&credit);
        self.say(|| Envelope::Passenger(HE, input()), given);
    }

    /// A Pix of so much comes in for a charge.
    pub(super) fn pays(&mut self, payment: PaymentId, number: u16, amount: i64) {
        let pix = EndToEndId::parse(&format!("E{}{number}", payment.0.simple())).expect("a number");
        let incoming = Incoming {
            pix: pix.clone(),
            txid: Some(self.disk.payments[&payment].txid(number)),
            amount: Centavos(amount),
            tariff: None,
            taken_back: vec![],
        };
        let input = || Envelope::Payment(payment, PaymentInput::Claimed(incoming.clone()));
        let known = |desk: &Self| {
            desk.disk.payments[&payment].receipts.iter().any(|receipt| receipt.pix == pix)
        };
        self.say(input, known);
    }

    fn tell(&mut self, envelope: Envelope<u8>) {
        self.mail.push_back(envelope);
        while let Some(envelope) = self.mail.pop_front() {
            let (now, mut out) = (self.now, Outputs::new());
            match envelope {
                Envelope::Payment(id, input) => self.machine(id).step(now, input, &mut out),
                Envelope::Passenger(_, input) => self.passenger.step(now, input, &mut out),
                _ => continue,
            }
            self.carry_out(out);
        }
    }

    fn machine(&mut self, id: PaymentId) -> &mut PaymentMachine<u8> {
        let payment = self.disk.payments.get(&id).cloned();
        let records = PaymentRecords { payment, commands: vec![] };
        self.payments.entry(id).or_insert_with(|| PaymentMachine::new(id, policy(), records))
    }

    /// Lets everybody ask again until nothing changes any more.
    pub(super) fn settle(&mut self) {
        for _ in 0..8 {
            let known: Vec<_> = self.disk.payments.keys().copied().collect();
            for id in known {
                self.tell(Envelope::Payment(id, PaymentInput::Alarm));
            }
            self.tell(Envelope::Passenger(HE, PassengerInput::Alarm));
            self.now = self.now + Millis::from_secs(2);
        }
    }

    fn carry_out(&mut self, out: Outputs<u8>) {
        let decides = out.iter().any(|output| matches!(output, Output::Persist(_)));
        let crash = self.luck.crash.filter(|(at, _)| decides && *at == self.steps);
        let lost = crash.map(|(_, lost)| lost);
        self.steps += usize::from(decides);
        for output in out {
            match output {
                Output::Persist(decision) if lost != Some(Lost::Commit) => self.commit(*decision),
                Output::Send(envelope) if lost.is_none() => self.deliver(envelope),
                Output::Effect(Effect::Payment(id, effect)) if lost.is_none() => {
                    let seen = self.provider(effect).map(PaymentInput::Seen);
                    self.mail.extend(seen.map(|seen| Envelope::Payment(id, seen)));
                }
                _ => {}
            }
        }
        if lost.is_some() {
            self.starts_again();
        }
    }

    fn deliver(&mut self, envelope: Envelope<u8>) {
        if self.luck.twice {
            match &envelope {
                Envelope::Passenger(id, PassengerInput::Credit(lot)) => {
                    let again = PassengerInput::Credit(*lot);
                    self.mail.push_back(Envelope::Passenger(*id, again));
                }
                Envelope::Passenger(id, PassengerInput::UseCredit { payment, number, upto }) => {
                    let (payment, number, upto) = (*payment, *number, *upto);
                    let again = PassengerInput::UseCredit { payment, number, upto };
                    self.mail.push_back(Envelope::Passenger(*id, again));
                }
                Envelope::Payment(id, PaymentInput::Credited { number, amount }) => {
                    let again = PaymentInput::Credited { number: *number, amount: *amount };
                    self.mail.push_back(Envelope::Payment(*id, again));
                }
                _ => {}
            }
        }
        self.mail.push_back(envelope);
    }

    /// Everything in memory is gone.
    fn starts_again(&mut self) {
        self.mail.clear();
        self.payments.clear();
        self.passenger = he(&self.disk);
        let known: Vec<_> = self.disk.payments.keys().copied().collect();
        for id in known {
            let (now, mut out) = (self.now, Outputs::new());
            self.machine(id).wake(now, &mut out);
            self.carry_out(out);
        }
    }

    fn provider(&mut self, effect: PaymentEffect) -> Option<PaymentSeen> {
        let found = |payable| ChargeSeen {
            payable,
            copy_paste: Some("code".to_owned()),
            paid_by: Vec::new(),
        };
        match effect {
            PaymentEffect::Charge { txid, amount, .. } => {
                let first = *self.charged.entry(txid.to_string()).or_insert(amount);
                assert_eq!(first, amount, "a charge never changes what it asks for");
                Some(PaymentSeen::Charge { txid, said: Said::Found(found(true)) })
            }
            PaymentEffect::Look { txid } | PaymentEffect::TakeBack { txid } => {
                let said = Said::Found(found(!self.ends));
                Some(PaymentSeen::Charge { txid, said })
            }
            PaymentEffect::Confirm { .. } | PaymentEffect::Refund { .. } => None,
        }
    }

    fn commit(&mut self, decision: Decision) {
        for event in &decision.money {
            self.disk.books.book(event).expect("booked once, above every floor");
        }
        for row in decision.rows {
            match row {
                Row::Payment(row) => {
                    let stored = serde_json::from_str(&row.state).expect("a payment");
                    self.disk.payments.insert(row.id, stored);
                }
                Row::Credit(lot) => {
                    let known = self.disk.lots.insert(lot.id, lot);
                    assert!(known.is_none_or(|known| known.used < lot.used), "{lot:?}");
                }
                Row::CreditUse(used) => {
                    let known = self.disk.uses.insert((used.payment, used.number), used);
                    assert_eq!(known, None, "a question has one answer");
                }
                Row::Hold(row) => self.disk.held += row.amount.0,
                _ => {}
            }
        }
        assert_eq!(self.disk.books.trial(), 0);
        let lots = self.disk.lots.values().map(|lot| lot.left().0).sum::<i64>();
        assert_eq!(self.balance(Account::PassengerCredit(HE)), lots, "what is left lies there");
        let held = self.balance(Account::DriverHeld(TRIP.driver));
        assert_eq!(held, self.disk.held, "what is held is what the holds say");
    }

    fn balance(&self, account: Account) -> i64 {
        self.disk.books.balance(account).0
    }

    /// His credit, what he owes, what is promised to the driver and held for him, what is ours.
    pub(super) fn figures(&self) -> [i64; 5] {
        let ours = self.balance(Account::Commission) + self.balance(Account::CancelFees);
        let (driver, held) = (TRIP.driver, self.balance(Account::DriverHeld(TRIP.driver)));
        let promised = self.balance(Account::DriverUncollected(driver));
        let owed = self.balance(Account::PassengerReceivable(HE));
        assert_eq!(self.passenger.0.credit().left().0, self.balance(Account::PassengerCredit(HE)));
        [self.balance(Account::PassengerCredit(HE)), owed, promised, held, ours]
    }

    pub(super) fn status(&self, payment: PaymentId) -> PaymentStatus {
        self.disk.payments[&payment].status
    }

    /// What each of a payment's charges asked for.
    pub(super) fn asked_of(&self, payment: PaymentId) -> Vec<i64> {
        let of = |number| self.charged.get(self.disk.payments[&payment].txid(number).as_str());
        (1..9).filter_map(of).map(|amount| amount.0).collect()
    }

    pub(super) fn may_ride(&self) -> bool {
        self.passenger.0.owes().is_empty()
    }
}

fn he(disk: &Disk) -> Riding<u8> {
    let unpaid = disk.payments.values().filter(|payment| payment.status.is_payable());
    let (debts, top_ups): (Vec<_>, Vec<_>) = unpaid.partition(|payment| payment.debt.is_some());
    let records = PassengerRecords {
        owed: debts.iter().map(|payment| payment.id).collect(),
        lots: disk.lots.values().copied().collect(),
        uses: disk.uses.values().copied().collect(),
        top_ups: top_ups
            .iter()
            .filter_map(|payment| Some((payment.id, payment.wanted()?)))
            .collect(),
        ..PassengerRecords::default()
    };
    Riding(PassengerMachine::new(HE, &policy(), records, Millis(1)), PhantomData)
}

pub(super) fn ask(key: &str) -> Ask<u8> {
    let by = UserId(HE.0);
    let key = CommandKey { principal: by, id: key.into(), fingerprint: 7 };
    Ask { by, key: Some(key), if_version: None, origin: None, reply: 0 }
}
