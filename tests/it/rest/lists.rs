//! Lists and the timeline: pages, filters, and who is told what of whom.

use serde_json::{Value, json};

use super::ride_request;
use crate::world::World;

fn items(page: &Value) -> &Vec<Value> {
    page["items"].as_array().expect("items")
}

#[actix_web::test]
async fn rides_are_listed_page_by_page_the_newest_first() {
    let world = World::start().await;
    let (ana, admin) = (world.passenger().await, world.admin().await);
    let mut made = Vec::new();
    for _ in 0..5 {
        let ride = world.post(ana, "/v1/rides", &ride_request()).await.good(201);
        let path = format!("/v1/rides/{}/cancel", ride["id"].as_str().expect("an id"));
        world.post(ana, &path, &json!({"reason": "other"})).await.good(200);
        made.insert(0, ride["id"].clone());
    }
    let bia = world.passenger().await;
    let hers = world.post(bia, "/v1/rides", &ride_request()).await.good(201);
    let mut listed = Vec::new();
    let mut next = String::new();
    loop {
        let page = world.get(ana, &format!("/v1/rides?limit=2{next}")).await.good(200);
        assert!(items(&page).len() <= 2);
        listed.extend(items(&page).iter().map(|ride| ride["id"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("&cursor={cursor}");
    }
    assert_eq!(listed, made);
    let all = world.get(admin, "/v1/rides?status=searching").await.good(200);
    assert_eq!(items(&all).iter().map(|ride| &ride["id"]).collect::<Vec<_>>(), [&hers["id"]]);
    let of_ana = world.get(admin, &format!("/v1/rides?passenger_id={}", ana.user)).await.good(200);
    assert_eq!(items(&of_ana).len(), 5);
    assert_eq!(items(&of_ana)[0]["pin"], Value::Null, "the PIN is the passenger's");
    let none = world.get(ana, "/v1/rides?status=completed").await.good(200);
    assert_eq!(none, json!({"items": [], "next_cursor": null}));
    for (query, fault) in [
        ("limit=0", "limit: out_of_range"),
        ("limit=101", "limit: out_of_range"),
        ("limit=ten", "limit: out_of_range"),
        ("cursor=%00", "cursor: invalid_format"),
        ("status=lost", "status: unknown_value"),
        ("sort=fare;drop", "sort: unknown_field"),
        ("limit=1&limit=2", "limit: invalid_format"),
        ("passenger_id=1", "passenger_id: unknown_field"),
    ] {
        assert_eq!(
            world.get(ana, &format!("/v1/rides?{query}")).await.faults(),
            [fault],
            "{query}"
        );
    }
    world.stop().await;
}

#[actix_web::test]
async fn a_timeline_says_why_this_driver_won_and_of_others_only_that_they_were() {
    let world = World::with(&[("dispatch.waves", "[3]")]).await;
    let drivers = world.drivers_online(3).await;
    let (ana, admin) = (world.passenger().await, world.admin().await);
    let path = world.offered_ride(ana, drivers[0]).await;
    for driver in &drivers[1..] {
        let ride = path.trim_start_matches("/v1/rides/").parse().expect("a ride id");
        world.offered(*driver, ride).await;
    }
    let decline = json!({"reason": "too far for me"});
    world.post(drivers[2], &format!("{path}/decline"), &decline).await;
    world.post(drivers[0], &format!("{path}/accept"), &json!({})).await.good(200);
    let late = world.post(drivers[1], &format!("{path}/accept"), &json!({})).await;
    assert_eq!(late.problem(409), "ride_already_assigned");

    let timeline = format!("{path}/timeline");
    let whole = world.get(admin, &timeline).await.good(200);
    let kinds: Vec<_> =
        items(&whole).iter().map(|step| step["kind"].as_str().expect("a kind")).collect();
    let expected = [
        "requested",
        "offers_made",
        "offer",
        "offer",
        "offer",
        "offer_declined",
        "attempt",
        "assigned",
        "attempt",
    ];
    assert_eq!(kinds, expected);
    let won = &items(&whole)[6];
    assert_eq!((&won["driver"], &won["outcome"]), (&json!(drivers[0].user), &json!("accepted")));
    assert!(won["rank"] == 1 && won["latency_ms"].is_u64(), "{won}");
    let lost = &items(&whole)[8];
    assert_eq!(
        (&lost["driver"], &lost["outcome"]),
        (&json!(drivers[1].user), &json!("ride_already_assigned"))
    );
    assert_eq!(items(&whole)[7]["status"], "accepted");
    assert_eq!(items(&whole)[5]["reason"], "too far for me");
    let times: Vec<_> = items(&whole).iter().map(|step| step["at"].as_str()).collect();
    assert!(times.is_sorted(), "{times:?}");

    for reader in [ana, drivers[0]] {
        let shown = world.get(reader, &timeline).await.good(200);
        let text = shown.to_string();
        assert_eq!(items(&shown).len(), items(&whole).len(), "the same steps");
        assert!(!text.contains("too far for me"), "{text}");
        for other in &drivers[1..] {
            assert!(!text.contains(&other.user.to_string()), "{text}");
        }
        assert!(text.contains(&drivers[0].user.to_string()));
        for step in items(&shown) {
            let named = step["driver"].as_str().is_some_and(|name| name.starts_with("driver "));
            let hidden = ["offer_id", "distance_m", "eta_s", "reason"];
            assert!(!named || hidden.iter().all(|field| step.get(*field).is_none()), "{step}");
        }
    }
    assert_eq!(world.get(drivers[1], &timeline).await.problem(404), "not_found");
    world.stop().await;
}

#[actix_web::test]
async fn admins_list_drivers_by_approval() {
    let world = World::start().await;
    let (admin, driver) = (world.admin().await, world.driver().await);
    let approved = world.get(admin, "/v1/drivers?approval=approved").await.good(200);
    assert_eq!(items(&approved)[0]["id"], json!(driver.user));
    let pending = world.get(admin, "/v1/drivers?approval=pending").await.good(200);
    assert!(items(&pending).is_empty());
    let wrong = world.get(admin, "/v1/drivers?approval=maybe&page=2").await;
    assert_eq!(wrong.faults(), ["approval: unknown_value", "page: unknown_field"]);
    let cursor = world.get(admin, "/v1/audit/logs?cursor=abc").await;
    assert_eq!(cursor.faults(), ["cursor: invalid_format"]);
    world.stop().await;
}
