//! The engine ends at every kill point, once each, and nothing that anybody was told is lost.
//!
//! Only in builds with the feature `failpoints`. A point is armed, people bring the engine to it,
//! another engine takes up what is there, and everybody asks again.

mod crew;
mod money;
mod phone;
mod scenes;
mod told;

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use futures_util::{FutureExt, StreamExt, stream};
use ibora::obs::failpoints::TABLE;
use ibora::readmodel::audit;

use crate::process::{Person, Process};
use crate::world::UNHURRIED;
use crew::Crew;

/// SIGABRT: nothing but a kill point ends an engine so.
const ABORTED: Option<i32> = Some(6);
/// Engines that are ended at once.
const AT_ONCE: usize = 6;

/// What brings an engine to a point.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scene {
    /// The start, with rides in flight from before.
    Start,
    /// A whole day of rides, and an orderly end after it.
    Day,
    /// Hours in which nobody answers.
    Night,
    /// A ride that lasts longer than anybody waits for word of it.
    Endless,
}

/// How often a point is passed before it ends the engine: what every command and commit passes is
/// also tried in the middle of the day.
const OFTEN: &[&str] = &[
    "command.taken",
    "command.answered",
    "journal.claimed",
    "journal.numbered",
    "journal.before_call",
    "journal.after_call",
    "journal.written",
    "journal.published",
    "journal.released",
    "journal.told",
    "session.write",
];

impl Scene {
    fn of(point: &str) -> Self {
        match point {
            _ if point.starts_with("start.") => Self::Start,
            "to_passenger.alarm" | "to_ride.whose_is_it" => Self::Endless,
            "to_driver.alarm" | "to_ride.alarm" => Self::Night,
            _ if point.starts_with("ride.offers_expired") => Self::Night,
            _ if point.starts_with("ride.no_driver") => Self::Night,
            _ if point.starts_with("driver.lost") => Self::Night,
            _ => Self::Day,
        }
    }

    /// Offers to both drivers at once, and times in which the scene comes about.
    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Start | Self::Day => &[("dispatch.waves", "[2]")],
            Self::Night => &[
                ("dispatch.waves", "[2]"),
                ("dispatch.offer_ttl_ms", "500"),
                ("dispatch.accept_grace_ms", "0"),
                ("dispatch.head_start_ms", "500"),
                ("dispatch.wave_ms", "500"),
                ("dispatch.search_ms", "1500"),
                ("presence.timeout_ms", "1000"),
            ],
            Self::Endless => &[("dispatch.waves", "[2]"), ("clock.speed", "100")],
        }
    }
}

/// The phones say nothing while others act, which takes its time where many engines are at it.
const QUIET: &[(&str, &str)] = &[("session.idle_ms", "600000"), ("session.active_ms", "600000")];

/// How often each point is walked; more by `IBORA_FAILPOINT_ROUNDS`.
fn rounds() -> u64 {
    std::env::var("IBORA_FAILPOINT_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

fn walks() -> Vec<(&'static str, u64)> {
    let of_round = |round: u64| {
        let rides = TABLE.iter().filter(|(_, name, _)| !money::is_of_money(name));
        rides.flat_map(move |(_, name, _)| {
            let more = OFTEN.contains(name).then_some((*name, 4 + 2 * round));
            [Some((*name, 1)), more].into_iter().flatten()
        })
    };
    (0..rounds()).flat_map(of_round).collect()
}

/// Ends an engine at the nth pass of a point, and holds the next ones to what was told.
async fn walk(seeded: &Process, people: &[Person], (point, nth): (&str, u64)) {
    let scene = Scene::of(point);
    let unhurried = if scene == Scene::Night { &[][..] } else { UNHURRIED };
    let settings = [scene.settings(), unhurried, QUIET].concat();
    let mut process = seeded.on_copy(&settings).await;
    let crew = Crew::new(process.url(""), people);
    if scene == Scene::Start {
        process.launch().await;
        crew.day().await.expect("a whole day");
        crew.on_the_way().await.expect("a ride in flight");
        process.kill();
    }
    process.arm(Some(&format!("{point}:{nth}")));
    process.spawn();
    let ended = end(&mut process, &crew, scene).await;
    let log = process.log_text();
    assert_eq!(ended, ABORTED, "not reached: {log}");
    assert!(log.contains(&format!("aborting at {point}:{nth}")), "another point: {log}");
    process.arm(None);
    process.launch().await;
    crew.ask_again().await;
    process.kill();
    process.launch().await;
    crew.ask_again().await;
    let pool = process.pool().await;
    let findings = audit(&pool, |_| {}).await.expect("audits");
    let broken: Vec<_> = findings.into_iter().filter(|finding| finding.violations > 0).collect();
    assert!(broken.is_empty(), "{broken:?}");
    pool.close().await;
    process.remove().await;
}

/// Plays the scene until the engine ends: the signal that ended it.
async fn end(process: &mut Process, crew: &Crew, scene: Scene) -> Option<i32> {
    if scene != Scene::Start {
        let played = async {
            crew.ready().await;
            match scene {
                Scene::Start | Scene::Day => crew.day().await,
                Scene::Night => crew.night().await,
                Scene::Endless => crew.endless().await,
            }
        };
        tokio::select! {
            signal = process.end_signal() => return signal,
            // One that breaks off is on its way to its end.
            Some(()) = played => {}
        }
        process.signal("TERM");
    }
    process.end_signal().await
}

#[expect(clippy::print_stderr, reason = "read by whoever measures, with --nocapture")]
#[actix_web::test]
async fn whatever_the_engine_was_doing_when_it_ended_nothing_told_is_lost() {
    let began = Instant::now();
    let seeded = Process::on_fresh_database(&[]).await;
    let people = seeded.seed(2, 2);
    let walks = walks();
    let walked = walks.iter().map(|&at| {
        let walked = AssertUnwindSafe(walk(&seeded, &people, at)).catch_unwind();
        walked.map(move |walked| {
            let failed = walked.is_err();
            failed.then(|| eprintln!("that was at {at:?}")).map(|()| at)
        })
    });
    let failed: Vec<_> = stream::iter(walked).buffer_unordered(AT_ONCE).collect().await;
    let failed: Vec<_> = failed.into_iter().flatten().collect();
    eprintln!("{} ends of an engine in {:?}", walks.len(), began.elapsed());
    assert!(failed.is_empty(), "{failed:?}");
}

#[actix_web::test]
async fn a_point_that_is_not_there_is_refused_at_the_start() {
    let process = Process::on_fresh_database(&[]).await;
    for (given, said) in [
        ("journal.writen", "there is no point `journal.writen`"),
        ("journal.written:0", "`0` is no count of passes"),
    ] {
        let mut command = process.command();
        command.arg("serve").env("IBORA_ABORT_AT", given).stderr(std::process::Stdio::piped());
        let output = command.output().expect("runs");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains("IBORA_ABORT_AT") && told.contains(said), "{told}");
    }
}

#[actix_web::test]
async fn the_points_are_listed_each_with_a_sentence() {
    let process = Process::on_fresh_database(&[]).await;
    let mut command = process.command();
    command.arg("failpoints").stdout(std::process::Stdio::piped());
    let output = command.output().expect("runs");
    let listed = String::from_utf8(output.stdout).expect("text");
    assert_eq!(listed.lines().count(), TABLE.len());
    for ((_, name, sentence), line) in TABLE.iter().zip(listed.lines()) {
        assert!(line.starts_with(name) && line.ends_with(sentence), "{line}");
    }
}
