//! The saga harness: whatever a call to the provider meets, in whatever flow, each thing happens
//! once and both books agree.
//!
//! A row is what goes wrong, a column is a flow that calls the provider. Each row has an engine
//! process and a provider of its own and goes through all columns; after each cell nothing is under
//! way, the provider's books are the ledger, and every promise holds. Ends of an engine between any
//! two of its own steps are in `failpoints/money.rs`.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::future::join;
use futures_util::{FutureExt, StreamExt, stream};
use serde_json::{Value, json};

use crate::process::Process;
use crate::story::{QUICK, Story};
use crate::webhooks::bank::{Door, KEY, settings, simulator};
use crate::world::UNHURRIED;

/// Rows that are gone through at once.
const AT_ONCE: usize = 8;

/// What an engine is told beside [`QUICK`].
const SETTINGS: &[(&str, &str)] = &[
    // Five seconds of the domain in one: a charge ends after five, and is looked at after two.
    ("clock.speed", "5"),
    ("money.charge_expiry_ms", "25000"),
    ("money.payout_absent_ms", "5000"),
    ("money.payout_look_ms", "2000"),
    ("pix.connect_timeout_ms", "1500"),
    ("pix.call_timeout_ms", "1500"),
    ("pix.janitor_every_ms", "500"),
];

/// What goes wrong.
#[derive(Clone)]
enum Wrong {
    /// The flow's next call meets this.
    Call(Value),
    /// As well, and the engine is killed as soon as it has.
    Killed(Value),
    /// Every callback does.
    Callbacks(Value),
    /// Every command is sent twice.
    Commands,
}

fn rows() -> Vec<(&'static str, Wrong)> {
    let status =
        |status: u16, after: bool| json!({"kind": "status", "status": status, "after": after});
    let kind = |kind: &str| json!({ "kind": kind });
    vec![
        ("an error before it is done", Wrong::Call(status(500, false))),
        ("an error after it is done", Wrong::Call(status(500, true))),
        ("too many calls", Wrong::Call(status(429, false))),
        ("an answer that is too late", Wrong::Call(json!({"kind": "delay", "ms": 3000}))),
        ("a call that is lost", Wrong::Call(kind("drop_before"))),
        ("an answer that is lost", Wrong::Call(kind("drop_after"))),
        ("half an answer", Wrong::Call(kind("truncate"))),
        ("a state that nobody knows", Wrong::Call(kind("unknown_status"))),
        ("an end of the engine before it is done", Wrong::Killed(kind("drop_before"))),
        ("an end of the engine after it is done", Wrong::Killed(kind("drop_after"))),
        ("callbacks that come twice", Wrong::Callbacks(kind("duplicate"))),
        ("callbacks out of order", Wrong::Callbacks(kind("reorder"))),
        ("callbacks that never come", Wrong::Callbacks(kind("lose"))),
        ("commands that come twice", Wrong::Commands),
    ]
}

/// A flow that calls the provider.
#[derive(Debug, Clone, Copy)]
enum Flow {
    Charge,
    Look,
    Confirm,
    TakeBack,
    Refund,
    List,
    Balance,
    Send,
    Ask,
}

const FLOWS: [Flow; 9] = [
    Flow::Charge,
    Flow::Look,
    Flow::Confirm,
    Flow::TakeBack,
    Flow::Refund,
    Flow::List,
    Flow::Balance,
    Flow::Send,
    Flow::Ask,
];

impl Flow {
    /// Its call.
    const fn call(self) -> (&'static str, &'static str) {
        match self {
            Self::Charge => ("PUT", "/v2/cob/*"),
            Self::Look => ("GET", "/v2/cob/*"),
            Self::Confirm => ("GET", "/v2/pix/*"),
            Self::TakeBack => ("PATCH", "/v2/cob/*"),
            Self::Refund => ("PUT", "/v2/pix/*/devolucao/*"),
            Self::List => ("GET", "/v2/pix"),
            Self::Balance => ("GET", "/v2/gn/saldo"),
            Self::Send => ("PUT", "/v3/gn/pix/*"),
            Self::Ask => ("GET", "/v2/gn/pix/enviados/*"),
        }
    }

    /// Something that takes this flow, from its beginning to its end.
    async fn play(self, story: &Story<'_>) {
        match self {
            Self::Charge | Self::Confirm => {
                story.rides_and_pays().await;
            }
            Self::Look => {
                let payment = story.rides().await;
                let txid = story.charged(&payment).await;
                story.met().await;
                story.pays(&txid).await;
                story.is(&payment, "paid").await;
            }
            Self::TakeBack => {
                let payment = story.rides().await;
                story.charged(&payment).await;
                story.is(&payment, "expired").await;
                let txid = story.charged_again(&payment).await;
                story.pays(&txid).await;
                story.is(&payment, "paid").await;
            }
            Self::Refund => {
                let txid = story.rides_and_pays().await;
                let twice = story.pays(&txid).await;
                story.goes_back(&twice).await;
            }
            Self::List => {
                let stray = story.tell("pay", json!({"key": KEY, "value": "12.34"})).await;
                story.goes_back(&stray["endToEndId"]).await;
            }
            Self::Balance | Self::Send | Self::Ask => {
                // What an earlier column has earned may be there already.
                story.rides_and_pays().await;
                let payout = story.takes_out().await;
                story.ends(&payout, "done").await;
            }
        }
    }
}

/// One cell.
async fn cell(process: &mut Process, story: &Story<'_>, (wrong, flow): (&Wrong, Flow)) {
    story.heals().await;
    let fault = match wrong {
        Wrong::Call(fault) | Wrong::Killed(fault) => Some(fault),
        Wrong::Callbacks(fault) => {
            let form = json!({"on": "webhook", "fault": fault, "count": 100_000});
            story.tell("faults", form).await;
            None
        }
        Wrong::Commands => None,
    };
    if let Some(fault) = fault {
        story.fails(flow.call(), fault).await;
    }
    let killed = async {
        if matches!(wrong, Wrong::Killed(_)) {
            story.met().await;
            process.kill();
            process.launch().await;
        }
    };
    join(flow.play(story), killed).await;
    story.met().await;
}

/// One row: how many cells it has.
async fn row(wrong: &Wrong) -> usize {
    let (simulator, dir) = simulator().await;
    let own = settings(&simulator, Door::Certificate);
    let own = own.iter().map(|(key, value)| (*key, value.as_str()));
    let settings: Vec<_> = own.chain([QUICK, UNHURRIED, SETTINGS].concat()).collect();
    let mut process = Process::on_fresh_database(&settings).await;
    let people = process.seed(1, 1);
    let mut story = Story::new(process.url(""), &simulator, &people);
    story.line.repeats = matches!(wrong, Wrong::Commands);
    // The first column is the registration of our address, which every start makes.
    if let Wrong::Call(fault) | Wrong::Killed(fault) = wrong {
        story.fails(("PUT", "/v2/webhook/*"), fault).await;
    }
    process.launch().await;
    story.met().await;
    if matches!(wrong, Wrong::Killed(_)) {
        process.kill();
        process.launch().await;
    }
    story.is_registered(KEY).await;
    let pool = process.pool().await;
    for flow in FLOWS {
        cell(&mut process, &story, (wrong, flow)).await;
        story.is_sound(&pool).await;
    }
    pool.close().await;
    drop(process);
    simulator.stop().await;
    std::fs::remove_dir_all(dir).expect("its folder goes");
    FLOWS.len() + 1
}

#[expect(clippy::print_stderr, reason = "read by whoever measures, with --nocapture")]
#[actix_web::test]
async fn whatever_a_call_to_the_provider_meets_each_thing_happens_once_and_both_books_agree() {
    let (began, only) = (Instant::now(), std::env::var("IBORA_SAGA_ROW").ok());
    let rows = rows();
    let wanted = |name: &str| only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let gone = rows.iter().filter(|(name, _)| wanted(name)).map(|(name, wrong)| {
        let gone = AssertUnwindSafe(row(wrong)).catch_unwind();
        gone.map(move |gone| match gone {
            Ok(cells) => Ok(cells),
            Err(_) => {
                eprintln!("that was with {name}");
                Err(*name)
            }
        })
    });
    let gone: Vec<_> = stream::iter(gone).buffer_unordered(AT_ONCE).collect().await;
    let cells: usize = gone.iter().flatten().sum();
    eprintln!("{cells} cells in {:?}", began.elapsed());
    let failed: Vec<_> = gone.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{failed:?}");
}
