//! What the passenger's credit pays of a payment.
//!
//! His machine has it and says how much: it is asked before a charge is ordered, so that a charge
//! never changes what it asks for. That it is asked is recorded first, and each question has one
//! answer for ever: a word that is lost, or comes twice, uses nothing twice. While a question is
//! open nothing else may settle or end the debt.

use serde::{Deserialize, Serialize};

use super::{Debt, Payment, PaymentEvent, TopUp};
use crate::credit::{CreditKind, CreditLot, CreditUse};
use crate::ids::{CreditId, PassengerId, PaymentId};
use crate::ledger::{FinancialEvent, LedgerError, credit_used};
use crate::money::Centavos;
use crate::units::UnixMillis;

/// What credit has paid of a payment, and whether it is asked for more.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ByCredit {
    /// Questions asked so far: each has a number, from 1.
    pub asked: u16,
    /// The last one has no answer yet.
    pub waits: bool,
    /// By the number of the question what it was answered, where that was something.
    pub uses: Vec<(u16, Centavos)>,
}

impl ByCredit {
    pub(super) const NONE: Self = Self { asked: 0, waits: false, uses: Vec::new() };

    /// Whether it was never asked.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.asked == 0
    }
}

impl Payment {
    /// As [`Payment::owed`], of a passenger who has credit: no charge is ordered before he is asked
    /// how much of it he has.
    #[must_use]
    pub fn prepaid(debt: Debt, at: UnixMillis) -> Self {
        let by_credit = ByCredit { asked: 1, waits: true, uses: Vec::new() };
        Self { by_credit, ..Self::empty(PaymentId::of_ride(debt.trip.ride), Some(debt), at) }
    }

    /// What credit has paid. What was waived or written off it has paid nothing of: that was
    /// returned.
    #[must_use]
    pub fn credited(&self) -> Centavos {
        let uses = self.by_credit.uses.iter().filter(|_| self.relief.is_none());
        Centavos(uses.map(|(_, amount)| amount.0).fold(0, i64::saturating_add))
    }

    /// What is left to be paid by Pix, if anything is asked for.
    #[must_use]
    pub fn left(&self) -> Option<Centavos> {
        Some(Centavos(self.wanted()?.0.saturating_sub(self.credited().0).max(0)))
    }

    /// Whether credit has paid all of it.
    #[must_use]
    pub fn is_paid_by_credit(&self) -> bool {
        self.credited() > Centavos::ZERO && self.left() == Some(Centavos::ZERO)
    }

    /// The question that has no answer yet: to whom, its number, and how much is wanted.
    #[must_use]
    pub fn asks_credit(&self) -> Option<(PassengerId, u16, Centavos)> {
        let waits = self.by_credit.waits.then_some(self.by_credit.asked);
        Some((self.passenger()?, waits?, self.left()?))
    }

    /// Credit is asked for what is left, where that is owed and nobody can pay it now. What was
    /// written off, credit does not pay: the books do not hold it.
    #[must_use]
    pub fn ask_credit(&self) -> Option<PaymentEvent> {
        let owed = self.status.is_owed() && self.debt.is_some() && !self.is_tip();
        let free = self.open_charge().is_none() && !self.by_credit.waits;
        let number = self.by_credit.asked.checked_add(1)?;
        (owed && free).then_some(PaymentEvent::CreditAsked { number })
    }

    /// Credit has paid so much, by the answer to the question of this number. Nothing where that is
    /// known.
    #[must_use]
    pub fn credit_said(&self, number: u16, amount: Centavos) -> Option<PaymentEvent> {
        let (_, asked, _) = self.asks_credit()?;
        (asked == number).then_some(PaymentEvent::CreditUsed { number, amount })
    }

    /// Makes so what was asked of credit, what it answered, and what is put in.
    pub(super) fn apply_credit(&mut self, event: &PaymentEvent, at: UnixMillis) {
        match event {
            PaymentEvent::CreditAsked { number } => {
                (self.by_credit.asked, self.by_credit.waits) = (*number, true);
            }
            PaymentEvent::CreditUsed { number, amount } => {
                self.by_credit.waits = false;
                if *amount > Centavos::ZERO {
                    self.by_credit.uses.push((*number, *amount));
                }
                if self.is_paid_by_credit() {
                    self.paid_at = Some(at);
                }
            }
            PaymentEvent::TopUpAsked { top_up } => {
                self.top_up = Some(*top_up);
                (self.opened_at, self.relief) = (at, None);
            }
            _ => {}
        }
    }

    /// What is booked when credit has paid all of it. What it pays, its passenger's machine books.
    pub(super) fn paid_by_credit(
        &self,
        at: UnixMillis,
    ) -> Result<Option<FinancialEvent>, LedgerError> {
        match self.debt.filter(|_| self.is_paid_by_credit()) {
            Some(debt) => debt.trip.paid_by_credit(debt.due, debt.shares, at),
            None => Ok(None),
        }
    }

    /// What is booked first when the debt ends unpaid: what credit had paid of it is credit again.
    pub(super) fn returned(&self, at: UnixMillis) -> Result<Vec<FinancialEvent>, LedgerError> {
        let mut events = Vec::with_capacity(self.by_credit.uses.len());
        for used in self.uses() {
            events.extend(credit_used(&used)?.reversal("credit_returned", at));
        }
        Ok(events)
    }

    /// The credit that was put in by it, at `since`.
    #[must_use]
    pub fn put_in_lot(&self, since: UnixMillis) -> Option<CreditLot> {
        let TopUp { passenger, amount } = self.top_up.filter(|_| self.settled_by().is_some())?;
        let made = (CreditKind::TopUp, CreditId::of_top_up(self.id));
        Some(self.lot(made, since, (passenger, amount)))
    }

    /// What had paid for it and is credit again since then.
    #[must_use]
    pub fn returned_lots(&self, since: UnixMillis) -> Vec<CreditLot> {
        let lot = |used: CreditUse| {
            let made = (CreditKind::Returned, CreditId::of_return(self.id, used.number));
            self.lot(made, since, (used.passenger, used.amount))
        };
        self.uses().filter(|_| self.relief.is_some()).map(lot).collect()
    }

    fn lot(
        &self,
        (kind, id): (CreditKind, CreditId),
        at: UnixMillis,
        (passenger, amount): (PassengerId, Centavos),
    ) -> CreditLot {
        let (used, payment) = (Centavos::ZERO, Some(self.id));
        CreditLot { id, passenger, kind, amount, used, payment, at }
    }

    fn uses(&self) -> impl Iterator<Item = CreditUse> {
        let (payment, at) = (self.id, self.opened_at);
        let used = move |passenger, (number, amount): (u16, Centavos)| CreditUse {
            payment,
            number,
            passenger,
            amount,
            at,
        };
        let passenger = self.passenger();
        self.by_credit.uses.iter().filter_map(move |part| Some(used(passenger?, *part)))
    }
}
