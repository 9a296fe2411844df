//! Simulated people, for load tests and the demo: in bulk through the journal, approved, without
//! password, and so without login; they get access tokens signed with the configured key.
//!
//! Used by `cli`, `demo` and `app`. Refused unless `seed.enabled`.

use ibora_domain::category::Category;
use ibora_domain::facts::{Act, AuditRow};
use ibora_domain::ids::{DriverId, UserId, VehicleId};
use ibora_domain::person::{Approval, Email, PersonError, PersonName, Plate, Role};
use ibora_domain::pix::{PixError, PixKey};
use ibora_domain::units::{Millis, UnixMillis};
use ibora_domain::vehicle::Vehicle;
use serde::Serialize;
use serde_json::json;
use thiserror::Error;
use uuid::Uuid;

use crate::accounts::{AccountError, Accounts};
use crate::journal::{AccountRow, CommitError, Journal, PixKeyRow, ReviewRow, UserRow, VehicleRow};

/// Rows in one commit.
const ROWS_AT_ONCE: usize = 1500;
/// Simulated people cannot refresh their tokens.
const TOKEN_LIFE: Millis = Millis::from_secs(24 * 60 * 60);

const FIRST_NAMES: [&str; 16] = [
    "Ana", "Bruno", "Carla", "Diego", "Elisa", "Fábio", "Gabriela", "Heitor", "Inês", "João",
    "Karina", "Lucas", "Marina", "Nuno", "Olívia", "Paulo",
];
const LAST_NAMES: [&str; 12] = [
    "Almeida", "Barbosa", "Cardoso", "Dias", "Esteves", "Ferreira", "Gomes", "Lima", "Moraes",
    "Nunes", "Oliveira", "Souza",
];
const CARS: [(&str, &str, &str); 6] = [
    ("Chevrolet", "Onix", "prata"),
    ("Hyundai", "HB20", "branco"),
    ("Fiat", "Argo", "vermelho"),
    ("Volkswagen", "Polo", "preto"),
    ("Renault", "Kwid", "cinza"),
    ("Toyota", "Corolla", "azul"),
];

/// A simulated person, and what opens the door for them.
#[derive(Clone, Serialize)]
pub struct Seeded {
    pub user: UserId,
    pub role: Role,
    pub token: String,
}

/// Why people were not made.
#[derive(Debug, Error)]
pub enum SeedError {
    #[error("seed.enabled is false: simulated people are for load tests and the demo only")]
    Disabled,
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("a generated field is not valid: {0}")]
    Field(#[from] PersonError),
    #[error("a generated Pix key is not valid: {0}")]
    Key(#[from] PixError),
}

/// Makes people; `progress` hears how many there are so far.
///
/// # Errors
/// [`SeedError`]; those made before stay.
pub async fn seed(
    (accounts, journal): (&Accounts, &Journal),
    (drivers, passengers): (usize, usize),
    now: UnixMillis,
    mut progress: impl FnMut(usize),
) -> Result<Vec<Seeded>, SeedError> {
    let mut people = Vec::with_capacity(drivers + passengers);
    let mut rows = Vec::with_capacity(ROWS_AT_ONCE);
    for number in 0..drivers + passengers {
        let role = if number < drivers { Role::Driver } else { Role::Passenger };
        let user = UserId(Uuid::now_v7());
        rows.extend(person(user, role, number, now)?);
        people.push(Seeded {
            user,
            role,
            token: accounts.sign_access_for(user, role, TOKEN_LIFE)?,
        });
        if rows.len() >= ROWS_AT_ONCE - 5 {
            record(journal, std::mem::take(&mut rows), now).await?;
            progress(people.len());
        }
    }
    record(journal, rows, now).await?;
    progress(people.len());
    Ok(people)
}

/// Records people, and in the same commit that they were made: whoever finds them later shall know
/// that nobody had to approve them.
async fn record(
    journal: &Journal,
    mut rows: Vec<AccountRow>,
    at: UnixMillis,
) -> Result<(), CommitError> {
    let made = |what: fn(&AccountRow) -> bool| rows.iter().filter(|row| what(row)).count();
    let changes = json!({
        "people": made(|row| matches!(row, AccountRow::UserCreated(_))),
        "drivers": made(|row| matches!(row, AccountRow::DriverCreated { .. })),
    });
    let act =
        Act { action: "seed_people", entity_type: "platform", entity_id: Uuid::nil(), changes };
    rows.push(AccountRow::Audit(AuditRow::of_system(act, at)));
    journal.record_account(rows).await
}

fn person(
    user: UserId,
    role: Role,
    number: usize,
    at: UnixMillis,
) -> Result<Vec<AccountRow>, SeedError> {
    let first = FIRST_NAMES[number % FIRST_NAMES.len()];
    let last = LAST_NAMES[number / FIRST_NAMES.len() % LAST_NAMES.len()];
    let mut rows = vec![AccountRow::UserCreated(UserRow {
        id: user,
        role,
        name: PersonName::parse(&format!("{first} {last}"))?,
        email: Email::parse(&format!("{user}@seed.invalid"))?,
        phone: None,
        cpf: None,
        password_hash: None,
        at,
    })];
    if role == Role::Driver {
        let driver = DriverId::from(user);
        rows.push(AccountRow::DriverCreated { driver });
        rows.push(AccountRow::DriverReviewed(ReviewRow {
            driver,
            from: Approval::Pending,
            to: Approval::Approved,
            reason: Some("simulated".to_owned()),
            by: None,
            at,
        }));
        // Nobody has it: only a simulated provider pays to it.
        let (key, kind) = PixKey::of_person(&format!("{user}@seed.invalid"))?;
        let row = PixKeyRow { driver, version: 1, kind, key, set_at: at, usable_from: at };
        rows.push(AccountRow::PixKeySet(row));
        let vehicle = vehicle(number)?;
        rows.push(AccountRow::VehicleAdded(VehicleRow { driver, vehicle, at }));
    }
    Ok(rows)
}

fn vehicle(number: usize) -> Result<Vehicle, PersonError> {
    let (make, model, color) = CARS[number % CARS.len()];
    let letter = |place: u32| {
        char::from(b'A' + u8::try_from(number / 26_usize.pow(place) % 26).unwrap_or(0))
    };
    let plate = format!("{}{}S{}A{:02}", letter(0), letter(1), number % 10, number / 10 % 100);
    Ok(Vehicle {
        id: VehicleId(Uuid::now_v7()),
        plate: Plate::parse(&plate)?,
        make: make.to_owned(),
        model: model.to_owned(),
        color: color.to_owned(),
        year: 2018 + u16::try_from(number % 8).unwrap_or(0),
        categories: vec![Category::Economy, Category::Comfort, Category::Delivery],
    })
}
