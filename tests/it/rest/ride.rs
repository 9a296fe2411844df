//! A ride over REST alone: from registering to its end, and everything that refuses on the way.

use actix_web::http::Method;
use ibora::accounts::{AdminForm, Caller as AccountCaller};
use ibora_domain::person::Cpf;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{from_to, ride_request};
use crate::world::{World, place};

const PASSWORD: &str = "correct horse battery";

fn person(role: &str, number: u32) -> Value {
    json!({
        "role": role, "name": format!("Pessoa {number}"), "password": PASSWORD,
        "email": format!("pessoa{number}@example.com"), "phone": format!("+55 11 9{number:08}"),
        "cpf": Cpf::with_check_digits(number).expect("digits differ").expose(),
    })
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("{pointer}: {value}"))
}

/// Registers over REST; id and access token.
async fn register(world: &World, role: &str, number: u32) -> (String, String) {
    let made = world.call(Method::POST, "/v1/auth/register").json(&person(role, number)).await;
    let made = made.good(201);
    (text(&made, "/user/id").to_owned(), text(&made, "/tokens/access_token").to_owned())
}

/// Makes an admin as the command line does, and logs them in over REST.
async fn log_admin_in(world: &World) -> String {
    let form = AdminForm {
        name: "Admin".to_owned(),
        email: "admin@example.com".to_owned(),
        phone: None,
        cpf: None,
        password: SecretString::from(PASSWORD),
    };
    world.app().accounts.create_admin(&AccountCaller::system(), form).await.expect("made");
    let body = json!({"email": "Admin@example.com", "password": PASSWORD});
    let login = world.call(Method::POST, "/v1/auth/login").json(&body).await.good(200);
    text(&login, "/tokens/access_token").to_owned()
}

/// Makes a driver who is approved, has a car and is online; id and access token.
async fn driver_online(world: &World, admin: &str) -> (String, String) {
    let (driver, token) = register(world, "driver", 2).await;
    let as_driver = |method, path: &str| world.call(method, path).token(&token);
    let online = json!({"status": "online", "category": "comfort",
                        "location": {"lat": -23.5505, "lng": -46.6341}});
    let early = as_driver(Method::PUT, "/v1/me/availability").json(&online).await;
    assert_eq!(early.problem(409), "driver_not_approved");

    let car = json!({"plate": "abc-1d23", "make": "Fiat", "model": "Argo", "color": "prata",
                     "year": 2024, "categories": ["economy", "comfort"]});
    let car = as_driver(Method::POST, "/v1/me/vehicles").json(&car).await.good(201);
    assert_eq!(car["plate"], "ABC1D23");
    let path = format!("/v1/drivers/{driver}/approve");
    let reason = json!({"reason": "papers checked"});
    let approved = world.call(Method::POST, &path).token(admin).json(&reason).await.good(200);
    assert_eq!((&approved["approval"], &approved["rating"]), (&json!("approved"), &json!(5.0)));

    let as_bike = json!({"status": "online", "category": "moto",
                         "location": {"lat": -23.5505, "lng": -46.6341}});
    let refused = as_driver(Method::PUT, "/v1/me/availability").json(&as_bike).await;
    assert_eq!(refused.problem(409), "vehicle_not_suitable");
    let economy = json!({"status": "online", "category": "economy", "vehicle_id": car["id"],
                         "location": {"lat": -23.5505, "lng": -46.6341}});
    let online = as_driver(Method::PUT, "/v1/me/availability").json(&economy).await.good(200);
    assert_eq!((&online["status"], &online["vehicle"]["id"]), (&json!("online"), &car["id"]));
    let point = json!({"points": [{"at": "2026-11-22T01:26:03Z", "lat": -23.5504, "lng": -46.634,
                                   "accuracy_m": 5}]});
    let taken = as_driver(Method::POST, "/v1/me/locations").json(&point).await.good(202);
    assert_eq!(taken, json!({"received": 1}));
    (driver, token)
}

/// Asks for prices and orders at the first; the ride.
async fn order(world: &World, riding: &str) -> Value {
    let post = |path: &str| world.call(Method::POST, path).token(riding);
    let quotes = post("/v1/rides/estimate").json(&from_to()).await.good(200);
    assert_eq!(quotes["quotes"].as_array().map(Vec::len), Some(5), "one a category");
    let quote = &quotes["quotes"][0];
    assert_eq!((&quote["category"], &quote["currency"]), (&json!("economy"), &json!("BRL")));
    assert!(quote["pickup_eta_s"].as_u64().is_some_and(|eta| eta < 600), "{quote}");
    fits(world, "Quote", quote).await;

    let mut order = ride_request();
    order["quote_id"] = quote["quote_id"].clone();
    order["notes"] = json!("portão vermelho");
    let asked = post("/v1/rides").json(&order).await;
    assert_eq!(asked.header("etag"), "\"1\"");
    let ride = asked.good(201);
    assert_eq!(ride["status"], "searching");
    assert_eq!(ride["fare"]["estimated"], quote["fare"], "the price that was told");
    fits(world, "Ride", &ride).await;
    let twice = post("/v1/rides").json(&ride_request()).await;
    assert_eq!(twice.problem(409), "active_ride_exists");
    ride
}

/// The object has the fields that the description says, and no others.
async fn fits(world: &World, schema: &str, value: &Value) {
    let document = world.call(Method::GET, "/openapi.json").empty().await.good(200);
    let schema = &document["components"]["schemas"][schema];
    for name in value.as_object().expect("an object").keys() {
        assert!(schema["properties"].get(name).is_some(), "{name} is not described");
    }
    for name in schema["required"].as_array().expect("a list") {
        assert!(value.get(name.as_str().expect("a name")).is_some(), "{name} is missing");
    }
}

/// Each sees the ride in `/me`, the passenger with the PIN and where the driver is.
async fn both_see(world: &World, ride: &Value, (riding, driving): (&str, &str)) {
    let me = async |token| {
        let me = world.call(Method::GET, "/v1/me").token(token).empty().await.good(200);
        fits(world, "Me", &me).await;
        assert_eq!(me["active_ride"]["id"], ride["id"]);
        me
    };
    let passenger = me(riding).await;
    assert_eq!(passenger["user"]["id"], ride["passenger"]["id"]);
    assert_eq!(passenger["driver"], Value::Null);
    assert_eq!(passenger["active_ride"]["pin"], ride["pin"]);
    assert!(passenger["active_ride"]["driver"]["location"]["lat"].is_number(), "{passenger}");
    let driver = me(driving).await;
    assert_eq!(driver["driver"]["approval"], "approved");
    assert_eq!(driver["active_ride"]["pin"], Value::Null);
    fits(world, "Driver", &driver["driver"]).await;
}

#[actix_web::test]
async fn a_ride_is_driven_to_its_end_over_rest_alone() {
    let world = World::start().await;
    let admin = log_admin_in(&world).await;
    let (driver, driving) = driver_online(&world, &admin).await;
    let (_, riding) = register(&world, "passenger", 1).await;
    let ride = order(&world, &riding).await;
    let path = format!("/v1/rides/{}", text(&ride, "/id"));
    let kinds = async |token: &str| {
        let timeline = world.call(Method::GET, &format!("{path}/timeline")).token(token);
        let steps = timeline.empty().await.good(200);
        let steps = steps["items"].as_array().expect("steps").iter();
        steps.map(|step| text(step, "/kind").to_owned()).collect::<Vec<_>>()
    };
    world.until("an offer", async || kinds(&admin).await.contains(&"offer".to_owned())).await;

    let drive = async |step: &str, body: Value| {
        let path = format!("{path}/{step}");
        world.call(Method::POST, &path).token(&driving).json(&body).await
    };
    let accepted = drive("accept", Value::Null).await.good(200);
    assert_eq!((&accepted["driver"]["id"], &accepted["pin"]), (&json!(driver), &Value::Null));
    let pin = json!({"pin": ride["pin"]});
    assert_eq!(drive("start", pin.clone()).await.problem(409), "illegal_transition");
    assert_eq!(drive("arrive", json!({})).await.good(200)["status"], "arrived");
    assert_eq!(drive("start", json!({})).await.faults(), ["pin: required"]);
    assert_eq!(drive("start", pin).await.good(200)["status"], "started");
    both_see(&world, &ride, (&riding, &driving)).await;
    let there = json!({"location": {"lat": -23.5614, "lng": -46.6559}});
    let end = drive("complete", there).await.good(200);
    assert_eq!(end["fare"]["final"], ride["fare"]["estimated"]);

    let shown = world.call(Method::GET, &path).token(&riding).empty().await;
    assert_eq!(shown.header("etag"), format!("\"{}\"", end["version"]));
    let shown = shown.good(200);
    assert_eq!(shown["status"], "completed");
    assert_eq!(shown["driver"]["location"], Value::Null, "nobody is followed home");
    let expected =
        "requested offers_made offer attempt assigned arrived started completed".split(' ');
    assert_eq!(kinds(&riding).await, expected.collect::<Vec<_>>());
    world.stop().await;
}

#[actix_web::test]
async fn commands_out_of_order_are_refused_and_change_nothing() {
    let world = World::start().await;
    let driver = world.drivers_online(1).await[0];
    let passenger = world.passenger().await;
    let path = world.offered_ride(passenger, driver).await;
    let at = |step: &str| format!("{path}/{step}");
    // Until he accepted, a ride offered to him is not there for the driver.
    for (step, body) in
        [("arrive", json!({})), ("start", json!({"pin": "0000"})), ("complete", json!({}))]
    {
        let refused = world.post(driver, &at(step), &body).await;
        assert_eq!(refused.problem(404), "not_found", "{step}");
    }
    assert_eq!(world.get(driver, &path).await.problem(404), "not_found");
    let accepted = world.post(driver, &at("accept"), &json!({})).await.good(200);
    for (step, body) in [("start", json!({"pin": "0000"})), ("complete", json!({}))] {
        let refused = world.post(driver, &at(step), &body).await;
        assert_eq!(refused.problem(409), "illegal_transition", "{step}");
    }
    let again = world.post(driver, &at("accept"), &json!({})).await.good(200);
    assert_eq!(again["version"], accepted["version"], "the winner asks again: nothing new");
    let fee =
        world.post(passenger, &at("cancel"), &json!({"reason": "changed_mind"})).await.good(200);
    assert_eq!((&fee["status"], &fee["cancellation"]["fee"]), (&json!("canceled"), &json!("5.00")));
    assert_eq!(fee["cancellation"]["by"], "passenger");
    for step in ["arrive", "complete"] {
        let refused = world.post(driver, &at(step), &json!({})).await;
        assert!(["ride_closed", "illegal_transition"].contains(&&*refused.problem(409)), "{step}");
    }
    world.stop().await;
}

#[actix_web::test]
async fn who_was_not_offered_a_ride_cannot_accept_it_and_who_is_late_neither() {
    let settings = [("dispatch.offer_ttl_ms", "1000"), ("dispatch.accept_grace_ms", "0")];
    let world = World::with(&settings).await;
    let driver = world.drivers_online(1).await[0];
    let stranger = world.driver().await;
    world.online(stranger, place(-22.9068, -43.1729)).await; // In another city.
    let passenger = world.passenger().await;
    let path = world.offered_ride(passenger, driver).await;
    let accept = format!("{path}/accept");
    assert_eq!(world.post(stranger, &accept, &json!({})).await.problem(404), "offer_not_found");
    let decline = format!("{path}/decline");
    assert_eq!(world.post(stranger, &decline, &json!({})).await.problem(404), "offer_not_found");
    let other = json!({"offer_id": "0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee"});
    assert_eq!(world.post(driver, &accept, &other).await.problem(409), "offer_expired");
    // He drives off, so that no later wave asks him again.
    let far = json!({"points": [{"at": "2026-11-22T01:26:03Z", "lat": -22.9, "lng": -43.17}]});
    world.post(driver, "/v1/me/locations", &far).await.good(202);
    let records = world.dispatch().journal().records();
    world
        .until("the end of the offer", async || {
            let open = records.open_offers(driver.user.into(), world.dispatch().now()).await;
            open.expect("reads").is_empty()
        })
        .await;
    assert_eq!(world.post(driver, &accept, &json!({})).await.problem(409), "offer_expired");
    let nobody = "/v1/rides/0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeeeee/accept";
    assert_eq!(world.post(driver, nobody, &json!({})).await.problem(404), "offer_not_found");
    world.stop().await;
}

#[actix_web::test]
async fn three_wrong_pins_lock_the_start() {
    let world = World::start().await;
    let driver = world.drivers_online(1).await[0];
    let passenger = world.passenger().await;
    let path = world.offered_ride(passenger, driver).await;
    world.post(driver, &format!("{path}/accept"), &json!({})).await.good(200);
    world.post(driver, &format!("{path}/arrive"), &json!({})).await.good(200);
    let ride = world.get(passenger, &path).await.good(200);
    let right = text(&ride, "/pin");
    let wrong = if right == "0000" { "1111" } else { "0000" };
    let start = async |key: &str, pin: &str| {
        let path = format!("{path}/start");
        let call = world.call(Method::POST, &path).token(&world.token(driver)).key(key);
        call.json(&json!({"pin": pin})).await
    };
    assert_eq!(start("try-1", wrong).await.problem(403), "pin_wrong");
    assert_eq!(start("try-1", wrong).await.problem(403), "pin_wrong", "the same try");
    assert_eq!(start("try-1", right).await.problem(422), "idempotency_key_reused");
    assert_eq!(start("try-2", wrong).await.problem(403), "pin_wrong");
    assert_eq!(start("try-3", wrong).await.problem(403), "pin_wrong");
    assert_eq!(start("try-4", right).await.problem(423), "pin_locked", "not even the right one");
    assert_eq!(start("try-4", right).await.problem(423), "pin_locked", "the same try");
    world.stop().await;
}
