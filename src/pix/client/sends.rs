//! Payouts: sent under an id of ours, looked up by it or by the network's number, listed.

use hyper::Method;
use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, PixKey, SendId};
use ibora_domain::provider::{Outcome, Seen, Window};

use super::Provider;
use super::calls::Call;
use super::pages::Pages;
use crate::pix::wire::{NewSend, SendAccepted, SendStatus, Sent};

/// A payout that the provider has, as its acceptance and its look-up both tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payout {
    pub pix: EndToEndId,
    pub amount: Centavos,
    /// Who is paid; an acceptance does not say.
    pub key: Option<PixKey>,
    pub status: SendStatus,
}

impl From<SendAccepted> for Payout {
    fn from(SendAccepted { e2e_id: pix, value: amount, status, .. }: SendAccepted) -> Self {
        Self { pix, amount, key: None, status }
    }
}

impl From<Sent> for Payout {
    fn from(Sent { e2e_id: pix, value: amount, key, payee, status, .. }: Sent) -> Self {
        let key = key.or_else(|| payee.and_then(|payee| payee.key));
        Self { pix, amount, key, status }
    }
}

impl Seen for Payout {
    fn amount(&self) -> Centavos {
        self.amount
    }

    fn key(&self) -> Option<&PixKey> {
        self.key.as_ref()
    }
}

impl Provider {
    /// Pays. Where the outcome is unclear the money may be on its way: see [`Provider::carry`].
    pub async fn put_send(&self, id: &SendId, send: &NewSend) -> Outcome<SendAccepted> {
        let path = format!("/v3/gn/pix/{id}");
        self.ask(Call::order("send_put", Method::PUT, path, send)).await
    }

    /// A payout by our id.
    pub async fn sent(&self, id: &SendId) -> Outcome<Sent> {
        self.ask(Call::get("send_get", format!("/v2/gn/pix/enviados/id-envio/{id}"))).await
    }

    /// A payout by the network's number.
    pub async fn sent_as(&self, pix: &EndToEndId) -> Outcome<Sent> {
        self.ask(Call::get("send_get_e2e", format!("/v2/gn/pix/enviados/{pix}"))).await
    }

    /// The payouts within a window of which something came back.
    #[must_use]
    pub fn returned_within(&self, window: Window) -> Pages<'_, Sent> {
        self.sent_within(window).filtered(Some("&devolucaoPresente=true"))
    }

    /// The payouts within a window.
    #[must_use]
    pub fn sent_within(&self, window: Window) -> Pages<'_, Sent> {
        Pages::new(self, "send_list", "/v2/gn/pix/enviados", window)
    }
}
