//! The access token: asked for once, renewed in time, and again where it is not taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use futures_util::future::join_all;
use ibora_domain::provider::{Hindrance, Outcome};

use super::desk::{Asked, Reply};
use super::{EVER, Scene, bounds};

const BALANCE: &str = r#"{"saldo":"10.00","bloqueios":{"judicial":"0.00","med":"1.00"}}"#;

#[actix::test]
async fn a_call_goes_out_with_a_token_that_was_asked_for_by_id_and_secret() {
    let scene = Scene::whole(bounds(), |asked| {
        if !asked.is_token() {
            assert!(asked.headers.contains("authorization: Bearer t60"), "{}", asked.headers);
            return Reply::ok(BALANCE);
        }
        assert!(asked.headers.contains("authorization: Basic Y2xpZW50OnNlY3JldA=="));
        assert_eq!(asked.body, r#"{"grant_type":"client_credentials"}"#);
        Reply::token(60)
    })
    .await;
    for _ in 0..3 {
        let balance = scene.provider.balance().await.done().expect("an answer");
        assert_eq!(balance.available.0, 1000);
    }
    assert_eq!(scene.desk.tokens(), 1);
    let asked = scene.desk.asked();
    assert_eq!(asked[0].line, "GET /v2/gn/saldo?bloqueios=true");
    assert!(asked.iter().all(|asked| asked.connection == 0), "the connection is used again");
}

#[actix::test]
async fn a_hundred_callers_ask_for_one_token() {
    let scene = Scene::open(|_| Reply::ok(BALANCE)).await;
    let calls = join_all((0..100).map(|_| scene.provider.balance())).await;
    assert!(calls.iter().all(|outcome| matches!(outcome, Outcome::Done(_))));
    assert_eq!(scene.desk.tokens(), 1);
}

#[actix::test]
async fn a_hundred_callers_hear_of_one_refused_request_for_a_token() {
    let scene = Scene::whole(bounds(), |asked| {
        assert!(asked.is_token(), "no call goes out without one");
        Reply::With(429, "retry-after: 600\r\n", String::new())
    })
    .await;
    for _ in 0..3 {
        let calls = join_all((0..100).map(|_| scene.provider.balance())).await;
        for outcome in calls {
            let Outcome::NotSent(Hindrance::TokenRefused(error)) = outcome else {
                panic!("{outcome:?}");
            };
            assert_eq!(error.status, 429);
        }
    }
    assert_eq!(scene.desk.tokens(), 1, "the provider asked for silence");
}

#[actix::test]
async fn a_token_is_renewed_beside_the_work_before_it_ends() {
    let tokens = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&tokens);
    let scene = Scene::whole(bounds(), move |asked| {
        if asked.is_token() {
            count.fetch_add(1, Ordering::Relaxed);
            return Reply::token(5);
        }
        Reply::ok(BALANCE)
    })
    .await;
    let deadline = Instant::now() + EVER;
    while tokens.load(Ordering::Relaxed) < 2 {
        assert!(Instant::now() < deadline, "never renewed");
        let outcome = scene.provider.balance().await;
        assert!(matches!(outcome, Outcome::Done(_)), "{outcome:?}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[actix::test]
async fn a_token_that_is_not_taken_is_replaced_once_and_the_call_repeated_once() {
    for accepted_at in [2, usize::MAX] {
        let mut tokens = 0;
        let script = move |asked: &Asked| {
            if asked.is_token() {
                tokens += 1;
                return Reply::token(3600);
            }
            if tokens >= accepted_at { Reply::ok(BALANCE) } else { Reply::Says(401, String::new()) }
        };
        let scene = Scene::whole(bounds(), script).await;
        let outcome = scene.provider.balance().await;
        assert_eq!((scene.desk.tokens(), scene.desk.asked().len()), (2, 2));
        match outcome {
            Outcome::Done(_) => assert_eq!(accepted_at, 2),
            Outcome::Refused(error) => assert_eq!((error.status, accepted_at), (401, usize::MAX)),
            other => panic!("{other:?}"),
        }
    }
}
