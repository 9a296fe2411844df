//! The open loop: commands are due on schedule, whatever the answers do. One that finds nobody free
//! waits, and its time counts from when it was due: no omission is coordinated away.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::closed::Caller;
use crate::report::{Latencies, Percentiles};

/// Those who are free, and the commands that wait for one of them.
struct Stage<C> {
    queues: Mutex<Queues<C>>,
    all_back: Notify,
}

struct Queues<C> {
    free: VecDeque<C>,
    due: VecDeque<Instant>,
    /// Callers who are not back yet.
    out: usize,
    latencies: Latencies,
    failure: Option<anyhow::Error>,
    measured_from: Instant,
}

/// Sends `rate` commands a second for as long as asked, after a fifth of that to get warm.
pub(super) async fn run<C: Caller>(
    callers: Vec<C>,
    rate: u32,
    lasting: Duration,
) -> anyhow::Result<(Percentiles, Vec<C>)> {
    let count = callers.len();
    let measured_from = Instant::now() + lasting / 5;
    let queues = Mutex::new(Queues {
        free: callers.into(),
        due: VecDeque::new(),
        out: 0,
        latencies: Latencies::new(),
        failure: None,
        measured_from,
    });
    let stage = Arc::new(Stage { queues, all_back: Notify::new() });
    let (pacing, handle) = (Arc::clone(&stage), Handle::current());
    let until = measured_from + lasting;
    // A thread sleeps more exactly than a timer wheel of milliseconds ticks.
    tokio::task::spawn_blocking(move || pace(&pacing, &handle, rate, until)).await?;
    let back = async {
        while stage.queues.lock().out > 0 {
            stage.all_back.notified().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), back).await.context("answers are missing")?;
    let mut queues = stage.queues.lock();
    if let Some(failure) = queues.failure.take() {
        return Err(failure);
    }
    let callers: Vec<C> = queues.free.drain(..).collect();
    anyhow::ensure!(callers.len() == count, "callers are missing");
    Ok((queues.latencies.percentiles(), callers))
}

fn pace<C: Caller>(stage: &Arc<Stage<C>>, handle: &Handle, rate: u32, until: Instant) {
    let start = Instant::now();
    let each = Duration::from_secs(1) / rate;
    for number in 0.. {
        let due = start + each * number;
        if due >= until {
            return;
        }
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let mut queues = stage.queues.lock();
        match queues.free.pop_front() {
            Some(caller) => {
                queues.out += 1;
                handle.spawn(serve(caller, due, Arc::clone(stage)));
            }
            None => queues.due.push_back(due),
        }
    }
}

/// Sends a caller's next command, and those that have been waiting for somebody.
async fn serve<C: Caller>(mut caller: C, mut due: Instant, stage: Arc<Stage<C>>) {
    loop {
        let outcome = caller.step().await;
        let took = due.elapsed();
        // Getting ready is the other side's time: it is on nobody's clock.
        let outcome = match outcome {
            Ok(()) => caller.ready().await,
            failed => failed,
        };
        let mut queues = stage.queues.lock();
        if due >= queues.measured_from {
            queues.latencies.record(took);
        }
        if let Err(failure) = outcome {
            queues.failure.get_or_insert(failure);
        }
        if let Some(waiting) = queues.due.pop_front() {
            due = waiting;
            continue;
        }
        queues.free.push_back(caller);
        queues.out -= 1;
        if queues.out == 0 {
            stage.all_back.notify_one();
        }
        return;
    }
}
