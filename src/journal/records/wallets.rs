//! Reading back wallets: a driver's figures and what is under way to him.

use ibora_domain::ids::{DisputeId, DriverId, PayoutId, RideId};
use ibora_domain::ledger::{Due, Earning, Hold, Wallet};
use ibora_domain::machines::{Resumed, WalletRecords, day_of, start_of_day};
use ibora_domain::money::Centavos;
use ibora_domain::payout::{Payout, Phase};
use ibora_domain::person::Cpf;
use ibora_domain::units::{Millis, UnixMillis};
use time::OffsetDateTime;
use uuid::Uuid;

use super::super::{moment, timestamp};
use super::{Records, broken};

/// Holds that ended so long ago at most are read too: a late word about one must be known as one.
const ENDED_WITHIN: Millis = Millis::from_secs(2 * 86_400);

/// Ride, due, amount, taken, released, end.
type HoldRow = (Uuid, String, i64, i64, i64, OffsetDateTime);

impl Records {
    /// What is known of a driver's wallet.
    ///
    /// # Errors
    /// Whatever the database reports; a row that cannot be understood is an error too.
    pub async fn wallet(
        &self,
        driver: DriverId,
        now: UnixMillis,
    ) -> Result<WalletRecords, sqlx::Error> {
        let (available, owed) = self.balances(driver).await?;
        let holds = self.holds(driver, now).await?;
        let today = self.asked_since(driver, start_of_day(now)).await?;
        let states: Vec<String> = sqlx::query_scalar(
            "SELECT state FROM payouts WHERE driver_id = $1
             AND status IN ('awaiting_approval', 'queued', 'in_flight', 'unclear')",
        )
        .bind(driver.0)
        .fetch_all(self.read())
        .await?;
        let payouts = states.iter().map(|state| serde_json::from_str(state).map_err(broken));
        let disputes: Vec<String> =
            sqlx::query_scalar("SELECT state FROM disputes WHERE driver_id = $1")
                .bind(driver.0)
                .fetch_all(self.read())
                .await?;
        let disputes = disputes.iter().map(|state| serde_json::from_str(state).map_err(broken));
        let events = self.wallet_events(driver).await?;
        let document: Option<Option<String>> =
            sqlx::query_scalar("SELECT cpf FROM users WHERE id = $1")
                .bind(driver.0)
                .fetch_optional(self.read())
                .await?;
        Ok(WalletRecords {
            wallet: Wallet::restore(driver, (available, owed), holds, (day_of(now), today)),
            events,
            payouts: payouts.collect::<Result<_, _>>()?,
            disputes: disputes.collect::<Result<_, _>>()?,
            document: document.flatten().and_then(|cpf| Cpf::parse(&cpf).ok()),
            // What admins were answered is found by its key when it would be recorded again.
            commands: self.past_commands(driver.wallet(), &[driver.0]).await?,
        })
    }

    /// What of the cash at the provider is nobody else's, and how many events of the owner's wallet
    /// that takes in. What is blocked there, or not stated yet, does not count; what the provider
    /// had less than the books, when they were compared last, is not there; and what credit has
    /// paid of debts that are open is their drivers' or will be credit again.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn spare(&self) -> Result<(Centavos, u64), sqlx::Error> {
        let (spare, events): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT coalesce(sum(balance), 0)::bigint FROM ledger_running_balances
                     WHERE code IN (1000, 1020, 1030, 2000, 2010, 2020, 2100, 2110))
                    + least(coalesce((SELECT difference FROM reconciliations
                                      ORDER BY at DESC, id DESC LIMIT 1), 0), 0)
                    - (SELECT coalesce(sum(u.amount), 0)::bigint FROM payment_intents p
                       JOIN credit_uses u ON u.payment_id = p.id
                       WHERE p.status IN ('pending', 'expired')),
                    (SELECT coalesce(max(seq), 0) FROM events WHERE entity_id = $1)",
        )
        .bind(DriverId::OWNER.wallet())
        .fetch_one(self.read())
        .await?;
        Ok((Centavos(spare), u64::try_from(events).unwrap_or(0)))
    }

    /// What he may take out, and what he owes.
    async fn balances(&self, driver: DriverId) -> Result<(Centavos, Centavos), sqlx::Error> {
        let (available, owed): (i64, i64) = sqlx::query_as(
            "SELECT coalesce(-sum(balance) FILTER (WHERE code = 2010), 0)::bigint,
                    coalesce(sum(balance) FILTER (WHERE code = 1110), 0)::bigint
             FROM ledger_running_balances WHERE owner = $1 AND code IN (1110, 2010)",
        )
        .bind(driver.0)
        .fetch_one(self.read())
        .await?;
        Ok((Centavos(available), Centavos(owed)))
    }

    async fn holds(
        &self,
        driver: DriverId,
        now: UnixMillis,
    ) -> Result<Vec<(Earning, Hold)>, sqlx::Error> {
        let rows: Vec<HoldRow> = sqlx::query_as(
            "SELECT ride_id, due, amount, taken, released, release_at FROM holds
             WHERE driver_id = $1 AND (taken + released < amount OR release_at > $2)",
        )
        .bind(driver.0)
        .bind(timestamp(now - ENDED_WITHIN))
        .fetch_all(self.read())
        .await?;
        let hold = |(ride, due, amount, taken, released, end): HoldRow| {
            let earning = Earning { ride: RideId(ride), due: Due::from_name(&due)? };
            let (amount, taken, released) = (Centavos(amount), Centavos(taken), Centavos(released));
            Some((earning, Hold { amount, taken, released, release_at: moment(end) }))
        };
        Ok(rows.into_iter().filter_map(hold).collect())
    }

    /// When the next hold of each driver ends.
    pub(super) async fn next_releases(&self) -> Result<Vec<(DriverId, UnixMillis)>, sqlx::Error> {
        let rows: Vec<(Uuid, OffsetDateTime)> = sqlx::query_as(
            "SELECT driver_id, min(release_at) FROM holds WHERE taken + released < amount
             GROUP BY driver_id",
        )
        .fetch_all(self.read_all())
        .await?;
        Ok(rows.into_iter().map(|(driver, end)| (DriverId(driver), moment(end))).collect())
    }

    /// What he has asked for since then and was not refused.
    async fn asked_since(
        &self,
        driver: DriverId,
        start: UnixMillis,
    ) -> Result<Centavos, sqlx::Error> {
        let asked: i64 = sqlx::query_scalar(
            "SELECT coalesce(sum(amount), 0)::bigint FROM payouts
             WHERE driver_id = $1 AND asked_at >= $2 AND status NOT IN ('failed', 'rejected')",
        )
        .bind(driver.0)
        .bind(timestamp(start))
        .fetch_one(self.read())
        .await?;
        Ok(Centavos(asked))
    }

    /// Whose share a dispute is about.
    ///
    /// # Errors
    /// Whatever the database reports.
    pub async fn driver_of_dispute(&self, id: DisputeId) -> Result<Option<DriverId>, sqlx::Error> {
        let driver: Option<Uuid> =
            sqlx::query_scalar("SELECT driver_id FROM disputes WHERE id = $1")
                .bind(id.0)
                .fetch_optional(self.read())
                .await?;
        Ok(driver.map(DriverId))
    }

    /// A payout as it is recorded.
    ///
    /// # Errors
    /// Whatever the database reports; a row that cannot be understood is an error too.
    pub async fn payout(&self, id: PayoutId) -> Result<Option<Payout>, sqlx::Error> {
        let state: Option<String> = sqlx::query_scalar("SELECT state FROM payouts WHERE id = $1")
            .bind(id.0)
            .fetch_optional(self.read())
            .await?;
        state.map(|state| serde_json::from_str(&state).map_err(broken)).transpose()
    }

    /// A payout as it is recorded, and how many events its wallet had by then, or fewer.
    ///
    /// # Errors
    /// Whatever the database reports; a row that cannot be understood is an error too.
    pub async fn payout_as_of(&self, id: PayoutId) -> Result<Option<(Payout, u64)>, sqlx::Error> {
        let Some(known) = self.payout(id).await? else { return Ok(None) };
        // Counted before the payout is read: what is read is at least as new as it says.
        let events = self.wallet_events(known.driver).await?;
        Ok(self.payout(id).await?.map(|payout| (payout, events)))
    }

    async fn wallet_events(&self, driver: DriverId) -> Result<u64, sqlx::Error> {
        let events: i64 =
            sqlx::query_scalar("SELECT coalesce(max(seq), 0) FROM events WHERE entity_id = $1")
                .bind(driver.wallet())
                .fetch_one(self.read())
                .await?;
        Ok(u64::try_from(events).unwrap_or(0))
    }

    /// Every payout that may be with the provider and is not known to have ended.
    ///
    /// # Errors
    /// Whatever the database reports; a row that cannot be understood is an error too.
    pub async fn payouts_in_flight(&self) -> Result<Vec<Resumed>, sqlx::Error> {
        let rows: Vec<(String, Option<String>)> = sqlx::query_as(
            "SELECT p.state, u.cpf FROM payouts p LEFT JOIN users u ON u.id = p.driver_id
             WHERE p.status IN ('in_flight', 'unclear') ORDER BY p.id",
        )
        .fetch_all(self.read_all())
        .await?;
        let mut resumed = Vec::with_capacity(rows.len());
        for (state, cpf) in rows {
            let payout: Payout = serde_json::from_str(&state).map_err(broken)?;
            let document = cpf.and_then(|cpf| Cpf::parse(&cpf).ok());
            if let Some(since) = payout.in_flight_since() {
                let aside = matches!(payout.phase, Phase::SetAside { .. });
                let order = payout.order(document);
                resumed.push(Resumed { order, driver: payout.driver, since, aside });
            }
        }
        Ok(resumed)
    }
}
