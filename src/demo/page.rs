//! The page at `/` and what it asks for. Mounted by the demo only; everything is in the binary.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::live::Live;
use crate::app::Mount;

/// Path, kind and text of each file. `client.js` is the official client, made from
/// `clients/typescript` by its `npm run page`.
const FILES: [(&str, &str, &str); 13] = [
    ("/", HTML, include_str!("page/index.html")),
    ("/demo/app.js", SCRIPT, include_str!("page/app.js")),
    ("/demo/client.js", SCRIPT, include_str!("page/client.js")),
    ("/demo/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/demo/figures.js", SCRIPT, include_str!("page/figures.js")),
    ("/demo/ground.js", SCRIPT, include_str!("page/ground.js")),
    ("/demo/line.js", SCRIPT, include_str!("page/line.js")),
    ("/demo/marks.js", SCRIPT, include_str!("page/marks.js")),
    ("/demo/plan.js", SCRIPT, include_str!("page/plan.js")),
    ("/demo/ride.js", SCRIPT, include_str!("page/ride.js")),
    ("/demo/session.js", SCRIPT, include_str!("page/session.js")),
    ("/demo/texts.js", SCRIPT, include_str!("page/texts.js")),
    ("/demo/style.css", STYLE, include_str!("page/style.css")),
];
const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const JSON: &str = "application/json";

/// Nothing from anywhere else, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
    ride: Option<Uuid>,
}

/// What a visitor says to the driver.
#[derive(Deserialize)]
struct Told {
    ride: Uuid,
    pin: String,
}

/// PINs have four digits; what is longer is none.
const PIN_CHARS_MAX: usize = 8;

/// The routes of a demo. Those that a visitor posts to take JSON only: the page of another site
/// cannot send that without asking, and is told no.
pub(super) fn mount(live: Arc<Live>) -> Mount {
    Arc::new(move |routes| {
        for (path, kind, text) in FILES {
            routes.route(path, web::get().to(move || async move { answer(kind).body(text) }));
        }
        routes
            .app_data(web::Data::from(Arc::clone(&live)))
            .route("/demo/city", web::get().to(city))
            .route("/demo/live", web::get().to(shown))
            .route("/demo/visitors", web::post().to(visitor))
            .route("/demo/pins", web::post().to(pin));
    })
}

async fn city(live: web::Data<Live>) -> HttpResponse {
    answer(JSON).body(live.city().to_owned())
}

async fn shown(live: web::Data<Live>, query: web::Query<Since>) -> HttpResponse {
    answer(JSON).body(live.since(query.since, query.ride).to_string())
}

async fn visitor(live: web::Data<Live>, _: web::Json<serde_json::Value>) -> HttpResponse {
    match live.visitor() {
        Some(token) => answer(JSON).body(json!({ "token": token }).to_string()),
        None => HttpResponse::ServiceUnavailable().finish(),
    }
}

async fn pin(live: web::Data<Live>, told: web::Json<Told>) -> HttpResponse {
    if told.pin.len() <= PIN_CHARS_MAX {
        live.tell_pin(told.ride, &told.pin);
    }
    HttpResponse::NoContent().finish()
}

fn answer(kind: &str) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header(("content-type", kind))
        .insert_header(("content-security-policy", POLICY))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("referrer-policy", "no-referrer"))
        .insert_header(("cache-control", "no-store"));
    answer
}
