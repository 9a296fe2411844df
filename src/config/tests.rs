//! What a configuration promises to whoever writes one.

use std::ffi::OsString;
use std::path::PathBuf;

use rust_decimal::Decimal;
use secrecy::ExposeSecret;

use super::*;
use ibora_domain::category::Category;
use ibora_domain::dispatch::PolicyKind;
use ibora_domain::fare::price;
use ibora_domain::money::Centavos;
use ibora_domain::place::Coordinates;
use ibora_domain::policy::RidePolicy;
use ibora_domain::units::{Metres, Millis, Seconds};

const SIGNING_KEY: &str = "canary-key-0123456789abcdef01234567";

/// A file that is gone when the test is.
struct TempFile(PathBuf);

impl TempFile {
    fn new(content: &str) -> Self {
        let path = std::env::temp_dir().join(format!("ibora-config-{}", uuid::Uuid::new_v4()));
        std::fs::write(&path, content).expect("the folder for temporary files is writable");
        Self(path)
    }

    fn text(&self) -> String {
        self.0.display().to_string()
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(String, OsString)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), OsString::from(value))).collect()
}

fn from_file(content: &str) -> Result<Config, ConfigError> {
    let file = TempFile::new(content);
    Config::load(&Sources { file: Some(file.0.clone()), ..Sources::default() })
}

fn from_variables(pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(&Sources { variables: variables(pairs), ..Sources::default() })
}

fn refusal(loaded: Result<Config, ConfigError>) -> String {
    loaded.expect_err("it must be refused").to_string()
}

#[test]
fn the_defaults_are_those_of_the_published_rules() {
    let config = Config::with(&[]).expect("the defaults are valid");
    assert_eq!(config.mode, Mode::Development);
    assert_eq!(config.http.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.metrics.listen, None);
    assert_eq!(config.dispatch.waves, [1, 3, 8, 12]);
    assert_eq!(config.dispatch.radii_m, [1500, 3000, 5000, 7000].map(Metres));
    assert_eq!(config.dispatch.search_ms, Millis(150_000));
    assert_eq!(config.rides.no_show_fee, Centavos(500));
    assert_eq!(config.fares.economy.per_km, Decimal::new(160, 2));
    assert_eq!(config.fares.economy.minimum, Centavos(700));
    assert_eq!(config.session.frame_bytes_max, 16_384);
    assert!(config.auth.signing_key.is_none() && config.database.url.is_none());
}

#[test]
fn the_policies_of_the_core_come_from_the_configuration() {
    let config = Config::with(&[]).expect("the defaults are valid");
    let mut policy = config.ride_policy();
    assert!(policy.payments.charges, "where nothing is configured the provider is simulated");
    policy.payments.charges = false;
    assert_eq!(policy, RidePolicy::default());
    let changed = Config::with(&[("dispatch.head_start_ms", "2500"), ("rides.cancel_fee", "6.10")]);
    let policy = changed.expect("it is valid").ride_policy();
    assert_eq!(policy.head_start, Millis(2500));
    assert_eq!(policy.cancel_fee, Centavos(610));
    let (economy, premium) = (Category::Economy, Category::Premium);
    let fare = price(&config.fares.tariff(economy), Metres(5000), Seconds(600), Decimal::ONE);
    assert_eq!(fare.map(|fare| fare.estimated), Ok(Centavos(1450)));
    assert_eq!(config.fares.tariff(premium).minimum, Decimal::from(14));
    assert_eq!(config.fares.tariff(premium).surge_cap, Decimal::TWO);
}

#[test]
fn every_default_says_what_it_is_and_why() {
    let mut commented = false;
    for line in DEFAULTS.lines() {
        let key = line.contains(" = ") && !line.starts_with('#');
        assert!(!key || commented, "no comment above `{line}`");
        commented = line.starts_with('#');
    }
}

#[test]
fn the_later_source_wins() {
    let file = TempFile::new("[http]\nworkers = 3\nmax_body_bytes = 2048\n[log]\nlevel = \"warn\"");
    let sources = Sources {
        file: Some(file.0.clone()),
        variables: variables(&[
            ("IBORA_HTTP__MAX_BODY_BYTES", "4096"),
            ("IBORA_LOG__LEVEL", "error"),
            ("HOME", "/root"),
        ]),
        overrides: vec![("log.level".to_owned(), "debug".to_owned())],
    };
    let config = Config::load(&sources).expect("it is valid");
    assert_eq!(config.http.workers, 3);
    assert_eq!(config.http.max_body_bytes, 4096);
    assert_eq!(config.log.level, "debug");
    assert_eq!(config.log_options().level, "debug");
}

#[test]
fn a_variable_names_the_file_and_the_command_line_overrules_it() {
    let (one, other) = (TempFile::new("[http]\nworkers = 1"), TempFile::new("[http]\nworkers = 2"));
    let mut sources =
        Sources { variables: variables(&[("IBORA_CONFIG", &one.text())]), ..Sources::default() };
    assert_eq!(Config::load(&sources).expect("it is valid").http.workers, 1);
    sources.file = Some(other.0.clone());
    assert_eq!(Config::load(&sources).expect("it is valid").http.workers, 2);
    let said = refusal(from_variables(&[("IBORA_CONFIG", "/nowhere/ibora.toml")]));
    assert!(said.starts_with("configuration file /nowhere/ibora.toml: "), "{said}");
}

#[test]
fn a_text_in_a_variable_takes_the_kind_of_its_key() {
    let config = from_variables(&[
        ("IBORA_RIDES__NO_SHOW_FEE", "7.50"),
        ("IBORA_FARES__MOTO__PER_KM", "1.05"),
        ("IBORA_AUTH__SIGNING_KEY", "01234567890123456789012345678901"),
        ("IBORA_DISPATCH__WAVES", "[100]"),
        ("IBORA_DISPATCH__RADII_M", "1500"),
        ("IBORA_SEED__ENABLED", "true"),
        ("IBORA_HTTP__ALLOWED_ORIGINS", "https://a.example, http://localhost:3000"),
        ("IBORA_METRICS__LISTEN", "127.0.0.1:9090"),
    ])
    .expect("it is valid");
    assert_eq!(config.rides.no_show_fee, Centavos(750));
    assert_eq!(config.fares.moto.per_km, Decimal::new(105, 2));
    let key = config.auth.signing_key.expect("it is set");
    assert_eq!(key.expose_secret(), "01234567890123456789012345678901");
    assert_eq!(config.dispatch.waves, [100]);
    assert!(config.seed.enabled);
    assert_eq!(config.http.allowed_origins, ["https://a.example", "http://localhost:3000"]);
    assert_eq!(config.metrics.listen.map(|address| address.port()), Some(9090));
}

#[test]
fn every_unknown_key_is_told_with_its_place() {
    let file =
        TempFile::new("colour = 1\n[http]\nlisten = \"127.0.0.1:1\"\nlisen = 1\n[https]\na = 1");
    let said = refusal(Config::load(&Sources {
        file: Some(file.0.clone()),
        variables: variables(&[("IBORA_HTTP__PORT", "1"), ("IBORA_FARES__TAXI__BASE", "1.00")]),
        overrides: vec![("dispatch".to_owned(), "1".to_owned())],
    }));
    let file = file.text();
    for line in [
        format!("colour: no such key (from {file})"),
        format!("http.lisen: no such key (from {file})"),
        format!("https: no such key (from {file})"),
        "http.port: no such key (from IBORA_HTTP__PORT)".to_owned(),
        "fares.taxi.base: no such key (from IBORA_FARES__TAXI__BASE)".to_owned(),
        "dispatch: is a section, not a value (from the command line)".to_owned(),
    ] {
        assert!(said.lines().any(|told| told == line), "no `{line}` in\n{said}");
    }
    assert_eq!(said.lines().count(), 6, "{said}");
}

/// Key, value, and how the refusal begins.
const REFUSED: &[(&str, &str, &str)] = &[
    ("http.workers", "many", "http.workers: expected a whole number, found text"),
    ("http.listen", "nowhere", "http.listen: invalid socket address syntax"),
    ("http.max_body_bytes", "1", "http.max_body_bytes: 1 is not within 1024 to 67108864"),
    ("mode", "staging", "mode: `staging` is none of development, production"),
    ("rides.cancel_fee", "5", "rides.cancel_fee: an amount is written like \"23.50\""),
    ("money.commission", "1.01", "money.commission: a share is written like"),
    ("money.commission", "20%", "money.commission: a share is written like"),
    ("fares.economy.per_km", "-1.60", "fares.economy.per_km: a rate is written like"),
    ("fares.surge_cap", "0.50", "fares.surge_cap: must lie within 1 to 1000"),
    ("journal.writers", "-1", "journal.writers: "),
    ("journal.batch_max", "8193", "journal.batch_max: 8193 is not within"),
    ("session.active_ms", "20000", "session.active_ms: must not be above session.idle_ms"),
    ("dispatch.waves", "[]", "dispatch.waves: must not be empty"),
    ("log.level", "inof", "log.level: \"inof\" is no level"),
    ("http.allowed_origins", "*", "http.allowed_origins: `*` is no origin"),
    ("http.allowed_origins", "https://a.example/x", "http.allowed_origins: "),
    ("http.trusted_proxies", "::1,10.0.0.1/8", "http.trusted_proxies: a range of addresses is"),
    ("routing.kind", "road_graph", "routing.nodes: needed when routing.kind"),
    ("auth.issuer", " ", "auth.issuer: must not be empty"),
    ("auth.signing_key", "short", "auth.signing_key: must have at least 32 bytes"),
    ("clock.speed", "0", "clock.speed: 0 is not within 1 to 1000"),
];

#[test]
fn values_out_of_shape_or_range_are_refused_by_key() {
    for (key, value, start) in REFUSED {
        let said = refusal(Config::with(&[(key, value)]));
        assert!(said.starts_with(start), "{key} = {value}: {said}");
        assert!(said.contains("(from "), "{key}: no place in {said}");
    }
}

#[test]
fn production_insists_on_what_strangers_could_abuse() {
    let said = refusal(Config::with(&[
        ("mode", "production"),
        ("clock.speed", "60"),
        ("seed.enabled", "true"),
        ("auth.password_memory_kib", "8"),
    ]));
    for key in [
        "auth.signing_key",
        "metrics.listen",
        "pix.base_url",
        "clock.speed",
        "seed.enabled",
        "auth.password_memory",
    ] {
        assert!(said.lines().any(|line| line.starts_with(key)), "no {key} in\n{said}");
    }
    Config::with(&[
        ("mode", "production"),
        ("auth.signing_key", SIGNING_KEY),
        ("metrics.listen", "127.0.0.1:9090"),
        ("pix.base_url", "https://pix.example.com"),
        ("pix.client_id", "id"),
        ("pix.client_secret", "secret"),
        ("pix.certificate", "/run/secrets/pix.p12"),
        ("pix.key", "ibora@example.com"),
    ])
    .expect("with these it may start");
}

#[test]
fn a_provider_needs_all_that_calls_to_it_take() {
    let said = refusal(Config::with(&[("pix.base_url", "https://pix.example.com:8443")]));
    for key in ["pix.client_id", "pix.client_secret", "pix.certificate", "pix.key"] {
        assert!(said.lines().any(|line| line.starts_with(&format!("{key}: needed"))), "{said}");
    }
    for bad in ["http://pix.example.com", "https://", "https://a@b", "https://a/v2", "pix"] {
        let said = refusal(Config::with(&[("pix.base_url", bad)]));
        assert!(said.starts_with("pix.base_url: not of the form https://"), "{said}");
    }
    let said = refusal(Config::with(&[("pix.key", "not a key")]));
    assert!(said.starts_with("pix.key: ") && !said.contains("not a key"), "{said}");
}

#[test]
fn callbacks_need_a_proof_of_who_calls() {
    let secret = "0123456789abcdefghijklmnopqrstuv";
    for bad in ["short", "0123456789abcdefghijklmnopqrst/v", "0123456789abcdefghijklmnopqrst v"] {
        let said = refusal(Config::with(&[("pix.webhook_secret", bad)]));
        assert!(
            said.starts_with("pix.webhook_secret: must be 32") && !said.contains(bad),
            "{said}"
        );
    }
    let said = refusal(Config::with(&[("pix.webhook_listen", "127.0.0.1:0")]));
    for key in ["pix.webhook_certificate: needed", "pix.webhook_ca: needed"] {
        assert!(said.contains(key), "{said}");
    }
    let url = "https://pay.example.com/webhooks/efi/pix";
    let said = refusal(Config::with(&[("pix.webhook_url", url)]));
    for key in ["pix.webhook_secret: needed", "pix.base_url: needed"] {
        assert!(said.contains(key), "{said}");
    }
    for bad in ["https://pay.example.com", "http://pay.example.com/webhooks/efi/pix", "pay"] {
        let given = [("pix.webhook_url", bad), ("pix.webhook_secret", secret)];
        let said = refusal(Config::with(&given));
        assert!(said.contains("pix.webhook_url: not of the form"), "{said}");
    }
    let config = Config::with(&[("pix.webhook_secret", secret)]).expect("enough to be called");
    assert!(!config.redacted().contains(secret) && !format!("{config:?}").contains(secret));
}

#[test]
fn secrets_come_from_files_too() {
    let file = TempFile::new(&format!("{SIGNING_KEY}\n"));
    let config = Config::with(&[("auth.signing_key_file", &file.text())]).expect("it is valid");
    assert_eq!(config.auth.signing_key.expect("it was read").expose_secret(), SIGNING_KEY);
    let twice =
        [("auth.signing_key_file", file.text()), ("auth.signing_key", SIGNING_KEY.to_owned())];
    let said = refusal(Config::with(&twice.each_ref().map(|(key, text)| (*key, text.as_str()))));
    assert!(said.starts_with("auth.signing_key_file: given twice"), "{said}");
    let empty = TempFile::new("\n");
    let said = refusal(Config::with(&[("database.url_file", &empty.text())]));
    assert!(
        said.starts_with("database.url_file: the file ") && said.contains("is empty"),
        "{said}"
    );
    let said = refusal(Config::with(&[("database.migrate_url_file", "/nowhere/url")]));
    assert!(said.starts_with("database.migrate_url_file: cannot read the file /nowhere"), "{said}");
}

#[test]
fn no_secret_is_shown() {
    let url = "postgres://app:canary-pass@db/ibora";
    let file = TempFile::new(SIGNING_KEY);
    let config = Config::with(&[
        ("database.url", url),
        ("database.migrate_url", url),
        ("auth.signing_key_file", &file.text()),
    ])
    .expect("it is valid");
    for shown in [format!("{config:?}"), config.redacted().to_owned()] {
        assert!(!shown.contains("canary"), "{shown}");
    }
    assert!(config.redacted().contains("\nurl = \"***\"\n"), "{}", config.redacted());
    for secret in print::SECRET_KEYS {
        let (section, name) = secret.split_once('.').expect("a dotted key");
        let section = &DEFAULTS[DEFAULTS.find(&format!("[{section}]")).expect("a section")..];
        assert!(section.contains(&format!("\n{name} = ")), "{secret} is no key");
    }
}

#[test]
fn not_even_a_mistake_shows_a_secret() {
    for content in [
        "database = \"postgres://app:canary@db/ibora\"",
        "[auth]\nsigning_key = canary-without-quotes",
        "[auth]\nsigning_key = [\"canary\"]",
        "[database]\nurl = { canary = \"canary\" }",
        "[auth]\nsigning_key = \"canary",
        "[auth]\naccess_ttl_s = \"canary\"",
        "[auth]\nsigning_key = \"canary\"",
    ] {
        let loaded = from_file(content);
        let debugged = format!("{loaded:?}");
        let said = refusal(loaded).replace("database.url.canary", "");
        assert!(!said.contains("canary") && !said.is_empty(), "{said}");
        assert!(!debugged.replace("database.url.canary", "").contains("canary"), "{debugged}");
    }
    let said = refusal(from_file("[auth]\nsigning_key = 4711"));
    assert!(said.starts_with("auth.signing_key: expected") && !said.contains("4711"), "{said}");
    let said = refusal(from_file("mode = \"development\"\n[http\n"));
    assert!(said.contains("line 2"), "{said}");
}

#[test]
fn what_is_printed_reads_back_the_same() {
    let config = Config::with(&[("http.workers", "7"), ("service.name", "say \"hi\"\n")])
        .expect("it is valid");
    let again = from_file(config.redacted()).expect("printed TOML is a valid file");
    assert_eq!(format!("{config:?}"), format!("{again:?}"));
    assert_eq!(again.service.name, "say \"hi\"\n");
}

/// A file with one zone, of which `line` is added or changed.
fn zone(line: &str) -> String {
    let name = line.split(' ').next().expect("a key");
    let rest = [
        "name = \"airport\"",
        "centre = { lat = -22.81, lng = -43.25 }",
        "radius_m = 3000",
        "policy = \"race\"",
    ];
    let rest: Vec<_> = rest.into_iter().filter(|other| !other.starts_with(name)).collect();
    format!("[[dispatch.zones]]\n{line}\n{}\n", rest.join("\n"))
}

#[test]
fn zones_have_the_policies_of_the_file_and_the_numbers_of_the_town() {
    let content = format!(
        "[dispatch]\nbatch_window_ms = 3000\n{}{}",
        zone("race_size = 8"),
        zone("name = \"port\"").replace("race\"", "batch\"").replace("-22.81", "-22.9"),
    );
    let config = from_file(&content).expect("it is valid");
    let rules = |config: &Config, lat| {
        let zones = config.ride_policy().zones;
        let at = Coordinates::new(lat, -43.25).expect("a place");
        let rules = zones.rules(zones.of(at));
        (rules.policy, rules.race_size, rules.batch_window.0)
    };
    assert_eq!(rules(&config, -22.81), (PolicyKind::Race, 8, 3000));
    assert_eq!(rules(&config, -22.9), (PolicyKind::Batch, 5, 3000));
    assert_eq!(rules(&config, -23.5), (PolicyKind::Default, 5, 3000));

    let again = from_file(config.redacted()).expect("printed TOML is a valid file");
    assert_eq!(again.ride_policy(), config.ride_policy());
    let inline =
        "[{ name = \"a\", centre = { lat = 1, lng = 2.5 }, radius_m = 9, policy = \"batch\" }]";
    let config = from_variables(&[("IBORA_DISPATCH__ZONES", inline)]).expect("it is valid");
    assert_eq!(config.dispatch.zones[0].centre, Coordinates::new(1.0, 2.5).expect("a place"));
}

/// What a zone has, and how the refusal begins.
const ZONES_REFUSED: &[(&str, &str)] = &[
    ("colour = 1", "dispatch.zones.0.colour: no such key"),
    ("centre = { lat = nan, lng = 0 }", "dispatch.zones.0.centre: lat must be a number from"),
    ("centre = { lat = 0, lng = 181 }", "dispatch.zones.0.centre: lng must be a number from"),
    ("centre = { lat = 0, lng = 0, alt = 0 }", "dispatch.zones.0.centre.alt: no such key"),
    ("radius_m = 0", "dispatch.zones.airport.radius_m: 0 is not within 1 to 1000000"),
    ("radius_m = nan", "dispatch.zones.0.radius_m: expected"),
    ("radius_m = -1", "dispatch.zones.0.radius_m: "),
    ("policy = \"fair\"", "dispatch.zones.0.policy: `fair` is none of nearest, race"),
    ("race_size = 0", "dispatch.zones.airport.race_size: 0 is not within 1 to 100"),
    ("batch_window_ms = 10001", "dispatch.zones.airport.batch_window_ms: 10001 is not within"),
    ("name = \" \"", "dispatch.zones. .name: must not be empty"),
];

#[test]
fn a_zone_that_makes_no_sense_is_refused_by_key() {
    let refused = |content: &str, start: &str| {
        let said = refusal(from_file(content));
        assert!(said.starts_with(start), "{content}: {said}");
        assert!(said.contains(" (from /"), "{content}: no place in {said}");
    };
    for (line, start) in ZONES_REFUSED {
        refused(&zone(line), start);
    }
    refused("[[dispatch.zones]]\nname = \"a\"", "dispatch.zones.0: missing field");
    refused(&zone("policy = \"race\"").repeat(2), "dispatch.zones.airport.name: another has this");
    let many: String = (0..101).map(|number| zone(&format!("name = \"{number}\""))).collect();
    refused(&many, "dispatch.zones: 101 is not within 0 to 100");
    for text in ["[{ name = }]", "{ name = \"a\" }", "a, b"] {
        let said = refusal(from_variables(&[("IBORA_DISPATCH__ZONES", text)]));
        assert!(said.starts_with("dispatch.zones"), "{text}: {said}");
    }
}

#[test]
fn the_process_lends_its_variables() {
    let sources = Sources::of_process(None, vec![("http.workers".to_owned(), "5".to_owned())]);
    assert!(sources.variables.iter().any(|(name, _)| name == "PATH"));
    assert_eq!(sources.overrides.len(), 1);
}
