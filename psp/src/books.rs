//! The account: its balance, its statement, what falls due, what is to be told.

use std::collections::{BTreeMap, VecDeque};

use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, PixKey, RefundId, SendId, Txid};
use ibora_domain::units::{Millis, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::charges::Charge;
use crate::claims::Claim;
use crate::numbers::Numbers;
use crate::receipts::Receipt;
use crate::refusal::Refusal;
use crate::sends::{PayKey, Payout};

/// How the provider behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// As the provider's test environment, by what is published: amounts choose what happens.
    pub sandbox: bool,
    /// How long after its creation a charge is paid by itself; never, where there is none.
    pub pay_after: Option<Millis>,
    /// How long refunds and payouts take.
    pub settle_after: Millis,
    /// What the provider keeps of each Pix that comes in.
    pub tariff: Centavos,
    /// What it takes for each payout that is done. Only its statement tells.
    pub send_tariff: Centavos,
}

impl Default for Rules {
    fn default() -> Self {
        let (settle_after, none) = (Millis(500), Centavos::ZERO);
        Self { sandbox: false, pay_after: None, settle_after, tariff: none, send_tariff: none }
    }
}

/// What is to go wrong with the next so many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Payouts that are denied in the answer.
    pub deny_sends: u32,
    /// Payouts that are accepted and not done.
    pub fail_sends: u32,
    /// Refunds that are accepted and not done.
    pub fail_refunds: u32,
    /// Pix whose number has 26 characters, as in the provider's own examples.
    pub short_numbers: u32,
}

/// What the provider tells by callback.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Notice {
    Received {
        e2e_id: EndToEndId,
    },
    Refunded {
        e2e_id: EndToEndId,
        refund: RefundId,
    },
    Sent {
        send: SendId,
    },
    /// The return with this place among the payout's.
    Returned {
        send: SendId,
        at: usize,
    },
}

/// A line of the statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub at: UnixMillis,
    pub kind: EntryKind,
    /// Of the Pix that it is about; none for money of the owner.
    pub e2e_id: Option<EndToEndId>,
    /// Change of what is there.
    pub amount: Centavos,
    /// Change of what is blocked.
    pub blocked: Centavos,
    /// What is there afterwards.
    pub balance: Centavos,
}

/// Why money moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    Deposit,
    Receipt,
    Tariff,
    Refund,
    BankRefund,
    Payout,
    PayoutTariff,
    PayoutReturned,
    Block,
    Unblock,
    ClaimPaid,
}

/// What will happen by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Due {
    Pay(Txid),
    SettleRefund { e2e_id: EndToEndId, refund: RefundId, fails: bool },
    SettleSend { send: SendId, fails: bool },
    Return { send: SendId, value: Centavos },
}

/// The provider's books of one account.
#[derive(Debug, Clone, Default)]
pub struct Books {
    pub(crate) rules: Rules,
    pub(crate) script: Script,
    pub(crate) charges: BTreeMap<Txid, Charge>,
    pub(crate) receipts: BTreeMap<EndToEndId, Receipt>,
    pub(crate) sends: BTreeMap<SendId, Payout>,
    pub(crate) claims: BTreeMap<String, Claim>,
    /// Keys that somebody is known to have, or nobody.
    pub(crate) directory: BTreeMap<PixKey, PayKey>,
    pub(crate) numbers: Numbers,
    pub(crate) notices: VecDeque<Notice>,
    due: BTreeMap<(UnixMillis, u64), Due>,
    statement: Vec<Entry>,
    balance: Centavos,
    blocked: Centavos,
}

impl Books {
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Self { rules, ..Self::default() }
    }

    /// Money that may be used.
    #[must_use]
    pub const fn balance(&self) -> Centavos {
        self.balance
    }

    /// Money that claims have blocked.
    #[must_use]
    pub const fn blocked(&self) -> Centavos {
        self.blocked
    }

    #[must_use]
    pub fn statement(&self) -> &[Entry] {
        &self.statement
    }

    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Changes how the provider behaves from now on.
    pub const fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// What is to go wrong.
    pub const fn script(&mut self) -> &mut Script {
        &mut self.script
    }

    /// Says whose a key is; see [`PayKey`].
    pub fn set_key(&mut self, key: PixKey, owner: PayKey) {
        self.directory.insert(key, owner);
    }

    /// The owner puts money in.
    ///
    /// # Errors
    /// [`Refusal::ZeroAmount`], [`Refusal::OutOfRange`].
    pub fn deposit(&mut self, value: Centavos, now: UnixMillis) -> Result<(), Refusal> {
        positive(value)?;
        self.post(EntryKind::Deposit, None, Change::gain(value), now)
    }

    /// When something will happen by itself next.
    #[must_use]
    pub fn next_due(&self) -> Option<UnixMillis> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Lets happen what is due at `now`, each at its own time.
    pub fn tick(&mut self, now: UnixMillis) {
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= now
        {
            let ((at, _), due) = entry.remove_entry();
            self.happen(due, at);
        }
    }

    /// A charge that was paid or removed meanwhile, or a payout that is over, is no error here.
    fn happen(&mut self, due: Due, at: UnixMillis) {
        let outcome = match due {
            Due::Pay(txid) => self.pay_by_itself(&txid, at),
            Due::SettleRefund { e2e_id, refund, fails } => {
                self.settle_refund(&e2e_id, &refund, fails, at)
            }
            Due::SettleSend { send, fails } => self.settle_send(&send, fails, at),
            Due::Return { send, value } => self.return_send(&send, value, at).map(drop),
        };
        outcome.unwrap_or(());
    }

    /// Takes what is to be told, in the order in which it happened.
    pub fn take_notices(&mut self) -> impl Iterator<Item = Notice> {
        std::mem::take(&mut self.notices).into_iter()
    }

    /// The balance is the statement, what is blocked is the claims, nothing was paid back twice.
    ///
    /// # Errors
    /// A sentence about the first thing that is wrong.
    pub fn check(&self) -> Result<(), String> {
        let sum = |part: fn(&Entry) -> i64| self.statement.iter().map(part).sum::<i64>();
        if sum(|entry| entry.amount.0) != self.balance.0 {
            return Err("the statement is not the balance".to_owned());
        }
        let claims: i64 = self.claims.values().map(|claim| claim.held.0).sum();
        if sum(|entry| entry.blocked.0) != self.blocked.0 || claims != self.blocked.0 {
            return Err("what is blocked is not the claims".to_owned());
        }
        let refunded = self.receipts.values().find(|receipt| receipt.refunded() > receipt.value);
        if let Some(receipt) = refunded {
            return Err(format!("{} was refunded above its amount", receipt.e2e_id));
        }
        let returned = self.sends.values().find(|send| send.returned() > send.value);
        returned.map_or(Ok(()), |send| Err(format!("{} came back above its amount", send.id)))
    }

    /// The number of a new Pix.
    pub(crate) fn number(&mut self, now: UnixMillis) -> Result<EndToEndId, Refusal> {
        let short = take_one(&mut self.script.short_numbers);
        self.numbers.end_to_end(now, short)
    }

    pub(crate) fn plan(&mut self, at: UnixMillis, due: Due) {
        let number = self.numbers.next();
        self.due.insert((at, number), due);
    }

    /// Moves money. Nothing is changed where it refuses.
    pub(crate) fn post(
        &mut self,
        kind: EntryKind,
        e2e_id: Option<&EndToEndId>,
        change: Change,
        at: UnixMillis,
    ) -> Result<(), Refusal> {
        let out = |_| Refusal::OutOfRange;
        let Change { amount, blocked } = change;
        let balance = self.balance.checked_add(amount).map_err(out)?;
        self.blocked = self.blocked.checked_add(blocked).map_err(out)?;
        self.balance = balance;
        let e2e_id = e2e_id.cloned();
        self.statement.push(Entry { at, kind, e2e_id, amount, blocked, balance });
        Ok(())
    }
}

/// What a move of money changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Change {
    pub(crate) amount: Centavos,
    pub(crate) blocked: Centavos,
}

impl Change {
    /// Money comes in.
    pub(crate) const fn gain(amount: Centavos) -> Self {
        Self { amount, blocked: Centavos::ZERO }
    }

    /// Money goes out.
    pub(crate) const fn loss(amount: Centavos) -> Self {
        Self::gain(Centavos(-amount.0))
    }
}

pub(crate) fn positive(value: Centavos) -> Result<(), Refusal> {
    (value > Centavos::ZERO).then_some(()).ok_or(Refusal::ZeroAmount)
}

/// Takes one of `left`, if there is one.
pub(crate) const fn take_one(left: &mut u32) -> bool {
    let any = *left > 0;
    *left = left.saturating_sub(1);
    any
}
