//! Clients that never read. Each makes the engine push to it, so many bytes a second, until it is
//! cut off; then it comes back and freezes again, so that there always are as many.
//!
//! What a client can make the engine say most cheaply is that it does not know the names which the
//! client made up: each is told, of at most twenty, and nothing is done. Some commands are sent at
//! once, as by an app that was held up: what is looked for is what clients cost that do not read,
//! not what so many small packets do. How long a frozen client was carried is asked of
//! the kernel: from the moment its queue in the engine's socket grew for the last time, which is
//! the first write that did not complete, to the moment the engine closed the socket. It comes back
//! a little later than the contract asks of a client that was cut off, which is at once.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ibora::bots::Person;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};
use uuid::Uuid;

use super::kernel::Kernel;
use crate::backoff::Backoff;
use crate::client::{self, Client};
use crate::procs;
use crate::report::say;

/// What a client's socket takes although nobody reads; the kernel makes it a little more.
const RECEIVE_BUFFER: u32 = 4096;
/// As many faults as an answer tells, each with as long a name as it repeats.
const NAMES: usize = 20;
const NAME_CHARS: usize = 40;
/// About as often a second a client asks, each time as much as it takes.
const ASKS_A_SECOND: u32 = 4;
/// Spread over the time for which one is carried: a crowd in step would ask, freeze and come back
/// in the same seconds again and again, which is another test, of floods.
const BEGIN_WITHIN: Duration = Duration::from_secs(10);
const OPEN_WITHIN: Duration = Duration::from_secs(15);
/// Each client is looked at by itself, at its own moments: seen all at once to be cut off, they
/// would also come back at once.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// One that is stuck is looked at less often, and the closer the longer it was carried, of what is
/// promised: each look is a question to the kernel, and witnesses would wait for thousands of them
/// a second.
const CARRIED_MAX: Duration = Duration::from_secs(10);
const LOOK_CLOSELY: Duration = Duration::from_millis(100);
/// Looks fall on moments that are so far apart, several on each: to wake up for every one of a
/// thousand clients would cost the machine more than to look.
const LOOKS_APART: Duration = Duration::from_millis(10);
/// A queue that has not grown for this long is stuck.
const STUCK: Duration = Duration::from_secs(1);

/// What a client asks over and over, and how often.
#[derive(Clone)]
pub(super) struct Question {
    frames: Arc<[u8]>,
    every: Duration,
}

/// Frozen clients; they go when this is dropped. They have a thread of their own: who measures
/// shares the machine with them, and no more.
pub(super) struct Frozen {
    shared: Arc<Shared>,
    thread: Option<Runtime>,
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
    /// Clients whose session is open, and their sum over looks at all.
    open: usize,
    open_sum: usize,
    looks: usize,
    /// The most that waited in a socket of the engine, in bytes.
    pub(super) unsent_max: u32,
    /// The engine's memory at its highest, in kilobytes.
    pub(super) rss_kb_max: u64,
}

struct Shared {
    address: SocketAddr,
    question: Question,
    kernel: Kernel,
    begun: Instant,
    seen: Mutex<Seen>,
}

/// An open client, seen from outside.
struct Watched<'a> {
    shared: &'a Shared,
    client: SocketAddr,
    unsent: u32,
    /// When that last changed.
    since: Instant,
    /// Whether it changed between the last two looks: the engine still says something.
    grows: bool,
    is_stuck: bool,
}

impl Question {
    /// Tries it once, to know how often it makes so many bytes a second.
    pub(super) async fn find(
        address: SocketAddr,
        person: &Person,
        bytes_per_s: u32,
    ) -> anyhow::Result<Self> {
        let name = |at| (format!("{at:0>NAME_CHARS$}"), Value::Null);
        let made_up = Value::Object((0..NAMES).map(name).collect());
        let text = client::command(Uuid::now_v7(), ("driver.offline", None), &made_up);
        let (mut session, _) = Client::open(address, person, (Uuid::now_v7(), None)).await?;
        session.send(&text).await?;
        let answer = u32::try_from(session.next_length().await?)?;
        let at_once = (bytes_per_s / ASKS_A_SECOND / answer).max(1);
        let frames = client::framed(text.as_bytes())?.repeat(usize::try_from(at_once)?);
        let every = Duration::from_secs(1) * answer * at_once / bytes_per_s;
        say(format!(
            "each asks {at_once} times every {} ms with {} bytes, and is answered with {answer}",
            every.as_millis(),
            text.len()
        ));
        Ok(Self { frames: frames.into(), every })
    }
}

impl Seen {
    /// How many clients were open at a time, in the mean.
    pub(super) fn open_mean(&self) -> usize {
        self.open_sum / self.looks.max(1)
    }
}

impl Frozen {
    pub(super) fn start(
        address: SocketAddr,
        people: &[Person],
        question: &Question,
        engine_pid: u32,
    ) -> anyhow::Result<Self> {
        let (question, kernel) = (question.clone(), Kernel::open()?);
        let (begun, seen) = (Instant::now(), Mutex::default());
        let shared = Arc::new(Shared { address, question, kernel, begun, seen });
        let thread = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        for person in people {
            thread.spawn(freeze(Arc::clone(&shared), person.clone()));
        }
        thread.spawn(watch(Arc::clone(&shared), engine_pid));
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn seen(&self) -> Seen {
        *self.shared.seen.lock()
    }

    /// Counts anew how many are open: a window begins.
    pub(super) fn count_anew(&self) {
        let mut seen = self.shared.seen.lock();
        (seen.open_sum, seen.looks) = (0, 0);
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Not waited for: this is a task of another runtime.
            thread.shutdown_background();
        }
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
            // An error is a kernel that tells nothing, of which then nothing is counted.
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

/// Asks and never reads, until the engine has closed the socket. Nothing is asked any more once
/// the engine says no more: what is sent then only costs the machine that both are on.
async fn until_cut(shared: &Shared, stream: TcpStream) -> anyhow::Result<()> {
    let mut watched = Watched::begin(shared, stream.local_addr()?);
    let Question { frames, every } = &shared.question;
    let mut asks = interval(*every);
    asks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut look = std::pin::pin!(sleep_until(shared.look_after(LOOK_EVERY)));
    // What the socket did not take of the last questions.
    let mut rest: &[u8] = &[];
    loop {
        tokio::select! {
            () = &mut look => {
                if watched.is_cut()? {
                    return Ok(());
                }
                look.set(sleep_until(shared.look_after(watched.pause())));
            }
            _ = asks.tick(), if watched.grows => {
                if rest.is_empty() {
                    rest = frames;
                }
                // An error is told by the kernel, too.
                if let Ok(written) = stream.try_write(rest) {
                    rest = &rest[written..];
                }
            }
        }
    }
}

impl Shared {
    /// The first moment for a look that is so far away.
    fn look_after(&self, pause: Duration) -> Instant {
        let at = self.begun.elapsed() + pause;
        let beyond = at.as_nanos() % LOOKS_APART.as_nanos();
        let beyond = Duration::from_nanos(u64::try_from(beyond).unwrap_or(0));
        self.begun + at + (LOOKS_APART - beyond)
    }
}

impl<'a> Watched<'a> {
    fn begin(shared: &'a Shared, client: SocketAddr) -> Self {
        shared.seen.lock().open += 1;
        Self { shared, client, unsent: 0, since: Instant::now(), grows: true, is_stuck: false }
    }

    /// How long until it is to be looked at again.
    fn pause(&self) -> Duration {
        let left = CARRIED_MAX.saturating_sub(self.since.elapsed());
        if self.is_stuck { (left / 4).max(LOOK_CLOSELY) } else { LOOK_EVERY }
    }

    /// Looks whether the engine has closed the socket, and at what waits in it.
    fn is_cut(&mut self) -> anyhow::Result<bool> {
        let unsent = self.shared.kernel.unsent(self.shared.address, self.client)?;
        let carried = self.since.elapsed();
        self.grows = self.unsent == 0 || unsent.is_some_and(|unsent| unsent != self.unsent);
        let mut seen = self.shared.seen.lock();
        match unsent {
            Some(unsent) if unsent != self.unsent => {
                (self.unsent, self.since) = (unsent, Instant::now());
                seen.unsent_max = seen.unsent_max.max(unsent);
            }
            Some(_) if self.unsent > 0 && carried >= STUCK => {
                if !self.is_stuck {
                    self.is_stuck = true;
                    seen.stuck += 1;
                }
                seen.longest_s = seen.longest_s.max(carried.as_secs_f64());
            }
            Some(_) => {}
            None if self.unsent > 0 => {
                seen.cut_off += 1;
                seen.longest_s = seen.longest_s.max(carried.as_secs_f64());
            }
            None => seen.ended_early += 1,
        }
        Ok(unsent.is_none())
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        let mut seen = self.shared.seen.lock();
        seen.open -= 1;
        seen.stuck -= usize::from(self.is_stuck);
    }
}

/// Looks at the engine's memory, and at how many are open.
async fn watch(shared: Arc<Shared>, engine_pid: u32) {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let rss_kb = procs::rss_kb(engine_pid).unwrap_or(0);
        let mut seen = shared.seen.lock();
        seen.rss_kb_max = seen.rss_kb_max.max(rss_kb);
        seen.open_sum += seen.open;
        seen.looks += 1;
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
