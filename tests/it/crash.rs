//! kill -9 at any moment: no acknowledged step is lost, no ride is won twice, and whoever was told
//! nothing asks again and gets one answer, the same for ever.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::clients::{Clients, HERE};
use crate::process::{Person, Process};

/// Rounds of load and kill; more by `IBORA_CRASH_ROUNDS`.
fn rounds() -> u64 {
    std::env::var("IBORA_CRASH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(20)
}

/// Load for so long.
async fn load(clients: &Clients, time: Duration) {
    clients
        .during_by_both_doors(tokio::time::timeout(time, std::future::pending::<()>()))
        .await
        .ok();
}

#[actix_web::test]
async fn killed_at_any_moment_nothing_acknowledged_is_lost() {
    let mut process = Process::start(&[("dispatch.waves", "[4]")]).await;
    let people = process.seed(8, 6);
    let mut compared = 0;
    for round in 0..rounds() {
        let clients = Clients::new(&[&process], people.clone()).giving_back(0.2);
        let mut chance = StdRng::seed_from_u64(round);
        load(&clients, Duration::from_millis(chance.random_range(30..600))).await;
        process.kill();
        process.launch().await;
        compared += clients.stands_by_its_word().await;
    }
    assert!(compared > 50, "the load must have been answered: {compared}");
    assert_eq!(process.audit(), Some(0), "every promise holds");
}

#[actix_web::test]
async fn a_terminated_engine_ends_in_order_under_load() {
    let mut process = Process::start(&[("dispatch.waves", "[4]")]).await;
    let clients = Clients::new(&[&process], process.seed(4, 4)).giving_back(0.2);
    load(&clients, Duration::from_millis(700)).await;
    assert_eq!(process.terminate().await, Some(0), "{}", process.log_text());
    process.launch().await;
    assert!(clients.stands_by_its_word().await > 5);
    assert_eq!(process.audit(), Some(0));
}

/// What was answered before a kill is answered after it, also to one who gave the ride back and
/// to one whose ride was canceled since.
#[actix_web::test]
async fn an_answer_outlives_the_kill_whatever_became_of_the_ride() {
    let mut process = Process::start(&[("dispatch.waves", "[4]")]).await;
    let people = process.seed(2, 2);
    let of = |role: &str| people.iter().filter(|person| person.role == role).cloned().collect();
    let (drivers, passengers): (Vec<Person>, Vec<Person>) = (of("driver"), of("passenger"));
    let clients = Clients::new(&[&process], people);
    clients.go_online(&drivers[0], None, HERE).await;
    clients.go_online(&drivers[1], None, HERE).await;
    let (given_back, _) = clients.open_ride(&passengers[0], &drivers[0], HERE).await;
    let why = json!({"reason": "vehicle"});
    let said = clients.step((&drivers[0], None), "ride.cancel", &given_back, why).await;
    assert!(said.is_ok(), "{said:?}");
    clients.accept_when_offered(&drivers[1], &given_back).await;
    clients.go_online(&drivers[0], None, HERE).await;
    let (other, _) = clients.open_ride(&passengers[1], &drivers[0], HERE).await;
    process.kill();
    process.launch().await;
    assert!(clients.stands_by_its_word().await >= 6);
    for (passenger, ride) in passengers.iter().zip([&given_back, &other]) {
        let why = json!({"reason": "changed_mind"});
        let said = clients.step((passenger, None), "ride.cancel", ride, why).await;
        assert!(said.is_ok(), "{said:?}");
    }
    clients.stands_by_its_word().await;
    assert_eq!(process.audit(), Some(0));
}
