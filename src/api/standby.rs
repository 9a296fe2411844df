//! What an engine answers while another has the shards: that it lives, its figures, and to all else
//! that it is not the one to ask.
//!
//! `app` mounts it until the engine takes over, and `/metrics` of it for good where that has an
//! address of its own. It has no door to anything: there is nothing yet that it could lead to.

use std::sync::Arc;
use std::time::Instant;

use actix_web::web::{self, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use ibora_domain::refusal::Refusal;
use tracing::Instrument;

use super::problem::Problem;
use super::request::{Meta, log};
use super::route::UNMATCHED;
use super::{body, cors, ops};
use crate::network::Proxies;
use crate::obs::Metrics;

/// What a browser may be about to send.
const METHODS: &str = "GET, POST, PUT, PATCH, DELETE";

/// The answers of an engine that waits.
pub struct Standby {
    metrics: Arc<Metrics>,
    allowed_origins: Vec<String>,
    proxies: Proxies,
    metrics_here: bool,
    body_bytes_max: usize,
}

impl Standby {
    /// Answers by the same options as the engine's own.
    #[must_use]
    pub fn new(metrics: Arc<Metrics>, options: &super::ApiOptions) -> Arc<Self> {
        Arc::new(Self {
            metrics,
            allowed_origins: options.allowed_origins.clone(),
            proxies: options.proxies.clone(),
            metrics_here: options.metrics_here,
            body_bytes_max: options.body_bytes_max,
        })
    }

    /// Mounts the answer to everything.
    pub fn configure(self: &Arc<Self>, config: &mut ServiceConfig) {
        let standby = Arc::clone(self);
        config.default_service(web::to(move |request: HttpRequest, payload: Payload| {
            let standby = Arc::clone(&standby);
            async move { standby.serve(request, payload).await }
        }));
    }

    /// Mounts `/metrics` alone, for a listener of its own.
    pub fn configure_metrics(self: &Arc<Self>, config: &mut ServiceConfig) {
        let standby = Arc::clone(self);
        let figures = move || std::future::ready(ops::figures(&standby.metrics));
        config.route("/metrics", web::get().to(figures));
    }

    async fn serve(&self, request: HttpRequest, mut payload: Payload) -> HttpResponse {
        let began = Instant::now();
        let meta = Meta::of(&request, &self.proxies);
        let span = meta.span();
        async {
            // Read although nobody looks at it: a client may listen only once it has sent all.
            body::read(&request, &mut payload, self.body_bytes_max).await.ok();
            let (route, mut response) = self.answer(&request, &meta);
            meta.stamp(&mut response);
            cors::stamp(&request, &self.allowed_origins, &mut response);
            let (status, took) = (response.status().as_u16(), began.elapsed());
            self.metrics.observe_request(route, status, took.as_secs_f64());
            log(request.method().as_str(), route, status, took);
            response
        }
        .instrument(span)
        .await
    }

    /// The answer, and the route it is counted under.
    fn answer(&self, request: &HttpRequest, meta: &Meta) -> (&'static str, HttpResponse) {
        let not_here = || Problem::from(Refusal::NotOwner).response(&meta.request_id);
        match request.path() {
            _ if cors::is_preflight(request) => (UNMATCHED, cors::preflight(METHODS)),
            "/health" => ("/health", ops::live()),
            "/metrics" if self.metrics_here => ("/metrics", ops::figures(&self.metrics)),
            "/ready" => ("/ready", not_here()),
            _ => (UNMATCHED, not_here()),
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
    use serde_json::Value;

    use super::*;
    use crate::api::{ApiOptions, LimitOptions};

    #[actix_web::test]
    async fn who_waits_lives_is_not_ready_and_refers_to_another() {
        let limits = LimitOptions {
            enabled: false,
            user_per_s: 1,
            user_burst: 1,
            anonymous_per_min: 1,
            auth_per_min: 1,
        };
        let (origin, body_bytes_max) = ("https://app.example.com".to_owned(), 1024);
        let allowed_origins = vec![origin.clone()];
        let options = ApiOptions {
            body_bytes_max,
            allowed_origins,
            metrics_here: true,
            limits,
            proxies: Proxies::default(),
        };
        let standby = Standby::new(Metrics::new(), &options);
        let app = actix_web::App::new().configure(|config| standby.configure(config));
        let app = init_service(app).await;
        let expected = [
            ("/health", 200),
            ("/metrics", 200),
            ("/ready", 503),
            ("/v1/session", 503),
            ("/v1/rides", 503),
        ];
        for (path, status) in expected {
            let request = TestRequest::get().uri(path).insert_header(("Origin", origin.as_str()));
            let response = call_service(&app, request.to_request()).await;
            assert_eq!(response.status(), status, "{path}");
            assert!(response.headers().contains_key("access-control-allow-origin"), "{path}");
            if status == 503 {
                assert_eq!(response.headers().get("retry-after").expect("a time"), "1");
                let body: Value = read_body_json(response).await;
                assert_eq!((&body["code"], &body["status"]), (&"not_owner".into(), &503.into()));
            }
        }
        let text = standby.metrics.render();
        assert!(text.contains("http_requests_total{endpoint=\"/ready\",status=\"503\"} 1\n"));
    }
}
