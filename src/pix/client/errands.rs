//! Orders carried to their end: the domain's `Errand` decides, this calls and waits.

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, PixKey, RefundId, SendId, Txid};
use ibora_domain::provider::{Ending, Errand, Order, Outcome, Patience, Seen, Step};
use ibora_domain::units::{Millis, UnixMillis};
use rand::random;
use tokio::time::{Instant, sleep};

use super::Provider;
use super::sends::Payout;
use crate::pix::wire::{Charge, NewCharge, NewRefund, NewSend, Payee, Refund};

/// What is sent and asked for under one id of ours.
pub trait Carried: Sync {
    /// What the provider has of it.
    type Found: Seen + Send;

    /// When nothing found means nothing there.
    const PATIENCE: Patience;

    /// What was ordered, to compare with what is found.
    fn order(&self) -> Order;

    /// The way of it, where it was never sent.
    fn errand(&self) -> Errand {
        Errand::new(self.order(), Self::PATIENCE, now())
    }

    /// The way of it, where it may have been sent before this process started.
    fn errand_in_doubt(&self) -> Errand {
        Errand::in_doubt(self.order(), Self::PATIENCE, now())
    }

    /// Sends it.
    fn send(&self, provider: &Provider) -> impl Future<Output = Outcome<Self::Found>> + Send;

    /// Asks for it.
    fn ask(&self, provider: &Provider) -> impl Future<Output = Outcome<Self::Found>> + Send;
}

/// A charge under its txid.
#[derive(Debug, Clone)]
pub struct ChargeErrand {
    pub txid: Txid,
    pub charge: NewCharge,
}

/// A refund of one Pix under its id.
#[derive(Debug, Clone)]
pub struct RefundErrand {
    pub pix: EndToEndId,
    pub id: RefundId,
    pub refund: NewRefund,
}

/// A payout under its id.
#[derive(Debug, Clone)]
pub struct SendErrand {
    pub id: SendId,
    pub send: NewSend,
}

impl Seen for Charge {
    fn amount(&self) -> Centavos {
        self.value.original
    }

    fn key(&self) -> Option<&PixKey> {
        Some(&self.key)
    }
}

impl Seen for Refund {
    fn amount(&self) -> Centavos {
        self.value
    }

    fn key(&self) -> Option<&PixKey> {
        None
    }
}

impl Carried for ChargeErrand {
    type Found = Charge;
    const PATIENCE: Patience = Patience::CHARGE;

    fn order(&self) -> Order {
        Order { amount: self.charge.value.original, key: Some(self.charge.key.clone()) }
    }

    async fn send(&self, provider: &Provider) -> Outcome<Charge> {
        provider.put_charge(&self.txid, &self.charge).await
    }

    async fn ask(&self, provider: &Provider) -> Outcome<Charge> {
        provider.charge(&self.txid).await
    }
}

impl Carried for RefundErrand {
    type Found = Refund;
    const PATIENCE: Patience = Patience::REFUND;

    fn order(&self) -> Order {
        Order { amount: self.refund.value, key: None }
    }

    async fn send(&self, provider: &Provider) -> Outcome<Refund> {
        provider.put_refund(&self.pix, &self.id, &self.refund).await
    }

    async fn ask(&self, provider: &Provider) -> Outcome<Refund> {
        provider.refund(&self.pix, &self.id).await
    }
}

impl Carried for SendErrand {
    type Found = Payout;
    const PATIENCE: Patience = Patience::SEND;

    fn order(&self) -> Order {
        let key = match &self.send.payee {
            Payee::Key { key, .. } => Some(key.clone()),
            Payee::Account { .. } => None,
        };
        Order { amount: self.send.value, key }
    }

    async fn send(&self, provider: &Provider) -> Outcome<Payout> {
        provider.put_send(&self.id, &self.send).await.map(Payout::from)
    }

    async fn ask(&self, provider: &Provider) -> Outcome<Payout> {
        provider.sent(&self.id).await.map(Payout::from)
    }
}

impl Provider {
    /// Carries an order on for `patience` at most. `None`: it has not ended, and `errand` knows how
    /// to go on, now or later.
    pub async fn carry<C: Carried>(
        &self,
        errand: &mut Errand,
        carried: &C,
        patience: Duration,
    ) -> Option<Ending<C::Found>> {
        let deadline = Instant::now() + patience;
        loop {
            let ending = match errand.step(now()) {
                Step::Wait { until } => {
                    let wait = until.since(now()).max(Millis(1)).into();
                    if Instant::now() + wait > deadline {
                        return None;
                    }
                    sleep(wait).await;
                    continue;
                }
                Step::Send => {
                    let outcome = carried.send(self).await;
                    errand.sent(now(), outcome, random())
                }
                Step::Ask => {
                    let outcome = carried.ask(self).await;
                    errand.asked(now(), outcome, random())
                }
            };
            if ending.is_some() {
                return ending;
            }
        }
    }
}

/// The clock on the wall, by which an errand may go on after a restart.
fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
