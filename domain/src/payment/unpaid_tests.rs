//! What is given on top, and what ends without being paid: by table, with its books.

use uuid::Uuid;

use super::*;
use crate::ids::{DriverId, RideId};
use crate::ledger::{Account, Books, Rate};
use crate::refusal::Refusal;

const NOW: UnixMillis = UnixMillis(1_795_310_763_512);
const DAY: Millis = Millis::from_secs(24 * 3600);

fn policy() -> PaymentPolicy {
    PaymentPolicy { charges: true, ..PaymentPolicy::default() }
}

fn trip() -> Trip {
    Trip {
        ride: RideId(Uuid::from_u128(0x0193_6a4e_7c10_7abc_8def_0123_4567_89ab)),
        passenger: PassengerId(Uuid::from_u128(2)),
        driver: DriverId(Uuid::from_u128(3)),
    }
}

/// A payment with its books.
struct Desk {
    payment: Payment,
    books: Books,
}

impl Desk {
    fn of(due: Due, amount: i64) -> Self {
        let shares = Shares::of(Centavos(amount), Rate::percent(20)).expect("an amount");
        let payment = Payment::owed(Debt { trip: trip(), due, shares }, NOW, &policy());
        let mut books = Books::default();
        let owed = trip().owed(due, shares, Centavos::ZERO, NOW).expect("balanced");
        books.book(&owed).expect("booked");
        Self { payment, books }
    }

    fn tip() -> Self {
        Self { payment: Payment::tip(trip(), NOW), books: Books::default() }
    }

    fn happen(&mut self, events: impl IntoIterator<Item = PaymentEvent>) {
        for event in events {
            self.payment.apply(&event, NOW);
            for booked in self.payment.booked(&event, NOW).expect("balanced") {
                self.books.book(&booked).expect("booked");
            }
        }
    }

    fn give(&mut self, amount: i64) -> Result<(), Refusal> {
        let given = self.payment.give_tip(Centavos(amount), NOW, &policy())?;
        self.happen(given);
        Ok(())
    }

    fn ends(&mut self) {
        let number = self.payment.open_charge().expect("open").number;
        self.happen([PaymentEvent::ChargeEnded { number }]);
        self.happen(self.payment.lapse());
    }

    /// A Pix of `amount` comes in for charge `number`.
    fn comes(&mut self, pix: &str, number: u16, amount: i64) -> Use {
        let txid = Some(self.payment.txid(number));
        let pix = EndToEndId::parse(pix).expect("a number");
        let incoming =
            Incoming { pix, txid, amount: Centavos(amount), tariff: None, taken_back: vec![] };
        self.happen(self.payment.receive(&incoming));
        self.payment.receipts.last().expect("taken in").good_for
    }

    /// Owed by the passenger, promised to the driver, held for him, the platform's.
    fn figures(&self) -> [i64; 4] {
        assert_eq!(self.books.trial(), 0);
        let Trip { passenger, driver, .. } = trip();
        let of = |account| self.books.balance(account).0;
        let ours = of(Account::Commission) + of(Account::CancelFees);
        let owed = of(Account::PassengerReceivable(passenger));
        [owed, of(Account::DriverUncollected(driver)), of(Account::DriverHeld(driver)), ours]
    }
}

#[test]
fn a_tip_is_all_the_drivers_and_given_once() {
    let mut desk = Desk::tip();
    for bad in [i64::MIN, -100, 0, 99, 20_001, i64::MAX] {
        assert_eq!(desk.give(bad), Err(Refusal::AmountOutOfRange), "{bad}");
    }
    assert_eq!(desk.give(300), Ok(()));
    assert_eq!(desk.figures(), [300, 300, 0, 0]);
    assert_eq!(desk.give(300), Ok(()), "said twice");
    assert_eq!(desk.payment.charges.len(), 1, "given once");
    assert_eq!(desk.give(400), Err(Refusal::IllegalTransition), "one at a time");
    assert_eq!(desk.comes("E1", 1, 300), Use::Settled);
    assert_eq!(desk.figures(), [0, 0, 300, 0]);
    assert_eq!(desk.give(300), Err(Refusal::IllegalTransition), "no second one");
    let nobody = PaymentPolicy { charges: false, ..policy() };
    let alone = Payment::tip(trip(), NOW).give_tip(Centavos(300), NOW, &nobody);
    assert_eq!(alone, Err(Refusal::Unavailable), "nobody could pay it");
}

#[test]
fn a_tip_that_is_not_paid_lapses_and_another_may_be_given() {
    let mut desk = Desk::tip();
    desk.give(300).expect("a tip");
    desk.ends();
    assert_eq!((desk.payment.status, desk.figures()), (PaymentStatus::Lapsed, [0, 0, 0, 0]));
    assert!(!desk.payment.is_busy());
    assert_eq!(desk.comes("E1", 1, 300), Use::Stray, "nobody asks for it any more");
    assert_eq!(desk.payment.refunds[0].amount, Centavos(300), "it goes back");
    desk.give(500).expect("another amount");
    assert_eq!(desk.figures(), [500, 500, 0, 0]);
    assert_eq!(desk.comes("E2", 2, 500), Use::Settled);
    assert_eq!(desk.figures(), [0, 0, 500, 0]);
    assert_eq!(desk.payment.write_off(NOW + DAY + DAY, &policy()), None);
}

#[test]
fn a_fee_that_is_waived_was_never_owed_and_what_comes_for_it_goes_back() {
    let mut desk = Desk::of(Due::CancelFee, 700);
    let waived = desk.payment.waive(NOW).expect("owed");
    desk.happen([waived]);
    assert_eq!((desk.payment.status, desk.figures()), (PaymentStatus::Waived, [0, 0, 0, 0]));
    assert!(!desk.payment.status.is_payable());
    assert_eq!(desk.payment.waive(NOW), Err(Refusal::IllegalTransition), "once");
    assert_eq!(desk.payment.order_charge(NOW, &policy()), None);
    assert_eq!(desk.comes("E1", 1, 700), Use::Stray);
    assert_eq!(desk.figures(), [0, 0, 0, 0]);
    assert_eq!(desk.books.balance(Account::RefundInTransit), Centavos(700));
}

#[test]
fn a_fee_that_was_paid_goes_back_when_it_is_waived_and_a_fare_is_not_waived() {
    let mut desk = Desk::of(Due::CancelFee, 700);
    desk.comes("E1", 1, 700);
    let before = desk.payment.give_back(Centavos(200), BorneBy::Platform, NOW).expect("paid");
    desk.happen([before]);
    let waived = desk.payment.waive(NOW).expect("paid");
    desk.happen([waived]);
    assert_eq!(desk.payment.status, PaymentStatus::Refunded);
    assert_eq!(desk.books.balance(Account::GoodwillRefunds), Centavos(700), "all of it, once");
    assert_eq!(desk.payment.waive(NOW), Err(Refusal::IllegalTransition), "nothing is left");
    assert_eq!(Desk::of(Due::Fare, 2000).payment.waive(NOW), Err(Refusal::IllegalTransition));
}

#[test]
fn what_is_old_is_written_off_and_can_be_paid_all_the_same() {
    let after = policy().write_off_after;
    let mut desk = Desk::of(Due::Fare, 2000);
    let early = UnixMillis((NOW + after).0 - 1);
    assert_eq!(desk.payment.write_off(early, &policy()), None, "a moment before");
    desk.ends();
    desk.happen(desk.payment.write_off(NOW + after, &policy()));
    assert_eq!((desk.payment.status, desk.figures()), (PaymentStatus::WrittenOff, [0, 0, 0, 0]));
    assert_eq!(desk.payment.write_off(NOW + after, &policy()), None, "once");
    assert!(desk.payment.status.is_payable());
    desk.happen(desk.payment.order_charge(NOW, &policy()));
    assert_eq!(desk.comes("E1", 2, 2000), Use::Settled);
    assert_eq!((desk.payment.status, desk.figures()), (PaymentStatus::Paid, [0, 0, 1600, 400]));
    assert_eq!(desk.comes("E2", 2, 2000), Use::Duplicate);
    assert_eq!(desk.figures(), [0, 0, 1600, 400]);
}

#[test]
fn what_was_written_off_can_be_paid_late_by_its_old_code_and_can_be_waived() {
    let after = policy().write_off_after;
    let mut desk = Desk::of(Due::CancelFee, 700);
    desk.ends();
    desk.happen(desk.payment.write_off(NOW + after, &policy()));
    let mut waived = desk.payment.clone();
    let waiver = waived.waive(NOW).expect("it is owed all the same");
    assert_eq!(waived.booked(&waiver, NOW), Ok(vec![]), "the books hold nothing of it");
    waived.apply(&waiver, NOW);
    assert!(!waived.status.is_payable());
    assert_eq!(desk.comes("E1", 1, 700), Use::SettledLate);
    assert_eq!(desk.figures(), [0, 0, 560, 140]);
}

#[test]
fn a_payment_of_before_tips_reads_and_what_is_stored_reads_again() {
    let mut desk = Desk::tip();
    desk.give(300).expect("a tip");
    desk.ends();
    let stored = serde_json::to_string(&desk.payment).expect("JSON");
    assert_eq!(serde_json::from_str::<Payment>(&stored).expect("reads"), desk.payment);
    let plain = serde_json::to_value(&Desk::of(Due::Fare, 2000).payment).expect("JSON");
    assert!(plain.get("relief").is_none() && plain.get("tips").is_none());
    assert!(serde_json::from_value::<Payment>(plain).is_ok());
}

#[test]
fn what_the_provider_takes_of_a_pix_is_booked_once_and_never_more_than_it_is() {
    let mut desk = Desk::of(Due::Fare, 2000);
    desk.comes("E1", 1, 2000);
    let pix = EndToEndId::parse("E1").expect("a number");
    let told = |tariff| Incoming {
        pix: pix.clone(),
        txid: None,
        amount: Centavos(2000),
        tariff: Option::map(tariff, Centavos),
        taken_back: vec![],
    };
    let late = NOW + STATED_AFTER;
    let early = UnixMillis(late.0 - 1);
    assert_eq!(desk.payment.state(&told(None), early), None, "it may still be told");
    let none = PaymentEvent::PixStated { pix: pix.clone(), tariff: Centavos::ZERO };
    assert_eq!(desk.payment.state(&told(None), late), Some(none));
    let all = PaymentEvent::PixStated { pix: pix.clone(), tariff: Centavos(2000) };
    assert_eq!(desk.payment.state(&told(Some(i64::MAX)), NOW), Some(all));
    desk.happen(desk.payment.state(&told(Some(24)), NOW));
    let of = |account| desk.books.balance(account).0;
    assert_eq!((of(Account::PspCash), of(Account::PspFees)), (1976, 24));
    assert_eq!(of(Account::PspClearing), 0);
    assert_eq!(desk.payment.state(&told(Some(24)), late), None, "once");
}
