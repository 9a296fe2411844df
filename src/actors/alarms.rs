//! Deadlines of all actors: one ordered set and one task, instead of a timer an actor.
//!
//! An alarm of an actor that was dropped still rings, and rebuilds it. Durable deadlines are put
//! here again at every start.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ibora_domain::facts::Entity;
use ibora_domain::units::UnixMillis;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::clock::Clock;

/// Alarms handed out at once before others get their turn.
const AT_ONCE: usize = 256;

/// The next deadline of each entity that has one.
#[derive(Default)]
pub(super) struct Alarms {
    state: Mutex<State>,
    sooner: Notify,
}

#[derive(Default)]
struct State {
    known: HashMap<Entity, Alarm>,
    /// One place for each known entity, at or before its alarm.
    order: BTreeSet<(UnixMillis, Entity)>,
}

/// Most alarms are put off or taken back before they ring. So a place in the order stays where it
/// is when its alarm is put off, and is looked at again when its time has come.
#[derive(Clone, Copy)]
struct Alarm {
    place: UnixMillis,
    rings: Option<UnixMillis>,
}

impl Alarms {
    /// Sets the one alarm of `entity`, instead of any before; `None` takes it back.
    pub(super) fn set(&self, entity: Entity, at: Option<UnixMillis>) {
        let mut state = self.state.lock();
        let State { known, order } = &mut *state;
        match (known.get_mut(&entity), at) {
            (None, None) => return,
            (Some(alarm), at) if at.is_none_or(|at| at >= alarm.place) => {
                alarm.rings = at;
                return;
            }
            (Some(alarm), _) => drop(order.remove(&(alarm.place, entity))),
            (None, Some(_)) => {}
        }
        let Some(place) = at else { return };
        known.insert(entity, Alarm { place, rings: at });
        order.insert((place, entity));
        if order.first() == Some(&(place, entity)) {
            self.sooner.notify_one();
        }
    }

    /// Sets the alarm of `entity`, unless it has one that rings by then.
    pub(super) fn remind(&self, entity: Entity, at: UnixMillis) {
        let rings = self.state.lock().known.get(&entity).and_then(|alarm| alarm.rings);
        if rings.is_none_or(|rings| rings > at) {
            self.set(entity, Some(at));
        }
    }

    /// Rings alarms as they fall due, for ever.
    pub(super) async fn run(self: Arc<Self>, clock: Clock, ring: impl Fn(Entity)) {
        loop {
            let next = {
                let state = self.state.lock();
                state.order.first().map(|(at, _)| *at)
            };
            match next {
                Some(at) if at <= clock.now() => {
                    for entity in self.take_due(clock.now()) {
                        ring(entity);
                    }
                    tokio::task::yield_now().await;
                }
                Some(at) => {
                    tokio::select! {
                        () = tokio::time::sleep(clock.until(at)) => {}
                        () = self.sooner.notified() => {}
                    }
                }
                None => self.sooner.notified().await,
            }
        }
    }

    fn take_due(&self, now: UnixMillis) -> Vec<Entity> {
        let mut state = self.state.lock();
        let State { known, order } = &mut *state;
        let mut due = Vec::new();
        for _ in 0..AT_ONCE {
            let Some((place, entity)) = order.first().copied().filter(|(at, _)| *at <= now) else {
                break;
            };
            order.remove(&(place, entity));
            match known.get(&entity).and_then(|alarm| alarm.rings) {
                Some(later) if later > now => {
                    order.insert((later, entity));
                    known.insert(entity, Alarm { place: later, rings: Some(later) });
                }
                rings => {
                    known.remove(&entity);
                    due.extend(rings.map(|_| entity));
                }
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use ibora_domain::facts::Zone;

    use super::*;

    #[test]
    fn an_entity_has_one_alarm_and_rings_when_due() {
        let alarms = Alarms::default();
        let (a, b) = (Entity::Dispatcher(Zone(1)), Entity::Dispatcher(Zone(2)));
        alarms.set(a, Some(UnixMillis(10)));
        alarms.set(b, Some(UnixMillis(5)));
        alarms.set(a, Some(UnixMillis(20)));
        assert_eq!(alarms.take_due(UnixMillis(10)), [b]);
        assert_eq!(alarms.take_due(UnixMillis(19)), [], "put off");
        alarms.set(b, Some(UnixMillis(30)));
        alarms.set(b, Some(UnixMillis(20)));
        assert_eq!(alarms.take_due(UnixMillis(20)), [a, b], "the sooner one counts");
        alarms.set(a, Some(UnixMillis(50)));
        alarms.set(a, None);
        assert_eq!(alarms.take_due(UnixMillis(99)), [], "taken back");
    }

    #[test]
    fn a_reminder_rings_unless_something_rings_before_it() {
        let alarms = Alarms::default();
        let entity = Entity::Dispatcher(Zone(1));
        alarms.remind(entity, UnixMillis(10));
        alarms.remind(entity, UnixMillis(20));
        assert_eq!(alarms.take_due(UnixMillis(10)), [entity]);
        alarms.set(entity, Some(UnixMillis(30)));
        alarms.remind(entity, UnixMillis(20));
        assert_eq!(alarms.take_due(UnixMillis(20)), [entity]);
        alarms.remind(entity, UnixMillis(30));
        alarms.set(entity, Some(UnixMillis(40)));
        assert_eq!(alarms.take_due(UnixMillis(30)), [], "the entity itself knows better");
    }
}
