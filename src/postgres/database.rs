//! One door to the database, wherever it is: connect options for the app role and the owner.
//!
//! Used by `app`. The engine works as the app role only; the owner's options go to the migrations.

use std::str::FromStr;

use prometheus::IntCounter;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::PgConnectOptions;

use super::error::PostgresError;
use super::options::EmbeddedOptions;
use super::roles::APP_SETTINGS;
use super::server::EmbeddedPostgres;

/// Where the database is to be found.
#[derive(Debug)]
pub enum DatabaseSource {
    /// No URL is configured: a server of the engine's own.
    Embedded(EmbeddedOptions),
    /// A server of the operator's. `migrate` is the owner's URL; without it nothing is migrated.
    Urls { app: SecretString, migrate: Option<SecretString> },
}

/// The database in use.
pub struct Database {
    app: PgConnectOptions,
    owner: Option<PgConnectOptions>,
    embedded: Option<EmbeddedPostgres>,
}

impl Database {
    /// Starts the private server, or reads the URLs. Does not connect to a server of the
    /// operator's: whether that answers, the pool finds out.
    ///
    /// # Errors
    /// [`PostgresError`]
    pub async fn open(source: DatabaseSource) -> Result<Self, PostgresError> {
        match source {
            DatabaseSource::Embedded(options) => {
                Ok(Self::running(EmbeddedPostgres::start(options).await?))
            }
            DatabaseSource::Urls { app, migrate } => {
                let app = with_time_limits(parse("database.url", &app)?);
                let owner = migrate.map(|url| parse("database.migrate_url", &url)).transpose()?;
                Ok(Self { app, owner, embedded: None })
            }
        }
    }

    fn running(server: EmbeddedPostgres) -> Self {
        let (app, owner) = (server.app_options(), Some(server.owner_options()));
        Self { app, owner, embedded: Some(server) }
    }

    /// As [`Database::open`], for tools: beside an engine that runs on the data directory its
    /// server is used, and left running.
    ///
    /// # Errors
    /// [`PostgresError`]
    pub async fn open_beside(source: DatabaseSource) -> Result<Self, PostgresError> {
        let DatabaseSource::Embedded(options) = source else { return Self::open(source).await };
        match EmbeddedPostgres::start(options.clone()).await {
            Ok(server) => Ok(Self::running(server)),
            Err(PostgresError::InUse { .. }) => {
                let (app, owner) = EmbeddedPostgres::of_another(&options)?;
                Ok(Self { app, owner: Some(owner), embedded: None })
            }
            Err(error) => Err(error),
        }
    }

    /// What every pool of the engine connects with. Never log it: `Debug` shows the password.
    #[must_use]
    pub fn app_options(&self) -> PgConnectOptions {
        self.app.clone()
    }

    /// What migrations connect with. `None`: they are somebody else's task.
    #[must_use]
    pub fn owner_options(&self) -> Option<PgConnectOptions> {
        self.owner.clone()
    }

    /// The private server, if it is one.
    #[must_use]
    pub fn embedded(&self) -> Option<&EmbeddedPostgres> {
        self.embedded.as_ref()
    }

    /// Has a private server that dies started again; `restarts` counts how often.
    pub fn watch(&self, restarts: &IntCounter) {
        if let Some(server) = &self.embedded {
            server.watch(restarts.clone());
        }
    }

    /// From now on a private server that dies stays dead.
    pub fn unwatch(&self) {
        if let Some(server) = &self.embedded {
            server.unwatch();
        }
    }

    /// Stops a private server. Close the pools first.
    ///
    /// # Errors
    /// Those of [`EmbeddedPostgres::stop`].
    pub async fn close(self) -> Result<(), PostgresError> {
        match self.embedded {
            Some(server) => server.stop().await,
            None => Ok(()),
        }
    }
}

fn parse(key: &'static str, url: &SecretString) -> Result<PgConnectOptions, PostgresError> {
    let url = url.expose_secret();
    let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    // The parser's error is not kept: it may quote the URL, and so the password.
    let parsed = PgConnectOptions::from_str(url).ok().filter(|_| is_postgres);
    let options = parsed.ok_or(PostgresError::UrlInvalid { key })?;
    let name = options.get_application_name().unwrap_or("ibora").to_owned();
    Ok(options.application_name(&name))
}

/// The limits that the private server gives its app role. A URL with `options` knows better, for
/// instance for a pooler that takes none: `?options=` leaves them out.
fn with_time_limits(options: PgConnectOptions) -> PgConnectOptions {
    match options.get_options() {
        Some(_) => options,
        None => options.options(APP_SETTINGS),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn open(app: &str, migrate: Option<&str>) -> Result<Database, PostgresError> {
        let source = DatabaseSource::Urls { app: app.into(), migrate: migrate.map(Into::into) };
        Database::open(source).await
    }

    #[tokio::test]
    async fn urls_become_options_and_the_app_gets_time_limits() {
        let db = open("postgres://app:pw@db.test/ibora", Some("postgresql://own@db.test/ibora"));
        let db = db.await.expect("both are URLs");
        let (app, owner) = (db.app_options(), db.owner_options().expect("was given"));
        assert_eq!((app.get_username(), app.get_host()), ("app", "db.test"));
        assert!(app.get_options().is_some_and(|o| o.contains("statement_timeout=5s")), "{app:?}");
        assert_eq!((owner.get_username(), owner.get_options()), ("own", None));
        let db = open("postgres://app@db.test/ibora?options=", None).await.expect("a URL");
        assert_eq!(db.app_options().get_options(), Some(""), "a pooler that takes no options");
        assert!(db.owner_options().is_none() && db.embedded().is_none());
    }

    #[tokio::test]
    async fn a_broken_url_is_refused_without_being_shown() {
        let broken = ["", "mysql://a:secret@h/d", "postgres://a:secret@h:port/d", "h secret"];
        for url in broken {
            let error = open(url, None).await.err().expect(url);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("database.url") && !shown.contains("secret"), "{shown}");
        }
        let error = open("postgres://a@h/d", Some("x")).await.err().expect("the second is broken");
        assert!(error.to_string().contains("database.migrate_url"));
    }
}
