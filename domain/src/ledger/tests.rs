//! The journals E1 to E22 of the chart, line by line, with its example amounts.

use uuid::Uuid;

use super::*;
use crate::credit::CreditUse;
use crate::ids::{DisputeId, DriverId, PassengerId, PaymentId, PayoutId, RideId};
use crate::money::Centavos;
use crate::units::UnixMillis;
use Account::*;

const AT: UnixMillis = UnixMillis(1_700_000_000_000);
const PASSENGER: PassengerId = PassengerId(Uuid::from_u128(1));
const DRIVER: DriverId = DriverId(Uuid::from_u128(2));
const TRIP: Trip = Trip { ride: RideId(Uuid::from_u128(3)), passenger: PASSENGER, driver: DRIVER };
const PAYMENT: PaymentId = PaymentId(Uuid::from_u128(4));
const DISPUTE: DisputeId = DisputeId(Uuid::from_u128(5));
const FARE: Shares = Shares { driver: Centavos(1600), platform: Centavos(400) };
const NOTHING: Centavos = Centavos::ZERO;

fn receipt(amount: i64) -> Receipt<'static> {
    Receipt { end_to_end: "E1", payment: Some(PAYMENT), amount: Centavos(amount), at: AT }
}

fn payout() -> PayoutTerms {
    let id = PayoutId(Uuid::from_u128(6));
    PayoutTerms { id, payee: Payee::Driver(DRIVER), amount: Centavos(1600), fee: Centavos(50) }
}

fn refund() -> Refund<'static> {
    Refund { payment: PAYMENT, end_to_end: "E1", id: "d1", amount: Centavos(2000) }
}

fn dispute() -> Dispute {
    Dispute { id: DISPUTE, driver: DRIVER, escrow: Centavos(1600) }
}

fn block() -> Block<'static> {
    Block { infraction: "i1", dispute: DISPUTE, amount: Centavos(2000) }
}

/// Debits positive, in the order in which they are posted.
fn expect(
    event: Result<FinancialEvent, LedgerError>,
    key: &str,
    lines: &[(Account, i64)],
) -> FinancialEvent {
    let event = event.expect("an event");
    let posted: Vec<_> =
        event.postings().iter().map(|posting| (posting.account, posting.amount.0)).collect();
    assert_eq!(posted, lines, "{key}");
    assert_eq!(&**event.key(), key.replace("{ride}", &TRIP.ride.0.simple().to_string()));
    event
}

#[test]
fn a_ride_that_ends_is_owed_and_its_payment_earns_the_driver_his_share() {
    expect(
        TRIP.owed(Due::Fare, FARE, NOTHING, AT),
        "ride:{ride}:fare",
        &[
            (PassengerReceivable(PASSENGER), 2000),
            (DriverUncollected(DRIVER), -1600),
            (Commission, -400),
        ],
    );
    expect(
        TRIP.owed(Due::Fare, FARE, Centavos(500), AT),
        "ride:{ride}:fare",
        &[
            (PassengerReceivable(PASSENGER), 1500),
            (Promotions, 500),
            (DriverUncollected(DRIVER), -1600),
            (Commission, -400),
        ],
    );
    expect(
        receipt(2000).settles(&TRIP, FARE, Centavos::ZERO),
        "pix:E1",
        &[
            (PspClearing, 2000),
            (PassengerReceivable(PASSENGER), -2000),
            (DriverUncollected(DRIVER), 1600),
            (DriverHeld(DRIVER), -1600),
        ],
    );
    expect(
        receipt(2000).stated(Centavos(24), AT),
        "pixconf:E1",
        &[(PspCash, 1976), (PspFees, 24), (PspClearing, -2000)],
    );
}

#[test]
fn a_promotion_pays_no_more_than_the_fare() {
    let event = TRIP.owed(Due::Fare, FARE, Centavos(9999), AT).expect("an event");
    let paid: Vec<_> = event.postings().iter().filter(|line| line.amount.0 > 0).collect();
    assert_eq!(paid, [&Posting { account: Promotions, amount: Centavos(2000) }]);
}

#[test]
fn money_that_came_before_the_ride_pays_for_it() {
    expect(
        receipt(2000).prepays(PASSENGER),
        "pix:E1",
        &[(PspClearing, 2000), (PassengerCredit(PASSENGER), -2000)],
    );
    let used = CreditUse {
        payment: PAYMENT,
        number: 1,
        passenger: PASSENGER,
        amount: Centavos(500),
        at: AT,
    };
    let paid = [(PassengerCredit(PASSENGER), 500), (PassengerReceivable(PASSENGER), -500)];
    expect(credit_used(&used), &format!("credit:{}:1", used.payment.0.simple()), &paid);
    let nothing = CreditUse { amount: Centavos::ZERO, ..used };
    assert_eq!(credit_used(&nothing), Err(LedgerError::Nothing));
    expect(
        receipt(1500).settles(&TRIP, FARE, Centavos(500)),
        "pix:E1",
        &[
            (PspClearing, 1500),
            (PassengerReceivable(PASSENGER), -1500),
            (DriverUncollected(DRIVER), 1600),
            (DriverHeld(DRIVER), -1600),
        ],
    );
}

#[test]
fn a_driver_has_earned_his_share_of_what_credit_has_paid() {
    let all = TRIP.paid_by_credit(Due::Fare, FARE, AT).expect("fits").expect("a share");
    expect(
        Ok(all),
        "ride:{ride}:fare:credit",
        &[(DriverUncollected(DRIVER), 1600), (DriverHeld(DRIVER), -1600)],
    );
    let ours = Shares { driver: Centavos::ZERO, platform: Centavos(5) };
    assert_eq!(TRIP.paid_by_credit(Due::Fare, ours, AT), Ok(None), "nobody has earned anything");
}

#[test]
fn money_that_nobody_can_place_waits_in_suspense() {
    expect(receipt(700).suspended(), "pix:E1", &[(PspClearing, 700), (Suspense, -700)]);
    expect(
        receipt(2000).resolved(Resolved::Ride(&TRIP, FARE, Centavos::ZERO), AT),
        "pix:E1:resolved",
        &[
            (Suspense, 2000),
            (PassengerReceivable(PASSENGER), -2000),
            (DriverUncollected(DRIVER), 1600),
            (DriverHeld(DRIVER), -1600),
        ],
    );
    expect(
        receipt(700).resolved(Resolved::Refund, AT),
        "pix:E1:resolved",
        &[(Suspense, 700), (RefundInTransit, -700)],
    );
    expect(
        receipt(700).resolved(Resolved::Credit(PASSENGER), AT),
        "pix:E1:resolved",
        &[(Suspense, 700), (PassengerCredit(PASSENGER), -700)],
    );
}

#[test]
fn a_payment_that_is_not_exactly_what_is_owed_settles_nothing() {
    for amount in [1, 1999, 2001] {
        let by = Centavos(amount - 2000);
        let exact = receipt(amount).settles(&TRIP, FARE, NOTHING);
        assert_eq!(exact, Err(LedgerError::Unbalanced { by }));
        let late = receipt(amount).resolved(Resolved::Ride(&TRIP, FARE, Centavos::ZERO), AT);
        assert_eq!(late, Err(LedgerError::Unbalanced { by }));
    }
}

#[test]
fn a_payout_leaves_fails_and_comes_back() {
    let req = "payout:00000000000000000000000000000006:req";
    let driver = DriverAvailable(DRIVER);
    expect(
        payout().requested(AT),
        req,
        &[(driver, 1600), (PayoutInTransit, -1550), (PayoutFees, -50)],
    );
    expect(
        payout().done(Centavos(3), AT),
        &req.replace("req", "ok"),
        &[(PayoutInTransit, 1550), (PspCash, -1550), (PspFees, 3), (PspCash, -3)],
    );
    expect(
        payout().failed(AT),
        &req.replace("req", "fail"),
        &[(PayoutInTransit, 1550), (PayoutFees, 50), (driver, -1600)],
    );
    expect(
        payout().returned("D7", Centavos(775), AT),
        "payret:D7",
        &[(PspCash, 775), (driver, -775)],
    );
    let sweep = PayoutTerms { payee: Payee::Owner, fee: NOTHING, ..payout() };
    expect(sweep.requested(AT), req, &[(Equity, 1600), (PayoutInTransit, -1600)]);
    let greedy = PayoutTerms { fee: Centavos(1601), ..payout() };
    assert!(greedy.requested(AT).is_err(), "a fee above the amount");
}

#[test]
fn a_canceled_ride_costs_a_fee_and_a_waiver_takes_it_back() {
    let fee = Shares { driver: Centavos(500), platform: Centavos(200) };
    let event = expect(
        TRIP.owed(Due::CancelFee, fee, NOTHING, AT),
        "ride:{ride}:cancel",
        &[
            (PassengerReceivable(PASSENGER), 700),
            (DriverUncollected(DRIVER), -500),
            (CancelFees, -200),
        ],
    );
    expect(
        event.reversal("cancel_fee_waived", AT).ok_or(LedgerError::Nothing),
        "ride:{ride}:cancel:reversed",
        &[
            (PassengerReceivable(PASSENGER), -700),
            (DriverUncollected(DRIVER), 500),
            (CancelFees, 200),
        ],
    );
}

#[test]
fn a_refund_is_borne_by_whoever_had_the_money() {
    let held = Taken { held: Centavos(1600), ..Taken::default() };
    let commission = Centavos(400);
    let by = |taken| Bearer::Both { driver: DRIVER, taken, commission, due: Due::Fare };
    let event = expect(
        refund().requested(by(held), AT),
        "dev:E1:d1:req",
        &[(DriverHeld(DRIVER), 1600), (Commission, 400), (RefundInTransit, -2000)],
    );
    expect(refund().done(AT), "dev:E1:d1:ok", &[(RefundInTransit, 2000), (PspCash, -2000)]);
    let undone = refund().failed(by(held), held, AT).expect("an event");
    assert_eq!(undone.amount(), event.amount());
    assert_eq!(undone.reverses(), Some(event.key()), "the exact reversal");
    expect(
        refund().requested(Bearer::Platform(Centavos(2000)), AT),
        "dev:E1:d1:req",
        &[(GoodwillRefunds, 2000), (RefundInTransit, -2000)],
    );
    let paid_out = Taken { owed: Centavos(1600), ..Taken::default() };
    expect(
        refund().requested(by(paid_out), AT),
        "dev:E1:d1:req",
        &[(DriverReceivable(DRIVER), 1600), (Commission, 400), (RefundInTransit, -2000)],
    );
    let off = Taken { available: Centavos(1000), owed: Centavos(600), ..Taken::default() };
    expect(
        refund().failed(by(paid_out), off, AT),
        "dev:E1:d1:req:reversed",
        &[
            (RefundInTransit, 2000),
            (DriverAvailable(DRIVER), -1000),
            (DriverReceivable(DRIVER), -600),
            (Commission, -400),
        ],
    );
    let less = Taken { owed: Centavos(600), ..Taken::default() };
    assert!(refund().failed(by(paid_out), less, AT).is_err(), "all of it is his again");
}

#[test]
fn a_dispute_freezes_the_share_until_it_is_ruled() {
    let taken = Taken { held: Centavos(1000), available: Centavos(600), owed: Centavos(9) };
    let opened = dispute().opened(taken, AT).expect("an event");
    assert_eq!(opened.amount(), Centavos(1600), "what he owes is not in escrow");
    let key = "dispute:00000000000000000000000000000005:ruled";
    expect(
        dispute().for_driver(AT),
        key,
        &[(DisputeEscrow(DISPUTE), 1600), (DriverAvailable(DRIVER), -1600)],
    );
    expect(
        dispute().for_passenger(Centavos(2000), borne(NOTHING, NOTHING), AT),
        key,
        &[(DisputeEscrow(DISPUTE), 1600), (Commission, 400), (RefundInTransit, -2000)],
    );
    let poor = Dispute { escrow: Centavos(100), ..dispute() };
    expect(
        poor.for_passenger(Centavos(2000), borne(Centavos(1500), NOTHING), AT),
        key,
        &[
            (DisputeEscrow(DISPUTE), 100),
            (DriverReceivable(DRIVER), 1500),
            (Commission, 400),
            (RefundInTransit, -2000),
        ],
    );
    let nothing = Dispute { escrow: NOTHING, ..dispute() };
    assert_eq!(nothing.for_driver(AT), Err(LedgerError::Nothing), "nothing lay there");
}

/// All of the commission; `owed` of his share was not there, `lost` nobody's.
fn borne(owed: Centavos, lost: Centavos) -> Borne {
    let short = Taken { owed, ..Taken::default() };
    Borne { short, rest: NOTHING, commission: Centavos(400), due: Due::Fare, lost }
}

#[test]
fn what_the_bank_takes_by_itself_is_borne_by_the_escrow_and_the_rest_is_owed() {
    expect(block().blocked(AT), "med:i1:block", &[(PspBlocked, 2000), (PspCash, -2000)]);
    expect(block().rejected(AT), "med:i1:free", &[(PspCash, 2000), (PspBlocked, -2000)]);
    let taken = TakenByBank {
        end_to_end: "E1",
        id: "m1",
        dispute: DISPUTE,
        amount: Centavos(2000),
        blocked: Centavos(2000),
    };
    let key = "dev:E1:m1:ok";
    expect(
        taken.gone(dispute(), borne(NOTHING, NOTHING), AT),
        key,
        &[(DisputeEscrow(DISPUTE), 1600), (Commission, 400), (PspBlocked, -2000)],
    );
    let poor = Dispute { escrow: Centavos(100), ..dispute() };
    expect(
        taken.gone(poor, borne(Centavos(1500), NOTHING), AT),
        key,
        &[
            (DisputeEscrow(DISPUTE), 100),
            (DriverReceivable(DRIVER), 1500),
            (Commission, 400),
            (PspBlocked, -2000),
        ],
    );
    let unannounced = TakenByBank { blocked: NOTHING, ..taken };
    expect(unannounced.lost(AT), key, &[(BadDebt, 2000), (PspCash, -2000)]);
    let less = TakenByBank { amount: Centavos(1900), ..taken };
    let rest = Borne { rest: Centavos(100), ..borne(NOTHING, NOTHING) };
    expect(
        less.gone(dispute(), rest, AT),
        key,
        &[
            (DisputeEscrow(DISPUTE), 1600),
            (DriverAvailable(DRIVER), -100),
            (Commission, 400),
            (PspBlocked, -2000),
            (PspCash, 100),
        ],
    );
}

#[test]
fn what_is_never_paid_was_never_earned() {
    let fee = Shares { driver: Centavos(500), platform: Centavos(200) };
    expect(
        TRIP.written_off(Due::CancelFee, fee, false, AT),
        "ride:{ride}:cancel:written_off",
        &[
            (DriverUncollected(DRIVER), 500),
            (CancelFees, 200),
            (PassengerReceivable(PASSENGER), -700),
        ],
    );
    let kept = TRIP.written_off(Due::CancelFee, fee, true, AT).expect("an event");
    assert_eq!(kept.postings()[0].account, BadDebt, "the platform bears the driver's share");
}

#[test]
fn cash_tips_goodwill_and_funds() {
    let cash = TRIP.cash(FARE, AT).map(|event| event.expect("a commission"));
    expect(cash, "ride:{ride}:cash", &[(DriverReceivable(DRIVER), 400), (Commission, -400)]);
    let free = Shares { driver: Centavos(2000), platform: NOTHING };
    assert_eq!(TRIP.cash(free, AT), Ok(None), "nothing is owed, nothing is booked");
    expect(
        TRIP.tipped(1, Centavos(300), AT),
        "ride:{ride}:tip",
        &[(PassengerReceivable(PASSENGER), 300), (DriverUncollected(DRIVER), -300)],
    );
    let again = TRIP.tipped(2, Centavos(300), AT).expect("an event");
    assert!(again.key().ends_with(":tip:2"), "after the first has lapsed");
    expect(
        goodwill("g1", PASSENGER, Centavos(300), AT),
        "goodwill:g1",
        &[(Promotions, 300), (PassengerCredit(PASSENGER), -300)],
    );
    expect(funded("f1", Centavos(10_000), AT), "fund:f1", &[(PspCash, 10_000), (Equity, -10_000)]);
}

#[test]
fn books_take_an_event_once_and_never_below_a_floor() {
    let mut books = Books::default();
    let owed = TRIP.owed(Due::Fare, FARE, NOTHING, AT).expect("an event");
    let paid = receipt(2000).settles(&TRIP, FARE, Centavos::ZERO).expect("an event");
    let account = PassengerReceivable(PASSENGER);
    assert_eq!(books.book(&paid), Err(BookError::BelowFloor { account }), "nothing is owed yet");
    assert_eq!(books, Books::default(), "a refused event leaves nothing behind");
    assert_eq!(books.book(&owed), Ok(()));
    assert_eq!(books.balance(account), Centavos(2000));
    assert_eq!(books.book(&paid), Ok(()));
    assert_eq!(books.balance(DriverHeld(DRIVER)), Centavos(1600));
    assert_eq!(books.book(&paid), Err(BookError::Repeated { key: "pix:E1".into() }));
    assert_eq!((books.trial(), books.uncovered()), (0, -400), "client money and our commission");
}
