//! One call from its turn to its outcome: limit, breaker, token, exchange, and again where that is
//! safe.
//!
//! The operations of [`super::Provider`] build a [`Call`] and read its answer. What must hold: what
//! is not harmless goes out again only if nothing of it went out before, or the provider did not
//! look at it; and each try is counted by its outcome.

use std::sync::Arc;
use std::time::Instant;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Method, Request};
use ibora_domain::breaker::Breaker;
use ibora_domain::provider::{Backoff, Budget, Hindrance, Outcome, Pace, ProviderError};
use ibora_domain::units::Millis;
use parking_lot::Mutex;
use rand::random;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::time::sleep;
use tracing::{error, warn};

use super::options::Bounds;
use super::refusal::{json, judge};
use super::tokens::Tokens;
use super::wires::{Answer, Lost, Wires};
use crate::obs::Metrics;

/// Between tries of one call; an order that is in doubt has a slower pace of its own.
const BACKOFF: Backoff = Backoff { first: Millis(200), longest: Millis(2000) };
/// Repeats that are there before any call has earned them.
const RESERVE: u32 = 10;
/// The silence after a 429 that names none.
const SILENCE: Millis = Millis(1000);

/// What is called, as metrics and logs name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Op(pub(super) &'static str);

/// One call, before it is made.
pub(super) struct Call {
    op: Op,
    method: Method,
    /// With the query: it may hold personal data, and is never logged.
    path: String,
    body: Bytes,
    harmless: bool,
    skips_mtls_check: bool,
    bytes_max: Option<usize>,
}

impl Call {
    fn new(op: &'static str, method: Method, path: String) -> Self {
        let harmless = method == Method::GET;
        let (body, skips_mtls_check, bytes_max) = (Bytes::new(), false, None);
        Self { op: Op(op), method, path, body, harmless, skips_mtls_check, bytes_max }
    }

    /// A question.
    pub(super) fn get(op: &'static str, path: String) -> Self {
        Self::new(op, Method::GET, path)
    }

    /// An order with a body. It is not repeated where it may have arrived.
    pub(super) fn order(
        op: &'static str,
        method: Method,
        path: String,
        body: &impl Serialize,
    ) -> Self {
        let body = serde_json::to_vec(body).expect("a body of ours is JSON").into();
        Self { body, ..Self::new(op, method, path) }
    }

    pub(super) fn delete(op: &'static str, path: String) -> Self {
        Self::new(op, Method::DELETE, path)
    }

    /// To be carried out twice changes nothing.
    pub(super) fn harmless(self) -> Self {
        Self { harmless: true, ..self }
    }

    pub(super) fn skipping_mtls_check(self, skips: bool) -> Self {
        Self { skips_mtls_check: skips, ..self }
    }

    /// Bytes of its answer, where it is no usual one.
    pub(super) fn up_to(self, bytes: usize) -> Self {
        Self { bytes_max: Some(bytes), ..self }
    }

    fn request(&self, base: &str, authorization: &HeaderValue) -> Request<Full<Bytes>> {
        let mut request = Request::builder()
            .method(&self.method)
            .uri(format!("{base}{}", self.path))
            .header(AUTHORIZATION, authorization)
            .header(ACCEPT, "application/json, */*")
            .header(USER_AGENT, concat!("ibora/", env!("CARGO_PKG_VERSION")));
        if !self.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if self.skips_mtls_check {
            request = request.header("x-skip-mtls-checking", "true");
        }
        request.body(Full::new(self.body.clone())).expect("ids in a path are letters and digits")
    }
}

/// All that the calls to one provider share.
pub(super) struct Line {
    base: String,
    wires: Wires,
    bounds: Bounds,
    metrics: Arc<Metrics>,
    /// The time of what follows begins here.
    started: Instant,
    breaker: Mutex<Breaker>,
    reads: Mutex<Pace>,
    writes: Mutex<Pace>,
    budget: Mutex<Budget>,
}

impl Line {
    pub(super) fn new(base: &str, wires: Wires, bounds: Bounds, metrics: Arc<Metrics>) -> Self {
        let pause = Millis::from(bounds.pause);
        let pace = |per_s| Mutex::new(Pace::new(per_s, bounds.burst));
        Self {
            base: base.trim_end_matches('/').to_owned(),
            wires,
            metrics,
            started: Instant::now(),
            breaker: Breaker::new(bounds.failures_max, pause).into(),
            reads: pace(bounds.reads_per_s),
            writes: pace(bounds.writes_per_s),
            budget: Budget::new(bounds.retry_permille, RESERVE).into(),
            bounds,
        }
    }

    pub(super) fn now(&self) -> Millis {
        self.started.elapsed().into()
    }

    pub(super) fn is_paused(&self) -> bool {
        self.breaker.lock().is_paused(self.now())
    }

    /// Makes a call with this authorization, again where that is safe.
    pub(super) async fn call(&self, call: &Call, authorization: &HeaderValue) -> Outcome<Answer> {
        self.budget.lock().called();
        let mut tries = 0;
        loop {
            let outcome = self.once(call, authorization).await;
            tries += 1;
            let Some(least) = outcome.repeat_after(call.harmless) else {
                return outcome;
            };
            let wait = BACKOFF.after(tries, random()).max(least);
            let too_long = wait > Millis::from(self.bounds.call_timeout);
            if tries > self.bounds.retries_max || too_long || !self.budget.lock().spend() {
                return outcome;
            }
            self.metrics.pix_retries.with_label_values(&[call.op.0]).inc();
            sleep(wait.into()).await;
        }
    }

    /// One try.
    async fn once(&self, call: &Call, authorization: &HeaderValue) -> Outcome<Answer> {
        let began = Instant::now();
        let outcome = self.attempt(call, authorization).await;
        let Op(op) = call.op;
        self.metrics.pix_calls.with_label_values(&[op, outcome.as_str()]).inc();
        self.metrics
            .pix_call_seconds
            .with_label_values(&[op])
            .observe(began.elapsed().as_secs_f64());
        if let Outcome::Refused(error) = &outcome {
            self.refused(call, error);
        }
        outcome
    }

    async fn attempt(&self, call: &Call, authorization: &HeaderValue) -> Outcome<Answer> {
        let turn = self.pace(call).lock().turn(self.now(), self.bounds.call_timeout.into());
        match turn {
            None => return Outcome::NotSent(Hindrance::Pace),
            Some(Millis(0)) => {}
            Some(wait) => sleep(wait.into()).await,
        }
        if !self.breaker.lock().admits(self.now()) {
            return Outcome::NotSent(Hindrance::Paused);
        }
        let bytes_max = call.bytes_max.unwrap_or(self.bounds.answer_bytes_max);
        let request = call.request(&self.base, authorization);
        let outcome = match self.wires.exchange(request, bytes_max).await {
            Ok(answer) => judge(answer),
            Err(Lost::NotSent(hindrance)) => Outcome::NotSent(hindrance),
            Err(Lost::Unclear(why)) => Outcome::Unclear(why),
        };
        self.heard(call.op, &outcome);
        outcome
    }

    /// Tells the breaker. Whoever refuses is well; so is one who only we could not reach.
    fn heard(&self, Op(op): Op, outcome: &Outcome<Answer>) {
        let mut breaker = self.breaker.lock();
        match outcome {
            Outcome::Done(_) | Outcome::Refused(_) => breaker.succeeded(),
            Outcome::NotSent(Hindrance::Pace) => {}
            Outcome::NotSent(_) | Outcome::Unclear(_) => {
                let was_paused = breaker.is_paused(self.now());
                breaker.failed(self.now());
                if breaker.is_paused(self.now()) && !was_paused {
                    let last: &dyn std::fmt::Display = match outcome {
                        Outcome::NotSent(hindrance) => hindrance,
                        Outcome::Unclear(why) => why,
                        Outcome::Done(_) | Outcome::Refused(_) => &"",
                    };
                    warn!(pix.op = op, last = %last, "the Pix provider is left alone for a while");
                }
            }
        }
        let paused = breaker.is_paused(self.now());
        self.metrics.pix_breaker_open.set(i64::from(paused));
    }

    fn refused(&self, call: &Call, error: &ProviderError) {
        let Op(op) = call.op;
        if error.status == 429 {
            let silence = error.retry_after.unwrap_or(SILENCE);
            self.pace(call).lock().pause(self.now(), silence);
        } else if error.is_insufficient_scope() {
            error!(
                pix.op = op,
                "our application at the Pix provider lacks the scope for this call"
            );
        }
    }

    fn pace(&self, call: &Call) -> &Mutex<Pace> {
        if call.method == Method::GET { &self.reads } else { &self.writes }
    }
}

/// Makes a call as ourselves: with the token in force, and once more with a new one where the
/// provider no longer takes it.
pub(super) async fn call_as_us(line: &Line, tokens: &Arc<Tokens>, call: &Call) -> Outcome<Answer> {
    let mut renewed = false;
    loop {
        let token = match tokens.get().await {
            Ok(token) => token,
            Err(hindrance) => return Outcome::NotSent(hindrance),
        };
        let outcome = line.call(call, token.header()).await;
        match &outcome {
            Outcome::Refused(error) if error.status == 401 && !renewed => tokens.refused(&token),
            _ => return outcome,
        }
        renewed = true;
    }
}

/// As [`call_as_us`], and reads the answer.
pub(super) async fn ask_as_us<T: DeserializeOwned>(
    line: &Line,
    tokens: &Arc<Tokens>,
    call: &Call,
) -> Outcome<T> {
    call_as_us(line, tokens, call).await.and_then(|answer| json(&answer))
}
