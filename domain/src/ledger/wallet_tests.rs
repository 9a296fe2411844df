//! Whatever a driver does, his wallet and the books agree and nothing falls below zero.

use std::collections::BTreeSet;

use uuid::Uuid;

use super::*;
use crate::ids::PassengerId;
use crate::ledger::{Books, Due, Receipt, Shares, Trip};
use crate::units::Millis;

const DRIVER: DriverId = DriverId(Uuid::from_u128(2));
/// How long earnings are held.
const HOLD: Millis = Millis(86_400_000);
const RULES: PayoutRules =
    PayoutRules { fee: Centavos(50), minimum: Centavos(500), day_max: Centavos(200_000) };

fn ride(number: u64) -> RideId {
    RideId(Uuid::from_u128(u128::from(number)))
}

fn fare(number: u64) -> Earning {
    Earning { ride: ride(number), due: Due::Fare }
}

fn payout(number: u64) -> PayoutId {
    PayoutId(Uuid::from_u128(u128::from(number)))
}

fn hold(amount: i64, release_at: i64) -> Hold {
    Hold::of(Centavos(amount), UnixMillis(release_at))
}

fn with(available: i64) -> Wallet {
    Wallet::restore(DRIVER, (Centavos(available), Centavos::ZERO), [], (0, Centavos::ZERO))
}

fn asks(wallet: &mut Wallet, number: u64, amount: i64) -> Result<PayoutTerms, PayoutRefusal> {
    let now = (1, UnixMillis(0));
    wallet.ask_payout(payout(number), Centavos(amount), now, &RULES).map(|(terms, _)| terms)
}

fn events_of(wallet: &mut Wallet, now: i64) -> Vec<&'static str> {
    let released = wallet.release(UnixMillis(now)).expect("fits");
    released.events.iter().map(FinancialEvent::kind).collect()
}

#[test]
fn a_hold_ends_at_its_moment_and_once() {
    let mut wallet = Wallet::new(DRIVER);
    wallet.earned(fare(1), hold(1600, 1000));
    wallet.earned(fare(1), hold(1600, 1000));
    assert_eq!(wallet.held(), Centavos(1600), "told twice, earned once");
    assert!(events_of(&mut wallet, 999).is_empty());
    assert_eq!(events_of(&mut wallet, 1000), ["hold_released"]);
    assert_eq!((wallet.held(), wallet.available()), (Centavos::ZERO, Centavos(1600)));
    assert!(events_of(&mut wallet, 5).is_empty(), "a clock that steps back");
    wallet.earned(fare(1), hold(1600, 1000));
    assert!(events_of(&mut wallet, 2000).is_empty(), "told once more when it has ended");
}

#[test]
fn a_tip_is_held_beside_its_ride_and_each_end_of_a_hold_has_its_own_key() {
    let mut wallet = Wallet::new(DRIVER);
    wallet.earned(fare(1), hold(1600, 1000));
    wallet.earned(Earning { ride: ride(1), due: Due::Tip }, hold(300, 1000));
    let released = wallet.release(UnixMillis(1000)).expect("fits");
    let keys: BTreeSet<_> = released.events.iter().map(|event| event.key().clone()).collect();
    assert_eq!((keys.len(), wallet.available()), (2, Centavos(1900)));
    let again = fare(1).key(Centavos(1600));
    assert!(!keys.contains(&*again), "what comes back to a hold that had ended is let go anew");
}

#[test]
fn a_balance_is_paid_out_once_however_many_ask_for_it() {
    let mut wallet = with(10_000);
    let paid = (0..30).filter(|n| asks(&mut wallet, *n, 10_000).is_ok()).count();
    assert_eq!((paid, wallet.available()), (1, Centavos::ZERO));
    assert_eq!(asks(&mut wallet, 31, 10_000), Err(PayoutRefusal::InsufficientBalance));
}

#[test]
fn payouts_below_the_minimum_above_the_day_or_not_there_are_refused() {
    let below = PayoutRefusal::BelowMinimum { minimum: RULES.minimum };
    for (available, amount, refusal) in [
        (10_000, 499, below),
        (10_000, 0, below),
        (10_000, -500, below),
        (10_000, i64::MIN, below),
        (10_000, 10_001, PayoutRefusal::InsufficientBalance),
        (i64::MAX, i64::MAX, PayoutRefusal::LimitExceeded { left: RULES.day_max }),
    ] {
        let mut wallet = with(available);
        assert_eq!(asks(&mut wallet, 1, amount), Err(refusal), "{amount} of {available}");
        assert_eq!(wallet, with(available), "a refusal changes nothing");
    }
    let dear = PayoutRules { fee: Centavos(600), ..RULES };
    let asked = with(600).ask_payout(payout(1), Centavos(600), (1, UnixMillis(0)), &dear);
    assert_eq!(asked.map(|_| ()), Err(below), "all of it would be the fee");
}

#[test]
fn the_limit_of_a_day_is_of_that_day() {
    let mut wallet = with(500_000);
    assert!(asks(&mut wallet, 1, 150_000).is_ok());
    let left = Centavos(50_000);
    assert_eq!(asks(&mut wallet, 2, 50_001), Err(PayoutRefusal::LimitExceeded { left }));
    assert!(asks(&mut wallet, 2, 50_000).is_ok());
    assert!(asks(&mut wallet, 4, 500).is_err(), "all of it was asked for");
    let yesterday = (0, UnixMillis(0));
    let back = wallet.ask_payout(payout(5), Centavos(500), yesterday, &RULES);
    assert!(back.is_err(), "a clock that goes back gives no day back");
    let tomorrow = wallet.ask_payout(payout(3), Centavos(200_000), (2, UnixMillis(0)), &RULES);
    assert!(tomorrow.is_ok());
}

#[test]
fn a_payout_that_failed_counts_for_no_day() {
    let mut wallet = with(500_000);
    let terms = asks(&mut wallet, 1, 200_000).expect("asked for");
    assert!(asks(&mut wallet, 2, 500).is_err());
    wallet.unpaid(&terms, 1);
    assert_eq!(wallet.available(), Centavos(500_000));
    assert!(asks(&mut wallet, 3, 200_000).is_ok());
}

#[test]
fn what_is_taken_comes_from_the_hold_then_the_balance_and_then_is_owed() {
    let mut wallet = with(500);
    wallet.earned(fare(1), hold(1000, 10));
    wallet.earned(fare(2), hold(2000, 10));
    let taken = wallet.take(ride(1), Centavos(1800));
    let all = Taken { held: Centavos(1000), available: Centavos(500), owed: Centavos(300) };
    assert_eq!(taken, all);
    assert_eq!(wallet.held(), Centavos(2000), "another ride's hold is not touched");
    assert_eq!(events_of(&mut wallet, 10), ["hold_released", "set_off"]);
    assert_eq!((wallet.available(), wallet.owed()), (Centavos(1700), Centavos::ZERO));
}

/// A driver's days, by seed: he earns, waits, is paid, fails to be paid, and gives money back.
#[test]
fn the_wallet_and_the_books_agree_whatever_happens() {
    let mut taken_from = 0;
    for seed in 1..=200_u64 {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut chance = move |below: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        let (mut wallet, mut books) = (Wallet::new(DRIVER), Books::default());
        let mut now = 0_i64;
        let mut paid = Vec::new();
        for step in 0..200 {
            let mut book = |event: &FinancialEvent| books.book(event).expect("booked");
            now += i64::try_from(chance(20_000_000)).expect("small");
            match chance(5) {
                0 | 1 => {
                    let (owed, receipt, hold) = earn(ride(step), chance(5000), now);
                    book(&owed);
                    book(&receipt);
                    wallet.earned(fare(step), hold);
                }
                2 => {
                    let released = wallet.release(UnixMillis(now)).expect("fits");
                    released.events.iter().for_each(&mut book);
                }
                3 => {
                    let amount = Centavos(i64::try_from(chance(9000)).expect("small"));
                    let when = (now / 86_400_000, UnixMillis(now));
                    if let Ok((terms, event)) =
                        wallet.ask_payout(payout(step), amount, when, &RULES)
                    {
                        book(&event);
                        paid.push(terms);
                    } else if let Some(terms) = paid.pop() {
                        book(&terms.failed(UnixMillis(now)).expect("fits"));
                        wallet.unpaid(&terms, now / 86_400_000);
                    }
                }
                _ => {
                    let amount = Centavos(1 + i64::try_from(chance(3000)).expect("small"));
                    let taken = wallet.take(ride(chance(step + 1)), amount);
                    taken_from += u32::from(taken.held.0 > 0 && taken.owed.0 > 0);
                    book(&give_back(step, amount, taken));
                }
            }
            let figures = (wallet.held(), wallet.available(), wallet.owed());
            let booked = (
                books.balance(Account::DriverHeld(DRIVER)),
                books.balance(Account::DriverAvailable(DRIVER)),
                books.balance(Account::DriverReceivable(DRIVER)),
            );
            assert_eq!(figures, booked, "seed {seed}, step {step}");
            assert_eq!(books.trial(), 0, "seed {seed}, step {step}");
        }
    }
    assert!(taken_from > 10, "every pocket was reached");
}

fn earn(ride: RideId, amount: u64, now: i64) -> (FinancialEvent, FinancialEvent, Hold) {
    let amount = Centavos(1 + i64::try_from(amount).expect("small"));
    let trip = Trip { ride, passenger: PassengerId(Uuid::from_u128(1)), driver: DRIVER };
    let shares = Shares { driver: amount, platform: Centavos(7) };
    let at = UnixMillis(now);
    let whole = shares.whole().expect("fits");
    let end_to_end = ride.to_string();
    let receipt = Receipt { end_to_end: &end_to_end, payment: None, amount: whole, at };
    (
        trip.owed(Due::Fare, shares, Centavos::ZERO, at).expect("fits"),
        receipt.settles(&trip, shares, Centavos::ZERO).expect("exact"),
        Hold::of(amount, at + HOLD),
    )
}

fn give_back(step: u64, amount: Centavos, taken: Taken) -> FinancialEvent {
    let id = step.to_string();
    let payment = crate::ids::PaymentId(Uuid::from_u128(9));
    let refund = crate::ledger::Refund { payment, end_to_end: "E", id: &id, amount };
    let by = crate::ledger::Bearer::Both {
        driver: DRIVER,
        taken,
        commission: Centavos::ZERO,
        due: Due::Fare,
    };
    refund.requested(by, UnixMillis(0)).expect("borne")
}
