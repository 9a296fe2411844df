//! Wallets: what has to be known before a command about a payout or a dispute reaches one, and
//! hints.

use std::sync::Arc;

use ibora_domain::ids::{DriverId, PayoutId};
use ibora_domain::machines::{Ask, Envelope, Sweep, Verdict, WalletInput, Wanted};
use ibora_domain::money::Centavos;
use ibora_domain::pix::{Payee, PixKey, SendId};
use ibora_domain::refusal::Refusal;
use ibora_domain::units::UnixMillis;
use uuid::Uuid;

use super::ports::Reply;
use super::{Caller, Command, Dispatch};

/// What is looked up for a command about a payout or a dispute.
#[derive(Default)]
pub(super) struct OfPayout {
    /// Whom who asks is paid to.
    pub(super) payee: Option<Payee>,
    /// Whose it is.
    pub(super) driver: Option<DriverId>,
    /// What is the platform's own, and how many events of the owner's wallet that takes in.
    pub(super) spare: (Centavos, u64),
}

impl OfPayout {
    /// The message of a driver who asks for so much, under a new id.
    pub(super) fn ask(
        self,
        driver: DriverId,
        ask: Ask<Reply>,
        (amount, key): (Centavos, Option<PixKey>),
    ) -> Envelope<Reply> {
        let id = PayoutId(Uuid::now_v7());
        let wanted = Box::new(Wanted { id, amount, key, payee: self.payee, sweep: None });
        Envelope::Wallet(driver, WalletInput::Payout { ask, wanted })
    }

    /// The message of an admin who has so much go to the owner, under a new id.
    pub(super) fn sweep(
        self,
        ask: Ask<Reply>,
        (amount, reason): (Centavos, String),
    ) -> Envelope<Reply> {
        let (id, (spare, events)) = (PayoutId(Uuid::now_v7()), self.spare);
        let sweep = Some(Sweep { spare, events, reason });
        let wanted = Box::new(Wanted { id, amount, key: None, payee: self.payee, sweep });
        Envelope::Wallet(DriverId::OWNER, WalletInput::Payout { ask, wanted })
    }

    /// The message of somebody who decides on a payout; of none that was looked up, nobody's.
    pub(super) fn review(
        &self,
        ask: Ask<Reply>,
        payout: PayoutId,
        verdict: Verdict,
    ) -> Envelope<Reply> {
        let driver = self.driver.unwrap_or(DriverId(Uuid::nil()));
        Envelope::Wallet(driver, WalletInput::Review { ask, payout, verdict })
    }
}

impl Dispatch {
    /// Looks up what a command about a payout needs.
    pub(super) async fn of_payout(
        &self,
        caller: Caller,
        command: &Command,
    ) -> Result<OfPayout, Refusal> {
        let records = self.registry.ports.journal.records();
        match command {
            Command::Payout { .. } => {
                let payee = records.payee(caller.user.into()).await;
                let payee = payee.map_err(|_| Refusal::Unavailable)?;
                Ok(OfPayout { payee, ..OfPayout::default() })
            }
            Command::Sweep { .. } => {
                let spare = records.spare().await.map_err(|_| Refusal::Unavailable)?;
                let key = self.registry.ports.wallet_policy.owner_key.clone();
                let payee = key.map(|key| Payee { key, usable_from: UnixMillis(0), cpf: None });
                Ok(OfPayout { payee, driver: None, spare })
            }
            Command::ApprovePayout { payout } | Command::RejectPayout { payout, .. } => {
                let payout = records.payout(*payout).await.map_err(|_| Refusal::Unavailable)?;
                let driver = payout.ok_or(Refusal::NotFound)?.driver;
                Ok(OfPayout { driver: Some(driver), ..OfPayout::default() })
            }
            Command::Evidence { dispute, .. } | Command::Rule { dispute, .. } => {
                let driver = records.driver_of_dispute(*dispute).await;
                let driver = driver.map_err(|_| Refusal::Unavailable)?;
                let driver = Some(driver.ok_or(Refusal::NotFound)?);
                Ok(OfPayout { driver, ..OfPayout::default() })
            }
            _ => Ok(OfPayout::default()),
        }
    }

    /// Somebody says that something happened to a payout, by its id at the provider. Nothing is
    /// believed: the provider is asked. Not waited for.
    pub fn payout_hint(self: &Arc<Self>, id: &SendId) {
        // The ids of payouts are ours; what is none is nobody's.
        let Ok(payout) = Uuid::try_parse(id.as_str()).map(PayoutId) else { return };
        let dispatch = Arc::clone(self);
        self.registry.ports.spawn(async move {
            match dispatch.journal().records().payout_as_of(payout).await {
                Ok(Some((payout, as_of))) => {
                    let (driver, payout) = (payout.driver, Box::new(payout));
                    let hint = WalletInput::Hint { payout, as_of };
                    dispatch.registry.send(Envelope::Wallet(driver, hint));
                }
                Ok(None) => tracing::warn!("a hint at a payout that is not ours"),
                Err(error) => tracing::warn!(%error, "a payout cannot be read"),
            }
        });
    }
}
