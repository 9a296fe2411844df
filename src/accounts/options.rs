//! What accounts are opened with, and who is calling.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use ibora_domain::ids::UserId;
use ibora_domain::person::Role;
use ibora_domain::units::{Millis, UnixMillis};
use secrecy::SecretString;

use super::Identity;

/// Tells the time. Real time outside of tests.
pub type Clock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// How accounts behave.
pub struct AccountOptions {
    /// `iss` of every access token.
    pub issuer: String,
    /// `aud` of every access token.
    pub audience: String,
    /// Life of an access token.
    pub access_life: Millis,
    /// Life of a refresh token; a rotation begins it anew.
    pub refresh_life: Millis,
    /// How long nothing is paid to a Pix key that replaced another. Domain time.
    pub pix_key_cooling: Millis,
    /// At least 32 bytes. Another key ends every access token.
    pub signing_key: SecretString,
    pub hashing: HashingOptions,
}

impl AccountOptions {
    /// The usual lives and costs with this key.
    #[must_use]
    pub fn with_key(signing_key: SecretString) -> Self {
        Self {
            issuer: "ibora".to_owned(),
            audience: "ibora-api".to_owned(),
            access_life: Millis::from_secs(15 * 60),
            refresh_life: Millis::from_secs(30 * 24 * 60 * 60),
            pix_key_cooling: Millis::from_secs(24 * 60 * 60),
            signing_key,
            hashing: HashingOptions::default(),
        }
    }
}

impl fmt::Debug for AccountOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountOptions")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("access_life", &self.access_life)
            .field("refresh_life", &self.refresh_life)
            .field("pix_key_cooling", &self.pix_key_cooling)
            .field("signing_key", &"***")
            .field("hashing", &self.hashing)
            .finish()
    }
}

/// What a password hash costs and how many are made at once.
///
/// Source: OWASP Password Storage Cheat Sheet, argon2id: 19 MiB, 2 passes, 1 lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashingOptions {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
    /// Hashes made at the same time, each with `memory_kib`.
    pub at_once: usize,
    /// Requests that may wait for their turn; more are refused as `Overloaded`.
    pub waiting_max: usize,
}

impl Default for HashingOptions {
    fn default() -> Self {
        Self {
            memory_kib: 19 * 1024,
            passes: 2,
            lanes: 1,
            at_once: std::thread::available_parallelism().map_or(1, usize::from),
            waiting_max: 64,
        }
    }
}

/// Who asks for an audited change, and from where.
#[derive(Clone)]
pub struct Caller {
    /// `None`: the system itself, as from the command line.
    pub principal: Option<(UserId, Role)>,
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
}

impl Caller {
    /// The command line, which whoever owns the machine may use.
    #[must_use]
    pub const fn system() -> Self {
        Self { principal: None, ip: None, user_agent: None, request_id: None }
    }

    /// The holder of a token; where it came from is filled in by the transport.
    #[must_use]
    pub const fn of(identity: &Identity) -> Self {
        Self {
            principal: Some((identity.user, identity.role)),
            ip: None,
            user_agent: None,
            request_id: None,
        }
    }

    /// Whether this caller may do what admins do.
    pub(super) const fn is_admin(&self) -> bool {
        matches!(self.principal, None | Some((_, Role::Admin)))
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("principal", &self.principal)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}
