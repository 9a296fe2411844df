//! What a city is like: drawn for each seed, so that no two are tried in the same way.
//!
//! A bug that needs a slow disk and quick thumbs is not met by cities that are all middling. The
//! calm profile has no temper but the usual one.

use crate::chance::Chance;
use crate::faults::Profile;
use crate::purse::Purse;
use crate::queue::{MS, Micros, SECOND};
use crate::town::Town;

/// Of hundred chances, how many are taken; and how long a commit takes at most.
#[derive(Debug, Clone, Copy)]
pub struct Temper {
    pub drivers: u64,
    pub passengers: u64,
    /// A batch is on disk after at most this long.
    pub commit: Micros,
    /// A step within a process takes long, and how long at most.
    pub stalls: u64,
    pub stall: Micros,
    /// A driver looks at an offer within this long, mostly.
    pub looks: Micros,
    /// A person has two phones.
    pub two_phones: u64,
    /// A driver who accepts taps twice.
    pub taps_twice: u64,
    /// A passenger thinks better of it, soon.
    pub wavers: u64,
    /// A driver gives a ride back, at each step of it.
    pub gives_back: u64,
    /// An app asks under an id that it has used before.
    pub reuses_ids: u64,
    pub town: Town,
    pub purse: Purse,
}

impl Temper {
    /// The usual one of a profile.
    #[must_use]
    pub const fn usual(profile: &Profile) -> Self {
        Self {
            drivers: profile.drivers,
            passengers: profile.passengers,
            commit: 8 * MS,
            stalls: 1,
            stall: 20 * MS,
            looks: 6 * SECOND,
            two_phones: profile.two_phones,
            taps_twice: 15,
            wavers: 20,
            gives_back: 5,
            reuses_ids: 0,
            town: Town::PLAIN,
            purse: Purse::PLAIN,
        }
    }

    /// The one of a seed.
    #[must_use]
    pub fn drawn(seed: u64, profile: &Profile) -> Self {
        if !profile.moody {
            return Self::usual(profile);
        }
        let mut chance = Chance::new(seed, 3);
        let town = Town::drawn(&mut chance);
        let purse = Purse::drawn(&mut chance);
        let mut one_of = |of: &[u64]| of[chance.index(of.len())];
        let reuses_ids = one_of(&[0, 0, 10, 40]);
        // An id that is used again matters most while what it was used for is still on its way.
        let commits =
            if reuses_ids > 10 { [SECOND; 4] } else { [8 * MS, 8 * MS, 100 * MS, SECOND] };
        Self {
            drivers: one_of(&[2, 4, profile.drivers, profile.drivers, 12]),
            passengers: one_of(&[4, profile.passengers, profile.passengers, 12]),
            commit: one_of(&commits),
            stalls: one_of(&[1, 1, 10, 30]),
            stall: one_of(&[20 * MS, 300 * MS]),
            looks: one_of(&[6 * SECOND, 6 * SECOND, 800 * MS]),
            two_phones: one_of(&[profile.two_phones, profile.two_phones, 80]),
            taps_twice: one_of(&[0, 15, 50]),
            wavers: one_of(&[5, 20, 60]),
            gives_back: one_of(&[1, 5, 20]),
            reuses_ids,
            town,
            purse,
        }
    }
}
