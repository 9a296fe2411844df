//! The numbers by which rides are decided. All come from configuration; see `config/default.toml`.

use std::sync::Arc;

use crate::dispatch::{Policy, Rules};
use crate::facts::Zone;
use crate::ledger::{Rate, Terms};
use crate::money::Centavos;
use crate::payment::PaymentPolicy;
use crate::units::{Metres, Millis, UnixMillis};
use crate::zones::Zones;

/// After this wave no driver is asked twice in one search: only those newly eligible are.
const LAST_WAVE_TO_ASK_AGAIN: u16 = 6;

/// Timers, limits and fees of a ride. Times are domain time.
#[derive(Debug, Clone, PartialEq)]
pub struct RidePolicy {
    /// Drivers offered per wave; the last figure holds for all later waves.
    pub wave_sizes: Vec<u16>,
    /// Search radius per wave; the last figure holds for all later waves.
    pub wave_radii: Vec<Metres>,
    /// From the first wave to the second.
    pub head_start: Millis,
    /// From each later wave to the next.
    pub wave_every: Millis,
    /// How long an offer is open, as the driver is told.
    pub offer_ttl: Millis,
    /// How long past its end an accept still counts, for the way to the server.
    pub accept_grace: Millis,
    /// From the request, or a release, until the search is given up.
    pub search: Millis,
    /// Where which dispatch policy holds.
    pub zones: Zones,
    /// No driver is asked who would take longer to the pickup.
    pub pickup_max: Millis,
    /// A driver who ends his ride within this time may be offered the next one.
    pub soon_within: Millis,
    /// A chained ride looks for another driver when its own ends his ride so much too late.
    pub chain_late: Millis,
    pub reassignments_max: u8,
    pub pin_tries_max: u8,
    pub pin_lock: Millis,
    /// Wait at the pickup after which a driver may cancel as no-show.
    pub no_show_after: Millis,
    pub no_show_fee: Centavos,
    pub cancel_fee: Centavos,
    /// After the assignment, a passenger's cancellation is free for this long.
    pub cancel_grace: Millis,
    pub terms: Terms,
    pub payments: PaymentPolicy,
    /// A driver within this distance of the pickup is arriving.
    pub arriving_within: Metres,
    /// A driver in this distance of the pickup, twice in a row, has arrived.
    pub arrived_within: Metres,
    /// Positions less accurate than this do not count for an arrival.
    pub arrived_accuracy: Metres,
    /// A driver may say "arrived" within this distance of the pickup.
    pub arrive_said_within: Metres,
    /// After its end, the people of a ride may rate each other for this long.
    pub rating_within: Millis,
    /// A passenger is told at most this often when his driver will be there.
    pub eta_every: Millis,
}

impl RidePolicy {
    /// The policy by which the dispatcher of `zone` asks drivers.
    #[must_use]
    pub fn dispatch_policy(&self, zone: Zone) -> Arc<dyn Policy + Send + Sync> {
        let rules = self.zones.rules(zone);
        rules.policy.build(Rules {
            pickup_max: self.pickup_max,
            race: rules.race_size,
            window: rules.batch_window,
            patience: self.search,
        })
    }

    /// How many drivers wave `wave` (from 1) is offered to.
    #[must_use]
    pub fn wave_size(&self, wave: u16) -> u16 {
        pick(&self.wave_sizes, wave).unwrap_or(1)
    }

    /// How far wave `wave` (from 1) looks.
    #[must_use]
    pub fn wave_radius(&self, wave: u16) -> Metres {
        pick(&self.wave_radii, wave).unwrap_or(Metres(1500))
    }

    /// How long after wave `wave` the next one starts.
    #[must_use]
    pub fn next_wave_after(&self, wave: u16) -> Millis {
        if wave <= 1 { self.head_start } else { self.wave_every }
    }

    /// The last moment at which an accept of an offer that ends at `expires_at` counts.
    #[must_use]
    pub fn accepts_until(&self, expires_at: UnixMillis) -> UnixMillis {
        expires_at + self.accept_grace
    }

    /// Whether wave `wave` looks farther than the one before it.
    #[must_use]
    pub fn grows_after(&self, wave: u16) -> bool {
        usize::from(wave) < self.wave_radii.len()
    }

    /// Whether wave `wave` leaves out everyone whom its search has asked before.
    #[must_use]
    pub fn asks_only_new(&self, wave: u16) -> bool {
        wave > LAST_WAVE_TO_ASK_AGAIN
    }
}

fn pick<T: Copy>(list: &[T], wave: u16) -> Option<T> {
    list.get(usize::from(wave).saturating_sub(1)).or_else(|| list.last()).copied()
}

impl Default for RidePolicy {
    /// The defaults of the design, for tests; a running engine reads its configuration.
    fn default() -> Self {
        Self {
            wave_sizes: vec![1, 3, 8, 12],
            wave_radii: [1500, 3000, 5000, 7000].map(Metres).to_vec(),
            head_start: Millis::from_secs(4),
            wave_every: Millis::from_secs(15),
            offer_ttl: Millis::from_secs(15),
            accept_grace: Millis::from_secs(1),
            search: Millis::from_secs(150),
            zones: Zones::default(),
            pickup_max: Millis::from_secs(1800),
            soon_within: Millis::from_secs(120),
            chain_late: Millis::from_secs(300),
            reassignments_max: 3,
            pin_tries_max: 3,
            pin_lock: Millis::from_secs(600),
            no_show_after: Millis::from_secs(300),
            no_show_fee: Centavos(500),
            cancel_fee: Centavos(500),
            cancel_grace: Millis(0),
            payments: PaymentPolicy::default(),
            terms: Terms { commission: Rate::percent(20), driver_of_fee: Rate::percent(80) },
            arriving_within: Metres(500),
            arrived_within: Metres(40),
            arrived_accuracy: Metres(50),
            arrive_said_within: Metres(150),
            rating_within: Millis::from_secs(7 * 24 * 3600),
            eta_every: Millis::from_secs(5),
        }
    }
}
