//! What rings after a start.

use std::collections::BTreeMap;

use crate::facts::Entity;
use crate::ids::DriverId;
use crate::mutants::{Mutant, is};
use crate::units::UnixMillis;

/// The deadlines on disk, and of each wallet the end of its next hold, whichever is earlier. A
/// hold is written by a payment, in a commit of its own: what its wallet decided before it knew of
/// it, and recorded after, may have taken the deadline away that was given with it.
pub fn due_at_start(
    timers: impl IntoIterator<Item = (Entity, UnixMillis)>,
    holds: impl IntoIterator<Item = (DriverId, UnixMillis)>,
) -> BTreeMap<Entity, UnixMillis> {
    let mut due: BTreeMap<_, _> = timers.into_iter().collect();
    for (driver, ends) in holds.into_iter().filter(|_| !is(Mutant::HoldNotWoken)) {
        let known = due.entry(Entity::Wallet(driver)).or_insert(ends);
        *known = ends.min(*known);
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ride::sample;

    #[test]
    fn a_hold_rings_whether_or_not_a_deadline_is_left_for_it() {
        let [one, other] = [sample::driver(1), sample::driver(2)];
        let (early, late) = (UnixMillis(10), UnixMillis(20));
        let timers = [(Entity::Wallet(one), late), (Entity::Driver(one), late)];
        let due = due_at_start(timers, [(one, early), (other, late), (other, early)]);
        let rings = |entity| due.get(&entity).copied();
        assert_eq!(rings(Entity::Wallet(one)), Some(early));
        assert_eq!(rings(Entity::Wallet(other)), Some(early));
        assert_eq!(rings(Entity::Driver(one)), Some(late));
        let due = due_at_start([(Entity::Wallet(one), early)], [(one, late)]);
        assert_eq!(due.get(&Entity::Wallet(one)), Some(&early), "a payout under way");
    }
}
