//! The provider's calls, on schedule: each Pix is paid shortly before, and its callback sent when
//! it is due. How long an answer took counts from then: no omission is coordinated away.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use ibora_domain::pix::EndToEndId;
use serde::Deserialize;
use serde_json::json;

use super::KEY;
use super::prepared::Told;

/// How long before its callback a Pix is paid.
const PAID_BEFORE: Duration = Duration::from_secs(1);
/// Longer than any answer that counts as one.
const PATIENCE: Duration = Duration::from_secs(30);
/// Connections to either side.
const CONNECTIONS: usize = 200;

/// A callback that was sent.
pub(super) struct Sent {
    pub(super) pix: EndToEndId,
    /// When it was due, in seconds of the wall's clock.
    pub(super) due_s: f64,
    pub(super) took: Duration,
    /// Whether it was answered as stored.
    pub(super) stored: bool,
}

/// Where to pay, and where to tell of it.
#[derive(Clone)]
pub(super) struct Caller {
    http: awc::Client,
    pay: String,
    tell: String,
}

impl Caller {
    pub(super) fn new(control: &str, tell: String) -> Self {
        let connector = awc::Connector::new().limit(CONNECTIONS);
        let http = awc::Client::builder().connector(connector).timeout(PATIENCE).finish();
        Self { http, pay: format!("{control}/control/pay"), tell }
    }

    /// Tells all of it, so much a second.
    pub(super) async fn call(self, per_s: u32, told: Vec<Told>) -> anyhow::Result<Vec<Sent>> {
        let (start, each) = (Instant::now() + PAID_BEFORE, Duration::from_secs(1) / per_s.max(1));
        let mut calls = Vec::with_capacity(told.len());
        let mut due = start;
        for told in told {
            until(due - PAID_BEFORE).await;
            let caller = self.clone();
            calls.push(actix_web::rt::spawn(async move { caller.one(told, due).await }));
            due += each;
        }
        let mut sent = Vec::with_capacity(calls.len());
        for call in calls {
            sent.push(call.await??);
        }
        Ok(sent)
    }

    async fn one(&self, told: Told, due: Instant) -> anyhow::Result<Sent> {
        let pix = self.paid(&told).await?;
        let body = json!({"pix": [{
            "endToEndId": pix,
            "txid": told.txid,
            "chave": KEY,
            "valor": told.amount.to_string(),
            "horario": "2026-01-01T00:00:00.000Z",
        }]});
        until(due).await;
        let due_s = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64()
            - due.elapsed().as_secs_f64();
        let answer = self.http.post(&self.tell).send_json(&body).await;
        let stored = answer.is_ok_and(|answer| answer.status().is_success());
        Ok(Sent { pix, due_s, took: due.elapsed(), stored })
    }

    /// Pays a charge; the number of the Pix.
    async fn paid(&self, told: &Told) -> anyhow::Result<EndToEndId> {
        #[derive(Deserialize)]
        struct Paid {
            #[serde(rename = "endToEndId")]
            pix: EndToEndId,
        }
        let answer = self.http.post(&self.pay).send_json(&json!({"txid": told.txid})).await;
        let mut answer = answer.map_err(|error| anyhow::anyhow!("{}: {error}", self.pay))?;
        let paid: Paid = answer.json().await.context("a Pix that was paid")?;
        Ok(paid.pix)
    }
}

async fn until(moment: Instant) {
    tokio::time::sleep_until(moment.into()).await;
}
