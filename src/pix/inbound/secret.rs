//! The secret in the address at which the provider calls: who knows it is let in.
//!
//! It is compared in constant time and shown by nothing. Two are good at once, so that one can take
//! the other's place.

use std::fmt;
use std::hint::black_box;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The parameter of the query that carries it, by the provider's own advice.
const PARAMETER: &str = "hmac=";

/// The digests of the secrets that are good now.
#[derive(Clone)]
pub(super) struct Secrets(Vec<[u8; 32]>);

impl Secrets {
    pub(super) fn new(secrets: &[SecretString]) -> Self {
        Self(secrets.iter().map(|secret| digest(secret.expose_secret())).collect())
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a query carries one of them. The first `hmac` counts: what is written behind it, as
    /// the provider writes `/pix` behind `ignorar=`, is not read.
    pub(super) fn are_known_by(&self, query: &str) -> bool {
        let given = query.split('&').find_map(|part| part.strip_prefix(PARAMETER));
        let given = digest(given.unwrap_or_default());
        // Each is looked at to its end: time tells neither where two differ nor which was meant.
        let differences = self.0.iter().map(|secret| {
            let bytes = secret.iter().zip(&given);
            bytes.fold(0, |all, (ours, theirs)| black_box(all | (ours ^ theirs)))
        });
        differences.fold(false, |known, difference| known | (difference == 0))
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.0.len())
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_secret_that_is_good_now_is_known() {
        let secrets = Secrets::new(&["old-secret", "new-secret"].map(SecretString::from));
        for good in [
            "hmac=old-secret",
            "hmac=new-secret",
            "hmac=new-secret&ignorar=",
            "hmac=new-secret&ignorar=/pix",
            "ignorar=/pix&hmac=old-secret",
        ] {
            assert!(secrets.are_known_by(good), "{good}");
        }
        for bad in [
            "",
            "hmac=",
            "hmac",
            "hmac=old-secre",
            "hmac=old-secret/pix",
            "hmac=OLD-SECRET",
            "xhmac=old-secret",
            "hmac=wrong&hmac=old-secret",
            "old-secret",
        ] {
            assert!(!secrets.are_known_by(bad), "{bad}");
        }
        assert!(!Secrets::new(&[]).are_known_by("hmac="), "no secret lets nobody in");
        assert_eq!(format!("{secrets:?}"), "Secrets(2)");
    }
}
