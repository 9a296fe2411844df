//! REST over real sockets, against a whole engine: what a client may rely on.

mod client;
mod idempotency;
mod identity;
mod input;
mod lists;
mod ride;
mod routing;
mod trail;

use serde_json::{Value, json};

/// Praça da Sé and the MASP, as clients send them.
fn from_to() -> Value {
    json!({
        "pickup": {"lat": -23.5503, "lng": -46.6339},
        "dropoff": {"lat": -23.5614, "lng": -46.6559},
    })
}

/// An everyday request for a ride.
pub(crate) fn ride_request() -> Value {
    let mut body = from_to();
    body["category"] = json!("economy");
    body["payment_method"] = json!("pix");
    body
}
