//! Drivers: their vehicles, their reviews, and the trail that reviews leave.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ibora::accounts::{AccountError, Caller, Review, VehicleForm};
use ibora::journal::{AccountRow, CommitError, ReviewRow};
use ibora_domain::category::Category;
use ibora_domain::ids::DriverId;
use ibora_domain::person::{Approval, ReviewRefused, Role};
use ibora_domain::units::Millis;
use uuid::Uuid;

use super::{START, World, faults, form};
use crate::pg;

impl World {
    async fn driver(&self, number: u32) -> DriverId {
        self.register(form(Role::Driver, number)).await.user.id.into()
    }
}

fn approved() -> Review {
    Review { to: Approval::Approved, reason: None }
}

fn car(plate: &str) -> VehicleForm {
    VehicleForm {
        plate: plate.to_owned(),
        make: " Fiat ".to_owned(),
        model: "Argo".to_owned(),
        color: "prata".to_owned(),
        year: 2024,
        categories: vec![Category::Comfort, Category::Economy, Category::Comfort],
    }
}

#[tokio::test]
async fn a_driver_waits_for_approval_and_a_passenger_is_no_driver() {
    let world = World::new().await;
    let driver = world.driver(1).await;
    let profile = world.accounts.driver_profile(driver).await.expect("a driver");
    assert_eq!(profile.approval, Approval::Pending);
    assert_eq!(profile.rating_hundredths, 500);
    assert!(profile.vehicles.is_empty());
    let passenger = world.register(form(Role::Passenger, 2)).await.user.id;
    let none = world.accounts.driver_profile(passenger.into()).await;
    assert_eq!(none, Err(AccountError::NotFound));
}

#[tokio::test]
async fn reviews_change_the_driver_and_leave_a_trail() {
    let world = World::new().await;
    let driver = world.driver(1).await;
    let admin = Caller {
        ip: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7))),
        user_agent: Some(format!("curl/8\n{}", "x".repeat(1000))),
        request_id: Some("req-1".to_owned()),
        ..world.admin(1).await
    };
    let review = |to, reason: &str| {
        let reason = Some(reason.to_owned());
        world.accounts.review_driver(&admin, driver, Review { to, reason }, None)
    };
    assert_eq!(
        review(Approval::Approved, "papers fine").await.map(|d| d.approval),
        Ok(Approval::Approved)
    );
    assert_eq!(
        review(Approval::Approved, "again").await.map(|d| d.approval),
        Ok(Approval::Approved)
    );
    world.after(Millis(1));
    assert_eq!(
        review(Approval::Suspended, "licence").await.map(|d| d.approval),
        Ok(Approval::Suspended)
    );
    let refused = ReviewRefused { from: Approval::Suspended, to: Approval::Rejected };
    assert_eq!(
        review(Approval::Rejected, "").await.map(|_| ()).map_err(|error| code(&error)),
        Err("invalid")
    );
    let answer = review(Approval::Rejected, "no").await;
    assert_eq!(answer, Err(AccountError::Review(refused)));

    let page = world.audit(None, 10).await.expect("listed");
    let trail: Vec<_> = page.items.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(trail, ["suspend_driver", "approve_driver", "create_admin"]);
    let entry = serde_json::to_value(&page.items[0]).expect("JSON");
    assert_eq!(entry["entity_type"], "driver");
    assert_eq!(entry["entity_id"], driver.to_string());
    assert_eq!(entry["user_type"], "admin");
    assert_eq!(entry["ip_address"], "192.0.2.7");
    assert_eq!(entry["request_id"], "req-1");
    assert_eq!(entry["changes"]["approval"]["from"], "approved");
    assert_eq!(entry["changes"]["approval"]["to"], "suspended");
    assert_eq!(entry["changes"]["reason"], "licence");
    let agent = entry["user_agent"].as_str().expect("text");
    assert!(agent.starts_with("curl/8xxx") && agent.len() == 256);
    let stored = world.ask("SELECT approval || ' ' || approval_reason FROM drivers").await;
    assert_eq!(stored, "suspended licence");
}

fn code(error: &AccountError) -> &'static str {
    match error {
        AccountError::Invalid(_) => "invalid",
        _ => "another",
    }
}

#[tokio::test]
async fn only_admins_review_and_only_drivers_are_reviewed() {
    let world = World::new().await;
    let driver = world.driver(1).await;
    let own = Caller { principal: Some((driver.into(), Role::Driver)), ..Caller::system() };
    let refused = world.accounts.review_driver(&own, driver, approved(), None).await;
    assert_eq!(refused, Err(AccountError::Forbidden));
    let admin = world.admin(1).await;
    let nobody = DriverId(Uuid::now_v7());
    let refused = world.accounts.review_driver(&admin, nobody, approved(), None).await;
    assert_eq!(refused, Err(AccountError::NotFound));
    let profile = world.accounts.driver_profile(driver).await.expect("a driver");
    assert_eq!(profile.approval, Approval::Pending);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_reviews_at_once_the_trail_tells_what_happened() {
    let world = World::new().await;
    let driver = world.driver(1).await;
    let admin = world.admin(1).await;
    let review = |to| {
        let accounts = Arc::clone(&world.accounts);
        let admin = admin.clone();
        tokio::spawn(async move {
            let review = Review { to, reason: None };
            accounts.review_driver(&admin, driver, review, None).await
        })
    };
    let (approved, rejected) = (review(Approval::Approved), review(Approval::Rejected));
    let approved = approved.await.expect("no panic");
    let rejected = rejected.await.expect("no panic");
    assert_eq!(approved.map(|driver| driver.approval), Ok(Approval::Approved));
    // Rejected first and then approved, or approved first and then nothing to reject.
    let expected = if rejected.is_ok() { "rejected approved" } else { "approved" };
    let told = "SELECT string_agg(changes #>> '{approval,to}', ' ' ORDER BY id)
                FROM audit_logs WHERE entity_type = 'driver'";
    assert_eq!(world.ask(told).await, expected);
    assert_eq!(world.ask("SELECT approval FROM drivers").await, "approved");
}

#[tokio::test]
async fn a_review_that_rests_on_an_old_approval_is_not_stored() {
    let world = World::new().await;
    let driver = world.driver(1).await;
    let review = |from, to| {
        let row = ReviewRow { driver, from, to, reason: None, by: None, at: START };
        world.journal.record_account(vec![AccountRow::DriverReviewed(row)])
    };
    assert_eq!(review(Approval::Pending, Approval::Approved).await, Ok(()));
    let lost = CommitError::Refused { constraint: Some("drivers_review".to_owned()) };
    assert_eq!(review(Approval::Pending, Approval::Rejected).await, Err(lost));
    assert_eq!(world.ask("SELECT approval FROM drivers").await, "approved");
}

#[tokio::test]
async fn a_vehicle_is_added_once_and_shown() {
    let world = World::new().await;
    let driver = world.driver(1).await;
    let added = world.accounts.add_vehicle(driver, car("abc-1d23"), None).await.expect("added");
    let shown = serde_json::to_value(&added).expect("JSON");
    assert_eq!(shown["plate"], "ABC1D23");
    assert_eq!(shown["make"], "Fiat");
    assert_eq!(shown["categories"], serde_json::json!(["economy", "comfort"]));
    let profile = world.accounts.driver_profile(driver).await.expect("a driver");
    assert_eq!(profile.vehicles, [added]);
    let again = world.accounts.add_vehicle(driver, car("ABC1D23"), None).await;
    assert_eq!(faults(again), ["plate: taken"]);
    let other = world.driver(2).await;
    assert!(world.accounts.add_vehicle(other, car("ABC1D23"), None).await.is_ok(), "a shared car");
    let passenger = world.register(form(Role::Passenger, 3)).await.user.id;
    let refused = world.accounts.add_vehicle(passenger.into(), car("ABC1234"), None).await;
    assert_eq!(refused, Err(AccountError::NotFound));
}

#[tokio::test]
async fn every_bad_field_of_a_vehicle_is_named() {
    let world = World::new().await;
    let driver = world.driver(1).await;
    let bad = VehicleForm {
        plate: "12".to_owned(),
        make: "  ".to_owned(),
        model: "A\0".to_owned(),
        color: "x".repeat(41),
        year: 1949,
        categories: vec![],
    };
    let expected = [
        "plate: invalid_format",
        "make: out_of_range",
        "model: invalid_character",
        "color: out_of_range",
        "year: out_of_range",
        "categories: out_of_range",
    ];
    assert_eq!(faults(world.accounts.add_vehicle(driver, bad, None).await), expected);
    // The clock of these tests stands in 2026.
    for (year, fits) in [(1950, true), (2027, true), (2028, false), (i64::MAX, false)] {
        let plate = format!("ABC{}{:03}", year % 10, 0);
        let result =
            world.accounts.add_vehicle(driver, VehicleForm { year, ..car(&plate) }, None).await;
        assert_eq!(result.is_ok(), fits, "{year}");
    }
    for number in 2..10 {
        let plate = format!("XYZ{number:04}");
        world.accounts.add_vehicle(driver, car(&plate), None).await.expect("room for ten");
    }
    let refused = world.accounts.add_vehicle(driver, car("XYZ9999"), None).await;
    assert_eq!(faults(refused), ["plate: too_many"]);
}

#[tokio::test]
async fn lists_are_read_page_by_page() {
    let world = World::new().await;
    let admin = world.admin(1).await;
    let mut drivers = Vec::new();
    for number in 1..=5 {
        let driver = world.driver(number).await;
        world.accounts.add_vehicle(driver, car("ABC1234"), None).await.expect("added");
        drivers.push(driver);
    }
    for driver in [drivers[1], drivers[3]] {
        let done = world.accounts.review_driver(&admin, driver, approved(), None).await;
        done.expect("approved");
    }
    drivers.reverse();
    let list = async |approval| {
        let (mut cursor, mut all, mut pages) = (None::<String>, Vec::new(), 0);
        loop {
            let page = world.accounts.list_drivers(approval, cursor.as_deref(), 2).await;
            let page = page.expect("listed");
            assert!(page.items.iter().all(|driver| driver.vehicles.len() == 1));
            all.extend(page.items.iter().map(|driver| driver.id));
            pages += 1;
            cursor = page.next_cursor;
            if cursor.is_none() {
                return (all, pages);
            }
        }
    };
    assert_eq!(list(None).await, (drivers.clone(), 3));
    assert_eq!(list(Some(Approval::Approved)).await, (vec![drivers[1], drivers[3]], 1));
    assert_eq!(list(Some(Approval::Rejected)).await, (vec![], 1));

    let (mut cursor, mut actions) = (None::<String>, Vec::new());
    loop {
        let page = world.audit(cursor.as_deref(), 1).await.expect("listed");
        actions.extend(page.items.into_iter().map(|entry| entry.action));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(actions, ["approve_driver", "approve_driver", "create_admin"]);
    let strange = world.accounts.list_drivers(None, Some("' OR 1=1"), 2).await;
    assert_eq!(faults(strange), ["cursor: invalid_format"]);
    for cursor in ["1", "x.y", "-1.x", "99999999999999999.0193"] {
        let strange = world.audit(Some(cursor), 2).await;
        assert_eq!(faults(strange), ["cursor: invalid_format"], "{cursor}");
    }
}

#[tokio::test]
async fn the_audit_trail_cannot_be_rewritten() {
    let world = World::new().await;
    world.admin(1).await;
    let attempts = [
        "UPDATE audit_logs SET action = 'nothing'",
        "UPDATE audit_logs_default SET action = 'nothing'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "TRUNCATE audit_logs_default",
        "SET ROLE ibora_app; UPDATE audit_logs SET action = 'nothing'",
        "SET ROLE ibora_app; DELETE FROM audit_logs",
        "SET ROLE ibora_app; TRUNCATE audit_logs",
        "SET ROLE ibora_app; DELETE FROM audit_logs_default",
        "SET ROLE ibora_app; DELETE FROM users",
        "SET ROLE ibora_app; DROP TRIGGER audit_logs_append_only ON audit_logs",
    ];
    for attempt in attempts {
        let refused = pg::refusal(&world.database, attempt).await;
        assert_eq!(refused.as_deref(), Some("42501"), "{attempt}");
    }
    let allowed = "SET ROLE ibora_app; SELECT * FROM audit_logs; DELETE FROM token_families;
                   UPDATE users SET status = 'active'";
    assert_eq!(pg::refusal(&world.database, allowed).await, None);
    assert_eq!(world.ask("SELECT action FROM audit_logs").await, "create_admin");
}

#[tokio::test]
async fn the_database_itself_refuses_what_is_no_account() {
    let world = World::new().await;
    let attempts = [
        "INSERT INTO users (id, shard, role, name, email, created_at)
             VALUES (gen_random_uuid(), 0, 'root', 'A', 'a@example.com', now())",
        "INSERT INTO users (id, shard, role, name, email, created_at)
             VALUES (gen_random_uuid(), 1024, 'admin', 'A', 'a@example.com', now())",
        "INSERT INTO users (id, shard, role, name, email, created_at)
             VALUES (gen_random_uuid(), 0, 'admin', 'A', 'A@example.com', now())",
        "INSERT INTO users (id, shard, role, name, email, phone, created_at)
             VALUES (gen_random_uuid(), 0, 'admin', 'A', 'a@example.com', '5511', now())",
        "INSERT INTO users (id, shard, role, name, email, cpf, created_at)
             VALUES (gen_random_uuid(), 0, 'admin', 'A', 'a@example.com', '1', now())",
        "INSERT INTO users (id, shard, role, name, email, status, created_at)
             VALUES (gen_random_uuid(), 0, 'admin', 'A', 'a@example.com', 'gone', now())",
    ];
    for attempt in attempts {
        let refused = pg::refusal(&world.database, attempt).await;
        assert_eq!(refused.as_deref(), Some("23514"), "{attempt}");
    }
}
