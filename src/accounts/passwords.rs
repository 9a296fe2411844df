//! Passwords: what one must look like, and argon2id off the event loop.
//!
//! A hash takes 19 MiB and tens of milliseconds of a core, so only `at_once` are made at a time,
//! `waiting_max` wait, and more are refused at once. Where there is no hash to compare with, one
//! that matches nothing is computed all the same: time tells nobody who has an account.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use ibora_domain::person::Email;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::error::{AccountError, FieldError, OptionsError};
use super::options::HashingOptions;

/// Shortest password of a passenger, driver or partner, in characters.
pub(super) const CHARS_MIN: usize = 8;
/// Shortest password of an admin, in characters.
pub(super) const ADMIN_CHARS_MIN: usize = 10;
/// Longest password, in characters.
const CHARS_MAX: usize = 128;
/// How long a request waits for its turn to be hashed.
const TURN_WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Passwords {
    argon2: Argon2<'static>,
    /// The hash of a password nobody has.
    nobody: Arc<str>,
    /// One permit a hash under way.
    running: Arc<Semaphore>,
    /// One permit a hash under way or waiting.
    admitted: Arc<Semaphore>,
}

impl Passwords {
    pub(super) fn new(options: &HashingOptions) -> Result<Self, OptionsError> {
        if options.at_once == 0 {
            return Err(OptionsError::HashingAtOnce);
        }
        let params = Params::new(options.memory_kib, options.passes, options.lanes, None)
            .map_err(|_| OptionsError::Hashing)?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let nobody: PasswordHash =
            argon2.hash_password(&rand::random::<[u8; 32]>()).map_err(|_| OptionsError::Hashing)?;
        Ok(Self {
            argon2,
            nobody: nobody.to_string().into(),
            running: Arc::new(Semaphore::new(options.at_once)),
            admitted: Arc::new(Semaphore::new(options.at_once + options.waiting_max)),
        })
    }

    /// The PHC string to keep for this password.
    pub(super) async fn hash(&self, password: SecretString) -> Result<SecretString, AccountError> {
        let argon2 = self.argon2.clone();
        let hashed = self.off_the_loop(move || {
            let hash: Result<PasswordHash, _> =
                argon2.hash_password(password.expose_secret().as_bytes());
            hash.map(|hash| SecretString::from(hash.to_string()))
        });
        hashed.await?.map_err(|_| AccountError::Hashing)
    }

    /// Whether this is the password of `kept`; never, but as slowly, where nothing is kept.
    pub(super) async fn verify(
        &self,
        password: SecretString,
        kept: Option<SecretString>,
    ) -> Result<bool, AccountError> {
        let argon2 = self.argon2.clone();
        let nobody = Arc::clone(&self.nobody);
        let compared = self.off_the_loop(move || {
            let known = kept.is_some();
            let text = kept.as_ref().map_or(&*nobody, ExposeSecret::expose_secret);
            let hash = PasswordHash::new(text)?;
            match argon2.verify_password(password.expose_secret().as_bytes(), &hash) {
                Ok(()) => Ok(known),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error),
            }
        });
        compared.await?.map_err(|_| AccountError::Hashing)
    }

    /// Runs `work` on a thread for blocking work when it is its turn.
    async fn off_the_loop<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, AccountError> {
        let place = Arc::clone(&self.admitted).try_acquire_owned();
        let place = place.map_err(|_| AccountError::Overloaded)?;
        let turn = timeout(TURN_WITHIN, Arc::clone(&self.running).acquire_owned()).await;
        let turn = turn.map_err(|_| AccountError::Overloaded)?;
        let turn = turn.map_err(|_| AccountError::Overloaded)?;
        let worked = spawn_blocking(move || {
            let result = work();
            // Held to the end of the work: the asker may be gone, the core is still busy.
            drop((turn, place));
            result
        });
        worked.await.map_err(|_| AccountError::Hashing)
    }
}

/// What is wrong with this as the password of a new account.
pub(super) fn refuse_password(
    password: &SecretString,
    email: Option<&Email>,
    chars_min: usize,
) -> Option<FieldError> {
    let text = password.expose_secret();
    let refused = |code, detail: String| Some(FieldError::new("password", code, detail));
    let count = text.chars().count();
    if count < chars_min || count > CHARS_MAX {
        let detail = format!("a password has {chars_min} to {CHARS_MAX} characters");
        return refused("out_of_range", detail);
    }
    if text.contains('\0') {
        return refused("invalid_character", "a password has no NUL".to_owned());
    }
    if email.is_some_and(|email| text.trim().eq_ignore_ascii_case(email.as_str())) {
        return refused("too_easy", "a password is not the email".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cheap(at_once: usize, waiting_max: usize) -> Passwords {
        let options = HashingOptions { memory_kib: 8, passes: 1, lanes: 1, at_once, waiting_max };
        Passwords::new(&options).expect("valid options")
    }

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[tokio::test]
    async fn a_hash_knows_its_password_and_no_other() {
        let passwords = cheap(2, 2);
        let kept = passwords.hash(secret("correct horse")).await.expect("hashed");
        assert!(kept.expose_secret().starts_with("$argon2id$v=19$m=8,t=1,p=1$"));
        let verify = |text, kept| passwords.verify(secret(text), kept);
        assert_eq!(verify("correct horse", Some(kept.clone())).await, Ok(true));
        assert_eq!(verify("correct hors", Some(kept)).await, Ok(false));
        assert_eq!(verify("correct horse", None).await, Ok(false));
        assert_eq!(verify("x", Some(secret("no hash"))).await, Err(AccountError::Hashing));
    }

    #[tokio::test]
    async fn a_full_queue_refuses_at_once_and_recovers() {
        let passwords = cheap(1, 1);
        let turn = Arc::clone(&passwords.running).acquire_owned().await.expect("open");
        let place = Arc::clone(&passwords.admitted).acquire_owned().await.expect("open");
        let waits = passwords.hash(secret("waits"));
        tokio::pin!(waits);
        // One poll puts it into the queue, where it waits for the turn that is held here.
        assert!(futures_util::poll!(waits.as_mut()).is_pending());
        let refused = passwords.hash(secret("one too many")).await;
        assert_eq!(refused.map(|_| ()), Err(AccountError::Overloaded));
        drop((turn, place));
        assert!(waits.await.is_ok());
        assert!(passwords.hash(secret("there is room again")).await.is_ok());
    }

    #[test]
    fn options_that_cannot_work_are_refused() {
        let usual = HashingOptions::default;
        let none = HashingOptions { at_once: 0, ..usual() };
        assert_eq!(Passwords::new(&none).err(), Some(OptionsError::HashingAtOnce));
        let little = HashingOptions { memory_kib: 1, ..usual() };
        assert_eq!(Passwords::new(&little).err(), Some(OptionsError::Hashing));
    }

    #[test]
    fn passwords_follow_the_table() {
        let email = Email::parse("ana@example.com").expect("valid");
        let long = "é".repeat(128);
        let longer = "é".repeat(129);
        let table = [
            ("12345678", CHARS_MIN, None),
            ("1234567", CHARS_MIN, Some("out_of_range")),
            ("", CHARS_MIN, Some("out_of_range")),
            ("123456789", ADMIN_CHARS_MIN, Some("out_of_range")),
            ("1234567890", ADMIN_CHARS_MIN, None),
            (&long, CHARS_MIN, None),
            (&longer, CHARS_MIN, Some("out_of_range")),
            ("1234\u{0}5678", CHARS_MIN, Some("invalid_character")),
            ("Ana@Example.com", CHARS_MIN, Some("too_easy")),
        ];
        for (text, chars_min, expected) in table {
            let refused = refuse_password(&secret(text), Some(&email), chars_min);
            assert_eq!(refused.map(|error| error.code), expected, "{text:?}");
        }
    }
}
