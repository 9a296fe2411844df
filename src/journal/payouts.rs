//! Rows of wallets as columns: what `payout_write` takes.
//!
//! Only `batch` uses it. Where two decisions of a batch write one row, the later is the one to
//! keep.

use std::collections::BTreeMap;

use ibora_domain::facts::{Decision, HeldRow, PayoutRow, Row};
use ibora_domain::ids::PayoutId;
use ibora_domain::ledger::Earning;

use super::batch::{Query, column, each, signed};
use super::timestamp;

/// What `payout_write` takes.
pub(super) const OF_PAYOUTS: usize = 12;

/// The rows of a batch that are of wallets, with the shards of who decided them.
#[derive(Default)]
pub(super) struct Payouts<'a> {
    held: BTreeMap<Earning, &'a HeldRow>,
    payouts: BTreeMap<PayoutId, (i16, &'a PayoutRow)>,
}

impl<'a> Payouts<'a> {
    /// Adds what a decision writes; rows of other rooms are passed over.
    pub(super) fn add(&mut self, decision: &'a Decision) {
        let shard = column(decision.entity.shard().number());
        for row in &decision.rows {
            match row {
                Row::Held(row) => drop(self.held.insert(row.earning, row)),
                Row::Payout(row) => drop(self.payouts.insert(row.id, (shard, row))),
                _ => {}
            }
        }
    }

    /// How many there are.
    pub(super) fn rows(&self) -> usize {
        self.held.len() + self.payouts.len()
    }

    /// Bytes of texts.
    pub(super) fn bytes(&self) -> usize {
        self.payouts.values().map(|(_, row)| row.state.len()).sum()
    }

    /// Binds the columns, where there is anything to bind.
    pub(super) fn bind(&self, query: Query<'a>) -> Query<'a> {
        if self.rows() == 0 {
            return query;
        }
        let held: Vec<_> = self.held.values().copied().collect();
        let rows: Vec<_> = self.payouts.values().copied().collect();
        query
            .bind(each(&held, |row| row.earning.ride.0))
            .bind(each(&held, |row| row.earning.due.as_str()))
            .bind(each(&held, |row| row.hold.taken.0))
            .bind(each(&held, |row| row.hold.released.0))
            .bind(each(&rows, |(_, row)| row.id.0))
            .bind(each(&rows, |(shard, _)| *shard))
            .bind(each(&rows, |(_, row)| row.driver.0))
            .bind(each(&rows, |(_, row)| row.status))
            .bind(each(&rows, |(_, row)| row.amount.0))
            .bind(each(&rows, |(_, row)| timestamp(row.asked_at)))
            .bind(each(&rows, |(_, row)| signed(row.version)))
            .bind(each(&rows, |(_, row)| &*row.state))
    }
}
