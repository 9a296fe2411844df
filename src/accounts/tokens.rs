//! Tokens: access tokens as signed JSON, refresh tokens as secrets of which only a hash is kept.
//!
//! An access token is checked without the database: HS256 and nothing else, header `at+jwt` with
//! no parameter beside `alg` and `typ`, so that no token can name its own key. A refresh token is
//! its family's id and 256 bits; each successor is an HMAC of the token it replaces, so the answer
//! to a repeated question is the same as the lost one, although no secret was kept.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ibora_domain::ids::UserId;
use ibora_domain::person::{Role, Scope};
use ibora_domain::token::{FamilyId, TokenHash};
use ibora_domain::units::{Millis, UnixMillis};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::error::{AccountError, OptionsError, TokenError};
use super::options::AccountOptions;

/// The `typ` of an access token (RFC 9068).
const TYPE: &str = "at+jwt";
/// Longer ones are refused unread.
const ACCESS_BYTES_MAX: usize = 4096;
/// How far two clocks may be apart.
const LEEWAY_S: i64 = 5;
/// Shortest signing key (RFC 7518, 3.2).
const KEY_BYTES_MIN: usize = 32;

/// The holder of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub user: UserId,
    pub role: Role,
    pub scopes: Vec<Scope>,
    pub expires_at: UnixMillis,
}

impl Identity {
    /// Whether the token has this scope.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }
}

/// Both tokens, in the shape of the public contract.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct TokenPair {
    pub access_token: String,
    pub refresh_token: String,
    pub token_type: &'static str,
    /// Life of the access token in seconds.
    pub expires_in: u64,
}

impl fmt::Debug for TokenPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenPair(***)")
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    role: Role,
    scopes: Vec<Scope>,
    /// Seconds, as `exp`.
    iat: i64,
    exp: i64,
    jti: Uuid,
}

pub(super) struct Tokens {
    signing: EncodingKey,
    checking: DecodingKey,
    validation: Validation,
    issuer: String,
    audience: String,
    access_life: Millis,
}

impl Tokens {
    pub(super) fn new(options: &AccountOptions) -> Result<Self, OptionsError> {
        let key = options.signing_key.expose_secret().as_bytes();
        if key.len() < KEY_BYTES_MIN {
            return Err(OptionsError::SigningKey { bytes: key.len() });
        }
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&options.issuer]);
        validation.set_audience(&[&options.audience]);
        // Checked here by the clock of this room, which tests can move.
        validation.validate_exp = false;
        Ok(Self {
            signing: EncodingKey::from_secret(key),
            checking: DecodingKey::from_secret(key),
            validation,
            issuer: options.issuer.clone(),
            audience: options.audience.clone(),
            access_life: options.access_life,
        })
    }

    pub(super) fn sign(
        &self,
        user: UserId,
        role: Role,
        now: UnixMillis,
    ) -> Result<String, AccountError> {
        self.sign_for(user, role, now, self.access_life)
    }

    pub(super) fn sign_for(
        &self,
        user: UserId,
        role: Role,
        now: UnixMillis,
        life: Millis,
    ) -> Result<String, AccountError> {
        let mut header = Header::new(Algorithm::HS256);
        header.typ = Some(TYPE.to_owned());
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user.0,
            role,
            scopes: role.scopes().to_vec(),
            iat: now.0.div_euclid(1000),
            exp: (now + life).0.div_euclid(1000),
            jti: Uuid::new_v4(),
        };
        jsonwebtoken::encode(&header, &claims, &self.signing).map_err(|_| AccountError::Signing)
    }

    pub(super) fn check(&self, token: &str, now: UnixMillis) -> Result<Identity, TokenError> {
        if token.len() > ACCESS_BYTES_MAX {
            return Err(TokenError::TooLarge);
        }
        let decoded = jsonwebtoken::decode::<Claims>(token, &self.checking, &self.validation)
            .map_err(|error| token_error(error.kind()))?;
        if !is_ours(&decoded.header) {
            return Err(TokenError::Header);
        }
        let claims = decoded.claims;
        let now_s = now.0.div_euclid(1000);
        if claims.exp.saturating_add(LEEWAY_S) <= now_s {
            return Err(TokenError::Expired);
        }
        Ok(Identity {
            user: UserId(claims.sub),
            role: claims.role,
            scopes: claims.scopes,
            expires_at: UnixMillis(claims.exp.saturating_mul(1000)),
        })
    }

    /// Both tokens for the holder of `refresh`.
    pub(super) fn pair(
        &self,
        user: UserId,
        role: Role,
        refresh: &RefreshToken,
        now: UnixMillis,
    ) -> Result<TokenPair, AccountError> {
        Ok(TokenPair {
            access_token: self.sign(user, role, now)?,
            refresh_token: refresh.to_text(),
            token_type: "Bearer",
            expires_in: self.access_life.0 / 1000,
        })
    }

    /// The token that replaces this one: always the same, and only this engine can tell.
    pub(super) fn successor(&self, of: &RefreshToken) -> Result<RefreshToken, AccountError> {
        // No access token begins with this, so neither use of the key can stand in for the other.
        let mut message = b"\0ibora refresh successor\0".to_vec();
        message.extend_from_slice(of.family.0.as_bytes());
        message.extend_from_slice(&of.secret);
        let mac = jsonwebtoken::crypto::sign(&message, &self.signing, Algorithm::HS256);
        let mac = mac.map_err(|_| AccountError::Signing)?;
        let secret = decode_secret(&mac).ok_or(AccountError::Signing)?;
        Ok(RefreshToken { family: of.family, secret })
    }
}

/// Whether this header has our type and no parameter that we do not set ourselves: a `kid`, `jku`,
/// `jwk`, `x5u` or `crit` asks for something that is not done here.
fn is_ours(header: &Header) -> bool {
    let mut ours = Header::new(Algorithm::HS256);
    ours.typ = Some(TYPE.to_owned());
    *header == ours
}

fn token_error(kind: &ErrorKind) -> TokenError {
    match kind {
        ErrorKind::InvalidAlgorithm | ErrorKind::InvalidAlgorithmName => TokenError::Header,
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidIssuer | ErrorKind::InvalidAudience => TokenError::Audience,
        _ => TokenError::Malformed,
    }
}

/// A refresh token: `<family>.<secret>`, 32 hexadecimal digits and 43 of base64url.
pub(super) struct RefreshToken {
    pub(super) family: FamilyId,
    secret: [u8; 32],
}

impl RefreshToken {
    /// The first token of a family.
    pub(super) fn first(family: FamilyId) -> Self {
        Self { family, secret: rand::random() }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let (family, secret) = text.split_once('.')?;
        if family.len() != 32 {
            return None;
        }
        let family = FamilyId(Uuid::try_parse(family).ok()?);
        Some(Self { family, secret: decode_secret(secret)? })
    }

    pub(super) fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.secret).into())
    }

    fn to_text(&self) -> String {
        let secret = URL_SAFE_NO_PAD.encode(self.secret);
        format!("{}.{secret}", self.family.0.simple())
    }
}

fn decode_secret(text: &str) -> Option<[u8; 32]> {
    // Checked before decoding, so that a huge text costs nothing.
    if text.len() != 43 {
        return None;
    }
    URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
