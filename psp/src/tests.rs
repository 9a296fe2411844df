//! What the provider's books promise, by call and by time.

use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, PixKey, RefundId, SendId, Txid};
use ibora_domain::units::{Millis, UnixMillis};

use super::*;

const NOW: UnixMillis = UnixMillis(1_790_000_000_000);
const DAY: Millis = Millis::from_secs(86_400);

fn txid(number: u32) -> Txid {
    Txid::parse(&format!("{number:032}")).expect("a txid")
}

fn key(text: &str) -> PixKey {
    PixKey::parse(text).expect("a key")
}

fn order(centavos: i64) -> ChargeOrder {
    let value = Centavos(centavos);
    ChargeOrder { value, changeable: false, expires_in_s: 600, key: key("ibora@example.com") }
}

fn payment(number: u32) -> Payment {
    Payment { txid: Some(txid(number)), key: None, value: None, forced: false }
}

fn later(ms: u64) -> UnixMillis {
    NOW + Millis(ms)
}

/// Books with a paid charge of this amount.
fn paid(centavos: i64) -> (Books, EndToEndId) {
    let mut books = Books::new(Rules::default());
    books.create_charge(&txid(1), order(centavos), NOW).expect("a charge");
    let e2e_id = books.pay(payment(1), NOW).expect("paid");
    books.take_notices().for_each(drop);
    (books, e2e_id)
}

fn refund(text: &str) -> RefundId {
    RefundId::parse(text).expect("a refund's id")
}

fn send(text: &str) -> SendId {
    SendId::parse(text).expect("a payout's id")
}

fn payout(centavos: i64) -> PayoutOrder {
    let (from, to) = (key("ibora@example.com"), Some(key(SANDBOX_KEY)));
    PayoutOrder { value: Centavos(centavos), from, to, document: Some("12345678909".to_owned()) }
}

#[test]
fn a_charge_is_paid_once_in_time_and_exactly() {
    let mut books = Books::new(Rules::default());
    books.create_charge(&txid(1), order(2000), NOW).expect("a charge");
    assert_eq!(books.create_charge(&txid(1), order(2000), NOW), Err(Refusal::DuplicateTxid));
    let less = Payment { value: Some(Centavos(1999)), ..payment(1) };
    assert_eq!(books.pay(less, NOW), Err(Refusal::AnotherAmount));
    assert_eq!(books.pay(payment(1), later(600_001)), Err(Refusal::ChargeExpired));
    let e2e_id = books.pay(payment(1), later(600_000)).expect("the last moment");
    assert_eq!(e2e_id.as_str().len(), 32);
    assert_eq!(books.charge(&txid(1)).map(|charge| charge.state), Some(ChargeState::Completed));
    assert_eq!(books.pay(payment(1), NOW), Err(Refusal::ChargeNotActive));
    assert_eq!(books.balance(), Centavos(2000));
    assert_eq!(books.take_notices().collect::<Vec<_>>(), [Notice::Received { e2e_id }]);
    assert_eq!(books.check(), Ok(()));
}

#[test]
fn what_a_payer_s_bank_refuses_can_be_forced() {
    let (mut books, _) = paid(2000);
    let forced = |value| Payment { value, forced: true, ..payment(1) };
    books.pay(forced(None), later(1)).expect("paid twice");
    books.pay(forced(Some(Centavos(700))), later(700_000)).expect("late, and less");
    let stray = Payment { txid: None, key: Some(key("ibora@example.com")), ..forced(None) };
    assert_eq!(books.pay(stray.clone(), NOW), Err(Refusal::ZeroAmount));
    books.pay(Payment { value: Some(Centavos(5)), ..stray }, NOW).expect("without a txid");
    books.create_charge(&txid(2), order(100), NOW).expect("a charge");
    books.remove_charge(&txid(2)).expect("removed");
    books.pay(Payment { forced: true, ..payment(2) }, NOW).expect("paid though removed");
    assert_eq!(books.charge(&txid(2)).map(|charge| charge.state), Some(ChargeState::Removed));
    assert_eq!(books.balance(), Centavos(2000 + 2000 + 700 + 5 + 100));
    assert_eq!(books.receipts_of(&txid(1)).count(), 3);
    assert_eq!(books.check(), Ok(()));
}

#[test]
fn numbers_may_be_short_and_are_never_twice() {
    let mut books = Books::new(Rules::default());
    books.script().short_numbers = 1;
    let stray = || Payment {
        txid: None,
        key: Some(key("ibora@example.com")),
        value: Some(Centavos(1)),
        forced: false,
    };
    let numbers: Vec<_> = (0..3).map(|_| books.pay(stray(), NOW).expect("paid")).collect();
    assert_eq!(numbers.iter().map(|n| n.as_str().len()).collect::<Vec<_>>(), [26, 32, 32]);
    assert_eq!(books.receipts().count(), 3);
}

#[test]
fn only_an_active_charge_is_revised_or_removed() {
    let (mut books, _) = paid(2000);
    assert_eq!(books.remove_charge(&txid(1)), Err(Refusal::ChargeNotActive));
    assert_eq!(books.revise_charge(&txid(9), order(1)), Err(Refusal::NoCharge));
    books.create_charge(&txid(2), order(100), NOW).expect("a charge");
    let revised = books.revise_charge(&txid(2), order(200)).expect("revised");
    assert_eq!((revised.revision, revised.order.value), (1, Centavos(200)));
    assert_eq!(books.revise_charge(&txid(2), order(0)), Err(Refusal::ZeroAmount));
}

#[test]
fn charges_pay_themselves_where_the_rules_say_so() {
    let mut books = Books::new(Rules { pay_after: Some(Millis(50)), ..Rules::default() });
    books.create_charge(&txid(1), order(2000), NOW).expect("a charge");
    assert_eq!(books.next_due(), Some(later(50)));
    books.tick(later(49));
    assert_eq!(books.balance(), Centavos::ZERO);
    books.tick(later(50));
    assert_eq!(books.balance(), Centavos(2000));
    let mut sandbox = Books::new(Rules { sandbox: true, ..Rules::default() });
    sandbox.create_charge(&txid(1), order(1000), NOW).expect("a charge");
    sandbox.create_charge(&txid(2), order(1001), NOW).expect("a charge");
    sandbox.tick(NOW + DAY);
    assert_eq!(sandbox.balance(), Centavos(1000), "above 10.00 it stays active");
}

#[test]
fn a_tariff_is_kept_and_stands_in_the_statement() {
    let mut books = Books::new(Rules { tariff: Centavos(24), ..Rules::default() });
    books.create_charge(&txid(1), order(2000), NOW).expect("a charge");
    books.pay(payment(1), NOW).expect("paid");
    assert_eq!(books.balance(), Centavos(1976));
    assert_eq!(books.statement().len(), 2);
    assert_eq!(books.check(), Ok(()));
}

#[test]
fn a_payout_that_is_done_costs_its_tariff_as_far_as_there_is_money() {
    let (mut books, _) = paid(2000);
    books.set_rules(Rules { send_tariff: Centavos(100), ..Rules::default() });
    books.script().fail_sends = 1;
    for id in ["a", "b", "c"] {
        books.send(&send(id), payout(950), NOW).expect("accepted");
    }
    books.tick(later(500));
    let of_tariff = |entry: &&Entry| entry.kind == EntryKind::PayoutTariff;
    let taken: Vec<_> = books.statement().iter().filter(of_tariff).collect();
    assert_eq!(taken.iter().map(|entry| entry.amount.0).collect::<Vec<_>>(), [-100]);
    assert_eq!((books.balance(), books.check()), (Centavos::ZERO, Ok(())));
}

#[test]
fn refunds_never_sum_to_more_than_the_pix() {
    let (mut books, pix) = paid(2000);
    books.refund(&pix, &refund("a"), Centavos(1000), NOW).expect("a half");
    books.refund(&pix, &refund("b"), Centavos(1000), NOW).expect("a half");
    let third = books.refund(&pix, &refund("c"), Centavos(1), NOW);
    assert_eq!(third, Err(Refusal::RefundsAbovePix));
    let again = books.refund(&pix, &refund("a"), Centavos(1000), NOW);
    assert_eq!(again, Err(Refusal::DuplicateRefund));
    assert_eq!(books.balance(), Centavos(2000), "money leaves when they are settled");
    books.tick(later(500));
    assert_eq!((books.balance(), books.check()), (Centavos::ZERO, Ok(())));
    assert_eq!(books.take_notices().count(), 2);
}

#[test]
fn a_refund_fails_for_want_of_money_or_by_script_and_may_be_asked_again() {
    let (mut books, pix) = paid(2000);
    books.script().fail_refunds = 1;
    books.refund(&pix, &refund("a"), Centavos(2000), NOW).expect("accepted");
    books.send(&send("s"), payout(1500), NOW).expect("accepted");
    books.tick(later(500));
    books.refund(&pix, &refund("b"), Centavos(2000), later(600)).expect("accepted");
    books.tick(later(1100));
    let receipt = books.receipt(&pix).expect("a receipt");
    let states: Vec<_> = receipt.refunds.iter().map(|refund| refund.state).collect();
    assert_eq!(states, [RefundState::Failed, RefundState::Failed]);
    assert!(receipt.refunds[1].reason.is_some_and(|reason| reason.starts_with("Saldo")));
    assert_eq!((books.balance(), books.check()), (Centavos(500), Ok(())));
}

#[test]
fn a_pix_is_refundable_for_ninety_days() {
    let (mut books, pix) = paid(2000);
    let end = NOW + Millis(90 * DAY.0);
    assert!(books.refund(&pix, &refund("a"), Centavos(1), end).is_ok());
    let late = books.refund(&pix, &refund("b"), Centavos(1), end + Millis(1));
    assert_eq!(late, Err(Refusal::TooOldToRefund));
}

#[test]
fn a_payout_pays_once_whatever_is_asked() {
    let (mut books, _) = paid(2000);
    books.send(&send("s"), payout(1500), NOW).expect("accepted");
    assert_eq!(books.send(&send("s"), payout(1500), NOW), Err(Refusal::DuplicateSend));
    books.send(&send("t"), payout(501), NOW).expect("accepted, though there is too little");
    books.tick(later(500));
    let state = |id| books.payout(&send(id)).map(|payout| payout.state);
    assert_eq!(state("s"), Some(PayoutState::Done));
    assert_eq!(state("t"), Some(PayoutState::Failed { code: "AM04" }));
    assert_eq!((books.balance(), books.check()), (Centavos(500), Ok(())));
}

#[test]
fn a_payout_is_refused_for_its_payee_or_by_script_without_using_its_id_up() {
    let (mut books, _) = paid(2000);
    books.set_key(key(SANDBOX_KEY), PayKey::Of("98765432100".to_owned()));
    assert_eq!(books.send(&send("s"), payout(1), NOW), Err(Refusal::KeyOfAnother));
    books.set_key(key(SANDBOX_KEY), PayKey::Unknown);
    assert_eq!(books.send(&send("s"), payout(1), NOW), Err(Refusal::NoSuchKey));
    books.set_key(key(SANDBOX_KEY), PayKey::Of("12345678909".to_owned()));
    books.script().deny_sends = 1;
    assert_eq!(books.send(&send("s"), payout(1), NOW), Err(Refusal::SendDenied));
    assert!(books.send(&send("s"), payout(1), NOW).is_ok());
}

#[test]
fn the_sandbox_chooses_a_payout_s_end_by_its_amount() {
    let mut books = Books::new(Rules { sandbox: true, ..Rules::default() });
    books.deposit(Centavos(10_000), NOW).expect("money");
    for (id, centavos) in [("a", 1000), ("b", 1001), ("c", 2000), ("d", 400), ("e", 500)] {
        books.send(&send(id), payout(centavos), NOW).expect("accepted");
    }
    assert_eq!(books.send(&send("f"), payout(2001), NOW), Err(Refusal::AboveSandbox));
    let other = PayoutOrder { to: Some(key("a@b.c")), ..payout(1) };
    assert_eq!(books.send(&send("f"), other, NOW), Err(Refusal::NoSuchKey));
    books.tick(NOW + DAY);
    let state = |id| books.payout(&send(id)).map(|payout| payout.state);
    assert_eq!(state("a"), Some(PayoutState::Done));
    assert!(matches!(state("b"), Some(PayoutState::Failed { .. })));
    assert!(matches!(state("c"), Some(PayoutState::Failed { .. })));
    let returns = |id| books.payout(&send(id)).map(|payout| payout.returns.len());
    assert_eq!((returns("a"), returns("d"), returns("e")), (Some(0), Some(2), Some(1)));
    assert_eq!((books.balance(), books.check()), (Centavos(9000), Ok(())));
}

#[test]
fn a_payout_comes_back_in_parts_up_to_its_amount() {
    let (mut books, _) = paid(2000);
    books.send(&send("s"), payout(1000), NOW).expect("accepted");
    let early = books.return_send(&send("s"), Centavos(1), NOW).cloned();
    assert_eq!(early, Err(Refusal::NotReturnable), "it was not done yet");
    books.tick(later(500));
    books.return_send(&send("s"), Centavos(400), later(600)).expect("a part");
    let above = books.return_send(&send("s"), Centavos(601), later(600)).cloned();
    assert_eq!(above, Err(Refusal::NotReturnable));
    books.return_send(&send("s"), Centavos(600), later(600)).expect("the rest");
    assert_eq!((books.balance(), books.check()), (Centavos(2000), Ok(())));
    let returned = |notice: &Notice| matches!(notice, Notice::Returned { .. });
    assert_eq!(books.take_notices().filter(returned).count(), 2);
}

#[test]
fn a_claim_blocks_what_is_left_and_its_end_moves_it_once() {
    let (mut books, pix) = paid(2000);
    books.refund(&pix, &refund("a"), Centavos(500), NOW).expect("accepted");
    books.tick(later(500));
    let id = books.open_claim(&pix, later(600)).expect("a claim").id.clone();
    assert_eq!((books.balance(), books.blocked()), (Centavos::ZERO, Centavos(1500)));
    books.defend(&id).expect("a defence");
    books.decide_claim(&id, false, later(700)).expect("rejected");
    assert_eq!((books.balance(), books.blocked()), (Centavos(1500), Centavos::ZERO));
    assert_eq!(books.decide_claim(&id, true, later(700)), Err(Refusal::NoClaim));
    let id = books.open_claim(&pix, later(800)).expect("another").id.clone();
    books.decide_claim(&id, true, later(900)).expect("accepted");
    assert_eq!((books.balance(), books.blocked()), (Centavos::ZERO, Centavos::ZERO));
    let taken = &books.receipt(&pix).expect("a receipt").refunds[1];
    assert_eq!((taken.value, taken.nature), (Centavos(1500), Nature::MedFraud));
    assert_eq!(books.check(), Ok(()));
}

#[test]
fn what_went_back_while_a_claim_was_open_does_not_go_back_again() {
    let (mut books, pix) = paid(2000);
    let id = books.open_claim(&pix, NOW).expect("a claim").id.clone();
    books.deposit(Centavos(2000), NOW).expect("money");
    books.refund(&pix, &refund("a"), Centavos(500), NOW).expect("accepted");
    books.tick(later(500));
    books.decide_claim(&id, true, later(600)).expect("accepted");
    assert_eq!((books.balance(), books.blocked()), (Centavos(2000), Centavos::ZERO));
    let taken = &books.receipt(&pix).expect("a receipt").refunds[1];
    assert_eq!((taken.value, books.check()), (Centavos(1500), Ok(())));
}

#[test]
fn the_bank_takes_back_what_is_there_and_no_more() {
    let (mut books, pix) = paid(2000);
    books.send(&send("s"), payout(1500), NOW).expect("accepted");
    books.tick(later(500));
    let taken = books.bank_refund(&pix, None, Nature::MedOperational, later(600)).expect("taken");
    assert_eq!(taken.value, Centavos(500));
    assert_eq!((books.balance(), books.check()), (Centavos::ZERO, Ok(())));
}

#[test]
fn the_same_calls_at_the_same_times_give_the_same_books() {
    let story = || {
        let (mut books, pix) = paid(2000);
        books.refund(&pix, &refund("a"), Centavos(500), NOW).expect("accepted");
        books.send(&send("s"), payout(100), NOW).expect("accepted");
        books.tick(later(5000));
        format!("{books:?}")
    };
    assert_eq!(story(), story());
}

#[test]
fn a_callback_is_tried_eleven_times_on_the_published_schedule() {
    let mut deliveries = Deliveries::default();
    let id = deliveries.add("pix", NOW);
    let mut now = NOW;
    for minutes in RETRY_MINUTES {
        assert_eq!(deliveries.take_due(now).len(), 1);
        assert!(deliveries.take_due(now).is_empty(), "it is under way");
        deliveries.settle(id, false, now);
        let next = now + Millis::from_secs(minutes * 60);
        assert_eq!(deliveries.next_due(), Some(next));
        assert!(deliveries.take_due(UnixMillis(next.0 - 1)).is_empty());
        now = next;
    }
    assert_eq!(deliveries.take_due(now).len(), 1);
    deliveries.settle(id, false, now);
    assert_eq!((deliveries.waiting().count(), deliveries.given_up()), (0, 1));
    assert!(now.since(NOW).0 / DAY.0 == 38, "the last try is weeks later");
}

#[test]
fn a_callback_that_was_taken_is_not_sent_again() {
    let mut deliveries = Deliveries::default();
    let (first, second) = (deliveries.add(1, NOW), deliveries.add(2, later(5)));
    assert_eq!(deliveries.take_due(later(5)).iter().map(|d| d.what).collect::<Vec<_>>(), [1, 2]);
    deliveries.settle(first, true, later(6));
    deliveries.settle(second, true, later(6));
    deliveries.settle(first, false, later(7));
    assert_eq!((deliveries.waiting().count(), deliveries.delivered()), (0, 2));
}
