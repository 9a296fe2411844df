//! A wallet alone: whatever is asked of it or told to it, twice, late or in the wrong order.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::facts::{Answer, CommandKey, Row};
use crate::ids::{RideId, UserId};
use crate::ledger::{Due, FinancialEvent};
use crate::machines::{Envelope, LineInput, Note, Output};
use crate::payout::{Returned, SendState};
use crate::pix::{EndToEndId, ReturnId};
use crate::refusal::Refusal;

const DRIVER: DriverId = DriverId(Uuid::from_u128(2));
const DAY: i64 = 86_400_000;
const START: i64 = 20_000 * DAY + 5 * 3_600_000;

fn policy() -> Arc<WalletPolicy> {
    Arc::new(WalletPolicy::default())
}

fn machine(available: i64) -> WalletMachine<u64> {
    built((Centavos(available), Centavos::ZERO), 0)
}

/// The machine of a driver to whom nothing is under way.
fn built(balances: (Centavos, Centavos), events: u64) -> WalletMachine<u64> {
    let wallet = Wallet::restore(DRIVER, balances, [], (0, Centavos::ZERO));
    let records = WalletRecords {
        wallet,
        events,
        payouts: vec![],
        disputes: vec![],
        document: None,
        commands: vec![],
    };
    WalletMachine::new(DRIVER, policy(), records)
}

fn hint(payout: &Payout, as_of: u64) -> WalletInput<u64> {
    WalletInput::Hint { payout: Box::new(payout.clone()), as_of }
}

fn key() -> PixKey {
    PixKey::parse("joao@example.com").expect("a key")
}

fn payout(number: u128) -> PayoutId {
    PayoutId(Uuid::from_u128(number))
}

fn admin(number: u128) -> UserId {
    UserId(Uuid::from_u128(1000 + number))
}

fn command(by: UserId, id: Option<&str>) -> Ask<u64> {
    let key = id.map(|id| CommandKey { principal: by, id: id.into(), fingerprint: 1 });
    Ask { by, key, if_version: None, origin: None, reply: 0 }
}

fn wants(number: u128, amount: i64) -> Wanted {
    let payee = Some(Payee { key: key(), usable_from: UnixMillis(0), cpf: None });
    Wanted { id: payout(number), amount: Centavos(amount), key: None, payee, sweep: None }
}

/// What came of a step: decisions, answers, and what the line was told.
#[derive(Default)]
struct Came {
    money: Vec<&'static str>,
    rows: usize,
    answers: Vec<Answer>,
    line: Vec<LineInput>,
    timer: Option<Timer>,
    odd: bool,
}

fn step(machine: &mut WalletMachine<u64>, now: i64, input: WalletInput<u64>) -> Came {
    let (mut out, mut came) = (Outputs::new(), Came::default());
    machine.step(UnixMillis(now), input, &mut out);
    for output in out {
        match output {
            Output::Persist(decision) => {
                came.money.extend(decision.money.iter().map(FinancialEvent::kind));
                came.rows += decision.rows.len();
                came.timer = decision.timer.or(came.timer);
            }
            Output::Reply(_, answer, _) => came.answers.push(answer),
            Output::Send(Envelope::PayoutLine(input)) => came.line.push(input),
            Output::Note(Note::PayoutOdd) => came.odd = true,
            _ => {}
        }
    }
    came
}

fn ask(machine: &mut WalletMachine<u64>, now: i64, wanted: Wanted) -> Result<String, Refusal> {
    let input = WalletInput::Payout { ask: command(DRIVER.into(), None), wanted: Box::new(wanted) };
    let mut came = step(machine, now, input);
    came.answers.remove(0).map(|done| done.body.to_string())
}

fn review(machine: &mut WalletMachine<u64>, by: u128, verdict: Verdict) -> Came {
    let ask = command(admin(by), None);
    step(machine, START, WalletInput::Review { ask, payout: payout(1), verdict })
}

fn line(machine: &mut WalletMachine<u64>, news: LineNews) -> Came {
    step(machine, START, WalletInput::Line { payout: payout(1), news })
}

fn sent(amount: i64, state: SendState) -> SentPayout {
    let pix = EndToEndId::parse("E123").expect("a number");
    SentPayout { pix, amount: Centavos(amount), key: None, state, returns: vec![] }
}

fn with_returns(amount: i64, returns: &[(&str, i64)]) -> LineNews {
    let part = |(id, amount): &(&str, i64)| Returned {
        id: ReturnId::parse(id).expect("a number"),
        amount: Centavos(*amount),
    };
    let returns = returns.iter().map(part).collect();
    LineNews::Found(SentPayout { returns, ..sent(amount, SendState::Done) })
}

/// A wallet whose payout of 16.00 is in flight.
fn in_flight() -> WalletMachine<u64> {
    let mut machine = machine(5000);
    ask(&mut machine, START, wants(1, 1600)).expect("asked for");
    let came = step(&mut machine, START, WalletInput::Turn { payout: payout(1) });
    assert!(matches!(&came.line[..], [LineInput::Go { order, .. }] if order.amount.0 == 1550));
    machine
}

#[test]
fn what_is_held_may_be_withdrawn_at_its_very_moment_and_not_before() {
    let mut machine = machine(0);
    let earning = Earning { ride: RideId(Uuid::from_u128(9)), due: Due::Fare };
    let hold = Hold::of(Centavos(1600), UnixMillis(START + DAY));
    let came = step(&mut machine, START, WalletInput::Earned { earning, hold });
    assert_eq!(came.timer, Some(Timer::Due(UnixMillis(START + DAY))), "on disk");
    let early = ask(&mut machine, START + DAY - 1, wants(1, 1600));
    assert_eq!(early, Err(Refusal::InsufficientBalance));
    let wanted = Box::new(wants(2, 1600));
    let input = WalletInput::Payout { ask: command(DRIVER.into(), None), wanted };
    let came = step(&mut machine, START + DAY, input);
    assert_eq!(came.money, ["hold_released", "payout_requested"], "without waiting for the alarm");
    let came = step(&mut machine, START + DAY, WalletInput::Alarm);
    assert_eq!(came.money.len(), 0, "the job run again");
    let came = step(&mut machine, START, WalletInput::Earned { earning, hold });
    assert_eq!((came.money.len(), machine.wallet().held()), (0, Centavos::ZERO), "told late");
}

#[test]
fn a_payout_goes_to_the_key_that_was_registered_when_it_was_asked_for() {
    let mut machine = machine(5000);
    let other = PixKey::parse("other@example.com").expect("a key");
    let with = |change: fn(&mut Wanted)| {
        let mut wanted = wants(1, 1600);
        change(&mut wanted);
        wanted
    };
    let none = with(|wanted| wanted.payee = None);
    assert_eq!(ask(&mut machine, START, none), Err(Refusal::PixKeyMissing));
    let mut mismatch = wants(1, 1600);
    mismatch.key = Some(other);
    assert_eq!(ask(&mut machine, START, mismatch), Err(Refusal::PixKeyMismatch));
    let mut cooling = wants(1, 1600);
    cooling.payee.as_mut().expect("a payee").usable_from = UnixMillis(START + 1);
    assert_eq!(ask(&mut machine, START, cooling), Err(Refusal::PixKeyCooling));
    let mut right = wants(1, 1600);
    right.key = Some(key());
    let body = ask(&mut machine, START, right).expect("his own");
    assert!(body.contains("\"pix_key\":\"***.com\"") && !body.contains("joao"), "{body}");
    let came = step(&mut machine, START, WalletInput::Turn { payout: payout(1) });
    let [LineInput::Go { order, .. }] = &came.line[..] else { unreachable!("{:?}", came.line) };
    assert_eq!(order.key, key(), "whatever he has registered since");
}

#[test]
fn the_same_command_is_one_payout() {
    let mut machine = machine(5000);
    let ask = || command(DRIVER.into(), Some("k"));
    let send = |machine: &mut WalletMachine<u64>, number| {
        let wanted = Box::new(wants(number, 1600));
        step(machine, START, WalletInput::Payout { ask: ask(), wanted })
    };
    assert_eq!(send(&mut machine, 1).money, ["payout_requested"]);
    assert_eq!(send(&mut machine, 2).money.len(), 0);
    assert_eq!(machine.wallet().available(), Centavos(3400));
}

#[test]
fn of_many_payouts_of_the_whole_balance_one_is_made() {
    let mut machine = machine(10_000);
    let made = (1..=30).filter(|n| ask(&mut machine, START, wants(*n, 10_000)).is_ok()).count();
    assert_eq!((made, machine.wallet().available()), (1, Centavos::ZERO));
}

#[test]
fn two_different_people_approve_what_is_above_the_limit() {
    let mut machine = machine(500_000);
    let body = ask(&mut machine, START, wants(1, 100_001)).expect("asked for");
    assert!(body.contains("\"status\":\"awaiting_approval\"") && body.contains("missing\":2"));
    let came = step(&mut machine, START, WalletInput::Turn { payout: payout(1) });
    assert!(matches!(came.line[..], [LineInput::Drop { .. }]), "nobody may send it");
    assert!(review(&mut machine, 1, Verdict::Approved).line.is_empty());
    let again = review(&mut machine, 1, Verdict::Approved);
    assert_eq!(again.answers, [Err(Refusal::AlreadyApproved)]);
    let came = review(&mut machine, 2, Verdict::Approved);
    assert!(matches!(came.line[..], [LineInput::Queue { .. }]), "{:?}", came.line);
    let late = review(&mut machine, 3, Verdict::Approved);
    assert_eq!(late.answers, [Err(Refusal::IllegalTransition)]);
    let exact = ask(&mut machine, START, wants(2, 99_999)).expect("asked for");
    assert!(exact.contains("\"status\":\"queued\""));
}

#[test]
fn a_rejected_payout_is_his_again_and_one_that_may_be_sent_cannot_be_rejected() {
    let reason = || Verdict::Rejected { reason: Some("looks odd".to_owned()) };
    let mut machine = machine(500_000);
    ask(&mut machine, START, wants(1, 150_000)).expect("asked for");
    let came = review(&mut machine, 1, reason());
    assert_eq!(came.money, ["payout_failed"]);
    assert!(matches!(came.line[..], [LineInput::Drop { .. }]), "nobody waits behind it");
    assert_eq!(machine.wallet().available(), Centavos(500_000));
    let again = review(&mut machine, 2, reason());
    assert_eq!(again.answers, [Err(Refusal::IllegalTransition)]);
    let mut machine = in_flight();
    assert_eq!(review(&mut machine, 1, reason()).answers, [Err(Refusal::IllegalTransition)]);
}

#[test]
fn what_the_line_says_is_booked_once_however_often_it_says_it() {
    let found = |state| LineNews::Found(sent(1550, state));
    let denied = || LineNews::Refused { code: Some(Code::new("pagamento_negado")) };
    let cases = [
        (found(SendState::Done), "payout_done", 3400),
        (found(SendState::Failed), "payout_failed", 5000),
        (denied(), "payout_failed", 5000),
    ];
    for (news, booked, available) in cases {
        let mut machine = in_flight();
        assert_eq!(line(&mut machine, found(SendState::Pending)).money.len(), 0);
        assert_eq!(line(&mut machine, LineNews::SetAside).rows, 1);
        assert_eq!(line(&mut machine, news.clone()).money, [booked]);
        assert_eq!(line(&mut machine, news).money.len(), 0, "again");
        assert_eq!(line(&mut machine, LineNews::SetAside).rows, 0, "late");
        assert_eq!(line(&mut machine, found(SendState::Pending)).rows, 0, "older");
        assert_eq!(machine.wallet().available(), Centavos(available), "{booked}");
    }
}

#[test]
fn what_comes_back_of_a_payout_is_his_again_part_by_part_and_once() {
    let mut machine = in_flight();
    let came = line(&mut machine, with_returns(1550, &[]));
    assert_eq!(came.money, ["payout_done"]);
    assert_eq!(line(&mut machine, with_returns(1550, &[("D1", 775)])).money, ["payout_returned"]);
    let both = || with_returns(1550, &[("D1", 775), ("D2", 775), ("D3", 1)]);
    assert_eq!(line(&mut machine, both()).money, ["payout_returned"], "no more than was sent");
    assert_eq!(line(&mut machine, both()).money.len(), 0);
    assert_eq!(machine.wallet().available(), Centavos(3400 + 1550));
    assert!(machine.shown(payout(1)).body.contains("\"status\":\"returned\""));
}

#[test]
fn a_return_of_a_payout_that_ended_long_ago_is_found_by_its_record() {
    let mut before = in_flight();
    line(&mut before, with_returns(1550, &[]));
    let recorded = before.payouts.get(&payout(1)).expect("known").clone();
    let mut machine = machine(0);
    let came = step(&mut machine, START, hint(&recorded, 0));
    assert!(matches!(came.line[..], [LineInput::Look { .. }]));
    let news = with_returns(1550, &[("D1", 1550)]);
    assert_eq!(line(&mut machine, news.clone()).money, ["payout_returned"]);
    step(&mut machine, START, hint(&recorded, 0));
    assert_eq!(line(&mut machine, news).money.len(), 0, "an older record changes nothing");
}

#[test]
fn a_record_that_is_older_than_the_machine_is_not_believed() {
    let mut before = in_flight();
    line(&mut before, with_returns(1550, &[]));
    let (read, as_of) = (before.payouts[&payout(1)].clone(), before.events);
    let news = with_returns(1550, &[("D1", 1550)]);
    assert_eq!(line(&mut before, news.clone()).money, ["payout_returned"]);
    let now = before.payouts[&payout(1)].clone();
    let balances = (before.wallet().available(), Centavos::ZERO);
    let mut machine = built(balances, before.events);
    let late = step(&mut machine, START, hint(&read, as_of));
    assert!(late.line.is_empty(), "it was read before the return was recorded");
    assert_eq!(line(&mut machine, news.clone()).money.len(), 0, "and is not booked again");
    let came = step(&mut machine, START, hint(&now, before.events));
    assert!(matches!(came.line[..], [LineInput::Look { .. }]), "hinted at again");
    assert_eq!(line(&mut machine, news).money.len(), 0);
    assert_eq!(machine.wallet().available(), balances.0);
}

#[test]
fn what_cannot_be_is_shown_to_people_and_moves_nothing() {
    let mut machine = in_flight();
    let other = line(&mut machine, LineNews::Found(sent(1551, SendState::Done)));
    assert_eq!((other.odd, other.money.len()), (true, 0), "another amount under our id");
    line(&mut machine, LineNews::Refused { code: None });
    let late = line(&mut machine, LineNews::Found(sent(1550, SendState::Done)));
    assert_eq!((late.odd, late.money.len()), (true, 0), "refused, and done all the same");
}

#[test]
fn a_wallet_that_is_built_again_goes_on_and_may_have_sent() {
    let before = in_flight();
    let payouts = before.payouts.values().cloned().collect();
    let wallet = before.wallet().clone();
    let records = WalletRecords {
        wallet,
        events: 2,
        payouts,
        disputes: vec![],
        document: None,
        commands: vec![],
    };
    let mut machine: WalletMachine<u64> = WalletMachine::new(DRIVER, policy(), records);
    let mut out = Outputs::new();
    machine.wake(UnixMillis(START + 5), &mut out);
    let resumes = |output: &Output<u64>| {
        matches!(output, Output::Send(Envelope::PayoutLine(LineInput::Resume { since, .. }))
            if *since == UnixMillis(START))
    };
    assert!(out.iter().any(resumes), "{out:?}");
    assert!(out.iter().any(|output| matches!(output, Output::Alarm(Some(_)))), "and again later");
    let came = step(&mut machine, START, WalletInput::Turn { payout: payout(1) });
    assert!(matches!(came.line[..], [LineInput::Resume { .. }]), "never as a new one");
}

#[test]
fn a_day_ends_at_midnight_in_brasilia() {
    let mut machine = machine(900_000);
    let midnight = 20_001 * DAY + 3 * 3_600_000;
    assert_eq!(start_of_day(UnixMillis(midnight + 5)), UnixMillis(midnight));
    assert!(ask(&mut machine, midnight - 1, wants(1, 200_000)).is_ok());
    let more = ask(&mut machine, midnight - 1, wants(2, 500));
    assert_eq!(more, Err(Refusal::LimitExceeded));
    assert!(ask(&mut machine, midnight, wants(3, 200_000)).is_ok());
}

#[test]
fn the_row_says_what_the_payout_is() {
    let mut machine = machine(5000);
    let mut out = Outputs::new();
    let wanted = Box::new(wants(1, 1600));
    let input = WalletInput::Payout { ask: command(DRIVER.into(), Some("k")), wanted };
    machine.step(UnixMillis(START), input, &mut out);
    let decision = out.iter().find_map(|output| match output {
        Output::Persist(decision) => Some(decision),
        _ => None,
    });
    let decision = decision.expect("recorded");
    let [Row::Payout(row)] = &decision.rows[..] else { unreachable!("{:?}", decision.rows) };
    let read: Payout = serde_json::from_str(&row.state).expect("readable");
    assert_eq!(Some(&read), machine.payouts.get(&payout(1)));
    assert_eq!((decision.results.len(), decision.streams[0].op), (1, "payout.updated"));
    assert!(!format!("{row:?}").contains("joao"), "a key is in no log");
}
