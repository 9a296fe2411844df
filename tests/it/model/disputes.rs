//! PostgreSQL's side of disputes: what `dispute_write` takes, and its tables; and what histories do
//! to them.

use std::collections::BTreeMap;

use ibora_domain::facts::{Decision, DisputeRow, EvidenceRow, Row};
use ibora_domain::ids::PaymentId;
use ibora_domain::money::Centavos;
use ibora_domain::units::UnixMillis;
use ibora_sim::chance::Chance;
use ibora_sim::database::{Database, Write};
use ibora_sim::people;
use uuid::Uuid;

use super::tables::{Query, each, moment, shard_of, signed};

/// What the function takes.
pub(super) const OF_DISPUTES: usize = 20;

/// Binds what the function takes: of two rows of one dispute the later.
pub(super) fn bind<'q>(query: Query<'q>, write: &Write) -> Query<'q> {
    let (mut disputes, mut evidence) = (BTreeMap::<Uuid, &DisputeRow>::new(), Vec::new());
    for row in write.decisions.iter().flat_map(|decision| &decision.rows) {
        match row {
            Row::Dispute(row) => drop(disputes.insert(row.id.0, row)),
            Row::Evidence(row) => evidence.push(row),
            _ => {}
        }
    }
    let rows: Vec<_> = disputes.into_values().collect();
    let query = bind_disputes(query, &rows);
    query
        .bind(each(&evidence, |row| row.dispute.0))
        .bind(each(&evidence, |row| i32::try_from(row.number).expect("few")))
        .bind(each(&evidence, |row| shard_of(row.dispute.0)))
        .bind(each(&evidence, |row| row.by.0))
        .bind(each(&evidence, |row| row.role))
        .bind(each(&evidence, |row| row.text.to_string()))
        .bind(each(&evidence, |row| moment(row.at)))
}

fn bind_disputes<'q>(query: Query<'q>, rows: &[&DisputeRow]) -> Query<'q> {
    query
        .bind(each(rows, |row| row.id.0))
        .bind(each(rows, |row| shard_of(row.id.0)))
        .bind(each(rows, |row| row.ride.0))
        .bind(each(rows, |row| row.payment.0))
        .bind(each(rows, |row| row.passenger.0))
        .bind(each(rows, |row| row.driver.0))
        .bind(each(rows, |row| row.kind))
        .bind(each(rows, |row| row.status))
        .bind(each(rows, |row| row.escrow.0))
        .bind(each(rows, |row| row.blocked.0))
        .bind(each(rows, |row| moment(row.opened_at)))
        .bind(each(rows, |row| signed(row.version)))
        .bind(each(rows, |row| row.state.to_string()))
}

/// Each table in a line a row, as both have them.
pub(super) const TABLES: [(&str, &str); 2] = [
    (
        "disputes",
        "SELECT concat_ws(' ', id, ride_id, payment_id, driver_id, kind, status, escrow, blocked,
                          version, state)
         FROM disputes",
    ),
    (
        "evidence",
        "SELECT concat_ws(' ', dispute_id, number, by_user, role, body) FROM dispute_evidence",
    ),
];

/// What the model has of such a table.
pub(super) fn lines(model: &Database, table: &str) -> Vec<String> {
    let disputes = &model.money.disputes;
    if table == "evidence" {
        let line = |row: &EvidenceRow| {
            let (number, role, text) = (row.number, row.role, &row.text);
            format!("{} {number} {} {role} {text}", row.dispute, row.by)
        };
        return disputes.evidence.values().map(line).collect();
    }
    let line = |row: &DisputeRow| {
        let of = format!("{} {} {} {}", row.id, row.ride, row.payment, row.driver);
        let (escrow, blocked, version) = (row.escrow.0, row.blocked.0, row.version);
        format!("{of} {} {} {escrow} {blocked} {version} {}", row.kind, row.status, row.state)
    };
    disputes.rows.values().map(line).collect()
}

/// Adds a dispute, or what is said to one, to a decision.
pub(super) fn add(chance: &mut Chance, decision: &mut Decision, (number, at): (u64, UnixMillis)) {
    let one = chance.below(12);
    let dispute = people::dispute(one);
    if chance.percent(30) {
        decision.rows.push(Row::Evidence(EvidenceRow {
            dispute,
            number: u32::try_from(chance.between(1, 3)).expect("few"),
            by: people::passenger(1).into(),
            role: "passenger",
            text: format!("look {number}").into(),
            at,
        }));
        return;
    }
    let ride = people::ride(one % 4);
    let status = ["open", "under_review", "for_driver", "for_passenger"][chance.index(4)];
    // One that has ended mostly holds nothing any more.
    let holds = matches!(status, "open" | "under_review") || chance.percent(10);
    let escrow = if holds { i64::try_from(chance.below(900)).expect("small") } else { 0 };
    decision.rows.push(Row::Dispute(DisputeRow {
        id: dispute,
        ride,
        payment: PaymentId::of_ride(ride),
        passenger: people::passenger(1),
        driver: people::driver(chance.below(2)),
        kind: ["contested", "contested", "bank_claim", "refund"][chance.index(4)],
        status,
        escrow: Centavos(escrow),
        blocked: Centavos(if holds { 7 } else { 0 }),
        opened_at: at,
        version: number,
        state: format!("{{\"n\":{number}}}").into(),
    }));
}
