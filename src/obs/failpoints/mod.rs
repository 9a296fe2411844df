//! Kill points: named places at which the process ends at once, as by `kill -9`, when told to.
//!
//! Only in builds with the feature `failpoints`; in others `failpoint!` is nothing. A test starts
//! an engine with `IBORA_ABORT_AT=<point>` or `<point>:<nth>`, brings it there, starts another, and
//! asks whether all that was told still holds. Any room but `domain` may have points. What must
//! hold: the name of a point is its place in [`TABLE`] and nowhere else, and a test reaches it.

mod points;
mod steps;

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use thiserror::Error;

pub use points::{Failpoint, TABLE};
pub(crate) use steps::{decided, effect, event, message, recorded};

/// The variable that arms a point.
pub const VARIABLE: &str = "IBORA_ABORT_AT";

/// Why no point is armed.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum FailpointError {
    #[error("{VARIABLE}: there is no point `{0}`; `ibora failpoints` lists them")]
    Unknown(String),
    #[error("{VARIABLE}: `{0}` is no count of passes: a whole number from 1")]
    Nth(String),
    #[error("{VARIABLE} is not UTF-8")]
    NotUnicode,
}

/// The point at which this process ends, and at which pass.
struct Armed {
    point: Failpoint,
    nth: u64,
    passed: AtomicU64,
}

static ARMED: OnceLock<Armed> = OnceLock::new();

/// Arms the point that the environment names, if it names one. The first call of a process counts.
///
/// # Errors
/// [`FailpointError`]
pub fn arm() -> Result<(), FailpointError> {
    let Some(text) = std::env::var_os(VARIABLE) else { return Ok(()) };
    let (point, nth) = parse(text.to_str().ok_or(FailpointError::NotUnicode)?)?;
    ARMED.set(Armed { point, nth, passed: AtomicU64::new(0) }).ok();
    Ok(())
}

fn parse(text: &str) -> Result<(Failpoint, u64), FailpointError> {
    let (name, nth) = text.split_once(':').unwrap_or((text, "1"));
    let point = TABLE.iter().find(|(_, known, _)| *known == name).map(|(point, ..)| *point);
    let point = point.ok_or_else(|| FailpointError::Unknown(name.to_owned()))?;
    let count = nth.parse().ok().filter(|count| *count > 0);
    Ok((point, count.ok_or_else(|| FailpointError::Nth(nth.to_owned()))?))
}

/// Passes points: the process ends here if one of them is armed and it is its turn. Used through
/// `failpoint!`.
pub(crate) fn pass(points: impl IntoIterator<Item = Failpoint>) {
    let Some(armed) = ARMED.get() else { return };
    for point in points {
        if point == armed.point && armed.passed.fetch_add(1, Ordering::AcqRel) + 1 == armed.nth {
            abort(point, armed.nth);
        }
    }
}

/// No destructor runs and nothing is flushed.
#[expect(clippy::print_stderr, reason = "the last word of this process, for whoever armed it")]
fn abort(point: Failpoint, nth: u64) -> ! {
    let name = TABLE.iter().find(|(known, ..)| *known == point).map_or("", |(_, name, _)| name);
    eprintln!("ibora: aborting at {name}:{nth}");
    std::process::abort()
}

/// A place where a test may end the process: `failpoint!(JournalWritten)`, or `failpoint!(each ..)`
/// with the points that are passed here together.
macro_rules! failpoint {
    (each $points:expr) => {
        $crate::obs::failpoints::pass($points)
    };
    ($point:ident) => {
        $crate::obs::failpoints::pass([$crate::obs::failpoints::Failpoint::$point])
    };
}
pub(crate) use failpoint;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_named_with_the_pass_that_counts() {
        assert_eq!(parse("journal.written"), Ok((Failpoint::JournalWritten, 1)));
        assert_eq!(parse("journal.written:3"), Ok((Failpoint::JournalWritten, 3)));
        let unknown = |name: &str| Err(FailpointError::Unknown(name.to_owned()));
        assert_eq!(parse("journal.writen"), unknown("journal.writen"));
        assert_eq!(parse(""), unknown(""));
        for nth in ["", "0", "-1", "once", "1:2"] {
            let text = format!("journal.written:{nth}");
            assert_eq!(parse(&text), Err(FailpointError::Nth(nth.to_owned())), "{text}");
        }
    }

    #[test]
    fn names_are_unique_and_every_point_has_a_sentence() {
        let mut names: Vec<_> = TABLE.iter().map(|(_, name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
        for (_, name, sentence) in TABLE {
            assert!(name.contains('.') && sentence.ends_with('.'), "{name}: {sentence}");
        }
    }
}
