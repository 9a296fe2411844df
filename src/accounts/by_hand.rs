//! What somebody books for the platform by hand: what its owner puts in (E22), and what the
//! provider took for payouts, which only its statement tells (E6).
//!
//! For admins and the command line. It has a name in the provider's statement, and under one name
//! it is booked once, however often and by whomever that is asked for. Audited in the same commit.

use ibora_domain::facts::CommandKey;
use ibora_domain::ledger::{FinancialEvent, LedgerError, funded, payout_tariff};
use ibora_domain::money::{Centavos, reais};
use ibora_domain::units::UnixMillis;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::Accounts;
use super::audit::Act;
use super::drivers::{not_stored, plain};
use super::error::{AccountError, FieldError};
use super::options::Caller;
use crate::journal::AccountRow;

const REASON_CHARS_MAX: usize = 500;
/// Longest name in the provider's statement, in characters.
const REFERENCE_CHARS_MAX: usize = 64;

/// What is booked by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ByHand {
    /// The owner puts money in.
    Funding,
    /// The provider took money for payouts.
    PayoutTariff,
}

/// What somebody wants booked.
#[derive(Debug, Clone, Serialize)]
pub struct EntryForm {
    pub kind: ByHand,
    pub amount: Centavos,
    /// Its name in the provider's statement.
    pub reference: String,
    pub reason: String,
}

/// What is booked, in the shape of the public contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    pub kind: ByHand,
    pub currency: &'static str,
    #[serde(serialize_with = "reais")]
    pub amount: Centavos,
    pub reference: String,
}

impl ByHand {
    const fn action(self) -> &'static str {
        match self {
            Self::Funding => "book_funding",
            Self::PayoutTariff => "book_payout_tariff",
        }
    }

    fn event(
        self,
        (reference, amount): (&str, Centavos),
        at: UnixMillis,
    ) -> Result<FinancialEvent, LedgerError> {
        match self {
            Self::Funding => funded(reference, amount, at),
            Self::PayoutTariff => payout_tariff(reference, amount, at),
        }
    }
}

impl Accounts {
    /// Books something for the platform. What is booked under that name already, with that amount,
    /// stays so, unaudited. With `once`, the answer is stored under that key in the same commit.
    ///
    /// # Errors
    /// `Forbidden`; `Invalid`, also for a name under which another amount is booked;
    /// `AnsweredBefore`, `Overloaded`, `Unavailable`.
    pub async fn book_by_hand(
        &self,
        caller: &Caller,
        form: EntryForm,
        once: Option<&CommandKey>,
    ) -> Result<Entry, AccountError> {
        if !caller.is_admin() {
            return Err(AccountError::Forbidden);
        }
        let (entry, reason) = check(form)?;
        let Entry { kind, amount, .. } = entry;
        let (reference, at) = (entry.reference.as_str(), self.now());
        let event = kind.event((reference, amount), at).map_err(|error| {
            let fault = FieldError::new("amount", "out_of_range", error.to_string());
            AccountError::Invalid(vec![fault])
        })?;
        let act = Act {
            action: kind.action(),
            entity_type: "platform",
            entity_id: Uuid::nil(),
            changes: json!({
                "key": &**event.key(),
                "amount": amount.to_string(),
                "reason": reason,
            }),
        };
        let key = event.key().to_string();
        let answered = once.map(|key| self.answered(key, Uuid::nil(), Ok(&entry)));
        let booked = [AccountRow::Booked(event), AccountRow::Audit(caller.audit(act, at))];
        match self.store(answered.into_iter().chain(booked).collect()).await? {
            Ok(()) => Ok(entry),
            Err(constraint) if constraint == "financial_events_key" => {
                match self.ledger.booked_under(&key).await? {
                    Some(before) if before == amount => Ok(entry),
                    _ => {
                        let detail = "another amount is booked under this name";
                        let fault = FieldError::new("reference", "taken", detail);
                        Err(AccountError::Invalid(vec![fault]))
                    }
                }
            }
            Err(constraint) => Err(not_stored(constraint)),
        }
    }
}

fn check(form: EntryForm) -> Result<(Entry, String), AccountError> {
    let EntryForm { kind, amount, reference, reason } = form;
    let mut faults = Vec::new();
    if amount <= Centavos::ZERO {
        faults.push(FieldError::new("amount", "out_of_range", "more than nothing"));
    }
    let reason = plain(&mut faults, "reason", &reason, REASON_CHARS_MAX);
    let visible = reference.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible || !(1..=REFERENCE_CHARS_MAX).contains(&reference.len()) {
        let detail = "1 to 64 visible ASCII characters";
        faults.push(FieldError::new("reference", "invalid_format", detail));
    }
    match faults.is_empty() {
        true => Ok((Entry { kind, currency: "BRL", amount, reference }, reason)),
        false => Err(AccountError::Invalid(faults)),
    }
}
