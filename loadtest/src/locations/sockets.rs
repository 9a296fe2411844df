//! Positions over WebSockets: the engine as a process of its own, a session a driver, one point a
//! frame.
//!
//! The senders must cost little, or they would be what is measured: frames are encoded once and
//! only their times and places change, several go out in one write, nobody waits for an
//! acknowledgement. So that nothing but the engine is the bottleneck, what was sent may be ahead
//! of what the engine says it applied by a window. Visibility is what an outsider sees: a
//! passenger who is told where their driver is, while everybody else sends at half the peak rate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use futures_util::StreamExt;
use tokio::task::JoinSet;

use super::probe::Probe;
use super::wire::Line;
use crate::report::{Latencies, Percentiles, load_average, number, say};
use crate::served::{self, Served};

/// Frames of a driver in one write where they are batched; each is one point and one update.
pub(super) const BURST: usize = 8;
/// Sessions that are opened at the same time.
const CONNECTING: usize = 32;
/// Tasks that send; each has its share of the drivers.
const SENDERS: usize = 2;
/// How often the window moves on.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Bursts of each driver that may be under way.
const WINDOW: u64 = 2;
const WARM_UP: Duration = Duration::from_secs(2);
const TEL_PER_S: &str = "1000000";

/// What was measured.
pub(super) struct Figures {
    /// Updates a CPU second of the engine, each frame in a write of its own, as phones send them.
    pub(super) per_core: f64,
    /// Updates a second of real time, at full speed.
    pub(super) per_s: f64,
    /// As `per_core`, with [`BURST`] frames a write: what batching in the network would save.
    pub(super) batched_per_core: f64,
    pub(super) visible: Percentiles,
}

/// What the senders and whoever paces them share.
struct Pace {
    sent: AtomicU64,
    /// Frames that may have been sent by now.
    allowed: AtomicU64,
    burst: AtomicU64,
    over: AtomicBool,
}

pub(super) async fn run(drivers: usize, lasting: Duration) -> anyhow::Result<Figures> {
    served::check_descriptors(drivers + 10)?;
    let dir = served::new_dir()?;
    let mut settings = served::common(&dir);
    settings.extend(served::settings([
        ("seed.enabled", "true"),
        ("session.tel_per_s", TEL_PER_S),
        ("session.tel_burst", TEL_PER_S),
        // Who connected first is silent until the last has.
        ("session.idle_ms", "300000"),
        ("session.active_ms", "300000"),
    ]));
    say("settings of the engine:");
    served::say_settings(&settings);
    let served = Served::start(settings).await?;
    let mut people = served.seed(drivers + 1, 1).await?;
    let driver = people.drivers.pop().context("no driver for the probe")?;
    let passenger = people.passengers.pop().context("no passenger for the probe")?;
    let pace = Arc::new(Pace {
        sent: AtomicU64::new(0),
        allowed: AtomicU64::new(0),
        burst: AtomicU64::new(u64::try_from(BURST)?),
        over: AtomicBool::new(false),
    });
    say(format!("connecting {drivers} drivers"));
    let mut lines: Vec<Vec<Line>> = (0..SENDERS).map(|_| Vec::new()).collect();
    let mut connecting = futures_util::stream::iter(people.drivers.iter().enumerate())
        .map(|(number, person)| Line::connect(served.address, person, number))
        .buffer_unordered(CONNECTING);
    let mut number = 0;
    while let Some(line) = connecting.next().await {
        lines[number % SENDERS].push(line?);
        number += 1;
    }
    drop(connecting);
    let mut senders = JoinSet::new();
    for lines in lines {
        senders.spawn(send(lines, Arc::clone(&pace)));
    }
    let mut probe = Probe::new(&served, driver, passenger).await?;
    let full = measure(&served, &pace, drivers, lasting).await?;
    say(format!(
        "{BURST} frames a write: {:.0} updates/s, {:.0} per engine core, load {}",
        full.0,
        full.1,
        load_average()
    ));
    pace.burst.store(1, Ordering::Relaxed);
    let single = measure(&served, &pace, drivers, lasting).await?;
    say(format!("1 frame a write: {:.0} updates/s, {:.0} per engine core", single.0, single.1));
    let visible = at_half_the_peak(&pace, single.0 / 2.0, lasting, &mut probe).await?;
    pace.over.store(true, Ordering::Relaxed);
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    served.end().await?;
    Ok(Figures {
        per_core: single.1,
        per_s: single.0,
        batched_per_core: full.1,
        visible: visible.percentiles(),
    })
}

/// Updates a second, and a CPU second of the engine, at full speed.
async fn measure(
    served: &Served,
    pace: &Pace,
    drivers: usize,
    lasting: Duration,
) -> anyhow::Result<(f64, f64)> {
    let burst = pace.burst.load(Ordering::Relaxed);
    let window = u64::try_from(drivers)? * burst * WINDOW;
    let base = applied(served).await?;
    let sent = pace.sent.load(Ordering::Relaxed);
    let begins = Instant::now() + WARM_UP;
    let mut from: Option<(Instant, f64, Duration)> = None;
    loop {
        let now = applied(served).await?;
        if let Some((began, count, cpu)) = from {
            if began.elapsed() >= lasting {
                let wall = began.elapsed().as_secs_f64();
                let used = served.cpu().saturating_sub(cpu).as_secs_f64();
                pace.allowed.store(0, Ordering::Relaxed);
                return Ok(((now - count) / wall, (now - count) / used));
            }
        } else if Instant::now() >= begins {
            from = Some((Instant::now(), now, served.cpu()));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count that only grows"
        )]
        let done = (now - base) as u64;
        pace.allowed.store(sent + done + window, Ordering::Relaxed);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn applied(served: &Served) -> anyhow::Result<f64> {
    served.metric(r#"ibora_positions_total{outcome="applied"}"#).await
}

/// Lets everybody send at `rate` while the probe looks.
async fn at_half_the_peak(
    pace: &Arc<Pace>,
    rate: f64,
    lasting: Duration,
    probe: &mut Probe,
) -> anyhow::Result<Latencies> {
    say(format!("visibility at {rate:.0} updates/s"));
    let (sent, began) =
        (number(usize::try_from(pace.sent.load(Ordering::Relaxed))?), Instant::now());
    let steady = Arc::clone(pace);
    let pacer = tokio::spawn(async move {
        loop {
            let due = sent + began.elapsed().as_secs_f64() * rate;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a count that only grows"
            )]
            steady.allowed.store(due as u64, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    tokio::time::sleep(WARM_UP).await;
    let seen = probe.look(lasting).await;
    pacer.abort();
    pace.allowed.store(0, Ordering::Relaxed);
    seen
}

/// Sends for its drivers, one after the other, as fast as it is allowed to.
async fn send(mut lines: Vec<Line>, pace: Arc<Pace>) -> anyhow::Result<()> {
    let mut next = 0;
    while !pace.over.load(Ordering::Relaxed) {
        let mut room = {
            let allowed = pace.allowed.load(Ordering::Relaxed);
            allowed.saturating_sub(pace.sent.load(Ordering::Relaxed))
        };
        let burst = pace.burst.load(Ordering::Relaxed);
        let frames = usize::try_from(burst)?;
        if room < burst {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        }
        let now = now_ms()?;
        // Looks at the clock and lets others run once in a while.
        for _ in 0..64 {
            if room < burst {
                break;
            }
            next = (next + 1) % lines.len();
            if lines[next].send(frames, now)? {
                pace.sent.fetch_add(burst, Ordering::Relaxed);
                room -= burst;
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn now_ms() -> anyhow::Result<u64> {
    Ok(u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?)
}
