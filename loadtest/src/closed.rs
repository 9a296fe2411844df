//! The closed loop: every caller has one command on its way, and sends the next with its answer.
//! For the benches that compare how much is done a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use futures_util::{StreamExt, TryStreamExt};
use tokio::task::JoinSet;

use crate::procs::{Processes, Used};
use crate::report::{Latencies, number};

/// Someone who moves things on, one command at a time.
pub(crate) trait Caller: Send + 'static {
    /// Waits until the next command may be sent: an offer has to be there before it is accepted.
    fn ready(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send {
        async { Ok(()) }
    }

    /// Sends the next command and waits for its answer.
    fn step(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// Whether the next command begins a ride, or is one by itself.
    fn is_between_rides(&self) -> bool {
        true
    }
}

/// What a run showed.
pub(crate) struct Run {
    pub(crate) count: usize,
    pub(crate) took: Duration,
    pub(crate) latencies: Latencies,
    pub(crate) used: Used,
}

impl Run {
    pub(crate) fn per_s(&self) -> f64 {
        number(self.count) / self.took.as_secs_f64()
    }
}

/// Rides at a time that only make things ready.
const AT_ONCE: usize = 200;

const WARMING: u8 = 0;
const MEASURING: u8 = 1;
const OVER: u8 = 2;

/// Runs all callers for as long as asked, after a fifth of that to get warm; gives them back when
/// each has ended its ride.
pub(crate) async fn run<C: Caller>(
    callers: Vec<C>,
    lasting: Duration,
    processes: Processes,
) -> anyhow::Result<(Run, Vec<C>)> {
    let phase = Arc::new(AtomicU8::new(WARMING));
    let mut calling = JoinSet::new();
    for caller in callers {
        calling.spawn(call(caller, Arc::clone(&phase)));
    }
    tokio::time::sleep(lasting / 5).await;
    let before = processes.used();
    let start = Instant::now();
    phase.store(MEASURING, Ordering::Relaxed);
    tokio::time::sleep(lasting).await;
    phase.store(OVER, Ordering::Relaxed);
    let took = start.elapsed();
    let used = processes.used().since(before);
    let (mut latencies, mut count, mut back) = (Latencies::new(), 0, Vec::new());
    while let Some(called) = calling.join_next().await {
        let (caller, took) = called??;
        count += took.len();
        took.into_iter().for_each(|took| latencies.record(took));
        back.push(caller);
    }
    Ok((Run { count, took, latencies, used }, back))
}

/// Lets every caller drive one ride, some at a time: all that is built at first use is there then.
pub(crate) async fn one_ride_each<C: Caller>(callers: Vec<C>) -> anyhow::Result<Vec<C>> {
    let rides = futures_util::stream::iter(callers).map(async |mut caller| {
        caller.step().await?;
        while !caller.is_between_rides() {
            caller.ready().await?;
            caller.step().await?;
        }
        anyhow::Ok(caller)
    });
    rides.buffer_unordered(AT_ONCE).try_collect().await
}

async fn call<C: Caller>(
    mut caller: C,
    phase: Arc<AtomicU8>,
) -> anyhow::Result<(C, Vec<Duration>)> {
    let mut answered = Vec::new();
    while phase.load(Ordering::Relaxed) != OVER || !caller.is_between_rides() {
        caller.ready().await?;
        let sent = Instant::now();
        caller.step().await?;
        if phase.load(Ordering::Relaxed) == MEASURING {
            answered.push(sent.elapsed());
        }
    }
    Ok((caller, answered))
}
