//! Drivers take out what they have earned: one after the other asks for their balance, and for a
//! payout once it is worth the fee. Over REST, as an app would; the contract has no other way.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use ibora_domain::money::Centavos;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::seed::Seeded;

/// How often each driver looks, in real time.
const LOOKS_EVERY: Duration = Duration::from_secs(10);
/// Below it they wait for more.
const WORTH_IT: Centavos = Centavos(1000);
/// An engine that takes longer is asked again in the next round.
const WITHIN: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// The drivers' way to their money.
pub(super) struct Cashier {
    http: Client<HttpConnector, Full<Bytes>>,
    engine: SocketAddr,
}

impl Cashier {
    pub(super) fn new(engine: SocketAddr) -> Self {
        Self { http: Client::builder(TokioExecutor::new()).build_http(), engine }
    }

    /// Goes round the drivers for ever. What fails is tried again in the next round.
    pub(super) async fn serve(self, drivers: Vec<Seeded>) {
        let count = u32::try_from(drivers.len()).unwrap_or(u32::MAX).max(1);
        let mut pace = tokio::time::interval(LOOKS_EVERY / count);
        pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            for driver in &drivers {
                pace.tick().await;
                self.take_out(driver).await;
            }
            if drivers.is_empty() {
                return;
            }
        }
    }

    async fn take_out(&self, driver: &Seeded) -> Option<()> {
        let has = self.call(driver, Method::GET, "/v1/me/balance", None).await?;
        let available: Centavos = has["available"].as_str()?.parse().ok()?;
        if available < WORTH_IT {
            return None;
        }
        let order = json!({"amount": available.to_string()});
        self.call(driver, Method::POST, "/v1/payouts", Some(order)).await.map(drop)
    }

    /// The answer to a call that went well.
    async fn call(
        &self,
        driver: &Seeded,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Option<Value> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{path}", self.engine))
            .header(AUTHORIZATION, format!("Bearer {}", driver.token))
            .header(CONTENT_TYPE, "application/json")
            .header("Idempotency-Key", Uuid::now_v7().to_string())
            .body(Full::from(body.map(|body| body.to_string()).unwrap_or_default()))
            .ok()?;
        let exchange = async {
            let answer = self.http.request(request).await.ok()?;
            let good = answer.status().is_success();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await.ok()?;
            good.then_some(body.to_bytes())
        };
        let body = tokio::time::timeout(WITHIN, exchange).await.ok()??;
        serde_json::from_slice(&body).ok()
    }
}
