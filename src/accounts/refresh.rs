//! Refreshing: the live token of a family is swapped for its successor, and reuse is found out.
//!
//! Of many refreshes of one token at once exactly one rotates the family. The others, like a
//! client that lost the answer and asks again within the grace, are told the same successor: one
//! token is live however often was asked. Later than that a replaced token is a copy in somebody
//! else's hands, and nobody can say who is who: the family ends for both.

use ibora_domain::token::TokenHash;
use ibora_domain::units::{Millis, UnixMillis};

use super::Accounts;
use super::error::AccountError;
use super::tokens::{RefreshToken, TokenPair};
use crate::journal::{AccountRow, RotationRow};
use crate::readmodel::{Family, UserStatus};

/// How long the token that was just replaced still works: a lost answer must not log out.
const GRACE: Millis = Millis::from_secs(30);

/// The constraint that a rotation breaks when another one was first.
const LOST_ROTATION: &str = "token_families_rotation";

/// What it means that a token is shown now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// It is the family's live token.
    Live,
    /// It was the live token until a moment ago.
    JustReplaced,
    /// It was replaced earlier, or never was: a copy, or a guess by one who knows the family.
    Reused,
    /// The family has ended or has run out.
    Ended,
}

/// Judges the use of a token of `family` whose hash is `shown`.
pub(super) fn judge(family: &Family, shown: &TokenHash, now: UnixMillis) -> Use {
    let is_previous = family.previous.is_some_and(|previous| previous.matches(shown));
    if family.revoked || family.expires_at <= now {
        Use::Ended
    } else if family.current.matches(shown) {
        Use::Live
    } else if is_previous && now.since(family.rotated_at) <= GRACE {
        Use::JustReplaced
    } else {
        Use::Reused
    }
}

impl Accounts {
    /// Swaps a refresh token for a new pair.
    ///
    /// # Errors
    /// `InvalidCredentials`; `TokenReused` where the family was ended just now, which is the same
    /// to the client; `Overloaded`, `Unavailable`.
    pub async fn refresh(&self, refresh_token: &str) -> Result<TokenPair, AccountError> {
        let shown = RefreshToken::parse(refresh_token).ok_or(AccountError::InvalidCredentials)?;
        let next = self.tokens.successor(&shown)?;
        // Whoever loses a rotation looks once more, and then finds the winner's.
        for _ in 0..2 {
            let family = self.people.family(shown.family).await?;
            let family = family.ok_or(AccountError::InvalidCredentials)?;
            if family.status != UserStatus::Active {
                return Err(AccountError::InvalidCredentials);
            }
            match judge(&family, &shown.hash(), self.now()) {
                Use::Live => {
                    if self.rotate(&shown, &next).await? {
                        return self.tokens.pair(family.user, family.role, &next, self.now());
                    }
                }
                Use::JustReplaced => return self.repeat(&family, &next),
                Use::Reused => {
                    self.end_family(family.id).await?;
                    return Err(AccountError::TokenReused { user: family.user });
                }
                Use::Ended => return Err(AccountError::InvalidCredentials),
            }
        }
        Err(AccountError::InvalidCredentials)
    }

    /// Makes `next` the live token in place of `shown`; `false` where another was first.
    async fn rotate(
        &self,
        shown: &RefreshToken,
        next: &RefreshToken,
    ) -> Result<bool, AccountError> {
        let at = self.now();
        let row = AccountRow::FamilyRotated(RotationRow {
            family: shown.family,
            expected_current_hash: shown.hash(),
            next_hash: next.hash(),
            expires_at: at + self.refresh_life,
            at,
        });
        match self.store(vec![row]).await? {
            Ok(()) => Ok(true),
            Err(constraint) if constraint == LOST_ROTATION => Ok(false),
            Err(constraint) => Err(AccountError::NotStored { constraint: Some(constraint) }),
        }
    }

    /// Answers once more with the token that replaced the shown one.
    fn repeat(&self, family: &Family, next: &RefreshToken) -> Result<TokenPair, AccountError> {
        if !family.current.matches(&next.hash()) {
            // Made under another signing key, so it cannot be told again. Nobody did wrong.
            return Err(AccountError::InvalidCredentials);
        }
        self.tokens.pair(family.user, family.role, next, self.now())
    }
}
