//! Accounts against a real database: who gets one, and what is stored of it.

mod drivers;
mod pix_keys;
mod sessions;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures_util::future::join_all;
use ibora::accounts::{
    AccountError, AccountOptions, Accounts, AdminForm, Caller, HashingOptions, RegisterForm,
    SignedIn,
};
use ibora::db::Db;
use ibora::journal::Journal;
use ibora::obs::Metrics;
use ibora::readmodel::{AuditEntry, AuditFilter, Page};
use ibora_domain::person::{Cpf, Role};
use ibora_domain::units::{Millis, UnixMillis};
use secrecy::SecretString;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};

use crate::pg;

const START: UnixMillis = UnixMillis(1_795_310_763_000);
const PASSWORD: &str = "correct horse battery";

/// Accounts over a fresh database, with a clock that stands still until it is moved.
struct World {
    accounts: Arc<Accounts>,
    journal: Arc<Journal>,
    database: PgConnectOptions,
    clock: Arc<AtomicI64>,
}

impl World {
    async fn new() -> Self {
        let database = pg::database().await;
        let pool = PgPoolOptions::new().max_connections(8).connect_lazy_with(database.clone());
        let db = Db::new(pool);
        let journal = Journal::for_tools(database.clone(), db.clone(), Metrics::new());
        let journal = journal.await.expect("opens");
        let clock = Arc::new(AtomicI64::new(START.0));
        let now = Arc::clone(&clock);
        let accounts = Accounts::new(
            db,
            Arc::clone(&journal),
            &options(),
            Arc::new(move || UnixMillis(now.load(Ordering::SeqCst))),
        );
        let accounts = Arc::new(accounts.expect("valid options"));
        Self { accounts, journal, database, clock }
    }

    fn after(&self, time: Millis) {
        let ms = i64::try_from(time.0).expect("fits");
        self.clock.fetch_add(ms, Ordering::SeqCst);
    }

    async fn ask(&self, query: &'static str) -> String {
        pg::ask(&self.database, query).await
    }

    /// A page of the whole trail.
    async fn audit(
        &self,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<AuditEntry>, AccountError> {
        self.accounts.list_audit(&AuditFilter::default(), cursor, limit).await
    }

    async fn register(&self, form: RegisterForm) -> SignedIn {
        self.accounts.register(form).await.expect("registered")
    }

    async fn admin(&self, number: u32) -> Caller {
        let made = self.accounts.create_admin(&Caller::system(), admin_form(number)).await;
        Caller { principal: Some((made.expect("made").id, Role::Admin)), ..Caller::system() }
    }
}

fn options() -> AccountOptions {
    let key = SecretString::from("an integration test signing key!");
    AccountOptions {
        // Cheap, so that tests are quick; what a hash costs is no behaviour.
        hashing: HashingOptions { memory_kib: 8, passes: 1, lanes: 1, at_once: 2, waiting_max: 64 },
        ..AccountOptions::with_key(key)
    }
}

fn cpf(number: u32) -> String {
    Cpf::with_check_digits(number + 1).expect("digits differ").expose()
}

/// A person like no other number's.
fn form(role: Role, number: u32) -> RegisterForm {
    RegisterForm {
        role,
        name: format!("Person {number}"),
        email: format!("person{number}@example.com"),
        phone: format!("+55119{number:08}"),
        cpf: cpf(number),
        password: SecretString::from(PASSWORD),
    }
}

fn admin_form(number: u32) -> AdminForm {
    AdminForm {
        name: format!("Admin {number}"),
        email: format!("admin{number}@example.com"),
        phone: None,
        cpf: None,
        password: SecretString::from(PASSWORD),
    }
}

/// The `field: code` of each fault.
fn faults<T>(result: Result<T, AccountError>) -> Vec<String> {
    match result {
        Err(AccountError::Invalid(faults)) => {
            faults.iter().map(|fault| format!("{}: {}", fault.field, fault.code)).collect()
        }
        Err(error) => panic!("expected faults, not {error:?}"),
        Ok(_) => panic!("expected faults, not a success"),
    }
}

#[tokio::test]
async fn who_registers_is_known_from_then_on() {
    let world = World::new().await;
    let ana = world.register(form(Role::Passenger, 1)).await;
    assert_eq!(world.accounts.user(ana.user.id).await, Ok(ana.user.clone()));
    let identity = world.accounts.authenticate(&ana.tokens.access_token).expect("our token");
    assert_eq!((identity.user, identity.role), (ana.user.id, Role::Passenger));
    assert_eq!((ana.tokens.token_type, ana.tokens.expires_in), ("Bearer", 900));
    let shown = serde_json::to_value(&ana.user).expect("JSON");
    assert_eq!(shown["email"], "person1@example.com");
    assert_eq!(shown["phone"], "+5511900000001");
    assert!(shown.get("cpf").is_none());

    let login = world.accounts.login(" Person1@Example.COM", SecretString::from(PASSWORD)).await;
    let identity = world.accounts.authenticate(&login.expect("logged in").access_token);
    assert_eq!(identity.expect("our token").user, ana.user.id);
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let world = World::new().await;
    let bad = RegisterForm {
        role: Role::Admin,
        name: "A\0na".to_owned(),
        email: "ana".to_owned(),
        phone: "11 98765-4321".to_owned(),
        cpf: "123.456.789-00".to_owned(),
        password: SecretString::from("short"),
    };
    let named = faults(world.accounts.register(bad).await);
    let expected = [
        "role: not_allowed",
        "name: invalid_character",
        "email: invalid_format",
        "phone: invalid_format",
        "cpf: invalid_check_digits",
        "password: out_of_range",
    ];
    assert_eq!(named, expected);
    let own_email = SecretString::from("PERSON1@example.com");
    let easy = RegisterForm { password: own_email, ..form(Role::Driver, 1) };
    assert_eq!(faults(world.accounts.register(easy).await), ["password: too_easy"]);
    assert_eq!(world.ask("SELECT count(*)::text FROM users").await, "0");
}

#[tokio::test]
async fn email_phone_and_cpf_belong_to_one_account_however_they_are_written() {
    let world = World::new().await;
    world.register(form(Role::Driver, 1)).await;
    let own = cpf(1);
    let punctuated = format!("{}.{}.{}-{}", &own[..3], &own[3..6], &own[6..9], &own[9..]);
    let twins = [
        RegisterForm { email: "PERSON1@example.com".to_owned(), ..form(Role::Passenger, 2) },
        RegisterForm { phone: "+55 (11) 90000-0001".to_owned(), ..form(Role::Passenger, 3) },
        RegisterForm { cpf: punctuated, ..form(Role::Passenger, 4) },
    ];
    for twin in twins {
        let refused = world.accounts.register(twin).await;
        assert_eq!(refused.map(|_| ()), Err(AccountError::AccountExists));
    }
    assert_eq!(world.ask("SELECT count(*)::text FROM users").await, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_registrations_at_once_with_one_cpf_exactly_one_wins_and_the_others_leave_nothing() {
    let world = World::new().await;
    let attempts = (1..=8).map(|number| {
        let accounts = Arc::clone(&world.accounts);
        let form = RegisterForm { cpf: cpf(1), ..form(Role::Driver, number) };
        tokio::spawn(async move { accounts.register(form).await.map(|_| ()) })
    });
    let answers = join_all(attempts).await;
    let answers: Vec<_> = answers.into_iter().map(|answer| answer.expect("no panic")).collect();
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let refused = Err(AccountError::AccountExists);
    assert_eq!(answers.iter().filter(|answer| **answer == refused).count(), 7);
    let rows = "SELECT concat_ws(' ', (SELECT count(*) FROM users), (SELECT count(*) FROM drivers),
                                      (SELECT count(*) FROM token_families))";
    assert_eq!(world.ask(rows).await, "1 1 1");
}

#[tokio::test]
async fn neither_passwords_nor_tokens_are_stored() {
    let world = World::new().await;
    let ana = world.register(form(Role::Passenger, 1)).await;
    let stored = world
        .ask(
            "SELECT concat((SELECT string_agg(u::text, ' ') FROM users u),
                            (SELECT string_agg(f::text, ' ') FROM token_families f))",
        )
        .await;
    assert!(stored.contains("$argon2id$v=19$m=8,t=1,p=1$"), "only a hash of the password");
    assert!(!stored.contains(PASSWORD));
    let (_, secret) = ana.tokens.refresh_token.split_once('.').expect("two parts");
    assert!(!stored.contains(secret));
    assert!(!format!("{ana:?}").contains(secret), "nor shown by Debug");
}

#[tokio::test]
async fn an_admin_is_made_by_the_system_or_an_admin_and_audited() {
    let world = World::new().await;
    let first = world.admin(1).await;
    let second = world.accounts.create_admin(&first, admin_form(2)).await.expect("made");
    let audit = world.audit(None, 10).await.expect("listed").items;
    let made: Vec<_> =
        audit.iter().map(|entry| (entry.action.as_str(), entry.user_type.as_str())).collect();
    assert_eq!(made, [("create_admin", "admin"), ("create_admin", "system")]);
    assert_eq!(audit[0].entity_id, second.id.0);
    assert_eq!(audit[0].user_id, first.principal.map(|(user, _)| user));

    let again = world.accounts.create_admin(&first, admin_form(2)).await;
    assert_eq!(again, Err(AccountError::AccountExists));
    let short = AdminForm { password: SecretString::from("123456789"), ..admin_form(3) };
    let refused = world.accounts.create_admin(&first, short).await;
    assert_eq!(faults(refused), ["password: out_of_range"]);
    let driver = world.register(form(Role::Driver, 1)).await.user;
    let caller = Caller { principal: Some((driver.id, Role::Driver)), ..Caller::system() };
    let refused = world.accounts.create_admin(&caller, admin_form(4)).await;
    assert_eq!(refused, Err(AccountError::Forbidden));
    assert_eq!(world.ask("SELECT count(*)::text FROM audit_logs").await, "2");
}

#[tokio::test]
async fn a_database_that_is_gone_is_unavailable_and_no_panic() {
    let world = World::new().await;
    let gone = world.database.clone().database("no_such_database");
    let pool = PgPoolOptions::new().connect_lazy_with(gone);
    let db = Db::new(pool);
    let journal = Arc::clone(&world.journal);
    let accounts = Accounts::new(db, journal, &options(), Arc::new(|| START)).expect("opens");
    let login = accounts.login("person1@example.com", SecretString::from(PASSWORD)).await;
    assert_eq!(login, Err(AccountError::Unavailable));
}

#[tokio::test]
async fn people_made_in_bulk_leave_one_entry_a_commit() {
    let world = World::new().await;
    let made = ibora::seed::seed((&world.accounts, &world.journal), (2, 1), START, |_| {}).await;
    assert_eq!(made.expect("made").len(), 3);
    let trail = world.audit(None, 10).await.expect("listed").items;
    let entry = serde_json::to_value(&trail).expect("JSON");
    assert_eq!(trail.len(), 1, "{entry}");
    assert_eq!(
        (&entry[0]["action"], &entry[0]["user_type"]),
        (&"seed_people".into(), &"system".into())
    );
    assert_eq!(entry[0]["changes"], serde_json::json!({"people": 3, "drivers": 2}));
}
