//! The configuration as each room takes it. Nothing here decides; it only translates.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ibora_domain::machines::DriverPolicy;
use ibora_domain::units::{Millis, UnixMillis};
use secrecy::SecretString;

use super::StartError;
use super::node::Node;
use crate::accounts::{AccountOptions, Accounts, HashingOptions};
use crate::actors::{Clock, DispatchOptions, PayoutOptions};
use crate::config::{Config, RoutingKind};
use crate::db::Db;
use crate::geo::{IndexOptions, LiveIndex, Osrm, OsrmOptions, PowerLaw, RoadGraph, Router};
use crate::journal::{Journal, JournalOptions};
use crate::network::Proxies;
use crate::pix::client::{Bounds, IdentityFiles, ProviderOptions};
use crate::postgres::{DatabaseSource, EmbeddedOptions};
use crate::realtime::{Rate, SessionOptions, StrangersMax};

/// Connections beside the pool: the journal's writers, its inbox, and the migrations.
const CONNECTIONS_BESIDE: u32 = 11;

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
        wal_reserve_mb: config.database.embedded_wal_reserve_mb,
    }))
}

/// Where the engine keeps what is its own.
///
/// # Errors
/// [`StartError`] for a user without home, where none is configured.
pub fn data_dir(config: &Config) -> Result<PathBuf, StartError> {
    match &config.data.dir {
        Some(dir) => Ok(dir.clone()),
        None => Ok(EmbeddedOptions::default_data_dir()?),
    }
}

pub(super) fn journal_options(config: &Config, node: &Node) -> JournalOptions {
    JournalOptions {
        node: node.id.clone(),
        lease: Duration::from_secs(config.node.lease_s),
        writers: u16::try_from(config.journal.writers).unwrap_or(u16::MAX),
        queue_max: config.journal.queue_max,
        batch_max: config.journal.batch_max,
        answer_within: Duration::from_millis(config.journal.answer_ms),
    }
}

pub(super) fn dispatch_options(config: &Config) -> DispatchOptions {
    let clock = Clock::new(config.clock.speed);
    DispatchOptions {
        rides: config.ride_policy(),
        drivers: DriverPolicy {
            offers_max: usize::from(config.dispatch.offers_per_driver_max),
            presence: clock.stretched(Millis(config.presence.timeout_ms)),
            passivate_after: clock.stretched(Millis(config.actors.driver_passivate_ms)),
        },
        payouts: payout_options(config),
        quote_ttl: config.rides.quote_ttl_ms,
        arbiters: config.actors.arbiters,
        mailbox_max: u32::try_from(config.actors.mailbox_max).unwrap_or(u32::MAX),
        command_deadline: Duration::from_millis(config.actors.command_deadline_ms),
    }
}

fn payout_options(config: &Config) -> PayoutOptions {
    let (wallets, line) = config.payout_options();
    PayoutOptions { wallets, line }
}

pub(super) fn session_options(config: &Config) -> SessionOptions {
    let session = &config.session;
    let ms = Duration::from_millis;
    SessionOptions {
        hello_timeout: ms(session.hello_timeout_ms),
        strangers: StrangersMax {
            all: session.strangers_max,
            of_one_address: match config.limits.enabled {
                true => session.strangers_per_address_max,
                false => session.strangers_max,
            },
        },
        sessions_max: session.sessions_max,
        openings_max: session.openings_max,
        openings: Rate { per_s: session.openings_per_s, burst: session.openings_burst },
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
        resend: ms(session.resend_ms),
        allowed_origins: config.http.allowed_origins.clone(),
        proxies: Proxies::new(config.http.trusted_proxies.clone()),
    }
}

pub(super) fn index(config: &Config) -> Arc<LiveIndex> {
    let stale_after = config.dispatch.position_stale_ms;
    Arc::new(LiveIndex::new(IndexOptions { stale_after, ..IndexOptions::default() }))
}

pub(super) fn router(config: &Config) -> Result<Arc<dyn Router>, StartError> {
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
        (RoutingKind::Osrm, _, _) => Ok(Arc::new(Osrm::new(osrm_options(config), straight))),
        (RoutingKind::PowerLaw | RoutingKind::RoadGraph, _, _) => Ok(straight),
    }
}

fn osrm_options(config: &Config) -> OsrmOptions {
    let (routing, ms) = (&config.routing, Duration::from_millis);
    OsrmOptions {
        url: routing.osrm_url.trim_end_matches('/').to_owned(),
        profile: routing.osrm_profile.clone(),
        timeout: ms(routing.osrm_timeout_ms),
        failures_max: routing.osrm_failures_max,
        pause: ms(routing.osrm_pause_ms),
    }
}

/// How the provider of Pix is called; `None` where none is configured.
#[must_use]
pub fn provider_options(config: &Config) -> Option<ProviderOptions> {
    let pix = &config.pix;
    // Where there is an address the configuration insists on the rest.
    Some(ProviderOptions {
        base_url: Some(pix.base_url.clone()).filter(|url| !url.is_empty())?,
        client_id: pix.client_id.clone()?,
        client_secret: pix.client_secret.clone()?,
        identity: IdentityFiles {
            certificate: pix.certificate.clone()?,
            key: pix.certificate_key.clone(),
            password: pix.certificate_password.clone(),
        },
        ca: pix.ca.clone(),
        bounds: provider_bounds(config),
    })
}

/// How much, how long and how often a provider of Pix is called.
pub(super) fn provider_bounds(config: &Config) -> Bounds {
    let (pix, ms) = (&config.pix, Duration::from_millis);
    Bounds {
        connect_timeout: ms(pix.connect_timeout_ms),
        call_timeout: ms(pix.call_timeout_ms),
        retries_max: pix.retries_max,
        retry_permille: pix.retry_permille,
        reads_per_s: pix.reads_per_s,
        writes_per_s: pix.writes_per_s,
        burst: pix.burst,
        calls_max: pix.calls_max,
        failures_max: pix.failures_max,
        pause: ms(pix.pause_ms),
        answer_bytes_max: pix.answer_bytes_max,
    }
}

pub(super) fn tariffs(config: &Config) -> crate::actors::Tariffs {
    let fares = config.fares.clone();
    Arc::new(move |category| Some(fares.tariff(category)))
}

pub(super) fn accounts(
    config: &Config,
    db: Db,
    journal: Arc<Journal>,
) -> Result<Accounts, StartError> {
    let auth = &config.auth;
    let options = AccountOptions {
        issuer: auth.issuer.clone(),
        audience: auth.audience.clone(),
        access_life: Millis::from_secs(auth.access_ttl_s),
        refresh_life: Millis::from_secs(auth.refresh_ttl_s),
        pix_key_cooling: config.money.pix_key_cooling_ms,
        signing_key: signing_key(config)?,
        hashing: HashingOptions {
            memory_kib: auth.password_memory_kib,
            passes: auth.password_iterations,
            ..HashingOptions::default()
        },
    };
    Ok(Accounts::new(db, journal, &options, Arc::new(wall_clock))?)
}

pub(super) fn wall_clock() -> UnixMillis {
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
