//! Fence and lease in the model: how shards change hands.

use std::sync::Arc;

use ibora_domain::mutants::{Mutant, is};
use ibora_domain::units::Millis;

use super::Database;

/// What an engine owns, and as whose successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fence {
    pub node: Arc<str>,
    pub incarnation: i64,
    /// Epoch per shard, by number.
    pub epochs: Vec<i64>,
}

impl Fence {
    /// The epoch under which this engine writes for a shard.
    #[must_use]
    pub fn epoch(&self, shard: u16) -> i64 {
        self.epochs.get(usize::from(shard)).copied().unwrap_or(0)
    }
}

/// The row of an engine at work.
#[derive(Debug, Clone, Copy)]
pub struct LeaseRow {
    pub incarnation: i64,
    pub until: Millis,
}

/// What became of an attempt to own the shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Took {
    Ours(Fence),
    Held,
}

impl Database {
    /// Takes every shard at `now`, by the database's clock, unless another engine's lease lives.
    pub fn take(&mut self, node: &Arc<str>, lanes: u16, (now, lease): (Millis, Millis)) -> Took {
        let lives = |(other, row): (&Arc<str>, &LeaseRow)| other != node && row.until > now;
        if self.leases.iter().any(lives) {
            return Took::Held;
        }
        let fence = self.raise(node, lanes);
        self.leases.clear();
        let row = LeaseRow { incarnation: fence.incarnation, until: Millis(now.0 + lease.0) };
        self.leases.insert(Arc::clone(node), row);
        Took::Ours(fence)
    }

    /// Takes every shard under a new incarnation and new epochs.
    pub fn raise(&mut self, node: &Arc<str>, lanes: u16) -> Fence {
        for incarnation in self.fences.values_mut() {
            *incarnation += 1;
        }
        let incarnation = self.fences.values().max().copied().unwrap_or(0) + 1;
        for lane in 0..lanes {
            self.fences.insert((Arc::clone(node), lane), incarnation);
        }
        for owner in &mut self.shards {
            owner.node = Some(Arc::clone(node));
            owner.epoch += 1;
        }
        let epochs = self.shards.iter().map(|owner| owner.epoch).collect();
        Fence { node: Arc::clone(node), incarnation, epochs }
    }

    /// Renews a lease; false where it is no longer this engine's.
    pub fn renew(&mut self, fence: &Fence, (now, lease): (Millis, Millis)) -> bool {
        if is(Mutant::LeaseTakenBack) {
            let row = LeaseRow { incarnation: fence.incarnation, until: now };
            self.leases.entry(Arc::clone(&fence.node)).or_insert(row);
        }
        let row = self.leases.get_mut(&fence.node);
        let Some(row) = row.filter(|row| row.incarnation == fence.incarnation) else {
            return false;
        };
        row.until = Millis(now.0 + lease.0);
        true
    }

    /// Gives the shards up.
    pub fn leave(&mut self, fence: &Fence) {
        let ours = |row: &LeaseRow| row.incarnation == fence.incarnation;
        if !self.leases.get(&fence.node).is_some_and(ours) {
            return;
        }
        self.leases.remove(&fence.node);
        for ((node, _), incarnation) in &mut self.fences {
            *incarnation += i64::from(*node == fence.node);
        }
        for owner in &mut self.shards {
            if owner.node.as_ref() == Some(&fence.node) {
                owner.node = None;
            }
        }
    }
}
