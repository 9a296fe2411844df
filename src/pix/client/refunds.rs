//! Pix that came in, and their refunds.

use hyper::Method;
use ibora_domain::pix::{EndToEndId, RefundId, Txid};
use ibora_domain::provider::{Outcome, Window};

use super::Provider;
use super::calls::Call;
use super::pages::Pages;
use crate::pix::wire::{NewRefund, Received, Refund};

/// Which of the Pix that came in are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReceivedFilter {
    All,
    /// Those that paid a charge, or those that did not.
    WithTxid(bool),
    /// Those of which something went back.
    Refunded,
    /// Those that paid this charge.
    Of(Txid),
}

impl Provider {
    /// Gives money back, under an id of ours that is unique within its Pix. Where the outcome is
    /// unclear it may be on its way: see [`Provider::carry`].
    pub async fn put_refund(
        &self,
        pix: &EndToEndId,
        id: &RefundId,
        refund: &NewRefund,
    ) -> Outcome<Refund> {
        self.ask(Call::order("refund_put", Method::PUT, path(pix, id), refund)).await
    }

    /// A refund as it is.
    pub async fn refund(&self, pix: &EndToEndId, id: &RefundId) -> Outcome<Refund> {
        self.ask(Call::get("refund_get", path(pix, id))).await
    }

    /// A Pix that came in, with its refunds.
    pub async fn received(&self, pix: &EndToEndId) -> Outcome<Received> {
        self.ask(Call::get("pix_get", format!("/v2/pix/{pix}"))).await
    }

    /// The Pix that came in within a window.
    #[must_use]
    pub fn received_within(&self, window: Window, filter: &ReceivedFilter) -> Pages<'_, Received> {
        let filter = match filter {
            ReceivedFilter::All => None,
            ReceivedFilter::WithTxid(present) => Some(format!("&txIdPresente={present}")),
            ReceivedFilter::Refunded => Some("&devolucaoPresente=true".to_owned()),
            ReceivedFilter::Of(txid) => Some(format!("&txid={txid}")),
        };
        Pages::new(self, "pix_list", "/v2/pix", window).filtered(filter.as_deref())
    }
}

fn path(pix: &EndToEndId, id: &RefundId) -> String {
    format!("/v2/pix/{pix}/devolucao/{id}")
}
