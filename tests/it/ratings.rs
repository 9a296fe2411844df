//! Ratings: who may rate whom, when, how often, and what becomes of it, through both doors.

use actix_web::http::Method;
use ibora::actors::{Caller, Command};
use ibora_domain::invariants::RATE_1;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::session::client::Client;
use crate::world::World;

/// A ride that `driver`, who is online, drove to its end; its path.
async fn completed(world: &World, driver: Caller, passenger: Caller) -> String {
    let path = started(world, driver, passenger).await;
    world.post(driver, &format!("{path}/complete"), &json!({})).await.good(200);
    path
}

async fn started(world: &World, driver: Caller, passenger: Caller) -> String {
    let path = world.offered_ride(passenger, driver).await;
    world.post(driver, &format!("{path}/accept"), &json!({})).await.good(200);
    let pin = world.get(passenger, &path).await.good(200)["pin"].clone();
    for (step, body) in [("arrive", json!({})), ("start", json!({"pin": pin}))] {
        world.post(driver, &format!("{path}/{step}"), &body).await.good(200);
    }
    path
}

fn id_of(path: &str) -> Uuid {
    path.rsplit('/').next().expect("an id").parse().expect("a UUID")
}

/// What `/me` says of a driver's rating.
async fn shown(world: &World, driver: Caller) -> Value {
    world.get(driver, "/v1/me").await.good(200)["driver"]["rating"].clone()
}

#[actix_web::test]
async fn each_of_a_rides_people_rates_the_other_once_through_any_door() {
    let mut world = World::start().await;
    let (driver, passenger) = (world.drivers_online(1).await[0], world.passenger().await);
    let mut car = Client::open(&world, driver).await;
    let (mut phone, mut tablet) =
        (Client::open(&world, passenger).await, Client::open(&world, passenger).await);
    let path = completed(&world, driver, passenger).await;
    let rating = format!("{path}/rating");
    let said = json!({"stars": 4, "comment": "calm at the wheel"});
    let id = phone.command("ride.rate", Some(id_of(&path)), said.clone()).await;
    let answer = phone.answer(&id).await;
    assert_eq!((&answer["ok"], &answer["d"]["rating"]), (&json!(true), &said));
    let rated = |frame: &Value| frame["d"]["ride"].get("rating").is_some();
    let told = tablet.until("the rating", rated).await;
    assert_eq!(told["d"]["ride"], answer["d"], "the other device shows it as given");
    let updated = car.event("driver.updated").await;
    assert_eq!(updated["d"]["driver"]["rating"], json!(4.0));
    assert_eq!(shown(&world, driver).await, json!(4.0));

    // The driver is not told what was said, and says his own over REST.
    assert!(world.get(driver, &path).await.good(200).get("rating").is_none());
    let by_driver = world.post(driver, &rating, &json!({"stars": 3})).await.good(200);
    assert_eq!(by_driver["rating"], json!({"stars": 3, "comment": null}));
    let told = car.until("his own rating", rated).await;
    assert_eq!(told["d"]["ride"]["rating"]["stars"], 3);

    world.restart().await;
    let again = async |key: &str, body: &Value| {
        let call = world.call(Method::POST, &rating).token(&world.token(passenger)).key(key);
        call.json(body).await
    };
    assert_eq!(again(&id, &said).await.good(200), answer["d"], "the same command, over REST");
    let other = json!({"stars": 5});
    assert_eq!(again(&id, &other).await.problem(422), "idempotency_key_reused");
    let same = again("another", &said).await;
    assert_eq!(same.good(200)["version"], by_driver["version"], "said before, nothing new");
    assert_eq!(again("third", &other).await.problem(409), "illegal_transition");
    assert_eq!(again("third", &other).await.problem(409), "illegal_transition");
    assert_eq!(shown(&world, driver).await, json!(4.0), "counted once");
    let mut phone = Client::open(&world, passenger).await;
    assert_eq!(phone.welcome["snapshot"]["passenger"]["rating"], json!(3.0));
    phone.command_as(&id, "ride.rate", Some(id_of(&path)), said).await;
    assert_eq!(phone.answer(&id).await, answer, "and over a session");
    world.stop().await;
}

/// Only a rating moves a mean; one that was moved otherwise is found.
async fn an_audit_finds_what_was_not_given(world: &World) {
    let by = |stars: i64| sqlx::query("UPDATE person_ratings SET stars = stars + $1").bind(stars);
    assert!(by(1).execute(world.database()).await.is_err(), "not for the engine to do");
    let owner = world.owner_pool().await;
    let violations = async || {
        let found = ibora::readmodel::audit(world.database(), |_| {}).await.expect("audits");
        let of = found.iter().find(|finding| finding.invariant == RATE_1).expect("is checked");
        of.violations
    };
    by(1).execute(&*owner).await.expect("moved");
    assert_eq!(violations().await, 1);
    by(-1).execute(&*owner).await.expect("moved back");
    assert_eq!(violations().await, 0);
}

#[actix_web::test]
async fn means_are_shown_where_people_meet() {
    let world = World::start().await;
    let (driver, admin) = (world.drivers_online(1).await[0], world.admin().await);
    let mut worst = 0.0;
    for (stars, mean) in [(5, 5.0), (4, 4.5), (4, 4.33), (1, 3.5)] {
        let passenger = world.passenger().await;
        let path = completed(&world, driver, passenger).await;
        let rating = format!("{path}/rating");
        world.post(passenger, &rating, &json!({"stars": stars})).await.good(200);
        world.until("the driver's mean", async || shown(&world, driver).await == json!(mean)).await;
        worst = mean;
    }
    an_audit_finds_what_was_not_given(&world).await;
    let listed = world.get(admin, "/v1/drivers").await.good(200);
    assert_eq!(listed["items"][0]["rating"], json!(worst), "to admins");

    let passenger = world.passenger().await;
    let path = completed(&world, driver, passenger).await;
    world.post(driver, &format!("{path}/rating"), &json!({"stars": 2})).await.good(200);
    let records = world.dispatch().journal().records();
    let known = async || records.person(passenger.user).await.expect("reads").expect("a person");
    world.until("the passenger's mean", async || known().await.rating.of == 1).await;
    let next = started(&world, driver, passenger).await;
    let (ride, seen) =
        (world.get(driver, &next).await.good(200), world.get(passenger, &next).await.good(200));
    assert_eq!(ride["passenger"]["rating"], json!(2.0), "to the driver");
    assert_eq!(seen["driver"]["rating"], json!(worst), "to the passenger");

    let timeline = world.get(admin, &format!("{path}/timeline")).await.good(200);
    let step = timeline["items"].as_array().expect("steps").last().expect("a step").clone();
    let whole = (&json!("rated"), &json!("driver"), &json!(2));
    assert_eq!((&step["kind"], &step["by"], &step["stars"]), whole);
    let theirs = world.get(passenger, &format!("{path}/timeline")).await.good(200);
    let step = theirs["items"].as_array().expect("steps").last().expect("a step").clone();
    assert_eq!((&step["kind"], step.get("stars")), (&json!("rated"), None));
    world.stop().await;
}

#[actix_web::test]
async fn a_rating_that_says_nothing_sensible_is_refused_through_both_doors() {
    let world = World::start().await;
    let (driver, passenger) = (world.drivers_online(1).await[0], world.passenger().await);
    let path = completed(&world, driver, passenger).await;
    let mut phone = Client::open(&world, passenger).await;
    let table = [
        (json!({"stars": 0}), "stars: out_of_range"),
        (json!({"stars": 6}), "stars: out_of_range"),
        (json!({"stars": -1}), "stars: out_of_range"),
        (json!({"stars": 4.5}), "stars: out_of_range"),
        (json!({"stars": 1e300}), "stars: out_of_range"),
        (json!({"stars": "5"}), "stars: wrong_type"),
        (json!({"stars": [5]}), "stars: wrong_type"),
        (json!({"stars": null}), "stars: required"),
        (json!({}), "stars: required"),
        (json!({"stars": 5, "comment": "x".repeat(501)}), "comment: out_of_range"),
        (json!({"stars": 5, "comment": "a\u{0}b"}), "comment: invalid_character"),
        (json!({"stars": 5, "comment": 5}), "comment: wrong_type"),
        (json!({"stars": 5, "rating": 500}), "rating: unknown_field"),
    ];
    for (body, fault) in table {
        let refused = world.post(passenger, &format!("{path}/rating"), &body).await;
        assert_eq!(refused.faults(), [fault], "{body}");
        let id = phone.command("ride.rate", Some(id_of(&path)), body.clone()).await;
        let answer = phone.answer(&id).await;
        assert_eq!((&answer["t"], &answer["code"]), (&json!("err"), &json!("invalid")), "{body}");
    }
    let id = phone.command("ride.rate", None, json!({"stars": 5})).await;
    assert_eq!(phone.answer(&id).await["code"], "invalid", "no ride named");
    let longest = json!({"stars": 1, "comment": "é".repeat(500)});
    let kept = world.post(passenger, &format!("{path}/rating"), &longest).await.good(200);
    assert_eq!(kept["rating"], longest);
    world.stop().await;
}

#[actix_web::test]
async fn only_the_people_of_a_completed_ride_rate_and_only_for_a_while() {
    let world = World::with(&[("rides.rating_within_ms", "0")]).await;
    let (driver, passenger) = (world.drivers_online(1).await[0], world.passenger().await);
    let path = started(&world, driver, passenger).await;
    let rating = format!("{path}/rating");
    let five = json!({"stars": 5});
    for one in [driver, passenger] {
        let early = world.post(one, &rating, &five).await;
        assert_eq!(early.problem(409), "illegal_transition", "before the end");
    }
    world.post(driver, &format!("{path}/complete"), &json!({})).await.good(200);
    for stranger in [world.driver().await, world.passenger().await] {
        assert_eq!(world.post(stranger, &rating, &five).await.problem(404), "not_found");
        let mut phone = Client::open(&world, stranger).await;
        let id = phone.command("ride.rate", Some(id_of(&path)), five.clone()).await;
        assert_eq!(phone.answer(&id).await["code"], "not_found");
    }
    assert_eq!(world.post(world.admin().await, &rating, &five).await.problem(403), "forbidden");
    let nobody = format!("/v1/rides/{}/rating", Uuid::now_v7());
    assert_eq!(world.post(passenger, &nobody, &five).await.problem(404), "not_found");
    let ended = world.dispatch().now();
    world.until("a later moment", async || world.dispatch().now() > ended).await;
    assert_eq!(world.post(passenger, &rating, &five).await.problem(409), "ride_closed");

    let canceled = world.offered_ride(passenger, driver).await;
    let cancel = json!({"reason": "changed_mind"});
    world.post(passenger, &format!("{canceled}/cancel"), &cancel).await.good(200);
    let refused = world.post(passenger, &format!("{canceled}/rating"), &five).await;
    assert_eq!(refused.problem(409), "illegal_transition");
    world.send(driver, Command::Offline).await.expect("offline");
    assert_eq!(shown(&world, driver).await, json!(5.0), "never rated");
    world.stop().await;
}
