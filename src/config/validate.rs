//! What the values must satisfy: ranges, rules between keys, and what production insists on.
//!
//! Only the door of `config` calls it, once, after reading. Every problem is told, not the first.

use std::ops::RangeInclusive;

use ibora_domain::payment::REFUNDABLE;
use rust_decimal::Decimal;
use secrecy::ExposeSecret;

use super::Config;
use super::error::{Problem, Why};
use super::sections::{FareTable, Mode, PixSimulator, RoutingKind};
use crate::obs::level_filter;

/// A key, its value and where that must lie.
type Range = (&'static str, u64, RangeInclusive<u64>);

/// The longest time a `_ms` key may say: a year. Past it a sum of two could not be trusted.
const MS_MAX: u64 = 366 * 24 * 3600 * 1000;
/// Where the numbers of dispatch policies must lie, everywhere and in a zone.
const RACE_SIZES: RangeInclusive<u64> = 1..=100;
const WINDOWS_MS: RangeInclusive<u64> = 1..=10_000;
/// How many zones there may be: each wave of a ride looks through them.
const ZONES: RangeInclusive<u64> = 0..=100;
/// Bytes of a key that signs tokens: as many as its hash has.
const SIGNING_KEY_BYTES_MIN: usize = 32;
/// Bytes of the secret in the address of our webhook.
const WEBHOOK_SECRET_BYTES_MIN: usize = 32;
/// KiB and passes below which guessing passwords is cheap: the published minimum for argon2id.
const PASSWORD_KIB_MIN: u32 = 19_456;
const PASSWORD_ITERATIONS_MIN: u32 = 2;

/// Every problem of the configuration, in the order of its sections.
pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let mut found = Found(Vec::new());
    found.ranges(&service_ranges(config));
    found.ranges(&session_ranges(config));
    found.ranges(&domain_ranges(config));
    found.ranges(&pix_ranges(config));
    found.texts(config);
    found.osrm(config);
    found.pix(config);
    found.owner(config);
    found.webhooks(config);
    found.order(config);
    found.waves(config);
    found.zones(config);
    found.fares(config);
    found.secrets(config);
    if config.mode == Mode::Production {
        found.production(config);
    }
    found.0
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

fn service_ranges(config: &Config) -> Vec<Range> {
    let Config { http, database, auth, limits, journal, actors, .. } = config;
    vec![
        ("http.workers", wide(http.workers), 0..=1024),
        ("http.max_body_bytes", wide(http.max_body_bytes), 1024..=64 << 20),
        ("node.lease_s", config.node.lease_s, 1..=600),
        ("database.pool_size", database.pool_size.into(), 1..=1000),
        ("database.embedded_wal_reserve_mb", database.embedded_wal_reserve_mb.into(), 0..=65_536),
        ("auth.access_ttl_s", auth.access_ttl_s, 1..=86_400),
        ("auth.refresh_ttl_s", auth.refresh_ttl_s, 1..=366 * 86_400),
        ("auth.password_memory_kib", auth.password_memory_kib.into(), 8..=4 << 20),
        ("auth.password_iterations", auth.password_iterations.into(), 1..=100),
        ("limits.user_per_s", limits.user_per_s.into(), 1..=1_000_000),
        ("limits.user_burst", limits.user_burst.into(), 1..=1_000_000),
        ("limits.anonymous_per_min", limits.anonymous_per_min.into(), 1..=100_000_000),
        ("limits.auth_per_min", limits.auth_per_min.into(), 1..=100_000_000),
        ("journal.writers", wide(journal.writers), 1..=64),
        ("journal.queue_max", wide(journal.queue_max), 1..=1 << 20),
        ("journal.batch_max", wide(journal.batch_max), 1..=8192),
        ("journal.answer_ms", journal.answer_ms, 100..=600_000),
        ("actors.arbiters", wide(actors.arbiters), 0..=1024),
        ("actors.mailbox_max", wide(actors.mailbox_max), 1..=1 << 20),
        ("actors.ride_passivate_ms", actors.ride_passivate_ms, 1..=MS_MAX),
        ("actors.driver_passivate_ms", actors.driver_passivate_ms, 1..=MS_MAX),
        ("audit.every_ms", config.audit.every_ms, 100..=3_600_000),
        ("audit.window_ms", config.audit.window_ms, 1000..=86_400_000),
        ("actors.command_deadline_ms", actors.command_deadline_ms, 1..=600_000),
    ]
}

fn session_ranges(config: &Config) -> Vec<Range> {
    let (session, presence) = (&config.session, &config.presence);
    vec![
        ("session.hello_timeout_ms", session.hello_timeout_ms, 1..=600_000),
        ("session.strangers_max", wide(session.strangers_max), 1..=1_000_000),
        (
            "session.strangers_per_address_max",
            wide(session.strangers_per_address_max),
            1..=1_000_000,
        ),
        ("session.sessions_max", wide(session.sessions_max), 1..=1_000_000),
        ("session.openings_max", wide(session.openings_max), 1..=100_000),
        ("session.openings_per_s", session.openings_per_s.into(), 1..=1_000_000),
        ("session.openings_burst", session.openings_burst.into(), 1..=1_000_000),
        ("session.idle_ms", session.idle_ms, 100..=3_600_000),
        ("session.active_ms", session.active_ms, 100..=3_600_000),
        ("session.grace_ms", session.grace_ms, 0..=3_600_000),
        ("session.active_grace_ms", session.active_grace_ms, 0..=3_600_000),
        ("session.frame_bytes_max", wide(session.frame_bytes_max), 1024..=16 << 20),
        ("session.cmd_per_s", session.cmd_per_s.into(), 1..=1_000_000),
        ("session.cmd_burst", session.cmd_burst.into(), 1..=1_000_000),
        ("session.tel_per_s", session.tel_per_s.into(), 1..=1_000_000),
        ("session.tel_burst", session.tel_burst.into(), 1..=1_000_000),
        ("session.outbox_events_max", wide(session.outbox_events_max), 1..=1 << 20),
        ("session.outbox_bytes_max", wide(session.outbox_bytes_max), 4096..=1 << 30),
        ("session.write_timeout_ms", session.write_timeout_ms, 1..=600_000),
        ("session.resend_ms", session.resend_ms, 100..=600_000),
        ("session.passenger_devices_max", wide(session.passenger_devices_max), 1..=100),
        ("presence.timeout_ms", presence.timeout_ms, 1..=MS_MAX),
    ]
}

fn domain_ranges(config: &Config) -> Vec<Range> {
    let Config { dispatch, rides, money, routing, clock, .. } = config;
    vec![
        ("dispatch.pickup_max_ms", dispatch.pickup_max_ms.0, 1000..=MS_MAX),
        ("dispatch.race_size", dispatch.race_size.into(), RACE_SIZES),
        ("dispatch.batch_window_ms", dispatch.batch_window_ms.0, WINDOWS_MS),
        ("dispatch.soon_within_ms", dispatch.soon_within_ms.0, 0..=600_000),
        ("dispatch.chain_late_ms", dispatch.chain_late_ms.0, 0..=MS_MAX),
        ("dispatch.head_start_ms", dispatch.head_start_ms.0, 0..=MS_MAX),
        ("dispatch.wave_ms", dispatch.wave_ms.0, 1..=MS_MAX),
        ("dispatch.offer_ttl_ms", dispatch.offer_ttl_ms.0, 1..=MS_MAX),
        ("dispatch.accept_grace_ms", dispatch.accept_grace_ms.0, 0..=60_000),
        ("dispatch.search_ms", dispatch.search_ms.0, 1..=MS_MAX),
        ("dispatch.offers_per_driver_max", dispatch.offers_per_driver_max.into(), 1..=100),
        ("dispatch.reassignments_max", dispatch.reassignments_max.into(), 0..=100),
        ("dispatch.position_stale_ms", dispatch.position_stale_ms.0, 1..=MS_MAX),
        ("rides.pin_tries_max", rides.pin_tries_max.into(), 1..=100),
        ("rides.pin_lock_ms", rides.pin_lock_ms.0, 0..=MS_MAX),
        ("rides.no_show_after_ms", rides.no_show_after_ms.0, 0..=MS_MAX),
        ("rides.cancel_grace_ms", rides.cancel_grace_ms.0, 0..=MS_MAX),
        ("rides.arriving_m", rides.arriving_m.0.into(), 1..=100_000),
        ("rides.arrived_m", rides.arrived_m.0.into(), 1..=100_000),
        ("rides.arrived_accuracy_m", rides.arrived_accuracy_m.0.into(), 1..=100_000),
        ("rides.arrive_said_within_m", rides.arrive_said_within_m.0.into(), 1..=100_000),
        ("rides.rating_within_ms", rides.rating_within_ms.0, 0..=MS_MAX),
        ("money.charge_expiry_ms", config.money.charge_expiry_ms.0, 1000..=MS_MAX),
        ("money.hold_ms", config.money.hold_ms.0, 0..=MS_MAX),
        ("money.tip_within_ms", money.tip_within_ms.0, 0..=MS_MAX),
        ("money.write_off_after_ms", money.write_off_after_ms.0, 1000..=MS_MAX),
        ("money.payout_held_ms", config.money.payout_held_ms.0, 1000..=MS_MAX),
        ("money.payout_absent_ms", config.money.payout_absent_ms.0, 1000..=MS_MAX),
        ("money.payout_look_ms", config.money.payout_look_ms.0, 100..=MS_MAX),
        ("rides.eta_every_ms", rides.eta_every_ms.0, 100..=MS_MAX),
        ("rides.quote_ttl_ms", rides.quote_ttl_ms.0, 1..=MS_MAX),
        ("money.dispute_within_ms", money.dispute_within_ms.0, 1000..=REFUNDABLE.0),
        ("money.dispute_answer_ms", money.dispute_answer_ms.0, 1000..=REFUNDABLE.0),
        ("money.dispute_ruled_ms", money.dispute_ruled_ms.0, 1000..=REFUNDABLE.0),
        ("money.pix_key_cooling_ms", money.pix_key_cooling_ms.0, 0..=MS_MAX),
        ("routing.a_seconds", routing.a_seconds.into(), 1..=100_000),
        ("routing.osrm_timeout_ms", routing.osrm_timeout_ms, 1..=10_000),
        ("routing.osrm_failures_max", routing.osrm_failures_max.into(), 1..=1000),
        ("routing.osrm_pause_ms", routing.osrm_pause_ms, 1..=600_000),
        ("clock.speed", clock.speed.into(), 1..=1000),
    ]
}

fn pix_ranges(config: &Config) -> Vec<Range> {
    let pix = &config.pix;
    vec![
        ("pix.connect_timeout_ms", pix.connect_timeout_ms, 1..=60_000),
        ("pix.call_timeout_ms", pix.call_timeout_ms, 1..=600_000),
        ("pix.simulator_pay_after_ms", pix.simulator_pay_after_ms, 0..=86_400_000),
        ("pix.retries_max", pix.retries_max.into(), 0..=10),
        ("pix.retry_permille", pix.retry_permille.into(), 0..=1000),
        ("pix.reads_per_s", pix.reads_per_s.into(), 1..=1_000_000),
        ("pix.writes_per_s", pix.writes_per_s.into(), 1..=1_000_000),
        ("pix.burst", pix.burst.into(), 1..=1_000_000),
        ("pix.calls_max", wide(pix.calls_max), 1..=10_000),
        ("pix.failures_max", pix.failures_max.into(), 1..=1000),
        ("pix.pause_ms", pix.pause_ms, 1..=3_600_000),
        ("pix.answer_bytes_max", wide(pix.answer_bytes_max), 65_536..=1 << 30),
        ("pix.callback_within_ms", pix.callback_within_ms, 0..=3_600_000),
        ("pix.janitor_every_ms", pix.janitor_every_ms, 10..=3_600_000),
        ("pix.webhook_bytes_max", wide(pix.webhook_bytes_max), 1024..=16 << 20),
    ]
}

/// Problems found so far.
struct Found(Vec<Problem>);

impl Found {
    fn tell(&mut self, key: &str, why: Why) {
        self.0.push(Problem { key: key.to_owned(), why, origin: None });
    }

    fn unless(&mut self, holds: bool, key: &str, why: Why) {
        if !holds {
            self.tell(key, why);
        }
    }

    fn ranges(&mut self, ranges: &[Range]) {
        for (key, value, range) in ranges {
            self.range(key, *value, range.clone());
        }
    }

    fn range(&mut self, key: &str, value: u64, range: RangeInclusive<u64>) {
        self.unless(range.contains(&value), key, Why::OutOfRange { value, range });
    }

    fn texts(&mut self, config: &Config) {
        let named = [
            ("service.name", &config.service.name),
            ("service.environment", &config.service.environment),
            ("auth.issuer", &config.auth.issuer),
            ("auth.audience", &config.auth.audience),
        ];
        for (key, text) in named {
            self.unless(!text.trim().is_empty(), key, Why::Empty);
        }
        let named = config.node.id.as_deref().is_none_or(is_node_id);
        self.unless(named, "node.id", Why::NodeId);
        if let Err(error) = level_filter(&config.log.level) {
            self.tell("log.level", Why::Level(error));
        }
        for origin in &config.http.allowed_origins {
            let why = Why::Origin(origin.clone());
            self.unless(is_origin(origin), "http.allowed_origins", why);
        }
        let (graph, routing) = (RoutingKind::RoadGraph, &config.routing);
        for (key, file) in [("routing.nodes", &routing.nodes), ("routing.edges", &routing.edges)] {
            let condition = "routing.kind is \"road_graph\"";
            self.unless(routing.kind != graph || file.is_some(), key, Why::Needed { condition });
        }
    }

    /// What only an OSRM server needs.
    fn osrm(&mut self, config: &Config) {
        let routing = &config.routing;
        let plain = routing.osrm_url.strip_prefix("http://").is_some_and(|host| !host.is_empty());
        let condition = "routing.kind is \"osrm\", as http://HOST:PORT";
        let needed = routing.kind == RoutingKind::Osrm;
        self.unless(!needed || plain, "routing.osrm_url", Why::Needed { condition });
    }

    /// What calling a provider takes.
    fn pix(&mut self, config: &Config) {
        let pix = &config.pix;
        if pix.base_url.is_empty() {
            return;
        }
        let host = pix.base_url.strip_prefix("https://").unwrap_or_default();
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
        let address = !host.is_empty() && host.bytes().all(plain);
        self.unless(address, "pix.base_url", Why::SecureAddress);
        let needed = [
            (pix.client_id.is_some(), "pix.client_id"),
            (pix.client_secret.is_some(), "pix.client_secret"),
            (pix.certificate.is_some(), "pix.certificate"),
            (pix.key.is_some(), "pix.key"),
        ];
        for (given, key) in needed {
            self.unless(given, key, Why::Needed { condition: "pix.base_url is set" });
        }
    }

    /// To whom the platform's own money goes.
    fn owner(&mut self, config: &Config) {
        let pix = &config.pix;
        let document = pix.owner_document.as_ref().map(ExposeSecret::expose_secret);
        let good = document.is_some_and(|document| {
            let plain = document.bytes().all(|byte| byte.is_ascii_alphanumeric());
            plain && [11, 14].contains(&document.len())
        });
        let condition = "pix.owner_key is set: 11 digits, or 14 digits and letters";
        let needed = pix.owner_key.is_some();
        self.unless(!needed || good, "pix.owner_document", Why::Needed { condition });
    }

    /// What taking the provider's callbacks takes.
    fn webhooks(&mut self, config: &Config) {
        let pix = &config.pix;
        let secrets = [
            ("pix.webhook_secret", &pix.webhook_secret),
            ("pix.webhook_secret_old", &pix.webhook_secret_old),
        ];
        for (key, secret) in secrets {
            let good = secret.as_ref().is_none_or(|secret| is_in_address(secret.expose_secret()));
            self.unless(good, key, Why::AddressSecret { bytes: WEBHOOK_SECRET_BYTES_MIN });
        }
        let listens = pix.webhook_listen.is_some();
        let needed = [
            (pix.webhook_certificate.is_some(), "pix.webhook_certificate"),
            (pix.webhook_ca.is_some(), "pix.webhook_ca"),
        ];
        for (given, key) in needed {
            let condition = "pix.webhook_listen is set";
            self.unless(!listens || given, key, Why::Needed { condition });
        }
        if pix.webhook_url.is_empty() {
            return;
        }
        self.unless(is_webhook(&pix.webhook_url), "pix.webhook_url", Why::WebhookAddress);
        let condition = "pix.webhook_url is set";
        self.unless(!pix.base_url.is_empty(), "pix.base_url", Why::Needed { condition });
        let proved = listens || pix.webhook_secret.is_some();
        let condition = "pix.webhook_url is set and pix.webhook_listen is not";
        self.unless(proved, "pix.webhook_secret", Why::Needed { condition });
    }

    /// Pairs of which the first must not be above the second.
    fn order(&mut self, config: &Config) {
        let Config { session, dispatch, rides, journal, auth, pix, money, .. } = config;
        let pairs = [
            (
                "pix.connect_timeout_ms",
                pix.connect_timeout_ms,
                "pix.call_timeout_ms",
                pix.call_timeout_ms,
            ),
            ("session.active_ms", session.active_ms, "session.idle_ms", session.idle_ms),
            (
                "session.frame_bytes_max",
                wide(session.frame_bytes_max),
                "session.outbox_bytes_max",
                wide(session.outbox_bytes_max),
            ),
            (
                "dispatch.head_start_ms",
                dispatch.head_start_ms.0,
                "dispatch.search_ms",
                dispatch.search_ms.0,
            ),
            ("dispatch.wave_ms", dispatch.wave_ms.0, "dispatch.search_ms", dispatch.search_ms.0),
            (
                "rides.arrived_m",
                rides.arrived_m.0.into(),
                "rides.arriving_m",
                rides.arriving_m.0.into(),
            ),
            (
                "journal.batch_max",
                wide(journal.batch_max),
                "journal.queue_max",
                wide(journal.queue_max),
            ),
            ("auth.access_ttl_s", auth.access_ttl_s, "auth.refresh_ttl_s", auth.refresh_ttl_s),
            (
                "money.tip_min",
                money.tip_min.0.unsigned_abs(),
                "money.tip_max",
                money.tip_max.0.unsigned_abs(),
            ),
            (
                "money.top_up_min",
                money.top_up_min.0.unsigned_abs(),
                "money.top_up_max",
                money.top_up_max.0.unsigned_abs(),
            ),
            (
                "money.top_up_max",
                money.top_up_max.0.unsigned_abs(),
                "money.credit_max",
                money.credit_max.0.unsigned_abs(),
            ),
        ];
        for (key, value, other, bound) in pairs {
            self.unless(value <= bound, key, Why::Above { other });
        }
    }

    fn waves(&mut self, config: &Config) {
        let (waves, radii) = (&config.dispatch.waves, &config.dispatch.radii_m);
        // Of different lengths they may be: the last figure of each holds for all later waves.
        self.unless(!waves.is_empty(), "dispatch.waves", Why::Empty);
        self.unless(!radii.is_empty(), "dispatch.radii_m", Why::Empty);
        let waves = waves.iter().map(|wave| ("dispatch.waves", u64::from(*wave), 1..=10_000));
        let radii = radii.iter().map(|r| ("dispatch.radii_m", u64::from(r.0), 1..=100_000));
        self.ranges(&waves.chain(radii).collect::<Vec<_>>());
    }

    fn zones(&mut self, config: &Config) {
        let zones = &config.dispatch.zones;
        self.range("dispatch.zones", wide(zones.len()), ZONES);
        for (at, zone) in zones.iter().enumerate() {
            let key = |name: &str| format!("dispatch.zones.{}.{name}", zone.name);
            self.unless(!zone.name.trim().is_empty(), &key("name"), Why::Empty);
            let other = zones.iter().take(at).any(|other| other.name == zone.name);
            self.unless(!other, &key("name"), Why::NameTaken);
            self.range(&key("radius_m"), zone.radius_m.0.into(), 1..=1_000_000);
            if let Some(size) = zone.race_size {
                self.range(&key("race_size"), size.into(), RACE_SIZES);
            }
            if let Some(window) = zone.batch_window_ms {
                self.range(&key("batch_window_ms"), window.0, WINDOWS_MS);
            }
        }
    }

    fn fares(&mut self, config: &Config) {
        self.rate("fares.surge_cap", config.fares.surge_cap, Decimal::ONE);
        for (category, table) in config.fares.tables() {
            let FareTable { per_km, per_min, .. } = table;
            for (name, rate) in [("per_km", per_km), ("per_min", per_min)] {
                self.rate(&format!("fares.{category}.{name}"), *rate, Decimal::ZERO);
            }
        }
    }

    fn rate(&mut self, key: &str, rate: Decimal, low: Decimal) {
        let high = Decimal::ONE_THOUSAND;
        self.unless((low..=high).contains(&rate), key, Why::Rate { low, high });
    }

    fn secrets(&mut self, config: &Config) {
        if let Some(key) = &config.auth.signing_key {
            let long_enough = key.expose_secret().len() >= SIGNING_KEY_BYTES_MIN;
            let why = Why::TooShort { bytes: SIGNING_KEY_BYTES_MIN };
            self.unless(long_enough, "auth.signing_key", why);
        }
    }

    fn production(&mut self, config: &Config) {
        let auth = &config.auth;
        let rules = [
            (auth.signing_key.is_some(), "auth.signing_key", "set"),
            (config.metrics.listen.is_some(), "metrics.listen", "set"),
            (!config.pix.base_url.is_empty(), "pix.base_url", "set"),
            (config.pix.simulator != PixSimulator::On, "pix.simulator", "\"off\" or \"auto\""),
            (config.clock.speed == 1, "clock.speed", "1"),
            (!config.seed.enabled, "seed.enabled", "false"),
            (
                auth.password_memory_kib >= PASSWORD_KIB_MIN,
                "auth.password_memory_kib",
                "19456 or more",
            ),
            (
                auth.password_iterations >= PASSWORD_ITERATIONS_MIN,
                "auth.password_iterations",
                "2 or more",
            ),
        ];
        for (holds, key, required) in rules {
            self.unless(holds, key, Why::Production { required });
        }
    }
}

/// Whether an engine can be called so. Tools beside an engine have the names that begin `tool-`.
#[must_use]
pub fn is_node_id(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(plain) && !text.starts_with("tool-")
}

/// Whether a secret can stand in an address as it is, and is too long to be guessed.
fn is_in_address(secret: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    secret.len() >= WEBHOOK_SECRET_BYTES_MIN && secret.bytes().all(plain)
}

/// HTTPS, as the provider demands; on this machine HTTP will do for the simulator of it.
fn is_webhook(url: &str) -> bool {
    let near = |host: &str| matches!(host.split(':').next(), Some("localhost" | "127.0.0.1"));
    let host = url.strip_suffix("/webhooks/efi/pix").and_then(|url| {
        let http = || url.strip_prefix("http://").filter(|host| near(host));
        url.strip_prefix("https://").or_else(http)
    });
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    host.is_some_and(|host| !host.is_empty() && host.bytes().all(plain))
}

/// Scheme, host and maybe a port: what a browser sends as `Origin`.
fn is_origin(text: &str) -> bool {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    host.is_some_and(|host| {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        !host.is_empty() && host.bytes().all(|b| allowed(b) || b".-:[]".contains(&b))
    })
}
