//! Questions of a driver about his money: what he has, what became of it, what he has earned.
//!
//! Days and weeks are those of São Paulo, where people look at their clocks. The books themselves
//! know moments only.

use ibora_domain::ids::DriverId;
use ibora_domain::money::{Centavos, reais};
use ibora_domain::units::{UnixMillis, rfc3339};
use serde::Serialize;
use sqlx::FromRow;
use time::Date;
use uuid::Uuid;

use super::ledger::Ledger;
use super::{Page, ReadError};

/// What a driver has, in the shape of the public contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DriverBalance {
    pub currency: &'static str,
    /// He may withdraw it.
    #[serde(serialize_with = "reais")]
    pub available: Centavos,
    /// Earned, and not yet his to withdraw.
    #[serde(serialize_with = "reais")]
    pub held: Centavos,
    /// On its way to his bank.
    #[serde(serialize_with = "reais")]
    pub in_transit: Centavos,
    /// His share of rides that are not paid yet.
    #[serde(serialize_with = "reais")]
    pub uncollected: Centavos,
    /// What he owes the platform; it is set off against what he earns.
    #[serde(serialize_with = "reais")]
    pub owed: Centavos,
}

/// Which of his accounts a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pocket {
    Available,
    Held,
    Owed,
}

/// A line of the statement. `balance` is what the pocket held after it: of each pocket every
/// balance is the one before it plus `amount`.
#[derive(Debug, Clone, Serialize)]
pub struct StatementLine {
    pub id: String,
    #[serde(serialize_with = "rfc3339")]
    pub at: UnixMillis,
    /// The same on a clock of São Paulo, `2026-12-31 23:59`, for what is printed.
    #[serde(skip)]
    pub local: String,
    pub kind: String,
    pub pocket: Pocket,
    #[serde(serialize_with = "reais")]
    pub amount: Centavos,
    #[serde(serialize_with = "reais")]
    pub balance: Centavos,
    pub subject_type: String,
    pub subject_id: Uuid,
}

/// Moments from one on and before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub from: UnixMillis,
    pub to: UnixMillis,
}

impl Span {
    /// All that a ledger may hold.
    pub const ALWAYS: Self = Self { from: UnixMillis(0), to: UnixMillis(LATEST_MS) };
}

/// 9999-01-01.
const LATEST_MS: i64 = 253_370_764_800_000;

/// A posting with what it is of.
#[derive(FromRow)]
pub(super) struct LineRecord {
    pub(super) event_id: Uuid,
    pub(super) line: i16,
    /// Microseconds.
    pub(super) at: i64,
    local: String,
    pub(super) kind: String,
    code: i16,
    pub(super) amount: i64,
    pub(super) balance_after: i64,
    pub(super) subject_kind: String,
    pub(super) subject_id: Uuid,
}

impl LineRecord {
    fn shown(self) -> StatementLine {
        // He sees what is owed to him as his: the platform's credit is his plus.
        let (pocket, sign) = match self.code {
            2010 => (Pocket::Available, -1),
            2000 => (Pocket::Held, -1),
            _ => (Pocket::Owed, 1),
        };
        StatementLine {
            id: format!("{}.{}", self.event_id, self.line),
            at: UnixMillis(self.at / 1000),
            local: self.local,
            kind: self.kind,
            pocket,
            amount: Centavos(self.amount * sign),
            balance: Centavos(self.balance_after * sign),
            subject_type: self.subject_kind,
            subject_id: self.subject_id,
        }
    }
}

/// Where a page begins: behind the posting of this moment (in microseconds), event and line.
type Cursor = (i64, Uuid, i16);

fn cursor_of(text: &str) -> Option<Cursor> {
    let mut parts = text.splitn(3, '.');
    let at = parts.next()?.parse().ok().filter(|us| (0..=LATEST_MS * 1000).contains(us))?;
    let event = Uuid::try_parse(parts.next()?).ok()?;
    Some((at, event, parts.next()?.parse().ok()?))
}

impl Ledger {
    /// What this driver has.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn driver_balance(&self, driver: DriverId) -> Result<DriverBalance, ReadError> {
        // What is on its way lies on one account of the platform's; whose it is say the requests.
        let (available, held, uncollected, owed, in_transit): (i64, i64, i64, i64, i64) =
            sqlx::query_as(
                "SELECT coalesce(-sum(b.balance) FILTER (WHERE b.code = 2010), 0)::bigint,
                        coalesce(-sum(b.balance) FILTER (WHERE b.code = 2000), 0)::bigint,
                        coalesce(-sum(b.balance) FILTER (WHERE b.code = 2005), 0)::bigint,
                        coalesce(sum(b.balance) FILTER (WHERE b.code = 1110), 0)::bigint,
                        (SELECT coalesce(-sum(t.amount), 0)::bigint FROM (
                             SELECT DISTINCT f.subject_id FROM ledger_postings p
                             JOIN financial_events f ON f.id = p.event_id
                             WHERE p.owner = $1 AND p.code = 2010
                               AND f.kind = 'payout_requested') sent
                         JOIN financial_events f ON f.subject_id = sent.subject_id
                         JOIN ledger_postings t ON t.event_id = f.id AND t.code = 1020)
                 FROM ledger_running_balances b WHERE b.owner = $1",
            )
            .bind(driver.0)
            .fetch_one(&self.db)
            .await?;
        Ok(DriverBalance {
            currency: "BRL",
            available: Centavos(available),
            held: Centavos(held),
            in_transit: Centavos(in_transit),
            uncollected: Centavos(uncollected),
            owed: Centavos(owed),
        })
    }

    /// What became of a driver's money, the newest first.
    ///
    /// # Errors
    /// [`ReadError`]; `Cursor` for one that this list did not give.
    pub async fn statement(
        &self,
        driver: DriverId,
        span: Span,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<StatementLine>, ReadError> {
        let page = self.lines((driver.0, &[1110, 2000, 2010]), span, cursor, limit).await?;
        let items = page.items.into_iter().map(LineRecord::shown).collect();
        Ok(Page { items, next_cursor: page.next_cursor })
    }

    /// The postings of these accounts of somebody, the newest first.
    pub(super) async fn lines(
        &self,
        (owner, codes): (Uuid, &[i16]),
        span: Span,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<LineRecord>, ReadError> {
        let limit = limit.clamp(1, LINES_MAX);
        let before = match cursor {
            Some(text) => cursor_of(text).ok_or(ReadError::Cursor)?,
            None => (LATEST_MS * 1000, Uuid::max(), i16::MAX),
        };
        let rows: Vec<LineRecord> = sqlx::query_as(
            "SELECT p.event_id, p.line, (extract(epoch FROM p.recorded_at) * 1000000)::bigint AS at,
                    to_char(p.recorded_at AT TIME ZONE 'America/Sao_Paulo', 'YYYY-MM-DD HH24:MI')
                        AS local,
                    f.kind, p.code, p.amount, p.balance_after, f.subject_kind, f.subject_id
             FROM ledger_postings p JOIN financial_events f ON f.id = p.event_id
             WHERE p.owner = $1 AND p.code = ANY ($8)
               AND p.recorded_at >= to_timestamp(0) + $2 * interval '1 millisecond'
               AND p.recorded_at < to_timestamp(0) + $3 * interval '1 millisecond'
               AND (p.recorded_at, p.event_id, p.line)
                   < (to_timestamp(0) + $4 * interval '1 microsecond', $5, $6)
             ORDER BY p.recorded_at DESC, p.event_id DESC, p.line DESC LIMIT $7",
        )
        .bind(owner)
        .bind(span.from.0.clamp(0, LATEST_MS))
        .bind(span.to.0.clamp(0, LATEST_MS))
        .bind(before.0)
        .bind(before.1)
        .bind(before.2)
        .bind(i64::from(limit) + 1)
        .bind(codes)
        .fetch_all(&self.db)
        .await?;
        let place = |row: &LineRecord| format!("{}.{}.{}", row.at, row.event_id, row.line);
        Ok(Page::cut(rows, limit as usize, place))
    }

    /// What a driver's pockets held just before a moment: available, held, owed.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn pockets_before(
        &self,
        driver: DriverId,
        at: UnixMillis,
    ) -> Result<[Centavos; 3], ReadError> {
        let (available, held, owed): (i64, i64, i64) = sqlx::query_as(
            "SELECT coalesce(-sum(amount) FILTER (WHERE code = 2010), 0)::bigint,
                    coalesce(-sum(amount) FILTER (WHERE code = 2000), 0)::bigint,
                    coalesce(sum(amount) FILTER (WHERE code = 1110), 0)::bigint
             FROM ledger_postings WHERE owner = $1 AND code IN (1110, 2000, 2010)
               AND recorded_at < to_timestamp(0) + $2 * interval '1 millisecond'",
        )
        .bind(driver.0)
        .bind(at.0.clamp(0, LATEST_MS))
        .fetch_one(&self.db)
        .await?;
        Ok([Centavos(available), Centavos(held), Centavos(owed)])
    }

    /// The moments of the days from `first` to `last`, both of them in it, and which days: those up
    /// to today, four weeks of them, where none are named.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn days(
        &self,
        first: Option<Date>,
        last: Option<Date>,
        now: UnixMillis,
    ) -> Result<(Date, Date, Span), ReadError> {
        let (first, last, from, to): (Date, Date, i64, i64) = sqlx::query_as(
            "SELECT first, last,
                    (extract(epoch FROM first::timestamp AT TIME ZONE 'America/Sao_Paulo')
                     * 1000)::bigint,
                    (extract(epoch FROM (last + 1)::timestamp AT TIME ZONE 'America/Sao_Paulo')
                     * 1000)::bigint
             FROM (SELECT coalesce($1::date, last - 27) AS first, last FROM (
                 SELECT coalesce($2::date, ((to_timestamp(0) + $3 * interval '1 millisecond')
                                 AT TIME ZONE 'America/Sao_Paulo')::date) AS last) l) days",
        )
        .bind(first)
        .bind(last)
        .bind(now.0)
        .fetch_one(&self.db)
        .await?;
        Ok((first, last, Span { from: UnixMillis(from), to: UnixMillis(to) }))
    }
}

/// Lines of one page; a printed statement takes that many at once.
pub const LINES_MAX: u32 = 5000;
