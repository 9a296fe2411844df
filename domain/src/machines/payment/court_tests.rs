//! What is wanted of a driver's share, whatever is lost on the way: E10 to E14, each booked once.

use uuid::Uuid;

use super::court::{ADMIN, Court, DAY, DRIVER, Lost, PASSENGER, START, ask, pix};
use super::*;
use crate::dispute::{Opening, Reason, Winner};
use crate::ids::UserId;
use crate::machines::WalletInput;
use crate::payment::{BankEnd, BankSays, BorneBy, PaymentStatus, TakenBack};
use crate::person::Role;

fn refund(amount: i64, borne_by: BorneBy) -> PaymentInput<u8> {
    let (amount, reason) = (Centavos(amount), "because".to_owned());
    PaymentInput::GiveBack { ask: ask(ADMIN), amount, borne_by, reason }
}

fn contest(by: UserId, role: Role) -> PaymentInput<u8> {
    let id = DisputeId(Uuid::from_u128(77));
    let opening = Opening { id, by, role, reason: Reason::WrongFare, note: None };
    PaymentInput::Contest { ask: ask(by), opening }
}

fn ruling(winner: Winner) -> WalletInput<u8> {
    let dispute = DisputeId(Uuid::from_u128(77));
    WalletInput::Rule { ask: ask(ADMIN), dispute, winner, reason: "seen".to_owned() }
}

fn bank(end: Option<BankEnd>) -> PaymentInput<u8> {
    let name = "i1".to_owned();
    let over_at = Some(START + Millis::from_secs(14 * 86_400));
    PaymentInput::Bank(BankSays { name, pix: pix(), amount: Centavos(2000), end, over_at })
}

fn balances(court: &Court, codes: &[u16]) -> Vec<i64> {
    codes.iter().map(|code| court.balance(*code)).collect()
}

/// Runs a story whole, and then once for each step of it with that step lost, in both ways; each
/// time it must come to the same end. What was asked for is asked for again.
fn however(story: impl Fn(&mut Court), begin: impl Fn() -> Court, end: impl Fn(&Court)) {
    let mut whole = begin();
    story(&mut whole);
    end(&whole);
    let before = begin().steps;
    assert!(whole.steps > before, "something was decided");
    for step in before..whole.steps {
        for lost in [Lost::Commit, Lost::Words] {
            let mut court = begin();
            court.crash = Some((step, lost));
            story(&mut court);
            end(&court);
        }
    }
}

#[test]
fn e10_a_refund_at_the_drivers_cost_takes_the_shares_before_it_leaves() {
    however(
        |court| {
            while court.payment().refunds.is_empty() {
                court.say(refund(2000, BorneBy::Driver));
            }
            court.later(0);
        },
        Court::paid,
        |court| {
            let codes = [2000, 2010, 1110, 4000, 1030, 5010];
            assert_eq!(balances(court, &codes), [0, 0, 0, 0, 0, 0]);
            assert_eq!(court.refunds_sent.len(), 1, "one id, one refund");
            assert_eq!(court.payment().status, PaymentStatus::Refunded);
            assert!(!court.payment().is_busy(), "both know how it ended");
        },
    );
}

#[test]
fn e10c_a_refund_that_the_provider_cannot_pay_is_reversed_exactly() {
    however(
        |court| {
            court.pays = false;
            while court.payment().refunds.is_empty() {
                court.say(refund(1000, BorneBy::Driver));
            }
            court.later(0);
        },
        Court::paid,
        |court| {
            assert_eq!(balances(court, &[2000, 4000, 1030]), [1600, 400, 0]);
            assert_eq!(court.payment().status, PaymentStatus::Paid);
            assert!(!court.payment().is_busy());
        },
    );
}

#[test]
fn e12_case_22_what_was_paid_out_he_owes_and_pays_off_when_it_comes_back() {
    let mut court = Court::paid_out(600);
    court.say(refund(2000, BorneBy::Driver));
    assert_eq!(balances(&court, &[2010, 1110, 4000, 1030]), [0, 1000, 0, 0]);
    let mut failed = Court::paid_out(600);
    failed.pays = false;
    failed.say(refund(2000, BorneBy::Driver));
    assert_eq!(balances(&failed, &[2010, 1110, 4000, 1030]), [600, 0, 400, 0], "as it was");
}

#[test]
fn case_19_two_halves_are_the_shares_to_the_centavo_and_a_third_is_too_much() {
    let mut court = Court::paid();
    for amount in [999, 1001] {
        court.say(refund(amount, BorneBy::Driver));
    }
    court.say(refund(1, BorneBy::Driver));
    let answers: Vec<_> = court.answers.iter().map(|answer| answer.as_ref().err()).collect();
    assert_eq!(answers, [None, None, Some(&Refusal::RefundTooHigh)]);
    assert_eq!(balances(&court, &[2000, 4000, 1030]), [0, 0, 0]);
}

#[test]
fn case_23_what_was_given_back_whole_is_not_given_back_again() {
    let mut court = Court::paid();
    court.say(refund(2000, BorneBy::Platform));
    court.say(refund(1, BorneBy::Driver));
    assert_eq!(court.answers[1], Err(Refusal::RefundTooHigh));
    court.say(contest(PASSENGER, Role::Passenger));
    assert_eq!(court.answers[2], Err(Refusal::IllegalTransition), "nothing is left to contest");
    assert_eq!(balances(&court, &[2000, 4000, 5010]), [1600, 400, 2000]);
}

#[test]
fn case_24_ninety_days_and_not_a_second_more() {
    for (late, refusal) in [(-1000, None), (1000, Some(Refusal::RefundTooLate))] {
        let mut court = Court::paid();
        court.now = UnixMillis(court.now.0 + 90 * DAY + late);
        court.say(refund(2000, BorneBy::Driver));
        assert_eq!(court.answers[0].as_ref().err(), refusal.as_ref());
    }
}

#[test]
fn e13_case_26_a_dispute_during_the_hold_freezes_it_until_it_is_ruled() {
    for (winner, end) in [(Winner::Driver, [0, 0, 1600, 400]), (Winner::Passenger, [0, 0, 0, 0])] {
        however(
            |court| {
                while court.payment().contested.is_none() {
                    court.say(contest(PASSENGER, Role::Passenger));
                }
                court.later(0);
                assert_eq!(balances(court, &[2000, 2110, 2010]), [0, 1600, 0], "frozen");
                court.later(2 * DAY);
                assert_eq!(court.balance(2110), 1600, "no hold ends meanwhile");
                while court.dispute().status.is_open() {
                    court.tell_wallet(ruling(winner));
                }
                court.later(3600 * 1000);
            },
            Court::paid,
            |court| {
                assert_eq!(balances(court, &[2110, 2000, 2010, 4000]), end, "{winner:?}");
                let sent = if winner == Winner::Passenger { 1 } else { 0 };
                assert_eq!((court.refunds_sent.len(), court.balance(1030)), (sent, 0));
                assert!(!court.payment().is_busy());
            },
        );
    }
}

#[test]
fn e13_case_26_at_the_very_instant_of_release_the_share_is_frozen_once() {
    let mut court = Court::paid();
    court.now = UnixMillis(court.now.0 + DAY);
    court.say(contest(PASSENGER, Role::Passenger));
    assert_eq!(balances(&court, &[2000, 2110, 2010]), [0, 1600, 0]);
    court.tell_wallet(ruling(Winner::Driver));
    assert_eq!(balances(&court, &[2000, 2110, 2010]), [0, 0, 1600]);
}

#[test]
fn e13_case_26_after_a_payout_he_owes_only_by_a_ruling_against_him() {
    let mut court = Court::paid_out(600);
    court.say(contest(PASSENGER, Role::Passenger));
    assert_eq!(balances(&court, &[2110, 2010, 1110]), [600, 0, 0], "what is there");
    court.tell_wallet(ruling(Winner::Passenger));
    assert_eq!(balances(&court, &[2110, 2010, 1110, 4000, 1030]), [0, 0, 1000, 0, 0]);
    assert_eq!(court.refunds_sent.iter().map(|(_, amount)| amount.0).sum::<i64>(), 2000);
}

#[test]
fn a_refund_that_a_ruling_owes_is_sent_until_it_is_paid() {
    let mut court = Court::paid();
    court.say(contest(PASSENGER, Role::Passenger));
    court.pays = false;
    court.tell_wallet(ruling(Winner::Passenger));
    assert_eq!(court.balance(1030), 2000, "owed to the passenger all the same");
    court.pays = true;
    for _ in 0..4 {
        court.later(3600 * 1000);
    }
    assert_eq!((court.balance(1030), court.payment().failed_refund()), (0, None));
    assert_eq!(court.payment().status, PaymentStatus::Refunded);
}

#[test]
fn what_is_contested_cannot_be_refunded_meanwhile_nor_contested_by_another() {
    let mut court = Court::paid();
    court.say(contest(PASSENGER, Role::Passenger));
    court.say(refund(1, BorneBy::Driver));
    court.say(contest(DRIVER.into(), Role::Driver));
    court.say(contest(ADMIN, Role::Passenger));
    court.say(contest(PASSENGER, Role::Passenger));
    let errors: Vec<_> = court.answers.iter().map(|answer| answer.clone().err()).collect();
    let refused = [
        None,
        Some(Refusal::RefundTooHigh),
        Some(Refusal::IllegalTransition),
        Some(Refusal::NotFound),
        None,
    ];
    assert_eq!(errors, refused);
    assert_eq!(court.balance(2110), 1600);
}

#[test]
fn a_driver_is_heard_and_nothing_is_frozen_or_given_back() {
    for winner in [Winner::Driver, Winner::Passenger] {
        let mut court = Court::paid();
        court.say(contest(DRIVER.into(), Role::Driver));
        assert_eq!(court.answers.len(), 1);
        assert_eq!(balances(&court, &[2000, 2110]), [1600, 0]);
        court.tell_wallet(ruling(winner));
        assert_eq!((court.refunds_sent.len(), court.balance(4000)), (0, 400));
        assert!(!court.payment().is_busy());
    }
}

#[test]
fn deadlines_bring_a_dispute_under_review_and_end_it_where_nobody_rules() {
    let mut court = Court::paid();
    court.say(contest(PASSENGER, Role::Passenger));
    court.later(3 * DAY);
    assert_eq!(court.dispute().status, Status::UnderReview, "nobody has answered");
    court.later(11 * DAY);
    court.later(3600 * 1000);
    assert_eq!(court.dispute().status, Status::ForDriver);
    assert_eq!(balances(&court, &[2110, 2010]), [0, 1600]);
    assert_eq!(court.payment().refunds[0].stage, RefundStage::Dropped);
}

#[test]
fn the_other_sides_answer_brings_it_under_review_and_strangers_are_not_heard() {
    let mut court = Court::paid();
    court.say(contest(PASSENGER, Role::Passenger));
    let dispute = DisputeId(Uuid::from_u128(77));
    let says = |by: UserId, role| {
        let text = "look".to_owned();
        WalletInput::Evidence { ask: ask(by), dispute, role, text }
    };
    court.tell_wallet(says(PASSENGER, Role::Passenger));
    assert_eq!((court.dispute().status, court.dispute().evidence), (Status::Open, 1));
    court.tell_wallet(says(ADMIN, Role::Driver));
    assert_eq!(court.answers.pop(), Some(Err(Refusal::NotFound)));
    court.tell_wallet(says(DRIVER.into(), Role::Driver));
    assert_eq!((court.dispute().status, court.dispute().evidence), (Status::UnderReview, 2));
    court.tell_wallet(ruling(Winner::Driver));
    court.tell_wallet(says(DRIVER.into(), Role::Driver));
    assert_eq!(court.answers.pop(), Some(Err(Refusal::IllegalTransition)), "it is over");
    court.tell_wallet(ruling(Winner::Passenger));
    assert_eq!(court.answers.pop(), Some(Err(Refusal::IllegalTransition)), "ruled once");
}

#[test]
fn e14_a_claim_blocks_and_freezes_and_refused_it_leaves_nothing_behind() {
    however(
        |court| {
            while court.payment().bank_claims.is_empty() {
                court.say(bank(None));
            }
            court.later(0);
            assert_eq!(balances(court, &[1040, 2110, 2000]), [2000, 1600, 0]);
            for _ in 0..2 {
                court.say(bank(Some(BankEnd::Rejected)));
            }
        },
        Court::paid,
        |court| {
            assert_eq!(balances(court, &[1040, 2110, 2000, 4000]), [0, 0, 1600, 400]);
            assert!(!court.payment().is_busy());
        },
    );
}

fn taken(amount: i64) -> TakenBack {
    TakenBack { id: RefundId::parse("m1").expect("an id"), amount: Centavos(amount) }
}

#[test]
fn e14_a_claim_that_is_granted_takes_what_was_frozen_and_the_commission() {
    however(
        |court| {
            while court.payment().bank_claims.is_empty() {
                court.say(bank(None));
            }
            court.later(0);
            court.taken_back = vec![taken(2000)];
            for _ in 0..2 {
                court.say(bank(Some(BankEnd::Granted)));
            }
        },
        Court::paid,
        |court| {
            let codes = [1040, 2110, 2000, 4000, 1110, 5030];
            assert_eq!(balances(court, &codes), [0, 0, 0, 0, 0, 0]);
            assert_eq!(court.balance(1000) + court.balance(1010), 0, "all of it is gone");
            assert_eq!(court.payment().status, PaymentStatus::Refunded);
            assert!(!court.payment().is_busy());
        },
    );
}

#[test]
fn case_25_a_debit_that_nobody_asked_for_or_told_of_is_booked_once() {
    however(
        |court| {
            court.taken_back = vec![taken(2000)];
            for _ in 0..2 {
                let refund = Some(RefundId::parse("m1").expect("an id"));
                court.say(PaymentInput::Hint { pix: pix(), refund });
            }
        },
        Court::paid,
        |court| {
            assert_eq!(balances(court, &[1040, 2110, 2000, 4000]), [0, 0, 0, 0]);
            assert_eq!(court.payment().bank_claims.len(), 1);
        },
    );
}

#[test]
fn case_25_a_claim_against_a_ride_that_was_given_back_is_the_platforms_loss() {
    let mut court = Court::paid();
    court.say(refund(2000, BorneBy::Driver));
    court.say(bank(None));
    assert_eq!(balances(&court, &[1040, 2110, 1110]), [2000, 0, 0], "he has nothing more to give");
    court.taken_back = vec![taken(2000)];
    court.say(bank(Some(BankEnd::Granted)));
    assert_eq!(balances(&court, &[1040, 5030, 1110]), [0, 2000, 0]);
}

#[test]
fn case_25_a_claim_above_his_balance_leaves_him_owing_the_rest() {
    let mut court = Court::paid_out(600);
    court.say(bank(None));
    assert_eq!(balances(&court, &[1040, 2110, 1110]), [2000, 600, 0]);
    court.taken_back = vec![taken(2000)];
    court.say(bank(Some(BankEnd::Granted)));
    assert_eq!(balances(&court, &[1040, 2110, 1110, 4000]), [0, 0, 1000, 0]);
}

#[test]
fn less_taken_than_was_blocked_costs_each_his_share_of_that() {
    let mut court = Court::paid();
    court.say(bank(None));
    court.taken_back = vec![taken(1000)];
    court.say(bank(Some(BankEnd::Granted)));
    assert_eq!(balances(&court, &[1040, 2110, 2010, 4000]), [0, 0, 800, 200]);
    assert_eq!(court.payment().status, PaymentStatus::Paid);
}

/// A ride that its passenger contests, and of whose Pix a bank then takes so much by itself.
fn taken_while_contested(amount: i64) -> Court {
    let mut court = Court::paid();
    court.say(contest(PASSENGER, Role::Passenger));
    court.taken_back = vec![taken(amount)];
    let refund = Some(RefundId::parse("m1").expect("an id"));
    court.say(PaymentInput::Hint { pix: pix(), refund });
    assert_eq!(court.balance(5030), amount, "all of it is reserved: the platform's loss for now");
    court
}

#[test]
fn what_a_bank_has_sent_back_by_itself_a_ruling_does_not_owe_any_more() {
    for amount in [2000, 500] {
        let mut court = taken_while_contested(amount);
        court.tell_wallet(ruling(Winner::Passenger));
        court.later(3600 * 1000);
        assert_eq!(balances(&court, &[1030, 5030, 2110, 2000, 4000]), [0, 0, 0, 0, 0]);
        let sent: Vec<_> = court.refunds_sent.iter().map(|(_, amount)| amount.0).collect();
        let again = if amount == 500 { vec![2000, 1500] } else { vec![2000] };
        assert_eq!(sent, again, "no more than is left of it");
        assert_eq!(court.payment().status, PaymentStatus::Refunded);
        assert!(!court.payment().is_busy(), "and nobody asks for it again");
    }
}

#[test]
fn what_a_bank_has_taken_cannot_be_given_back_nor_what_is_owed_already() {
    let mut court = taken_while_contested(2000);
    court.tell_wallet(ruling(Winner::Driver));
    court.say(refund(1, BorneBy::Platform));
    assert_eq!(court.answers.pop(), Some(Err(Refusal::RefundTooHigh)), "a bank has all of it");
    let mut court = Court::paid();
    court.say(contest(PASSENGER, Role::Passenger));
    court.pays = false;
    court.tell_wallet(ruling(Winner::Passenger));
    assert!(court.payment().failed_refund().is_some());
    court.say(refund(1, BorneBy::Platform));
    assert_eq!(court.answers.pop(), Some(Err(Refusal::RefundTooHigh)), "it will be sent again");
}

#[test]
fn a_claim_that_is_granted_when_all_has_gone_back_has_come_to_nothing() {
    let mut court = Court::paid();
    court.say(refund(2000, BorneBy::Platform));
    court.say(bank(None));
    assert_eq!(court.balance(1040), 2000, "the provider told of it late");
    court.say(bank(Some(BankEnd::Granted)));
    assert_eq!(balances(&court, &[1040, 2110, 2000, 5030]), [0, 0, 1600, 0]);
    assert!(!court.payment().is_busy());
}

#[test]
fn a_claim_that_was_granted_and_for_which_nothing_is_taken_is_over_some_day() {
    however(
        |court| {
            while court.payment().bank_claims.is_empty() {
                court.say(bank(None));
            }
            court.say(bank(Some(BankEnd::Granted)));
            assert_eq!(court.balance(1040), 2000, "it may be taken yet");
            court.later(14 * DAY);
            for _ in 0..2 {
                court.say(bank(Some(BankEnd::Granted)));
            }
        },
        Court::paid,
        |court| {
            let codes = [1040, 2110, 2000, 2010, 4000];
            let all_his: i64 = balances(court, &[2000, 2010]).iter().sum();
            assert_eq!((balances(court, &codes[..2]), all_his), (vec![0, 0], 1600));
            assert_eq!(court.balance(4000), 400);
            assert!(!court.payment().is_busy());
        },
    );
    // What is taken later all the same is found.
    let mut court = Court::paid();
    court.say(bank(None));
    court.later(14 * DAY);
    court.say(bank(Some(BankEnd::Granted)));
    assert_eq!(court.balance(1040), 0, "nothing was taken");
    court.taken_back = vec![taken(2000)];
    court.say(bank(Some(BankEnd::Granted)));
    assert_eq!(balances(&court, &[1040, 2000, 2010, 4000]), [0, 0, 0, 0]);
}
