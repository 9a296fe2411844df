//! A payment's machine alone: what it wants of the provider, when, and whom it answers.

use uuid::Uuid;

use super::*;
use crate::facts::{CommandKey, Row};
use crate::ids::{DriverId, PassengerId, RideId, UserId};
use crate::ledger::{Due, Rate, Shares, Trip};
use crate::machines::RefundSeen;
use crate::machines::{Envelope, Output};
use crate::payment::Debt;
use crate::pix::Txid;

const START: UnixMillis = UnixMillis(1_795_310_763_512);
const PASSENGER: u128 = 2;

fn policy() -> PaymentPolicy {
    PaymentPolicy { charges: true, ..PaymentPolicy::default() }
}

fn owed(number: u128) -> Payment {
    let trip = Trip {
        ride: RideId(Uuid::from_u128(number)),
        passenger: PassengerId(Uuid::from_u128(PASSENGER)),
        driver: DriverId(Uuid::from_u128(3)),
    };
    let shares = Shares::of(Centavos(2000), Rate::percent(20)).expect("an amount");
    Payment::owed(Debt { trip, due: Due::Fare, shares }, START, &policy())
}

/// A machine, and the time.
struct Desk {
    machine: PaymentMachine<u8>,
    now: UnixMillis,
}

impl Desk {
    /// A payment whose ride has just told of it, and what it wants.
    fn opened() -> (Self, Vec<PaymentEffect>) {
        let payment = owed(1);
        let machine = PaymentMachine::new(payment.id, policy(), PaymentRecords::default());
        let mut desk = Self { machine, now: START };
        let out = desk.step(PaymentInput::Opened(Box::new(payment)));
        (desk, effects(&out))
    }

    fn live() -> Self {
        let (mut desk, _) = Self::opened();
        desk.charge_said(Said::Found(seen(true)));
        desk
    }

    fn empty(id: PaymentId) -> Self {
        let machine = PaymentMachine::new(id, policy(), PaymentRecords::default());
        Self { machine, now: START }
    }

    fn step(&mut self, input: PaymentInput<u8>) -> Outputs<u8> {
        let mut out = Outputs::new();
        self.machine.step(self.now, input, &mut out);
        out
    }

    fn later(&mut self, ms: u64) -> Outputs<u8> {
        self.now = self.now + Millis(ms);
        self.step(PaymentInput::Alarm)
    }

    fn txid(&self) -> Txid {
        self.machine.payment().expect("a payment").txid(1)
    }

    fn charge_said(&mut self, said: Said<ChargeSeen>) -> Outputs<u8> {
        let txid = self.txid();
        self.step(PaymentInput::Seen(PaymentSeen::Charge { txid, said }))
    }

    fn confirmed(&mut self, incoming: &Incoming) -> Outputs<u8> {
        let (pix, said) = (incoming.pix.clone(), Said::Found(incoming.clone()));
        self.step(PaymentInput::Seen(PaymentSeen::Confirm { pix, said }))
    }

    /// The next life of it, from what was recorded.
    fn rebuilt(self) -> (Self, Vec<PaymentEffect>) {
        let payment = self.machine.payment().cloned();
        let records = PaymentRecords { payment, commands: Vec::new() };
        let mut machine = PaymentMachine::new(self.machine.id, policy(), records);
        let mut out = Outputs::new();
        machine.wake(self.now, &mut out);
        (Self { machine, now: self.now }, effects(&out))
    }
}

fn seen(payable: bool) -> ChargeSeen {
    ChargeSeen { payable, copy_paste: Some("code".to_owned()), paid_by: Vec::new() }
}

fn incoming(pix: &str, txid: Option<Txid>) -> Incoming {
    Incoming {
        pix: EndToEndId::parse(pix).expect("a number"),
        txid,
        amount: Centavos(2000),
        tariff: None,
        taken_back: vec![],
    }
}

fn ask(reply: u8, key: &str) -> PaymentInput<u8> {
    let principal = UserId(Uuid::from_u128(PASSENGER));
    let key = CommandKey { principal, id: key.into(), fingerprint: 7 };
    let ask = Ask { by: principal, key: Some(key), if_version: None, origin: None, reply };
    PaymentInput::Intent { ask }
}

fn effects(out: &Outputs<u8>) -> Vec<PaymentEffect> {
    let of = |output: &Output<u8>| match output {
        Output::Effect(Effect::Payment(_, effect)) => Some(effect.clone()),
        _ => None,
    };
    out.iter().filter_map(of).collect()
}

fn told(out: Outputs<u8>) -> Vec<(PaymentId, PaymentInput<u8>)> {
    let of = |output| match output {
        Output::Send(Envelope::Payment(id, input)) => Some((id, input)),
        _ => None,
    };
    out.into_iter().filter_map(of).collect()
}

fn is_charge(effects: &[PaymentEffect], doubt: bool) -> bool {
    matches!(effects, [PaymentEffect::Charge { in_doubt, .. }] if *in_doubt == doubt)
}

#[test]
fn a_life_that_follows_asks_for_what_was_ordered_before_it_sends_it() {
    let (desk, first) = Desk::opened();
    assert!(is_charge(&first, false), "{first:?}");
    let (mut desk, again) = desk.rebuilt();
    assert!(is_charge(&again, true), "{again:?}");
    desk.charge_said(Said::Found(seen(true)));
    let (mut desk, looks) = desk.rebuilt();
    assert_eq!(looks, [], "the word of a Pix may have woken it, which is asked for by itself");
    let looks = effects(&desk.later(10_000));
    assert!(matches!(looks[..], [PaymentEffect::Look { .. }]), "{looks:?}");
}

#[test]
fn what_has_no_end_is_asked_for_again_and_what_is_lost_too() {
    let (mut desk, _) = Desk::opened();
    assert_eq!(effects(&desk.later(119_000)), [], "it is still awaited");
    assert!(is_charge(&effects(&desk.later(1000)), true), "the word of it was lost");
    assert_eq!(effects(&desk.charge_said(Said::Unfinished { in_doubt: false })), []);
    assert!(is_charge(&effects(&desk.later(2000)), false), "it is known not to have arrived");
}

#[test]
fn those_who_wait_for_a_charge_are_answered_when_it_is_there_and_once_a_key() {
    let (mut desk, _) = Desk::opened();
    for (reply, key) in [(1, "a"), (2, "a"), (3, "b")] {
        let out = desk.step(ask(reply, key));
        assert!(!out.iter().any(|output| matches!(output, Output::Reply(..))), "{out:?}");
    }
    let out = desk.charge_said(Said::Found(seen(true)));
    let answered = |output: &Output<u8>| match output {
        Output::Reply(reply, answer, _) => Some((*reply, answer.is_ok())),
        _ => None,
    };
    assert_eq!(out.iter().filter_map(answered).collect::<Vec<_>>(), [(2, true), (3, true)]);
    let results = out.iter().find_map(|output| match output {
        Output::Persist(decision) => Some(decision.results.len()),
        _ => None,
    });
    assert_eq!(results, Some(2), "stored with the charge");
    let again = desk.step(ask(4, "a"));
    assert!(again.iter().any(|output| matches!(output, Output::Repeat(4, _))), "{again:?}");
}

#[test]
fn a_charge_that_the_provider_refuses_is_told_and_may_be_asked_for_anew() {
    let (mut desk, _) = Desk::opened();
    desk.step(ask(1, "a"));
    let out = desk.charge_said(Said::Refused { code: "chave_invalida".to_owned() });
    let refused =
        |output: &Output<u8>| matches!(output, Output::Reply(1, Err(Refusal::Unavailable), _));
    assert!(out.iter().any(refused), "{out:?}");
    let out = desk.step(ask(2, "b"));
    assert_eq!(effects(&out), [], "what credit pays of it is asked first");
    let none = PaymentInput::Credited { number: 1, amount: Centavos::ZERO };
    assert!(is_charge(&effects(&desk.step(none)), false), "under another reference");
}

#[test]
fn a_charge_is_looked_at_and_taken_back_when_its_time_is_over() {
    let mut desk = Desk::live();
    assert_eq!(effects(&desk.later(9000)), []);
    assert!(matches!(effects(&desk.later(1000))[..], [PaymentEffect::Look { .. }]));
    assert_eq!(effects(&desk.charge_said(Said::Found(seen(true)))), []);
    desk.now = START + policy().expiry;
    let out = desk.step(PaymentInput::Alarm);
    assert!(matches!(effects(&out)[..], [PaymentEffect::TakeBack { .. }]), "{out:?}");
    let paid = ChargeSeen { paid_by: vec![incoming("E1", Some(desk.txid()))], ..seen(false) };
    desk.charge_said(Said::Found(paid));
    let payment = desk.machine.payment().expect("a payment");
    assert!(!payment.status.is_owed(), "a payment may win");
    assert_eq!(effects(&desk.later(600_000)), [], "nothing is left to ask for");
}

#[test]
fn a_charge_that_is_not_found_for_a_moment_has_not_ended() {
    let (mut desk, _) = Desk::live().rebuilt();
    let ended = |desk: &Desk| desk.machine.payment().is_some_and(|it| it.open_charge().is_none());
    desk.charge_said(Said::Absent);
    assert!(!ended(&desk), "the provider may show late what is new");
    desk.now = desk.now + Millis(59_000);
    desk.charge_said(Said::Found(seen(true)));
    desk.now = desk.now + Millis(59_000);
    desk.charge_said(Said::Absent);
    assert!(!ended(&desk), "it was there in between");
    desk.now = desk.now + Millis(60_000);
    desk.charge_said(Said::Absent);
    assert!(ended(&desk), "nobody can pay what the provider does not know");
}

#[test]
fn a_refund_that_failed_is_tried_again_after_its_own_failures_alone() {
    let mut desk = Desk::live();
    for pix in ["E1", "E2", "E3", "E4"] {
        let txid = Some(desk.txid());
        desk.confirmed(&Incoming { amount: Centavos(1), ..incoming(pix, txid) });
    }
    let refunds = desk.machine.payment().expect("a payment").refunds.clone();
    for (number, refund) in refunds.iter().enumerate() {
        let done = if number < 3 { RefundSeen::Returned } else { RefundSeen::Failed };
        let (id, said) = (refund.id.clone(), Said::Found(done));
        desk.step(PaymentInput::Seen(PaymentSeen::Refund { id, said }));
    }
    let out = effects(&desk.later(60_000));
    assert!(matches!(&out[..], [PaymentEffect::Refund { pix, .. }] if pix.as_str() == "E4"));
}

#[test]
fn a_pix_comes_to_the_payment_that_it_names_and_to_nobody_where_there_is_none() {
    let mut desk = Desk::live();
    let other = owed(9);
    let foreign = incoming("E1", Some(other.txid(1)));
    let out = told(desk.confirmed(&foreign));
    let [(to, PaymentInput::Claimed(named))] = &out[..] else { panic!("{out:?}") };
    assert_eq!((*to, named), (other.id, &foreign));

    let mut nobody = Desk::empty(other.id);
    let out = told(nobody.step(PaymentInput::Claimed(foreign.clone())));
    let stray = PaymentId::of_stray(&foreign.pix);
    let [(to, PaymentInput::Unclaimed(_))] = &out[..] else { panic!("{out:?}") };
    assert_eq!(*to, stray);

    let mut last = Desk::empty(stray);
    let out = last.step(PaymentInput::Unclaimed(foreign.clone()));
    assert!(matches!(effects(&out)[..], [PaymentEffect::Refund { .. }]), "it goes back: {out:?}");
    let again = last.step(PaymentInput::Unclaimed(foreign));
    assert!(told(again).is_empty() && last.machine.payment().is_some_and(Payment::is_busy));
}

#[test]
fn a_hint_only_asks_and_is_dropped_when_the_provider_knows_nothing() {
    let mut desk = Desk::live();
    let pix = EndToEndId::parse("E7").expect("a number");
    let mut asked = 0;
    let mut out = desk.step(PaymentInput::Hint { pix: pix.clone(), refund: None });
    for _ in 0..50 {
        let confirms = effects(&out);
        if confirms.iter().any(|effect| matches!(effect, PaymentEffect::Confirm { .. })) {
            asked += 1;
            let (pix, said) = (pix.clone(), Said::Absent);
            desk.step(PaymentInput::Seen(PaymentSeen::Confirm { pix, said }));
        }
        out = desk.later(5000);
        assert!(!out.iter().any(|output| matches!(output, Output::Persist(_))), "{out:?}");
    }
    assert_eq!(asked, HINT_TRIES);
}

#[test]
fn what_settles_is_one_decision_with_its_books_its_hold_and_its_news() {
    let mut desk = Desk::live();
    let out = desk.confirmed(&incoming("E1", Some(desk.txid())));
    let decisions: Vec<_> = out
        .iter()
        .filter_map(|output| match output {
            Output::Persist(decision) => Some(decision),
            _ => None,
        })
        .collect();
    let [decision] = &decisions[..] else { panic!("{out:?}") };
    assert_eq!(decision.money.len(), 1);
    assert_eq!(decision.streams.len(), 1);
    assert_eq!(decision.rows.iter().filter(|row| matches!(row, Row::Hold(_))).count(), 1);
    assert_eq!(decision.timer, Some(Timer::Off), "nothing is under way any more");
    let freed = |output: &Output<u8>| {
        matches!(output, Output::Send(Envelope::Passenger(_, PassengerInput::Settled { .. })))
    };
    assert!(out.iter().any(freed), "its passenger may ride again");
}

#[test]
fn a_refund_that_failed_is_due_when_it_was_whoever_is_built_again_meanwhile() {
    let mut desk = Desk::live();
    desk.confirmed(&incoming("E1", None));
    desk.confirmed(&Incoming { amount: Centavos(1), ..incoming("E2", Some(desk.txid())) });
    let fails = |desk: &mut Desk| {
        let refunds = &desk.machine.payment().expect("a payment").refunds;
        let id = refunds.last().expect("a refund").id.clone();
        let said = Said::Found(RefundSeen::Failed);
        desk.step(PaymentInput::Seen(PaymentSeen::Refund { id, said }));
    };
    fails(&mut desk);
    desk.later(40_000);
    let (mut desk, _) = desk.rebuilt();
    let out = effects(&desk.later(40_000));
    assert!(matches!(&out[..], [PaymentEffect::Refund { .. }]), "{out:?}");
}
