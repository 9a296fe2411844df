//! The database protocol as far as it takes to lose a commit: its request, or its answer.
//!
//! A piece upwards is a whole request (all up to `Sync`, or one simple query), downwards a message.
//! What is lost is told by [`Losses`], shared by all links of a proxy. No TLS.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Fate, Judge, Judges, Way};

/// First words of connections that are no session yet.
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// What a client asks the database for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// A call of `journal_write`.
    Write,
    /// `COMMIT`.
    Commit,
}

/// Which part of it gets lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Request,
    /// The answer, when the request was carried out.
    Reply,
}

/// What is to get lost.
#[derive(Debug, Clone, Copy)]
struct Loss {
    request: Request,
    part: Part,
    fate: Fate,
}

/// Losses that are to come, shared by whoever orders them and the links of a proxy.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    ordered: Arc<Mutex<Vec<Loss>>>,
    slower_by: Arc<Mutex<Duration>>,
}

impl Losses {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The judges for a proxy in front of the database.
    #[must_use]
    pub fn judges(&self) -> Judges {
        let losses = self.clone();
        Arc::new(move || Box::new(Postgres::new(losses.clone())))
    }

    /// Loses this part of the next `count` such requests; `fate` says what becomes of their links.
    pub fn order(&self, count: usize, request: Request, part: Part, fate: Fate) {
        let loss = Loss { request, part, fate };
        self.ordered.lock().extend(std::iter::repeat_n(loss, count));
    }

    /// Lets every statement take so much longer, those that open a session excepted.
    pub fn slow_down(&self, by: Duration) {
        *self.slower_by.lock() = by;
    }

    /// Losses that are still to come.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.ordered.lock().len()
    }

    fn take(&self, request: Request) -> Option<Loss> {
        let mut ordered = self.ordered.lock();
        let at = ordered.iter().position(|loss| loss.request == request)?;
        Some(ordered.remove(at))
    }
}

/// Follows one session of the database.
struct Postgres {
    losses: Losses,
    stage: Stage,
    /// Prepared statements that write the journal, by name.
    writing: HashSet<Vec<u8>>,
    /// What becomes of the answer that is under way.
    reply: Option<Fate>,
}

#[derive(PartialEq, Eq)]
enum Stage {
    /// Messages have no type yet.
    Opening,
    /// The next byte from the database says whether it speaks TLS.
    AskedForTls,
    Session,
}

impl Postgres {
    fn new(losses: Losses) -> Self {
        Self { losses, stage: Stage::Opening, writing: HashSet::new(), reply: None }
    }

    /// Reads a request; notes the statements that it prepares. `None`: it makes nothing durable.
    fn read(&mut self, request: &[u8]) -> Option<Request> {
        let mut found = None;
        for (kind, body) in messages(request) {
            match kind {
                b'P' => {
                    let (name, rest) = text(body);
                    let (query, _) = text(rest);
                    if contains(query, b"journal_write") {
                        self.writing.insert(name.to_vec());
                    }
                }
                b'B' => {
                    let (_portal, rest) = text(body);
                    let (statement, _) = text(rest);
                    if self.writing.contains(statement) {
                        found = Some(Request::Write);
                    }
                }
                b'Q' if text(body).0.eq_ignore_ascii_case(b"COMMIT") => {
                    found = Some(Request::Commit);
                }
                _ => {}
            }
        }
        found
    }
}

impl Judge for Postgres {
    fn piece(&mut self, way: Way, bytes: &[u8]) -> Option<usize> {
        match (&self.stage, way) {
            (Stage::Opening, Way::Up) => {
                let length = number(bytes.get(..4)?);
                (bytes.len() >= length).then_some(length)
            }
            (Stage::AskedForTls, Way::Down) => Some(1),
            // Requests end where the client waits for an answer; passwords are requests too.
            (_, Way::Up) => {
                let mut at = 0;
                loop {
                    let end = at + message(&bytes[at..])?;
                    if matches!(bytes[at], b'S' | b'Q' | b'p' | b'X' | b'H') {
                        return Some(end);
                    }
                    at = end;
                }
            }
            (_, Way::Down) => message(bytes),
        }
    }

    fn fate(&mut self, way: Way, piece: &[u8]) -> Fate {
        match (&self.stage, way) {
            (Stage::Opening, Way::Up) => {
                let code = piece.get(4..8).map_or(0, number);
                let asks = [SSL_REQUEST, GSS_REQUEST].iter().any(|ask| usize_of(*ask) == code);
                self.stage = if asks { Stage::AskedForTls } else { Stage::Session };
                Fate::Pass
            }
            (Stage::AskedForTls, Way::Down) => {
                self.stage = Stage::Opening;
                Fate::Pass
            }
            (_, Way::Up) => match self.read(piece).and_then(|request| self.losses.take(request)) {
                Some(Loss { part: Part::Request, fate, .. }) => fate,
                Some(Loss { part: Part::Reply, fate, .. }) => {
                    self.reply = Some(fate);
                    Fate::Pass
                }
                None if is_statement(piece) => Fate::Late(*self.losses.slower_by.lock()),
                None => Fate::Pass,
            },
            // A transaction is over, its way or another, when the database is ready for the next.
            (_, Way::Down) => match self.reply {
                Some(_) if piece.first() != Some(&b'Z') => Fate::Lose,
                Some(fate) => {
                    self.reply = None;
                    fate
                }
                None => Fate::Pass,
            },
        }
    }
}

/// Whether a request has something carried out.
fn is_statement(request: &[u8]) -> bool {
    messages(request).any(|(kind, _)| matches!(kind, b'E' | b'Q'))
}

/// The length of the first message, once it is whole.
fn message(bytes: &[u8]) -> Option<usize> {
    let length = 1 + number(bytes.get(1..5)?);
    (bytes.len() >= length).then_some(length)
}

/// Type and body of each message.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    std::iter::from_fn(move || {
        let length = message(bytes)?;
        let (first, rest) = bytes.split_at(length);
        bytes = rest;
        Some((first[0], &first[5..]))
    })
}

fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |number, byte| (number << 8) | usize::from(*byte))
}

fn usize_of(code: u32) -> usize {
    number(&code.to_be_bytes())
}

/// A text that ends with a zero, and what is behind it.
fn text(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == 0) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, &[]),
    }
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}
