//! Seeing the engine: logs with redaction, metrics (all names in one place), `check_invariant!`,
//! `failpoint!`.
//!
//! Any room but `domain` may use this one; it uses `domain` alone. Nothing here ever fails a
//! caller: a log line or a sample that cannot be written is lost, the work goes on.

#[cfg(feature = "failpoints")]
pub mod failpoints;
mod fields;
mod invariants;
mod logs;
mod metrics;
mod redact;
mod vital;

#[cfg(feature = "failpoints")]
pub(crate) use failpoints::failpoint;
pub use invariants::{set_global, violated};
pub(crate) use logs::level_filter;
pub use logs::{LogError, LogFormat, LogOptions, LogOutput, init};
pub use metrics::{Described, Kind, Metrics, timed};
pub(crate) use vital::vital;

/// Without the feature `failpoints` a kill point is nothing.
#[cfg(not(feature = "failpoints"))]
macro_rules! failpoint {
    ($($point:tt)*) => {{}};
}
#[cfg(not(feature = "failpoints"))]
pub(crate) use failpoint;
