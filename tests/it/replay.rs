//! A ride is rebuilt from its journal, told step by step, and compared with what is stored.

use ibora::actors::Command;
use ibora::readmodel::{Difference, replay, verify};
use ibora_domain::ids::RideId;
use ibora_domain::ride::CancelReason;
use uuid::Uuid;

use crate::process::Process;
use crate::world::World;

/// A ride that one driver gave back and another drove to its end.
async fn driven(world: &World) -> (RideId, [String; 2]) {
    let drivers = world.drivers_online(2).await;
    let passenger = world.passenger().await;
    let ride = world.request(passenger).await;
    let cancel = Command::Cancel { ride, reason: CancelReason::Vehicle, note: None };
    let accept = Command::Accept { ride, offer_id: None };
    world.offered(drivers[0], ride).await;
    world.send(drivers[0], accept.clone()).await.expect("accepted");
    world.send(drivers[0], cancel).await.expect("gave it back");
    world.offered(drivers[1], ride).await;
    world.send(drivers[1], accept).await.expect("accepted");
    world.send(drivers[1], Command::Arrive { ride, location: None }).await.expect("arrived");
    let pin = world.pin(passenger, ride).await;
    world.send(drivers[1], Command::Start { ride, pin }).await.expect("started");
    let complete = Command::Complete { ride, location: None, reason: None };
    world.send(drivers[1], complete).await.expect("completed");
    (ride, [drivers[0].user.to_string(), drivers[1].user.to_string()])
}

#[actix_web::test]
async fn a_ride_is_told_from_its_journal_and_proven_to_be_what_is_stored() {
    let world = World::with(&[("dispatch.waves", "[2]")]).await;
    let (ride, [first, second]) = driven(&world).await;
    let told = replay(world.database(), ride).await.expect("reads").expect("a ride");
    assert_eq!(told.difference, None);
    let steps: Vec<_> = told.steps.iter().map(|step| (step.kind.as_str(), &*step.text)).collect();
    let find = |kind: &str, text: &str| {
        let at = steps.iter().position(|(of, says)| *of == kind && says.contains(text));
        at.unwrap_or_else(|| panic!("no {kind} with {text}: {steps:#?}"))
    };
    let way = [
        find("requested", "asked for by"),
        find("offers_made", &first),
        find("attempt", &format!("attempt 1 by {first}")),
        find("assigned", &format!("{first} accepted first")),
        find("released", "search 2 begins without him"),
        find("attempt", &format!("attempt 2 by {second}")),
        find("assigned", &format!("{second} accepted first")),
        find("started", "the PIN was right"),
        find("completed", "the fare is"),
    ];
    assert!(way.is_sorted(), "{way:?}: {steps:#?}");
    let nobody = replay(world.database(), RideId(Uuid::now_v7())).await.expect("reads");
    assert!(nobody.is_none());
    world.stop().await;
}

#[actix_web::test]
async fn a_row_that_its_events_did_not_make_is_found_wherever_it_differs() {
    let world = World::with(&[("dispatch.waves", "[2]")]).await;
    let (ride, _) = driven(&world).await;
    let verified = verify(world.database(), |_| {}).await.expect("reads");
    assert_eq!((verified.rides, verified.different), (1, 0));
    assert!(verified.events > 8, "{verified:?}");
    let field = |name: &str| Difference::State { field: name.to_owned() };
    for (change, back, expected) in [
        (
            r#"state = replace(state, '"status":"completed"', '"status":"canceled"')"#,
            r#"state = replace(state, '"status":"canceled"', '"status":"completed"')"#,
            field("status"),
        ),
        ("version = version + 1", "version = version - 1", Difference::Column { name: "version" }),
        ("status = 'canceled'", "status = 'completed'", Difference::Column { name: "status" }),
    ] {
        update(&world, change).await;
        let verified = verify(world.database(), |_| {}).await.expect("reads");
        assert_eq!(verified.examples, [(ride, expected)], "{change}");
        update(&world, back).await;
    }
    world.stop().await;
}

async fn update(world: &World, change: &str) {
    let statement = sqlx::AssertSqlSafe(format!("UPDATE rides SET {change}"));
    sqlx::query(statement).execute(world.database()).await.expect("changed");
}

#[actix_web::test]
async fn the_program_says_by_its_exit_code_whether_a_database_is_what_its_journal_made() {
    let mut process = Process::start(&[]).await;
    assert_eq!(process.run(&["replay", "--all", "--verify"]), Some(0));
    let mut database = process.database().await;
    sqlx::raw_sql(
        "INSERT INTO rides (id, shard, status, passenger_id, category, version, requested_at, state)
         VALUES (gen_random_uuid(), 0, 'canceled', gen_random_uuid(), 'economy', 1, now(), '{}')",
    )
    .execute(&mut database)
    .await
    .expect("a ride without events");
    assert_eq!(process.run(&["replay", "--all", "--verify"]), Some(3));
    assert_eq!(process.run(&["replay", &Uuid::now_v7().to_string()]), Some(1), "no such ride");
    assert_eq!(process.run(&["replay", "--all"]), Some(2), "called wrongly");
    assert_eq!(process.terminate().await, Some(0));
}
