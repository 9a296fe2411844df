//! Rows of passengers' credit as columns: what `credit_write` takes.
//!
//! Only `batch` uses it. Where two decisions of a batch write one row, the later is the one to
//! keep.

use std::collections::BTreeMap;

use ibora_domain::credit::{CreditLot, CreditUse};
use ibora_domain::facts::{Decision, Row};
use ibora_domain::ids::CreditId;

use super::batch::{Query, column, each};
use super::timestamp;

/// What `credit_write` takes.
pub(super) const OF_CREDITS: usize = 14;

/// The rows of a batch that are of credit.
#[derive(Default)]
pub(super) struct Credits<'a> {
    lots: BTreeMap<CreditId, &'a CreditLot>,
    uses: Vec<&'a CreditUse>,
}

impl<'a> Credits<'a> {
    /// Adds what a decision writes; rows of other rooms are passed over.
    pub(super) fn add(&mut self, decision: &'a Decision) {
        for row in &decision.rows {
            match row {
                Row::Credit(lot) => drop(self.lots.insert(lot.id, lot)),
                Row::CreditUse(used) => self.uses.push(used),
                _ => {}
            }
        }
    }

    /// How many there are.
    pub(super) fn rows(&self) -> usize {
        self.lots.len() + self.uses.len()
    }

    /// Binds the columns, where there is anything to bind.
    pub(super) fn bind(&self, query: Query<'a>) -> Query<'a> {
        if self.rows() == 0 {
            return query;
        }
        // A passenger's own shard: what he puts in a payment may write.
        let lots: Vec<_> = self.lots.values().copied().collect();
        let uses = &self.uses;
        query
            .bind(each(&lots, |lot| lot.id.0))
            .bind(each(&lots, |lot| column(lot.passenger.shard().number())))
            .bind(each(&lots, |lot| lot.passenger.0))
            .bind(each(&lots, |lot| lot.kind.as_str()))
            .bind(each(&lots, |lot| lot.amount.0))
            .bind(each(&lots, |lot| lot.used.0))
            .bind(each(&lots, |lot| lot.payment.map(|id| id.0)))
            .bind(each(&lots, |lot| timestamp(lot.at)))
            .bind(each(uses, |used| used.payment.0))
            .bind(each(uses, |used| i32::from(used.number)))
            .bind(each(uses, |used| column(used.passenger.shard().number())))
            .bind(each(uses, |used| used.passenger.0))
            .bind(each(uses, |used| used.amount.0))
            .bind(each(uses, |used| timestamp(used.at)))
    }
}
