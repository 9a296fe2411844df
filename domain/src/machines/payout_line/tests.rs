//! The line alone: what it sends, when it waits, and what it tells wallets.

mod world;

use uuid::Uuid;

use super::*;
use crate::machines::{Envelope, Output};
use crate::payout::{Cleared, SendState, SentPayout};
use crate::pix::{EndToEndId, PixKey};
use crate::provider::{Code, Outcome, ProviderError, Why};

const DRIVER: DriverId = DriverId(Uuid::from_u128(2));
const START: UnixMillis = UnixMillis(1_000_000);

fn payout(number: u128) -> PayoutId {
    PayoutId(Uuid::from_u128(number))
}

fn order(number: u128) -> Box<SendOrder> {
    let key = PixKey::parse("joao@example.com").expect("a key");
    Box::new(SendOrder { payout: payout(number), amount: Centavos(1550), key, document: None })
}

fn found(state: SendState) -> SentPayout {
    let pix = EndToEndId::parse("E1").expect("a number");
    SentPayout { pix, amount: Centavos(1550), key: None, state, returns: vec![] }
}

fn refused(status: u16, code: &str) -> Outcome<SentPayout> {
    let code = Some(Code::new(code));
    Outcome::Refused(ProviderError { code, ..ProviderError::bare(status) })
}

/// The line, what it has called and told, and the time.
struct Bench {
    line: PayoutLineMachine<u64>,
    now: UnixMillis,
    alarm: Option<UnixMillis>,
    calls: Vec<(u64, PayoutCall)>,
    told: Vec<(PayoutId, Told)>,
    sent: Vec<PayoutId>,
}

#[derive(Debug, Clone, PartialEq)]
enum Told {
    Turn,
    News(LineNews),
}

impl Bench {
    fn new(resumed: Vec<Resumed>) -> Self {
        let line = PayoutLineMachine::new(LinePolicy::default(), resumed, START);
        let (calls, told, sent) = (vec![], vec![], vec![]);
        let mut bench = Self { line, now: START, alarm: None, calls, told, sent };
        let mut out = Outputs::new();
        bench.line.wake(START, &mut out);
        bench.take(out);
        bench
    }

    fn step(&mut self, input: LineInput) {
        let mut out = Outputs::new();
        self.line.step(self.now, input, &mut out);
        self.take(out);
    }

    fn take(&mut self, out: Outputs<u64>) {
        for output in out {
            match output {
                Output::Effect(Effect::Payout(call, ask)) => {
                    if let PayoutCall::Send(order) = &ask {
                        self.sent.push(order.payout);
                    }
                    self.calls.push((call, ask));
                }
                Output::Send(Envelope::Wallet(_, WalletInput::Turn { payout })) => {
                    self.told.push((payout, Told::Turn));
                }
                Output::Send(Envelope::Wallet(_, WalletInput::Line { payout, news })) => {
                    self.told.push((payout, Told::News(news)));
                }
                Output::Alarm(at) => self.alarm = at,
                Output::Note(_) => {}
                other => unreachable!("{other:?}"),
            }
        }
    }

    /// Lets the next alarm ring.
    fn ring(&mut self) {
        self.now = self.now.max(self.alarm.expect("something to wait for"));
        self.step(LineInput::Alarm);
    }

    /// Rings until a call is under way, which it names.
    fn next_call(&mut self) -> PayoutCall {
        for _ in 0..100 {
            if let Some((_, call)) = self.calls.last() {
                return call.clone();
            }
            self.ring();
        }
        unreachable!("nothing is called")
    }

    /// Answers the call under way.
    fn hears(&mut self, heard: Heard) {
        let (call, _) = self.calls.remove(0);
        self.step(LineInput::Heard { call, heard });
    }

    fn clears(&mut self) {
        assert!(matches!(self.next_call(), PayoutCall::Clear(_)));
        self.hears(Heard::Cleared(Cleared::Yes));
    }

    fn queue(&mut self, number: u128) {
        let payout = payout(number);
        self.step(LineInput::Queue { payout, driver: DRIVER, amount: Centavos(1550) });
    }

    /// Queues a payout and lets it go out.
    fn sends(&mut self, number: u128) {
        self.queue(number);
        self.clears();
        assert_eq!(self.told.pop(), Some((payout(number), Told::Turn)));
        self.step(LineInput::Go { order: order(number), driver: DRIVER });
        assert!(matches!(self.next_call(), PayoutCall::Send(_)));
    }

    fn last(&mut self) -> Option<LineNews> {
        match self.told.pop()? {
            (_, Told::News(news)) => Some(news),
            (_, Told::Turn) => None,
        }
    }
}

#[test]
fn one_goes_out_after_its_record_and_the_next_after_its_end() {
    let mut bench = Bench::new(vec![]);
    bench.sends(1);
    bench.queue(2);
    bench.queue(2);
    bench.hears(Heard::Sent(Outcome::Done(found(SendState::Pending))));
    assert_eq!(bench.last(), Some(LineNews::Found(found(SendState::Pending))));
    assert_eq!(bench.next_call(), PayoutCall::Ask(order(1).id()));
    bench.hears(Heard::Asked(Outcome::Done(found(SendState::Pending))));
    assert_eq!(bench.last(), None, "nothing new");
    assert_eq!(bench.next_call(), PayoutCall::Ask(order(1).id()));
    bench.hears(Heard::Asked(Outcome::Done(found(SendState::Done))));
    assert_eq!(bench.last(), Some(LineNews::Found(found(SendState::Done))));
    bench.clears();
    assert_eq!(bench.told, [(payout(2), Told::Turn)]);
    assert_eq!(bench.sent, [payout(1)]);
}

#[test]
fn a_lost_answer_is_asked_for_and_nothing_is_sent_again_before_it_counts_as_absent() {
    let why = Why::Failed { status: 500, code: Some(Code::new("erro_aplicacao")) };
    for unknown in [Outcome::Unclear(Why::TimedOut), Outcome::Unclear(why)] {
        let mut bench = Bench::new(vec![]);
        bench.sends(1);
        bench.hears(Heard::Sent(unknown));
        let began = bench.now;
        while bench.sent.len() < 2 {
            if let PayoutCall::Ask(id) = bench.next_call() {
                assert_eq!(id, order(1).id());
                bench.hears(Heard::Asked(refused(404, "nao_encontrado")));
            }
        }
        assert!(bench.now.since(began) >= Patience::SEND.absent_for);
        assert_eq!(bench.sent, [payout(1), payout(1)], "the same id");
        bench.hears(Heard::Sent(refused(409, "id_envio_duplicado")));
        assert_eq!(bench.next_call(), PayoutCall::Ask(order(1).id()));
        bench.hears(Heard::Asked(Outcome::Done(found(SendState::Done))));
        assert_eq!(bench.last(), Some(LineNews::Found(found(SendState::Done))));
    }
}

#[test]
fn what_is_refused_at_once_is_over_and_the_next_goes_out() {
    let cases =
        [(422, "pagamento_negado"), (400, "chave_nao_pertence_ao_documento"), (400, "valor")];
    for (status, code) in cases {
        let mut bench = Bench::new(vec![]);
        bench.sends(1);
        bench.hears(Heard::Sent(refused(status, code)));
        assert_eq!(bench.last(), Some(LineNews::Refused { code: Some(Code::new(code)) }));
        bench.sends(2);
    }
}

#[test]
fn an_unclear_one_holds_the_line_for_a_while_and_is_then_asked_about_beside_it() {
    let mut bench = Bench::new(vec![]);
    bench.sends(1);
    bench.queue(2);
    bench.hears(Heard::Sent(Outcome::Done(found(SendState::Pending))));
    bench.told.clear();
    while !bench.told.contains(&(payout(1), Told::News(LineNews::SetAside))) {
        assert!(bench.now.since(START) <= LinePolicy::default().held);
        if bench.calls.is_empty() {
            bench.ring();
        } else {
            bench.hears(Heard::Asked(Outcome::Unclear(Why::TimedOut)));
        }
    }
    assert!(bench.now.since(START) >= LinePolicy::default().held);
    bench.clears();
    bench.step(LineInput::Go { order: order(2), driver: DRIVER });
    assert_eq!(bench.sent, [payout(1), payout(2)]);
    bench.hears(Heard::Sent(Outcome::Done(found(SendState::Done))));
    assert_eq!(bench.next_call(), PayoutCall::Ask(order(1).id()), "it is not forgotten");
    bench.hears(Heard::Asked(Outcome::Done(found(SendState::Failed))));
    assert_eq!(bench.last(), Some(LineNews::Found(found(SendState::Failed))));
}

#[test]
fn while_there_is_too_little_or_payouts_are_stopped_they_wait_in_order() {
    for cleared in [Cleared::Short, Cleared::Stopped, Cleared::Unknown] {
        let mut bench = Bench::new(vec![]);
        bench.queue(1);
        bench.queue(2);
        for _ in 0..3 {
            assert!(matches!(bench.next_call(), PayoutCall::Clear(_)));
            bench.hears(Heard::Cleared(cleared));
            assert!(bench.told.is_empty() && bench.calls.is_empty(), "{cleared:?}");
        }
        bench.clears();
        assert_eq!(bench.told, [(payout(1), Told::Turn)], "{cleared:?}");
    }
}

#[test]
fn after_a_start_what_may_have_been_sent_comes_first_and_is_asked_for() {
    let resumed = |number, since, aside| Resumed {
        order: *order(number),
        driver: DRIVER,
        since: UnixMillis(since),
        aside,
    };
    let mut bench =
        Bench::new(vec![resumed(1, START.0 - 1000, false), resumed(2, START.0 - 900_000, true)]);
    bench.queue(3);
    bench.queue(1);
    let asks: Vec<_> = bench.calls.iter().map(|(_, call)| call.clone()).collect();
    assert_eq!(asks, [PayoutCall::Ask(order(1).id()), PayoutCall::Ask(order(2).id())]);
    bench.hears(Heard::Asked(Outcome::Done(found(SendState::Done))));
    assert_eq!(bench.last(), Some(LineNews::Found(found(SendState::Done))));
    assert!(matches!(bench.calls.last(), Some((_, PayoutCall::Clear(_)))), "now the third");
    assert!(bench.sent.is_empty());

    let late = resumed(1, START.0 - 120_000, false);
    let mut bench = Bench::new(vec![late]);
    assert_eq!(bench.last(), Some(LineNews::SetAside), "it has held the line long enough");
}

#[test]
fn all_that_were_on_their_way_at_a_start_are_waited_for_one_after_the_other() {
    let resumed = |number, since| Resumed {
        order: *order(number),
        driver: DRIVER,
        since: UnixMillis(since),
        aside: false,
    };
    let start = || {
        let mut bench = Bench::new(vec![resumed(1, START.0 - 2000), resumed(2, START.0 - 1000)]);
        bench.queue(3);
        bench.hears(Heard::Asked(Outcome::Done(found(SendState::Done))));
        bench
    };
    let clears =
        |bench: &Bench| bench.calls.iter().any(|(_, it)| matches!(it, PayoutCall::Clear(_)));
    let mut bench = start();
    assert!(!clears(&bench), "the second is on its way still");
    bench.hears(Heard::Asked(Outcome::Done(found(SendState::Done))));
    assert!(clears(&bench));

    let mut bench = start();
    bench.now = START + LinePolicy::default().held;
    bench.step(LineInput::Alarm);
    assert_eq!(bench.last(), Some(LineNews::SetAside), "nobody knows of the second for too long");
    assert!(clears(&bench));
}

#[test]
fn something_else_under_our_id_is_left_to_people() {
    let mut bench = Bench::new(vec![]);
    bench.sends(1);
    bench.hears(Heard::Sent(refused(409, "id_envio_duplicado")));
    bench.next_call();
    let other = SentPayout { amount: Centavos(1), ..found(SendState::Done) };
    bench.hears(Heard::Asked(Outcome::Done(other)));
    assert_eq!(bench.last(), None);
    bench.ring();
    assert_eq!(bench.last(), Some(LineNews::SetAside));
    assert!(bench.calls.is_empty() && bench.alarm.is_none(), "and never sent or asked for again");
}

#[test]
fn a_hint_is_a_question_and_a_payout_that_has_ended_is_asked_for_once() {
    let mut bench = Bench::new(vec![]);
    bench.sends(1);
    bench.hears(Heard::Sent(Outcome::Done(found(SendState::Pending))));
    bench.step(LineInput::Look { order: order(1), driver: DRIVER });
    assert!(matches!(bench.calls[..], [(_, PayoutCall::Ask(_))]), "at once");
    bench.hears(Heard::Asked(Outcome::Done(found(SendState::Done))));
    bench.told.clear();
    bench.step(LineInput::Look { order: order(1), driver: DRIVER });
    bench.hears(Heard::Asked(Outcome::Unclear(Why::TimedOut)));
    assert!(bench.told.is_empty() && bench.calls.is_empty() && bench.alarm.is_none());
    bench.step(LineInput::Look { order: order(1), driver: DRIVER });
    bench.hears(Heard::Asked(Outcome::Done(found(SendState::Done))));
    assert_eq!(bench.last(), Some(LineNews::Found(found(SendState::Done))));
}

#[test]
fn a_wallet_that_says_nothing_does_not_hold_the_line() {
    let mut bench = Bench::new(vec![]);
    bench.queue(1);
    bench.queue(2);
    bench.clears();
    bench.ring();
    bench.told.clear();
    bench.clears();
    assert_eq!(bench.told, [(payout(2), Told::Turn)]);
    bench.step(LineInput::Drop { payout: payout(2) });
    assert!(bench.alarm.is_none(), "nothing waits");
    bench.step(LineInput::Go { order: order(1), driver: DRIVER });
    assert_eq!(bench.sent, [payout(1)], "its late word counts");
}

#[test]
fn a_call_whose_outcome_is_never_told_is_one_in_doubt() {
    let mut bench = Bench::new(vec![]);
    bench.sends(1);
    let (lost, _) = bench.calls.remove(0);
    assert_eq!(bench.next_call(), PayoutCall::Ask(order(1).id()));
    let heard = Heard::Sent(refused(422, "pagamento_negado"));
    bench.step(LineInput::Heard { call: lost, heard });
    assert!(
        !bench.told.iter().any(|(_, told)| matches!(told, Told::News(LineNews::Refused { .. })))
    );
}

#[test]
fn what_its_wallet_has_recorded_as_failed_is_not_sent_whoever_resumed_it_before() {
    let mut bench = Bench::new(vec![]);
    let (order, since) = (order(1), START);
    bench.step(LineInput::Resume { order, driver: DRIVER, since, aside: false });
    bench.queue(2);
    bench.step(LineInput::Drop { payout: payout(1) });
    bench.calls.clear();
    bench.step(LineInput::Alarm);
    assert!(matches!(bench.next_call(), PayoutCall::Clear(_)), "the next goes out");
    assert!(bench.sent.is_empty());
}
