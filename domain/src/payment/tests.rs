//! Payments by table: what each Pix is good for, what is booked, what goes back.

use uuid::Uuid;

use super::*;
use crate::facts::Row;
use crate::ids::{DriverId, RideId};
use crate::ledger::{Books, Rate};
use crate::pix::EndToEndId;
use crate::refusal::Refusal;

const NOW: UnixMillis = UnixMillis(1_795_310_763_512);

fn policy() -> PaymentPolicy {
    PaymentPolicy { charges: true, ..PaymentPolicy::default() }
}

fn debt() -> Debt {
    let trip = Trip {
        ride: RideId(Uuid::from_u128(0x0193_6a4e_7c10_7abc_8def_0123_4567_89ab)),
        passenger: PassengerId(Uuid::from_u128(2)),
        driver: DriverId(Uuid::from_u128(3)),
    };
    let shares = Shares::of(Centavos(2000), Rate::percent(20)).expect("an amount");
    Debt { trip, due: Due::Fare, shares }
}

/// A payment with its books, and every event that happened to it.
struct Desk {
    payment: Payment,
    books: Books,
    events: Vec<PaymentEvent>,
}

impl Desk {
    fn owed() -> Self {
        let payment = Payment::owed(debt(), NOW, &policy());
        let mut books = Books::default();
        let owed = debt().trip.owed(Due::Fare, debt().shares, Centavos::ZERO, NOW);
        books.book(&owed.expect("balanced")).expect("booked");
        Self { payment, books, events: Vec::new() }
    }

    fn live() -> Self {
        let mut desk = Self::owed();
        desk.seen(true, Some("code"));
        desk
    }

    fn happen(&mut self, events: impl IntoIterator<Item = PaymentEvent>) {
        for event in events {
            self.payment.apply(&event, NOW);
            for booked in self.payment.booked(&event, NOW).expect("balanced") {
                self.books.book(&booked).expect("booked");
            }
            self.events.push(event);
        }
    }

    fn seen(&mut self, payable: bool, copy_paste: Option<&str>) {
        let number = self.payment.open_charge().expect("open").number;
        let copy_paste = copy_paste.map(str::to_owned);
        let seen = ChargeSeen { payable, copy_paste, paid_by: Vec::new() };
        self.happen(self.payment.charge_seen(number, &seen));
    }

    /// A Pix of `amount` comes in for charge `number`: what it was good for.
    fn comes(&mut self, pix: &str, number: u16, amount: i64) -> Option<Use> {
        let before = self.payment.receipts.len();
        let txid = Some(self.payment.txid(number));
        let pix = EndToEndId::parse(pix).expect("a number");
        let amount = Centavos(amount);
        let incoming = Incoming { pix, txid, amount, tariff: None, taken_back: vec![] };
        self.happen(self.payment.receive(&incoming));
        self.payment.receipts.get(before).map(|receipt| receipt.good_for)
    }

    /// What the account of this code holds, whoever of the people here has it.
    fn balance(&self, code: u16) -> i64 {
        let of = |owner| crate::ledger::Account::of(code, Uuid::from_u128(owner));
        let passengers = code == 1100 || code == 2020;
        let account = of(if passengers { 2 } else { 3 }).expect("an account");
        self.books.balance(account).0
    }
}

#[test]
fn an_exact_pix_settles_and_its_driver_has_earned_his_share() {
    let mut desk = Desk::live();
    assert_eq!(desk.comes("E1", 1, 2000), Some(Use::Settled));
    assert_eq!(desk.payment.status, PaymentStatus::Paid);
    assert!(desk.payment.open_charge().is_none(), "its charge has ended with it");
    assert_eq!((desk.balance(1100), desk.balance(2000), desk.balance(2005)), (0, 1600, 0));
    assert_eq!(desk.comes("E1", 1, 2000), None, "said twice, taken once");
    assert!(!desk.payment.is_busy());
    let hold = |row: &Row| matches!(row, Row::Hold(hold) if hold.amount == Centavos(1600));
    let rows = desk.events.iter().flat_map(|event| desk.payment.rows_of(event, NOW, &policy()));
    assert_eq!(rows.filter(hold).count(), 1);
}

#[test]
fn what_a_pix_is_good_for() {
    let expired = || {
        let mut desk = Desk::live();
        desk.seen(false, None);
        desk
    };
    let paid = || {
        let mut desk = Desk::live();
        desk.comes("E0", 1, 2000);
        desk
    };
    for (what, mut desk, amount, good_for, status) in [
        ("before the answer", Desk::owed(), 2000, Use::Settled, PaymentStatus::Paid),
        ("late and exact", expired(), 2000, Use::SettledLate, PaymentStatus::Paid),
        ("a second time", paid(), 2000, Use::Duplicate, PaymentStatus::Paid),
        ("a centavo short", Desk::live(), 1999, Use::WrongAmount, PaymentStatus::Expired),
        ("a centavo more", Desk::live(), 2001, Use::WrongAmount, PaymentStatus::Expired),
        ("late and short", expired(), 700, Use::WrongAmount, PaymentStatus::Expired),
    ] {
        assert_eq!(desk.comes("E1", 1, amount), Some(good_for), "{what}");
        assert_eq!(desk.payment.status, status, "{what}");
        let back = if good_for.settles() { 0 } else { amount };
        assert_eq!(desk.balance(1030), back, "{what}: what is good for nothing goes back");
        assert_eq!(desk.balance(2100), 0, "{what}: nothing stays in suspense");
        assert_eq!(desk.books.trial(), 0);
    }
}

#[test]
fn what_nobody_asked_for_goes_back() {
    let pix = EndToEndId::parse("E9").expect("a number");
    let mut desk = Desk::owed();
    desk.payment = Payment::stray(&pix, NOW);
    let amount = Centavos(500);
    let incoming = Incoming { pix, txid: None, amount, tariff: None, taken_back: vec![] };
    assert!(desk.payment.claims(&incoming));
    desk.happen(desk.payment.receive(&incoming));
    assert_eq!(desk.payment.status, PaymentStatus::Unmatched);
    let id = desk.payment.refunds[0].id.clone();
    desk.happen(desk.payment.refund_ended(&id, true));
    assert_eq!((desk.balance(1010), desk.balance(1000), desk.balance(1030)), (500, -500, 0));
    assert!(!desk.payment.is_busy());
    assert_eq!(desk.payment.refund_ended(&id, true), None, "it ends once");
}

#[test]
fn a_refund_that_moved_nothing_is_sent_again_under_a_new_id() {
    let mut desk = Desk::live();
    desk.comes("E1", 1, 700);
    let first = desk.payment.refunds[0].id.clone();
    desk.happen(desk.payment.refund_ended(&first, false));
    assert!(desk.payment.is_busy());
    desk.happen(desk.payment.refund_again());
    let second = desk.payment.refunds[1].id.clone();
    assert_ne!(first, second);
    assert_eq!(desk.payment.refund_again(), None, "while one is under way there is no other");
    desk.happen(desk.payment.refund_ended(&second, true));
    assert_eq!((desk.balance(2100), desk.balance(1030)), (0, 0));
}

#[test]
fn goodwill_is_the_platforms_and_never_more_than_was_paid() {
    let mut desk = Desk::live();
    assert_eq!(
        desk.payment.give_back(Centavos(1), BorneBy::Platform, NOW),
        Err(Refusal::IllegalTransition)
    );
    desk.comes("E1", 1, 2000);
    for bad in [0, -1, 2001, i64::MAX] {
        assert_eq!(
            desk.payment.give_back(Centavos(bad), BorneBy::Platform, NOW),
            Err(Refusal::RefundTooHigh)
        );
    }
    for amount in [1000, 1000] {
        let event = desk
            .payment
            .give_back(Centavos(amount), BorneBy::Platform, NOW)
            .expect("there is so much");
        desk.happen([event]);
    }
    assert_eq!(
        desk.payment.give_back(Centavos(1), BorneBy::Platform, NOW),
        Err(Refusal::RefundTooHigh),
        "not a third half"
    );
    assert_eq!(desk.payment.status, PaymentStatus::Refunded);
    assert_eq!((desk.balance(5010), desk.balance(1030), desk.balance(2000)), (2000, 2000, 1600));
    let failed = desk.payment.refunds[1].id.clone();
    desk.happen(desk.payment.refund_ended(&failed, false));
    assert_eq!((desk.balance(5010), desk.balance(1030)), (1000, 1000), "taken back exactly");
    assert_eq!(desk.payment.status, PaymentStatus::Paid);
    assert!(desk.payment.failed_refund().is_none(), "whether to try again, a person says");
}

#[test]
fn a_payment_has_one_open_charge_and_the_next_has_another_reference() {
    let mut desk = Desk::live();
    assert_eq!(desk.payment.order_charge(NOW, &policy()), None);
    desk.seen(false, None);
    assert_eq!(desk.payment.status, PaymentStatus::Expired);
    desk.happen(desk.payment.order_charge(NOW, &policy()));
    assert_eq!(desk.payment.open_charge().map(|charge| charge.number), Some(2));
    assert_eq!(desk.payment.copy_paste(), None, "not before the provider has it");
    let (first, second) = (desk.payment.txid(1), desk.payment.txid(2));
    assert_ne!(first, second);
    assert_eq!(Payment::of_txid(&second), Some(desk.payment.id));
    assert!(second.fits_charge());
    // The old code is paid while the new one is open: what is owed is settled all the same.
    assert_eq!(desk.comes("E1", 1, 2000), Some(Use::SettledLate));
    assert!(desk.payment.open_charge().is_some(), "the new one has to be taken back");
    assert_eq!(desk.payment.copy_paste(), None, "and is shown to nobody");
    assert_eq!(desk.payment.order_charge(NOW, &policy()), None);
}

#[test]
fn foreign_references_are_nobodys() {
    for foreign in ["RIDE0001", &"a".repeat(32), &"z".repeat(33), &format!("{}x", "a".repeat(32))] {
        assert_eq!(Payment::of_txid(&Txid::parse(foreign).expect("fits")), None, "{foreign}");
    }
}

#[test]
fn a_payment_is_what_is_stored_of_it_and_the_fold_of_its_events() {
    let mut desk = Desk::live();
    desk.comes("E1", 1, 700);
    desk.happen(desk.payment.order_charge(NOW, &policy()));
    let stored = serde_json::to_string(&desk.payment).expect("JSON");
    assert_eq!(serde_json::from_str::<Payment>(&stored).expect("reads"), desk.payment);
    let mut folded = Payment::owed(debt(), NOW, &policy());
    for event in &desk.events {
        let stored = serde_json::to_string(event).expect("JSON");
        folded.apply(&serde_json::from_str(&stored).expect("reads"), NOW);
    }
    assert_eq!(folded, desk.payment);
    assert_eq!(folded.version, u64::try_from(desk.events.len()).expect("few"));
}
