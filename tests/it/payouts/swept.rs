//! The platform's own money goes to its owner, and nobody else's does.

use serde_json::{Value, json};
use uuid::Uuid;

use super::desk::Desk;

const KEY: &str = "owner@example.com";
const DOCUMENT: &str = "12345678000195";
const OWNER: [(&str, &str); 2] = [("pix.owner_key", KEY), ("pix.owner_document", DOCUMENT)];

/// The owner has put so much in, and a driver has earned as much.
async fn funded(settings: &[(&str, &str)]) -> Desk {
    let settings: Vec<_> = OWNER.iter().chain(settings).copied().collect();
    let desk = Desk::open(&settings).await;
    desk.tell("keys", json!({"key": KEY, "owner": DOCUMENT})).await;
    desk.tell("deposit", json!({"value": "500.00"})).await;
    let admin = desk.world.admin().await;
    let entry = json!({"kind": "funding", "amount": "500.00", "reference": "TED-17",
        "reason": "opening balance"});
    desk.world.post(admin, "/v1/admin/ledger/entries", &entry).await.good(201);
    desk.driver(50_000, "1 day").await;
    desk
}

fn id_of(payout: &Value) -> Uuid {
    payout["payout_id"].as_str().expect("an id").parse().expect("an id")
}

/// Two people let it go.
async fn approve(desk: &Desk, payout: &Value) {
    let path = format!("/v1/payouts/{}/approve", id_of(payout));
    for _ in 0..2 {
        desk.world.post(desk.world.admin().await, &path, &json!({})).await.good(200);
    }
}

fn wish(amount: &str) -> Value {
    json!({"amount": amount, "reason": "earnings of November"})
}

#[actix_web::test]
async fn e17_what_is_the_platforms_own_goes_to_its_owner_and_nobody_elses_does() {
    let desk = funded(&[]).await;
    let admin = desk.world.admin().await;
    let path = "/v1/admin/ledger/sweeps";
    let above = desk.world.post(admin, path, &wish("400.01")).await;
    assert_eq!(above.problem(422), "insufficient_balance", "R$ 100.00 stay, and a driver has 500");
    let driver = desk.world.driver().await;
    assert_eq!(
        desk.world.post(driver, path, &wish("1.00")).await.problem(403),
        "insufficient_scope"
    );
    for bad in [json!({}), wish("0.00"), wish("1"), json!({"amount": "1.00", "reason": ""})] {
        assert_eq!(desk.world.post(admin, path, &bad).await.problem(422), "invalid", "{bad}");
    }

    let asked = desk.world.post(admin, path, &wish("300.00")).await.good(201);
    let shown = (&asked["driver_id"], &asked["fee"], &asked["net"]);
    assert_eq!(shown, (&json!(null), &json!("0.00"), &json!("300.00")));
    approve(&desk, &asked).await;
    desk.until(id_of(&asked), "done").await;
    assert_eq!((desk.balance(3000).await, desk.balance(1020).await), (-20_000, 0));
    let sends = desk.sends().await;
    assert_eq!(
        (sends.len(), &sends[0]["value"], &sends[0]["to"]),
        (1, &json!(30_000), &json!(KEY))
    );
    let above = desk.world.post(admin, path, &wish("100.01")).await;
    assert_eq!(above.problem(422), "insufficient_balance");
    let trail = desk.world.get(admin, "/v1/audit/logs?action=platform.sweep").await.good(200);
    let changes = json!({"amount": "300.00", "reason": "earnings of November"});
    assert_eq!(trail["items"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&trail["items"][0]["user_id"], &trail["items"][0]["changes"]),
        (&json!(admin.user), &changes)
    );
    desk.close().await;
}

#[actix_web::test]
async fn two_people_send_it_and_one_takes_it_back() {
    let mut desk = funded(&[]).await;
    let admins = [desk.world.admin().await, desk.world.admin().await];
    let path = "/v1/admin/ledger/sweeps";
    let asked = desk.world.post(admins[0], path, &wish("200.00")).await.good(201);
    assert_eq!(asked["status"], "awaiting_approval");
    let other = desk.world.post(admins[1], path, &wish("150.00")).await.good(201);
    desk.world.restart().await;
    let more = desk.world.post(admins[0], path, &wish("50.01")).await;
    assert_eq!(more.problem(422), "insufficient_balance", "what waits is on its way");
    let reject = format!("/v1/payouts/{}/reject", id_of(&other));
    desk.world.post(admins[0], &reject, &json!({"reason": "no"})).await.good(200);
    let approve = format!("/v1/payouts/{}/approve", id_of(&asked));
    desk.world.post(admins[0], &approve, &json!({})).await.good(200);
    let again = desk.world.post(admins[0], &approve, &json!({})).await;
    assert_eq!(again.problem(409), "already_approved");
    desk.world.post(admins[1], &approve, &json!({})).await.good(200);
    desk.until(id_of(&asked), "done").await;
    assert_eq!(desk.balance(3000).await, -30_000, "the other is the platform's again");
    desk.close().await;
}

#[actix_web::test]
async fn without_an_owner_nothing_goes_and_to_a_key_of_another_nothing_does() {
    let desk = Desk::open(&[]).await;
    let admin = desk.world.admin().await;
    let nobody = desk.world.post(admin, "/v1/admin/ledger/sweeps", &wish("1.00")).await;
    assert_eq!(nobody.problem(409), "pix_key_missing");
    desk.close().await;

    let desk = funded(&[]).await;
    let admin = desk.world.admin().await;
    desk.tell("keys", json!({"key": KEY, "owner": "98765432100"})).await;
    let asked = desk.world.post(admin, "/v1/admin/ledger/sweeps", &wish("100.00")).await.good(201);
    approve(&desk, &asked).await;
    desk.until(id_of(&asked), "failed").await;
    assert_eq!(desk.balance(3000).await, -50_000, "all of it is there");
    desk.close().await;
}
