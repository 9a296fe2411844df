//! The configuration as the pure core wants it: policies of rides, tariffs of categories.
//!
//! `app` calls this once and hands the values on. No field is left to a default of the core.

use ibora_domain::category::Category;
use ibora_domain::credit::CreditPolicy;
use ibora_domain::dispute::DisputePolicy;
use ibora_domain::fare::Tariff;
use ibora_domain::ledger::{PayoutRules, Terms};
use ibora_domain::machines::{LinePolicy, WalletPolicy};
use ibora_domain::payment::{PaymentPolicy, TipPolicy};
use ibora_domain::policy::RidePolicy;
use ibora_domain::provider::Patience;
use ibora_domain::zones::{Circle, ZoneRules, Zones};

use super::Config;
use super::sections::{Dispatch, FareTable, Fares, Mode, Money, PixSimulator};

impl Config {
    /// The timers, limits and fees by which rides are decided.
    #[must_use]
    pub fn ride_policy(&self) -> RidePolicy {
        let (dispatch, rides) = (&self.dispatch, &self.rides);
        RidePolicy {
            wave_sizes: dispatch.waves.clone(),
            wave_radii: dispatch.radii_m.clone(),
            head_start: dispatch.head_start_ms,
            wave_every: dispatch.wave_ms,
            offer_ttl: dispatch.offer_ttl_ms,
            accept_grace: dispatch.accept_grace_ms,
            search: dispatch.search_ms,
            zones: dispatch.zones(),
            pickup_max: dispatch.pickup_max_ms,
            soon_within: dispatch.soon_within_ms,
            chain_late: dispatch.chain_late_ms,
            reassignments_max: dispatch.reassignments_max,
            pin_tries_max: rides.pin_tries_max,
            pin_lock: rides.pin_lock_ms,
            no_show_after: rides.no_show_after_ms,
            no_show_fee: rides.no_show_fee,
            cancel_fee: rides.cancel_fee,
            cancel_grace: rides.cancel_grace_ms,
            terms: Terms {
                commission: self.money.commission,
                driver_of_fee: self.money.driver_fee_share,
            },
            payments: PaymentPolicy {
                charges: self.charges(),
                expiry: self.money.charge_expiry_ms,
                hold: self.money.hold_ms,
                tips: TipPolicy {
                    min: self.money.tip_min,
                    max: self.money.tip_max,
                    within: self.money.tip_within_ms,
                },
                credit: CreditPolicy {
                    top_up_min: self.money.top_up_min,
                    top_up_max: self.money.top_up_max,
                    max: self.money.credit_max,
                },
                write_off_after: self.money.write_off_after_ms,
                disputes: self.money.disputes(),
            },
            arriving_within: rides.arriving_m,
            arrived_within: rides.arrived_m,
            arrived_accuracy: rides.arrived_accuracy_m,
            arrive_said_within: rides.arrive_said_within_m,
            rating_within: rides.rating_within_ms,
            eta_every: rides.eta_every_ms,
        }
    }
}

impl Dispatch {
    /// Where which policy holds.
    fn zones(&self) -> Zones {
        let elsewhere = ZoneRules {
            policy: self.policy,
            race_size: self.race_size,
            batch_window: self.batch_window_ms,
        };
        let parts = self.zones.iter().map(|zone| {
            let rules = ZoneRules {
                policy: zone.policy,
                race_size: zone.race_size.unwrap_or(elsewhere.race_size),
                batch_window: zone.batch_window_ms.unwrap_or(elsewhere.batch_window),
            };
            (Circle { centre: zone.centre, radius: zone.radius_m }, rules)
        });
        Zones::new(elsewhere, parts.collect())
    }
}

impl Config {
    /// By what drivers are paid.
    #[must_use]
    pub fn payout_options(&self) -> (WalletPolicy, LinePolicy) {
        let money = &self.money;
        let wallets = WalletPolicy {
            payouts: PayoutRules {
                fee: money.payout_fee,
                minimum: money.payout_minimum,
                day_max: money.payout_day_max,
            },
            approved_above: money.payout_approval_above,
            disputes: money.disputes(),
            owner_key: self.pix.owner_key.clone(),
            sweep_keeps: money.sweep_keeps,
            ..WalletPolicy::default()
        };
        let line = LinePolicy {
            held: money.payout_held_ms,
            patience: Patience::send(money.payout_absent_ms),
            looked_every: money.payout_look_ms,
        };
        (wallets, line)
    }

    /// Whether the simulated provider of Pix runs inside the engine.
    #[must_use]
    pub fn simulates_pix(&self) -> bool {
        let wanted = match self.pix.simulator {
            PixSimulator::Auto => self.database.url.is_none() && self.mode != Mode::Production,
            PixSimulator::On => true,
            PixSimulator::Off => false,
        };
        wanted && self.pix.base_url.is_empty()
    }

    /// Whether there is a provider of Pix, real or not.
    fn charges(&self) -> bool {
        !self.pix.base_url.is_empty() || self.simulates_pix()
    }
}

impl Money {
    /// By what rules rides are contested.
    const fn disputes(&self) -> DisputePolicy {
        DisputePolicy {
            open_within: self.dispute_within_ms,
            answer_within: self.dispute_answer_ms,
            ruled_within: self.dispute_ruled_ms,
            unruled: self.dispute_unruled,
        }
    }
}

impl Fares {
    /// What a category costs.
    #[must_use]
    pub fn tariff(&self, category: Category) -> Tariff {
        let FareTable { base, per_km, per_min, minimum } = match category {
            Category::Economy => &self.economy,
            Category::Comfort => &self.comfort,
            Category::Premium => &self.premium,
            Category::Moto => &self.moto,
            Category::Delivery => &self.delivery,
        };
        Tariff {
            base: base.to_reais(),
            per_km: *per_km,
            per_min: *per_min,
            minimum: minimum.to_reais(),
            surge_cap: self.surge_cap,
        }
    }

    /// Each table under the name of its section.
    pub(super) fn tables(&self) -> [(&'static str, &FareTable); 5] {
        [
            ("economy", &self.economy),
            ("comfort", &self.comfort),
            ("premium", &self.premium),
            ("moto", &self.moto),
            ("delivery", &self.delivery),
        ]
    }
}
