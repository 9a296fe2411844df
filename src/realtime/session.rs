//! The rules of one opened session: what each frame means and when silence is too long.
//!
//! No socket and no clock in here: text and time come in, a [`Turn`] says what to do. After every
//! call the caller looks at [`Session::end`] and [`Session::deadline`].
//!
//! A token that expires ends the session, but never in the middle of a ride: then the session goes
//! on until the ride has ended, and ends with it unless the token was refreshed. A ride that lost
//! its driver's phone over a token would be worse than a right held for some minutes more.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ibora_domain::ids::RideId;
use ibora_domain::person::Role;
use ibora_domain::units::UnixMillis;
use secrecy::SecretString;

use super::SessionOptions;
use super::close::Close;
use super::frames::{self, Cmd, Fault, Inbound};
use super::rates::{Meter, Verdict};
use super::say::{self, Mark, Outgoing, Urgency};
use crate::actors::{Point, Snapshot};

/// Faults within [`FAULTS_WITHIN`] that end a session.
const FAULTS_MAX: usize = 10;
const FAULTS_WITHIN: Duration = Duration::from_secs(60);
/// Positions are acknowledged at most this often.
const TACK_EVERY: Duration = Duration::from_secs(5);
/// How often the driver's actor hears that the session lives: well within the presence of 45 s, so
/// that also an actor that was rebuilt meanwhile, and knows of no session, keeps its driver.
const SEEN_EVERY: Duration = Duration::from_secs(15);
/// Positions over their rate are told so at most this often.
const TOLD_EVERY: Duration = Duration::from_secs(1);

/// Rides that a person can have: the present one and the chained one.
const RIDES_MAX: usize = 2;
/// Urgent events of which that is kept in mind, the newest.
const URGENT_MAX: usize = 32;

/// What the rules want done.
#[derive(Debug)]
pub(super) enum Turn {
    Quiet,
    /// The client has all events up to this one.
    Acked {
        seq: u64,
    },
    Say(Outgoing),
    /// A frame came too early and was not taken.
    OverRate {
        commands: bool,
        told: Option<Outgoing>,
    },
    Command(Box<Cmd>),
    /// [`Session::points`] are new.
    Positions,
    /// Check this token; then [`Session::refreshed`] or [`Session::refused`].
    Refresh(SecretString),
    /// Tell the driver's actor that he is there.
    Seen,
}

/// The state of one session.
#[derive(Debug)]
pub(super) struct Session {
    options: Arc<SessionOptions>,
    role: Role,
    last_frame: Instant,
    /// The ride of the person, and for a driver the one chained to it.
    rides: Vec<RideId>,
    offers: Vec<RideId>,
    /// When the present profile of the heartbeat began.
    profile_since: Instant,
    commands: Meter,
    positions: Meter,
    /// When positions were last told that they are too many.
    told_rate: Option<Instant>,
    /// The last faults, the next to be replaced at `faults_at`.
    faults: [Option<Instant>; FAULTS_MAX],
    faults_at: usize,
    /// The newest `n` of `tel`, and when it is to be acknowledged.
    newest: u64,
    tack_at: Option<Instant>,
    tacked: Option<Instant>,
    /// The newest event written, and the newest acknowledged.
    told: u64,
    acked: u64,
    /// Urgent events that were written and not acknowledged, the oldest first.
    urgent: VecDeque<Urgent>,
    expires: Instant,
    seen_at: Instant,
    points: Vec<Point>,
    end: Option<Close>,
}

/// An event that is sent again until it is acknowledged or over.
#[derive(Debug)]
struct Urgent {
    frame: Outgoing,
    until: Option<UnixMillis>,
    again_at: Instant,
}

impl Session {
    /// A session that was welcomed at `now` with events up to `seq`.
    pub(super) fn new(
        options: Arc<SessionOptions>,
        role: Role,
        now: Instant,
        expires: Instant,
        seq: u64,
    ) -> Self {
        Self {
            role,
            last_frame: now,
            rides: Vec::new(),
            offers: Vec::new(),
            profile_since: now,
            commands: Meter::new(options.cmd, now),
            positions: Meter::new(options.tel, now),
            told_rate: None,
            faults: [None; FAULTS_MAX],
            faults_at: 0,
            newest: 0,
            tack_at: None,
            tacked: None,
            told: seq,
            acked: seq,
            urgent: VecDeque::new(),
            expires,
            seen_at: now + SEEN_EVERY,
            points: Vec::new(),
            end: None,
            options,
        }
    }

    /// Whether the session must end, and why.
    pub(super) fn end(&self) -> Option<Close> {
        self.end
    }

    /// The positions of the last `tel`, the newest last.
    pub(super) fn points(&self) -> &[Point] {
        &self.points
    }

    /// The newest event that the client has acknowledged.
    #[cfg(test)]
    pub(super) fn acked(&self) -> u64 {
        self.acked
    }

    /// When [`Session::on_time`] is next to be called.
    pub(super) fn deadline(&self) -> Instant {
        let mut at = self.silent_at();
        if self.rides.is_empty() {
            at = at.min(self.expires);
        }
        if let Some(tack_at) = self.tack_at {
            at = at.min(tack_at);
        }
        if let Some(again_at) = self.urgent.iter().map(|urgent| urgent.again_at).min() {
            at = at.min(again_at);
        }
        if self.role == Role::Driver {
            at = at.min(self.seen_at);
        }
        at
    }

    fn silent_at(&self) -> Instant {
        let options = &*self.options;
        if !self.is_active() {
            return self.last_frame + options.idle + options.grace;
        }
        // A client that was just told of an offer has the whole time from then on.
        self.last_frame.max(self.profile_since) + options.active + options.active_grace
    }

    /// Something came that is no text: a sign of life.
    pub(super) fn on_life(&mut self, now: Instant) {
        self.last_frame = now;
    }

    /// A text frame came.
    pub(super) fn on_text(&mut self, now: Instant, text: &str) -> Turn {
        self.last_frame = now;
        match frames::read(text, &mut self.points) {
            Ok(Inbound::Tel { n }) => self.on_positions(now, n),
            Ok(Inbound::Cmd(cmd)) => self.on_command(now, cmd),
            Ok(Inbound::Ack { seq }) => self.on_ack(now, seq),
            Ok(Inbound::Ping { ts }) => Turn::Say(say::pong(ts.as_deref())),
            Ok(Inbound::Pong) => Turn::Quiet,
            Ok(Inbound::Auth { bearer }) => Turn::Refresh(bearer),
            Err(fault) => self.on_fault(now, None, &fault),
        }
    }

    fn on_positions(&mut self, now: Instant, n: u64) -> Turn {
        if self.role != Role::Driver {
            return self.count_fault(now, say::error(None, "forbidden", None));
        }
        match self.positions.admit(now) {
            Verdict::Admitted => {
                self.newest = self.newest.max(n);
                let soonest = self.tacked.map_or(now, |tacked| now.max(tacked + TACK_EVERY));
                self.tack_at.get_or_insert(soonest);
                Turn::Positions
            }
            Verdict::Refused { wait } => {
                let told = self.told_rate.is_some_and(|at| now.duration_since(at) < TOLD_EVERY);
                let told = (!told).then(|| {
                    self.told_rate = Some(now);
                    say::error(None, "rate_limited", Some(whole_ms(wait)))
                });
                Turn::OverRate { commands: false, told }
            }
            Verdict::Sustained => {
                self.end = Some(Close::Rate);
                Turn::OverRate { commands: false, told: None }
            }
        }
    }

    fn on_command(&mut self, now: Instant, cmd: Box<Cmd>) -> Turn {
        match self.commands.admit(now) {
            Verdict::Admitted => Turn::Command(cmd),
            Verdict::Refused { wait } => {
                let told = say::error(Some(&cmd.id), "rate_limited", Some(whole_ms(wait)));
                Turn::OverRate { commands: true, told: Some(told) }
            }
            Verdict::Sustained => {
                self.end = Some(Close::Rate);
                Turn::OverRate { commands: true, told: None }
            }
        }
    }

    fn on_ack(&mut self, now: Instant, seq: u64) -> Turn {
        if seq > self.told {
            let fault = Fault::out_of_range("seq", "no such event was sent");
            return self.on_fault(now, None, &fault);
        }
        if seq <= self.acked {
            return Turn::Quiet;
        }
        self.acked = seq;
        self.urgent.retain(|urgent| urgent.frame.seq > seq);
        Turn::Acked { seq }
    }

    /// A frame, or what it carried, was not right.
    pub(super) fn on_fault(&mut self, now: Instant, id: Option<&str>, fault: &Fault) -> Turn {
        self.count_fault(now, say::fault(id, fault))
    }

    fn count_fault(&mut self, now: Instant, frame: Outgoing) -> Turn {
        self.faults[self.faults_at] = Some(now);
        self.faults_at = (self.faults_at + 1) % FAULTS_MAX;
        // The next to be replaced is the oldest of the last ten.
        let oldest = self.faults[self.faults_at];
        if oldest.is_some_and(|oldest| now.duration_since(oldest) < FAULTS_WITHIN) {
            self.end = Some(Close::TooManyErrors);
        }
        Turn::Say(frame)
    }

    /// The token of [`Turn::Refresh`] is this person's and good until `expires`.
    pub(super) fn refreshed(&mut self, now: Instant, expires: Instant) -> Turn {
        self.expires = expires;
        Turn::Say(say::auth(expires.saturating_duration_since(now).as_secs()))
    }

    /// The token of [`Turn::Refresh`] is no good: the session goes on with what it has.
    pub(super) fn refused(&mut self, now: Instant) -> Turn {
        self.count_fault(now, say::error(None, "unauthenticated", None))
    }

    /// A frame is being written to the client.
    pub(super) fn on_written(&mut self, now: Instant, frame: &Outgoing) {
        let seen_before = frame.seq > 0 && frame.seq <= self.told;
        self.told = self.told.max(frame.seq);
        if seen_before {
            return;
        }
        self.mark(now, frame.mark);
        if let Urgency::UntilAcked(until) = frame.urgency {
            if self.urgent.len() >= URGENT_MAX {
                self.urgent.pop_front();
            }
            let again_at = now + self.options.resend;
            self.urgent.push_back(Urgent { frame: frame.clone(), until, again_at });
        }
    }

    /// The client resumes after event `seq`, of which it has all.
    pub(super) fn resumes_after(&mut self, seq: u64) {
        (self.told, self.acked) = (seq, seq);
        self.urgent.clear();
    }

    /// The client has this snapshot open, and nothing else.
    pub(super) fn shows(&mut self, now: Instant, snapshot: &Snapshot) {
        let was_active = self.is_active();
        self.offers.clone_from(&snapshot.offers);
        self.rides.clone_from(&snapshot.rides);
        if self.is_active() != was_active {
            self.profile_since = now;
        }
    }

    /// Takes note of what the client has open.
    pub(super) fn mark(&mut self, now: Instant, mark: Mark) {
        let was_active = self.is_active();
        match mark {
            Mark::None => return,
            Mark::OfferOpen(ride) => {
                if !self.offers.contains(&ride) {
                    self.offers.push(ride);
                }
            }
            Mark::OfferClosed(ride) => self.offers.retain(|open| *open != ride),
            Mark::Ride { id, open } => {
                self.offers.retain(|offered| *offered != id);
                self.rides.retain(|known| *known != id);
                if open {
                    self.rides.push(id);
                }
                if self.rides.len() > RIDES_MAX {
                    self.rides.remove(0);
                }
            }
        }
        if self.is_active() != was_active {
            self.profile_since = now;
        }
    }

    fn is_active(&self) -> bool {
        !self.rides.is_empty() || !self.offers.is_empty()
    }

    /// Does one thing that is due at `now`, which is `domain_now` in domain time; to be called
    /// again while the deadline is not after it.
    pub(super) fn on_time(&mut self, now: Instant, domain_now: UnixMillis) -> Turn {
        if self.silent_at() <= now {
            self.end = Some(Close::Silent);
        } else if self.rides.is_empty() && self.expires <= now {
            self.end = Some(Close::TokenExpired);
        } else if self.tack_at.is_some_and(|at| at <= now) {
            self.tack_at = None;
            self.tacked = Some(now);
            return Turn::Say(say::tack(self.newest));
        } else if self.role == Role::Driver && self.seen_at <= now {
            self.seen_at = now + SEEN_EVERY;
            return Turn::Seen;
        } else {
            return self.say_again(now, domain_now);
        }
        Turn::Quiet
    }

    /// The oldest urgent event that is due again. One that is over is forgotten.
    fn say_again(&mut self, now: Instant, domain_now: UnixMillis) -> Turn {
        self.urgent.retain(|urgent| urgent.until.is_none_or(|until| until > domain_now));
        let again_at = now + self.options.resend;
        let due = self.urgent.iter_mut().find(|urgent| urgent.again_at <= now);
        due.map_or(Turn::Quiet, |urgent| {
            urgent.again_at = again_at;
            Turn::Say(urgent.frame.clone())
        })
    }
}

/// Milliseconds, rounded up: who waits this long is not too early.
fn whole_ms(wait: Duration) -> u64 {
    u64::try_from(wait.as_micros().div_ceil(1000)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
