//! The postman: sends callbacks when they are due, and again on the provider's schedule.

use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use ibora_psp::Delivery;
use serde_json::json;
use tracing::debug;

use super::core::{Core, Letter, State};
use super::outgoing::post;
use super::render;
use crate::pix::simulator::dial::UNKNOWN_STATUS;

/// Looks at the clock at least as often, for it may be moved.
const LOOK_MAX: Duration = Duration::from_millis(500);

pub(super) async fn run(core: Arc<Core>) {
    loop {
        let wait = {
            let mut state = core.lock();
            let now = state.now();
            for delivery in state.deliveries.take_due(now) {
                let uri = address(&state, &delivery.what);
                let body = body(&state, &delivery.what);
                actix_web::rt::spawn(send(core.clone(), delivery, uri, body));
            }
            state.next_due().map_or(LOOK_MAX, |at| state.clock.until(at).min(LOOK_MAX))
        };
        // Either is a reason to look again; which one it was does not matter.
        tokio::time::timeout(wait, core.until_changed()).await.ok();
    }
}

async fn send(core: Arc<Core>, delivery: Delivery<Letter>, uri: Option<Uri>, body: Vec<u8>) {
    let answer = match uri {
        Some(uri) => post(&core.known, &uri, body).await.ok(),
        None => None,
    };
    let taken = answer.is_some_and(|status| (200..300).contains(&status));
    debug!(callback = delivery.id, taken, status = answer.unwrap_or(0), "callback");
    let mut state = core.lock();
    let now = state.now();
    state.deliveries.settle(delivery.id, taken, now);
    core.changed();
}

/// Where a callback goes: `/pix` is appended to the address as it was registered, behind its query
/// if it has one. That is the provider's way, and why addresses end in `&ignorar=`.
fn address(state: &State, letter: &Letter) -> Option<Uri> {
    let hook = state.hooks.get(&letter.key)?;
    format!("{}/pix", hook.url.trim_end_matches('/')).parse().ok()
}

fn body(state: &State, letter: &Letter) -> Vec<u8> {
    let told = letter.notices.iter().filter_map(|notice| render::notice(&state.books, notice));
    let mut elements: Vec<_> = told.collect();
    if letter.unknown_status {
        for element in &mut elements {
            element["status"] = json!(UNKNOWN_STATUS);
            let refunds = element.get_mut("devolucoes").and_then(|list| list.as_array_mut());
            for refund in refunds.into_iter().flatten() {
                refund["status"] = json!(UNKNOWN_STATUS);
            }
        }
    }
    json!({ "pix": elements }).to_string().into_bytes()
}
