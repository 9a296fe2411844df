//! Logging in and out. Each login is a token family of its own; logging out ends that one.
//!
//! Wrong password, unknown account, suspended account: one answer, after the same work.

use ibora_domain::ids::UserId;
use ibora_domain::person::Email;
use ibora_domain::token::FamilyId;
use secrecy::SecretString;
use uuid::Uuid;

use super::Accounts;
use super::error::AccountError;
use super::refresh::{Use, judge};
use super::tokens::{RefreshToken, TokenPair};
use crate::journal::{AccountRow, FamilyRow};
use crate::readmodel::UserStatus;

impl Accounts {
    /// Logs in by email and password.
    ///
    /// # Errors
    /// `InvalidCredentials`, `Overloaded`, `Unavailable`.
    pub async fn login(
        &self,
        email: &str,
        password: SecretString,
    ) -> Result<TokenPair, AccountError> {
        // What is no email has no account; it goes on to cost what any other attempt costs.
        let account = match Email::parse(email) {
            Ok(email) => self.people.credentials(&email).await?,
            Err(_) => None,
        };
        let kept = account.as_ref().and_then(|account| account.password_hash.clone());
        let right = self.passwords.verify(password, kept).await?;
        let account = account.filter(|account| right && account.status == UserStatus::Active);
        let account = account.ok_or(AccountError::InvalidCredentials)?;

        let (family, refresh) = self.new_family(account.user);
        self.store(vec![AccountRow::FamilyCreated(family)])
            .await?
            .map_err(|constraint| AccountError::NotStored { constraint: Some(constraint) })?;
        self.tokens.pair(account.user, account.role, &refresh, self.now())
    }

    /// Ends the family of this refresh token. Access tokens live out their minutes. Logging out
    /// again is no error.
    ///
    /// # Errors
    /// `InvalidCredentials` for what is no token of ours, `TokenReused` as in `refresh`,
    /// `Overloaded`, `Unavailable`.
    pub async fn logout(&self, refresh_token: &str) -> Result<(), AccountError> {
        let shown = RefreshToken::parse(refresh_token).ok_or(AccountError::InvalidCredentials)?;
        let family = self.people.family(shown.family).await?;
        let family = family.ok_or(AccountError::InvalidCredentials)?;
        match judge(&family, &shown.hash(), self.now()) {
            Use::Ended => Ok(()),
            Use::Live | Use::JustReplaced => self.end_family(family.id).await,
            Use::Reused => {
                self.end_family(family.id).await?;
                Err(AccountError::TokenReused { user: family.user })
            }
        }
    }

    /// A new family with its first token, not yet stored.
    pub(super) fn new_family(&self, user: UserId) -> (FamilyRow, RefreshToken) {
        let token = RefreshToken::first(FamilyId(Uuid::now_v7()));
        let at = self.now();
        let expires_at = at + self.refresh_life;
        (FamilyRow { id: token.family, user, hash: token.hash(), expires_at, at }, token)
    }

    pub(super) async fn end_family(&self, family: FamilyId) -> Result<(), AccountError> {
        let row = AccountRow::FamilyRevoked { family, at: self.now() };
        self.store(vec![row])
            .await?
            .map_err(|constraint| AccountError::NotStored { constraint: Some(constraint) })
    }
}
