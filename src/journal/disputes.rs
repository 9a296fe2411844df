//! Rows of disputes as columns: what `dispute_write` takes.
//!
//! Only `batch` uses it. Where two decisions of a batch write one row, the later is the one to
//! keep.

use std::collections::BTreeMap;

use ibora_domain::facts::{Decision, DisputeRow, EvidenceRow, Row};
use ibora_domain::ids::DisputeId;

use super::batch::{Query, column, each, signed};
use super::timestamp;

/// What `dispute_write` takes.
pub(super) const OF_DISPUTES: usize = 20;

/// The rows of a batch that are of disputes, with the shards of who decided them.
#[derive(Default)]
pub(super) struct Disputes<'a> {
    disputes: BTreeMap<DisputeId, (i16, &'a DisputeRow)>,
    evidence: Vec<(i16, &'a EvidenceRow)>,
}

impl<'a> Disputes<'a> {
    /// Adds what a decision writes; rows of other rooms are passed over.
    pub(super) fn add(&mut self, decision: &'a Decision) {
        let shard = column(decision.entity.shard().number());
        for row in &decision.rows {
            match row {
                Row::Dispute(row) => drop(self.disputes.insert(row.id, (shard, row))),
                Row::Evidence(row) => self.evidence.push((shard, row)),
                _ => {}
            }
        }
    }

    /// How many there are.
    pub(super) fn rows(&self) -> usize {
        self.disputes.len() + self.evidence.len()
    }

    /// Bytes of texts.
    pub(super) fn bytes(&self) -> usize {
        let states = self.disputes.values().map(|(_, row)| row.state.len());
        states.chain(self.evidence.iter().map(|(_, row)| row.text.len())).sum()
    }

    /// Binds the columns, where there is anything to bind.
    pub(super) fn bind(&self, query: Query<'a>) -> Query<'a> {
        if self.rows() == 0 {
            return query;
        }
        let rows: Vec<_> = self.disputes.values().copied().collect();
        let said = self.evidence.clone();
        query
            .bind(each(&rows, |(_, row)| row.id.0))
            .bind(each(&rows, |(shard, _)| *shard))
            .bind(each(&rows, |(_, row)| row.ride.0))
            .bind(each(&rows, |(_, row)| row.payment.0))
            .bind(each(&rows, |(_, row)| row.passenger.0))
            .bind(each(&rows, |(_, row)| row.driver.0))
            .bind(each(&rows, |(_, row)| row.kind))
            .bind(each(&rows, |(_, row)| row.status))
            .bind(each(&rows, |(_, row)| row.escrow.0))
            .bind(each(&rows, |(_, row)| row.blocked.0))
            .bind(each(&rows, |(_, row)| timestamp(row.opened_at)))
            .bind(each(&rows, |(_, row)| signed(row.version)))
            .bind(each(&rows, |(_, row)| &*row.state))
            .bind(each(&said, |(_, row)| row.dispute.0))
            .bind(each(&said, |(_, row)| i32::try_from(row.number).unwrap_or(i32::MAX)))
            .bind(each(&said, |(shard, _)| *shard))
            .bind(each(&said, |(_, row)| row.by.0))
            .bind(each(&said, |(_, row)| row.role))
            .bind(each(&said, |(_, row)| &*row.text))
            .bind(each(&said, |(_, row)| timestamp(row.at)))
    }
}
