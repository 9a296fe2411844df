//! The engine in this process: a private PostgreSQL in a directory of its own, the journal and the
//! actors, without sockets. Put together as `app` does it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ibora::actors::{
    Caller, Clock, Command, Dispatch, DispatchOptions, DispatchParts, RideRequest, Sent,
};
use ibora::config::Config;
use ibora::db::{self, Db};
use ibora::geo::{IndexOptions, LiveIndex, PowerLaw};
use ibora::journal::{Journal, JournalOptions, JournalParts, Taking, Tenure};
use ibora::obs::Metrics;
use ibora::postgres::{Database, DatabaseSource, EmbeddedOptions};
use ibora_domain::category::Category;
use ibora_domain::ids::RideId;
use ibora_domain::machines::DriverPolicy;
use ibora_domain::place::Coordinates;
use ibora_domain::policy::RidePolicy;
use ibora_domain::ride::PaymentMethod;
use ibora_domain::units::Millis;
use serde::Deserialize;
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgPool};

use crate::offers::OfferBoard;
use crate::started;

/// Longer than any bench: nobody goes offline, no offer ends, no actor is dropped meanwhile.
pub(crate) const NEVER: Millis = Millis::from_secs(24 * 3600);

/// Connections for engine, peers and floor together.
const CONNECTIONS: u32 = 240;

/// A running engine.
pub(crate) struct Engine {
    pub(crate) handles: Handles,
    pub(crate) pool: PgPool,
    store: Store,
}

/// What callers need of an engine.
#[derive(Clone)]
pub(crate) struct Handles {
    pub(crate) dispatch: Arc<Dispatch>,
    pub(crate) board: Arc<OfferBoard>,
}

/// A ride as its passenger is told of it.
#[derive(Debug, Deserialize)]
pub(crate) struct Requested {
    pub(crate) id: RideId,
    pub(crate) pin: String,
}

/// As a server has that has been running for some hours: no side waits for new segments.
const WAL_RESERVE_MB: u32 = 2048;

/// The database of a bench, gone with its end.
pub(crate) struct Store {
    database: Database,
    dir: PathBuf,
}

impl Store {
    /// Starts a fresh PostgreSQL with all migrations applied.
    pub(crate) async fn open() -> anyhow::Result<Self> {
        let dir = started::new_dir("ibora-bench")?;
        let source = DatabaseSource::Embedded(EmbeddedOptions {
            data_dir: dir.clone(),
            binaries: None,
            max_connections: CONNECTIONS,
            wal_reserve_mb: WAL_RESERVE_MB,
        });
        let store = Self { database: Database::open(source).await?, dir };
        ibora::app::migrate(store.owner()?).await?;
        Ok(store)
    }

    /// Whoever may do everything.
    pub(crate) fn owner(&self) -> anyhow::Result<PgConnectOptions> {
        self.database.owner_options().ok_or_else(|| anyhow::anyhow!("no owner of the database"))
    }

    /// Cleans up after whoever ran before, and waits for the disk, so that neither the database nor
    /// the system does it while the next is measured.
    pub(crate) async fn tidy(&self) -> anyhow::Result<()> {
        let mut owner = self.owner()?.connect().await?;
        sqlx::raw_sql("VACUUM (ANALYZE)").execute(&mut owner).await?;
        owner.close().await?;
        let synced = tokio::process::Command::new("sync").arg("-f").arg(&self.dir).status().await?;
        anyhow::ensure!(synced.success(), "sync -f: {synced}");
        Ok(())
    }

    pub(crate) fn postmaster(&self) -> u32 {
        self.database.embedded().map_or(0, ibora::postgres::EmbeddedPostgres::postmaster_pid)
    }

    /// Stops the server and removes its files.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.database.close().await?;
        Ok(std::fs::remove_dir_all(self.dir)?)
    }
}

impl Engine {
    /// Starts an engine with waves as `shape` leaves them.
    pub(crate) async fn start(shape: impl FnOnce(&mut RidePolicy)) -> anyhow::Result<Self> {
        let store = Store::open().await?;
        // Passengers of a bench pay nobody.
        let config = Config::with(&[("pix.simulator", "off")])?;
        let app = store.database.app_options();
        let pool = db::pool(app.clone(), config.database.pool_size).await?;
        let db = Db::new(pool.clone());
        let metrics = Metrics::new();
        let board = Arc::new(OfferBoard::default());
        let told = Arc::clone(&board);
        let options = JournalOptions {
            node: "bench".to_owned(),
            lease: Duration::from_secs(config.node.lease_s),
            writers: u16::try_from(config.journal.writers)?,
            queue_max: config.journal.queue_max,
            batch_max: config.journal.batch_max,
            answer_within: Duration::from_millis(config.journal.answer_ms),
        };
        let publish: ibora::journal::Publish = Arc::new(move |events| told.publish(&events));
        let Taking::Ours(tenure) = Tenure::take(&db, &options).await? else {
            anyhow::bail!("another engine has the shards of a database of this bench's own");
        };
        let parts = JournalParts { connect: app, db, metrics: Arc::clone(&metrics), publish };
        let journal = Journal::start(tenure, &options, parts);
        let index = IndexOptions { stale_after: NEVER, ..IndexOptions::default() };
        let fares = config.fares.clone();
        let parts = DispatchParts {
            journal,
            index: Arc::new(LiveIndex::new(index)),
            router: Arc::new(PowerLaw::default()),
            clock: Clock::new(1),
            metrics,
            push: Arc::new(|_| {}),
            carry: Arc::new(|_| {}),
            tariffs: Arc::new(move |category| Some(fares.tariff(category))),
        };
        let mut rides = config.ride_policy();
        (rides.offer_ttl, rides.head_start, rides.wave_every) = (NEVER, NEVER, NEVER);
        rides.search = NEVER;
        shape(&mut rides);
        let dispatch = Dispatch::start(parts, options_of(&config, rides)?).await?;
        Ok(Self { handles: Handles { dispatch, board }, pool, store })
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Ends everything.
    pub(crate) async fn close(self) -> anyhow::Result<()> {
        self.handles.dispatch.close().await;
        self.pool.close().await;
        self.store.close().await
    }
}

impl Handles {
    /// Asks for a ride from `pickup`; its id and the passenger's PIN.
    pub(crate) async fn request(
        &self,
        passenger: Caller,
        pickup: Coordinates,
        id: String,
    ) -> anyhow::Result<Requested> {
        let dropoff = Coordinates::new(pickup.lat() + 0.03, pickup.lng())?;
        let command = Command::Request(RideRequest {
            quote_id: None,
            pickup,
            dropoff,
            stops: Vec::new(),
            category: Category::Economy,
            payment_method: PaymentMethod::Pix,
            notes: None,
        });
        let body = self.done(passenger, id, command).await?;
        Ok(serde_json::from_str(&body)?)
    }

    /// A command that must go well; what it answers.
    pub(crate) async fn done(
        &self,
        caller: Caller,
        id: String,
        command: Command,
    ) -> anyhow::Result<Arc<str>> {
        let op = command.op();
        let sent = Sent { id: Some(id), if_version: None, command };
        match self.dispatch.command(caller, sent).await {
            Ok(done) => Ok(done.body),
            Err(refusal) => anyhow::bail!("{op} refused: {}", refusal.code()),
        }
    }
}

fn options_of(config: &Config, rides: RidePolicy) -> anyhow::Result<DispatchOptions> {
    Ok(DispatchOptions {
        rides,
        drivers: DriverPolicy { offers_max: 3, presence: NEVER, passivate_after: NEVER },
        quote_ttl: Millis::from_secs(300),
        arbiters: 0,
        mailbox_max: u32::try_from(config.actors.mailbox_max)?,
        command_deadline: Duration::from_secs(60),
    })
}
