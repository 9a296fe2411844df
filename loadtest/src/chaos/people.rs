//! What drivers and passengers do: they go by what they see on their phones, and by nothing else.

use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ibora_domain::place::Coordinates;
use ibora_domain::ride::Status;
use rand::RngExt;
use rand::seq::IteratorRandom;
use serde_json::json;
use uuid::Uuid;

use super::memory::Told;
use super::phone::Phone;
use super::run::Phase;
use super::view::{Offer, Seen};

/// A look at the phone, when nothing happens.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// After something that went otherwise than the phone let expect.
const PUZZLED: Duration = Duration::from_millis(300);
/// How long passengers search, and then pause.
const PATIENCE: Duration = Duration::from_secs(12);
const PAUSE_MS: std::ops::Range<u64> = 20..400;

/// Shares of what people do.
const DECLINES: f64 = 0.1;
const GIVES_BACK: f64 = 0.15;
const GOES_OFFLINE: f64 = 0.01;
const CHANGES_MIND: f64 = 0.1;
const TAKES_ANOTHER_PHONE: f64 = 0.01;

/// A driver who works until his future is dropped.
pub(super) async fn drive(mut phone: Phone) {
    let run = Rc::clone(&phone.run);
    let mut report_at = Instant::now();
    loop {
        let now = Instant::now();
        if now >= report_at {
            report_at = now + REPORT_EVERY;
            phone.report(now_ms()).await;
        }
        let before = phone.view().borrow().clone();
        match run.phase.get() {
            Phase::Quiet => phone.live(now + LOOK_EVERY).await,
            Phase::Busy if phone.rng.random_bool(TAKES_ANOTHER_PHONE) => phone.take_another().await,
            Phase::Busy | Phase::Finishing => {
                if let Some(ride) = &before.ride {
                    next_step(&mut phone, ride).await;
                } else if !before.online {
                    go_online(&mut phone).await;
                } else if let Some(offer) = before.offers.values().choose(&mut phone.rng) {
                    answer(&mut phone, offer).await;
                } else if phone.rng.random_bool(GOES_OFFLINE) {
                    command(&mut phone, "driver.offline", json!({})).await;
                } else {
                    phone.live(now + LOOK_EVERY).await;
                }
            }
        }
    }
}

async fn go_online(phone: &mut Phone) {
    let place = phone.run.place;
    let d = json!({"category": "economy", "location": place});
    command(phone, "driver.online", d).await;
    // The word that he is online comes as an event.
    phone.live_for(LOOK_EVERY).await;
}

/// A command about the driver himself.
async fn command(phone: &mut Phone, op: &'static str, d: serde_json::Value) {
    let me = phone.person.id;
    phone.command(op, Some(me), d).await;
}

async fn answer(phone: &mut Phone, offer: &Offer) {
    let d = json!({"offer_id": offer.offer_id});
    let op = if phone.rng.random_bool(DECLINES) { "ride.decline" } else { "ride.accept" };
    phone.command(op, Some(offer.ride_id), d).await;
}

async fn next_step(phone: &mut Phone, ride: &Seen) {
    let here = json!({"location": phone.run.place});
    let (op, d) = match ride.status {
        Status::Accepted | Status::Arriving if phone.rng.random_bool(GIVES_BACK) => {
            ("ride.cancel", json!({"reason": "vehicle"}))
        }
        Status::Accepted | Status::Arriving => ("ride.arrive", here),
        Status::Started => {
            let dropoff = dropoff(phone.run.place);
            ("ride.complete", json!({"location": dropoff}))
        }
        _ => {
            let pin = phone.run.pins.borrow().get(&ride.id).cloned();
            match pin {
                Some(pin) => ("ride.start", json!({"pin": pin})),
                None => return phone.live_for(LOOK_EVERY).await,
            }
        }
    };
    let told = phone.command(op, Some(ride.id), d).await;
    wait_for_news(phone, ride, told).await;
}

/// What an answer says, an event says too: people wait for what they see.
async fn wait_for_news(phone: &mut Phone, ride: &Seen, told: Option<Told>) {
    let until =
        Instant::now() + if matches!(told, Some(Told::Yes { .. })) { PUZZLED * 3 } else { PUZZLED };
    let view = phone.view();
    while view.borrow().ride.as_ref() == Some(ride) && Instant::now() < until {
        phone.live(until).await;
    }
}

/// A passenger who travels until the future is dropped.
pub(super) async fn travel(mut phone: Phone) {
    let run = Rc::clone(&phone.run);
    let view = phone.view();
    let mut decided: Option<(Uuid, u64, bool)> = None;
    let mut since = Instant::now();
    loop {
        let now = Instant::now();
        let ride = view.borrow().ride.clone();
        let Some(ride) = ride else {
            match run.phase.get() {
                Phase::Busy => request(&mut phone).await,
                Phase::Finishing | Phase::Quiet => phone.live(now + LOOK_EVERY).await,
            }
            since = Instant::now();
            continue;
        };
        if let Some(pin) = &ride.pin {
            run.pins.borrow_mut().insert(ride.id, pin.clone());
        }
        let leaves = match decided {
            Some((id, version, leaves)) if (id, version) == (ride.id, ride.version) => leaves,
            Some(_) | None => {
                let leaves = phone.rng.random_bool(CHANGES_MIND);
                decided = Some((ride.id, ride.version, leaves));
                leaves
            }
        };
        let is_tired = ride.status == Status::Searching && now >= since + PATIENCE;
        let may_leave = ride.status != Status::Started && run.phase.get() != Phase::Quiet;
        if may_leave && (leaves || is_tired || run.phase.get() == Phase::Finishing) {
            let d = json!({"reason": "changed_mind"});
            let told = phone.command("ride.cancel", Some(ride.id), d).await;
            wait_for_news(&mut phone, &ride, told).await;
            decided = Some((ride.id, ride.version, false));
        } else if run.phase.get() == Phase::Busy && phone.rng.random_bool(TAKES_ANOTHER_PHONE) {
            phone.take_another().await;
        } else {
            phone.live(now + LOOK_EVERY).await;
        }
    }
}

async fn request(phone: &mut Phone) {
    let pause = Duration::from_millis(phone.rng.random_range(PAUSE_MS));
    phone.live_for(pause).await;
    if phone.view().borrow().ride.is_some() {
        return;
    }
    let place = phone.run.place;
    let d = json!({"pickup": place, "dropoff": dropoff(place), "category": "economy",
        "payment_method": "pix"});
    let told = phone.command("ride.request", None, d).await;
    let view = phone.view();
    let until =
        Instant::now() + if matches!(told, Some(Told::Yes { .. })) { PUZZLED * 3 } else { PUZZLED };
    while view.borrow().ride.is_none() && Instant::now() < until {
        phone.live(until).await;
    }
}

/// Where everybody wants to go from here.
pub(super) fn dropoff(place: Coordinates) -> Coordinates {
    Coordinates::new(place.lat() + 0.03, place.lng()).unwrap_or(place)
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(0)
}
