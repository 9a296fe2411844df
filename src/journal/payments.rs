//! Rows of payments as columns: what `payment_write` takes.
//!
//! Only `batch` uses it. Where two decisions of a batch write one row, the later is the one to
//! keep; of two deadlines given to one entity the earlier.

use std::collections::BTreeMap;

use ibora_domain::facts::{
    ChargeRow, Decision, Entity, HoldRow, PaymentRow, ReceiptRow, RefundRow, Row,
};
use ibora_domain::ids::PaymentId;
use ibora_domain::pix::{EndToEndId, RefundId, Txid};
use ibora_domain::units::UnixMillis;

use super::batch::{Query, column, each, signed};
use super::timestamp;

/// What `payment_write` takes.
pub(super) const OF_PAYMENTS: usize = 42;

/// The rows of a batch that are about payments, with the shards of who decided them.
#[derive(Default)]
pub(super) struct Payments<'a> {
    payments: BTreeMap<PaymentId, (i16, &'a PaymentRow)>,
    charges: BTreeMap<&'a Txid, (i16, &'a ChargeRow)>,
    receipts: Vec<(i16, &'a ReceiptRow)>,
    refunds: BTreeMap<(&'a EndToEndId, &'a RefundId), (i16, &'a RefundRow)>,
    holds: Vec<&'a HoldRow>,
    wakes: BTreeMap<Entity, UnixMillis>,
}

impl<'a> Payments<'a> {
    /// Adds what a decision writes; rows of other rooms are passed over.
    pub(super) fn add(&mut self, decision: &'a Decision) {
        for row in &decision.rows {
            match row {
                Row::Payment(row) => {
                    // A payment's own shard: its ride may open it.
                    let shard = column(row.id.shard().number());
                    self.payments.insert(row.id, (shard, row));
                }
                Row::Charge(row) => {
                    let shard = column(row.payment.shard().number());
                    self.charges.insert(&row.txid, (shard, row));
                }
                Row::Receipt(row) => {
                    self.receipts.push((column(row.payment.shard().number()), row));
                }
                Row::Refund(row) => {
                    let shard = column(row.payment.shard().number());
                    self.refunds.insert((&row.pix, &row.id), (shard, row));
                }
                Row::Hold(row) => self.holds.push(row),
                Row::Ride(_) | Row::Wave(_) | Row::Attempts(_) | Row::Driver(_) => {}
            }
        }
        for (entity, at) in &decision.wakes {
            let due = self.wakes.entry(*entity).or_insert(*at);
            *due = (*due).min(*at);
        }
    }

    /// How many there are.
    pub(super) fn rows(&self) -> usize {
        let others = self.receipts.len() + self.refunds.len() + self.holds.len();
        self.payments.len() + self.charges.len() + self.wakes.len() + others
    }

    /// Bytes of texts.
    pub(super) fn bytes(&self) -> usize {
        self.payments.values().map(|(_, row)| row.state.len()).sum::<usize>()
            + self.charges.len() * 256
    }

    /// Binds the columns, where there is anything to bind.
    pub(super) fn bind(&self, query: Query<'a>) -> Query<'a> {
        if self.rows() == 0 {
            return query;
        }
        let query = self.bind_payments(query);
        let query = self.bind_charges(query);
        let query = self.bind_receipts(query);
        let query = self.bind_refunds(query);
        let (holds, wakes) = (&self.holds, self.wakes.iter().collect::<Vec<_>>());
        query
            .bind(each(holds, |row| row.earning.ride.0))
            .bind(each(holds, |row| row.earning.due.as_str()))
            .bind(each(holds, |row| row.driver.0))
            .bind(each(holds, |row| row.amount.0))
            .bind(each(holds, |row| timestamp(row.release_at)))
            .bind(each(&wakes, |(entity, _)| entity.id()))
            .bind(each(&wakes, |(entity, _)| entity.kind().as_str()))
            .bind(each(&wakes, |(entity, _)| column(entity.shard().number())))
            .bind(each(&wakes, |(_, at)| timestamp(**at)))
    }

    fn bind_payments(&self, query: Query<'a>) -> Query<'a> {
        let rows: Vec<_> = self.payments.values().copied().collect();
        query
            .bind(each(&rows, |(_, row)| row.id.0))
            .bind(each(&rows, |(shard, _)| *shard))
            .bind(each(&rows, |(_, row)| row.ride.map(|id| id.0)))
            .bind(each(&rows, |(_, row)| row.passenger.map(|id| id.0)))
            .bind(each(&rows, |(_, row)| row.driver.map(|id| id.0)))
            .bind(each(&rows, |(_, row)| row.amount.0))
            .bind(each(&rows, |(_, row)| row.status))
            .bind(each(&rows, |(_, row)| signed(row.version)))
            .bind(each(&rows, |(_, row)| timestamp(row.opened_at)))
            .bind(each(&rows, |(_, row)| &*row.state))
    }

    fn bind_charges(&self, query: Query<'a>) -> Query<'a> {
        let rows: Vec<_> = self.charges.values().copied().collect();
        query
            .bind(each(&rows, |(_, row)| row.txid.as_str()))
            .bind(each(&rows, |(_, row)| row.payment.0))
            .bind(each(&rows, |(shard, _)| *shard))
            .bind(each(&rows, |(_, row)| row.amount.0))
            .bind(each(&rows, |(_, row)| row.status))
            .bind(each(&rows, |(_, row)| row.copy_paste.as_deref()))
            .bind(each(&rows, |(_, row)| timestamp(row.made_at)))
            .bind(each(&rows, |(_, row)| timestamp(row.expires_at)))
    }

    fn bind_receipts(&self, query: Query<'a>) -> Query<'a> {
        let rows = self.receipts.clone();
        query
            .bind(each(&rows, |(_, row)| row.pix.as_str()))
            .bind(each(&rows, |(_, row)| row.payment.0))
            .bind(each(&rows, |(shard, _)| *shard))
            .bind(each(&rows, |(_, row)| row.txid.as_ref().map(Txid::as_str)))
            .bind(each(&rows, |(_, row)| row.amount.0))
            .bind(each(&rows, |(_, row)| row.good_for))
            .bind(each(&rows, |(_, row)| timestamp(row.at)))
    }

    fn bind_refunds(&self, query: Query<'a>) -> Query<'a> {
        let rows: Vec<_> = self.refunds.values().copied().collect();
        query
            .bind(each(&rows, |(_, row)| row.pix.as_str()))
            .bind(each(&rows, |(_, row)| row.id.as_str()))
            .bind(each(&rows, |(_, row)| row.payment.0))
            .bind(each(&rows, |(shard, _)| *shard))
            .bind(each(&rows, |(_, row)| row.amount.0))
            .bind(each(&rows, |(_, row)| row.cause))
            .bind(each(&rows, |(_, row)| row.status))
            .bind(each(&rows, |(_, row)| timestamp(row.asked_at)))
    }
}
