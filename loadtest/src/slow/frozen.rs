//! Clients that never read. Each makes the engine push to it, so many bytes a second, until it is
//! cut off; then it comes back and freezes again, so that there always are as many.
//!
//! What a client can make the engine say most cheaply is what is wrong with a command: a frame of
//! some hundred bytes is answered with all its faults. How long a frozen client was carried is read
//! in the kernel's table: from the moment its queue in the engine's socket grew for the last time,
//! which is the first write that did not complete, to the moment the engine closed the socket.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ibora::bots::Person;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use uuid::Uuid;

use super::kernel;
use crate::backoff::Backoff;
use crate::client::{self, Client};
use crate::procs;
use crate::report::say;

/// What a client's socket takes although nobody reads; the kernel makes it a little more.
const RECEIVE_BUFFER: u32 = 4096;
/// Fields that a command does not have, and how long their names are: as many faults as are told.
const FAULTS: usize = 20;
const NAME: usize = 60;
/// Spread over the time for which one is carried: a crowd in step would ask, freeze and come back
/// in the same seconds again and again, which is another test, of floods.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);
const OPEN_WITHIN: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A queue that has not grown for this long is stuck.
const STUCK: Duration = Duration::from_secs(1);

/// What a client asks over and over, and how often.
#[derive(Clone)]
pub(super) struct Question {
    frame: Arc<[u8]>,
    every: Duration,
}

/// Frozen clients; they are gone when this is dropped.
pub(super) struct Frozen {
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

/// What was seen of the clients.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// The longest that one was carried, in seconds, whether it was cut off by now or not.
    pub(super) longest_s: f64,
    pub(super) cut_off: usize,
    /// Clients whose session ended before anything was stuck.
    pub(super) ended_early: usize,
    pub(super) stuck: usize,
    /// The most that waited in a socket of the engine, in bytes.
    pub(super) unsent_max: u64,
    /// The engine's memory at its highest, in kilobytes.
    pub(super) rss_kb_max: u64,
}

struct Shared {
    address: SocketAddr,
    question: Question,
    /// Clients by their port.
    watched: Mutex<HashMap<u16, Watched>>,
    seen: Mutex<Seen>,
}

struct Watched {
    unsent: u64,
    /// When that last changed.
    since: Instant,
    /// Tells the client that it was cut off.
    cut: oneshot::Sender<()>,
}

impl Question {
    /// Tries it once, to know how often it makes so many bytes a second.
    pub(super) async fn find(
        address: SocketAddr,
        person: &Person,
        bytes_per_s: u32,
    ) -> anyhow::Result<Self> {
        let field = |number: usize| (format!("{number:0NAME$}"), Value::from(0));
        let fields: Map<String, Value> = (0..FAULTS).map(field).collect();
        let id = Uuid::now_v7();
        let text = client::command(id, ("ride.cancel", Some(id)), &Value::Object(fields));
        let (mut session, _) = Client::open(address, person, (Uuid::now_v7(), None)).await?;
        session.send(&text).await?;
        let answer = session.next_length().await?;
        let frame = client::framed(text.as_bytes())?.into();
        let every = Duration::from_secs(1) * u32::try_from(answer)? / bytes_per_s;
        say(format!(
            "each asks every {} ms with {} bytes, and is answered with {answer}",
            every.as_millis(),
            text.len()
        ));
        Ok(Self { frame, every })
    }
}

impl Frozen {
    pub(super) fn start(
        address: SocketAddr,
        people: &[Person],
        question: &Question,
        engine_pid: u32,
    ) -> Self {
        let question = question.clone();
        let (watched, seen) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { address, question, watched, seen });
        let mut tasks = JoinSet::new();
        for person in people {
            tasks.spawn(freeze(Arc::clone(&shared), person.clone()));
        }
        tasks.spawn(watch(Arc::clone(&shared), engine_pid));
        Self { shared, _tasks: tasks }
    }

    pub(super) fn seen(&self) -> Seen {
        *self.shared.seen.lock()
    }
}

/// Freezes again and again.
async fn freeze(shared: Arc<Shared>, person: Person) {
    let mut backoff = Backoff::default();
    tokio::time::sleep(BEGIN_WITHIN.mul_f64(rand::random_range(0.0..1.0))).await;
    loop {
        let opening = tokio::time::timeout(OPEN_WITHIN, open(shared.address, &person)).await;
        if let Ok(Ok(stream)) = opening {
            backoff.reset();
            // An error is the engine's cut, which has been seen when it is here.
            until_cut(&shared, stream).await.ok();
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}

/// A session whose connection holds little.
async fn open(address: SocketAddr, person: &Person) -> anyhow::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    let mut client = Client::over(socket.connect(address).await?, address).await?;
    client.hello(person, Uuid::now_v7(), None).await?;
    Ok(client.into_stream())
}

/// Asks and never reads, until the engine has closed the socket.
async fn until_cut(shared: &Shared, stream: TcpStream) -> anyhow::Result<()> {
    let port = stream.local_addr()?.port();
    let (cut, mut is_cut) = oneshot::channel();
    let watched = Watched { unsent: 0, since: Instant::now(), cut };
    shared.watched.lock().insert(port, watched);
    let Question { frame, every } = &shared.question;
    let mut asks = tokio::time::interval(*every);
    asks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // What the socket did not take of the last question.
    let mut rest: &[u8] = &[];
    loop {
        tokio::select! {
            seen = &mut is_cut => return Ok(seen?),
            _ = asks.tick() => {}
        }
        if rest.is_empty() {
            rest = frame;
        }
        // An error is told by the kernel's table, too.
        if let Ok(written) = stream.try_write(rest) {
            rest = &rest[written..];
        }
    }
}

/// Looks at the engine's sockets and its memory.
async fn watch(shared: Arc<Shared>, engine_pid: u32) {
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let rss_kb = procs::rss_kb(engine_pid).unwrap_or(0);
        let Ok(sockets) = kernel::open_sockets(shared.address) else { continue };
        let now = Instant::now();
        let mut seen = shared.seen.lock();
        seen.rss_kb_max = seen.rss_kb_max.max(rss_kb);
        seen.stuck = 0;
        let mut cut = Vec::new();
        let mut watched = shared.watched.lock();
        for (port, client) in watched.iter_mut() {
            let carried = now.duration_since(client.since);
            match sockets.get(port) {
                Some(queue) if queue.unsent != client.unsent => {
                    (client.unsent, client.since) = (queue.unsent, now);
                    seen.unsent_max = seen.unsent_max.max(queue.unsent);
                }
                Some(_) => {
                    if client.unsent > 0 && carried >= STUCK {
                        seen.stuck += 1;
                        seen.longest_s = seen.longest_s.max(carried.as_secs_f64());
                    }
                }
                None => {
                    cut.push(*port);
                    if client.unsent > 0 {
                        seen.cut_off += 1;
                        seen.longest_s = seen.longest_s.max(carried.as_secs_f64());
                    } else {
                        seen.ended_early += 1;
                    }
                }
            }
        }
        for client in cut.iter().filter_map(|port| watched.remove(port)) {
            // It may be gone already.
            client.cut.send(()).ok();
        }
    }
}

/// Waits until almost everybody was stuck once, or until it seems that nobody will be.
pub(super) async fn all_frozen(frozen: &Frozen, count: usize) {
    const WITHIN: Duration = Duration::from_secs(30);
    let deadline = Instant::now() + WITHIN;
    let wanted = count - count / 10;
    loop {
        let Seen { stuck, cut_off, ended_early, unsent_max, .. } = frozen.seen();
        if stuck + cut_off >= wanted {
            return;
        }
        if Instant::now() >= deadline {
            return say(format!(
                "  after {} s {stuck} of {count} clients are stuck, {cut_off} were cut off, \
                 {ended_early} sessions ended before; a socket of the engine holds up to \
                 {unsent_max} bytes",
                WITHIN.as_secs()
            ));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
