//! Payouts: accepted, done or not, and what of them came back.

use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, PixKey, ReturnId, SendId};
use ibora_domain::units::UnixMillis;
use serde::Serialize;

use crate::books::{Books, Change, Due, EntryKind, Notice, positive, take_one};
use crate::refusal::Refusal;

/// The one key that may be paid in the sandbox.
pub const SANDBOX_KEY: &str = "efipay@sejaefi.com.br";
/// In the sandbox: done up to the first, not done up to the second, refused above.
const SANDBOX_DONE_MAX: Centavos = Centavos(10_00);
const SANDBOX_FAILED_MAX: Centavos = Centavos(20_00);

/// Whose a key is. A key that is not in the directory belongs to whoever is asked about.
#[derive(Clone, PartialEq, Eq)]
pub enum PayKey {
    /// Nobody's.
    Unknown,
    /// Of the person with this document.
    Of(String),
}

impl std::fmt::Debug for PayKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Unknown) { "Unknown" } else { "Of(***)" })
    }
}

/// State of a payout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PayoutState {
    Pending,
    Done,
    /// Not done, for a reason that only the callback tells.
    Failed {
        code: &'static str,
    },
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PayoutOrder {
    pub value: Centavos,
    /// The key of ours that pays.
    pub from: PixKey,
    /// The key that is paid; none for a bank account.
    pub to: Option<PixKey>,
    /// The payee's document, to be compared with the owner of the key.
    pub document: Option<String>,
}

/// A payout as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Payout {
    pub id: SendId,
    pub e2e_id: EndToEndId,
    pub value: Centavos,
    pub from: PixKey,
    pub to: Option<PixKey>,
    pub asked: UnixMillis,
    pub settled: Option<UnixMillis>,
    pub state: PayoutState,
    pub returns: Vec<Return>,
}

/// A part of a payout that came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Return {
    pub return_id: ReturnId,
    pub value: Centavos,
    pub at: UnixMillis,
}

impl Payout {
    /// What came back.
    #[must_use]
    pub fn returned(&self) -> Centavos {
        Centavos(self.returns.iter().map(|part| part.value.0).sum())
    }
}

impl Books {
    #[must_use]
    pub fn payout(&self, id: &SendId) -> Option<&Payout> {
        self.sends.get(id)
    }

    /// Every payout, by id.
    pub fn payouts(&self) -> impl Iterator<Item = &Payout> {
        self.sends.values()
    }

    /// We ask for a payout. Money leaves when it is done.
    ///
    /// # Errors
    /// [`Refusal`]: an id pays once for ever; refused ones do not use it up.
    pub fn send(
        &mut self,
        id: &SendId,
        order: PayoutOrder,
        now: UnixMillis,
    ) -> Result<&Payout, Refusal> {
        if self.sends.contains_key(id) {
            return Err(Refusal::DuplicateSend);
        }
        positive(order.value)?;
        self.check_payee(&order)?;
        if take_one(&mut self.script.deny_sends) {
            return Err(Refusal::SendDenied);
        }
        let sandbox = self.rules.sandbox;
        if sandbox && order.value > SANDBOX_FAILED_MAX {
            return Err(Refusal::AboveSandbox);
        }
        let e2e_id = self.number(now)?;
        let fails =
            sandbox && order.value > SANDBOX_DONE_MAX || take_one(&mut self.script.fail_sends);
        let after = self.rules.settle_after;
        self.plan(now + after, Due::SettleSend { send: id.clone(), fails });
        let back: &[Centavos] = if sandbox { sandbox_returns(order.value) } else { &[] };
        for value in back {
            self.plan(now + after + after, Due::Return { send: id.clone(), value: *value });
        }
        let payout = Payout {
            id: id.clone(),
            e2e_id,
            value: order.value,
            from: order.from,
            to: order.to,
            asked: now,
            settled: None,
            state: PayoutState::Pending,
            returns: Vec::new(),
        };
        Ok(self.sends.entry(id.clone()).or_insert(payout))
    }

    fn check_payee(&self, order: &PayoutOrder) -> Result<(), Refusal> {
        let Some(key) = &order.to else {
            return Ok(());
        };
        if self.rules.sandbox && key.expose() != SANDBOX_KEY {
            return Err(Refusal::NoSuchKey);
        }
        match (self.directory.get(key), &order.document) {
            (Some(PayKey::Unknown), _) => Err(Refusal::NoSuchKey),
            (Some(PayKey::Of(owner)), Some(document)) if owner != document => {
                Err(Refusal::KeyOfAnother)
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn settle_send(
        &mut self,
        id: &SendId,
        fails: bool,
        now: UnixMillis,
    ) -> Result<(), Refusal> {
        let balance = self.balance();
        let payout = self.sends.get_mut(id).ok_or(Refusal::NoSend)?;
        payout.settled = Some(now);
        payout.state = if fails {
            PayoutState::Failed { code: "AC03" }
        } else if payout.value > balance {
            PayoutState::Failed { code: "AM04" }
        } else {
            PayoutState::Done
        };
        let done = payout.state == PayoutState::Done;
        let (change, e2e_id) = (Change::loss(payout.value), payout.e2e_id.clone());
        self.notices.push_back(Notice::Sent { send: id.clone() });
        if !done {
            return Ok(());
        }
        self.post(EntryKind::Payout, Some(&e2e_id), change, now)?;
        // No more than is there: what is done is not undone for want of its tariff.
        let tariff = self.rules.send_tariff.min(self.balance());
        match tariff > Centavos::ZERO {
            true => self.post(EntryKind::PayoutTariff, Some(&e2e_id), Change::loss(tariff), now),
            false => Ok(()),
        }
    }

    /// The payee's bank sends a payout back, or a part of it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn return_send(
        &mut self,
        id: &SendId,
        value: Centavos,
        now: UnixMillis,
    ) -> Result<&Return, Refusal> {
        positive(value)?;
        let payout = self.sends.get(id).ok_or(Refusal::NoSend)?;
        let sum = payout.returned().checked_add(value).map_err(|_| Refusal::OutOfRange)?;
        if payout.state != PayoutState::Done || sum > payout.value {
            return Err(Refusal::NotReturnable);
        }
        let (e2e_id, at) = (payout.e2e_id.clone(), payout.returns.len());
        let return_id = self.numbers.of_return(now)?;
        self.post(EntryKind::PayoutReturned, Some(&e2e_id), Change::gain(value), now)?;
        self.notices.push_back(Notice::Returned { send: id.clone(), at });
        let returns = &mut self.sends.get_mut(id).ok_or(Refusal::NoSend)?.returns;
        returns.push(Return { return_id, value, at: now });
        returns.last().ok_or(Refusal::NotReturnable)
    }
}

/// What of a payout comes back in the sandbox: 4.00 in two parts, 5.00 whole.
const fn sandbox_returns(value: Centavos) -> &'static [Centavos] {
    match value {
        Centavos(4_00) => &[Centavos(2_00), Centavos(2_00)],
        Centavos(5_00) => &[Centavos(5_00)],
        _ => &[],
    }
}
