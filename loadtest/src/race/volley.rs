//! One volley: a ride a lane, set up, raced for, and cleared away.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Barrier;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::audit::{ACCEPTED, Told};
use crate::procs::{Processes, Used};
use crate::report::Latencies;

/// Someone who lets drivers race: the engine or a peer.
pub(super) trait Racer: Send + Sync + 'static {
    fn name(&self) -> &'static str;

    /// The id of a new accept.
    fn command(&self) -> String {
        format!("accept-{}", Uuid::now_v7())
    }

    /// Makes a ride that every driver of the lane may accept, and returns when they may.
    fn set_up(&self, lane: usize) -> impl Future<Output = anyhow::Result<Uuid>> + Send;

    /// The accept of one driver of the lane: the word he is told, [`ACCEPTED`] if he has won.
    fn accept(
        &self,
        lane: usize,
        racer: usize,
        ride_and_command: (Uuid, &str),
    ) -> impl Future<Output = anyhow::Result<&'static str>> + Send;

    /// The person behind a driver of a lane.
    fn driver(&self, lane: usize, racer: usize) -> Uuid;

    /// Ends the ride; returns when all its drivers are free for the next.
    fn clear(&self, ride: Uuid) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// What a volley showed.
pub(super) struct Volley {
    pub(super) spans: Vec<(Instant, Instant)>,
    pub(super) winners: Latencies,
    pub(super) losers: Latencies,
    pub(super) told: Vec<Told>,
    pub(super) used: Used,
}

/// What one lane showed.
struct Lane {
    span: (Instant, Instant),
    answers: Vec<(Duration, Told)>,
}

impl Volley {
    /// A volley whose CPU time nobody asks for.
    pub(super) async fn run<R: Racer>(
        racer: &Arc<R>,
        lanes: usize,
        drivers: usize,
    ) -> anyhow::Result<Self> {
        let nobody = Processes { postmaster: 0, redis: None, engine: None };
        Self::measured(racer, lanes, drivers, nobody).await
    }

    pub(super) async fn measured<R: Racer>(
        racer: &Arc<R>,
        lanes: usize,
        drivers: usize,
        processes: Processes,
    ) -> anyhow::Result<Self> {
        let rides = each_lane(lanes, |lane| {
            let racer = Arc::clone(racer);
            async move { racer.set_up(lane).await }
        })
        .await?;
        let before = processes.used();
        let released = Arc::new(Barrier::new(lanes));
        let raced = each_lane(lanes, |lane| {
            let (racer, released) = (Arc::clone(racer), Arc::clone(&released));
            let ride = rides[lane];
            async move { race(&*racer, (lane, drivers), ride, &released).await }
        })
        .await?;
        let used = processes.used().since(before);
        each_lane(lanes, |lane| {
            let racer = Arc::clone(racer);
            let ride = rides[lane];
            async move { racer.clear(ride).await }
        })
        .await?;
        Ok(Self::of(raced, used))
    }

    fn of(lanes: Vec<Lane>, used: Used) -> Self {
        let (mut winners, mut losers) = (Latencies::new(), Latencies::new());
        let mut told = Vec::new();
        let spans = lanes.iter().map(|lane| lane.span).collect();
        for (took, answer) in lanes.into_iter().flat_map(|lane| lane.answers) {
            if answer.word == ACCEPTED {
                winners.record(took);
            } else {
                losers.record(took);
            }
            told.push(answer);
        }
        Self { spans, winners, losers, told, used }
    }
}

/// Does something on every lane at the same time; the results in the order of the lanes.
async fn each_lane<T, F>(lanes: usize, work: impl Fn(usize) -> F) -> anyhow::Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = anyhow::Result<T>> + Send + 'static,
{
    let mut working = JoinSet::new();
    for lane in 0..lanes {
        let work = work(lane);
        working.spawn(async move { anyhow::Ok((lane, work.await?)) });
    }
    let mut results = Vec::with_capacity(lanes);
    while let Some(result) = working.join_next().await {
        results.push(result??);
    }
    results.sort_by_key(|(lane, _)| *lane);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

async fn race<R: Racer>(
    racer: &R,
    (lane, drivers): (usize, usize),
    ride: Uuid,
    released: &Barrier,
) -> anyhow::Result<Lane> {
    let commands: Vec<String> = (0..drivers).map(|_| racer.command()).collect();
    let mut answers = Vec::with_capacity(drivers);
    released.wait().await;
    let start = Instant::now();
    let mut accepts: FuturesUnordered<_> = commands
        .iter()
        .enumerate()
        .map(async |(number, command)| {
            let word = racer.accept(lane, number, (ride, command)).await;
            (number, word, start.elapsed())
        })
        .collect();
    while let Some((number, word, took)) = accepts.next().await {
        answers.push((number, word?, took));
    }
    let span = (start, Instant::now());
    drop(accepts);
    let told = |(number, word, took): (usize, &'static str, Duration)| {
        let driver = racer.driver(lane, number);
        (took, Told { ride, driver, command: commands[number].clone(), word })
    };
    Ok(Lane { span, answers: answers.into_iter().map(told).collect() })
}
