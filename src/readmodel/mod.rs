//! The read room: queries over what the journal committed. Writes nothing.
//!
//! For `accounts`, `api`, `realtime`, `console` and `jobs`. SQL takes bound parameters only.

mod audit;
mod credit;
mod demand;
mod disputes;
mod earnings;
mod ledger;
mod payees;
mod payouts;
mod people;
mod replay;
mod rides;
mod timeline;
mod trail;
mod wallet;
mod watch;

use serde::Serialize;
use sqlx::{PgConnection, PgPool};
use thiserror::Error;
use tracing::warn;

pub use audit::{Finding, audit};
pub use credit::{CreditLine, CreditView};
pub use demand::{Asked, demand};
pub use earnings::{Earned, Earnings, Period};
pub use ledger::{Balance, Ledger, Solvency};
pub use payees::RegisteredKey;
pub use people::{Credentials, DriverProfile, Family, People, UserStatus, UserView};
pub use replay::{Difference, Replay, Told, Verified, replay, verify};
pub use rides::{RideFilter, Rides};
pub use timeline::Step;
pub use trail::{AuditEntry, AuditFilter};
pub use wallet::{DriverBalance, LINES_MAX, Pocket, Span, StatementLine};
pub use watch::{Seen, Watch, is_of_the_books};

/// A connection for what looks at everything there is, for as long as that takes; closed when it is
/// dropped.
async fn patient(pool: &PgPool) -> Result<PgConnection, sqlx::Error> {
    let mut connection = pool.acquire().await?.detach();
    sqlx::query("SET statement_timeout = 0").execute(&mut connection).await?;
    Ok(connection)
}

/// Why a question has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ReadError {
    #[error("the database did not answer")]
    Unavailable,
    #[error("a stored {what} is none of the known")]
    Corrupt { what: &'static str },
    #[error("not a cursor of this list")]
    Cursor,
}

impl From<sqlx::Error> for ReadError {
    /// Logs the cause here, once, by its `Display`: the `Debug` of a database error may hold rows.
    fn from(error: sqlx::Error) -> Self {
        warn!(error = %error, "a read failed");
        Self::Unavailable
    }
}

/// One page of a list, in the shape of the public contract.
#[derive(Debug, Serialize)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page begins; `None` on the last one.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of at most `limit` of `rows`, which were asked for with one more than that: the
    /// surplus row only says that there is another page. `cursor` names the last row shown.
    pub(crate) fn cut(mut rows: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = if more { rows.last().map(cursor) } else { None };
        Self { items: rows, next_cursor }
    }
}
