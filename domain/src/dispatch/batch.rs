//! The policy `batch`: every few seconds, the least total pickup time of all that wait.

use super::matching::Table;
use super::{Again, Plan, Policy, PolicyKind, Reach, Rules, View, ranked};
use crate::units::Millis;

/// What it looks at for each ride.
const REACH: Reach = Reach { free: 16, soon: 0 };

/// Gathers, then matches as many as it can at the least total time.
pub(super) struct Batch {
    pub(super) rules: Rules,
}

impl Policy for Batch {
    fn kind(&self) -> PolicyKind {
        PolicyKind::Batch
    }

    fn decide(&self, view: &View<'_>) -> Plan {
        let max = self.rules.pickup_max;
        let cars = view.waiting.iter().map(|ride| ranked(view, ride, REACH, max)).collect();
        let offers = Table { waiting: view.waiting, cars }.waves(|_, car| car.pickup_in);
        Plan { offers, again: Again::After(self.rules.window.max(Millis(1))) }
    }
    fn pickup_max(&self, _waited: Millis) -> Millis {
        self.rules.pickup_max
    }
}
