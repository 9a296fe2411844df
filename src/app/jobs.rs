//! The jobs around the Pix provider, and to whom they take what it tells.

use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use crate::actors::Dispatch;
use crate::config::{Config, Pix};
use crate::jobs::{Hand, Hint, JobOptions, WebhookAddress};

/// How the jobs of this engine work, where `webhook` is how the provider reaches it.
pub(super) fn options(config: &Config, webhook: Option<WebhookAddress>) -> JobOptions {
    JobOptions {
        webhook,
        janitor_every: Duration::from_millis(config.pix.janitor_every_ms),
        callback_within: Duration::from_millis(config.pix.callback_within_ms),
    }
}

/// Takes hints to the actors that they are about.
pub(super) fn hand(dispatch: Weak<Dispatch>) -> Hand {
    Arc::new(move |hint| {
        let Some(dispatch) = dispatch.upgrade() else { return };
        match hint {
            Hint::Payment { txid, pix, refund } => {
                dispatch.payment_hint(txid.as_ref(), pix, refund);
            }
            Hint::Payout { id: Some(id), .. } => dispatch.payout_hint(&id),
            // Ours says its id; another's is nobody's here.
            Hint::Payout { id: None, pix, .. } => tracing::warn!(%pix, "word of an unknown payout"),
        }
    })
}

/// The configured address, if any.
pub(super) fn configured(pix: &Pix) -> Option<WebhookAddress> {
    let url = Some(&pix.webhook_url).filter(|url| !url.is_empty())?;
    let asks_for_certificate = pix.webhook_listen.is_some();
    Some(address(url, pix.webhook_secret.as_ref(), asks_for_certificate))
}

/// Where a provider in the same process reaches this engine.
pub(super) fn nearby(listening: SocketAddr, secret: &SecretString) -> WebhookAddress {
    let url = format!("http://localhost:{}/webhooks/efi/pix", listening.port());
    address(&url, Some(secret), false)
}

/// The address as the provider is to have it. It writes `/pix` behind it, which the last parameter
/// swallows.
fn address(url: &str, secret: Option<&SecretString>, asks_for_certificate: bool) -> WebhookAddress {
    let url = match secret.map(ExposeSecret::expose_secret) {
        Some(secret) => format!("{url}?hmac={secret}&ignorar="),
        None => url.to_owned(),
    };
    WebhookAddress { url: SecretString::from(url), asks_for_certificate }
}
