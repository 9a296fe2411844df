//! The passwords of the private server's roles: random, in one file that only the engine reads.
//!
//! Used inside this room only. The file is on disk before the cluster that is made with it, so a
//! cluster without its passwords cannot come to be.

use std::path::Path;
use std::{fs, io};

use secrecy::{ExposeSecret, SecretString};

use super::error::PostgresError;
use super::layout::replace_file;

/// 32 random bytes in hex.
const PASSWORD_LEN: usize = 64;
const KEYS: [&str; 3] = ["superuser", "owner", "app"];

/// One password a role. Hex digits only, so each may stand in a quoted SQL literal.
#[derive(Clone)]
pub(super) struct Secrets {
    pub(super) superuser: SecretString,
    pub(super) owner: SecretString,
    pub(super) app: SecretString,
}

impl Secrets {
    /// Reads the file. New ones are written when it is missing and `may_create`; a file that is
    /// there is kept: its cluster may only be out of sight, on a disk not mounted.
    pub(super) fn load(path: &Path, may_create: bool) -> Result<Self, PostgresError> {
        match fs::read_to_string(path) {
            Ok(text) => {
                Self::parse(&text).ok_or_else(|| PostgresError::SecretsLost { path: path.into() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && may_create => {
                let secrets = Self::random();
                replace_file(path, &secrets.render(), 0o600)?;
                Ok(secrets)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(PostgresError::SecretsLost { path: path.into() })
            }
            Err(error) => Err(PostgresError::io("read", path)(error)),
        }
    }

    fn random() -> Self {
        let password = || SecretString::from(hex::encode(rand::random::<[u8; PASSWORD_LEN / 2]>()));
        Self { superuser: password(), owner: password(), app: password() }
    }

    fn render(&self) -> String {
        let values = [&self.superuser, &self.owner, &self.app];
        let line = |(key, value): (&str, &SecretString)| format!("{key}={}\n", expose(value));
        KEYS.into_iter().zip(values).map(line).collect()
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='))?;
            let valid = found.len() == PASSWORD_LEN && found.bytes().all(|b| b.is_ascii_hexdigit());
            valid.then(|| SecretString::from(found))
        };
        let [superuser, owner, app] = KEYS;
        Some(Self { superuser: value(superuser)?, owner: value(owner)?, app: value(app)? })
    }
}

fn expose(secret: &SecretString) -> &str {
    secret.expose_secret()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_no_password() {
        let text = Secrets::random().render();
        assert!(Secrets::parse(&text).is_some_and(|secrets| secrets.render() == text));
        let damaged = ["", &text[..text.len() / 2], &text.replace("app=", "app=';--")];
        assert!(damaged.into_iter().all(|text| Secrets::parse(text).is_none()));
    }
}
