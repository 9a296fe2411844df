//! An engine that dies between a commit and what follows from it: the payment goes on all the same.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::till::{Bank, settings};
use crate::clients::{Clients, HERE};
use crate::machine::{EVER, http};
use crate::process::{Person, Process};

/// What this person is shown at `path`, once it is as wanted.
async fn until(
    process: &Process,
    who: &Person,
    path: &str,
    wanted: impl Fn(&Value) -> bool,
) -> Value {
    let deadline = Instant::now() + EVER;
    loop {
        let bearer = format!("Bearer {}", who.token);
        let call = http().get(process.url(path));
        let answer = call.insert_header(("Authorization", bearer)).send().await;
        if let Ok(mut answer) = answer
            && let Ok(shown) = answer.json::<Value>().await
            && wanted(&shown)
        {
            return shown;
        }
        assert!(Instant::now() < deadline, "never came: {path}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A ride by Pix: its id and its PIN.
async fn order(process: &Process, passenger: &Person) -> (String, String) {
    let (lat, lng) = HERE;
    let body = json!({"pickup": {"lat": lat, "lng": lng},
        "dropoff": {"lat": lat - 0.02, "lng": lng}, "category": "economy",
        "payment_method": "pix"});
    let call = http().post(process.url("/v1/rides"));
    let call = call.insert_header(("Authorization", format!("Bearer {}", passenger.token)));
    let mut answer = call.send_json(&body).await.expect("an answer");
    let ride: Value = answer.json().await.expect("JSON");
    let text = |name: &str| ride[name].as_str().expect("a text").to_owned();
    (text("id"), text("pin"))
}

#[actix_web::test]
async fn a_ride_that_was_recorded_is_charged_although_its_payment_was_never_told() {
    for point in ["ride.completed.recorded", "ride.completed.decided"] {
        let bank = Bank::open().await;
        let own = settings(&bank);
        let own: Vec<_> = own.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let mut process = Process::start(&own).await;
        let people = process.seed(1, 1);
        let of = |role: &str| people.iter().find(|person| person.role == role).expect("one");
        let (driver, passenger) = (of("driver").clone(), of("passenger").clone());
        process.kill();
        process.arm(Some(point));
        process.launch().await;
        let clients = Clients::new(&[&process], people);
        clients.go_online(&driver, None, HERE).await;
        let (ride, pin) = order(&process, &passenger).await;
        clients.accept_when_offered(&driver, &ride).await;
        let said = clients.step((&driver, None), "ride.arrive", &ride, json!({})).await;
        assert!(said.is_ok(), "{said:?}");
        let said = clients.step((&driver, None), "ride.start", &ride, json!({ "pin": pin })).await;
        assert!(said.is_ok(), "{said:?}");
        let url = process.url(&format!("/v1/rides/{ride}/complete"));
        let complete = async || {
            let call = http().post(&url).insert_header(("Idempotency-Key", "end"));
            let call = call.insert_header(("Authorization", format!("Bearer {}", driver.token)));
            call.send_json(&json!({})).await.is_ok_and(|answer| answer.status().is_success())
        };
        assert!(!complete().await, "nobody was answered");
        process.end_signal().await;
        process.arm(None);
        process.launch().await;
        if point.ends_with("decided") {
            assert!(complete().await, "not recorded, so it is asked for again");
        }
        let path = format!("/v1/rides/{ride}");
        let ride = until(&process, &passenger, &path, |ride| ride["payment"].is_object()).await;
        let id = ride["payment"]["payment_id"].as_str().expect("an id");
        let path = format!("/v1/payments/{id}");
        until(&process, &passenger, &path, |payment| payment["pix"].is_object()).await;
        assert_eq!(bank.books().await["charges"].as_array().map(Vec::len), Some(1));
        assert_eq!(process.audit(), Some(0));
        drop(process);
        bank.close().await;
    }
}
