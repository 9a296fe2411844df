//! The tables of disputes in the model, and what is read back of them.
//!
//! As `dispute_write` of the migrations. Only `database` writes here; who reads is in `engine`.

use std::collections::BTreeMap;

use ibora_domain::dispute::Dispute;
use ibora_domain::facts::{DisputeRow, EvidenceRow};
use ibora_domain::ids::{DisputeId, DriverId, PaymentId};

use super::{Database, put_back};

/// What the tables hold.
#[derive(Debug, Default)]
pub struct Disputes {
    pub rows: BTreeMap<DisputeId, DisputeRow>,
    /// What a ride's people contested, by its payment.
    contested: BTreeMap<PaymentId, DisputeId>,
    pub evidence: BTreeMap<(DisputeId, u32), EvidenceRow>,
}

/// What a step changed, to take it back.
pub(super) enum DisputeUndo {
    Dispute(DisputeId, Option<DisputeRow>),
    Evidence(DisputeId, u32),
}

impl Disputes {
    /// One that is there keeps whose it is, and what it rests on.
    pub(super) fn upsert(&mut self, row: &DisputeRow) -> Result<DisputeUndo, &'static str> {
        let open = matches!(row.status, "open" | "under_review");
        if !open && (row.escrow.0, row.blocked.0) != (0, 0) {
            return Err("disputes_ended_holds_nothing");
        }
        let before = self.rows.get(&row.id).cloned();
        let row = match &before {
            Some(known) => DisputeRow {
                status: row.status,
                escrow: row.escrow,
                blocked: row.blocked,
                version: row.version,
                state: row.state.clone(),
                ..known.clone()
            },
            None => row.clone(),
        };
        if row.kind == "contested" {
            let other = self.contested.insert(row.payment, row.id).filter(|id| *id != row.id);
            if let Some(other) = other {
                self.contested.insert(row.payment, other);
                return Err("disputes_contested_once");
            }
        }
        let id = row.id;
        self.rows.insert(id, row);
        Ok(DisputeUndo::Dispute(id, before))
    }

    pub(super) fn insert_evidence(
        &mut self,
        row: &EvidenceRow,
    ) -> Result<DisputeUndo, &'static str> {
        let key = (row.dispute, row.number);
        if self.evidence.contains_key(&key) {
            return Err("dispute_evidence_pkey");
        }
        self.evidence.insert(key, row.clone());
        Ok(DisputeUndo::Evidence(key.0, key.1))
    }

    pub(super) fn take_back(&mut self, step: DisputeUndo) {
        match step {
            DisputeUndo::Dispute(id, None) => {
                if let Some(row) = self.rows.remove(&id).filter(|row| row.kind == "contested") {
                    self.contested.remove(&row.payment);
                }
            }
            DisputeUndo::Dispute(id, before) => put_back(&mut self.rows, id, before),
            DisputeUndo::Evidence(id, number) => drop(self.evidence.remove(&(id, number))),
        }
    }

    /// Those that have not ended.
    pub fn open(&self) -> impl Iterator<Item = &DisputeRow> {
        self.rows.values().filter(|row| matches!(row.status, "open" | "under_review"))
    }
}

impl Database {
    /// A dispute, read as what it is.
    #[must_use]
    pub fn dispute(&self, id: DisputeId) -> Option<Dispute> {
        self.money.disputes.rows.get(&id).and_then(read)
    }

    /// All that ever stood against a driver's share.
    pub(super) fn disputes_of(&self, driver: DriverId) -> Vec<Dispute> {
        let rows = self.money.disputes.rows.values().filter(|row| row.driver == driver);
        rows.filter_map(read).collect()
    }
}

fn read(row: &DisputeRow) -> Option<Dispute> {
    serde_json::from_str(&row.state).ok()
}
