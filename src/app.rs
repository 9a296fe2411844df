//! The composition root: the only file that sees every room. Builds them in order, wires what one
//! puts out to what another takes in, and takes them down in the reverse order.
//!
//! Between building and taking down an engine has the shards. It waits until they are free, gives
//! them up before it sends its people away, and acts no more once another has taken them.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use thiserror::Error;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::accounts::{Accounts, OptionsError};
use crate::actors::{Clock, Dispatch, DispatchParts};
use crate::api::Standby;
use crate::config::{Config, Mode};
use crate::db::{self, Db};
use crate::geo::RoadGraphError;
use crate::journal::{Journal, JournalParts};
use crate::obs::{Metrics, failpoint};
use crate::pix::client::SetupError;
use crate::pix::inbound::IdentityError;
use crate::pix::simulator::SimulatorError;
use crate::postgres::{Database, PostgresError};
use crate::realtime::{Hub, RealtimeParts, RealtimeState};
use crate::seed::{SeedError, Seeded};

mod archive;
mod auditing;
mod callbacks;
mod jobs;
mod node;
mod pix;
mod settings;
mod turn;
mod web;

pub use archive::{ArchiveError, archive_ledger};
use node::Node;
use settings::{
    accounts, dispatch_options, index, journal_options, router, session_options, tariffs,
    wall_clock,
};
pub use settings::{data_dir, provider_options, source};

/// Every schema change, in order.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// A change of the schema may take long, and no longer.
const MIGRATE_WITHIN: Duration = Duration::from_secs(1800);

/// Time in which an engine that stops answers what is under way and records it.
const SETTLE_WITHIN: Duration = Duration::from_millis(700);
/// Time in which it gives up its shards, when the database is slow.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// Time in which the pool is closed.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);
/// An engine that starts reads together who was here lately. Nobody is answered before, so that the
/// first who come do not wait for it; but longer than this it keeps nobody away.
const READ_FIRST: Duration = Duration::from_millis(250);
/// Then its sessions are sent away, a moment for each, since each comes back elsewhere.
const DRAIN_A_SESSION: Duration = Duration::from_millis(1);
/// All of them within so much at least, and at most.
const DRAIN: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(7)];

/// Why the engine does not start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error("the database cannot be used: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the schema cannot be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("the schema was not up to date after {} s", MIGRATE_WITHIN.as_secs())]
    MigrationTooSlow,
    #[error("production mode: the app role owns the tables; give it another owner")]
    AppRoleOwnsTables,
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Roads { path: PathBuf, source: RoadGraphError },
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("the listener for callbacks: {0}")]
    Callbacks(#[from] IdentityError),
    #[error("{dir}: {count} engines run on this data directory; set node.id or data.dir")]
    NodesFull { dir: PathBuf, count: u32 },
    #[error(transparent)]
    Accounts(#[from] OptionsError),
    #[error("the provider of Pix: {0}")]
    Pix(#[from] SetupError),
    #[error("the simulated provider of Pix: {0}")]
    PixSimulator(#[from] SimulatorError),
    #[error(transparent)]
    Seed(#[from] SeedError),
}

/// The database opened and its schema in order.
pub struct Store {
    pub database: Database,
    pub pool: PgPool,
}

impl Store {
    /// Opens the configured database; migrates it where the owner's access is there.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn open(config: &Config) -> Result<Self, StartError> {
        Self::of(config, Database::open(source(config)?).await?).await
    }

    /// As [`Store::open`], for tools: an engine may be running on it.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn open_beside(config: &Config) -> Result<Self, StartError> {
        Self::of(config, Database::open_beside(source(config)?).await?).await
    }

    async fn of(config: &Config, database: Database) -> Result<Self, StartError> {
        if let Some(owner) = database.owner_options() {
            migrate(owner).await?;
        }
        let pool = db::pool(database.app_options(), config.database.pool_size).await?;
        let store = Self { database, pool };
        check_owner(config, &store.db()).await?;
        Ok(store)
    }

    /// The pool, for statements that have an end.
    #[must_use]
    pub fn db(&self) -> Db {
        Db::new(self.pool.clone())
    }

    /// Closes the pool, and stops a private server.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn close(self) -> Result<(), StartError> {
        // What a dead network holds up ends with the process.
        timeout(CLOSE_WITHIN, self.pool.close()).await.ok();
        Ok(self.database.close().await?)
    }
}

/// Mounts routes beside the engine's own; called once a worker.
pub type Mount = Arc<dyn Fn(&mut actix_web::web::ServiceConfig) + Send + Sync>;

/// A running engine.
pub struct App {
    pub store: Store,
    pub dispatch: Arc<Dispatch>,
    pub accounts: Arc<Accounts>,
    pub journal: Arc<Journal>,
    pub metrics: Arc<Metrics>,
    /// Who is connected.
    pub hub: Arc<Hub>,
    /// Where it listens; the port it got where the configuration says 0.
    pub address: SocketAddr,
    /// Where it listens for callbacks of the Pix provider alone, if it does.
    pub callbacks_address: Option<SocketAddr>,
    ready: Arc<AtomicBool>,
    servers: Vec<ServerHandle>,
    metrics_server: Option<ServerHandle>,
    stepping_down: AbortHandle,
    auditing: AbortHandle,
    pix: pix::Running,
    /// The name is ours while the engine runs.
    _node: Node,
}

impl App {
    /// Starts everything; returns when requests are served. Where another engine is at work on the
    /// database, that is after it: until then this one stands by, and says so.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        Self::start_with(config, Arc::new(|_| {})).await
    }

    /// As [`App::start`], with routes that not every engine has.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn start_with(config: &Config, more: Mount) -> Result<Self, StartError> {
        let metrics = Metrics::new();
        crate::obs::set_global(Arc::clone(&metrics));
        let store = Store::open(config).await?;
        failpoint!(StartOpened);
        store.database.watch(&metrics.postgres_restarts);
        let node = Node::of(config)?;
        let router = router(config)?;
        let place = web::Place::take(config.http.listen)?;
        let callback_place = web::CallbackPlace::take(config)?;
        let pix = pix::Pix::open(config, &node, &metrics).await?;
        let standby = Standby::new(Arc::clone(&metrics), &web::api_options(config));
        let metrics_server = web::listen_metrics(config, &standby)?;
        let options = journal_options(config, &node);
        // Whatever takes long and needs no shards stands above.
        let (tenure, answering) = turn::wait(&store.db(), &options, (&place, &standby)).await?;
        failpoint!(StartOurs);
        let hub = Hub::new(config.session.passenger_devices_max, Arc::clone(&metrics));
        let parts = journal_parts(&store, &hub, &metrics);
        let journal = Journal::start(tenure, &options, parts);
        let parts = DispatchParts {
            journal: Arc::clone(&journal),
            index: index(config),
            router,
            clock: Clock::new(config.clock.speed),
            metrics: Arc::clone(&metrics),
            push: hub.pusher(),
            carry: pix.carry(),
            tariffs: tariffs(config),
        };
        let dispatch = Dispatch::start(parts, dispatch_options(config)).await?;
        let accounts = Arc::new(accounts(config, store.db(), Arc::clone(&journal))?);
        let ready = Arc::new(AtomicBool::new(true));
        let sessions = sessions(config, (&dispatch, &accounts), (&hub, &metrics));
        let api = web::api(config, &store.db(), (&dispatch, &accounts), (&metrics, &ready), &hub);
        let callbacks = pix.callbacks(config, &journal);
        timeout(READ_FIRST, journal.preloaded()).await.ok();
        let routes = web::Routes { api, sessions, callbacks, more };
        let listening = web::listen(config, (&place, callback_place), routes);
        if listening.is_err() {
            // Another listens there since: the shards shall not be kept from it.
            timeout(LEAVE_WITHIN, journal.leave()).await.ok();
        }
        let listening = listening?;
        failpoint!(StartListening);
        drop(answering);
        let stepping_down = tokio::spawn(step_down(Arc::clone(&dispatch), Arc::clone(&hub)));
        tokio::spawn(refresh_gauges(Arc::downgrade(&dispatch), Arc::clone(&metrics)));
        let auditing = auditing::start(config, &store.db(), (&dispatch, &accounts), &metrics);
        let pix = pix.run(config, &dispatch, listening.address);
        tracing::info!(address = %listening.address, "ready");
        Ok(Self {
            store,
            dispatch,
            accounts,
            journal,
            metrics,
            hub,
            address: listening.address,
            callbacks_address: listening.callbacks_address,
            ready,
            servers: listening.servers,
            metrics_server,
            stepping_down: stepping_down.abort_handle(),
            auditing,
            pix,
            _node: node,
        })
    }

    /// Returns when another engine has taken over. By then this one acts no more, and its sessions
    /// are being sent away.
    pub async fn fenced(&self) {
        self.journal.lost().await;
    }

    /// Stops in order: no new work, everything decided recorded, the shards left to whoever waits
    /// for them, sockets closed, then the database.
    ///
    /// # Errors
    /// [`PostgresError`] of a private server that does not stop.
    pub async fn stop(self) -> Result<(), StartError> {
        self.store.database.unwatch();
        self.ready.store(false, Ordering::Release);
        self.stepping_down.abort();
        self.auditing.abort();
        failpoint!(StopBegun);
        self.leave().await;
        self.pix.stop().await;
        failpoint!(StopLeft);
        let sessions = u32::try_from(self.hub.sessions()).unwrap_or(u32::MAX);
        let [least, most] = DRAIN;
        self.hub.drain(DRAIN_A_SESSION.saturating_mul(sessions).clamp(least, most)).await;
        failpoint!(StopDrained);
        self.dispatch.end();
        for server in self.servers {
            server.stop(true).await;
        }
        if let Some(server) = self.metrics_server {
            server.stop(false).await;
        }
        failpoint!(StopClosed);
        self.store.close().await?;
        tracing::info!("stopped");
        Ok(())
    }

    /// Decides nothing more, records what was decided, and gives the shards up. What a database
    /// that does not answer holds up is left behind, unanswered as by a crash.
    async fn leave(&self) {
        self.dispatch.halt();
        failpoint!(StopHalted);
        if timeout(SETTLE_WITHIN, self.dispatch.settle()).await.is_err() {
            tracing::warn!("not all that was decided could be recorded in time");
        }
        failpoint!(StopSettled);
        match timeout(LEAVE_WITHIN, self.journal.leave()).await {
            Ok(Ok(())) => tracing::info!("the shards are left"),
            Ok(Err(error)) => tracing::warn!(%error, "the shards are left when the lease ends"),
            Err(_) => tracing::warn!("the shards are left when the lease ends"),
        }
    }
}

fn sessions(
    config: &Config,
    (dispatch, accounts): (&Arc<Dispatch>, &Arc<Accounts>),
    (hub, metrics): (&Arc<Hub>, &Arc<Metrics>),
) -> RealtimeState {
    let parts = RealtimeParts {
        hub: Arc::clone(hub),
        dispatch: Arc::clone(dispatch),
        accounts: Arc::clone(accounts),
        wall_clock: Arc::new(wall_clock),
        metrics: Arc::clone(metrics),
    };
    RealtimeState::new(parts, session_options(config))
}

fn journal_parts(store: &Store, hub: &Arc<Hub>, metrics: &Arc<Metrics>) -> JournalParts {
    let streams = Arc::clone(hub);
    JournalParts {
        connect: store.database.app_options(),
        db: store.db(),
        metrics: Arc::clone(metrics),
        publish: Arc::new(move |events| {
            streams.publish(events.into_iter().map(|event| (event.seq, event.row)));
        }),
    }
}

/// Once another engine has taken over: decides nothing more, and sends everybody to it.
async fn step_down(dispatch: Arc<Dispatch>, hub: Arc<Hub>) {
    dispatch.journal().lost().await;
    dispatch.halt();
    hub.move_away();
}

/// Accounts for the command line, beside an engine that may be running.
///
/// # Errors
/// [`StartError`]
pub async fn accounts_for_tools(config: &Config, store: &Store) -> Result<Accounts, StartError> {
    let connect = store.database.app_options();
    let journal = Journal::for_tools(connect, store.db(), Metrics::new()).await?;
    accounts(config, store.db(), journal)
}

/// Makes simulated people in the store; `progress` hears how many there are so far.
///
/// # Errors
/// [`StartError`], of a [`SeedError`] too.
pub async fn seed(
    config: &Config,
    store: &Store,
    counts: (usize, usize),
    progress: impl FnMut(usize),
) -> Result<Vec<Seeded>, StartError> {
    if !config.seed.enabled {
        return Err(SeedError::Disabled.into());
    }
    let connect = store.database.app_options();
    let journal = Journal::for_tools(connect, store.db(), Metrics::new()).await?;
    let accounts = accounts(config, store.db(), Arc::clone(&journal))?;
    Ok(crate::seed::seed((&accounts, &journal), counts, wall_clock(), progress).await?)
}

/// Brings the schema up to date as its owner.
///
/// # Errors
/// [`StartError`]
pub async fn migrate(owner: PgConnectOptions) -> Result<(), StartError> {
    let pool = PgPoolOptions::new().max_connections(1).connect_with(owner).await?;
    let migrated = timeout(MIGRATE_WITHIN, MIGRATIONS.run(&pool)).await;
    migrated.map_err(|_| StartError::MigrationTooSlow)??;
    pool.close().await;
    Ok(())
}

/// An app role that owns the tables could undo what triggers and revoked rights protect.
async fn check_owner(config: &Config, db: &Db) -> Result<(), StartError> {
    let owns: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_tables
         WHERE schemaname = 'public' AND tablename = 'events' AND tableowner = current_user)",
    )
    .fetch_one(db)
    .await?;
    match (owns, config.mode) {
        (true, Mode::Production) => Err(StartError::AppRoleOwnsTables),
        (true, Mode::Development) => {
            tracing::warn!("the app role owns the tables: append-only tables are not protected");
            Ok(())
        }
        (false, _) => Ok(()),
    }
}

/// Keeps the gauges that are counted rather than moved.
async fn refresh_gauges(dispatch: std::sync::Weak<Dispatch>, metrics: Arc<Metrics>) {
    loop {
        {
            let Some(dispatch) = dispatch.upgrade() else { return };
            let counts = dispatch.index().counts(dispatch.now());
            let gauge = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
            metrics.drivers_online.set(gauge(counts.known));
            metrics.drivers_available.set(gauge(counts.available));
            metrics.journal_queue_depth.set(gauge(dispatch.journal().depth()));
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
}
