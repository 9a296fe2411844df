//! The access token: one for all calls, asked for by one caller at a time.
//!
//! Only the calls of the client use it. Before its end a token is renewed beside the work; past it
//! everybody waits for the one who asks. What must hold: there is never more than one request for a
//! token under way, who waited for one that failed does not ask again but hears of the failure, and
//! after a failure nobody asks for a while.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use hyper::header::HeaderValue;
use ibora_domain::provider::{Hindrance, Lease, Outcome, State, Why};
use ibora_domain::units::Millis;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex as AsyncMutex;

use super::calls::{Call, Line};
use super::refusal::json;
use crate::pix::wire::{TokenAnswer, TokenRequest};

/// The silence after a failure, unless the provider asks for a longer one.
const SILENCE: Millis = Millis(1000);

/// A token in force.
pub(super) struct Token {
    header: HeaderValue,
    lease: Lease,
}

impl Token {
    /// Marked as sensitive: its `Debug` hides it.
    pub(super) const fn header(&self) -> &HeaderValue {
        &self.header
    }
}

/// The token of one client of one provider.
pub(super) struct Tokens {
    line: Arc<Line>,
    /// Our id and secret, as the header has them.
    basic: HeaderValue,
    current: Mutex<Option<Arc<Token>>>,
    /// Held by the one who asks.
    flight: AsyncMutex<()>,
    failed: Mutex<Option<Failed>>,
}

struct Failed {
    hindrance: Hindrance,
    at: Millis,
    silent_until: Millis,
}

impl Tokens {
    pub(super) fn new(line: Arc<Line>, id: &SecretString, secret: &SecretString) -> Self {
        let pair = format!("{}:{}", id.expose_secret(), secret.expose_secret());
        let basic = sensitive(&format!("Basic {}", STANDARD.encode(pair)));
        let basic = basic.expect("base64 may stand in a header");
        let (current, flight, failed) = Default::default();
        Self { line, basic, current, flight, failed }
    }

    /// The token to call with.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn get(self: &Arc<Self>) -> Result<Arc<Token>, Hindrance> {
        if let Some(token) = self.in_force() {
            return Ok(token);
        }
        let came = self.line.now();
        let _turn = self.flight.lock().await;
        // Somebody else may have asked meanwhile.
        if let Some(token) = self.in_force() {
            return Ok(token);
        }
        if let Some(hindrance) = self.failed_since(came) {
            return Err(hindrance);
        }
        self.fetch().await
    }

    /// The provider did not take it: the next call asks for another, unless one has already.
    pub(super) fn refused(&self, token: &Arc<Token>) {
        let mut current = self.current.lock();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, token)) {
            *current = None;
        }
    }

    fn in_force(self: &Arc<Self>) -> Option<Arc<Token>> {
        let token = self.current.lock().clone()?;
        match token.lease.state(self.line.now()) {
            State::Good => Some(token),
            State::Over => None,
            State::Renew => {
                self.renew();
                Some(token)
            }
        }
    }

    /// Asks for the next one, unless somebody does, or failed a moment ago.
    fn renew(self: &Arc<Self>) {
        let now = self.line.now();
        if self.flight.try_lock().is_err() || self.failed_since(now).is_some() {
            return;
        }
        let tokens = Arc::clone(self);
        tokio::spawn(async move {
            let Ok(_turn) = tokens.flight.try_lock() else {
                return;
            };
            let renewed = tokens
                .current
                .lock()
                .as_ref()
                .is_some_and(|token| token.lease.state(tokens.line.now()) == State::Good);
            if !renewed {
                // The failure is kept, and told where the old token ends.
                tokens.fetch().await.ok();
            }
        });
    }

    /// The failure that somebody who came then has waited for, or that is too young to ask again.
    fn failed_since(&self, came: Millis) -> Option<Hindrance> {
        let failed = self.failed.lock();
        let failed = failed.as_ref()?;
        let heard = failed.at >= came || self.line.now() < failed.silent_until;
        heard.then(|| failed.hindrance.clone())
    }

    /// Only for the one who holds the flight.
    async fn fetch(&self) -> Result<Arc<Token>, Hindrance> {
        let body = TokenRequest::client_credentials();
        let call = Call::order("token", Method::POST, "/oauth/token".to_owned(), &body).harmless();
        let asked = self.line.now();
        let outcome = self.line.call(&call, &self.basic).await;
        let token = outcome.and_then(|answer| json::<TokenAnswer>(&answer)).and_then(|answer| {
            let header = sensitive(&format!("Bearer {}", answer.access_token));
            let lease = Lease::new(asked, Millis::from_secs(answer.expires_in.min(LIFE_MAX_S)));
            let unreadable = Outcome::Unclear(Why::Unreadable { status: 200 });
            header.map_or(unreadable, |header| Outcome::Done(Token { header, lease }))
        });
        let (hindrance, silence) = match token {
            Outcome::Done(token) => {
                let token = Arc::new(token);
                *self.current.lock() = Some(Arc::clone(&token));
                *self.failed.lock() = None;
                return Ok(token);
            }
            Outcome::Refused(error) => {
                let silence = error.retry_after.unwrap_or(SILENCE);
                (Hindrance::TokenRefused(error), silence)
            }
            Outcome::NotSent(hindrance) => (Hindrance::Token(Box::new(hindrance)), SILENCE),
            Outcome::Unclear(why) => (Hindrance::TokenUnclear(why), SILENCE),
        };
        let at = self.line.now();
        let failed = Failed { hindrance: hindrance.clone(), at, silent_until: at.plus(silence) };
        *self.failed.lock() = Some(failed);
        Err(hindrance)
    }
}

/// A year: what a provider says beyond it is no life of a token.
const LIFE_MAX_S: u64 = 366 * 86_400;

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
