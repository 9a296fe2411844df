//! A policy at a number of cars, over all seeds.

use ibora_domain::dispatch::PolicyKind;

use super::super::Column;
use super::super::measure::Run;
use super::super::stats::Mean;

/// Means over seeds, and the comparison with `nearest` on the same seeds.
pub(crate) struct Summary {
    pub(super) policy: PolicyKind,
    pub(super) cars: u32,
    pub(super) completion: Mean,
    pub(super) wait_mean_s: Mean,
    pub(super) wait_p50_s: Mean,
    pub(super) wait_p90_s: Mean,
    pub(super) eta_mean_s: Mean,
    pub(super) empty_km: Mean,
    pub(super) empty_share: Mean,
    pub(super) utilisation: Mean,
    pub(super) gini: Mean,
    pub(super) chained_share: Mean,
    /// Mean wait as a multiple of that under `nearest`, seed by seed; none where nobody waited
    /// under `nearest`, or without it.
    pub(super) wait_ratio: Option<Mean>,
    /// Points of completion above `nearest`, seed by seed.
    pub(super) completion_gain: Option<Mean>,
}

impl Summary {
    pub(super) fn of(column: &Column, all: &[Column]) -> Self {
        let mean = |figure: &dyn Fn(&Run) -> f64| {
            Mean::of(&column.runs.iter().map(figure).collect::<Vec<_>>())
        };
        let nearest = all.iter().find(|c| c.policy == PolicyKind::Nearest && c.cars == column.cars);
        let against = |figure: &dyn Fn(&Run, &Run) -> f64| {
            let pairs = column.runs.iter().zip(&nearest?.runs);
            Some(Mean::of(&pairs.map(|(own, theirs)| figure(own, theirs)).collect::<Vec<_>>()))
        };
        Self {
            policy: column.policy,
            cars: column.cars,
            completion: mean(&Run::completion),
            wait_mean_s: mean(&|run| run.wait_mean_s),
            wait_p50_s: mean(&|run| run.wait_p50_s),
            wait_p90_s: mean(&|run| run.wait_p90_s),
            eta_mean_s: mean(&|run| run.eta_mean_s),
            empty_km: mean(&|run| run.empty_km),
            empty_share: mean(&|run| run.empty_share),
            utilisation: mean(&|run| run.utilisation),
            gini: mean(&|run| run.gini),
            chained_share: mean(&|run| f64::from(run.chained) / f64::from(run.completed.max(1))),
            wait_ratio: wait_ratio(&column.runs, nearest),
            completion_gain: against(&|own, theirs| own.completion() - theirs.completion()),
        }
    }
}

fn wait_ratio(own: &[Run], nearest: Option<&Column>) -> Option<Mean> {
    let pairs = own.iter().zip(&nearest?.runs).filter(|(_, theirs)| theirs.wait_mean_s > 0.0);
    let ratios: Vec<_> = pairs.map(|(own, theirs)| own.wait_mean_s / theirs.wait_mean_s).collect();
    (!ratios.is_empty()).then(|| Mean::of(&ratios))
}
