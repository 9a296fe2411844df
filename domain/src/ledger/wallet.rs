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
use super::rides::Due;
use crate::ids::{DriverId, PayoutId, RideId};
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::units::UnixMillis;

/// What a hold is of: a ride's fare, its fee, or a tip that came later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Earning {
    pub ride: RideId,
    pub due: Due,
}

impl Earning {
    /// The key of what is booked when its hold ends, having let go of `released` before.
    fn key(self, released: Centavos) -> String {
        let ride = self.ride.0.simple();
        let what = match self.due {
            Due::Fare => String::new(),
            due @ (Due::CancelFee | Due::Tip) => format!(":{}", due.as_str()),
        };
        match released.0 {
            0 => format!("hold:{ride}{what}"),
            before => format!("hold:{ride}{what}:{before}"),
        }
    }
}

/// What is held of one earning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// What was put in.
    pub amount: Centavos,
    /// What a refund or a dispute has taken from it.
    pub taken: Centavos,
    /// What became available when its time had come.
    pub released: Centavos,
    pub release_at: UnixMillis,
}

impl Hold {
    /// `amount`, all of it held.
    #[must_use]
    pub const fn of(amount: Centavos, release_at: UnixMillis) -> Self {
        Self { amount, taken: Centavos::ZERO, released: Centavos::ZERO, release_at }
    }

    /// What is left of it.
    #[must_use]
    pub fn left(&self) -> Centavos {
        let gone = self.taken.0.saturating_add(self.released.0);
        Centavos(self.amount.0.saturating_sub(gone).max(0))
    }
}

/// Holds that have ended, and what that does to the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Released {
    pub earnings: Vec<Earning>,
    pub events: Vec<FinancialEvent>,
}

/// By what rules a driver is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PayoutRules {
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
    /// Those that ended too, for a late word about one must not be taken for a new one.
    holds: BTreeMap<Earning, Hold>,
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
        holds: impl IntoIterator<Item = (Earning, Hold)>,
        (day, asked): (i64, Centavos),
    ) -> Self {
        let holds = holds.into_iter().collect();
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

    /// The hold of `earning`.
    #[must_use]
    pub fn hold(&self, earning: Earning) -> Option<&Hold> {
        self.holds.get(&earning)
    }

    /// The holds of `ride`: those that a refund takes from.
    pub fn holds_of(&self, ride: RideId) -> impl Iterator<Item = (Earning, &Hold)> {
        let of = |due| Earning { ride, due };
        self.holds.range(of(Due::Fare)..=of(Due::Tip)).map(|(earning, hold)| (*earning, hold))
    }

    /// When the next hold ends.
    #[must_use]
    pub fn next_release(&self) -> Option<UnixMillis> {
        let open = self.holds.values().filter(|hold| hold.left() > Centavos::ZERO);
        open.map(|hold| hold.release_at).min()
    }

    /// He has earned something, which is held. A second word about one earning is none.
    pub fn earned(&mut self, earning: Earning, hold: Hold) {
        self.holds.entry(earning).or_insert(hold);
    }

    /// He owes `amount` more.
    pub fn indebted(&mut self, amount: Centavos) {
        self.owed = Centavos(self.owed.0.saturating_add(amount.0.max(0)));
    }

    /// `amount` more may be taken out: a payout that came back, a dispute he won.
    pub fn credited(&mut self, amount: Centavos) {
        self.available = Centavos(self.available.0.saturating_add(amount.0.max(0)));
    }

    /// A payout that was asked for on `day` has failed: it is as if it had not been.
    pub fn unpaid(&mut self, terms: &PayoutTerms, day: i64) {
        self.credited(terms.amount);
        if self.today.0 == day {
            self.today.1 = Centavos((self.today.1.0 - terms.amount.0).max(0));
        }
    }

    /// Ends the holds whose time has come (E4), oldest first, and sets off against them what he
    /// owes (E19).
    ///
    /// # Errors
    /// [`LedgerError`]; the wallet is then as it was.
    pub fn release(&mut self, now: UnixMillis) -> Result<Released, LedgerError> {
        let open = self.holds.iter().filter(|(_, hold)| hold.left() > Centavos::ZERO);
        let due = open.filter(|(_, hold)| hold.release_at <= now);
        let mut due: Vec<_> = due.map(|(earning, hold)| (*earning, *hold)).collect();
        due.sort_by_key(|(earning, hold)| (hold.release_at, *earning));
        let mut released = Released::default();
        if due.is_empty() {
            return Ok(released);
        }
        let mut next = self.clone();
        for (earning, hold) in due {
            let left = hold.left();
            let key = earning.key(hold.released);
            released.events.push(ended(self.driver, earning.ride, (&key, left), now)?);
            if let Some(hold) = next.holds.get_mut(&earning).filter(|_| !is(Mutant::HoldTwice)) {
                hold.released.0 += left.0;
            }
            let available = next.available.checked_add(left);
            next.available = available.map_err(|_| LedgerError::OutOfRange)?;
            let off = next.owed.min(left);
            if off > Centavos::ZERO {
                released.events.push(set_off(self.driver, earning.ride, (&key, off), now)?);
                next.available.0 -= off.0;
                next.owed.0 -= off.0;
            }
            released.earnings.push(earning);
        }
        *self = next;
        Ok(released)
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
        // A clock that goes back over midnight does not begin a day anew.
        let day = day.max(self.today.0);
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

    /// Takes `amount` from him: first the holds of `ride`, then what he may take out; the rest he
    /// owes.
    #[must_use]
    pub fn take(&mut self, ride: RideId, amount: Centavos) -> Taken {
        let taken = self.freeze(ride, amount);
        let owed = Centavos((amount.0.max(0) - taken.had().0).max(0));
        self.indebted(owed);
        Taken { owed, ..taken }
    }

    /// As [`Self::take`], but only of what is there.
    #[must_use]
    pub fn freeze(&mut self, ride: RideId, amount: Centavos) -> Taken {
        let amount = amount.max(Centavos::ZERO);
        let mut held = Centavos::ZERO;
        for (_, hold) in self.holds.iter_mut().filter(|(earning, _)| earning.ride == ride) {
            let part = hold.left().min(Centavos(amount.0 - held.0));
            hold.taken.0 += part.0;
            held.0 += part.0;
        }
        let available = Centavos((amount.0 - held.0).clamp(0, self.available.0.max(0)));
        self.available.0 -= available.0;
        Taken { held, available, owed: Centavos::ZERO }
    }

    /// What was taken is his again: the holds of `ride` get theirs back, and end as they would
    /// have. What he has paid off meanwhile of what he owed, and what belongs to a hold that is
    /// long over, he may take out. Says who got what.
    #[must_use]
    pub fn give_back(&mut self, ride: RideId, taken: Taken) -> Taken {
        let mut held = Centavos::ZERO;
        for (_, hold) in self.holds.iter_mut().filter(|(earning, _)| earning.ride == ride) {
            let part = hold.taken.min(Centavos(taken.held.0 - held.0));
            hold.taken.0 -= part.0;
            held.0 += part.0;
        }
        let owed = taken.owed.min(self.owed);
        self.owed.0 -= owed.0;
        let available = Centavos((taken.all().0 - held.0 - owed.0).max(0));
        self.credited(available);
        Taken { held, available, owed }
    }

    /// Of what he was just given, `credited`, he pays what he owes (E19). `key` is of what gave it.
    pub fn set_off(
        &mut self,
        ride: RideId,
        (key, credited): (&str, Centavos),
        at: UnixMillis,
    ) -> Option<FinancialEvent> {
        let off = self.owed.min(credited).min(self.available);
        let event = set_off(self.driver, ride, (key, off), at).ok()?;
        self.available.0 -= off.0;
        self.owed.0 -= off.0;
        Some(event)
    }
}

fn ended(
    driver: DriverId,
    ride: RideId,
    (key, amount): (&str, Centavos),
    at: UnixMillis,
) -> Result<FinancialEvent, LedgerError> {
    Draft::new("hold_released", key.to_owned(), Subject::Ride(ride), at)
        .debit(Account::DriverHeld(driver), amount)
        .credit(Account::DriverAvailable(driver), amount)
        .close()
}

fn set_off(
    driver: DriverId,
    ride: RideId,
    (key, amount): (&str, Centavos),
    at: UnixMillis,
) -> Result<FinancialEvent, LedgerError> {
    Draft::new("set_off", format!("{key}:set_off"), Subject::Ride(ride), at)
        .debit(Account::DriverAvailable(driver), amount)
        .credit(Account::DriverReceivable(driver), amount)
        .close()
}

#[cfg(test)]
#[path = "wallet_tests.rs"]
mod tests;
