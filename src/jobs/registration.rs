//! Tells the provider where to call us, at each start until it has taken the address.
//!
//! It tries the address at once, so that an address that cannot be reached is said here and not
//! found out by the first Pix that nobody hears of.

use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::{JobParts, WebhookAddress, answered};
use crate::obs::failpoint;
use crate::pix::wire::NewWebhook;

/// Pause after a try in vain; doubled up to the maximum.
const AGAIN_FIRST: Duration = Duration::from_secs(2);
const AGAIN_MAX: Duration = Duration::from_secs(300);

pub(super) async fn run(parts: Arc<JobParts>, address: WebhookAddress) {
    let registered = &parts.metrics.pix_webhook_registered;
    let mut pause = AGAIN_FIRST;
    registered.set(0);
    loop {
        if parts.may_act() {
            // What shows one hides its query.
            let webhook = NewWebhook { url: address.url.expose_secret().to_owned() };
            let skips = !address.asks_for_certificate;
            failpoint!(RegistrationBegun);
            match answered(parts.provider.put_webhook(&parts.key, &webhook, skips).await) {
                Ok(()) => {
                    failpoint!(RegistrationTaken);
                    tracing::info!(address = ?webhook, "the provider calls us back");
                    registered.set(1);
                    return;
                }
                Err(error) => tracing::error!(
                    address = ?webhook,
                    %error,
                    again_in_s = pause.as_secs(),
                    "the provider does not take our address for callbacks"
                ),
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(AGAIN_MAX);
    }
}
