//! The engine ends at every kill point of money: it is started again, people go on with what they
//! began, and then the provider's books are the ledger. Nothing is charged, paid or sent twice.

use std::panic::AssertUnwindSafe;

use futures_util::future::join;
use futures_util::{FutureExt, StreamExt, stream};
use ibora::obs::failpoints::TABLE;
use serde_json::{Value, json};

use super::ABORTED;
use crate::process::{Person, Process};
use crate::story::{Story, make_admin};
use crate::webhooks::bank::{Door, settings, simulator};

/// Engines that are ended at once.
const AT_ONCE: usize = 6;

/// What every scene needs: nothing waits for long.
const QUICK: &[(&str, &str)] = &[
    ("auth.password_memory_kib", "64"),
    ("auth.password_iterations", "1"),
    ("dispatch.offer_ttl_ms", "6000000"),
    ("presence.timeout_ms", "6000000"),
    ("money.hold_ms", "0"),
    ("money.payout_absent_ms", "1000"),
    ("money.payout_look_ms", "500"),
    ("pix.pause_ms", "200"),
    ("pix.janitor_every_ms", "300"),
    ("pix.callback_within_ms", "0"),
];

/// What brings an engine to a point.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scene {
    /// A ride is paid, paid twice, and its driver paid out.
    Paid,
    /// The same, and no callback ever comes.
    Untold,
    /// A charge ends unpaid, and another is paid.
    Expired,
    /// The provider refuses a charge, and takes the next one.
    Uncharged,
    /// The provider fails refunds and refuses payouts; what was paid out comes back.
    Refused,
    /// Two people decide on payouts.
    Decided,
    /// Nobody can learn what became of a payout.
    Aside,
    /// Credit that was put in and given pays a part of a ride.
    Prepaid,
    /// Credit pays a part of a fee, which is waived then.
    Returned,
}

/// Whether a point is of money.
pub(super) fn is_of_money(point: &str) -> bool {
    let room = point.split('.').next().expect("a room");
    matches!(
        room,
        "payment"
            | "credit"
            | "wallet"
            | "effect"
            | "callback"
            | "notice"
            | "janitor"
            | "registration"
    )
}

impl Scene {
    fn of(point: &str) -> Self {
        let (room, moment) = point.split_once('.').expect("a room");
        match (room, moment.split('.').next().expect("a moment")) {
            ("janitor", _) => Self::Untold,
            ("payment", "top_up_asked" | "credit_used") | ("credit", _) => Self::Prepaid,
            ("payment", "relieved") => Self::Returned,
            ("payment", "charge_ordered" | "charge_ended" | "credit_asked") => Self::Expired,
            ("effect", "look" | "take_back") => Self::Expired,
            ("payment", "charge_refused") => Self::Uncharged,
            ("payment", "refund_failed") => Self::Refused,
            ("wallet", "payout_failed" | "payout_returned") => Self::Refused,
            ("wallet", "payout_approved" | "payout_rejected") => Self::Decided,
            ("wallet", "payout_set_aside") => Self::Aside,
            _ => Self::Paid,
        }
    }

    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Paid | Self::Untold | Self::Uncharged | Self::Prepaid | Self::Returned => &[],
            Self::Expired => &[("clock.speed", "5"), ("money.charge_expiry_ms", "15000")],
            // A refund that failed is tried again after a minute.
            Self::Refused => &[("clock.speed", "20")],
            Self::Decided => &[("money.payout_approval_above", "1.00")],
            Self::Aside => &[("money.payout_held_ms", "1000")],
        }
    }

    async fn play(self, story: &Story<'_>) {
        match self {
            Self::Paid => paid(story).await,
            Self::Untold => {
                story
                    .tell(
                        "faults",
                        json!({"on": "webhook", "fault": {"kind": "lose"},
                    "count": 100_000}),
                    )
                    .await;
                paid(story).await;
            }
            Self::Expired => expired(story).await,
            Self::Uncharged => uncharged(story).await,
            Self::Refused => refused(story).await,
            Self::Decided => decided(story).await,
            Self::Aside => aside(story).await,
            Self::Prepaid => prepaid(story).await,
            Self::Returned => returned(story).await,
        }
    }
}

async fn paid(story: &Story<'_>) {
    let txid = story.rides_and_pays().await;
    let twice = story.pays(&txid).await;
    story.goes_back(&twice).await;
    let payout = story.takes_out().await;
    story.ends(&payout, "done").await;
}

async fn expired(story: &Story<'_>) {
    let payment = story.rides().await;
    story.charged(&payment).await;
    story.is(&payment, "expired").await;
    let txid = story.charged_again(&payment).await;
    story.pays(&txid).await;
    story.is(&payment, "paid").await;
}

async fn uncharged(story: &Story<'_>) {
    // What is refused may be asked for again while nobody has recorded that.
    always_fails(story, ("PUT", "/v2/cob/*"), 400).await;
    let payment = story.rides().await;
    story.is(&payment, "expired").await;
    story.heals().await;
    let txid = story.charged_again(&payment).await;
    story.pays(&txid).await;
    story.is(&payment, "paid").await;
}

async fn refused(story: &Story<'_>) {
    let txid = story.rides_and_pays().await;
    story.tell("script", json!({"fail_refunds": 1})).await;
    let twice = story.pays(&txid).await;
    story.goes_back(&twice).await;
    story.tell("script", json!({"deny_sends": 1000})).await;
    let denied = story.takes_out().await;
    story.ends(&denied, "failed").await;
    story.tell("script", json!({"deny_sends": 0})).await;
    let done = story.takes_out().await;
    story.ends(&done, "done").await;
    let id = done.rsplit('/').next().expect("an id").replace('-', "");
    story.tell(&format!("payouts/{id}/return"), json!({"value": "5.00"})).await;
    let returned = |has: &Value| has["available"] == "5.00";
    story.line.until("/v1/me/balance", &story.driver.token, returned).await;
}

async fn decided(story: &Story<'_>) {
    let admins = [story.line.logs_in("ada").await, story.line.logs_in("bob").await];
    story.rides_and_pays().await;
    let payout = story.takes_out().await;
    for admin in &admins {
        let approve = format!("{payout}/approve");
        story.line.does(("POST", &approve), admin, json!({})).await;
    }
    story.ends(&payout, "done").await;
    story.rides_and_pays().await;
    let payout = story.takes_out().await;
    let reject = format!("{payout}/reject");
    story.line.does(("POST", &reject), &admins[0], json!({"reason": "not today"})).await;
    story.ends(&payout, "rejected").await;
}

async fn aside(story: &Story<'_>) {
    story.rides_and_pays().await;
    story.fails(("PUT", "/v3/gn/pix/*"), &json!({"kind": "drop_after"})).await;
    always_fails(story, ("GET", "/v2/gn/pix/enviados/*"), 503).await;
    let payout = story.takes_out().await;
    story.line.until(&payout, &story.driver.token, |payout| payout["status"] == "unclear").await;
    story.heals().await;
    story.ends(&payout, "done").await;
}

async fn prepaid(story: &Story<'_>) {
    let admin = story.line.logs_in("ada").await;
    story.is_given(&admin, "2.00").await;
    story.tops_up("5.00").await;
    let payment = story.rides().await;
    let txid = story.charged(&payment).await;
    let shown = story.is(&payment, "pending").await;
    assert_eq!(shown["credited"], "7.00", "once: {shown}");
    story.pays(&txid).await;
    story.is(&payment, "paid").await;
    story.has_credit("0.00").await;
    story.is_given(&admin, "200.00").await;
    let payment = story.rides().await;
    story.is(&payment, "paid").await;
}

async fn returned(story: &Story<'_>) {
    let admin = story.line.logs_in("ada").await;
    story.is_given(&admin, "2.00").await;
    let fee = story.calls_off().await;
    story.charged(&fee).await;
    let waive = format!("{fee}/waive");
    story.line.does(("POST", &waive), &admin, json!({"reason": "rain"})).await;
    story.is(&fee, "waived").await;
    story.has_credit("2.00").await;
}

async fn always_fails(story: &Story<'_>, (method, path): (&str, &str), status: u16) {
    let fault = json!({"kind": "status", "status": status});
    let form =
        json!({"on": "api", "method": method, "path": path, "count": 100_000, "fault": fault});
    story.tell("faults", form).await;
}

/// Ends an engine at a point, starts it again, and sees all that was begun through to its end.
async fn walk(seeded: &Process, people: &[Person], point: &str) {
    let scene = Scene::of(point);
    let (simulator, dir) = simulator().await;
    let own = settings(&simulator, Door::Certificate);
    let own = own.iter().map(|(key, value)| (*key, value.as_str()));
    let settings: Vec<_> = own.chain(QUICK.iter().chain(scene.settings()).copied()).collect();
    let mut process = seeded.on_copy(&settings).await;
    let story = Story::new(process.url(""), &simulator, people);
    process.arm(Some(point));
    process.spawn();
    let survives = async {
        let ended = process.end_signal().await;
        let log = process.log_text();
        assert_eq!(ended, ABORTED, "not reached: {log}");
        assert!(log.contains(&format!("aborting at {point}:1")), "another point: {log}");
        process.arm(None);
        process.launch().await;
    };
    join(survives, scene.play(&story)).await;
    let pool = process.pool().await;
    story.is_sound(&pool).await;
    pool.close().await;
    process.remove().await;
    simulator.stop().await;
    std::fs::remove_dir_all(dir).expect("its folder goes");
}

/// An engine that was not started, with people in its database.
async fn seeded() -> (Process, Vec<Person>) {
    let seeded = Process::on_fresh_database(QUICK).await;
    let people = seeded.seed(1, 1);
    for name in ["ada", "bob"] {
        make_admin(&seeded, name).await;
    }
    (seeded, people)
}

#[expect(clippy::print_stderr, reason = "read by whoever measures, with --nocapture")]
#[actix_web::test]
async fn wherever_the_engine_ends_money_moves_once_and_the_provider_s_books_are_the_ledger() {
    let began = std::time::Instant::now();
    let (seeded, people) = seeded().await;
    let only = std::env::var("IBORA_FAILPOINT").ok();
    let wanted = |name: &&str| {
        is_of_money(name) && only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    };
    let points: Vec<_> = TABLE.iter().map(|(_, name, _)| *name).filter(wanted).collect();
    let walked = points.iter().map(|&point| {
        let walked = AssertUnwindSafe(walk(&seeded, &people, point)).catch_unwind();
        walked.map(move |walked| {
            let failed = walked.is_err();
            failed.then(|| eprintln!("that was at {point}")).map(|()| point)
        })
    });
    let failed: Vec<_> = stream::iter(walked).buffer_unordered(AT_ONCE).collect().await;
    let failed: Vec<_> = failed.into_iter().flatten().collect();
    eprintln!("{} ends of an engine in {:?}", points.len(), began.elapsed());
    assert!(failed.is_empty(), "{failed:?}");
}
