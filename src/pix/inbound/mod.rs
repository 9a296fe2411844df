//! Callbacks of the provider, taken in: who calls is proved, the body is bounded, it is stored as
//! it came, and only then answered.
//!
//! `app` mounts [`Callbacks`] on the public listener, where the secret in the address proves who
//! calls, and on one of their own, where his certificate does ([`server`]). What must hold: 200
//! means stored; nothing that came is believed here, nor logged; the address with its secret is
//! written nowhere.

mod body;
mod secret;
mod tls;

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::web::{self, Bytes, Payload, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::BoxFuture;
use ibora_domain::provider::NoticeKey;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use self::body::Body;
use self::secret::Secrets;
use crate::obs::Metrics;
use crate::pix::wire::{Callback, Notice};

pub use self::tls::server;
pub use crate::pix::client::IdentityError;

/// Where the provider calls; it writes `/pix` behind the address as we gave it.
const PATHS: [&str; 2] = ["/webhooks/efi/pix", "/webhooks/efi/pix/pix"];
/// Characters of a status. One that is longer is no name.
const STATUS_CHARS_MAX: usize = 64;

/// A callback that is to be stored.
#[derive(Debug)]
pub struct Delivery {
    /// SHA-256 of the body.
    pub digest: [u8; 32],
    pub body: Bytes,
    pub notices: Vec<Told>,
}

/// One thing that it tells, and the element that tells it, in JSON. What it says is personal.
pub struct Told {
    pub what: NoticeKey,
    pub element: String,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Told").field(&self.what).finish()
    }
}

/// A callback that is not known to be stored: the provider is to come again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotStored;

/// Stores callbacks; says how many notices were new.
pub type Store =
    Arc<dyn Fn(Delivery) -> BoxFuture<'static, Result<usize, NotStored>> + Send + Sync>;

/// How the caller proves that he is the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// By what stands in the address.
    Secret,
    /// By his certificate, before the first byte came.
    Certificate,
}

/// What came of a call; the label of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    Stored,
    /// As the provider calls when the address is registered: there is nothing to store.
    Trial,
    Stranger,
    Malformed,
    TooLarge,
    NotStored,
}

impl Taken {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Trial => "trial",
            Self::Stranger => "stranger",
            Self::Malformed => "malformed",
            Self::TooLarge => "too_large",
            Self::NotStored => "not_stored",
        }
    }

    const fn status(self) -> StatusCode {
        match self {
            Self::Stored | Self::Trial => StatusCode::OK,
            Self::Stranger => StatusCode::UNAUTHORIZED,
            Self::Malformed => StatusCode::BAD_REQUEST,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::NotStored => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// Takes callbacks in.
pub struct Callbacks {
    secrets: Secrets,
    bytes_max: usize,
    store: Store,
    metrics: Arc<Metrics>,
}

impl Callbacks {
    /// Callbacks of at most so many bytes, under one of these secrets or a certificate.
    #[must_use]
    pub fn new(
        secrets: &[SecretString],
        bytes_max: usize,
        store: Store,
        metrics: Arc<Metrics>,
    ) -> Arc<Self> {
        Arc::new(Self { secrets: Secrets::new(secrets), bytes_max, store, metrics })
    }

    /// Mounts the routes. Without a secret there are none where it would have to prove who calls.
    pub fn configure(self: &Arc<Self>, proof: Proof, config: &mut ServiceConfig) {
        if proof == Proof::Secret && self.secrets.is_empty() {
            return;
        }
        for path in PATHS {
            let callbacks = Arc::clone(self);
            let take = move |request: HttpRequest, payload: Payload| {
                let callbacks = Arc::clone(&callbacks);
                async move { callbacks.answer(proof, path, &request, payload).await }
            };
            config.service(web::resource(path).route(web::post().to(take)));
        }
    }

    async fn answer(
        &self,
        proof: Proof,
        path: &'static str,
        request: &HttpRequest,
        payload: Payload,
    ) -> HttpResponse {
        let began = Instant::now();
        let known =
            proof == Proof::Certificate || self.secrets.are_known_by(request.query_string());
        let taken = if known {
            self.take(payload).await
        } else {
            body::pass_over(payload).await;
            Taken::Stranger
        };
        let (status, took) = (taken.status(), began.elapsed());
        self.metrics.pix_webhooks.with_label_values(&[taken.as_str()]).inc();
        self.metrics.observe_request(path, status.as_u16(), took.as_secs_f64());
        let duration_ms = took.as_secs_f64() * 1000.0;
        tracing::info!(route = path, outcome = taken.as_str(), duration_ms, "callback answered");
        HttpResponse::new(status)
    }

    async fn take(&self, payload: Payload) -> Taken {
        let body = match body::read(payload, self.bytes_max).await {
            Body::Whole(body) => body,
            Body::TooLarge => return Taken::TooLarge,
            Body::Broken => return Taken::Malformed,
        };
        let Ok(elements) = Callback::elements(&body) else {
            return if is_trial(&body) { Taken::Trial } else { Taken::Malformed };
        };
        let delivery = Delivery {
            digest: Sha256::digest(&body).into(),
            body,
            notices: elements.iter().flat_map(|element| self.read(element)).collect(),
        };
        let told = delivery.notices.len();
        let Ok(new) = (self.store)(delivery).await else { return Taken::NotStored };
        let repeated = told.saturating_sub(new);
        let notices = &self.metrics.pix_notices;
        notices.with_label_values(&["new"]).inc_by(u64::try_from(new).unwrap_or(0));
        notices.with_label_values(&["repeated"]).inc_by(u64::try_from(repeated).unwrap_or(0));
        Taken::Stored
    }

    /// What an element tells, piece by piece. One that makes no sense is kept with its body, and
    /// the provider's lists are read anyway.
    fn read(&self, element: &Value) -> Vec<Told> {
        let pieces = Notice::read(element).map(|notice| notice.pieces()).unwrap_or_default();
        let told = |what| Told { what, element: element.to_string() };
        let told: Vec<_> = pieces.into_iter().filter(is_name).map(told).collect();
        if told.is_empty() {
            self.metrics.pix_notices.with_label_values(&["unreadable"]).inc();
            tracing::warn!("an element of a callback makes no sense");
        }
        told
    }
}

/// New states are kept, whatever they are called, as long as that is a name.
fn is_name(what: &NoticeKey) -> bool {
    let short = what.status.len() <= STATUS_CHARS_MAX;
    short && what.status.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `{"evento": ".."}`.
fn is_trial(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Trial {
        #[expect(dead_code, reason = "that it is there is all that matters")]
        evento: String,
    }
    serde_json::from_slice::<Trial>(body).is_ok()
}
