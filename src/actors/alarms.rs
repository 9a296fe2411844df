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
    due: HashMap<Entity, UnixMillis>,
    order: BTreeSet<(UnixMillis, Entity)>,
}

impl Alarms {
    /// Sets the one alarm of `entity`, instead of any before; `None` takes it back.
    pub(super) fn set(&self, entity: Entity, at: Option<UnixMillis>) {
        let mut state = self.state.lock();
        let earliest = state.order.first().map(|(at, _)| *at);
        let before = match at {
            Some(at) => state.due.insert(entity, at),
            None => state.due.remove(&entity),
        };
        if before == at {
            return;
        }
        if let Some(before) = before {
            state.order.remove(&(before, entity));
        }
        if let Some(at) = at {
            state.order.insert((at, entity));
            if earliest.is_none_or(|earliest| at < earliest) {
                self.sooner.notify_one();
            }
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
        let mut due = Vec::new();
        while due.len() < AT_ONCE {
            let Some((at, entity)) = state.order.first().copied().filter(|(at, _)| *at <= now)
            else {
                break;
            };
            state.order.remove(&(at, entity));
            state.due.remove(&entity);
            due.push(entity);
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
        assert_eq!(alarms.take_due(UnixMillis(10)), []);
        alarms.set(a, None);
        assert_eq!(alarms.take_due(UnixMillis(99)), []);
    }
}
