//! `check_invariant!`: a promise evaluated where it could break.
//!
//! Any room but `domain` may use it. A broken promise panics in tests and debug builds, and is
//! counted and logged in release: a driver at the roadside is served better by a wrong counter
//! than by a dead process. The promises stand in `ibora_domain::invariants`.

use std::sync::{Arc, OnceLock};

use ibora_domain::invariants::Invariant;

use super::metrics::Metrics;

/// The metrics of checks that are given none. Set once, by the composition root.
static GLOBAL: OnceLock<Arc<Metrics>> = OnceLock::new();

/// Names the metrics that `check_invariant!(ID, ..)` without metrics counts in.
///
/// The first call of a process wins; later engines of one test process pass theirs to the macro.
pub fn set_global(metrics: Arc<Metrics>) {
    GLOBAL.set(metrics).ok();
}

/// What `check_invariant!` does with a broken promise. Callers use the macro.
///
/// # Panics
/// In tests and debug builds, by design.
#[track_caller]
pub fn violated(metrics: Option<&Metrics>, invariant: Invariant, predicate: &'static str) {
    record(metrics.or_else(|| GLOBAL.get().map(Arc::as_ref)), invariant, predicate);
    if cfg!(any(test, debug_assertions)) {
        panic!("{invariant} broken: {} (not so: {predicate})", invariant.sentence());
    }
}

fn record(metrics: Option<&Metrics>, invariant: Invariant, predicate: &'static str) {
    if let Some(metrics) = metrics {
        metrics.invariant_violations.with_label_values(&[invariant.id()]).inc();
    }
    tracing::error!(
        invariant = invariant.id(),
        promise = invariant.sentence(),
        predicate,
        "invariant broken"
    );
}

/// Evaluates a promise: `check_invariant!(metrics, RIDE_1, predicate)`, or without metrics to
/// count in the engine's global ones. The predicate is true when the promise holds.
#[macro_export]
macro_rules! check_invariant {
    ($id:ident, $holds:expr $(,)?) => {
        if !$holds {
            $crate::obs::violated(
                ::core::option::Option::None,
                ::ibora_domain::invariants::$id,
                ::core::stringify!($holds),
            );
        }
    };
    ($metrics:expr, $id:ident, $holds:expr $(,)?) => {
        if !$holds {
            $crate::obs::violated(
                ::core::option::Option::Some(&$metrics),
                ::ibora_domain::invariants::$id,
                ::core::stringify!($holds),
            );
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(metrics: &Metrics, invariant: Invariant) -> u64 {
        metrics.invariant_violations.with_label_values(&[invariant.id()]).get()
    }

    #[test]
    fn a_kept_promise_costs_nothing() {
        let metrics = Metrics::new();
        let (version, events) = (3, 3);
        check_invariant!(RIDE_4, version == events);
        check_invariant!(metrics, RIDE_4, version == events);
        assert_eq!(count(&metrics, Invariant::Ride4), 0);
    }

    #[test]
    fn a_broken_promise_panics_in_tests_and_names_itself() {
        let metrics = Metrics::new();
        let drivers = 2;
        let broken = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check_invariant!(metrics, RIDE_1, drivers <= 1);
        }));
        let panic = broken.expect_err("it must panic");
        let text = panic.downcast_ref::<String>().expect("a formatted message");
        assert!(text.starts_with("RIDE_1 broken: A ride has at most one driver"), "{text}");
        assert!(text.ends_with("(not so: drivers <= 1)"), "{text}");
        assert_eq!(count(&metrics, Invariant::Ride1), 1, "it is counted first");
    }

    #[test]
    fn without_metrics_of_its_own_a_check_counts_in_the_global_ones() {
        set_global(Metrics::new()); // Or another test was first: the count may only grow.
        let global = GLOBAL.get().expect("set above");
        let before = count(global, Invariant::Fence1);
        let broken = std::panic::catch_unwind(|| check_invariant!(FENCE_1, 4 >= 5));
        assert!(broken.is_err());
        assert!(count(global, Invariant::Fence1) > before);
    }
}
