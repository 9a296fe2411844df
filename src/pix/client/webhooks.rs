//! Where the provider calls us back, one address a key of ours.

use hyper::Method;
use ibora_domain::pix::{EndToEndId, PixKey};
use ibora_domain::provider::{Outcome, Window};

use super::Provider;
use super::calls::Call;
use super::charges::encoded;
use super::pages::Pages;
use crate::pix::wire::{NewWebhook, NoticeKind, Resend, Webhook};

impl Provider {
    /// Registers the address for a key; the provider calls it at once, to try it.
    /// `skips_mtls_check`: it does not insist that we ask for its certificate, and then something
    /// else has to prove that it is the one who calls.
    pub async fn put_webhook(
        &self,
        key: &PixKey,
        webhook: &NewWebhook,
        skips_mtls_check: bool,
    ) -> Outcome<()> {
        let call = Call::order("webhook_put", Method::PUT, path(key), webhook).harmless();
        self.call(call.skipping_mtls_check(skips_mtls_check)).await.map(drop)
    }

    /// The address for a key.
    pub async fn webhook(&self, key: &PixKey) -> Outcome<Webhook> {
        self.ask(Call::get("webhook_get", path(key))).await
    }

    /// Takes the address for a key back. Where the first of two tries went well the second is
    /// refused, for there is none: that is for the caller to take as done.
    pub async fn delete_webhook(&self, key: &PixKey) -> Outcome<()> {
        self.call(Call::delete("webhook_delete", path(key)).harmless()).await.map(drop)
    }

    /// The addresses registered within a window.
    #[must_use]
    pub fn webhooks(&self, window: Window) -> Pages<'_, Webhook> {
        Pages::new(self, "webhook_list", "/v2/webhook", window)
    }

    /// Has callbacks sent again. Each of them is told once however often it comes, so that a call
    /// too many does no harm.
    pub async fn resend(&self, kind: NoticeKind, e2e_ids: Vec<EndToEndId>) -> Outcome<()> {
        let (path, body) = ("/v2/gn/webhook/reenviar".to_owned(), Resend { kind, e2e_ids });
        let call = Call::order("webhook_resend", Method::POST, path, &body).harmless();
        self.call(call).await.map(drop)
    }
}

/// A key may be an email or a phone with its `+`: it is escaped.
fn path(key: &PixKey) -> String {
    format!("/v2/webhook/{}", encoded(key.expose()))
}
