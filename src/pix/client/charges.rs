//! Charges: made under our txid, revised, taken back, looked up, listed.

use hyper::Method;
use ibora_domain::pix::Txid;
use ibora_domain::provider::{Outcome, Window};

use super::Provider;
use super::calls::Call;
use super::pages::Pages;
use crate::pix::wire::{Charge, ChargeRevision, ChargeStatus, NewCharge};

impl Provider {
    /// Makes a charge. Where the outcome is unclear it may exist: see [`Provider::carry`].
    pub async fn put_charge(&self, txid: &Txid, charge: &NewCharge) -> Outcome<Charge> {
        self.ask(Call::order("charge_put", Method::PUT, path(txid), charge)).await
    }

    /// Changes a charge that was not paid.
    pub async fn revise_charge(&self, txid: &Txid, revision: &ChargeRevision) -> Outcome<Charge> {
        self.ask(Call::order("charge_patch", Method::PATCH, path(txid), revision)).await
    }

    /// Takes a charge back and asks what it is now. A payment may have won: only the status that
    /// comes back says whether it can still be paid, whatever came of taking it back.
    pub async fn take_charge_back(&self, txid: &Txid) -> Outcome<Charge> {
        match self.revise_charge(txid, &ChargeRevision::remove()).await {
            Outcome::NotSent(hindrance) => Outcome::NotSent(hindrance),
            Outcome::Done(_) | Outcome::Refused(_) | Outcome::Unclear(_) => self.charge(txid).await,
        }
    }

    /// A charge as it is, with the Pix that paid it.
    pub async fn charge(&self, txid: &Txid) -> Outcome<Charge> {
        self.ask(Call::get("charge_get", path(txid))).await
    }

    /// The charges made within a window, of one status or of all.
    #[must_use]
    pub fn charges(&self, window: Window, status: Option<&ChargeStatus>) -> Pages<'_, Charge> {
        let filter = status.map(|status| format!("&status={}", encoded(status.as_str())));
        Pages::new(self, "charge_list", "/v2/cob", window).filtered(filter.as_deref())
    }
}

fn path(txid: &Txid) -> String {
    format!("/v2/cob/{txid}")
}

/// A text in a path or a query, all but letters and digits escaped.
pub(super) fn encoded(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
