//! Access tokens: who asks by name and password gets one for an hour.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ibora_domain::units::{Millis, UnixMillis};
use uuid::Uuid;

/// Seconds that a token is good for.
const TTL_S: u64 = 3600;
const SCOPES: &str = "cob.write cob.read pix.write pix.read webhook.write webhook.read pix.send \
                      gn.pix.send.read gn.balance.read gn.infractions.read gn.infractions.write \
                      gn.reports.write gn.reports.read gn.settings.write";

/// The name and password of an application. They guard play money only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    pub client_id: String,
    pub client_secret: String,
}

impl Default for Credentials {
    fn default() -> Self {
        let (id, secret) = ("Client_Id_simulator", "Client_Secret_simulator");
        Self { client_id: id.to_owned(), client_secret: secret.to_owned() }
    }
}

/// Why a call may not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// No token, a wrong one, one that is over.
    Token,
    Scope,
}

pub(super) struct Tokens {
    credentials: Credentials,
    scopes: String,
    live: BTreeMap<String, UnixMillis>,
    /// How many were given.
    pub(super) given: u64,
}

/// A token that was given.
pub(super) struct Given {
    pub(super) token: String,
    pub(super) expires_in_s: u64,
    pub(super) scope: String,
}

impl Tokens {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials, scopes: SCOPES.to_owned(), live: BTreeMap::new(), given: 0 }
    }

    /// Gives a token to who says the right name and password.
    pub(super) fn give(&mut self, authorization: &str, now: UnixMillis) -> Option<Given> {
        let Credentials { client_id, client_secret } = &self.credentials;
        let right = BASE64_STANDARD.encode(format!("{client_id}:{client_secret}"));
        if authorization.strip_prefix("Basic ") != Some(right.as_str()) {
            return None;
        }
        self.live.retain(|_, until| *until > now);
        let token = Uuid::new_v4().simple().to_string();
        self.live.insert(token.clone(), now + Millis::from_secs(TTL_S));
        self.given += 1;
        Some(Given { token, expires_in_s: TTL_S, scope: self.scopes.clone() })
    }

    pub(super) fn check(
        &self,
        authorization: &str,
        scope: &str,
        now: UnixMillis,
    ) -> Result<(), Denied> {
        let token = authorization.strip_prefix("Bearer ").ok_or(Denied::Token)?;
        let live = self.live.get(token).is_some_and(|until| *until > now);
        if !live {
            return Err(Denied::Token);
        }
        let may = self.scopes.split(' ').any(|had| had == scope);
        may.then_some(()).ok_or(Denied::Scope)
    }

    /// Ends every token that was given.
    pub(super) fn revoke(&mut self) {
        self.live.clear();
    }

    /// What tokens are good for from now on; everything, where it is none.
    pub(super) fn set_scopes(&mut self, scopes: Option<String>) {
        self.scopes = scopes.unwrap_or_else(|| SCOPES.to_owned());
    }
}
