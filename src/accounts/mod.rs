//! Accounts: who people are, how they prove it, and which drivers may drive.
//!
//! Called by `api`, `realtime`, `console` and the command line. It reads through `readmodel` and
//! writes through the journal alone, so what it answers is on disk. What must always hold:
//!
//! - A password is never kept, only its argon2id hash; it is hashed off the event loop, and an
//!   unknown account costs what a wrong password costs.
//! - A refresh token is kept as a hash, and one token of a family is live. Whoever shows one that
//!   was replaced long ago ends the family: it was copied.
//! - An access token has one algorithm, one type, one issuer and one audience.
//! - What may have to be answered for (a review, an admin made, a Pix key, payouts stopped, money
//!   booked by hand) leaves an audit entry in the same commit.

mod audit;
mod by_hand;
mod drivers;
mod error;
mod login;
mod options;
mod passwords;
mod payouts;
mod pix_key;
mod refresh;
mod register;
mod tickets;
mod tokens;

use std::fmt;
use std::sync::Arc;

use ibora_domain::ids::{DriverId, UserId};
use ibora_domain::person::{Approval, Role};
use ibora_domain::units::{Millis, UnixMillis};

use crate::db::Db;
use crate::journal::{AccountRow, CommitError, Journal};
use crate::readmodel::{AuditEntry, AuditFilter, DriverProfile, Ledger, Page, People, UserView};

pub use by_hand::{ByHand, Entry, EntryForm};
pub use drivers::{Review, VehicleForm};
pub use error::{AccountError, FieldError, OptionsError, TokenError};
pub use options::{AccountOptions, Caller, Clock, HashingOptions};
pub use payouts::PayoutSwitch;
pub use pix_key::{PixKeyForm, PixKeyView};
pub use register::{AdminForm, RegisterForm, SignedIn};
pub use tickets::Ticket;
pub use tokens::{Identity, TokenPair};

/// The door of this room.
pub struct Accounts {
    people: People,
    ledger: Ledger,
    journal: Arc<Journal>,
    passwords: passwords::Passwords,
    tokens: tokens::Tokens,
    tickets: tickets::Tickets,
    refresh_life: Millis,
    pix_key_cooling: Millis,
    now: Clock,
}

impl Accounts {
    /// Opens accounts: `reads` is never written with, `now` is real time (a token's life does not
    /// run faster where the simulated city does).
    ///
    /// # Errors
    /// [`OptionsError`]: a signing key that is too short, or hashing that cannot work.
    pub fn new(
        reads: Db,
        journal: Arc<Journal>,
        options: &AccountOptions,
        now: Clock,
    ) -> Result<Self, OptionsError> {
        Ok(Self {
            people: People::new(reads.clone()),
            ledger: Ledger::new(reads),
            journal,
            passwords: passwords::Passwords::new(&options.hashing)?,
            tokens: tokens::Tokens::new(options)?,
            tickets: tickets::Tickets::default(),
            refresh_life: options.refresh_life,
            pix_key_cooling: options.pix_key_cooling,
            now,
        })
    }

    /// Who holds this access token. Reads no database; cheap enough for every request.
    ///
    /// # Errors
    /// [`TokenError`]: each is a 401; which one it was is for the log.
    pub fn authenticate(&self, bearer: &str) -> Result<Identity, TokenError> {
        self.tokens.check(bearer, (self.now)())
    }

    /// An access token of the usual life, for those whose login is not this room's business.
    ///
    /// # Errors
    /// [`AccountError::Signing`].
    pub fn sign_access(&self, user: UserId, role: Role) -> Result<String, AccountError> {
        self.tokens.sign(user, role, (self.now)())
    }

    /// An access token that lives for `life`: for simulated people, who cannot refresh.
    ///
    /// # Errors
    /// [`AccountError::Signing`].
    pub fn sign_access_for(
        &self,
        user: UserId,
        role: Role,
        life: Millis,
    ) -> Result<String, AccountError> {
        self.tokens.sign_for(user, role, (self.now)(), life)
    }

    /// A ticket for one session of `identity`, for browsers, which cannot send a header.
    ///
    /// # Errors
    /// [`AccountError::Overloaded`] while too many tickets are out.
    pub fn issue_ticket(&self, identity: Identity) -> Result<Ticket, AccountError> {
        self.tickets.issue(identity, (self.now)())
    }

    /// Who was given this ticket. Works once, within 30 s, while the access token lives.
    ///
    /// # Errors
    /// [`TokenError::UnknownTicket`] for one that is used, too old, or never was.
    pub fn redeem_ticket(&self, ticket: &str) -> Result<Identity, TokenError> {
        self.tickets.redeem(ticket, (self.now)())
    }

    /// The person with this id. For the person and for admins: it shows phone and email.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub async fn user(&self, id: UserId) -> Result<UserView, AccountError> {
        self.people.user(id).await?.ok_or(AccountError::NotFound)
    }

    /// The driver with this id.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub async fn driver_profile(&self, id: DriverId) -> Result<DriverProfile, AccountError> {
        self.people.driver(id).await?.ok_or(AccountError::NotFound)
    }

    /// Drivers, the newest first. For admins; the caller has checked that.
    ///
    /// # Errors
    /// `Invalid` for a strange cursor, `Unavailable`.
    pub async fn list_drivers(
        &self,
        approval: Option<Approval>,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<DriverProfile>, AccountError> {
        Ok(self.people.drivers(approval, cursor, limit).await?)
    }

    /// The audit trail, the newest first: what people did, and what was booked. For admins; the
    /// caller has checked that.
    ///
    /// # Errors
    /// `Invalid` for a strange cursor, `Unavailable`.
    pub async fn list_audit(
        &self,
        filter: &AuditFilter,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<AuditEntry>, AccountError> {
        Ok(self.people.audit(filter, cursor, limit).await?)
    }

    /// Stores rows; `Ok(Err(constraint))` where a stored rule refused them.
    async fn store(&self, rows: Vec<AccountRow>) -> Result<Result<(), String>, AccountError> {
        match self.journal.record_account(rows).await {
            Ok(()) => Ok(Ok(())),
            Err(CommitError::Refused { constraint: Some(name) }) => Ok(Err(name)),
            Err(CommitError::Refused { constraint: None }) => {
                Err(AccountError::NotStored { constraint: None })
            }
            Err(CommitError::Overloaded) => Err(AccountError::Overloaded),
            Err(CommitError::Unavailable | CommitError::Fenced) => Err(AccountError::Unavailable),
        }
    }

    fn now(&self) -> UnixMillis {
        (self.now)()
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Accounts")
    }
}
