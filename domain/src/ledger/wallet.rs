//! A driver's wallet: what he has earned, what of it is held, and what he may take out.
//!
//! Whoever owns the wallet decides whatever takes from it, one thing after the other, on these
//! figures. Credits come from elsewhere and may be learnt late: it then thinks of less than there
//! is, never of more.

use std::collections::BTreeMap;

use super::account::Account;
use super::event::{Draft, FinancialEvent, LedgerError, Subject};
use super::payouts::{Payee, PayoutTerms};
use super::refunds::Taken;
use crate::ids::{DriverId, PayoutId, RideId};
use crate::money::Centavos;
use crate::units::{Millis, UnixMillis};

/// What is held of one ride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// What was put in.
    pub amount: Centavos,
    /// What a refund, a dispute or a debt has taken from it.
    pub taken: Centavos,
    pub release_at: UnixMillis,
}

impl Hold {
    /// What is left of it.
    #[must_use]
    pub fn left(&self) -> Centavos {
        Centavos(self.amount.0.saturating_sub(self.taken.0).max(0))
    }
}

/// By what rules a driver is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayoutRules {
    /// From the later of a ride's end and its payment.
    pub hold: Millis,
    pub fee: Centavos,
    pub minimum: Centavos,
    pub day_max: Centavos,
}

/// Why a driver is not paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayoutRefusal {
    BelowMinimum {
        minimum: Centavos,
    },
    InsufficientBalance,
    /// `left` is what he may still take out today.
    LimitExceeded {
        left: Centavos,
    },
}

/// A driver's figures. Built from what is recorded; see [`Wallet::restore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wallet {
    driver: DriverId,
    available: Centavos,
    /// What he owes.
    owed: Centavos,
    /// The holds that have something left, by their rides.
    holds: BTreeMap<RideId, Hold>,
    /// What he asked for today and was not refused, and which day that is.
    today: (i64, Centavos),
}

impl Wallet {
    /// The wallet of `driver` with nothing in it.
    #[must_use]
    pub fn new(driver: DriverId) -> Self {
        let (available, owed) = (Centavos::ZERO, Centavos::ZERO);
        Self { driver, available, owed, holds: BTreeMap::new(), today: (0, Centavos::ZERO) }
    }

    /// The wallet as its records say.
    #[must_use]
    pub fn restore(
        driver: DriverId,
        (available, owed): (Centavos, Centavos),
        holds: impl IntoIterator<Item = (RideId, Hold)>,
        (day, asked): (i64, Centavos),
    ) -> Self {
        let holds = holds.into_iter().filter(|(_, hold)| hold.left() > Centavos::ZERO).collect();
        Self { driver, available, owed, holds, today: (day, asked) }
    }

    /// What he may take out.
    #[must_use]
    pub fn available(&self) -> Centavos {
        self.available
    }

    /// What he owes.
    #[must_use]
    pub fn owed(&self) -> Centavos {
        self.owed
    }

    /// What is held of all his rides.
    #[must_use]
    pub fn held(&self) -> Centavos {
        Centavos(self.holds.values().map(|hold| hold.left().0).fold(0, i64::saturating_add))
    }

    /// The hold of `ride`, while something is left of it.
    #[must_use]
    pub fn hold(&self, ride: RideId) -> Option<&Hold> {
        self.holds.get(&ride)
    }

    /// When the next hold ends.
    #[must_use]
    pub fn next_release(&self) -> Option<UnixMillis> {
        self.holds.values().map(|hold| hold.release_at).min()
    }

    /// He has earned `amount` for `ride`, which is held. A second word about one ride is none.
    pub fn earned(&mut self, ride: RideId, hold: Hold) {
        self.holds.entry(ride).or_insert(hold);
    }

    /// He owes `amount` more.
    pub fn indebted(&mut self, amount: Centavos) {
        self.owed = Centavos(self.owed.0.saturating_add(amount.0.max(0)));
    }

    /// `amount` more may be taken out: a payout that failed or came back, a dispute he won.
    pub fn credited(&mut self, amount: Centavos) {
        self.available = Centavos(self.available.0.saturating_add(amount.0.max(0)));
    }

    /// Ends the holds whose time has come (E4), oldest first, and sets off against them what he
    /// owes (E19).
    ///
    /// # Errors
    /// [`LedgerError`]; the wallet is then as it was.
    pub fn release(&mut self, now: UnixMillis) -> Result<Vec<FinancialEvent>, LedgerError> {
        let mut due: Vec<_> = self.holds.iter().map(|(ride, hold)| (*ride, *hold)).collect();
        due.retain(|(_, hold)| hold.release_at <= now);
        due.sort_by_key(|(ride, hold)| (hold.release_at, *ride));
        let mut next = self.clone();
        let mut events = Vec::with_capacity(due.len());
        for (ride, hold) in due {
            events.push(released(self.driver, ride, hold.left(), now)?);
            next.holds.remove(&ride);
            let available = next.available.checked_add(hold.left());
            next.available = available.map_err(|_| LedgerError::OutOfRange)?;
            let off = next.owed.min(hold.left());
            if off > Centavos::ZERO {
                events.push(set_off(self.driver, ride, off, now)?);
                next.available.0 -= off.0;
                next.owed.0 -= off.0;
            }
        }
        *self = next;
        Ok(events)
    }

    /// He asks for `amount`, fee included (E5). `day` is the day of the daily limit.
    ///
    /// # Errors
    /// [`PayoutRefusal`]; the wallet is then as it was.
    pub fn ask_payout(
        &mut self,
        id: PayoutId,
        amount: Centavos,
        (day, now): (i64, UnixMillis),
        rules: &PayoutRules,
    ) -> Result<(PayoutTerms, FinancialEvent), PayoutRefusal> {
        if amount < rules.minimum || amount <= rules.fee {
            return Err(PayoutRefusal::BelowMinimum { minimum: rules.minimum });
        }
        let asked = if self.today.0 == day { self.today.1 } else { Centavos::ZERO };
        let left = Centavos(rules.day_max.0.saturating_sub(asked.0).max(0));
        if amount > self.available {
            return Err(PayoutRefusal::InsufficientBalance);
        }
        if amount > left {
            return Err(PayoutRefusal::LimitExceeded { left });
        }
        let terms = PayoutTerms { id, payee: Payee::Driver(self.driver), amount, fee: rules.fee };
        // The amount is above the fee, so this cannot fail; if it could, nothing is paid.
        let event = terms.requested(now).map_err(|_| PayoutRefusal::InsufficientBalance)?;
        self.available.0 -= amount.0;
        self.today = (day, Centavos(asked.0 + amount.0));
        Ok((terms, event))
    }

    /// Takes `amount` from him: first the hold of `ride`, then what he may take out; the rest he
    /// owes.
    #[must_use]
    pub fn take(&mut self, ride: RideId, amount: Centavos) -> Taken {
        let amount = amount.max(Centavos::ZERO);
        let held = self.hold(ride).map_or(Centavos::ZERO, Hold::left).min(amount);
        if let Some(hold) = self.holds.get_mut(&ride) {
            hold.taken.0 += held.0;
        }
        self.holds.retain(|_, hold| hold.left() > Centavos::ZERO);
        let available = Centavos((amount.0 - held.0).clamp(0, self.available.0.max(0)));
        self.available.0 -= available.0;
        let owed = Centavos((amount.0 - held.0 - available.0).max(0));
        self.indebted(owed);
        Taken { held, available, owed }
    }
}

fn released(
    driver: DriverId,
    ride: RideId,
    amount: Centavos,
    at: UnixMillis,
) -> Result<FinancialEvent, LedgerError> {
    let key = format!("hold:{}", ride.0.simple());
    Draft::new("hold_released", key, Subject::Ride(ride), at)
        .debit(Account::DriverHeld(driver), amount)
        .credit(Account::DriverAvailable(driver), amount)
        .close()
}

fn set_off(
    driver: DriverId,
    ride: RideId,
    amount: Centavos,
    at: UnixMillis,
) -> Result<FinancialEvent, LedgerError> {
    let key = format!("hold:{}:set_off", ride.0.simple());
    Draft::new("set_off", key, Subject::Ride(ride), at)
        .debit(Account::DriverAvailable(driver), amount)
        .credit(Account::DriverReceivable(driver), amount)
        .close()
}

#[cfg(test)]
#[path = "wallet_tests.rs"]
mod tests;
