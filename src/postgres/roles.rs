//! Database and roles of the private server, and how to connect as each of them.
//!
//! Used inside this room only; the names are public for migrations, which grant the app role what
//! it may do to each table. Setting up again changes nothing. The app role never owns a thing.

use std::path::Path;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::error::PostgresError;
use super::layout::{Layout, PORT};
use super::secrets::Secrets;

/// The engine's database.
pub const DATABASE: &str = "ibora";
/// Owns the database and what is in it. For migrations only.
pub const OWNER_ROLE: &str = "ibora_owner";
/// What the engine works as.
pub const APP_ROLE: &str = "ibora_app";
pub(super) const SUPERUSER: &str = "ibora_super";

/// No statement of the app may hold up the others: a stuck one fails and is answered for.
/// Nor may one whose engine was cut off: its transaction ends soon, its session in a while.
pub(super) const APP_SETTINGS: [(&str, &str); 6] = [
    ("statement_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "3s"),
    ("lock_timeout", "3s"),
    ("tcp_user_timeout", "20s"),
    ("tcp_keepalives_idle", "20s"),
    ("tcp_keepalives_interval", "5s"),
];

const SETUP_DEADLINE: Duration = Duration::from_secs(30);
/// `invalid_password`
const WRONG_PASSWORD: &str = "28P01";

/// Connect options over the socket in `socket_dir`.
///
/// Every field that the engine's environment (`PGHOST`, `PGOPTIONS`, ..) could fill is set here.
pub(super) fn connect_options(
    socket_dir: &Path,
    role: &str,
    password: &SecretString,
) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass()
        .socket(socket_dir)
        .port(PORT)
        .ssl_mode(PgSslMode::Disable) // Does not leave the machine.
        .username(role)
        .password(password.expose_secret())
        .database(DATABASE)
        .application_name("ibora")
        .options([("synchronous_commit", "on")])
}

/// A superuser's session, which logs no statement: some hold passwords.
pub(super) async fn connect_superuser(
    layout: &Layout,
    socket_dir: &Path,
    secrets: &Secrets,
) -> Result<PgConnection, PostgresError> {
    let options = connect_options(socket_dir, SUPERUSER, &secrets.superuser).database("postgres");
    let options = options.disable_statement_logging();
    let connected = within("connecting", PgConnection::connect_with(&options)).await;
    connected.map_err(|error| match error {
        PostgresError::Setup(cause) if is_wrong_password(&cause) => {
            PostgresError::SecretsRefused { path: layout.secrets() }
        }
        other => other,
    })
}

/// Makes roles and database, or what is missing of them after an interrupted first start.
pub(super) async fn set_up(db: &mut PgConnection, secrets: &Secrets) -> Result<(), PostgresError> {
    let setting_up = async {
        make_role(db, OWNER_ROLE, &secrets.owner).await?;
        make_role(db, APP_ROLE, &secrets.app).await?;
        let known = "select exists (select from pg_database where datname = $1)";
        if !sqlx::query_scalar::<_, bool>(known).bind(DATABASE).fetch_one(&mut *db).await? {
            let owned = format!("create database {DATABASE} owner {OWNER_ROLE} template template0");
            run(db, owned).await?;
        }
        run(db, format!("revoke all on database {DATABASE}, postgres, template1 from public"))
            .await?;
        run(db, format!("grant connect on database {DATABASE} to {APP_ROLE}")).await?;
        for (key, value) in APP_SETTINGS {
            run(db, format!("alter role {APP_ROLE} set {key} = '{value}'")).await?;
        }
        Ok(())
    };
    within("setting up roles and database", setting_up).await
}

/// Ends what a killed engine left in the server: its sessions may hold locks until they notice.
pub(super) async fn end_old_sessions(db: &mut PgConnection) -> Result<(), PostgresError> {
    let end = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity \
               where usename in ($1, $2)";
    let asked = sqlx::query_scalar(end).bind(APP_ROLE).bind(OWNER_ROLE).fetch_one(db);
    let ended: i64 = within("ending old sessions", asked).await?;
    tracing::debug!(ended, "sessions of the engine before ended");
    Ok(())
}

async fn make_role(
    db: &mut PgConnection,
    role: &str,
    password: &SecretString,
) -> Result<(), sqlx::Error> {
    let known = "select exists (select from pg_roles where rolname = $1)";
    if !sqlx::query_scalar::<_, bool>(known).bind(role).fetch_one(&mut *db).await? {
        run(db, format!("create role {role}")).await?;
    }
    // The settings of the server keep failed statements out of its log.
    let password = password.expose_secret();
    let rights = "login nosuperuser nocreatedb nocreaterole noreplication nobypassrls";
    run(db, format!("alter role {role} {rights} password '{password}'")).await?;
    // Its errors go to the engine, which asked; in the log their values might be personal data.
    run(db, format!("alter role {role} set log_min_messages = 'log'")).await
}

/// Runs SQL made of constants and hex digits only.
async fn run(db: &mut PgConnection, sql: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(db).await.map(drop)
}

fn is_wrong_password(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| code == WRONG_PASSWORD)
}

/// Gives `work` its time and no more.
pub(super) async fn within<T>(
    what: &'static str,
    work: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, PostgresError> {
    match tokio::time::timeout(SETUP_DEADLINE, work).await {
        Ok(outcome) => outcome.map_err(PostgresError::Setup),
        Err(_) => Err(PostgresError::TooSlow { what, limit_s: SETUP_DEADLINE.as_secs() }),
    }
}
