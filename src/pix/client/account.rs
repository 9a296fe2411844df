//! The account: what is in it, and claims of fraud (MED) against it.

use hyper::Method;
use ibora_domain::provider::{Outcome, Window};

use super::Provider;
use super::calls::Call;
use super::charges::encoded;
use super::pages::Pages;
use crate::pix::wire::{Balance, Defence, Infraction};

impl Provider {
    /// The balance, and what of it is blocked.
    pub async fn balance(&self) -> Outcome<Balance> {
        self.ask(Call::get("balance", "/v2/gn/saldo?bloqueios=true".to_owned())).await
    }

    /// The claims opened within a window.
    #[must_use]
    pub fn infractions(&self, window: Window) -> Pages<'_, Infraction> {
        Pages::new(self, "infraction_list", "/v2/gn/infracoes", window)
    }

    /// Answers a claim. It is said once: where the outcome is unclear, the claim's status tells.
    pub async fn defend(&self, infraction: &str, defence: &Defence) -> Outcome<()> {
        let path = format!("/v2/gn/infracoes/{}/defesa", encoded(infraction));
        let call = Call::order("infraction_defence", Method::POST, path, defence);
        self.call(call).await.map(drop)
    }
}
