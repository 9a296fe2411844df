//! Errands by table, and against a model of a provider that loses what it can.

use super::*;
use crate::provider::{Code, TlsFault};

const START: UnixMillis = UnixMillis(1_000_000);
const PATIENCE: Patience = Patience {
    absent_for: Millis(10_000),
    absences: 3,
    backoff: Backoff { first: Millis(1000), longest: Millis(8000) },
};

#[derive(Debug, Clone, PartialEq, Eq)]
struct Found(i64, Option<PixKey>);

impl Seen for Found {
    fn amount(&self) -> Centavos {
        Centavos(self.0)
    }

    fn key(&self) -> Option<&PixKey> {
        self.1.as_ref()
    }
}

fn key(text: &str) -> PixKey {
    PixKey::parse(text).expect("a key")
}

fn order() -> Order {
    Order { amount: Centavos(1550), key: Some(key("joao@example.com")) }
}

fn errand() -> Errand {
    Errand::new(order(), PATIENCE, START)
}

fn found(amount: i64) -> Found {
    Found(amount, None)
}

fn refusal(status: u16, code: &str) -> ProviderError {
    ProviderError { code: Some(Code::new(code)), ..ProviderError::bare(status) }
}

fn refused(status: u16, code: &str) -> Outcome<Found> {
    Outcome::Refused(refusal(status, code))
}

/// Waits as told and says what to do then.
fn next(errand: &Errand, now: &mut UnixMillis) -> Step {
    if let Step::Wait { until } = errand.step(*now) {
        *now = until;
    }
    errand.step(*now)
}

#[test]
fn what_is_said_at_once_is_believed() {
    let sent = |outcome| errand().sent(START, outcome, 0);
    assert_eq!(errand().step(START), Step::Send);
    assert_eq!(sent(Outcome::Done(found(1550))), Some(Ending::Done(found(1550))));
    let denied = refusal(422, "pagamento_negado");
    assert_eq!(sent(Outcome::Refused(denied.clone())), Some(Ending::Refused(denied)));
}

#[test]
fn what_was_not_sent_leaves_no_doubt_and_goes_out_later() {
    let cases = [
        Outcome::NotSent(Hindrance::Paused),
        Outcome::NotSent(Hindrance::Tls(TlsFault::OursRefused)),
        refused(429, "limite"),
        refused(403, "insufficient_scope"),
        refused(401, "unauthorized"),
    ];
    for outcome in cases {
        let (mut errand, mut now) = (errand(), START);
        assert_eq!(errand.sent(now, outcome.clone(), 0), None, "{outcome:?}");
        assert!(!errand.is_in_doubt(), "{outcome:?}");
        assert_eq!(next(&errand, &mut now), Step::Send, "{outcome:?}");
        assert!(now > START);
    }
}

#[test]
fn the_provider_may_say_how_long_to_wait() {
    let slow = ProviderError { retry_after: Some(Millis(30_000)), ..ProviderError::bare(429) };
    let mut errand = errand();
    assert_eq!(errand.sent::<Found>(START, Outcome::Refused(slow), 0), None);
    assert_eq!(errand.step(START), Step::Wait { until: START + Millis(30_000) });
}

#[test]
fn a_lost_answer_is_asked_for_and_what_is_found_is_compared() {
    let other = Found(1550, Some(key("someone@example.com")));
    let same = Found(1550, Some(key("joao@example.com")));
    let cases = [
        (found(1550), Ending::Done(found(1550))),
        (same.clone(), Ending::Done(same)),
        (found(1551), Ending::Mismatched(found(1551))),
        (other.clone(), Ending::Mismatched(other)),
    ];
    for (seen, ending) in cases {
        for unknown in [Outcome::Unclear(Why::TimedOut), refused(409, "id_envio_duplicado")] {
            let (mut errand, mut now) = (errand(), START);
            assert_eq!(errand.sent(now, unknown, 0), None);
            assert!(errand.is_in_doubt());
            assert_eq!(next(&errand, &mut now), Step::Ask);
            assert_eq!(errand.asked(now, Outcome::Done(seen.clone()), 0), Some(ending.clone()));
        }
    }
}

#[test]
fn nothing_found_counts_after_both_the_time_and_the_answers() {
    let (mut errand, mut now) = (errand(), START);
    assert_eq!(errand.sent::<Found>(now, Outcome::Unclear(Why::Lost), 0), None);
    // 500, 1000, 2000, 4000 and 4000 ms: four answers within the time, then one past it.
    for _ in 0..4 {
        assert_eq!(next(&errand, &mut now), Step::Ask);
        assert_eq!(errand.asked(now, refused(404, "nao_encontrado"), 0), None);
        assert_ne!(errand.step(now), Step::Send, "{now}");
    }
    assert_eq!(next(&errand, &mut now), Step::Ask);
    assert_eq!(errand.asked(now, refused(404, "nao_encontrado"), 0), None);
    assert_eq!(errand.step(now), Step::Send, "the same order, under the same id");

    let late = START + Millis(60_000);
    let mut errand = Errand::in_doubt(order(), PATIENCE, START);
    for heard in 1..=3 {
        assert_eq!(errand.step(late + Millis(heard * 10_000)), Step::Ask, "{heard}");
        errand.asked(late + Millis(heard * 10_000), refused(404, ""), 0);
    }
    assert_eq!(errand.step(late + Millis(30_000)), Step::Send);
}

#[test]
fn a_failed_question_is_no_answer() {
    let (mut errand, mut now) = (Errand::in_doubt(order(), PATIENCE, START), START);
    let noise = [
        Outcome::Unclear(Why::Failed { status: 500, code: None }),
        Outcome::NotSent(Hindrance::Paused),
        refused(403, "insufficient_scope"),
        refused(400, "requisicao_invalida"),
    ];
    for outcome in noise.iter().cycle().take(40) {
        assert_eq!(errand.asked(now, outcome.clone(), 0), None);
        assert_eq!(next(&errand, &mut now), Step::Ask);
    }
}

#[test]
fn after_a_duplicate_the_order_is_never_sent_again() {
    let (mut errand, mut now) = (errand(), START);
    assert_eq!(errand.sent(now, refused(400, "devolucao_id_duplicado"), 0), None);
    for _ in 0..20 {
        assert_eq!(next(&errand, &mut now), Step::Ask);
        assert_eq!(errand.asked(now, refused(404, ""), 0), None);
    }
}

#[test]
fn a_refusal_in_doubt_counts_only_when_nothing_is_found_for_as_long() {
    let denied = refusal(422, "pagamento_negado");
    for appears in [false, true] {
        let (mut errand, mut now) = (errand(), START);
        errand.sent::<Found>(now, Outcome::Unclear(Why::TimedOut), 0);
        while next(&errand, &mut now) == Step::Ask {
            assert_eq!(errand.asked(now, refused(404, ""), 0), None);
        }
        assert_eq!(errand.sent::<Found>(now, Outcome::Refused(denied.clone()), 0), None);
        let since = now;
        let ending = loop {
            assert_eq!(next(&errand, &mut now), Step::Ask);
            let visible = appears && now.since(since) > Millis(3000);
            let answer =
                if visible { Outcome::Done(found(1550)) } else { refused(404, "nao_encontrado") };
            if let Some(ending) = errand.asked(now, answer, 0) {
                break ending;
            }
        };
        let expected =
            if appears { Ending::Done(found(1550)) } else { Ending::Refused(denied.clone()) };
        assert_eq!(ending, expected);
        assert!(appears || now.since(since) >= PATIENCE.absent_for);
    }
}

#[test]
fn one_go_is_enough_to_learn_that_a_refund_in_doubt_is_refused() {
    for dice in [0, 1, u64::MAX / 2, u64::MAX] {
        let (mut errand, mut now) = (Errand::in_doubt(order(), Patience::REFUND, START), START);
        let ended = std::iter::from_fn(|| {
            let step = next(&errand, &mut now);
            now = now + Millis(1000);
            Some(match step {
                Step::Send => errand.sent(now, refused(400, "devolucao_invalida"), dice),
                Step::Ask => errand.asked(now, refused(404, "nao_encontrado"), dice),
                Step::Wait { .. } => None,
            })
        });
        let ended = ended.take(100).flatten().next();
        assert!(matches!(ended, Some(Ending::Refused(_))), "{ended:?}");
        let took = now.since(START);
        assert!(took < REFUND_CARRIED_FOR, "{took:?}: nobody would ever know");
    }
}

#[test]
fn a_clock_that_goes_back_makes_nobody_wait_longer() {
    let mut errand = errand();
    errand.sent::<Found>(START, Outcome::Unclear(Why::TimedOut), 0);
    assert_eq!(errand.step(START), Step::Wait { until: START + Millis(500) });
    assert_eq!(errand.step(UnixMillis(START.0 - 3_600_000)), Step::Ask);
}

/// A provider that takes an id once, shows it late, and loses requests and answers.
struct Model {
    dice: u64,
    /// When what was accepted can be seen.
    visible_at: Option<UnixMillis>,
    accepted: u32,
}

impl Model {
    fn roll(&mut self, sides: u64) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
        (self.dice >> 33) % sides
    }

    fn send(&mut self, now: UnixMillis) -> Outcome<Found> {
        match self.roll(6) {
            0 => return Outcome::NotSent(Hindrance::Connect),
            1 => return refused(429, ""),
            2 => return Outcome::Unclear(Why::Lost),
            _ => {}
        }
        // It may look at the account before it looks at the id.
        let answer = if self.roll(4) == 0 {
            refused(422, "pagamento_negado")
        } else if self.visible_at.is_some() {
            refused(409, "id_envio_duplicado")
        } else {
            self.accepted += 1;
            // Longer than it takes to be sent again, shorter than that twice.
            self.visible_at = Some(now + Millis(self.roll(18_000)));
            Outcome::Done(found(1550))
        };
        if self.roll(2) == 0 { Outcome::Unclear(Why::TimedOut) } else { answer }
    }

    fn ask(&mut self, now: UnixMillis) -> Outcome<Found> {
        match self.roll(4) {
            0 => Outcome::Unclear(Why::Failed { status: 500, code: None }),
            _ if self.visible_at.is_some_and(|at| at <= now) => Outcome::Done(found(1550)),
            _ => refused(404, "nao_encontrado"),
        }
    }
}

#[test]
fn whatever_is_lost_the_ending_is_true_and_nothing_is_done_twice() {
    let mut refusals = 0;
    for seed in 0..5000 {
        let mut model = Model { dice: seed, visible_at: None, accepted: 0 };
        let (mut errand, mut now) = (errand(), START);
        let ending = loop {
            let dice = model.roll(1000);
            let step = next(&errand, &mut now);
            now = now + Millis(model.roll(300));
            let ending = match step {
                Step::Send => errand.sent(now, model.send(now), dice),
                Step::Ask => errand.asked(now, model.ask(now), dice),
                Step::Wait { .. } => panic!("it waits for ever"),
            };
            if let Some(ending) = ending {
                break ending;
            }
            assert!(now.since(START) < Millis::from_secs(3600), "seed {seed} has no end");
        };
        match ending {
            Ending::Done(_) => assert_eq!(model.accepted, 1, "seed {seed}"),
            Ending::Refused(_) => {
                refusals += 1;
                assert_eq!(model.accepted, 0, "seed {seed}");
            }
            Ending::Mismatched(_) => panic!("seed {seed}: nothing else was ordered"),
        }
    }
    assert!(refusals > 100, "{refusals} refusals: the model shows nothing");
}
