//! What a run was like, for passengers and for drivers.
//!
//! Only requests after the warm-up count. What always holds: a passenger who got no car is in
//! `asked` and in nothing else.

use std::collections::BTreeMap;

use ibora_domain::fare::{self, Tariff};
use ibora_domain::units::Seconds;
use rust_decimal::Decimal;

use super::city::{Request, Scene};
use super::fleet::{Drive, Fleet};
use super::stats;

/// Length of a bin of the time series.
pub(super) const BIN_MS: u32 = 300_000;

/// Edge of a cell of the map, in degrees.
pub(super) const CELL_DEGREES: f64 = 0.005;

/// A ride that got a car.
pub(super) struct Ride<'a> {
    pub(super) request: &'a Request,
    pub(super) assigned_ms: u32,
    pub(super) drive: Drive,
}

/// The figures of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Run {
    pub(super) asked: u32,
    pub(super) completed: u32,
    pub(super) chained: u32,
    pub(super) wait_mean_s: f64,
    pub(super) wait_p50_s: f64,
    pub(super) wait_p90_s: f64,
    pub(super) eta_mean_s: f64,
    pub(super) empty_share: f64,
    pub(super) empty_km: f64,
    pub(super) utilisation: f64,
    pub(super) gini: f64,
    pub(super) bins: Vec<Bin>,
    pub(super) cells: BTreeMap<(i32, i32), Cell>,
}

impl Run {
    pub(super) fn completion(&self) -> f64 {
        f64::from(self.completed) / f64::from(self.asked.max(1))
    }
}

/// Five minutes of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Bin {
    /// Passengers without a car and cars without a ride, on average over the bin.
    pub(super) waiting: f64,
    pub(super) free: f64,
    /// Requests of the bin that got a car, and how long they waited in all.
    pub(super) completed: u32,
    pub(super) wait_s: f64,
}

/// Pickups of one cell of the map.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Cell {
    pub(super) asked: u32,
    pub(super) completed: u32,
    pub(super) wait_s: f64,
}

/// Gathers while a run goes on.
pub(super) struct Measure<'a> {
    scene: &'a Scene<'a>,
    tariff: Tariff,
    from_ms: u32,
    until_ms: u32,
    waits_ms: Vec<u32>,
    eta_ms: u64,
    empty_m: u64,
    trip_m: u64,
    carried_ms: u64,
    fares: Vec<(u32, i64)>,
    told_ms: u32,
    run: Run,
}

impl<'a> Measure<'a> {
    pub(super) fn new(scene: &'a Scene<'a>) -> Self {
        let from_ms = u32::try_from(scene.rules.warm_up.0).unwrap_or(u32::MAX);
        let until_ms = scene.requests.last().map_or(0, |request| request.at_ms);
        let mut run = Run::default();
        // Whole bins only: a last piece would look like a collapse.
        run.bins.resize((until_ms / BIN_MS).max(1) as usize, Bin::default());
        for request in scene.requests.iter().filter(|request| request.at_ms >= from_ms) {
            run.asked += 1;
            run.cells.entry(cell(request)).or_default().asked += 1;
        }
        Self {
            scene,
            tariff: economy(),
            from_ms,
            until_ms,
            waits_ms: Vec::new(),
            eta_ms: 0,
            empty_m: 0,
            trip_m: 0,
            carried_ms: 0,
            fares: Vec::new(),
            told_ms: 0,
            run,
        }
    }

    /// So many waited and were free since the last call.
    pub(super) fn tick(&mut self, now: i64, waiting: usize, free: usize) {
        let now = u32::try_from(now).unwrap_or(u32::MAX);
        let share = f64::from(now.saturating_sub(self.told_ms)) / f64::from(BIN_MS);
        if let Some(bin) = self.run.bins.get_mut((self.told_ms / BIN_MS) as usize) {
            bin.waiting += count(waiting) * share;
            bin.free += count(free) * share;
        }
        self.told_ms = now;
    }

    pub(super) fn ride(&mut self, ride: &Ride<'_>) {
        let Ride { request, assigned_ms, drive } = ride;
        let picked_up = assigned_ms.saturating_add(drive.pickup_ms);
        let dropped_off = picked_up.saturating_add(drive.trip_ms);
        let inside = |at: u32| at.clamp(self.from_ms, self.until_ms.max(self.from_ms));
        self.carried_ms += u64::from(inside(dropped_off) - inside(picked_up));
        let took = Seconds((drive.trip_ms + 500) / 1000);
        if let Ok(fare) = fare::price(&self.tariff, drive.trip, took, Decimal::ONE) {
            self.fares.push((drive.car, fare.estimated.0));
        }
        if request.at_ms < self.from_ms {
            return;
        }
        let wait_ms = picked_up - request.at_ms;
        self.waits_ms.push(wait_ms);
        self.eta_ms += u64::from(drive.pickup_ms);
        self.empty_m += u64::from(drive.empty.0);
        self.trip_m += u64::from(drive.trip.0);
        let wait_s = f64::from(wait_ms) / 1000.0;
        let run = &mut self.run;
        run.completed += 1;
        run.chained += u32::from(drive.chained);
        let cell = run.cells.entry(cell(request)).or_default();
        cell.completed += 1;
        cell.wait_s += wait_s;
        if let Some(bin) = run.bins.get_mut((request.at_ms / BIN_MS) as usize) {
            bin.completed += 1;
            bin.wait_s += wait_s;
        }
    }

    pub(super) fn finish(mut self, fleet: &mut Fleet<'_>) -> Run {
        for (car, centavos) in &self.fares {
            fleet.earn(*car, *centavos);
        }
        let mut run = self.run;
        let completed = f64::from(run.completed.max(1));
        let sum: u64 = self.waits_ms.iter().map(|wait| u64::from(*wait)).sum();
        self.waits_ms.sort_unstable();
        let seconds = |part: f64| f64::from(stats::percentile(&self.waits_ms, part)) / 1000.0;
        run.wait_mean_s = wide(sum) / 1000.0 / completed;
        (run.wait_p50_s, run.wait_p90_s) = (seconds(0.5), seconds(0.9));
        run.eta_mean_s = wide(self.eta_ms) / 1000.0 / completed;
        run.empty_km = wide(self.empty_m) / 1000.0;
        run.empty_share = wide(self.empty_m) / wide((self.empty_m + self.trip_m).max(1));
        let window = f64::from(self.until_ms.saturating_sub(self.from_ms).max(1));
        run.utilisation = wide(self.carried_ms) / (window * count(self.scene.cars.len().max(1)));
        run.gini = stats::gini(fleet.cars().iter().map(|car| car.fares).collect());
        run
    }
}

fn cell(request: &Request) -> (i32, i32) {
    let at = request.pickup.at;
    #[expect(clippy::cast_possible_truncation, reason = "degrees over a cell fit")]
    let number = |degrees: f64| (degrees / CELL_DEGREES).floor() as i32;
    (number(at.lat()), number(at.lng()))
}

/// The standard tariff: what it is does not matter much, that drivers live from it does.
fn economy() -> Tariff {
    Tariff {
        base: Decimal::new(400, 2),
        per_km: Decimal::new(160, 2),
        per_min: Decimal::new(25, 2),
        minimum: Decimal::new(700, 2),
        surge_cap: Decimal::TWO,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of cars and people")]
pub(super) fn count(number: usize) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "sums of milliseconds and metres stay exact")]
fn wide(number: u64) -> f64 {
    number as f64
}
