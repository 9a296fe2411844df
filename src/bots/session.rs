//! A client's session: one socket at a time, commands that are asked until they are answered,
//! events in order, and all that a well-behaved client owes: heartbeats, acks, back-off, resume.
//!
//! It belongs to one task, which alone reads and writes; nothing happens between its calls. So
//! thousands of bots cost thousands of small tasks, and whoever holds one must keep calling
//! [`Session::next`]. What always holds: a command is sent again only under its first id.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ibora_domain::refusal::Refusal;
use ibora_domain::units::UnixMillis;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::backoff::{Backoff, Next};
use super::clock::EngineClock;
use super::contract::{
    ASKS_MAX, CommandError, Done, Engine, Event, FAILURES_MAX, Person, SessionError, id_of, moment,
};
use super::frames::{self, Down, Fix, Heartbeat, StreamAt};
use super::promises::{Promise, Told};
use super::socket::{Received, Socket};

/// Events of `prio: 0` are acked this long after the first of them.
const ACK_WITHIN: Duration = Duration::from_secs(4);
/// A command without an answer is sent again after this long, so many times.
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// A refusal that may be retried names its pause; where it does not, this one.
const RETRY: Duration = Duration::from_secs(1);
/// Share of the longest silence after which something is sent.
const BEAT_SHARE: f64 = 0.6;

/// A command on its way.
struct Asked {
    id: Uuid,
    frame: String,
    answer: Option<Result<Done, Refused>>,
}

struct Refused {
    code: Box<str>,
    retry_after: Option<Duration>,
}

/// A client's session.
pub struct Session {
    engine: Arc<Engine>,
    person: Person,
    device: Uuid,
    socket: Option<Socket>,
    stream: Option<StreamAt>,
    clock: EngineClock,
    heartbeat: Heartbeat,
    active: bool,
    sent_at: Instant,
    unacked_since: Option<Instant>,
    inbox: VecDeque<Event>,
    asked: Option<Asked>,
    /// The ride that was told of last, and its version.
    newest: (Uuid, u64),
    telemetry: u64,
    backoff: Backoff,
    rng: StdRng,
}

impl Session {
    /// Connects and says hello. Tries again as the close codes say, a few times.
    ///
    /// # Errors
    /// [`SessionError`]
    pub async fn connect(
        engine: Arc<Engine>,
        person: Person,
        seed: u64,
    ) -> Result<Self, SessionError> {
        let clock = EngineClock::set(UnixMillis(0), engine.speed);
        let mut session = Self {
            engine,
            person,
            device: Uuid::now_v7(),
            socket: None,
            stream: None,
            clock,
            heartbeat: Heartbeat { idle_ms: 15_000, active_ms: 5_000 },
            active: false,
            sent_at: Instant::now(),
            unacked_since: None,
            inbox: VecDeque::new(),
            asked: None,
            newest: (Uuid::nil(), 0),
            telemetry: 0,
            backoff: Backoff::default(),
            rng: StdRng::seed_from_u64(seed),
        };
        session.reconnect(FAILURES_MAX).await?;
        Ok(session)
    }

    /// Who this is: the `key` of commands about oneself.
    #[must_use]
    pub fn me(&self) -> Option<Uuid> {
        Some(self.person.id)
    }

    /// Forgets everything: the next event is a snapshot from a new connection.
    pub fn start_over(&mut self) {
        self.hang_up();
        self.stream = None;
        self.inbox.clear();
    }

    /// Domain time.
    #[must_use]
    pub fn clock(&self) -> EngineClock {
        self.clock
    }

    /// Whether an offer or a ride is open: the server then wants to hear more often.
    pub fn set_active(&mut self, active: bool) {
        self.active = active;
    }

    /// The next thing the server tells; `None` when nothing came until `until`. Keeps the session
    /// alive while it waits, and opens it again where it breaks.
    ///
    /// # Errors
    /// [`SessionError::Stopped`] where the server wants no more of this client.
    pub async fn next(&mut self, until: Instant) -> Result<Option<Event>, SessionError> {
        loop {
            if let Some(event) = self.inbox.pop_front() {
                return Ok(Some(event));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            self.turn(until).await?;
        }
    }

    /// Asks for a change until there is an answer. Events that come meanwhile wait for
    /// [`Session::next`].
    ///
    /// # Errors
    /// [`CommandError`]
    pub async fn command(
        &mut self,
        op: &'static str,
        key: Option<Uuid>,
        d: &Value,
    ) -> Result<Done, CommandError> {
        let id = Uuid::now_v7();
        self.asked = Some(Asked { id, frame: frames::command(id, op, key, d), answer: None });
        let answer = self.ask().await;
        self.asked = None;
        self.keep_promise((id, op, key), &answer);
        if answer == Err(CommandError::Unanswered) {
            self.engine.figures.unanswered.add();
        }
        answer
    }

    /// Reports positions, oldest first; forgotten where the connection is down.
    ///
    /// # Errors
    /// [`SessionError::Stopped`]
    pub async fn report(&mut self, fixes: &[Fix]) -> Result<(), SessionError> {
        self.telemetry += 1;
        self.send(frames::telemetry(self.telemetry, fixes)).await
    }

    async fn ask(&mut self) -> Result<Done, CommandError> {
        for _ in 0..ASKS_MAX {
            let Some(frame) = self.asked.as_ref().map(|asked| asked.frame.clone()) else { break };
            self.send(frame).await?;
            let until = Instant::now() + ASK_AGAIN;
            let answer = loop {
                if let Some(answer) = self.asked.as_mut().and_then(|asked| asked.answer.take()) {
                    break Some(answer);
                }
                if Instant::now() >= until {
                    break None;
                }
                self.turn(until).await?;
            };
            match answer {
                Some(Ok(done)) => return Ok(done),
                Some(Err(Refused { code, retry_after: None })) => {
                    return Err(CommandError::Refused { code });
                }
                Some(Err(Refused { retry_after: Some(pause), .. })) => {
                    let until = Instant::now() + pause;
                    while Instant::now() < until {
                        self.turn(until).await?;
                    }
                }
                None => {}
            }
        }
        Err(CommandError::Unanswered)
    }

    fn keep_promise(
        &self,
        (command, op, key): (Uuid, &'static str, Option<Uuid>),
        answer: &Result<Done, CommandError>,
    ) {
        let Some(promises) = &self.engine.promises else { return };
        let told = match answer {
            Ok(done) => Told::Yes { version: done.version },
            Err(CommandError::Refused { code }) => match Refusal::from_code(code) {
                Some(refusal) if refusal.is_result() => Told::No(refusal),
                Some(_) | None => return,
            },
            Err(CommandError::Unanswered | CommandError::Session(_)) => return,
        };
        let made = || answer.as_ref().ok().and_then(|done| id_of(&done.body));
        let ride = if op == "ride.request" { made() } else { key };
        promises.add(Promise { person: self.person.id, command, op, ride, told });
    }

    /// Waits for one frame, or until something is due, and deals with it.
    async fn turn(&mut self, until: Instant) -> Result<(), SessionError> {
        let beat = if self.active { self.heartbeat.active_ms } else { self.heartbeat.idle_ms };
        let beat_at = self.sent_at + Duration::from_millis(beat).mul_f64(BEAT_SHARE);
        let ack_at = self.unacked_since.map(|since| since + ACK_WITHIN);
        let now = Instant::now();
        if ack_at.is_some_and(|at| at <= now) {
            return self.acknowledge().await;
        }
        if beat_at <= now {
            let ts = u64::try_from(self.clock.now().0).unwrap_or(0);
            return self.send(frames::ping(ts)).await;
        }
        let Some(socket) = self.socket.as_mut() else {
            return self.reconnect(u32::MAX).await;
        };
        let due = until.min(beat_at).min(ack_at.unwrap_or(until));
        match tokio::time::timeout_at(due.into(), socket.receive()).await {
            Err(_) => Ok(()),
            Ok(Received::Text(text)) => self.on_text(&text).await,
            Ok(Received::Closed(code)) => self.lost(code, u32::MAX).await,
        }
    }

    async fn on_text(&mut self, text: &str) -> Result<(), SessionError> {
        self.engine.figures.frames_in.add();
        // A frame that this client does not understand is none of its business.
        let Ok(frame) = serde_json::from_str::<Down<'_>>(text) else { return Ok(()) };
        match &*frame.t {
            "evt" => return self.on_event(&frame).await,
            "res" => self.on_answer(&frame, |frame| {
                let body = frame.d.unwrap_or(RawValue::NULL).to_owned();
                Ok(Done { version: frame.ver.unwrap_or(0), body })
            }),
            "err" => self.on_answer(&frame, |frame| {
                let again = frame.retry.unwrap_or(false);
                let pause = frame.retry_ms.map_or(RETRY, Duration::from_millis);
                let code = frame.code.as_deref().unwrap_or_default().into();
                Err(Refused { code, retry_after: again.then_some(pause) })
            }),
            "eph" => {
                if let (Some(op), Some(body)) = (&frame.op, frame.d) {
                    let (op, body) = (op.as_ref().into(), body.to_owned());
                    self.inbox.push_back(Event::Shown { op, key: frame.key, body });
                }
            }
            "sync" => {
                let snapshot = frame.snapshot.unwrap_or(RawValue::NULL).to_owned();
                self.inbox.push_back(Event::Snapshot(snapshot));
            }
            "ping" => return self.send(frames::pong(frame.ts)).await,
            // `tack`, `pong`, `auth`, and `drain`, which a close follows.
            _ => {}
        }
        Ok(())
    }

    fn on_answer(
        &mut self,
        frame: &Down<'_>,
        read: impl FnOnce(&Down<'_>) -> Result<Done, Refused>,
    ) {
        let Some(asked) = &mut self.asked else { return };
        let id = frame.id.as_deref().and_then(|id| Uuid::parse_str(id).ok());
        if id == Some(asked.id) {
            asked.answer = Some(read(frame));
        }
    }

    async fn on_event(&mut self, frame: &Down<'_>) -> Result<(), SessionError> {
        let (Some(seq), Some(op), Some(body)) = (frame.seq, &frame.op, frame.d) else {
            return Ok(());
        };
        let version = frame.ver.unwrap_or(0);
        let known = self.stream.as_ref().map_or(0, |stream| stream.seq);
        let repeated = seq <= known;
        self.observe(frame.key, (known, seq), version);
        if !repeated {
            if let Some(stream) = &mut self.stream {
                stream.seq = seq;
            }
            let (op, body) = (op.as_ref().into(), body.to_owned());
            self.inbox.push_back(Event::Durable { op, key: frame.key, version, body });
        }
        if frame.prio == Some(1) {
            return self.acknowledge().await;
        }
        self.unacked_since.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// Keeps what an event says about the stream and the versions of rides.
    fn observe(&mut self, key: Option<Uuid>, (known, seq): (u64, u64), version: u64) {
        let Some(promises) = &self.engine.promises else { return };
        if seq <= known {
            return promises.fault(|faults| faults.repeated += 1);
        }
        let missing = seq - known - 1;
        let ride = key.unwrap_or_default();
        let backwards = self.newest.0 == ride && version < self.newest.1;
        if missing > 0 || backwards {
            promises.fault(|faults| {
                faults.missing += missing;
                faults.backwards += u64::from(backwards);
            });
        }
        self.newest = (ride, version);
        promises.saw(ride, version);
    }

    async fn acknowledge(&mut self) -> Result<(), SessionError> {
        self.unacked_since = None;
        match self.stream.as_ref().map(|stream| stream.seq) {
            Some(seq) => self.send(frames::ack(seq)).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, frame: String) -> Result<(), SessionError> {
        if self.socket.is_none() {
            self.reconnect(u32::MAX).await?;
        }
        let Some(socket) = self.socket.as_mut() else { return Ok(()) };
        self.sent_at = Instant::now();
        self.engine.figures.frames_out.add();
        // Where it fails, reading tells why: what is pending is then sent on the next connection.
        socket.send(frame).await;
        Ok(())
    }

    async fn lost(&mut self, code: Option<u16>, failures_max: u32) -> Result<(), SessionError> {
        self.hang_up();
        match self.backoff.closed(code, &mut self.rng) {
            Next::Stop => Err(SessionError::Stopped { code: code.unwrap_or(0) }),
            Next::After(pause) => {
                tokio::time::sleep(pause).await;
                Box::pin(self.reconnect(failures_max)).await
            }
        }
    }

    /// Opens the session anew and sends what waits for an answer once more.
    async fn reconnect(&mut self, failures_max: u32) -> Result<(), SessionError> {
        let mut failures = 0;
        loop {
            let code = match self.open().await {
                Ok(()) => break,
                Err(code) => code,
            };
            failures += 1;
            if failures >= failures_max {
                return Err(SessionError::Unreachable);
            }
            match self.backoff.closed(code, &mut self.rng) {
                Next::Stop => return Err(SessionError::Stopped { code: code.unwrap_or(0) }),
                Next::After(pause) => tokio::time::sleep(pause).await,
            }
        }
        self.backoff.reset();
        let pending = self.asked.as_ref().filter(|asked| asked.answer.is_none());
        if let (Some(asked), Some(socket)) = (pending, self.socket.as_mut()) {
            socket.send(asked.frame.clone()).await;
        }
        Ok(())
    }

    /// One attempt; `Err` with the close code, where there was one.
    async fn open(&mut self) -> Result<(), Option<u16>> {
        let engine = Arc::clone(&self.engine);
        // Never closed, so there always is a turn.
        let _turn = engine.opening.acquire().await.ok();
        let mut socket = Socket::connect(engine.address).await.ok_or(None)?;
        let hello = frames::hello(&self.person.token, self.device, self.stream.as_ref());
        socket.send(hello).await;
        let text = match socket.receive_within(ASK_AGAIN).await {
            Received::Text(text) => text,
            Received::Closed(code) => return Err(code),
        };
        let Ok(frame) = serde_json::from_str::<Down<'_>>(&text) else { return Err(None) };
        let (Some(now), Some(stream)) = (frame.now.as_deref().and_then(moment), frame.stream)
        else {
            return Err(None);
        };
        self.clock = EngineClock::set(now, self.engine.speed);
        self.heartbeat = frame.hb.unwrap_or(self.heartbeat);
        let known = self.stream.take();
        if !stream.recovered {
            if let (Some(promises), Some(_)) = (&self.engine.promises, &known) {
                promises.fault(|faults| faults.restarted += 1);
            }
            let snapshot = frame.snapshot.unwrap_or(RawValue::NULL).to_owned();
            self.inbox.clear();
            self.inbox.push_back(Event::Snapshot(snapshot));
        }
        // What was missed follows a recovered welcome: it is numbered from where this client was.
        let seq = known.filter(|_| stream.recovered).map_or(stream.seq, |known| known.seq);
        self.stream = Some(StreamAt { seq, ..stream });
        self.unacked_since = None;
        self.sent_at = Instant::now();
        self.socket = Some(socket);
        self.engine.figures.connects.add();
        self.engine.figures.sockets.move_by(1);
        Ok(())
    }

    fn hang_up(&mut self) {
        if self.socket.take().is_some() {
            self.engine.figures.sockets.move_by(-1);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.hang_up();
    }
}
