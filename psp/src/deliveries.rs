//! Callbacks on their way: tried at once, then again on the provider's schedule.

use std::collections::BTreeMap;

use ibora_domain::units::{Millis, UnixMillis};
use serde::Serialize;

/// Minutes between a try that failed and the next. After the last, the provider gives up.
///
/// Source: the provider's published documentation of callbacks.
pub const RETRY_MINUTES: [u64; 10] = [5, 10, 20, 40, 80, 160, 320, 640, 1280, 52_560];

/// One callback: what it tells, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delivery<T> {
    pub id: u64,
    pub what: T,
    /// Tries that failed.
    pub failures: usize,
    /// When it is tried next.
    pub next: UnixMillis,
    /// A try is under way.
    pub in_flight: bool,
}

/// Callbacks that have not been taken yet. Its owner sends; this only says when.
#[derive(Debug, Clone)]
pub struct Deliveries<T> {
    waiting: BTreeMap<u64, Delivery<T>>,
    count: u64,
    delivered: u64,
    given_up: u64,
}

impl<T> Default for Deliveries<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), count: 0, delivered: 0, given_up: 0 }
    }
}

impl<T: Clone> Deliveries<T> {
    /// A callback that is to be sent from `at` on.
    pub fn add(&mut self, what: T, at: UnixMillis) -> u64 {
        self.count += 1;
        let id = self.count;
        self.waiting.insert(id, Delivery { id, what, failures: 0, next: at, in_flight: false });
        id
    }

    /// Those that are due, in the order in which they were added; they are under way from now on.
    pub fn take_due(&mut self, now: UnixMillis) -> Vec<Delivery<T>> {
        let waiting = self.waiting.values_mut();
        let due = waiting.filter(|delivery| !delivery.in_flight && delivery.next <= now);
        due.map(|delivery| {
            delivery.in_flight = true;
            delivery.clone()
        })
        .collect()
    }

    /// How a try went: any 2xx is a success, everything else is tried again.
    pub fn settle(&mut self, id: u64, taken: bool, now: UnixMillis) {
        let Some(delivery) = self.waiting.get_mut(&id) else {
            return;
        };
        delivery.in_flight = false;
        let wait = RETRY_MINUTES.get(delivery.failures).filter(|_| !taken);
        delivery.failures += usize::from(!taken);
        match wait {
            Some(minutes) => delivery.next = now + Millis::from_secs(minutes * 60),
            None => {
                self.waiting.remove(&id);
                self.delivered += u64::from(taken);
                self.given_up += u64::from(!taken);
            }
        }
    }

    /// When one is due next.
    #[must_use]
    pub fn next_due(&self) -> Option<UnixMillis> {
        let idle = self.waiting.values().filter(|delivery| !delivery.in_flight);
        idle.map(|delivery| delivery.next).min()
    }

    /// Those that have not been taken yet.
    pub fn waiting(&self) -> impl Iterator<Item = &Delivery<T>> {
        self.waiting.values()
    }

    #[must_use]
    pub const fn delivered(&self) -> u64 {
        self.delivered
    }

    /// Those that nobody took, not even at the last try.
    #[must_use]
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }
}
