//! A phone: one person's session, as an app holds it over bad roads.
//!
//! It connects, resumes, acknowledges, notices silence, falls back to long polls and REST, asks a
//! command under its id until there is an answer, and sometimes taps twice, walks away, or is
//! replaced by another phone. What it hears makes its [`View`]; what it is told it remembers. It
//! belongs to one task, which must keep calling [`Phone::live`].

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context;
use ibora::bots::Person;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use uuid::Uuid;

use super::memory::{Asked, Told};
use super::run::{Phase, Run};
use super::view::View;
use super::wire::{self, Answer, Down, Polled, StreamAt};
use crate::backoff::Backoff;
use crate::client::{self, Client, Closed};

/// Something is said this often, and silence is noticed after so long.
const BEAT: Duration = Duration::from_secs(2);
const DEAF: Duration = Duration::from_secs(6);
const OPEN_WITHIN: Duration = Duration::from_secs(6);
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
/// 42xx: at once, but not all of them in the same moment.
const AT_ONCE: Duration = Duration::from_millis(200);
/// How long the owner of a phone that was replaced looks at the old one.
const OLD_ONE: Duration = Duration::from_secs(10);

/// Shares of what people do with their phones.
const TAPS_TWICE: f64 = 0.1;
const WALKS_AWAY: f64 = 0.02;
const ASKS_BY_REST: f64 = 0.3;
const POLLS: f64 = 0.15;

/// A phone.
pub(super) struct Phone {
    pub(super) run: Rc<Run>,
    pub(super) person: Person,
    pub(super) rng: StdRng,
    view: Rc<RefCell<View>>,
    is_driver: bool,
    in_tunnel: bool,
    /// Takes every snapshot for the truth; others go on with their own state where they may.
    trusts_snapshots: bool,
    device: Uuid,
    line: Option<Client>,
    at: Option<StreamAt>,
    /// The snapshot tells of events up to this one.
    adopted: u64,
    /// The newest event about a ride, and its version.
    newest: (Uuid, u64),
    is_acked: bool,
    heard: Instant,
    said: Instant,
    connects_at: Instant,
    backoff: Backoff,
    /// Long polls before the next try to connect.
    polls: u32,
    pending: Option<Uuid>,
    answer: Option<Answer>,
}

/// Who holds a phone, and where.
pub(super) struct Holder {
    pub(super) person: Person,
    pub(super) is_driver: bool,
    pub(super) in_tunnel: bool,
    pub(super) seed: u64,
}

impl Phone {
    pub(super) fn new(run: &Rc<Run>, holder: Holder) -> Self {
        let Holder { person, is_driver, in_tunnel, seed } = holder;
        let (mut rng, now) = (StdRng::seed_from_u64(seed), Instant::now());
        Self {
            run: Rc::clone(run),
            person,
            view: Rc::new(RefCell::new(View::new(is_driver))),
            is_driver,
            in_tunnel,
            trusts_snapshots: rng.random(),
            rng,
            device: Uuid::now_v7(),
            line: None,
            at: None,
            adopted: 0,
            newest: (Uuid::nil(), 0),
            is_acked: true,
            heard: now,
            said: now,
            connects_at: now,
            backoff: Backoff::default(),
            polls: 0,
            pending: None,
            answer: None,
        }
    }

    /// What its owner sees on it.
    pub(super) fn view(&self) -> Rc<RefCell<View>> {
        Rc::clone(&self.view)
    }

    /// Does the next thing that a phone does by itself, until `until` at the latest.
    pub(super) async fn live(&mut self, until: Instant) {
        if self.line.is_none() {
            return self.find_a_way(until).await;
        }
        let now = Instant::now();
        if now >= self.heard + DEAF {
            self.run.count("silence_noticed");
            return self.lost(None);
        }
        if now >= self.said + BEAT {
            let beat = if self.is_acked { r#"{"t":"ping","ts":0}"#.to_owned() } else { self.ack() };
            return self.say(&beat).await;
        }
        let due = until.min(self.said + BEAT).min(self.heard + DEAF);
        let Some(line) = self.line.as_mut() else { return };
        let heard = match tokio::time::timeout_at(due.into(), line.next_text()).await {
            Err(_) => return,
            Ok(Ok(text)) => Ok(String::from_utf8_lossy(text).into_owned()),
            Ok(Err(error)) => Err(error.downcast_ref().map(|Closed(code)| *code)),
        };
        match heard {
            Ok(text) => self.hear(&text).await,
            Err(code) => self.lost(code),
        }
    }

    /// Asks for a change until it is answered. `None`: its owner walked away, or all is over.
    pub(super) async fn command(
        &mut self,
        op: &'static str,
        key: Option<Uuid>,
        d: Value,
    ) -> Option<Told> {
        let id = Uuid::now_v7();
        let frame = client::command(id, (op, key), &d);
        let offer = d["offer_id"].as_str().and_then(|offer| Uuid::parse_str(offer).ok());
        let person = self.person.clone();
        self.run.memory.asks(id, Asked { person, op, key, d, told: Told::Nothing });
        (self.pending, self.answer) = (Some(id), None);
        let told = self.ask(id, &frame).await;
        self.pending = None;
        let mut view = self.view.borrow_mut();
        match told {
            Some(told) if told.is_kept() => {
                offer.into_iter().for_each(|offer| view.answered(offer));
            }
            // What became of it is open: only a snapshot tells.
            Some(_) | None => {
                drop(view);
                self.start_over();
            }
        }
        told
    }

    async fn ask(&mut self, id: Uuid, frame: &str) -> Option<Told> {
        let mut taps = 1 + u32::from(self.rng.random_bool(TAPS_TWICE));
        let walks_away = self.rng.random_bool(WALKS_AWAY);
        while self.run.phase.get() != Phase::Quiet {
            if self.line.is_none() && self.rng.random_bool(ASKS_BY_REST) {
                self.by_rest(id).await;
            } else if self.line.is_none() {
                self.live(Instant::now() + ANSWER_WITHIN).await;
                continue;
            } else {
                for tap in 0..std::mem::replace(&mut taps, 1) {
                    if tap > 0 {
                        self.run.count("tapped_twice");
                    }
                    self.say(frame).await;
                }
            }
            if walks_away {
                self.run.count("walked_away");
                return None;
            }
            match self.wait_for_answer().await {
                Some(Answer::Told(told)) => return Some(told),
                Some(Answer::Later(pause)) => self.live_for(pause).await,
                None => {}
            }
        }
        None
    }

    /// An answer, unless the connection ends before it or it takes too long.
    async fn wait_for_answer(&mut self) -> Option<Answer> {
        let until = Instant::now() + ANSWER_WITHIN;
        loop {
            if let Some(answer) = self.answer.take() {
                return Some(answer);
            }
            if self.line.is_none() || Instant::now() >= until {
                return None;
            }
            self.live(until).await;
        }
    }

    /// Forgets everything: the next connection begins with a snapshot.
    pub(super) fn start_over(&mut self) {
        self.lost(None);
        (self.at, self.polls) = (None, 0);
    }

    /// Lives on for a while, whatever happens.
    pub(super) async fn live_for(&mut self, length: Duration) {
        let until = Instant::now() + length;
        while Instant::now() < until {
            self.live(until).await;
        }
    }

    /// Tells where its owner is.
    pub(super) async fn report(&mut self, at_ms: i64) {
        let place = self.run.place;
        let (lat, lng) = (place.lat(), place.lng());
        if self.line.is_some() {
            self.say(&format!(r#"{{"t":"tel","n":1,"pts":[[{at_ms},{lat},{lng},8,0,0]]}}"#)).await;
        }
    }

    /// The same person on another phone, or on the same one started anew: the old session is
    /// superseded while it is still open.
    pub(super) async fn take_another(&mut self) {
        let Some(mut old) = self.line.take() else { return };
        if self.is_driver {
            self.device = Uuid::now_v7();
        }
        self.at = None;
        self.view.borrow_mut().connection += 1;
        self.live(Instant::now() + OPEN_WITHIN).await;
        let run = Rc::clone(&self.run);
        tokio::task::spawn_local(async move {
            let ended = async { while old.next_text().await.is_ok() {} };
            // The word may be lost on the road, too.
            tokio::time::timeout(OLD_ONE, ended).await.ok();
            run.count("superseded");
        });
    }

    // --- On the way to a session -----------------------------------------------------------

    async fn find_a_way(&mut self, until: Instant) {
        let now = Instant::now();
        if self.polls > 0 && self.at.is_some() {
            self.polls -= 1;
            return self.poll().await;
        }
        if now < self.connects_at {
            return tokio::time::sleep_until(until.min(self.connects_at).into()).await;
        }
        match tokio::time::timeout(OPEN_WITHIN, self.open()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.lost(error.downcast_ref().map(|Closed(code)| *code)),
            Err(_) => self.lost(None),
        }
    }

    async fn open(&mut self) -> anyhow::Result<()> {
        let address = self.run.address(self.in_tunnel);
        let mut line = Client::over(TcpStream::connect(address).await?, address).await?;
        line.send(&wire::hello(&self.person, self.device, self.at.as_ref())).await?;
        let text = String::from_utf8(line.next_text().await?.to_vec())?;
        let welcomed = Instant::now();
        let frame: Down<'_> = serde_json::from_str(&text)?;
        let (Some(stream), Some(snapshot)) = (frame.stream, frame.snapshot) else {
            anyhow::bail!("no welcome: {text}");
        };
        let known = self.at.take();
        if known.as_ref().is_some_and(|known| known.epoch != stream.epoch) {
            self.run.found("epoch_changed", || format!("{}: {text}", self.person.id));
        }
        if known.is_some() && !stream.recovered {
            self.run.count("not_recovered");
        }
        if self.trusts_snapshots || !stream.recovered {
            self.view.borrow_mut().adopt(snapshot)?;
            self.adopted = stream.seq;
        }
        // What was missed follows a recovered welcome: it is numbered from where this one was.
        let seq = known.filter(|_| stream.recovered).map_or(stream.seq, |known| known.seq);
        self.at = Some(StreamAt { seq, ..stream });
        self.line = Some(line);
        (self.heard, self.said, self.is_acked) = (welcomed, welcomed, true);
        self.backoff.reset();
        self.view.borrow_mut().connection += 1;
        self.run.count("welcomes");
        if self.in_tunnel {
            let (run, who) = (Rc::clone(&self.run), (self.person.clone(), self.is_driver));
            let view = self.view();
            tokio::task::spawn_local(async move { run.truth.watch(who, view, welcomed).await });
        }
        Ok(())
    }

    /// The connection is gone, or was never made.
    fn lost(&mut self, code: Option<u16>) {
        self.line = None;
        self.view.borrow_mut().connection += 1;
        let pause = match code {
            Some(4200..=4299) => AT_ONCE.mul_f64(self.rng.random()),
            Some(code @ 4000..=4099) => {
                self.run.found("stopped", || format!("{} by {code}", self.person.id));
                self.backoff.pause()
            }
            Some(_) | None => self.backoff.pause(),
        };
        self.connects_at = Instant::now() + pause;
        if self.rng.random_bool(POLLS) {
            self.polls = self.rng.random_range(1..=3);
        }
    }

    async fn poll(&mut self) {
        match self.polled().await {
            Ok(()) => self.run.count("long_polls"),
            // Nobody is there: the next try is to connect.
            Err(_) => self.polls = 0,
        }
    }

    async fn polled(&mut self) -> anyhow::Result<()> {
        let StreamAt { epoch, seq, .. } = self.at.as_ref().context("nothing to go on from")?;
        let address = self.run.address(self.in_tunnel);
        let url = format!("http://{address}/v1/stream?epoch={epoch}&seq={seq}&wait=1");
        let http = awc::Client::builder().timeout(ANSWER_WITHIN).finish();
        let answer = http.get(url).bearer_auth(&*self.person.token).send().await;
        let mut answer = answer.map_err(|error| anyhow::anyhow!("{error}"))?;
        anyhow::ensure!(answer.status().is_success(), "{}", answer.status());
        let body = answer.body().limit(4 << 20).await?;
        let polled: Polled = serde_json::from_slice(&body)?;
        if let Some(snapshot) = &polled.snapshot {
            self.view.borrow_mut().adopt(snapshot)?;
            self.adopted = polled.seq;
        }
        if let Some(at) = self.at.as_mut().filter(|_| !polled.recovered) {
            (at.epoch, at.seq) = (polled.epoch, polled.seq);
        }
        for event in &polled.events {
            self.on_event(&serde_json::from_str(event.get())?);
        }
        Ok(())
    }

    async fn by_rest(&mut self, id: Uuid) {
        let base = format!("http://{}", self.run.address(self.in_tunnel));
        let Some(asked) = self.run.memory.get(id) else { return };
        self.run.count("rest_fallback");
        self.answer = wire::by_rest(&base, id, &asked).await;
        if let Some(Answer::Told(told)) = self.answer {
            self.run.memory.told(id, told);
        }
    }

    // --- In a session ----------------------------------------------------------------------

    async fn say(&mut self, text: &str) {
        let Some(line) = self.line.as_mut() else { return };
        self.said = Instant::now();
        // A road that takes nothing is as good as none.
        if !matches!(tokio::time::timeout(DEAF, line.send(text)).await, Ok(Ok(()))) {
            self.lost(None);
        }
    }

    fn ack(&mut self) -> String {
        self.is_acked = true;
        format!(r#"{{"t":"ack","seq":{}}}"#, self.at.as_ref().map_or(0, |at| at.seq))
    }

    async fn hear(&mut self, text: &str) {
        self.heard = Instant::now();
        let Ok(frame) = serde_json::from_str::<Down<'_>>(text) else {
            return self.run.found("unreadable", || text.to_owned());
        };
        match (&*frame.t, frame.id) {
            ("evt", _) => {
                self.on_event(&frame);
                self.is_acked = false;
                if frame.prio == Some(1) {
                    let ack = self.ack();
                    self.say(&ack).await;
                }
            }
            ("res" | "err", Some(id)) => {
                let answer = frame.answer();
                if let Answer::Told(told) = answer {
                    self.run.memory.told(id, told);
                }
                if self.pending == Some(id) {
                    self.answer = Some(answer);
                }
            }
            ("sync", _) => self.on_sync(&frame),
            _ => {}
        }
    }

    fn on_sync(&mut self, frame: &Down<'_>) {
        self.run.count("syncs");
        let adopted = self.view.borrow_mut().adopt(frame.snapshot.unwrap_or(RawValue::NULL));
        if let (Ok(()), Some(at), Some(stream)) = (adopted, &mut self.at, &frame.stream) {
            (at.seq, self.adopted) = (stream.seq, stream.seq);
        }
    }

    fn on_event(&mut self, frame: &Down<'_>) {
        let (Some(seq), Some(op), Some(body)) = (frame.seq, frame.op.as_deref(), frame.d) else {
            return self.run.found("unreadable", || "an event".to_owned());
        };
        let Some(at) = self.at.as_mut() else { return };
        if seq <= at.seq {
            return;
        }
        let (known, who) = (std::mem::replace(&mut at.seq, seq), self.person.id);
        if seq != known + 1 {
            self.run.found("events_missing", || format!("{who}: {seq} after {known}"));
        }
        if op == "ride.updated" {
            let newest = (frame.key.unwrap_or_default(), frame.ver.unwrap_or(0));
            if self.newest.0 == newest.0 && newest.1 < self.newest.1 {
                self.run
                    .found("backwards", || format!("{who}: {newest:?} after {:?}", self.newest));
            }
            self.newest = newest;
        }
        if seq > self.adopted && self.view.borrow_mut().hear(op, body).is_err() {
            self.run.found("unreadable", || format!("{op}: {body}"));
        }
    }
}
