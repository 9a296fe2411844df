//! From the faults of a failing run to the few that it takes.

use crate::faults::{Fault, Profile};
use crate::run::{Outcome, run};
use crate::world::Trace;

/// Runs that shortening a list may take.
const RUNS_MAX: u32 = 200;

/// The shortest list found that still breaks a promise, and what came of it. Whole parts are left
/// out first, then one by one.
#[must_use]
pub fn shrink(seed: u64, profile: Profile, faults: &[Fault]) -> (Vec<Fault>, Outcome) {
    let mut best = faults.to_vec();
    let mut outcome = run(seed, profile, &best, Trace::default());
    let mut part = best.len().div_ceil(2);
    let mut runs = 0;
    while part > 0 && !best.is_empty() {
        let mut at = 0;
        while at < best.len() && runs < RUNS_MAX {
            let mut fewer = best.clone();
            fewer.drain(at..(at + part).min(best.len()));
            let tried = run(seed, profile, &fewer, Trace::default());
            runs += 1;
            if tried.violation.is_some() {
                (best, outcome) = (fewer, tried);
            } else {
                at += part;
            }
        }
        part /= 2;
    }
    (best, outcome)
}
