//! The composition root: the only file that sees every room. Builds them in order, wires what one
//! puts out to what another takes in, and takes them down in the reverse order.

mod http;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ibora_domain::machines::DriverPolicy;
use ibora_domain::units::{Millis, UnixMillis};
use secrecy::SecretString;
use sqlx::PgPool;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use thiserror::Error;

use crate::accounts::{AccountOptions, Accounts, HashingOptions, OptionsError};
use crate::actors::{Clock, Dispatch, DispatchOptions, DispatchParts};
use crate::api::{Api, ApiParts};
use crate::config::{Config, Mode, RoutingKind};
use crate::geo::{IndexOptions, LiveIndex, PowerLaw, RoadGraph, RoadGraphError, Router};
use crate::journal::{Journal, JournalOptions};
use crate::obs::Metrics;
use crate::postgres::{Database, DatabaseSource, EmbeddedOptions, PostgresError};
use crate::readmodel::Rides;
use crate::realtime::{Hub, Rate, RealtimeParts, RealtimeState, SessionOptions};
use crate::seed::{SeedError, Seeded};
use http::Servers;

/// Every schema change, in order.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// Time in which the sessions of an engine that stops are sent away.
const DRAIN_WITHIN: Duration = Duration::from_secs(2);

/// Connections beside the pool: the journal's writers and the migrations.
const CONNECTIONS_BESIDE: u32 = 8;

/// Why the engine does not start.
#[derive(Debug, Error)]
pub enum StartError {
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error("the database cannot be used: {0}")]
    Database(#[from] sqlx::Error),
    #[error("the schema cannot be brought up to date: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("production mode: the app role owns the tables; give it another owner")]
    AppRoleOwnsTables,
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Roads { path: PathBuf, source: RoadGraphError },
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error(transparent)]
    Accounts(#[from] OptionsError),
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
        let pool = pool(config, database.app_options()).await?;
        check_owner(config, &pool).await?;
        Ok(Self { database, pool })
    }
}

impl Store {
    /// Closes the pool, and stops a private server.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn close(self) -> Result<(), StartError> {
        self.pool.close().await;
        Ok(self.database.close().await?)
    }
}

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
    ready: Arc<AtomicBool>,
    servers: Servers,
}

impl App {
    /// Starts everything; returns when requests are served.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let metrics = Metrics::new();
        crate::obs::set_global(Arc::clone(&metrics));
        let store = Store::open(config).await?;
        let hub = Hub::new(config.session.passenger_devices_max, Arc::clone(&metrics));
        let streams = Arc::clone(&hub);
        let journal = Journal::start(
            journal_options(config),
            store.database.app_options(),
            store.pool.clone(),
            Arc::clone(&metrics),
            Arc::new(move |events| {
                streams.publish(events.into_iter().map(|event| (event.seq, event.row)));
            }),
        )
        .await?;
        let dispatch = Dispatch::start(
            DispatchParts {
                journal: Arc::clone(&journal),
                index: index(config),
                router: router(config)?,
                clock: Clock::new(config.clock.speed),
                metrics: Arc::clone(&metrics),
                push: hub.pusher(),
                tariffs: tariffs(config),
            },
            dispatch_options(config),
        )
        .await?;
        let accounts = Arc::new(accounts(config, store.pool.clone(), Arc::clone(&journal))?);
        let ready = Arc::new(AtomicBool::new(true));
        let sessions = RealtimeState::new(
            RealtimeParts {
                hub: Arc::clone(&hub),
                dispatch: Arc::clone(&dispatch),
                accounts: Arc::clone(&accounts),
                wall_clock: Arc::new(wall_clock),
                metrics: Arc::clone(&metrics),
            },
            session_options(config),
        );
        let ending = Arc::clone(&hub);
        let parts = ApiParts {
            dispatch: Arc::clone(&dispatch),
            accounts: Arc::clone(&accounts),
            metrics: Arc::clone(&metrics),
            rides: Rides::new(store.pool.clone()),
            ready: Arc::clone(&ready),
            end_sessions: Arc::new(move |user| ending.end_sessions(user)),
        };
        let api = Api::new(parts, http::api_options(config));
        let servers = Servers::start(config, &api, &sessions)?;
        let address = servers.address;
        tokio::spawn(refresh_gauges(Arc::downgrade(&dispatch), Arc::clone(&metrics)));
        tracing::info!(%address, "ready");
        Ok(Self { store, dispatch, accounts, journal, metrics, hub, address, ready, servers })
    }

    /// Stops in order: no new work, everything decided recorded, sockets closed, then the database.
    ///
    /// # Errors
    /// [`PostgresError`] of a private server that does not stop.
    pub async fn stop(self) -> Result<(), StartError> {
        self.ready.store(false, Ordering::Release);
        self.hub.drain(DRAIN_WITHIN).await;
        self.dispatch.close().await;
        self.servers.stop().await;
        self.store.close().await?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// Accounts for the command line, beside an engine that may be running.
///
/// # Errors
/// [`StartError`]
pub async fn accounts_for_tools(config: &Config, store: &Store) -> Result<Accounts, StartError> {
    let connect = store.database.app_options();
    let journal = Journal::for_tools(connect, store.pool.clone(), Metrics::new()).await?;
    accounts(config, store.pool.clone(), journal)
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
    let journal = Journal::for_tools(connect, store.pool.clone(), Metrics::new()).await?;
    let accounts = accounts(config, store.pool.clone(), Arc::clone(&journal))?;
    Ok(crate::seed::seed((&accounts, &journal), counts, wall_clock(), progress).await?)
}

/// Brings the schema up to date as its owner.
///
/// # Errors
/// [`StartError`]
pub async fn migrate(owner: PgConnectOptions) -> Result<(), StartError> {
    let pool = PgPoolOptions::new().max_connections(1).connect_with(owner).await?;
    MIGRATIONS.run(&pool).await?;
    pool.close().await;
    Ok(())
}

/// Where the database is, as configured.
///
/// # Errors
/// [`StartError`] where no data directory can be told.
pub fn source(config: &Config) -> Result<DatabaseSource, StartError> {
    if let Some(app) = config.database.url.clone() {
        return Ok(DatabaseSource::Urls { app, migrate: config.database.migrate_url.clone() });
    }
    Ok(DatabaseSource::Embedded(EmbeddedOptions {
        data_dir: data_dir(config)?,
        binaries: config.database.embedded_binaries.clone(),
        max_connections: config.database.pool_size + CONNECTIONS_BESIDE,
    }))
}

fn data_dir(config: &Config) -> Result<PathBuf, StartError> {
    match &config.data.dir {
        Some(dir) => Ok(dir.clone()),
        None => Ok(EmbeddedOptions::default_data_dir()?),
    }
}

async fn pool(config: &Config, connect: PgConnectOptions) -> Result<PgPool, StartError> {
    let options = PgPoolOptions::new()
        .max_connections(config.database.pool_size)
        .acquire_timeout(Duration::from_secs(5));
    Ok(options.connect_with(connect).await?)
}

/// An app role that owns the tables could undo what triggers and revoked rights protect.
async fn check_owner(config: &Config, pool: &PgPool) -> Result<(), StartError> {
    let owns: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM pg_tables
         WHERE schemaname = 'public' AND tablename = 'events' AND tableowner = current_user)",
    )
    .fetch_one(pool)
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

fn journal_options(config: &Config) -> JournalOptions {
    JournalOptions {
        node: "main".to_owned(),
        writers: u16::try_from(config.journal.writers).unwrap_or(u16::MAX),
        queue_max: config.journal.queue_max,
        batch_max: config.journal.batch_max,
    }
}

fn dispatch_options(config: &Config) -> DispatchOptions {
    let clock = Clock::new(config.clock.speed);
    DispatchOptions {
        rides: config.ride_policy(),
        drivers: DriverPolicy {
            offers_max: usize::from(config.dispatch.offers_per_driver_max),
            presence: clock.stretched(Millis(config.presence.timeout_ms)),
            passivate_after: clock.stretched(Millis(config.actors.driver_passivate_ms)),
        },
        quote_ttl: config.rides.quote_ttl_ms,
        arbiters: config.actors.arbiters,
        mailbox_max: u32::try_from(config.actors.mailbox_max).unwrap_or(u32::MAX),
        command_deadline: Duration::from_millis(config.actors.command_deadline_ms),
    }
}

fn session_options(config: &Config) -> SessionOptions {
    let session = &config.session;
    let ms = Duration::from_millis;
    SessionOptions {
        hello_timeout: ms(session.hello_timeout_ms),
        idle: ms(session.idle_ms),
        grace: ms(session.grace_ms),
        active: ms(session.active_ms),
        active_grace: ms(session.active_grace_ms),
        frame_bytes_max: session.frame_bytes_max,
        cmd: Rate { per_s: session.cmd_per_s, burst: session.cmd_burst },
        tel: Rate { per_s: session.tel_per_s, burst: session.tel_burst },
        outbox_frames_max: session.outbox_events_max,
        outbox_bytes_max: session.outbox_bytes_max,
        write_timeout: ms(session.write_timeout_ms),
        allowed_origins: config.http.allowed_origins.clone(),
    }
}

fn index(config: &Config) -> Arc<LiveIndex> {
    let stale_after = config.dispatch.position_stale_ms;
    Arc::new(LiveIndex::new(IndexOptions { stale_after, ..IndexOptions::default() }))
}

fn router(config: &Config) -> Result<Arc<dyn Router>, StartError> {
    let straight = Arc::new(PowerLaw::new(f64::from(config.routing.a_seconds)));
    match (config.routing.kind, &config.routing.nodes, &config.routing.edges) {
        (RoutingKind::RoadGraph, Some(nodes), Some(edges)) => {
            let open = |path: &Path| {
                let file = std::fs::File::open(path);
                let file = file.map_err(|source| StartError::File { path: path.into(), source })?;
                Ok::<_, StartError>(std::io::BufReader::new(file))
            };
            let graph = RoadGraph::read(open(nodes)?, open(edges)?, straight)
                .map_err(|source| StartError::Roads { path: nodes.clone(), source })?;
            Ok(Arc::new(graph))
        }
        (RoutingKind::PowerLaw | RoutingKind::RoadGraph, _, _) => Ok(straight),
    }
}

fn tariffs(config: &Config) -> crate::actors::Tariffs {
    let fares = config.fares.clone();
    Arc::new(move |category| Some(fares.tariff(category)))
}

fn accounts(config: &Config, pool: PgPool, journal: Arc<Journal>) -> Result<Accounts, StartError> {
    let auth = &config.auth;
    let options = AccountOptions {
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
        access_life: Millis::from_secs(auth.access_ttl_s),
        refresh_life: Millis::from_secs(auth.refresh_ttl_s),
        signing_key: signing_key(config)?,
        hashing: HashingOptions {
            memory_kib: auth.password_memory_kib,
            passes: auth.password_iterations,
            ..HashingOptions::default()
        },
    };
    Ok(Accounts::new(pool, journal, &options, Arc::new(wall_clock))?)
}

fn wall_clock() -> UnixMillis {
    Clock::new(1).now()
}

/// The configured key; without one, outside production, a key of the data directory's own.
fn signing_key(config: &Config) -> Result<SecretString, StartError> {
    if let Some(key) = config.auth.signing_key.clone() {
        return Ok(key);
    }
    let path = data_dir(config)?.join("signing.key");
    let failed = |source| StartError::File { path: path.clone(), source };
    match std::fs::read_to_string(&path) {
        Ok(key) => Ok(SecretString::from(key)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let key = hex::encode(rand::random::<[u8; 32]>());
            write_private(&path, &key).map_err(failed)?;
            Ok(SecretString::from(key))
        }
        Err(error) => Err(failed(error)),
    }
}

/// Writes a file that only its owner may read; never half of one.
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let half = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&half, path)
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
