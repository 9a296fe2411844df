//! The provider of Pix, called over HTTPS with a certificate of ours.
//!
//! `effects` and `jobs` call [`Provider`]; `app` makes it. Each operation says by its
//! [`Outcome`] what came of it and decides nothing; what goes out under an id of ours and must come
//! to an end (a charge, a refund, a payout) is carried by [`Provider::carry`] as the domain's
//! `Errand` says. The simulator of the provider is called the same way: only address and
//! certificate differ.
//!
//! What must hold: no order is repeated that may have arrived, but under its own id and after
//! having asked; nothing secret or personal is logged; every call ends.

mod account;
mod calls;
mod charges;
mod errands;
pub(in crate::pix) mod identity;
mod options;
mod pages;
mod refunds;
mod refusal;
mod reports;
mod sends;
mod tokens;
mod webhooks;
mod wires;

use std::fmt;
use std::sync::Arc;

use ibora_domain::provider::Outcome;
use serde::de::DeserializeOwned;
use thiserror::Error;

use self::calls::{Call, Line, ask_as_us, call_as_us};
use self::tokens::Tokens;
use self::wires::{Answer, Wires};
use crate::obs::Metrics;

pub use self::errands::{Carried, ChargeErrand, RefundErrand, SendErrand};
pub use self::identity::IdentityError;
pub use self::options::{Bounds, IdentityFiles, ProviderOptions};
pub use self::pages::Pages;
pub use self::refunds::ReceivedFilter;
pub use self::reports::{Report, ReportId};
pub use self::sends::Payout;

/// Why there is no client.
#[derive(Debug, Error)]
pub enum SetupError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("the provider's address is not of the form https://HOST[:PORT]")]
    Address,
}

/// The client of one provider. Clones share connections, token and limits.
#[derive(Clone)]
pub struct Provider {
    line: Arc<Line>,
    tokens: Arc<Tokens>,
}

impl Provider {
    /// Reads the certificates; nothing is called yet. Connections live on the caller's runtime.
    ///
    /// # Errors
    /// [`SetupError`].
    ///
    /// # Panics
    /// Outside of a runtime.
    pub fn new(options: &ProviderOptions, metrics: Arc<Metrics>) -> Result<Self, SetupError> {
        if !is_address(&options.base_url) {
            return Err(SetupError::Address);
        }
        let tls = identity::tls(&options.identity, options.ca.as_deref())?;
        let wires = Wires::new(tls, &options.bounds);
        let line = Line::new(&options.base_url, wires, options.bounds.clone(), metrics);
        let line = Arc::new(line);
        let tokens = Tokens::new(Arc::clone(&line), &options.client_id, &options.client_secret);
        Ok(Self { line, tokens: Arc::new(tokens) })
    }

    /// Whether the provider is left alone for now, for its failures.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.line.is_paused()
    }

    async fn ask<T: DeserializeOwned>(&self, call: Call) -> Outcome<T> {
        ask_as_us(&self.line, &self.tokens, &call).await
    }

    async fn call(&self, call: Call) -> Outcome<Answer> {
        call_as_us(&self.line, &self.tokens, &call).await
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Provider").field("is_paused", &self.is_paused()).finish_non_exhaustive()
    }
}

/// Whether a text is an address that paths can be put behind.
#[must_use]
pub fn is_address(text: &str) -> bool {
    let Ok(address) = text.trim_end_matches('/').parse::<hyper::Uri>() else {
        return false;
    };
    let bare = address.path_and_query().is_none_or(|rest| rest.as_str() == "/");
    let user = address.authority().is_none_or(|authority| authority.as_str().contains('@'));
    address.scheme_str() == Some("https") && address.host().is_some() && bare && !user
}
