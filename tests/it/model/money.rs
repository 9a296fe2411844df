//! PostgreSQL's side of money: what `payment_write` and `payout_write` take, and their tables.

use std::collections::BTreeMap;

use ibora_domain::credit::{CreditLot, CreditUse};
use ibora_domain::facts::{
    ChargeRow, Entity, HeldRow, HoldRow, PaymentRow, PayoutRow, ReceiptRow, RefundRow, Row,
};
use ibora_domain::ledger::Earning;
use ibora_domain::pix::{EndToEndId, RefundId, Txid};
use ibora_domain::units::UnixMillis;
use ibora_sim::database::{Database, Write};
use uuid::Uuid;

use super::tables::{Query, each, moment, shard_of, signed};

/// What the two functions take.
pub(super) const OF_PAYMENTS: usize = 42;
pub(super) const OF_PAYOUTS: usize = 12;
pub(super) const OF_CREDITS: usize = 14;

/// The rows of a batch, as the journal lays them out: of two of one thing the later.
#[derive(Default)]
struct Rows<'a> {
    payments: BTreeMap<Uuid, &'a PaymentRow>,
    charges: BTreeMap<&'a Txid, &'a ChargeRow>,
    receipts: Vec<&'a ReceiptRow>,
    refunds: BTreeMap<(&'a EndToEndId, &'a RefundId), &'a RefundRow>,
    holds: Vec<&'a HoldRow>,
    held: BTreeMap<Earning, &'a HeldRow>,
    payouts: BTreeMap<Uuid, &'a PayoutRow>,
    credits: BTreeMap<Uuid, &'a CreditLot>,
    credit_uses: Vec<&'a CreditUse>,
    wakes: BTreeMap<Entity, UnixMillis>,
}

fn rows(write: &Write) -> Rows<'_> {
    let mut rows = Rows::default();
    for row in write.decisions.iter().flat_map(|decision| &decision.rows) {
        match row {
            Row::Payment(row) => drop(rows.payments.insert(row.id.0, row)),
            Row::Charge(row) => drop(rows.charges.insert(&row.txid, row)),
            Row::Receipt(row) => rows.receipts.push(row),
            Row::Refund(row) => drop(rows.refunds.insert((&row.pix, &row.id), row)),
            Row::Hold(row) => rows.holds.push(row),
            Row::Held(row) => drop(rows.held.insert(row.earning, row)),
            Row::Payout(row) => drop(rows.payouts.insert(row.id.0, row)),
            Row::Credit(row) => drop(rows.credits.insert(row.id.0, row)),
            Row::CreditUse(row) => rows.credit_uses.push(row),
            Row::Dispute(_) | Row::Evidence(_) => {}
            Row::Ride(_) | Row::Wave(_) | Row::Attempts(_) | Row::Driver(_) => {}
        }
    }
    for (entity, at) in write.decisions.iter().flat_map(|decision| &decision.wakes) {
        let due = rows.wakes.entry(*entity).or_insert(*at);
        *due = (*due).min(*at);
    }
    rows
}

/// Binds what the functions take.
pub(super) fn bind<'q>(query: Query<'q>, write: &Write) -> Query<'q> {
    let rows = rows(write);
    let query = bind_payments(query, &rows.payments.values().copied().collect::<Vec<_>>());
    let query = bind_charges(query, &rows.charges.values().copied().collect::<Vec<_>>());
    let query = bind_pix(query, &rows);
    let query = bind_holds(query, &rows);
    bind_credits(query, &rows)
}

fn bind_payments<'q>(query: Query<'q>, rows: &[&PaymentRow]) -> Query<'q> {
    query
        .bind(each(rows, |row| row.id.0))
        .bind(each(rows, |row| shard_of(row.id.0)))
        .bind(each(rows, |row| row.ride.map(|id| id.0)))
        .bind(each(rows, |row| row.passenger.map(|id| id.0)))
        .bind(each(rows, |row| row.driver.map(|id| id.0)))
        .bind(each(rows, |row| row.amount.0))
        .bind(each(rows, |row| row.status))
        .bind(each(rows, |row| signed(row.version)))
        .bind(each(rows, |row| moment(row.opened_at)))
        .bind(each(rows, |row| row.state.to_string()))
}

fn bind_charges<'q>(query: Query<'q>, rows: &[&ChargeRow]) -> Query<'q> {
    query
        .bind(each(rows, |row| row.txid.to_string()))
        .bind(each(rows, |row| row.payment.0))
        .bind(each(rows, |row| shard_of(row.payment.0)))
        .bind(each(rows, |row| row.amount.0))
        .bind(each(rows, |row| row.status))
        .bind(each(rows, |row| row.copy_paste.as_deref().map(str::to_owned)))
        .bind(each(rows, |row| moment(row.made_at)))
        .bind(each(rows, |row| moment(row.expires_at)))
}

fn bind_pix<'q>(query: Query<'q>, rows: &Rows<'_>) -> Query<'q> {
    let receipts = &rows.receipts;
    let refunds: Vec<_> = rows.refunds.values().copied().collect();
    query
        .bind(each(receipts, |row| row.pix.to_string()))
        .bind(each(receipts, |row| row.payment.0))
        .bind(each(receipts, |row| shard_of(row.payment.0)))
        .bind(each(receipts, |row| row.txid.as_ref().map(Txid::to_string)))
        .bind(each(receipts, |row| row.amount.0))
        .bind(each(receipts, |row| row.good_for))
        .bind(each(receipts, |row| moment(row.at)))
        .bind(each(&refunds, |row| row.pix.to_string()))
        .bind(each(&refunds, |row| row.id.to_string()))
        .bind(each(&refunds, |row| row.payment.0))
        .bind(each(&refunds, |row| shard_of(row.payment.0)))
        .bind(each(&refunds, |row| row.amount.0))
        .bind(each(&refunds, |row| row.cause))
        .bind(each(&refunds, |row| row.status))
        .bind(each(&refunds, |row| moment(row.asked_at)))
}

fn bind_holds<'q>(query: Query<'q>, rows: &Rows<'_>) -> Query<'q> {
    let (holds, wakes) = (&rows.holds, rows.wakes.iter().collect::<Vec<_>>());
    let (held, payouts): (Vec<_>, Vec<_>) =
        (rows.held.values().collect(), rows.payouts.values().collect());
    query
        .bind(each(holds, |row| row.earning.ride.0))
        .bind(each(holds, |row| row.earning.due.as_str()))
        .bind(each(holds, |row| row.driver.0))
        .bind(each(holds, |row| row.amount.0))
        .bind(each(holds, |row| moment(row.release_at)))
        .bind(each(&wakes, |(entity, _)| entity.id()))
        .bind(each(&wakes, |(entity, _)| entity.kind().as_str()))
        .bind(each(&wakes, |(entity, _)| shard_of(entity.id())))
        .bind(each(&wakes, |(_, at)| moment(**at)))
        .bind(each(&held, |row| row.earning.ride.0))
        .bind(each(&held, |row| row.earning.due.as_str()))
        .bind(each(&held, |row| row.hold.taken.0))
        .bind(each(&held, |row| row.hold.released.0))
        .bind(each(&payouts, |row| row.id.0))
        .bind(each(&payouts, |row| shard_of(row.id.0)))
        .bind(each(&payouts, |row| row.driver.0))
        .bind(each(&payouts, |row| row.status))
        .bind(each(&payouts, |row| row.amount.0))
        .bind(each(&payouts, |row| moment(row.asked_at)))
        .bind(each(&payouts, |row| signed(row.version)))
        .bind(each(&payouts, |row| row.state.to_string()))
}

fn bind_credits<'q>(query: Query<'q>, rows: &Rows<'_>) -> Query<'q> {
    let (lots, uses) = (rows.credits.values().collect::<Vec<_>>(), &rows.credit_uses);
    query
        .bind(each(&lots, |lot| lot.id.0))
        .bind(each(&lots, |lot| shard_of(lot.passenger.0)))
        .bind(each(&lots, |lot| lot.passenger.0))
        .bind(each(&lots, |lot| lot.kind.as_str()))
        .bind(each(&lots, |lot| lot.amount.0))
        .bind(each(&lots, |lot| lot.used.0))
        .bind(each(&lots, |lot| lot.payment.map(|id| id.0)))
        .bind(each(&lots, |lot| moment(lot.at)))
        .bind(each(uses, |used| used.payment.0))
        .bind(each(uses, |used| i32::from(used.number)))
        .bind(each(uses, |used| shard_of(used.passenger.0)))
        .bind(each(uses, |used| used.passenger.0))
        .bind(each(uses, |used| used.amount.0))
        .bind(each(uses, |used| moment(used.at)))
}

/// Each table in a line a row, as both have them.
pub(super) const TABLES: [(&str, &str); 8] = [
    (
        "payments",
        "SELECT concat_ws(' ', id, ride_id, passenger_id, amount, status, version, state)
         FROM payment_intents",
    ),
    (
        "charges",
        "SELECT concat_ws(' ', txid, payment_id, amount, status, copy_paste)
         FROM pix_charges",
    ),
    (
        "receipts",
        "SELECT concat_ws(' ', end_to_end, payment_id, txid, amount, good_for)
         FROM pix_received",
    ),
    (
        "refunds",
        "SELECT concat_ws(' ', end_to_end, id, payment_id, amount, status)
         FROM pix_refunds",
    ),
    (
        "holds",
        "SELECT concat_ws(' ', ride_id, due, driver_id, amount, taken, released)
         FROM holds",
    ),
    (
        "credits",
        "SELECT concat_ws(' ', id, passenger_id, kind, amount, used, payment_id)
         FROM passenger_credits",
    ),
    (
        "credit uses",
        "SELECT concat_ws(' ', payment_id, number, passenger_id, amount) FROM credit_uses",
    ),
    (
        "payouts",
        "SELECT concat_ws(' ', id, driver_id, status, amount, version, state)
         FROM payouts",
    ),
];

/// What the model has of such a table.
pub(super) fn lines(model: &Database, table: &str) -> Vec<String> {
    let money = &model.money;
    let all =
        |parts: Vec<Option<String>>| parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
    let text = |it: &dyn std::fmt::Display| Some(it.to_string());
    match table {
        "payments" => {
            let rows = money.payments.values();
            let line = |row: &PaymentRow| {
                let (ride, passenger) = (row.ride, row.passenger);
                let (ride, passenger) =
                    (ride.map(|id| id.to_string()), passenger.map(|id| id.to_string()));
                let (amount, version) = (text(&row.amount.0), text(&row.version));
                let (status, state) = (text(&row.status), text(&row.state));
                all(vec![text(&row.id), ride, passenger, amount, status, version, state])
            };
            rows.map(line).collect()
        }
        "charges" => {
            let line = |row: &ChargeRow| {
                let (amount, status) = (text(&row.amount.0), text(&row.status));
                let copied = row.copy_paste.as_deref().map(str::to_owned);
                all(vec![text(&row.txid), text(&row.payment), amount, status, copied])
            };
            money.charges.values().map(line).collect()
        }
        "receipts" => {
            let line = |row: &ReceiptRow| {
                let txid = row.txid.as_ref().map(Txid::to_string);
                let (amount, good_for) = (text(&row.amount.0), text(&row.good_for));
                all(vec![text(&row.pix), text(&row.payment), txid, amount, good_for])
            };
            money.received.values().map(line).collect()
        }
        "refunds" => {
            let line = |row: &RefundRow| {
                let (pix, id, payment) = (&row.pix, &row.id, row.payment);
                format!("{pix} {id} {payment} {} {}", row.amount.0, row.status)
            };
            money.refunds.values().map(line).collect()
        }
        "holds" => {
            let rows = money.holds.iter().map(|(earning, (driver, hold))| {
                let (ride, due) = (earning.ride, earning.due.as_str());
                let (amount, taken, released) = (hold.amount.0, hold.taken.0, hold.released.0);
                format!("{ride} {due} {driver} {amount} {taken} {released}")
            });
            rows.collect()
        }
        "credits" | "credit uses" => credit_lines(model, table),
        _ => {
            let line = |row: &PayoutRow| {
                let (id, driver, amount) = (row.id, row.driver, row.amount.0);
                format!("{id} {driver} {} {amount} {} {}", row.status, row.version, row.state)
            };
            money.payouts.values().map(line).collect()
        }
    }
}

fn credit_lines(model: &Database, table: &str) -> Vec<String> {
    let money = &model.money;
    if table == "credit uses" {
        let line = |used: &CreditUse| {
            let (payment, passenger) = (used.payment, used.passenger);
            format!("{payment} {} {passenger} {}", used.number, used.amount.0)
        };
        return money.credit_uses.values().map(line).collect();
    }
    let line = |lot: &CreditLot| {
        let from = lot.payment.map(|id| format!(" {id}")).unwrap_or_default();
        let (id, passenger, kind) = (lot.id, lot.passenger, lot.kind.as_str());
        format!("{id} {passenger} {kind} {} {}{from}", lot.amount.0, lot.used.0)
    };
    money.credits.values().map(line).collect()
}
