//! What a driver hears of his money.

use ibora_domain::money::Centavos;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::DriverBot;

#[derive(Deserialize)]
struct Told {
    payout: Payout,
}

#[derive(Deserialize)]
struct Payout {
    status: Box<str>,
    net: Box<str>,
}

impl DriverBot {
    /// Something happened to a payout of his: once it is done, his bank has it.
    pub(super) fn payout_moved(&self, body: &RawValue) {
        let told = serde_json::from_str::<Told>(body.get()).map(|told| told.payout);
        if let Ok(payout) = told
            && &*payout.status == "done"
            && let Ok(net) = payout.net.parse::<Centavos>()
        {
            self.engine.figures.payouts.add();
            self.engine.figures.paid_out_centavos.add_many(net.0.unsigned_abs());
        }
    }
}
