//! The demo: an engine, a city drawn by a seed, and people in it who use the public contract over
//! real sockets.
//!
//! `cli` runs it. It starts the engine in this process, makes people, connects a bot for each, and
//! shows what happens in the terminal and on the page at `/`. Whoever opens the page may ride along
//! as a passenger, by the official TypeScript client. The page and `/demo/*` are mounted here and
//! nowhere else: an engine that serves has neither. What always holds: bots and visitors reach the
//! engine through its listener only; what the page shows of bots they say themselves.

mod cashier;
mod city;
mod demand;
mod live;
mod numbers;
mod page;
mod people;
mod setup;
mod view;
mod visitors;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::app::{App, StartError};
use crate::bots::{Engine, EngineClock, Promises, Town};
use crate::config::Config;
use crate::geo::RoadGraphError;
use city::City;
use live::Live;
pub use numbers::Numbers;
use people::People;
use visitors::{VISITORS, Visitors};

/// What a demo is made of.
#[derive(Debug, Clone)]
pub struct DemoOptions {
    pub drivers: usize,
    pub passengers: usize,
    /// Domain seconds a real second.
    pub speed: u32,
    pub seed: u64,
    /// Where to listen instead of the configured address.
    pub listen: Option<SocketAddr>,
    /// End by itself after this long.
    pub length: Option<Duration>,
    /// Keep what bots were told, for [`Demo::promises`]. Grows with every command.
    pub promises: bool,
}

impl Default for DemoOptions {
    fn default() -> Self {
        let (drivers, passengers, speed, seed) = (150, 375, 10, 1);
        Self { drivers, passengers, speed, seed, listen: None, length: None, promises: false }
    }
}

/// Why there is no demo.
#[derive(Debug, Error)]
pub enum DemoError {
    #[error("mode = \"production\": a demo would put simulated people beside real ones")]
    Production,
    #[error("database.url is set, and seed.enabled is not: the demo empties its database")]
    ForeignDatabase,
    #[error("{path}: {source}")]
    File { path: std::path::PathBuf, source: std::io::Error },
    #[error("the drawn roads cannot be read: {0}")]
    Roads(#[from] RoadGraphError),
    #[error("the terminal cannot be written to: {0}")]
    Terminal(std::io::Error),
    #[error(transparent)]
    Start(#[from] StartError),
}

/// A demo that runs.
pub struct Demo {
    app: App,
    live: Arc<Live>,
    people: People,
}

impl Demo {
    /// Starts the engine and its people. `progress` hears what is being done.
    ///
    /// # Errors
    /// [`DemoError`]
    pub async fn start(
        config: &Config,
        options: &DemoOptions,
        mut progress: impl FnMut(&str),
    ) -> Result<Self, DemoError> {
        let city = Arc::new(City::draw(options.seed));
        let config = setup::config(config, options, &city)?;
        progress("opening an empty database");
        setup::empty_database(&config).await?;
        let live = Arc::new(Live::new(&city, options.speed));
        let app = App::start_with(&config, page::mount(Arc::clone(&live))).await?;
        progress("making people");
        let bots = options.drivers + options.passengers;
        let counts = (options.drivers, options.passengers + VISITORS);
        let mut seeded = crate::app::seed(&config, &app.store, counts, |_| {}).await?;
        let visitors = Visitors::new(seeded.split_off(bots));
        let router = setup::roads(&city)?;
        let haunts = people::haunts(&city, options.seed);
        let teller = Arc::downgrade(&live);
        let town = Town::new(
            router,
            haunts,
            Box::new(move |story| {
                if let Some(live) = teller.upgrade() {
                    live.tell(story);
                }
            }),
        );
        let engine = Engine::new(reachable(app.address), options.speed, options.promises);
        progress("connecting");
        let clock = EngineClock::set(app.dispatch.now(), options.speed);
        let shared = people::Shared { engine: Arc::new(engine), town: Arc::new(town), city, clock };
        live.opened(&shared, Arc::clone(&app.metrics), visitors);
        let people = People::arrive(shared, seeded, options.seed, &live);
        Ok(Self { app, live, people })
    }

    /// `http://ADDRESS/`, where the page is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/", reachable(self.app.address))
    }

    /// The figures as of now.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        self.live.numbers()
    }

    /// What the bots were told, where that is kept.
    #[must_use]
    pub fn promises(&self) -> Option<&Promises> {
        self.people.engine().promises.as_ref()
    }

    /// The engine under it all.
    #[must_use]
    pub fn app(&self) -> &App {
        &self.app
    }

    /// Sends everybody home and stops the engine.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn stop(self) -> Result<(), DemoError> {
        self.people.leave().await;
        self.app.stop().await?;
        Ok(())
    }
}

/// Runs a demo with its view in the terminal until `ended`, or for as long as it is to run.
///
/// # Errors
/// [`DemoError`]
pub async fn run(
    config: &Config,
    options: &DemoOptions,
    ended: impl Future<Output = ()>,
) -> Result<(), DemoError> {
    let mut view = view::View::new();
    tokio::pin!(ended);
    let starting = Demo::start(config, options, |doing| view.progress(doing));
    let demo = tokio::select! {
        demo = starting => demo?,
        () = &mut ended => return Ok(()),
    };
    let deadline = options.length.map(|length| tokio::time::Instant::now() + length);
    let shown = async {
        loop {
            view.show(&demo.numbers(), &demo.url())?;
            tokio::time::sleep(view.pause()).await;
        }
    };
    let shown: Result<(), std::io::Error> = tokio::select! {
        shown = shown => shown,
        () = &mut ended => Ok(()),
        () = sleep_until(deadline) => Ok(()),
    };
    view.end(&demo.numbers()).map_err(DemoError::Terminal)?;
    demo.stop().await?;
    shown.map_err(DemoError::Terminal)
}

async fn sleep_until(deadline: Option<tokio::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// An address to connect to: one that listens everywhere is reached by loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}
