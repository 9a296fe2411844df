//! What the payout line wants of the provider: whether there is money, sends, and how they stand.

use std::sync::Weak;

use ibora_domain::money::Centavos;
use ibora_domain::payout::{
    Cleared, Heard, PayoutCall, Returned, SendOrder, SendState, SentPayout,
};
use ibora_domain::person::Cpf;
use ibora_domain::pix::{PixKey, ReturnId, SendId};
use ibora_domain::provider::Outcome;

use super::Carrier;
use crate::actors::Dispatch;
use crate::pix::wire::{
    NewSend, Payee, PayingKey, RefundStatus, Returned as ReturnedPart, SendAccepted, SendStatus,
    Sent,
};

/// A CNPJ has fourteen.
const CPF_DIGITS: usize = 11;

impl Carrier {
    pub(super) async fn of_payout(&self, call: PayoutCall, dispatch: &Weak<Dispatch>) -> Heard {
        match call {
            PayoutCall::Clear(amount) => Heard::Cleared(self.clear(amount, dispatch).await),
            PayoutCall::Send(order) => Heard::Sent(self.send(*order).await),
            PayoutCall::Ask(id) => Heard::Asked(self.sent(&id).await),
        }
    }

    async fn clear(&self, amount: Centavos, dispatch: &Weak<Dispatch>) -> Cleared {
        let Some(dispatch) = dispatch.upgrade() else { return Cleared::Unknown };
        match dispatch.journal().records().payouts_stopped().await {
            Ok(None) => {}
            Ok(Some(_)) => return Cleared::Stopped,
            Err(error) => {
                tracing::warn!(%error, "whether payouts are stopped cannot be read");
                return Cleared::Unknown;
            }
        }
        match self.provider.balance().await.done() {
            Some(balance) if balance.available >= amount => Cleared::Yes,
            Some(_) => Cleared::Short,
            None => Cleared::Unknown,
        }
    }

    async fn send(&self, order: SendOrder) -> Outcome<SentPayout> {
        let id = order.id();
        let send = NewSend {
            value: order.amount,
            payer: PayingKey { key: self.keys.own.clone(), message: None },
            payee: self.payee(order.key, order.document),
        };
        self.provider.put_send(&id, &send).await.map(
            |SendAccepted { e2e_id: pix, value: amount, status, .. }| SentPayout {
                pix,
                amount,
                key: None,
                state: state_of(&status),
                returns: Vec::new(),
            },
        )
    }

    /// Who is paid, with his document: the owner's is configured.
    fn payee(&self, key: PixKey, document: Option<Cpf>) -> Payee {
        let owner = self.keys.owner.as_ref().filter(|(owner, _)| *owner == key);
        let of_owner = owner.map(|(_, document)| document.clone());
        let (cpf, cnpj) = match (document, of_owner) {
            (Some(cpf), _) => (Some(cpf.into()), None),
            (None, Some(of_owner)) if of_owner.expose().len() == CPF_DIGITS => {
                (Some(of_owner), None)
            }
            (None, of_owner) => (None, of_owner),
        };
        Payee::Key { key, cpf, cnpj }
    }

    async fn sent(&self, id: &SendId) -> Outcome<SentPayout> {
        self.provider.sent(id).await.map(seen)
    }
}

fn seen(sent: Sent) -> SentPayout {
    let Sent { e2e_id: pix, value: amount, key, payee, status, returns, .. } = sent;
    SentPayout {
        pix,
        amount,
        key: key.or_else(|| payee.and_then(|payee| payee.key)),
        state: state_of(&status),
        returns: returns.into_iter().filter_map(returned).collect(),
    }
}

/// A part that has come back. One without a number could not be told from another.
fn returned(part: ReturnedPart) -> Option<Returned> {
    if part.status != RefundStatus::Returned {
        return None;
    }
    let own = part.id.as_ref().and_then(|id| ReturnId::parse(id.as_str()).ok());
    let id = part.return_id.or(own);
    if id.is_none() {
        tracing::error!("a part of a payout came back without a number");
    }
    Some(Returned { id: id?, amount: part.value })
}

fn state_of(status: &SendStatus) -> SendState {
    match status {
        SendStatus::Done => SendState::Done,
        SendStatus::Failed => SendState::Failed,
        SendStatus::Pending | SendStatus::Unknown(_) => SendState::Pending,
    }
}
