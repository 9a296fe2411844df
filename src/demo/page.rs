//! The page at `/` and what it asks for. Mounted by the demo only; everything is in the binary.

use std::sync::Arc;

use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::live::Live;
use crate::app::Mount;

const HTML: &str = include_str!("page/index.html");
const SCRIPT: &str = include_str!("page/app.js");
const STYLE: &str = include_str!("page/style.css");

/// Nothing from anywhere else, and nothing inline.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

#[derive(Deserialize)]
struct Since {
    #[serde(default)]
    since: u64,
}

/// The routes of a demo.
pub(super) fn mount(live: Arc<Live>) -> Mount {
    Arc::new(move |routes| {
        let file = |kind: &'static str, text: &'static str| {
            web::get().to(move || async move { answer(kind).body(text) })
        };
        let (city, live) = (Arc::clone(&live), Arc::clone(&live));
        routes
            .route("/", file("text/html; charset=utf-8", HTML))
            .route("/demo/app.js", file("text/javascript; charset=utf-8", SCRIPT))
            .route("/demo/style.css", file("text/css; charset=utf-8", STYLE))
            .route(
                "/demo/city",
                web::get().to(move || {
                    let city = Arc::clone(&city);
                    async move { answer("application/json").body(city.city().to_owned()) }
                }),
            )
            .route(
                "/demo/live",
                web::get().to(move |query: web::Query<Since>| {
                    let live = Arc::clone(&live);
                    async move {
                        let shown = live.since(query.since).to_string();
                        answer("application/json").body(shown)
                    }
                }),
            );
    })
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
