//! Rates: how many frames of a kind a session may send, and when it has gone too far.

use std::time::{Duration, Instant};

/// Refusals with pauses below this belong to one excess.
const PAUSE: Duration = Duration::from_secs(2);
/// An excess that lasts this long ends the session.
const SUSTAINED: Duration = Duration::from_secs(10);

/// So many a second in the long run, so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub per_s: u32,
    pub burst: u32,
}

/// Holds one session to a rate.
///
/// Remembers one moment: when all that was admitted would be paid for (the "generic cell rate
/// algorithm"), so it needs no timer and no counting back.
#[derive(Debug)]
pub(super) struct Meter {
    each: Duration,
    slack: Duration,
    paid_at: Instant,
    excess: Option<Excess>,
}

#[derive(Debug, Clone, Copy)]
struct Excess {
    since: Instant,
    last: Instant,
}

/// What a meter says of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Admitted,
    /// Too early by this long.
    Refused {
        wait: Duration,
    },
    /// Refused for so long that the session ends.
    Sustained,
}

impl Meter {
    pub(super) fn new(rate: Rate, now: Instant) -> Self {
        let each = Duration::from_secs(1) / rate.per_s.max(1);
        Self { each, slack: each * rate.burst.saturating_sub(1), paid_at: now, excess: None }
    }

    /// Judges a frame that comes at `now`.
    pub(super) fn admit(&mut self, now: Instant) -> Verdict {
        let due = self.paid_at.max(now);
        let ahead = due.duration_since(now);
        if ahead <= self.slack {
            self.paid_at = due + self.each;
            return Verdict::Admitted;
        }
        let excess = self.excess.filter(|excess| now.duration_since(excess.last) < PAUSE);
        let since = excess.map_or(now, |excess| excess.since);
        self.excess = Some(Excess { since, last: now });
        if now.duration_since(since) >= SUSTAINED {
            return Verdict::Sustained;
        }
        Verdict::Refused { wait: ahead - self.slack }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn admitted(meter: &mut Meter, now: Instant, frames: u32) -> u32 {
        (0..frames).map(|_| u32::from(meter.admit(now) == Verdict::Admitted)).sum()
    }

    #[test]
    fn a_burst_is_admitted_and_then_the_rate() {
        let start = Instant::now();
        let mut meter = Meter::new(Rate { per_s: 20, burst: 40 }, start);
        assert_eq!(admitted(&mut meter, start, 100), 40);
        assert_eq!(meter.admit(start), Verdict::Refused { wait: 50 * MS });
        assert_eq!(meter.admit(start + 49 * MS), Verdict::Refused { wait: MS });
        assert_eq!(meter.admit(start + 50 * MS), Verdict::Admitted);
        assert_eq!(admitted(&mut meter, start + 1050 * MS, 100), 20);
        assert_eq!(admitted(&mut meter, start + 60_000 * MS, 100), 40, "a pause refills it");
    }

    #[test]
    fn ten_seconds_over_the_rate_are_too_much_and_pauses_begin_anew() {
        let start = Instant::now();
        let mut meter = Meter::new(Rate { per_s: 1, burst: 5 }, start);
        let twice_a_second = |from: Duration, meter: &mut Meter| {
            (0..40_u32)
                .find(|half| meter.admit(start + from + 500 * MS * *half) == Verdict::Sustained)
        };
        // The burst lasts four seconds at twice the rate, the excess ten more.
        let ended = twice_a_second(Duration::ZERO, &mut meter).expect("ends");
        assert!((28..32).contains(&ended), "after {ended} half seconds");
        assert_eq!(meter.admit(start + Duration::from_secs(60)), Verdict::Admitted);
        assert!(twice_a_second(Duration::from_secs(70), &mut meter).expect("ends") >= 28);
        let honest = (0..100_u32).all(|second| {
            meter.admit(start + Duration::from_secs(200) + Duration::from_secs(1) * second)
                == Verdict::Admitted
        });
        assert!(honest);
    }
}
