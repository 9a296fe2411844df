//! The sections of the configuration as types. One struct a section, one field a key.
//!
//! Values here were read, not yet judged: ranges and rules between keys are in `validate`. Units
//! are the end of the names. `Millis` is domain time, which `clock.speed` stretches; a plain
//! number of milliseconds is real time.

use std::net::SocketAddr;
use std::path::PathBuf;

use ibora_domain::dispatch::PolicyKind;
use ibora_domain::dispute::Winner;
use ibora_domain::ledger::Rate;
use ibora_domain::money::Centavos;
use ibora_domain::pix::PixKey;
use ibora_domain::place::Coordinates;
use ibora_domain::units::{Metres, Millis};
use rust_decimal::Decimal;
use secrecy::SecretString;
use serde::Deserialize;

use super::values::{amount, list, optional, path, pix_key, rate, secret, share};
use crate::network::Range;
use crate::obs::{LogFormat, LogOutput};

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$meta])* pub $field: $type,)*
        }
    };
}

/// What the engine insists on before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    Development,
    Production,
}

/// How pickup times are estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RoutingKind {
    PowerLaw,
    RoadGraph,
    Osrm,
}

/// Whether a simulated provider of Pix runs inside the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PixSimulator {
    /// Where nothing is configured that an engine could do real work with.
    Auto,
    On,
    Off,
}

section! {
    /// `[http]`: the public listener.
    Http {
        listen: SocketAddr,
        workers: usize,
        max_body_bytes: usize,
        allowed_origins: Vec<String>,
        #[serde(deserialize_with = "list")]
        trusted_proxies: Vec<Range>,
    }
}

section! {
    /// `[metrics]`: where `/metrics` is.
    Metrics {
        #[serde(deserialize_with = "optional")]
        listen: Option<SocketAddr>,
    }
}

section! {
    /// `[log]`.
    Log {
        level: String,
        format: LogFormat,
        output: LogOutput,
    }
}

section! {
    /// `[service]`: what stands on each log line.
    Service {
        name: String,
        environment: String,
    }
}

section! {
    /// `[data]`.
    Data {
        #[serde(deserialize_with = "path")]
        dir: Option<PathBuf>,
    }
}

section! {
    /// `[node]`: this engine among those on its database.
    Node {
        #[serde(deserialize_with = "optional")]
        id: Option<String>,
        lease_s: u64,
    }
}

section! {
    /// `[database]`. Without `url` the engine runs its own.
    Database {
        #[serde(deserialize_with = "secret")]
        url: Option<SecretString>,
        #[serde(deserialize_with = "path")]
        url_file: Option<PathBuf>,
        #[serde(deserialize_with = "secret")]
        migrate_url: Option<SecretString>,
        #[serde(deserialize_with = "path")]
        migrate_url_file: Option<PathBuf>,
        pool_size: u32,
        #[serde(deserialize_with = "path")]
        embedded_binaries: Option<PathBuf>,
        embedded_wal_reserve_mb: u32,
    }
}

section! {
    /// `[auth]`: tokens and passwords.
    Auth {
        issuer: String,
        audience: String,
        access_ttl_s: u64,
        refresh_ttl_s: u64,
        #[serde(deserialize_with = "secret")]
        signing_key: Option<SecretString>,
        #[serde(deserialize_with = "path")]
        signing_key_file: Option<PathBuf>,
        password_memory_kib: u32,
        password_iterations: u32,
    }
}

section! {
    /// `[limits]`: requests over time.
    Limits {
        enabled: bool,
        user_per_s: u32,
        user_burst: u32,
        anonymous_per_min: u32,
        auth_per_min: u32,
    }
}

section! {
    /// `[session]`: one WebSocket session. All times are real.
    Session {
        hello_timeout_ms: u64,
        strangers_max: usize,
        strangers_per_address_max: usize,
        sessions_max: usize,
        openings_max: usize,
        openings_per_s: u32,
        openings_burst: u32,
        idle_ms: u64,
        active_ms: u64,
        grace_ms: u64,
        active_grace_ms: u64,
        frame_bytes_max: usize,
        cmd_per_s: u32,
        cmd_burst: u32,
        tel_per_s: u32,
        tel_burst: u32,
        outbox_events_max: usize,
        outbox_bytes_max: usize,
        write_timeout_ms: u64,
        resend_ms: u64,
        passenger_devices_max: usize,
    }
}

section! {
    /// `[presence]`.
    Presence {
        timeout_ms: u64,
    }
}

section! {
    /// `[dispatch]`: waves and offers. All times are domain time.
    Dispatch {
        policy: PolicyKind,
        pickup_max_ms: Millis,
        race_size: u16,
        batch_window_ms: Millis,
        zones: Vec<ZoneTable>,
        soon_within_ms: Millis,
        chain_late_ms: Millis,
        waves: Vec<u16>,
        radii_m: Vec<Metres>,
        head_start_ms: Millis,
        wave_ms: Millis,
        offer_ttl_ms: Millis,
        accept_grace_ms: Millis,
        search_ms: Millis,
        offers_per_driver_max: u16,
        reassignments_max: u8,
        position_stale_ms: Millis,
    }
}

section! {
    /// `[[dispatch.zones]]`: a circle with a policy of its own. What it leaves out is as outside.
    ZoneTable {
        name: String,
        centre: Coordinates,
        radius_m: Metres,
        policy: PolicyKind,
        race_size: Option<u16>,
        batch_window_ms: Option<Millis>,
    }
}

section! {
    /// `[rides]`: the policies of a ride. All times are domain time.
    Rides {
        pin_tries_max: u8,
        pin_lock_ms: Millis,
        no_show_after_ms: Millis,
        #[serde(deserialize_with = "amount")]
        no_show_fee: Centavos,
        #[serde(deserialize_with = "amount")]
        cancel_fee: Centavos,
        cancel_grace_ms: Millis,
        arriving_m: Metres,
        arrived_m: Metres,
        arrived_accuracy_m: Metres,
        arrive_said_within_m: Metres,
        rating_within_ms: Millis,
        eta_every_ms: Millis,
        quote_ttl_ms: Millis,
    }
}

section! {
    /// `[money]`: how what passengers pay is shared, and paid on. Times are domain time.
    Money {
        #[serde(deserialize_with = "share")]
        commission: Rate,
        #[serde(deserialize_with = "share")]
        driver_fee_share: Rate,
        charge_expiry_ms: Millis,
        hold_ms: Millis,
        dispute_within_ms: Millis,
        dispute_answer_ms: Millis,
        dispute_ruled_ms: Millis,
        dispute_unruled: Winner,
        #[serde(deserialize_with = "amount")]
        tip_min: Centavos,
        #[serde(deserialize_with = "amount")]
        tip_max: Centavos,
        tip_within_ms: Millis,
        #[serde(deserialize_with = "amount")]
        top_up_min: Centavos,
        #[serde(deserialize_with = "amount")]
        top_up_max: Centavos,
        #[serde(deserialize_with = "amount")]
        credit_max: Centavos,
        write_off_after_ms: Millis,
        #[serde(deserialize_with = "amount")]
        payout_fee: Centavos,
        #[serde(deserialize_with = "amount")]
        payout_minimum: Centavos,
        #[serde(deserialize_with = "amount")]
        payout_day_max: Centavos,
        #[serde(deserialize_with = "amount")]
        payout_approval_above: Centavos,
        #[serde(deserialize_with = "amount")]
        sweep_keeps: Centavos,
        payout_held_ms: Millis,
        payout_absent_ms: Millis,
        payout_look_ms: Millis,
        pix_key_cooling_ms: Millis,
    }
}

section! {
    /// `[fares]`: a table a category, and the cap on surge.
    Fares {
        #[serde(deserialize_with = "rate")]
        surge_cap: Decimal,
        economy: FareTable,
        comfort: FareTable,
        premium: FareTable,
        moto: FareTable,
        delivery: FareTable,
    }
}

section! {
    /// `[fares.<category>]`. Rates in reais.
    FareTable {
        #[serde(deserialize_with = "amount")]
        base: Centavos,
        #[serde(deserialize_with = "rate")]
        per_km: Decimal,
        #[serde(deserialize_with = "rate")]
        per_min: Decimal,
        #[serde(deserialize_with = "amount")]
        minimum: Centavos,
    }
}

section! {
    /// `[routing]`.
    Routing {
        kind: RoutingKind,
        a_seconds: u32,
        #[serde(deserialize_with = "path")]
        nodes: Option<PathBuf>,
        #[serde(deserialize_with = "path")]
        edges: Option<PathBuf>,
        osrm_url: String,
        osrm_profile: String,
        osrm_timeout_ms: u64,
        osrm_failures_max: u32,
        osrm_pause_ms: u64,
    }
}

section! {
    /// `[journal]`.
    Journal {
        writers: usize,
        queue_max: usize,
        batch_max: usize,
        answer_ms: u64,
    }
}

section! {
    /// `[actors]`. All times are real.
    Actors {
        arbiters: usize,
        mailbox_max: usize,
        ride_passivate_ms: u64,
        driver_passivate_ms: u64,
        command_deadline_ms: u64,
    }
}

section! {
    /// `[pix]`: the provider. All times are real.
    Pix {
        base_url: String,
        simulator: PixSimulator,
        simulator_pay_after_ms: u64,
        #[serde(deserialize_with = "secret")]
        client_id: Option<SecretString>,
        #[serde(deserialize_with = "path")]
        client_id_file: Option<PathBuf>,
        #[serde(deserialize_with = "secret")]
        client_secret: Option<SecretString>,
        #[serde(deserialize_with = "path")]
        client_secret_file: Option<PathBuf>,
        #[serde(deserialize_with = "path")]
        certificate: Option<PathBuf>,
        #[serde(deserialize_with = "path")]
        certificate_key: Option<PathBuf>,
        #[serde(deserialize_with = "secret")]
        certificate_password: Option<SecretString>,
        #[serde(deserialize_with = "path")]
        certificate_password_file: Option<PathBuf>,
        #[serde(deserialize_with = "path")]
        ca: Option<PathBuf>,
        #[serde(deserialize_with = "pix_key")]
        key: Option<PixKey>,
        #[serde(deserialize_with = "pix_key")]
        owner_key: Option<PixKey>,
        #[serde(deserialize_with = "secret")]
        owner_document: Option<SecretString>,
        webhook_url: String,
        #[serde(deserialize_with = "secret")]
        webhook_secret: Option<SecretString>,
        #[serde(deserialize_with = "path")]
        webhook_secret_file: Option<PathBuf>,
        #[serde(deserialize_with = "secret")]
        webhook_secret_old: Option<SecretString>,
        #[serde(deserialize_with = "path")]
        webhook_secret_old_file: Option<PathBuf>,
        #[serde(deserialize_with = "optional")]
        webhook_listen: Option<SocketAddr>,
        #[serde(deserialize_with = "path")]
        webhook_certificate: Option<PathBuf>,
        #[serde(deserialize_with = "path")]
        webhook_certificate_key: Option<PathBuf>,
        #[serde(deserialize_with = "path")]
        webhook_ca: Option<PathBuf>,
        callback_within_ms: u64,
        janitor_every_ms: u64,
        webhook_bytes_max: usize,
        connect_timeout_ms: u64,
        call_timeout_ms: u64,
        retries_max: u32,
        retry_permille: u32,
        reads_per_s: u32,
        writes_per_s: u32,
        burst: u32,
        calls_max: usize,
        failures_max: u32,
        pause_ms: u64,
        answer_bytes_max: usize,
    }
}

section! {
    /// `[audit]`: the promises, watched in the background. All times are real.
    Audit {
        every_ms: u64,
        window_ms: u64,
    }
}

section! {
    /// `[clock]`.
    Clock {
        speed: u32,
    }
}

section! {
    /// `[seed]`.
    Seed {
        enabled: bool,
    }
}
