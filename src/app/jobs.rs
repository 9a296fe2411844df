//! Starts the jobs around the Pix provider, where there is one.

use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::{StartError, provider_options};
use crate::actors::Dispatch;
use crate::config::{Config, Pix};
use crate::jobs::{Hint, JobOptions, JobParts, Jobs, WebhookAddress};
use crate::obs::Metrics;
use crate::pix::client::Provider;

/// The jobs of this engine.
pub(super) fn start(
    config: &Config,
    dispatch: &Arc<Dispatch>,
    metrics: &Arc<Metrics>,
) -> Result<Option<Jobs>, StartError> {
    let (Some(options), Some(key)) = (provider_options(config), config.pix.key.clone()) else {
        return Ok(None);
    };
    let parts = JobParts {
        dispatch: Arc::downgrade(dispatch),
        journal: Arc::clone(dispatch.journal()),
        provider: Provider::new(&options, Arc::clone(metrics))?,
        metrics: Arc::clone(metrics),
        // Payments and payouts have no actors yet: what the provider confirms stays parked.
        hand: Arc::new(|hint: Hint| tracing::debug!(?hint, "nobody takes what the provider tells")),
    };
    let options = JobOptions {
        key,
        webhook: webhook(&config.pix),
        janitor_every: Duration::from_millis(config.pix.janitor_every_ms),
        callback_within: Duration::from_millis(config.pix.callback_within_ms),
    };
    Ok(Some(Jobs::start(parts, options)))
}

/// The address as the provider is to have it. It writes `/pix` behind it, which the last parameter
/// swallows.
fn webhook(pix: &Pix) -> Option<WebhookAddress> {
    let url = Some(&pix.webhook_url).filter(|url| !url.is_empty())?;
    let secret = pix.webhook_secret.as_ref().map(ExposeSecret::expose_secret);
    let url = match secret {
        Some(secret) => format!("{url}?hmac={secret}&ignorar="),
        None => url.clone(),
    };
    let asks_for_certificate = pix.webhook_listen.is_some();
    Some(WebhookAddress { url: SecretString::from(url), asks_for_certificate })
}
