//! Visitors: whoever opens the page rides along as a passenger of their own.
//!
//! Only the page asks. A visitor gets the access token of a simulated passenger whom no bot plays;
//! all that they do with it goes over the public contract. What they say aloud in the street, a
//! PIN, reaches the bot that drives them here. There are so many visitors and no more: past the
//! last one the first is handed out again, whose page is most likely closed by then.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::bots::Pins;
use crate::seed::Seeded;

/// How many are made.
pub(super) const VISITORS: usize = 300;
/// PINs that are remembered; the rides of older ones are over.
const PINS_MAX: usize = 300;

/// The passengers that visitors are.
pub(super) struct Visitors {
    passengers: Vec<Seeded>,
    handed_out: AtomicUsize,
    /// Rides whose PIN was told, the oldest first.
    told: Mutex<VecDeque<Uuid>>,
}

impl Visitors {
    pub(super) fn new(passengers: Vec<Seeded>) -> Self {
        Self { passengers, handed_out: AtomicUsize::new(0), told: Mutex::default() }
    }

    /// The access token of the next one.
    pub(super) fn next(&self) -> Option<&str> {
        let number = self.handed_out.fetch_add(1, Ordering::Relaxed);
        let at = number % self.passengers.len().max(1);
        self.passengers.get(at).map(|passenger| passenger.token.as_str())
    }

    /// A visitor tells the driver the PIN. A wrong one is for the engine to refuse.
    pub(super) fn tell(&self, pins: &Pins, ride: Uuid, pin: &str) {
        let mut told = self.told.lock();
        // A ride with a PIN that this did not hear is a bot's, who tells their own.
        if !told.contains(&ride) {
            if pins.ask(ride).is_some() {
                return;
            }
            told.push_back(ride);
        }
        pins.tell(ride, pin);
        while told.len() > PINS_MAX {
            if let Some(oldest) = told.pop_front() {
                pins.forget(oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ibora_domain::ids::UserId;
    use ibora_domain::person::Role;

    use super::*;

    fn visitors(count: u128) -> Visitors {
        let passenger = |number| Seeded {
            user: UserId(Uuid::from_u128(number)),
            role: Role::Passenger,
            token: format!("token {number}"),
        };
        Visitors::new((0..count).map(passenger).collect())
    }

    #[test]
    fn after_the_last_visitor_comes_the_first() {
        let two = visitors(2);
        let tokens: Vec<_> = (0..3).filter_map(|_| two.next()).collect();
        assert_eq!(tokens, ["token 0", "token 1", "token 0"]);
        assert_eq!(visitors(0).next(), None);
    }

    #[test]
    fn pins_are_told_and_told_again_but_never_those_of_bots_nor_without_a_bound() {
        let (visitors, pins) = (visitors(1), Pins::default());
        let ride = Uuid::from_u128;
        pins.tell(ride(0), "0042");
        visitors.tell(&pins, ride(0), "1111");
        assert_eq!(pins.ask(ride(0)).as_deref(), Some("0042"));
        visitors.tell(&pins, ride(1), "1111");
        visitors.tell(&pins, ride(1), "2222");
        assert_eq!(pins.ask(ride(1)).as_deref(), Some("2222"));
        for number in 2..=PINS_MAX as u128 + 1 {
            visitors.tell(&pins, ride(number), "3333");
        }
        assert_eq!((pins.ask(ride(1)), pins.ask(ride(0)).as_deref()), (None, Some("0042")));
    }
}
