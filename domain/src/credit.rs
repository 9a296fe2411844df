//! What a passenger has with the platform for his rides: put in by Pix, given, or returned.
//!
//! It lies in lots, as what drivers earn lies in holds. His machine owns it and decides whatever
//! takes from it, one thing after the other, on these figures. Lots are made elsewhere too, and may
//! be learnt late or twice: it then thinks of less than there is, never of more.

use std::collections::BTreeMap;

use crate::ids::{CreditId, PassengerId, PaymentId};
use crate::money::Centavos;
use crate::units::UnixMillis;

/// How much may be put in, and how much there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditPolicy {
    pub top_up_min: Centavos,
    pub top_up_max: Centavos,
    /// What one passenger may have at most, with what he is about to put in. What is returned to
    /// him is his all the same.
    pub max: Centavos,
}

impl Default for CreditPolicy {
    /// The defaults of the design, for tests; a running engine reads its configuration.
    fn default() -> Self {
        Self { top_up_min: Centavos(500), top_up_max: Centavos(50_000), max: Centavos(100_000) }
    }
}

/// Where credit comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreditKind {
    /// He put it in by Pix.
    TopUp,
    /// Somebody of ours gave it to him.
    Goodwill,
    /// It had paid for what he does not owe any more.
    Returned,
}

impl CreditKind {
    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TopUp => "top_up",
            Self::Goodwill => "goodwill",
            Self::Returned => "returned",
        }
    }

    /// The one of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::TopUp, Self::Goodwill, Self::Returned].into_iter().find(|kind| kind.as_str() == name)
    }
}

/// Credit that came in together: the current row of it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditLot {
    pub id: CreditId,
    pub passenger: PassengerId,
    pub kind: CreditKind,
    pub amount: Centavos,
    pub used: Centavos,
    /// The payment that it came from.
    pub payment: Option<PaymentId>,
    pub at: UnixMillis,
}

impl CreditLot {
    /// What is left of it.
    #[must_use]
    pub fn left(&self) -> Centavos {
        Centavos(self.amount.0.saturating_sub(self.used.0).max(0))
    }
}

/// How much of a payment credit has paid: the answer to the payment's question of this number,
/// which is the same for ever, also where it is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreditUse {
    pub payment: PaymentId,
    /// Counts the questions of a payment, from 1.
    pub number: u16,
    pub passenger: PassengerId,
    pub amount: Centavos,
    pub at: UnixMillis,
}

/// A passenger's credit. Built from what is recorded.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credit {
    /// Those that are used up too, for a late word of one must not be taken for a new one.
    lots: BTreeMap<CreditId, CreditLot>,
    answers: BTreeMap<(PaymentId, u16), Centavos>,
}

impl Credit {
    /// The credit as its records say.
    #[must_use]
    pub fn restore(
        lots: impl IntoIterator<Item = CreditLot>,
        uses: impl IntoIterator<Item = CreditUse>,
    ) -> Self {
        let mut credit = Self::default();
        lots.into_iter().for_each(|lot| credit.add(lot));
        uses.into_iter().for_each(|used| credit.remember(&used));
        credit
    }

    /// What is left of all of it.
    #[must_use]
    pub fn left(&self) -> Centavos {
        Centavos(self.lots.values().map(|lot| lot.left().0).fold(0, i64::saturating_add))
    }

    /// A lot has come in. A second word about one is none.
    pub fn add(&mut self, lot: CreditLot) {
        self.lots.entry(lot.id).or_insert(lot);
    }

    /// What was answered to this question of a payment.
    #[must_use]
    pub fn answer(&self, payment: PaymentId, number: u16) -> Option<Centavos> {
        self.answers.get(&(payment, number)).copied()
    }

    /// A question was answered.
    pub fn remember(&mut self, used: &CreditUse) {
        self.answers.insert((used.payment, used.number), used.amount);
    }

    /// Takes `upto`, or what there is, the oldest first: how much that is, and the lots that it was
    /// taken from, as they are now.
    pub fn take(&mut self, upto: Centavos) -> (Centavos, Vec<CreditLot>) {
        let mut open: Vec<_> =
            self.lots.values_mut().filter(|lot| lot.left() > Centavos::ZERO).collect();
        open.sort_by_key(|lot| (lot.at, lot.id));
        let (mut taken, mut changed) = (Centavos::ZERO, Vec::new());
        for lot in open {
            let part = lot.left().min(Centavos(upto.0 - taken.0));
            if part <= Centavos::ZERO {
                break;
            }
            lot.used.0 += part.0;
            taken.0 += part.0;
            changed.push(*lot);
        }
        (taken, changed)
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn lot(number: u128, amount: i64, at: i64) -> CreditLot {
        CreditLot {
            id: CreditId(Uuid::from_u128(number)),
            passenger: PassengerId(Uuid::from_u128(2)),
            kind: CreditKind::TopUp,
            amount: Centavos(amount),
            used: Centavos::ZERO,
            payment: None,
            at: UnixMillis(at),
        }
    }

    #[test]
    fn the_oldest_credit_goes_first_and_never_more_than_there_is() {
        let mut credit = Credit::restore([lot(1, 300, 20), lot(2, 500, 10)], []);
        assert_eq!(credit.left(), Centavos(800));
        let (taken, changed) = credit.take(Centavos(600));
        assert_eq!(taken, Centavos(600));
        let used = |lot: &CreditLot| (lot.id.0.as_u128(), lot.used.0);
        assert_eq!(changed.iter().map(used).collect::<Vec<_>>(), [(2, 500), (1, 100)]);
        let (rest, changed) = credit.take(Centavos(600));
        assert_eq!((rest, changed.len(), credit.left()), (Centavos(200), 1, Centavos::ZERO));
        assert_eq!(credit.take(Centavos(1)), (Centavos::ZERO, vec![]));
    }

    #[test]
    fn nothing_is_taken_for_nothing() {
        for upto in [i64::MIN, -1, 0] {
            let mut credit = Credit::restore([lot(1, 300, 20)], []);
            assert_eq!(credit.take(Centavos(upto)), (Centavos::ZERO, vec![]), "{upto}");
            assert_eq!(credit.left(), Centavos(300));
        }
    }

    #[test]
    fn a_lot_told_twice_counts_once_also_when_it_is_used_up() {
        let mut credit = Credit::default();
        credit.add(lot(1, 300, 20));
        credit.add(lot(1, 300, 20));
        assert_eq!(credit.left(), Centavos(300));
        credit.take(Centavos(300));
        credit.add(lot(1, 300, 20));
        assert_eq!(credit.left(), Centavos::ZERO);
        let read = CreditLot { used: Centavos(300), ..lot(1, 300, 20) };
        let mut again = Credit::restore([read], []);
        again.add(lot(1, 300, 20));
        assert_eq!(again.left(), Centavos::ZERO, "as read back");
    }

    #[test]
    fn a_kind_has_a_name_of_its_own() {
        for kind in [CreditKind::TopUp, CreditKind::Goodwill, CreditKind::Returned] {
            assert_eq!(CreditKind::from_name(kind.as_str()), Some(kind));
        }
        assert_eq!(CreditKind::from_name("loan"), None);
    }
}
