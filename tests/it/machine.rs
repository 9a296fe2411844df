//! How a test judges by the clock on a machine that others use too, the tests beside it first.

use std::fs;
use std::time::Duration;

/// How long a test waits for what must come, before it says that it never does.
pub(crate) const EVER: Duration = Duration::from_secs(120);
/// Of the last ten seconds, how much somebody may have waited for a core (per cent) on a machine
/// that counts as quiet.
const QUIET_MAX: f64 = 10.0;
/// How much longer things may take on one that does not.
const BUSY: u32 = 10;

/// How long what takes `limit` at most may take here and now.
pub(crate) fn patience(limit: Duration) -> Duration {
    if is_quiet() { limit } else { limit * BUSY }
}

/// The same for a time that the product is told to keep, in milliseconds.
pub(crate) fn ms(time: u64) -> String {
    patience(Duration::from_millis(time)).as_millis().to_string()
}

/// A client that takes an answer whenever it comes.
pub(crate) fn http() -> awc::Client {
    awc::Client::builder().connector(awc::Connector::new().timeout(EVER)).timeout(EVER).finish()
}

/// Where the kernel does not count it, a machine is never quiet.
fn is_quiet() -> bool {
    let counted = fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    let average = counted.split_whitespace().find_map(|word| word.strip_prefix("avg10="));
    average.and_then(|average| average.parse().ok()).is_some_and(|share: f64| share < QUIET_MAX)
}
