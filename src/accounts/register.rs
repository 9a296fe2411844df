//! Making accounts: passengers and drivers by themselves, admins by the command line or an admin.
//!
//! Every field is checked before a hash is paid for; whether an email, phone or CPF is taken is
//! decided by the database alone, so that of two at once exactly one wins.

use ibora_domain::ids::{DriverId, UserId};
use ibora_domain::person::{Cpf, Email, PersonError, PersonName, Phone, Role};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use super::Accounts;
use super::audit::Act;
use super::error::{AccountError, FieldError};
use super::options::Caller;
use super::passwords::{ADMIN_CHARS_MIN, CHARS_MIN, refuse_password};
use super::tokens::TokenPair;
use crate::journal::{AccountRow, UserRow};
use crate::readmodel::UserView;

/// What a passenger or driver sends to register.
pub struct RegisterForm {
    pub role: Role,
    pub name: String,
    pub email: String,
    pub phone: String,
    pub cpf: String,
    pub password: SecretString,
}

/// What makes an admin.
pub struct AdminForm {
    pub name: String,
    pub email: String,
    pub phone: Option<String>,
    pub cpf: Option<String>,
    pub password: SecretString,
}

/// A new account and its first tokens, in the shape of the public contract.
#[derive(Debug, Serialize)]
pub struct SignedIn {
    pub user: UserView,
    pub tokens: TokenPair,
}

/// A form past its checks.
struct Checked {
    name: PersonName,
    email: Email,
    phone: Option<Phone>,
    cpf: Option<Cpf>,
}

impl Accounts {
    /// Registers a passenger, or a driver who waits for approval, and logs them in.
    ///
    /// # Errors
    /// `Invalid` with every bad field at once, `AccountExists`, `Overloaded`, `Unavailable`.
    pub async fn register(&self, form: RegisterForm) -> Result<SignedIn, AccountError> {
        let RegisterForm { role, name, email, phone, cpf, password } = form;
        let mut faults = Vec::new();
        if !matches!(role, Role::Passenger | Role::Driver) {
            let detail = "only passengers and drivers register themselves";
            faults.push(FieldError::new("role", "not_allowed", detail));
        }
        let name = checked(&mut faults, PersonName::parse(&name));
        let email = checked(&mut faults, Email::parse(&email));
        let phone = checked(&mut faults, Phone::parse(&phone));
        let cpf = checked(&mut faults, Cpf::parse(&cpf));
        faults.extend(refuse_password(&password, email.as_ref(), CHARS_MIN));
        let (Some(name), Some(email), true) = (name, email, faults.is_empty()) else {
            return Err(AccountError::Invalid(faults));
        };

        let hash = self.passwords.hash(password).await?;
        let (row, user) = self.new_user(role, Checked { name, email, phone, cpf }, hash);
        let (family, refresh) = self.new_family(user.id);
        let mut rows = vec![AccountRow::UserCreated(row)];
        if role == Role::Driver {
            rows.push(AccountRow::DriverCreated { driver: DriverId::from(user.id) });
        }
        rows.push(AccountRow::FamilyCreated(family));
        self.store_new_user(rows).await?;
        let tokens = self.tokens.pair(user.id, role, &refresh, self.now())?;
        Ok(SignedIn { user, tokens })
    }

    /// Makes an admin; audited. For the command line, which makes the first, and for admins.
    ///
    /// # Errors
    /// `Forbidden`, `Invalid`, `AccountExists`, `Overloaded`, `Unavailable`.
    pub async fn create_admin(
        &self,
        caller: &Caller,
        form: AdminForm,
    ) -> Result<UserView, AccountError> {
        if !caller.is_admin() {
            return Err(AccountError::Forbidden);
        }
        let AdminForm { name, email, phone, cpf, password } = form;
        let mut faults = Vec::new();
        let name = checked(&mut faults, PersonName::parse(&name));
        let email = checked(&mut faults, Email::parse(&email));
        let phone = phone.and_then(|text| checked(&mut faults, Phone::parse(&text)));
        let cpf = cpf.and_then(|text| checked(&mut faults, Cpf::parse(&text)));
        faults.extend(refuse_password(&password, email.as_ref(), ADMIN_CHARS_MIN));
        let (Some(name), Some(email), true) = (name, email, faults.is_empty()) else {
            return Err(AccountError::Invalid(faults));
        };

        let hash = self.passwords.hash(password).await?;
        let (row, user) = self.new_user(Role::Admin, Checked { name, email, phone, cpf }, hash);
        // No personal data in the entry: it outlives the account.
        let act = Act {
            action: "create_admin",
            entity_type: "user",
            entity_id: user.id.0,
            changes: json!({ "role": Role::Admin }),
        };
        let audit = AccountRow::Audit(caller.audit(act, self.now()));
        self.store_new_user(vec![AccountRow::UserCreated(row), audit]).await?;
        Ok(user)
    }

    fn new_user(&self, role: Role, form: Checked, hash: SecretString) -> (UserRow, UserView) {
        let Checked { name, email, phone, cpf } = form;
        let id = UserId(Uuid::now_v7());
        let row = UserRow {
            id,
            role,
            name: name.clone(),
            email: email.clone(),
            phone: phone.clone(),
            cpf,
            password_hash: Some(hash),
            at: self.now(),
        };
        (row, UserView { id, role, name, email, phone })
    }

    async fn store_new_user(&self, rows: Vec<AccountRow>) -> Result<(), AccountError> {
        self.store(rows).await?.map_err(|constraint| match constraint.as_str() {
            "users_email_key" | "users_phone_key" | "users_cpf_key" => AccountError::AccountExists,
            _ => AccountError::NotStored { constraint: Some(constraint) },
        })
    }
}

/// The value, or its fault among the others.
fn checked<T>(faults: &mut Vec<FieldError>, parsed: Result<T, PersonError>) -> Option<T> {
    parsed.map_err(|error| faults.push(error.into())).ok()
}
