//! A passenger's machine alone: what he may put in and be given, and what it answers payments.

use std::marker::PhantomData;

use uuid::Uuid;

use super::*;
use crate::credit::CreditKind;
use crate::facts::Row;
use crate::ids::UserId;
use crate::machines::{Envelope, Output, PaymentInput};

const NOW: UnixMillis = UnixMillis(1_795_310_763_512);
const HE: PassengerId = PassengerId(Uuid::from_u128(2));
const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(3));

fn lot(number: u128, amount: i64) -> CreditLot {
    CreditLot {
        id: CreditId(Uuid::from_u128(number)),
        passenger: HE,
        kind: CreditKind::Goodwill,
        amount: Centavos(amount),
        used: Centavos::ZERO,
        payment: None,
        at: NOW,
    }
}

fn machine(records: PassengerRecords) -> Riding<u8> {
    let policy = PaymentPolicy { charges: true, ..PaymentPolicy::default() };
    Riding(PassengerMachine::new(HE, &policy, records, Millis(1)), PhantomData)
}

fn step(machine: &mut Riding<u8>, input: PassengerInput<u8>) -> Outputs<u8> {
    let mut out = Outputs::new();
    machine.step(NOW, input, &mut out);
    out
}

fn ask(key: &str, fingerprint: i64) -> Ask<u8> {
    let by = UserId(HE.0);
    let key = CommandKey { principal: by, id: key.into(), fingerprint };
    Ask { by, key: Some(key), if_version: None, origin: None, reply: 1 }
}

fn top_up(key: &str, payment: u128, amount: i64) -> PassengerInput<u8> {
    let payment = PaymentId(Uuid::from_u128(payment));
    PassengerInput::TopUp { ask: ask(key, amount), payment, amount: Centavos(amount) }
}

fn refused(out: &Outputs<u8>) -> Option<Refusal> {
    out.iter().find_map(|output| match output {
        Output::Reply(_, Err(refusal), _) => Some(*refusal),
        _ => None,
    })
}

fn passed_on(out: &Outputs<u8>) -> bool {
    let on = |output: &Output<u8>| {
        matches!(output, Output::Send(Envelope::Payment(_, PaymentInput::TopUp { .. })))
    };
    out.iter().any(on)
}

/// What a payment was answered, and whether something was recorded for it.
fn answered(out: &Outputs<u8>) -> (Option<i64>, bool) {
    let amount = out.iter().find_map(|output| match output {
        Output::Send(Envelope::Payment(_, PaymentInput::Credited { amount, .. })) => Some(amount.0),
        _ => None,
    });
    (amount, out.iter().any(|output| matches!(output, Output::Persist(_))))
}

fn uses(number: u16, upto: i64) -> PassengerInput<u8> {
    PassengerInput::UseCredit { payment: PAYMENT, number, upto: Centavos(upto) }
}

#[test]
fn what_may_be_put_in_has_limits_and_a_debt_comes_first() {
    let limits = CreditPolicy::default();
    let mut he = machine(PassengerRecords::default());
    for bad in [i64::MIN, -1, 0, limits.top_up_min.0 - 1, limits.top_up_max.0 + 1, i64::MAX] {
        let out = step(&mut he, top_up(&bad.to_string(), 9, bad));
        assert_eq!(refused(&out), Some(Refusal::AmountOutOfRange), "{bad}");
        assert!(!passed_on(&out));
    }
    let owed = PassengerRecords { owed: vec![PAYMENT], ..PassengerRecords::default() };
    let out = step(&mut machine(owed), top_up("k", 9, 1000));
    assert_eq!(refused(&out), Some(Refusal::DebtOutstanding));
    let nobody = PassengerMachine::new(
        HE,
        &PaymentPolicy::default(),
        PassengerRecords::default(),
        Millis(1),
    );
    let out = step(&mut Riding(nobody, PhantomData), top_up("k", 9, 1000));
    assert_eq!(refused(&out), Some(Refusal::Unavailable), "nobody could pay it");
}

#[test]
fn what_is_about_to_be_put_in_counts_until_it_has_ended() {
    let limits = CreditPolicy::default();
    let records = PassengerRecords {
        lots: vec![lot(1, limits.max.0 - 2 * limits.top_up_min.0)],
        ..PassengerRecords::default()
    };
    let mut he = machine(records);
    let some = limits.top_up_min.0;
    assert!(passed_on(&step(&mut he, top_up("a", 9, some))));
    assert!(passed_on(&step(&mut he, top_up("a", 9, some))), "the same again");
    assert!(passed_on(&step(&mut he, top_up("b", 10, some))));
    let out = step(&mut he, top_up("c", 11, some));
    assert_eq!(refused(&out), Some(Refusal::AmountOutOfRange), "too much together");
    let payment = PaymentId(Uuid::from_u128(9));
    step(&mut he, PassengerInput::TopUpEnded { payment });
    assert!(passed_on(&step(&mut he, top_up("a", 9, some))), "which tells how it ended");
    assert!(passed_on(&step(&mut he, top_up("d", 12, some))), "and does not come in again");
}

#[test]
fn a_key_is_one_top_ups_alone() {
    let mut he = machine(PassengerRecords::default());
    assert!(passed_on(&step(&mut he, top_up("k", 9, 1000))));
    let out = step(&mut he, top_up("k", 9, 1100));
    assert_eq!(refused(&out), Some(Refusal::IdempotencyKeyReused));
    let open = PassengerRecords {
        top_ups: vec![(PaymentId(Uuid::from_u128(9)), Centavos(1000))],
        owed: vec![PAYMENT],
        ..PassengerRecords::default()
    };
    let out = step(&mut machine(open), top_up("k", 9, 1000));
    assert!(passed_on(&out), "sent again after a restart it is the one that waits");
}

#[test]
fn a_question_has_one_answer_for_ever_also_where_that_is_nothing() {
    let mut he = machine(PassengerRecords::default());
    assert_eq!(answered(&step(&mut he, uses(1, 500))), (Some(0), true));
    step(&mut he, PassengerInput::Credit(lot(1, 300)));
    assert_eq!(answered(&step(&mut he, uses(1, 500))), (Some(0), false), "as it was told");
    assert_eq!(answered(&step(&mut he, uses(2, 500))), (Some(300), true));
    assert_eq!(answered(&step(&mut he, uses(2, 500))), (Some(300), false));
    assert_eq!(answered(&step(&mut he, uses(3, 500))), (Some(0), true), "nothing is left");
    let used = |number, amount| CreditUse {
        payment: PAYMENT,
        number,
        passenger: HE,
        amount: Centavos(amount),
        at: NOW,
    };
    let records = PassengerRecords {
        lots: vec![CreditLot { used: Centavos(300), ..lot(1, 300) }, lot(2, 900)],
        uses: vec![used(1, 0), used(2, 300)],
        ..PassengerRecords::default()
    };
    let mut again = machine(records);
    assert_eq!(answered(&step(&mut again, uses(1, 500))), (Some(0), false));
    assert_eq!(answered(&step(&mut again, uses(2, 500))), (Some(300), false));
    assert_eq!(answered(&step(&mut again, uses(3, 500))), (Some(500), true));
}

#[test]
fn what_is_given_is_audited_and_never_more_than_one_may_have() {
    let give = |key: &str, amount: i64| PassengerInput::GiveCredit {
        ask: ask(key, amount),
        credit: CreditId(Uuid::from_u128(5)),
        amount: Centavos(amount),
        reason: "sorry".to_owned(),
    };
    let max = CreditPolicy::default().max.0;
    let mut he = machine(PassengerRecords::default());
    for bad in [max + 1, 0, -1, i64::MIN, i64::MAX] {
        let out = step(&mut he, give(&bad.to_string(), bad));
        assert_eq!(refused(&out), Some(Refusal::AmountOutOfRange), "{bad}");
    }
    let out = step(&mut he, give("k", 300));
    let decision = out.iter().find_map(|output| match output {
        Output::Persist(decision) => Some(decision),
        _ => None,
    });
    let decision = decision.expect("recorded");
    assert_eq!((decision.audit.len(), decision.money.len(), decision.results.len()), (1, 1, 1));
    assert!(matches!(decision.rows[..], [Row::Credit(_)]));
    assert_eq!(he.0.credit().left(), Centavos(300));
    let again = step(&mut he, give("k", 300));
    assert!(again.iter().any(|output| matches!(output, Output::Repeat(..))), "{again:?}");
    assert_eq!(he.0.credit().left(), Centavos(300), "once");
}

#[test]
fn an_end_that_is_heard_after_credit_has_paid_for_it_is_no_debt() {
    let records = PassengerRecords { lots: vec![lot(1, 900)], ..PassengerRecords::default() };
    let mut he = machine(records);
    step(&mut he, uses(1, 500));
    step(&mut he, PassengerInput::Settled { payment: PAYMENT });
    let ended = |he: &mut Riding<u8>| {
        let ride = RideId(Uuid::from_u128(4));
        step(he, PassengerInput::Ended { ride, owes: Some(PAYMENT) });
    };
    ended(&mut he);
    assert!(he.0.owes().is_empty(), "words overtake each other");
    ended(&mut he);
    assert!(he.0.owes().is_empty(), "and are said again");
    let mut poor = machine(PassengerRecords::default());
    step(&mut poor, uses(1, 500));
    ended(&mut poor);
    assert!(!poor.0.owes().is_empty());
    step(&mut poor, PassengerInput::Settled { payment: PAYMENT });
    ended(&mut poor);
    assert!(poor.0.owes().is_empty(), "what was paid is not owed again");
}
