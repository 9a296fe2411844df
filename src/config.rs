//! The configuration: read once at the start, judged as a whole, then a plain value.
//!
//! `app`, `cli` and tests read it and hand each room what it needs; no other room reads it. The
//! weakest first: the compiled-in `config/default.toml`, a file, `IBORA_*` variables, the command
//! line. What must hold: an unknown key is an error wherever it stands, a [`Config`] satisfies
//! every rule of `validate`, and neither `Debug` nor [`Config::redacted`] shows a secret.

mod error;
mod policies;
mod print;
mod sections;
mod sources;
mod validate;
mod values;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

use figment::Figment;
use figment::value::Dict;
use secrecy::SecretString;
use serde::Deserialize;

use crate::obs::LogOptions;

pub use error::{ConfigError, Problem, Why};
pub use sections::{
    Actors, Audit, Auth, Clock, Data, Database, Dispatch, FareTable, Fares, Http, Journal, Limits,
    Log, Metrics, Mode, Money, Node, Pix, PixSimulator, Presence, Rides, Routing, RoutingKind,
    Seed, Service, Session, ZoneTable,
};
pub use sources::Sources;
pub use validate::is_node_id;

/// Every key with its default and its meaning: what `ibora config defaults` shows.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

/// The configuration in force. Made by [`Config::load`], and so valid.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub mode: Mode,
    pub http: Http,
    pub metrics: Metrics,
    pub log: Log,
    pub service: Service,
    pub data: Data,
    pub node: Node,
    pub database: Database,
    pub auth: Auth,
    pub limits: Limits,
    pub session: Session,
    pub presence: Presence,
    pub dispatch: Dispatch,
    pub rides: Rides,
    pub money: Money,
    pub fares: Fares,
    pub routing: Routing,
    pub journal: Journal,
    pub actors: Actors,
    pub pix: Pix,
    pub audit: Audit,
    pub clock: Clock,
    pub seed: Seed,
    #[serde(skip)]
    redacted: String,
}

impl Config {
    /// Reads, merges and judges.
    ///
    /// # Errors
    /// [`ConfigError`]: an unreadable file, or every problem that could be told at once.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        let defaults = sources::defaults(DEFAULTS)?;
        let given = sources::given(sources, &defaults.dict)?;
        let merged = given.into_iter().fold(Figment::from(defaults), Figment::merge);
        let mut config: Self = merged.extract().map_err(unreadable)?;
        let values: Dict = merged.extract().map_err(unreadable)?;
        config.redacted = print::redacted(&values);
        let mut problems = config.read_secret_files();
        problems.extend(validate::problems(&config));
        if problems.is_empty() {
            return Ok(config);
        }
        for problem in &mut problems {
            problem.origin = origin(&merged, &problem.key);
        }
        Err(ConfigError::Problems(problems))
    }

    /// The defaults with some keys changed, for tests and tools.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn with(overrides: &[(&str, &str)]) -> Result<Self, ConfigError> {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let overrides = overrides.iter().map(owned).collect();
        Self::load(&Sources { overrides, ..Sources::default() })
    }

    /// Every key with its value in force as TOML; a secret that is set is `"***"`.
    #[must_use]
    pub fn redacted(&self) -> &str {
        &self.redacted
    }

    /// What logging needs.
    #[must_use]
    pub fn log_options(&self) -> LogOptions {
        LogOptions {
            level: self.log.level.clone(),
            format: self.log.format,
            output: self.log.output,
            service: self.service.name.clone(),
            environment: self.service.environment.clone(),
        }
    }

    /// Puts what the `*_file` keys name where their keys are.
    fn read_secret_files(&mut self) -> Vec<Problem> {
        let (auth, database, pix) = (&mut self.auth, &mut self.database, &mut self.pix);
        let secrets = [
            (&mut auth.signing_key, &auth.signing_key_file, "auth.signing_key"),
            (&mut database.url, &database.url_file, "database.url"),
            (&mut database.migrate_url, &database.migrate_url_file, "database.migrate_url"),
            (&mut pix.client_id, &pix.client_id_file, "pix.client_id"),
            (&mut pix.client_secret, &pix.client_secret_file, "pix.client_secret"),
            (
                &mut pix.certificate_password,
                &pix.certificate_password_file,
                "pix.certificate_password",
            ),
            (&mut pix.webhook_secret, &pix.webhook_secret_file, "pix.webhook_secret"),
            (&mut pix.webhook_secret_old, &pix.webhook_secret_old_file, "pix.webhook_secret_old"),
        ];
        let mut problems = Vec::new();
        for (secret, file, key) in secrets {
            let Some(path) = file else { continue };
            let why = match (secret.is_some(), secret_in(path)) {
                (true, _) => Why::Twice { other: key },
                (false, Err(why)) => why,
                (false, Ok(read)) => {
                    *secret = Some(read);
                    continue;
                }
            };
            problems.push(Problem { key: format!("{key}_file"), why, origin: None });
        }
        problems
    }
}

/// The text of a mounted secret, without the line end that editors add.
fn secret_in(path: &PathBuf) -> Result<SecretString, Why> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| Why::SecretFile { path: path.clone(), source })?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(Why::EmptyFile { path: path.clone() });
    }
    Ok(SecretString::from(text))
}

/// Where the value of a key came from. What is inside a list came with the list.
fn origin(merged: &Figment, key: &str) -> Option<String> {
    let mut outwards = std::iter::successors(Some(key), |key| Some(key.rsplit_once('.')?.0));
    Some(outwards.find_map(|key| merged.find_metadata(key))?.name.to_string())
}

fn unreadable(errors: figment::Error) -> ConfigError {
    let problem = |error: figment::Error| Problem {
        key: error.path.join("."),
        origin: error.metadata.as_ref().map(|from| from.name.to_string()),
        why: Why::from(error.kind),
    };
    ConfigError::Problems(errors.into_iter().map(problem).collect())
}
