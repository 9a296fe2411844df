//! How hard the provider is asked: limit, silence, breaker, budget.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use ibora::pix::client::Bounds;
use ibora_domain::pix::Txid;
use ibora_domain::provider::{Hindrance, Outcome};
use uuid::Uuid;

use super::desk::Reply;
use super::{EVER, Scene, bounds};

const BALANCE: &str = r#"{"saldo":"10.00"}"#;

#[actix::test]
async fn calls_keep_to_the_agreed_pace_and_who_would_wait_too_long_is_told() {
    let slow = Bounds { reads_per_s: 10, burst: 2, ..bounds() };
    let scene = Scene::within(slow, |_| Reply::ok(BALANCE)).await;
    let began = Instant::now();
    let calls = join_all((0..7).map(|_| scene.provider.balance())).await;
    assert!(calls.iter().all(|outcome| matches!(outcome, Outcome::Done(_))));
    assert!(began.elapsed() >= Duration::from_millis(500), "five calls beyond the burst");

    let impatient =
        Bounds { reads_per_s: 1, burst: 1, call_timeout: Duration::from_secs(3), ..bounds() };
    let scene = Scene::within(impatient, |_| Reply::ok(BALANCE)).await;
    let calls = join_all((0..50).map(|_| scene.provider.balance())).await;
    let late = calls.iter().filter(|outcome| **outcome == Outcome::NotSent(Hindrance::Pace));
    assert!(late.count() >= 30);
    assert!(scene.desk.asked().len() <= 20);
}

#[actix::test]
async fn a_provider_that_asks_for_silence_gets_it_from_everybody() {
    for retries_max in [0, 2] {
        let mut seen = 0;
        let scene = Scene::within(Bounds { retries_max, ..bounds() }, move |_| {
            seen += 1;
            if seen == 1 {
                return Reply::With(429, "Retry-After: 1\r\n", String::new());
            }
            Reply::ok(BALANCE)
        })
        .await;
        let began = Instant::now();
        let first = scene.provider.balance().await;
        assert_eq!(matches!(first, Outcome::Done(_)), retries_max > 0, "{first:?}");
        let second = scene.provider.balance().await;
        assert!(matches!(second, Outcome::Done(_)), "{second:?}");
        assert!(began.elapsed() >= Duration::from_secs(1));
    }
}

#[actix::test]
async fn a_provider_that_fails_is_left_alone_and_then_tried_by_one() {
    let pause = Duration::from_secs(2);
    let bounds = Bounds { failures_max: 5, pause, retries_max: 0, ..bounds() };
    let mut seen = 0;
    let scene = Scene::within(bounds, move |_| {
        seen += 1;
        if seen <= 5 { Reply::error(503, "indisponivel") } else { Reply::ok(BALANCE) }
    })
    .await;
    for _ in 0..5 {
        assert!(matches!(scene.provider.balance().await, Outcome::Unclear(_)));
    }
    assert!(scene.provider.is_paused());
    for _ in 0..20 {
        assert_eq!(scene.provider.balance().await, Outcome::NotSent(Hindrance::Paused));
    }
    assert_eq!(scene.desk.asked().len(), 5, "nobody called");
    let deadline = Instant::now() + EVER;
    while scene.provider.is_paused() && Instant::now() < deadline {
        tokio::time::sleep(pause / 20).await;
    }
    assert!(matches!(scene.provider.balance().await, Outcome::Done(_)));
    assert_eq!(scene.desk.asked().len(), 6);
}

#[actix::test]
async fn repeats_stay_a_part_of_all_calls() {
    let scene = Scene::open(|_| Reply::error(500, "erro_aplicacao")).await;
    for _ in 0..40 {
        let outcome = scene.provider.charge(&Txid::from(Uuid::from_u128(1))).await;
        assert!(matches!(outcome, Outcome::Unclear(_)));
    }
    // A reserve of ten, and one in ten of the calls, that for the token among them.
    let asked = scene.desk.asked().len();
    assert!((41..=54).contains(&asked), "{asked} requests");
}
