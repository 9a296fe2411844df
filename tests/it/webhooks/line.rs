//! The provider's end of a callback: an engine with a door for it, and what it says through it.

use serde_json::{Value, json};

use crate::machine::http;
use crate::world::World;

pub(super) const SECRET: &str = "0123456789abcdefghijklmnopqrstuv-now";
pub(super) const OLD_SECRET: &str = "0123456789abcdefghijklmnopqrstuv-old";

/// An engine that takes callbacks under either secret.
pub(super) async fn engine() -> World {
    World::with(&[("pix.webhook_secret", SECRET), ("pix.webhook_secret_old", OLD_SECRET)]).await
}

/// Calls as the provider does, the appended `/pix` swallowed by the query.
pub(super) async fn tell(world: &World, body: impl Into<Vec<u8>>) -> u16 {
    call(world, &format!("/webhooks/efi/pix?hmac={SECRET}&ignorar=/pix"), body).await
}

pub(super) async fn call(world: &World, path: &str, body: impl Into<Vec<u8>>) -> u16 {
    let url = format!("{}{path}", world.url());
    let answer = http().post(url).send_body(body.into()).await.expect("an answer");
    answer.status().as_u16()
}

/// A receipt, as the provider tells it.
pub(super) fn received(e2e_id: &str) -> Value {
    json!({
        "endToEndId": e2e_id,
        "txid": "00000000000000000000000000000001",
        "chave": "ibora@example.com",
        "valor": "20.00",
        "horario": "2026-11-26T12:00:00.000Z",
        "gnExtras": {"tarifa": "0.24", "pagador": {"nome": "Maria", "cpf": "***"}},
    })
}

pub(super) fn body(elements: &[Value]) -> String {
    json!({"pix": elements}).to_string()
}

/// Kind, number, part and status of every notice there is.
pub(super) async fn notices(world: &World) -> Vec<(String, String, String, String)> {
    sqlx::query_as("SELECT kind, e2e_id, part, status FROM pix_notices ORDER BY 1, 2, 3, 4")
        .fetch_all(world.database())
        .await
        .expect("reads")
}

/// The bodies that are kept.
pub(super) async fn bodies(world: &World) -> Vec<Vec<u8>> {
    sqlx::query_scalar("SELECT body FROM webhook_events ORDER BY received_at, digest")
        .fetch_all(world.database())
        .await
        .expect("reads")
}

pub(super) const OK: u16 = 200;
