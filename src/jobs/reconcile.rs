//! The provider's balance beside the ledger, to the centavo: after each day of São Paulo, and
//! whenever somebody asks.
//!
//! What the provider lists as done and the ledger has not booked yet explains a difference; what
//! is left is a discrepancy, and so is whatever stays unbooked for an hour. Both are recorded and
//! said, never corrected: people have to look.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use ibora_domain::money::Centavos;
use ibora_domain::provider::{Window, Windows};
use ibora_domain::units::{Millis, UnixMillis};
use serde::de::DeserializeOwned;
use time::{Date, OffsetDateTime, UtcOffset};

use super::{JobParts, Trouble, answered, now};
use crate::journal::{Journal, ReconciliationRow};
use crate::pix::client::{Pages, Provider, ReceivedFilter};
use crate::pix::wire::{Balance, Listing, Received, RefundStatus, Row, SendStatus, Sent};

/// How far back it is looked for what is not booked. What is older shows as a difference.
const LISTED: Millis = Millis::from_secs(3 * 24 * 3600);
/// How far the provider's clock may be ahead of ours.
const AHEAD: Millis = Millis::from_secs(600);
/// Windows of the lists.
const WINDOW: Millis = Millis::from_secs(24 * 3600);
/// An age at which everything should be booked.
const OVERDUE: Millis = Millis::from_secs(3600);
/// Tries to find a moment in which nothing moves, and the pause between them.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked whether a day is over.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// Minutes after midnight at which a day is compared: the last of it has been told by then.
const AFTER_MIDNIGHT: time::Duration = time::Duration::minutes(10);

/// Compares each day once it is over.
pub(super) async fn run(parts: Arc<JobParts>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if !parts.may_act() {
            continue;
        }
        match parts.journal.reconciliations().last_day().await {
            Ok(Some(day)) if day >= day_before(now()) => {}
            Ok(_) => match reconcile(&parts.provider, &parts.journal).await {
                Ok(row) => tell(&parts, &row),
                Err(error) => tracing::warn!(%error, "the day is not compared, trying again"),
            },
            Err(error) => tracing::warn!(%error, "it cannot be read which day was compared"),
        }
    }
}

fn tell(parts: &JobParts, row: &ReconciliationRow) {
    parts.metrics.pix_difference_centavos.set(row.difference.0);
    let (day, difference) = (row.day, row.difference);
    if row.is_sound() {
        tracing::info!(%day, "the provider's balance and the ledger agree to the centavo");
        return;
    }
    parts.metrics.reconciliation_discrepancies.inc();
    tracing::error!(
        %day,
        %difference,
        overdue = row.overdue,
        quiet = row.quiet,
        "the provider's balance and the ledger do not agree: see the table reconciliations"
    );
}

/// Compares now, and records what was found.
pub async fn reconcile(
    provider: &Provider,
    journal: &Journal,
) -> Result<ReconciliationRow, Trouble> {
    let mut tries = 0;
    let row = loop {
        let row = compare(provider, journal).await?;
        tries += 1;
        // What moved meanwhile may explain a difference.
        if (row.quiet && row.difference == Centavos::ZERO) || tries >= TRIES {
            break row;
        }
        tokio::time::sleep(PAUSE).await;
    };
    journal.reconciliations().record(&row).await?;
    Ok(row)
}

impl ReconciliationRow {
    /// Whether there is nothing to look at.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.difference == Centavos::ZERO && self.overdue == 0
    }
}

async fn compare(provider: &Provider, journal: &Journal) -> Result<ReconciliationRow, Trouble> {
    let before =
        (answered(provider.balance().await)?, journal.reconciliations().at_provider().await?);
    let moves = moves(provider).await?;
    let keys: Vec<_> = moves.iter().map(|one| one.key.clone()).collect();
    let booked: HashSet<_> = journal.inbox().booked(&keys).await?.into_iter().collect();
    let after =
        (answered(provider.balance().await)?, journal.reconciliations().at_provider().await?);
    let unbooked: Vec<_> = moves.iter().filter(|one| !booked.contains(&one.key)).collect();
    let sum = |what: What| {
        let of = unbooked.iter().filter(|one| one.what == what);
        Centavos(of.map(|one| one.amount.0).sum())
    };
    let late = now() - OVERDUE;
    let is_late = |one: &&&Move| one.what != What::Tariff && one.at.is_none_or(|at| at < late);
    let overdue = unbooked.iter().filter(is_late).count();
    let quiet = before == after;
    let (balance, ledger) = after;
    let (available, blocked) = (balance.available, blocked(&balance));
    let [receipts, tariffs, payouts, returns, refunds] =
        [What::Receipt, What::Tariff, What::Payout, What::Return, What::Refund].map(sum);
    let explained = receipts.0 - tariffs.0 - payouts.0 + returns.0 - refunds.0;
    let ours = ledger.cash.0 + ledger.clearing.0 + ledger.blocked.0;
    Ok(ReconciliationRow {
        day: day_before(now()),
        provider_available: available,
        provider_blocked: blocked,
        ledger,
        receipts,
        tariffs,
        payouts,
        returns,
        refunds,
        overdue: i32::try_from(overdue).unwrap_or(i32::MAX),
        quiet,
        difference: Centavos(available.0 + blocked.0 - ours - explained),
    })
}

fn blocked(balance: &Balance) -> Centavos {
    let total = balance.blocks.and_then(|blocks| {
        let parts = [blocks.judicial, blocks.med].into_iter().flatten();
        blocks.total.or_else(|| parts.reduce(|one, other| Centavos(one.0 + other.0)))
    });
    total.unwrap_or(Centavos::ZERO)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Receipt,
    Tariff,
    Payout,
    Return,
    Refund,
}

/// Money that the provider has moved, and the key under which the ledger books that.
struct Move {
    what: What,
    key: String,
    amount: Centavos,
    at: Option<UnixMillis>,
}

async fn moves(provider: &Provider) -> Result<Vec<Move>, Trouble> {
    let whole = Window { from: now() - LISTED, to: now() + AHEAD };
    let mut moves = Vec::new();
    for window in Windows::of(whole, WINDOW, Millis(0)) {
        let received = provider.received_within(window, &ReceivedFilter::All);
        read(received, |row| of_received(row, &mut moves)).await?;
        read(provider.sent_within(window), |row| of_sent(row, &mut moves)).await?;
    }
    // Edges belong to both windows, and a list that grows is read again.
    let mut seen = HashSet::new();
    moves.retain(|one| seen.insert(one.key.clone()));
    Ok(moves)
}

async fn read<T>(mut pages: Pages<'_, T>, mut take: impl FnMut(&T)) -> Result<(), Trouble>
where
    Listing<T>: DeserializeOwned,
{
    while let Some(page) = pages.next().await {
        answered(page)?.iter().filter_map(Row::read).for_each(&mut take);
    }
    Ok(())
}

fn of_received(row: &Received, moves: &mut Vec<Move>) {
    let Received { e2e_id, value, at, .. } = row;
    let receipt =
        Move { what: What::Receipt, key: format!("pix:{e2e_id}"), amount: *value, at: *at };
    moves.push(receipt);
    if let Some(amount) = row.extras.as_ref().and_then(|extras| extras.tariff) {
        let key = format!("pixconf:{e2e_id}");
        moves.push(Move { what: What::Tariff, key, amount, at: *at });
    }
    for refund in row.refunds.iter().filter(|refund| refund.status == RefundStatus::Returned) {
        let key = format!("dev:{e2e_id}:{}:ok", refund.id);
        let (amount, at) = (refund.value, refund.times.settled);
        moves.push(Move { what: What::Refund, key, amount, at });
    }
}

fn of_sent(row: &Sent, moves: &mut Vec<Move>) {
    if row.status == SendStatus::Done {
        let id = row.id.as_ref().map_or("", |id| id.as_str());
        let (key, at) = (format!("payout:{id}:ok"), row.times.settled);
        moves.push(Move { what: What::Payout, key, amount: row.value, at });
    }
    for back in row.returns.iter().filter(|back| back.status == RefundStatus::Returned) {
        let id = back.return_id.as_ref().map_or("", |id| id.as_str());
        let (key, at) = (format!("payret:{id}"), back.times.settled);
        moves.push(Move { what: What::Return, key, amount: back.value, at });
    }
}

/// The last day of São Paulo that was over at a moment, ten minutes of grace granted. Its clocks
/// are three hours behind and are not put forward in summer.
fn day_before(at: UnixMillis) -> Date {
    let there = UtcOffset::from_hms(-3, 0, 0).unwrap_or(UtcOffset::UTC);
    let at = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at.0) * 1_000_000);
    let there = at.unwrap_or(OffsetDateTime::UNIX_EPOCH).to_offset(there) - AFTER_MIDNIGHT;
    there.date().previous_day().unwrap_or(Date::MIN)
}

#[cfg(test)]
mod tests {
    use time::macros::{date, datetime};

    use super::*;

    #[test]
    fn a_day_ends_at_midnight_in_são_paulo_and_not_in_greenwich() {
        let of = |at: OffsetDateTime| day_before(UnixMillis(at.unix_timestamp() * 1000));
        assert_eq!(
            of(datetime!(2026-11-27 00:30 UTC)),
            date!(2026 - 11 - 25),
            "still the 26th there"
        );
        assert_eq!(of(datetime!(2026-11-27 03:09:59 UTC)), date!(2026 - 11 - 25));
        assert_eq!(of(datetime!(2026-11-27 03:10 UTC)), date!(2026 - 11 - 26));
        assert_eq!(of(datetime!(2026-03-01 03:10 UTC)), date!(2026 - 02 - 28));
    }
}
