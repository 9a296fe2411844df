//! The demo, small and fast: rides are driven over real sockets, the page answers, and nothing of
//! it exists in an engine that serves.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use awc::http::StatusCode;
use ibora::bots::StreamFaults;
use ibora::config::{Config, Mode};
use ibora::demo::{Demo, DemoError, DemoOptions, Numbers};
use ibora::readmodel::audit;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::machine::{EVER, http};
use crate::pg;
use crate::world::World;

/// What the page is made of.
const FILES: [&str; 12] = [
    "demo/app.js",
    "demo/client.js",
    "demo/dom.js",
    "demo/figures.js",
    "demo/ground.js",
    "demo/line.js",
    "demo/marks.js",
    "demo/plan.js",
    "demo/ride.js",
    "demo/session.js",
    "demo/texts.js",
    "demo/style.css",
];

async fn get(url: &str) -> (StatusCode, Option<String>, Vec<u8>) {
    let mut answer = http().get(url).send().await.expect("an answer");
    let policy = answer.headers().get("content-security-policy");
    let policy = policy.map(|policy| policy.to_str().expect("text").to_owned());
    let body = answer.body().limit(4 << 20).await.expect("a body");
    (answer.status(), policy, body.to_vec())
}

async fn read(url: &str) -> Value {
    let (status, _, body) = get(url).await;
    assert_eq!(status, StatusCode::OK, "{url}");
    serde_json::from_slice(&body).expect("JSON")
}

async fn until(demo: &Demo, what: &str, holds: impl Fn(&Numbers) -> bool) {
    let deadline = Instant::now() + EVER;
    while !holds(&demo.numbers()) {
        assert!(Instant::now() < deadline, "never came: {what}: {:?}", demo.numbers());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn config(folder: &std::path::Path) -> Config {
    let (app, owner) = pg::urls().await;
    Config::with(&[
        ("database.url", &app),
        ("database.migrate_url", &owner),
        ("data.dir", &folder.display().to_string()),
        ("seed.enabled", "true"),
        ("http.workers", "1"),
        ("actors.arbiters", "1"),
        ("database.pool_size", "4"),
        ("auth.signing_key", "a key that only tests use, 32 bytes long"),
    ])
    .expect("a valid configuration")
}

#[actix_web::test]
async fn a_small_city_rides_over_real_sockets_and_is_shown() {
    let folder = std::env::temp_dir().join(format!("ibora-demo-{}", Uuid::now_v7().simple()));
    let config = config(&folder).await;
    let options = DemoOptions {
        drivers: 15,
        passengers: 30,
        speed: 60,
        seed: 5,
        listen: Some(([127, 0, 0, 1], 0).into()),
        promises: true,
        ..DemoOptions::default()
    };
    let demo = Demo::start(&config, &options, |_| {}).await.expect("starts");
    until(&demo, "three completed rides", |numbers| numbers.completed >= 3).await;

    let (status, policy, page) = get(&demo.url()).await;
    assert_eq!(status, StatusCode::OK);
    assert!(policy.expect("a policy").starts_with("default-src 'none'; script-src 'self'"));
    let page = String::from_utf8(page).expect("text");
    assert!(!page.contains("http://") || page.contains("http://www.w3.org/2000/svg"));
    for file in ["demo/app.js", "demo/style.css"] {
        assert!(page.contains(file), "{file}");
    }
    for file in FILES {
        assert_eq!(get(&format!("{}{file}", demo.url())).await.0, StatusCode::OK, "{file}");
    }
    let city = read(&format!("{}demo/city", demo.url())).await;
    assert!(city["roads"].as_array().expect("roads").len() > 3000);
    let live = read(&format!("{}demo/live", demo.url())).await;
    assert_eq!(live["drivers"].as_array().expect("drivers").len(), 15);
    assert_eq!(live["numbers"]["sockets"], 45);
    assert!(!live["feed"].as_array().expect("a feed").is_empty());
    only_who_changed_is_told(&demo).await;

    a_visitor_is_a_passenger(&demo).await;
    what_was_told_is_recorded(&demo).await;
    drivers_are_paid(&demo).await;
    demo.stop().await.expect("stops");
    std::fs::remove_dir_all(&folder).expect("cleared");
}

/// Between two looks that follow at once not all of the fifteen have moved.
async fn only_who_changed_is_told(demo: &Demo) {
    let deadline = Instant::now() + EVER;
    loop {
        let live = read(&format!("{}demo/live", demo.url())).await;
        let newer = read(&format!("{}demo/live?since={}", demo.url(), live["change"])).await;
        if newer["drivers"].as_array().expect("drivers").len() < 15 {
            return;
        }
        assert!(Instant::now() < deadline, "everybody is told again each time");
    }
}

/// Each who asks is another, and asks by JSON only, which other sites cannot send.
async fn a_visitor_is_a_passenger(demo: &Demo) {
    let url = format!("{}demo/visitors", demo.url());
    let mut people = Vec::new();
    for _ in 0..2 {
        let mut answer = http().post(&url).send_json(&json!({})).await.expect("sent");
        assert_eq!(answer.status(), StatusCode::OK);
        let visitor: Value = answer.json().await.expect("JSON");
        let me = http()
            .get(format!("{}v1/me", demo.url()))
            .bearer_auth(visitor["token"].as_str().expect("a token"));
        let me: Value = me.send().await.expect("an answer").json().await.expect("JSON");
        assert_eq!(me["user"]["role"], "passenger", "{me}");
        people.push(me["user"]["id"].clone());
    }
    assert_ne!(people[0], people[1]);
    let plain = http().post(&url).content_type("text/plain").send_body("{}");
    assert!(plain.await.expect("an answer").status().is_client_error());
}

/// The bots' own log against the database.
async fn what_was_told_is_recorded(demo: &Demo) {
    let promises = demo.promises().expect("kept");
    assert_eq!(promises.duplicates(), Vec::<Uuid>::new());
    let faults = promises.faults();
    // An event may come twice, never not at all.
    assert_eq!(faults, StreamFaults { repeated: faults.repeated, ..StreamFaults::default() });
    let winners = promises.winners();
    assert!(winners.len() >= 3);
    let rows: Vec<(Uuid, Option<Uuid>, i64)> =
        sqlx::query_as("SELECT id, driver_id, version FROM rides")
            .fetch_all(&demo.app().store.pool)
            .await
            .expect("rides");
    let rows: HashMap<_, _> =
        rows.into_iter().map(|(id, driver, version)| (id, (driver, version))).collect();
    for (ride, won) in winners {
        assert_eq!(rows[&ride].0, won.last().copied(), "who was told he won, has the ride");
    }
    for (ride, seen) in promises.versions() {
        // An event of a driver has his own id for a key.
        if let Some((_, version)) = rows.get(&ride) {
            assert!(i64::try_from(seen).expect("small") <= *version, "{ride} went back");
        }
    }
    let numbers = demo.numbers();
    assert_eq!((numbers.unanswered, numbers.odd_refusals), (0, 0), "{numbers:?}");
}

/// What passengers paid is held for a while, and then with the drivers' bank; the books are sound.
async fn drivers_are_paid(demo: &Demo) {
    until(demo, "a driver is paid", |numbers| numbers.payouts >= 2).await;
    assert!(demo.numbers().paid_out_centavos >= 2 * 950, "what is worth its fee");
    let live = read(&format!("{}demo/live", demo.url())).await;
    assert!(live["numbers"]["payouts"].as_u64().expect("a count") >= 2, "{live}");
    demo.app().journal.flush().await;
    let findings = audit(&demo.app().store.pool, |_| {}).await.expect("audits");
    let broken: Vec<_> = findings.iter().filter(|found| found.violations > 0).collect();
    assert!(broken.is_empty(), "promises broken: {broken:?}");
}

#[actix_web::test]
async fn an_engine_that_serves_has_neither_page_nor_positions() {
    let world = World::start().await;
    for path in ["", "demo/live", "demo/city"].iter().chain(&FILES) {
        let (status, _, _) = get(&format!("{}/{path}", world.url())).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    for path in ["demo/visitors", "demo/pins"] {
        let url = format!("{}/{path}", world.url());
        let answer = http().post(url).send_json(&json!({})).await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::NOT_FOUND, "{path}");
    }
    world.stop().await;
}

#[actix_web::test]
async fn a_demo_stays_away_from_real_people() {
    let folder = std::env::temp_dir().join(format!("ibora-demo-{}", Uuid::now_v7().simple()));
    let mut config = config(&folder).await;
    let start = async |config: &Config| {
        Demo::start(config, &DemoOptions::default(), |_| {}).await.err().expect("refused")
    };
    config.seed.enabled = false;
    assert!(matches!(start(&config).await, DemoError::ForeignDatabase));
    config.mode = Mode::Production;
    assert!(matches!(start(&config).await, DemoError::Production));
    assert!(!folder.exists(), "nothing was written");
}
