//! What happens to engines and database: the kinds of faults, their order, and how each is done.
//!
//! One at a time, each until an engine is ready again: `/ready` says so, and a command is recorded
//! and answered. The order comes from the seed: every kind
//! once, in some order, then every kind again.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use ibora::bots::Person;
use ibora_loadtest::proxy::postgres::{Losses, Part, Request};
use ibora_loadtest::proxy::{Fate, FaultProxy, Way};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use sqlx::PgPool;

use super::database::{Postgres, Stop};
use super::engines::{Engines, FENCED};
use super::run::Run;
use crate::report::{Latencies, Percentiles, say};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(super) enum Kind {
    /// kill -9, and the same engine again at once.
    Kill,
    /// kill -9, and the engine that stands by takes over.
    KillFailover,
    /// SIGTERM, and the engine that stands by takes over: a deploy.
    Sigterm,
    /// SIGSTOP past the lease, then SIGCONT.
    Sigstop,
    PgRestart,
    PgStop,
    PgSlow,
    /// Statements are ended by the database, as after a deadlock.
    PgCancel,
    HalfOpen,
    LostCommitRequest,
    LostCommitReply,
}

impl Kind {
    pub(super) const ALL: [Self; 11] = [
        Self::Kill,
        Self::KillFailover,
        Self::Sigterm,
        Self::Sigstop,
        Self::PgRestart,
        Self::PgStop,
        Self::PgSlow,
        Self::PgCancel,
        Self::HalfOpen,
        Self::LostCommitRequest,
        Self::LostCommitReply,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::KillFailover => "kill_failover",
            Self::Sigterm => "sigterm",
            Self::Sigstop => "sigstop",
            Self::PgRestart => "pg_restart",
            Self::PgStop => "pg_stop",
            Self::PgSlow => "pg_slow",
            Self::PgCancel => "pg_cancel",
            Self::HalfOpen => "half_open",
            Self::LostCommitRequest => "lost_commit_request",
            Self::LostCommitReply => "lost_commit_reply",
        }
    }
}

/// Kills among each round of all kinds, beside the one that is there anyway: they are the cheapest.
const MORE_KILLS: usize = 3;
/// Between two faults everybody has so long to come to rest.
const REST_MS: std::ops::Range<u64> = 800..2500;
/// A statement of a slow database.
const SLOW: Duration = Duration::from_secs(2);

/// Everything that faults are done to.
pub(super) struct Faults {
    pub(super) run: Rc<Run>,
    pub(super) engines: Engines,
    pub(super) database: Postgres,
    /// Between the engines and the database.
    pub(super) proxy: FaultProxy,
    pub(super) losses: Losses,
    pub(super) pool: PgPool,
    /// A driver who does nothing but ask whether commands are taken.
    probe: Person,
    rng: StdRng,
    kinds: Vec<Kind>,
    bag: Vec<Kind>,
    done: BTreeMap<&'static str, u64>,
    /// From the end of a fault, or from a kill, to an engine that works, by kind.
    ready_again: BTreeMap<&'static str, Latencies>,
}

/// What a run with faults did and measured.
pub(super) struct Tally {
    pub(super) done: BTreeMap<&'static str, u64>,
    pub(super) ready_again: BTreeMap<&'static str, Percentiles>,
}

impl Faults {
    pub(super) fn new(
        run: &Rc<Run>,
        engines: Engines,
        (database, pool): (Postgres, PgPool),
        (proxy, losses): (FaultProxy, Losses),
        (probe, kinds, seed): (Person, Vec<Kind>, u64),
    ) -> Self {
        let rng = StdRng::seed_from_u64(seed ^ 0xfa01_7500);
        let done = Kind::ALL.iter().map(|kind| (kind.name(), 0)).collect();
        Self {
            run: Rc::clone(run),
            engines,
            database,
            proxy,
            losses,
            pool,
            probe,
            rng,
            kinds,
            bag: Vec::new(),
            done,
            ready_again: BTreeMap::new(),
        }
    }

    /// One fault after the other for as long.
    pub(super) async fn go_on(&mut self, length: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + length;
        loop {
            let rest = Duration::from_millis(self.rng.random_range(REST_MS));
            tokio::time::sleep(rest).await;
            if Instant::now() >= until {
                return Ok(());
            }
            let kind = self.next();
            say(format!("  {}", kind.name()));
            self.run.truth.disturbed(true);
            let ended = self.strike(kind).await?;
            self.engines.work(&self.run, &self.probe).await?;
            if let Some(ended) = ended {
                let took = ended.elapsed();
                self.ready_again.entry(kind.name()).or_insert_with(Latencies::new).record(took);
            }
            self.engines.tend(&self.run)?;
            self.run.truth.disturbed(false);
            *self.done.entry(kind.name()).or_default() += 1;
        }
    }

    pub(super) fn tally(&self) -> Tally {
        let percentiles = |(kind, times): (&&'static str, &Latencies)| (*kind, times.percentiles());
        Tally {
            done: self.done.clone(),
            ready_again: self.ready_again.iter().map(percentiles).collect(),
        }
    }

    fn next(&mut self) -> Kind {
        if self.bag.is_empty() {
            self.bag = self.kinds.clone();
            if self.kinds.contains(&Kind::Kill) {
                self.bag.extend([Kind::Kill; MORE_KILLS]);
            }
            self.bag.shuffle(&mut self.rng);
        }
        self.bag.pop().unwrap_or(Kind::Kill)
    }

    /// Does it; when it was over, and it only remains to be waited until an engine is ready.
    async fn strike(&mut self, kind: Kind) -> anyhow::Result<Option<Instant>> {
        match kind {
            Kind::Kill => {
                let killed = Instant::now();
                self.engines.kill_and_spawn()?;
                return Ok(Some(killed));
            }
            Kind::KillFailover => {
                let killed = (Instant::now(), self.engines.at_work);
                self.engines.kill()?;
                self.engines.other_takes_over(&self.run).await?;
                self.took_over(kind, killed.0);
                self.engines.spawn_again(killed.1)?;
                return Ok(None);
            }
            Kind::Sigterm => self.deploy().await?,
            Kind::Sigstop => self.freeze().await?,
            Kind::PgRestart => {
                self.database.stop(Stop::Immediate).await?;
                self.database.launch().await?;
                return Ok(Some(Instant::now()));
            }
            Kind::PgStop => {
                self.database.stop(Stop::Fast).await?;
                self.pause(2000..7000).await;
                self.database.launch().await?;
                return Ok(Some(Instant::now()));
            }
            Kind::PgSlow => {
                self.proxy.delay(Way::Up, SLOW);
                self.pause(3000..6000).await;
                self.proxy.delay(Way::Up, Duration::ZERO);
                return Ok(Some(Instant::now()));
            }
            Kind::PgCancel => self.cancel().await,
            Kind::HalfOpen => {
                self.proxy.hold(true);
                self.pause(300..3000).await;
                self.proxy.hold(false);
                return Ok(Some(Instant::now()));
            }
            Kind::LostCommitRequest => self.lose(Part::Request).await,
            Kind::LostCommitReply => self.lose(Part::Reply).await,
        }
        Ok(match kind {
            Kind::Sigterm | Kind::Sigstop => None,
            _ => Some(Instant::now()),
        })
    }

    fn took_over(&mut self, kind: Kind, since: Instant) {
        let times = self.ready_again.entry(kind.name()).or_insert_with(Latencies::new);
        times.record(since.elapsed());
    }

    async fn deploy(&mut self) -> anyhow::Result<()> {
        let (began, leaving) = (Instant::now(), self.engines.at_work);
        self.engines.signal(leaving, "TERM")?;
        self.engines.other_takes_over(&self.run).await?;
        self.took_over(Kind::Sigterm, began);
        let code = self.engines.ends(leaving).await?;
        if code != Some(0) {
            self.run.found("exit_code", || format!("after SIGTERM {code:?}"));
        }
        Ok(())
    }

    async fn freeze(&mut self) -> anyhow::Result<()> {
        let (began, frozen) = (Instant::now(), self.engines.at_work);
        self.engines.signal(frozen, "STOP")?;
        self.engines.other_takes_over(&self.run).await?;
        self.took_over(Kind::Sigstop, began);
        self.pause(0..1500).await;
        self.engines.signal(frozen, "CONT")?;
        let code = self.engines.ends(frozen).await?;
        if code != Some(FENCED) {
            self.run.found("exit_code", || format!("woken and fenced {code:?}"));
        }
        Ok(())
    }

    /// Ends what the engines' connections are at, again and again for a while.
    async fn cancel(&mut self) {
        const TIMES: usize = 40;
        const STATEMENT: &str = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity
            WHERE usename = 'ibora_app' AND state = 'active'";
        for _ in 0..TIMES {
            // One that is over meanwhile is not there to be canceled.
            sqlx::query(STATEMENT).execute(&self.pool).await.ok();
            self.pause(5..40).await;
        }
    }

    /// Loses a part of the next commits; the connection ends, or nobody hears of it.
    async fn lose(&mut self, part: Part) {
        const WITHIN: Duration = Duration::from_secs(5);
        let fate = if self.rng.random_bool(0.7) { Fate::Cut } else { Fate::Silence };
        let count = self.rng.random_range(1..=4);
        self.losses.order(count, Request::Write, part, fate);
        let deadline = Instant::now() + WITHIN;
        while self.losses.outstanding() > 0 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn pause(&mut self, ms: std::ops::Range<u64>) {
        let length = Duration::from_millis(self.rng.random_range(ms));
        tokio::time::sleep(length).await;
    }
}
