//! The rules of a session, with a clock that the test moves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ibora_domain::ids::RideId;
use ibora_domain::person::Role;
use ibora_domain::units::UnixMillis;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Session, Turn};
use crate::network::Proxies;
use crate::realtime::close::Close;
use crate::realtime::rates::Rate;
use crate::realtime::say::{Kind, Mark, Outgoing, Urgency};
use crate::realtime::{SessionOptions, StrangersMax};

const RIDE: RideId = RideId(Uuid::from_u128(9));
const LIFE: Duration = Duration::from_secs(900);

struct Table {
    session: Session,
    start: Instant,
}

impl Table {
    fn new(role: Role) -> Self {
        let start = Instant::now();
        let options = SessionOptions {
            hello_timeout: Duration::from_secs(10),
            strangers: StrangersMax { all: 1, of_one_address: 1 },
            sessions_max: 1,
            openings_max: 1,
            openings: Rate { per_s: 1, burst: 1 },
            idle: Duration::from_secs(15),
            grace: Duration::from_secs(8),
            active: Duration::from_secs(5),
            active_grace: Duration::from_secs(4),
            frame_bytes_max: 16_384,
            cmd: Rate { per_s: 20, burst: 40 },
            tel: Rate { per_s: 1, burst: 5 },
            outbox_frames_max: 256,
            outbox_bytes_max: 262_144,
            write_timeout: Duration::from_secs(5),
            resend: Duration::from_secs(3),
            allowed_origins: Vec::new(),
            proxies: Proxies::default(),
        };
        let session = Session::new(Arc::new(options), role, start, start + LIFE, 7);
        Self { session, start }
    }

    /// Sends `text` so many milliseconds after the start.
    fn text(&mut self, ms: u64, text: &str) -> Turn {
        self.session.on_text(self.start + Duration::from_millis(ms), text)
    }

    fn said(&mut self, ms: u64, text: &str) -> Value {
        told(self.text(ms, text))
    }

    fn time(&mut self, ms: u64) -> Turn {
        let domain = UnixMillis(i64::try_from(ms).expect("fits"));
        self.session.on_time(self.start + Duration::from_millis(ms), domain)
    }

    fn mark(&mut self, ms: u64, mark: Mark) {
        self.session.mark(self.start + Duration::from_millis(ms), mark);
    }

    fn deadline_ms(&self) -> u128 {
        self.session.deadline().duration_since(self.start).as_millis()
    }

    /// Goes from deadline to deadline until the session ends; when, and why.
    fn until_end(&mut self) -> (u128, Close) {
        loop {
            let at = self.session.deadline();
            let turn = self.session.on_time(at, UnixMillis(0));
            if let Some(end) = self.session.end() {
                return (at.duration_since(self.start).as_millis(), end);
            }
            assert!(!matches!(turn, Turn::Quiet), "a deadline at which nothing is due");
        }
    }
}

fn told(turn: Turn) -> Value {
    let (Turn::Say(frame) | Turn::OverRate { told: Some(frame), .. }) = turn else {
        panic!("{turn:?}")
    };
    serde_json::from_str(&frame.text).expect("JSON")
}

fn tel(n: u64) -> String {
    format!(r#"{{"t":"tel","n":{n},"pts":[[1795310763000,-23.5,-46.6,5,0,0]]}}"#)
}

#[test]
fn silence_ends_a_session_by_what_is_open() {
    let ride = |open| Mark::Ride { id: RIDE, open };
    let table = [
        (vec![], 23_000),
        (vec![(20_000, Mark::OfferOpen(RIDE))], 29_000),
        (vec![(2_000, Mark::OfferOpen(RIDE)), (4_000, ride(true))], 11_000),
        (vec![(2_000, Mark::OfferOpen(RIDE)), (4_000, Mark::OfferClosed(RIDE))], 23_000),
        (vec![(2_000, ride(true)), (4_000, ride(false))], 23_000),
        (vec![(2_000, ride(true)), (4_000, Mark::OfferClosed(RIDE))], 11_000),
    ];
    for (marks, end) in table {
        let mut session = Table::new(Role::Passenger);
        for (at, mark) in &marks {
            session.mark(*at, *mark);
        }
        assert_eq!(session.until_end(), (end, Close::Silent), "{marks:?}");
    }
    let mut session = Table::new(Role::Driver);
    session.text(10_000, r#"{"t":"pong","ts":1}"#);
    assert_eq!(session.until_end(), (33_000, Close::Silent), "any frame counts as life");
}

#[test]
fn a_token_ends_the_session_but_not_in_the_middle_of_a_ride() {
    let alive = |session: &mut Table, seconds: std::ops::Range<u64>| {
        for second in seconds.step_by(5) {
            session.text(second * 1000, r#"{"t":"ping","ts":1}"#);
        }
    };
    let mut idle = Table::new(Role::Passenger);
    alive(&mut idle, 0..899);
    assert_eq!(idle.until_end(), (900_000, Close::TokenExpired));

    let mut riding = Table::new(Role::Passenger);
    riding.mark(0, Mark::Ride { id: RIDE, open: true });
    alive(&mut riding, 0..1200);
    assert!(matches!(riding.time(1_200_000), Turn::Quiet));
    assert_eq!(riding.session.end(), None);
    riding.mark(1_200_000, Mark::Ride { id: RIDE, open: false });
    assert!(riding.deadline_ms() <= 1_200_000, "due at once");
    riding.time(1_200_000);
    assert_eq!(riding.session.end(), Some(Close::TokenExpired));

    let mut chained = Table::new(Role::Driver);
    let next = RideId(Uuid::from_u128(99));
    for (id, open) in [(RIDE, true), (next, true), (next, false)] {
        chained.mark(0, Mark::Ride { id, open });
    }
    alive(&mut chained, 0..1200);
    assert!(chained.session.end().is_none(), "a chained ride that is canceled ends no other");

    let mut fresh = Table::new(Role::Passenger);
    alive(&mut fresh, 0..899);
    let (now, until) = (fresh.start + LIFE - Duration::from_secs(1), fresh.start + LIFE * 2);
    let said = told(fresh.session.refreshed(now, until));
    assert_eq!(said, json!({"t": "auth", "auth_ttl_s": 901}));
    assert_eq!(fresh.until_end().1, Close::Silent);
}

#[test]
fn positions_are_acknowledged_at_once_and_then_every_five_seconds() {
    let mut session = Table::new(Role::Driver);
    assert!(matches!(session.text(0, &tel(1)), Turn::Positions));
    assert_eq!(session.session.points().len(), 1);
    assert_eq!(session.deadline_ms(), 0);
    assert_eq!(told(session.time(0)), json!({"t": "tack", "n": 1}));
    for n in 2..=5 {
        assert!(matches!(session.text(n * 1000, &tel(n)), Turn::Positions));
    }
    assert_eq!(session.deadline_ms(), 5000);
    assert_eq!(told(session.time(5000)), json!({"t": "tack", "n": 5}));
    assert_eq!(session.deadline_ms(), 15_000, "nothing new to acknowledge");
    assert!(matches!(session.time(15_000), Turn::Seen));
}

#[test]
fn positions_over_the_rate_are_shed_and_ten_seconds_of_it_end_the_session() {
    let mut session = Table::new(Role::Driver);
    let mut answers = Vec::new();
    let mut applied = 0;
    for step in 0..200 {
        match session.text(step * 100, &tel(step)) {
            Turn::Positions => applied += 1,
            Turn::OverRate { told, .. } => answers.extend(told.map(|frame| frame.text)),
            other => panic!("{other:?}"),
        }
        if session.session.end().is_some() {
            break;
        }
    }
    assert_eq!(session.session.end(), Some(Close::Rate));
    assert!((14..=16).contains(&applied), "{applied}");
    assert!((10..=12).contains(&answers.len()), "told once a second: {}", answers.len());
    assert!(answers[0].contains(r#""code":"rate_limited","retry":true,"retry_ms":"#));
}

#[test]
fn commands_over_the_rate_are_refused_by_their_id() {
    let mut session = Table::new(Role::Driver);
    let cmd = |n: u128| {
        let random = n.to_be_bytes()[6..].try_into().expect("ten bytes");
        let id = uuid::Builder::from_unix_timestamp_millis(9, &random);
        format!(r#"{{"t":"cmd","id":"{}","op":"driver.offline"}}"#, id.into_uuid())
    };
    for n in 0..40 {
        assert!(matches!(session.text(0, &cmd(n)), Turn::Command(_)));
    }
    let refused = session.said(0, &cmd(40));
    assert_eq!((&refused["code"], &refused["retry_ms"]), (&json!("rate_limited"), &json!(50)));
    assert!(cmd(40).contains(refused["id"].as_str().expect("its id")));
    assert!(matches!(session.text(50, &cmd(41)), Turn::Command(_)));
}

#[test]
fn ten_faults_in_a_minute_end_it_and_nine_do_not() {
    let mut session = Table::new(Role::Driver);
    for n in 0..9 {
        assert_eq!(session.said(n * 1000, "{")["code"], "malformed");
    }
    session.said(60_000, "{");
    assert_eq!(session.session.end(), None, "the first is a minute old");
    session.said(60_500, "{");
    assert_eq!(session.session.end(), Some(Close::TooManyErrors));

    let mut passenger = Table::new(Role::Passenger);
    assert_eq!(passenger.said(0, &tel(1))["code"], "forbidden");
    let now = passenger.start;
    assert_eq!(told(passenger.session.refused(now))["code"], "unauthenticated");
}

/// An event as it is written.
fn event(seq: u64, urgency: Urgency) -> Outgoing {
    let text = format!(r#"{{"t":"evt","seq":{seq}}}"#);
    Outgoing { seq, urgency, ..Outgoing::plain(Kind::Evt, text) }
}

#[test]
fn acknowledgements_are_cumulative_and_never_of_what_was_not_sent() {
    let mut session = Table::new(Role::Passenger);
    let now = session.start;
    session.session.on_written(now, &event(9, Urgency::Once));
    assert!(matches!(session.text(0, r#"{"t":"ack","seq":9}"#), Turn::Acked { seq: 9 }));
    assert!(matches!(session.text(0, r#"{"t":"ack","seq":8}"#), Turn::Quiet));
    assert_eq!(session.session.acked(), 9);
    assert_eq!(session.said(0, r#"{"t":"ack","seq":10}"#)["code"], "invalid");
    assert_eq!(session.session.acked(), 9);
}

#[test]
fn an_urgent_event_is_said_again_until_it_is_acknowledged_or_over() {
    let mut session = Table::new(Role::Passenger);
    let written = |session: &mut Table, ms, seq, urgency| {
        let now = session.start + Duration::from_millis(ms);
        session.session.on_written(now, &event(seq, urgency));
    };
    let until = |ms| Urgency::UntilAcked(Some(UnixMillis(ms)));
    written(&mut session, 0, 8, until(60_000));
    written(&mut session, 500, 9, Urgency::Once);
    written(&mut session, 1_000, 10, until(5_000));
    assert_eq!(session.deadline_ms(), 3_000);
    assert_eq!(told(session.time(3_000))["seq"], 8);
    // What is said again is written again: that changes nothing.
    written(&mut session, 3_000, 8, until(60_000));
    assert_eq!(told(session.time(4_000))["seq"], 10);
    assert_eq!(told(session.time(6_000))["seq"], 8);
    assert!(matches!(session.time(7_000), Turn::Quiet), "the other is over");
    assert!(matches!(session.text(7_500, r#"{"t":"ack","seq":9}"#), Turn::Acked { seq: 9 }));
    assert!(matches!(session.time(9_000), Turn::Quiet), "acknowledged");
}
