//! Credit between a payment and its passenger, whatever is lost between them: every script runs
//! once for each step at which a commit, or the words after it, may be lost, and once with every
//! word said twice.

use super::credit_desk::{Desk, HE, Lost, Luck, START, TRIP, ask, policy};
use super::*;
use crate::credit::CreditUse;
use crate::ledger::{Books, Due, Rate, Shares, credit_used};
use crate::machines::{Envelope, Output};
use crate::payment::{Debt, PaymentStatus};

/// Runs a script with every luck.
fn whatever_is_lost(script: impl Fn(Luck)) {
    let twice = Luck { twice: true, ..Luck::default() };
    script(Luck::default());
    script(twice);
    for step in 0..24 {
        for lost in [Lost::Commit, Lost::Words] {
            script(Luck { crash: Some((step, lost)), ..Luck::default() });
            script(Luck { crash: Some((step, lost)), ..twice });
        }
    }
}

#[test]
fn credit_pays_a_part_once_and_a_charge_asks_for_the_rest() {
    whatever_is_lost(|luck| {
        let mut desk = Desk::new(luck);
        desk.tops_up(500);
        assert_eq!(desk.figures(), [500, 0, 0, 0, 0]);
        let payment = desk.owes(Due::Fare, 2000, true);
        assert_eq!(desk.figures(), [0, 1500, 1600, 0, 400]);
        assert_eq!(desk.asked_of(payment), [1500]);
        assert!(!desk.may_ride(), "the rest is owed");
        desk.pays(payment, 1, 1500);
        assert_eq!(desk.status(payment), PaymentStatus::Paid);
        assert_eq!(desk.figures(), [0, 0, 0, 1600, 400]);
        assert!(desk.may_ride());
    });
}

#[test]
fn what_credit_pays_whole_needs_no_charge_and_its_driver_has_earned_it() {
    whatever_is_lost(|luck| {
        let mut desk = Desk::new(luck);
        desk.is_given(3000);
        let payment = desk.owes(Due::Fare, 2000, true);
        assert_eq!(desk.status(payment), PaymentStatus::Paid);
        assert_eq!(desk.figures(), [1000, 0, 0, 1600, 400]);
        assert!(desk.asked_of(payment).is_empty() && desk.may_ride());
        let paid = &desk.disk.payments[&payment];
        assert!(paid.paid_at.is_some() && !paid.is_busy());
        let back = paid.give_back(Centavos(1), BorneBy::Platform, desk.now);
        assert_eq!(back, Err(Refusal::PaidByCredit), "no Pix could go back");
    });
}

#[test]
fn a_fee_that_is_waived_gives_back_what_credit_had_paid_of_it() {
    whatever_is_lost(|luck| {
        let mut desk = Desk::new(luck);
        desk.is_given(300);
        let payment = desk.owes(Due::CancelFee, 700, true);
        assert_eq!((desk.figures(), desk.asked_of(payment)), ([0, 400, 560, 0, 140], vec![400]));
        let waive = || PaymentInput::Waive { ask: ask("w"), reason: "sorry".to_owned() };
        let waived = |desk: &Desk| desk.status(payment) == PaymentStatus::Waived;
        desk.ends = true;
        desk.say(|| Envelope::Payment(payment, waive()), waived);
        assert_eq!(desk.figures(), [300, 0, 0, 0, 0], "as if there had been no fee");
        assert!(desk.may_ride());
        desk.pays(payment, 1, 400);
        assert_eq!(desk.disk.payments[&payment].refunds.len(), 1, "what comes late goes back");
        assert_eq!(desk.figures(), [300, 0, 0, 0, 0]);
    });
}

#[test]
fn a_new_charge_asks_for_what_credit_that_came_meanwhile_leaves() {
    whatever_is_lost(|luck| {
        let mut desk = Desk::new(luck);
        let payment = desk.owes(Due::Fare, 2000, false);
        assert_eq!(desk.asked_of(payment), [2000]);
        desk.ends = true;
        let expired = |desk: &Desk| desk.status(payment) == PaymentStatus::Expired;
        for _ in 0..60 {
            if !expired(&desk) {
                desk.settle();
            }
        }
        assert!(expired(&desk), "its charge has ended");
        desk.ends = false;
        desk.is_given(500);
        let again = |desk: &Desk| desk.asked_of(payment).len() == 2;
        let intent = || PaymentInput::Intent { ask: ask("i") };
        desk.say(|| Envelope::Payment(payment, intent()), again);
        assert_eq!(desk.asked_of(payment), [2000, 1500]);
        desk.pays(payment, 1, 2000);
        assert_eq!(desk.figures(), [0, 1500, 1600, 0, 400], "the first one's goes back");
        desk.pays(payment, 2, 1500);
        assert_eq!(desk.figures(), [0, 0, 0, 1600, 400]);
    });
}

#[test]
fn what_is_old_is_written_off_whole_and_its_credit_is_his_again() {
    whatever_is_lost(|luck| {
        let mut desk = Desk::new(luck);
        desk.is_given(500);
        let payment = desk.owes(Due::Fare, 2000, true);
        desk.ends = true;
        desk.now = desk.now + policy().write_off_after;
        let off = |desk: &Desk| desk.status(payment) == PaymentStatus::WrittenOff;
        desk.settle();
        desk.say(|| Envelope::Payment(payment, PaymentInput::WriteOff), off);
        assert_eq!(desk.figures(), [500, 0, 0, 0, 0]);
        assert!(!desk.may_ride(), "he owes it all the same");
        desk.ends = false;
        let again = |desk: &Desk| desk.asked_of(payment).len() == 2;
        let intent = || PaymentInput::Intent { ask: ask("i") };
        desk.say(|| Envelope::Payment(payment, intent()), again);
        assert_eq!(desk.asked_of(payment), [1500, 2000], "all of it");
        desk.pays(payment, 2, 2000);
        assert_eq!(desk.figures(), [500, 0, 0, 1600, 400], "by Pix alone");
    });
}

#[test]
fn what_a_code_asks_for_beside_credit_is_not_written_off_while_it_can_be_paid() {
    let shares = Shares::of(Centavos(2000), Rate::percent(20)).expect("an amount");
    let mut payment = Payment::prepaid(Debt { trip: TRIP, due: Due::Fare, shares }, START);
    payment.apply(&payment.credit_said(1, Centavos(500)).expect("asked"), START);
    payment.apply(&payment.order_charge(START, &policy()).expect("of the rest"), START);
    let old = START + policy().write_off_after;
    assert_eq!(payment.write_off(old, &policy()), None, "15.00 would settle nothing any more");
    payment.apply(&PaymentEvent::ChargeEnded { number: 1 }, old);
    assert!(payment.write_off(old, &policy()).is_some());
}

#[test]
fn a_pix_that_comes_while_credit_is_asked_waits_for_the_answer() {
    let shares = Shares::of(Centavos(2000), Rate::percent(20)).expect("an amount");
    let debt = Debt { trip: TRIP, due: Due::Fare, shares };
    let mut payment = Payment::owed(debt, START, &policy());
    payment.apply(&PaymentEvent::ChargeEnded { number: 1 }, START);
    payment.apply(&payment.ask_credit().expect("nothing can be paid now"), START);
    let incoming = Incoming {
        pix: EndToEndId::parse("E1").expect("a number"),
        txid: Some(payment.txid(1)),
        amount: Centavos(2000),
        tariff: None,
        taken_back: vec![],
    };
    assert!(payment.comes_too_early(&incoming));
    assert_eq!(payment.waive(START), Err(Refusal::IllegalTransition), "a fare is not waived");
    assert_eq!(payment.write_off(START + policy().write_off_after, &policy()), None);
    let id = payment.id;
    let records = PaymentRecords { payment: Some(payment), commands: vec![] };
    let mut machine = PaymentMachine::<u8>::new(id, policy(), records);
    let mut out = Outputs::new();
    machine.step(START, PaymentInput::Claimed(incoming.clone()), &mut out);
    let decided = out.iter().any(|output| matches!(output, Output::Persist(_)));
    assert!(!decided, "nothing is booked yet: {out:?}");
    machine.step(START, PaymentInput::Credited { number: 1, amount: Centavos::ZERO }, &mut out);
    out.clear();
    machine.step(START + Millis(2000), PaymentInput::Alarm, &mut out);
    let asks = |output: &Output<u8>| {
        matches!(output, Output::Effect(Effect::Payment(_, PaymentEffect::Confirm { .. })))
    };
    assert!(out.iter().any(asks), "it is asked for again: {out:?}");
    machine.step(START + Millis(2000), PaymentInput::Claimed(incoming), &mut out);
    let paid = machine.payment().map(|payment| payment.status);
    assert_eq!(paid, Some(PaymentStatus::Paid));
}

/// A machine of a payment that asks credit first, as its ride has just opened it, and what it asks.
fn asking() -> (PaymentMachine<u8>, Vec<u16>) {
    let shares = Shares::of(Centavos(2000), Rate::percent(20)).expect("an amount");
    let payment = Payment::prepaid(Debt { trip: TRIP, due: Due::Fare, shares }, START);
    assert!(payment.is_busy(), "a life that follows has to be woken for it");
    let mut machine = PaymentMachine::new(payment.id, policy(), PaymentRecords::default());
    let mut out = Outputs::new();
    machine.step(START, PaymentInput::Opened(Box::new(payment)), &mut out);
    (machine, questions(&out))
}

fn questions(out: &Outputs<u8>) -> Vec<u16> {
    let number = |output: &Output<u8>| match output {
        Output::Send(Envelope::Passenger(_, PassengerInput::UseCredit { number, .. })) => {
            Some(*number)
        }
        _ => None,
    };
    out.iter().filter_map(number).collect()
}

#[test]
fn a_question_is_asked_until_it_is_answered_also_by_the_next_life() {
    let (mut machine, asked) = asking();
    assert_eq!(asked, [1]);
    let mut out = Outputs::new();
    machine.step(START + Millis(1), PaymentInput::Alarm, &mut out);
    assert!(questions(&out).is_empty(), "not yet");
    machine.step(START + Millis(2000), PaymentInput::Alarm, &mut out);
    assert_eq!(questions(&out), [1], "the word of it may have been lost");
    let payment = machine.payment().cloned();
    let records = PaymentRecords { payment, commands: vec![] };
    let mut next = PaymentMachine::<u8>::new(machine.id, policy(), records);
    out.clear();
    next.wake(START + Millis(2001), &mut out);
    assert_eq!(questions(&out), [1], "at once");
}

#[test]
fn the_answer_to_an_old_question_is_no_answer_to_a_new_one() {
    let (mut machine, _) = asking();
    let mut out = Outputs::new();
    let answer = |number, amount| PaymentInput::Credited { number, amount: Centavos(amount) };
    machine.step(START, answer(1, 0), &mut out);
    let txid = machine.payment().expect("a payment").txid(1);
    let said = Said::Refused { code: "no".to_owned() };
    machine.step(START, PaymentInput::Seen(PaymentSeen::Charge { txid, said }), &mut out);
    out.clear();
    machine.step(START, PaymentInput::Intent { ask: ask("i") }, &mut out);
    assert_eq!(questions(&out), [2]);
    machine.step(START, answer(1, 500), &mut out);
    assert_eq!(machine.payment().map(Payment::credited), Some(Centavos::ZERO));
    machine.step(START, answer(2, 300), &mut out);
    machine.step(START, answer(2, 300), &mut out);
    assert_eq!(machine.payment().map(Payment::credited), Some(Centavos(300)));
}

#[test]
fn a_use_is_booked_by_who_answers_it_and_taken_back_by_who_asked() {
    let used = CreditUse {
        payment: PaymentId::of_ride(TRIP.ride),
        number: 1,
        passenger: HE,
        amount: Centavos(300),
        at: START,
    };
    let mut books = Books::default();
    let floor = books.book(&credit_used(&used).expect("an amount"));
    assert!(floor.is_err(), "nobody uses what he has not");
}
