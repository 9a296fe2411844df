//! How the provider is reached and how hard it is asked. `app` makes it from the configuration.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;

/// Where the provider is, who we are, and the bounds of calls.
#[derive(Debug, Clone)]
pub struct ProviderOptions {
    /// `https://HOST[:PORT]`, without the end `/`.
    pub base_url: String,
    pub client_id: SecretString,
    pub client_secret: SecretString,
    pub identity: IdentityFiles,
    /// PEM file of the authorities that may vouch for the provider; none: those of the web.
    pub ca: Option<PathBuf>,
    pub bounds: Bounds,
}

/// Our certificate: PEM, with its key or beside it, or PKCS#12.
#[derive(Debug, Clone)]
pub struct IdentityFiles {
    pub certificate: PathBuf,
    /// Where the key lies in a PEM file of its own.
    pub key: Option<PathBuf>,
    /// Of a PKCS#12 file; the provider's have an empty one.
    pub password: Option<SecretString>,
}

/// The bounds of calls.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// Name, TCP and TLS.
    pub connect_timeout: Duration,
    /// One try, from its turn to the last byte of its answer.
    pub call_timeout: Duration,
    /// Tries beyond the first.
    pub retries_max: u32,
    /// Repeats in a thousand calls, beyond a small reserve.
    pub retry_permille: u32,
    /// Questions a second.
    pub reads_per_s: u32,
    /// Orders a second.
    pub writes_per_s: u32,
    /// Of either at once.
    pub burst: u32,
    /// Calls under way at once, each with a connection.
    pub calls_max: usize,
    /// Failures in a row after which nobody calls for a while.
    pub failures_max: u32,
    /// That while.
    pub pause: Duration,
    /// Bytes of one answer.
    pub answer_bytes_max: usize,
}
