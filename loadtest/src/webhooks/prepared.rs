//! What is to be paid, made in bulk before the engine starts: rides have benches of their own.
//!
//! Each payment is as the end of a ride leaves it when its charge has been made: booked, its charge
//! at the provider, its people there. All of it goes through the journal.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use futures_util::{StreamExt, TryStreamExt};
use ibora::app::Store;
use ibora::journal::{Journal, JournalOptions, JournalParts, Taking, Tenure};
use ibora::obs::Metrics;
use ibora::pix::client::{Bounds, IdentityFiles, Provider, ProviderOptions};
use ibora::pix::simulator::{Credentials, Simulator};
use ibora::pix::wire::{ChargeValue, Expiry, NewCharge};
use ibora_domain::facts::{Decision, Entity};
use ibora_domain::ids::{DriverId, PassengerId, RideId};
use ibora_domain::ledger::{Due, Shares, Trip};
use ibora_domain::money::Centavos;
use ibora_domain::payment::{Debt, Payment, PaymentEvent, PaymentPolicy};
use ibora_domain::pix::{PixKey, Txid};
use ibora_domain::provider::Outcome;
use ibora_domain::units::{Millis, UnixMillis};
use uuid::Uuid;

use super::KEY;
use crate::people;
use crate::report::say;
use crate::served::{self, Settings};

/// Payments that are made at the same time.
const AT_ONCE: usize = 64;
/// Drivers, who have earned all of it.
const DRIVERS: usize = 500;
const PASSENGERS_AT_ONCE: usize = 2000;
const LEASE: Duration = Duration::from_secs(6);
const A_DAY: Millis = Millis::from_secs(24 * 3600);

/// A charge that can be paid.
pub(super) struct Told {
    pub(super) txid: Txid,
    pub(super) amount: Centavos,
}

/// Makes so many payments, each with a charge.
pub(super) async fn prepare(
    settings: &Settings,
    simulator: &Simulator,
    count: usize,
) -> anyhow::Result<Vec<Told>> {
    say(format!("making {count} payments with their charges"));
    let store = Store::open(&served::config(settings)?).await?;
    let drivers = people::make_drivers(&store.pool, DRIVERS).await?;
    let mut passengers = Vec::with_capacity(count);
    while passengers.len() < count {
        let more = (count - passengers.len()).min(PASSENGERS_AT_ONCE);
        passengers.extend(people::make_passengers(&store.pool, more).await?);
    }
    let provider = provider(simulator)?;
    let journal = journal(&store, settings).await?;
    let pairs = passengers.iter().zip(drivers.iter().cycle());
    let made = futures_util::stream::iter(pairs).map(async |(passenger, driver)| {
        let trip = Trip {
            ride: RideId(Uuid::now_v7()),
            passenger: PassengerId::from(passenger.user),
            driver: DriverId::from(driver.user),
        };
        one(&journal, &provider, trip).await
    });
    let told = made.buffer_unordered(AT_ONCE).try_collect().await?;
    journal.flush().await;
    journal.leave().await?;
    drop(journal);
    store.close().await?;
    Ok(told)
}

async fn one(journal: &Journal, provider: &Provider, trip: Trip) -> anyhow::Result<Told> {
    let now = now();
    let amount = Centavos(rand::random_range(500..5000));
    let fifth = Centavos(amount.0 / 5);
    let shares = Shares { driver: Centavos(amount.0 - fifth.0), platform: fifth };
    let policy =
        PaymentPolicy { charges: true, expiry: A_DAY, hold: A_DAY, ..PaymentPolicy::default() };
    let mut payment = Payment::owed(Debt { trip, due: Due::Fare, shares }, now, &policy);
    let txid = payment.txid(1);
    let charge = NewCharge {
        calendar: Expiry { seconds: 24 * 3600 },
        debtor: None,
        value: ChargeValue { original: amount, changeable: None },
        key: PixKey::parse(KEY)?,
        message: None,
        notes: Vec::new(),
        location: None,
    };
    let Outcome::Done(made) = provider.put_charge(&txid, &charge).await else {
        anyhow::bail!("a charge that the provider does not make")
    };
    let copy_paste = made.copy_and_paste.context("a charge without a code")?;
    payment.apply(&PaymentEvent::ChargeMade { number: 1, copy_paste }, now);
    let mut decision = Decision::new(Entity::Payment(payment.id), now);
    decision.rows = payment.first_rows();
    decision.money.push(trip.owed(Due::Fare, shares, Centavos::ZERO, now)?);
    journal.record(decision).await?;
    Ok(Told { txid, amount })
}

fn provider(simulator: &Simulator) -> anyhow::Result<Provider> {
    let (certificates, known) = (simulator.certificates(), Credentials::default());
    let options = ProviderOptions {
        base_url: simulator.api_url(),
        client_id: known.client_id.into(),
        client_secret: known.client_secret.into(),
        identity: IdentityFiles {
            certificate: certificates.client.path.clone(),
            key: None,
            password: None,
        },
        ca: Some(certificates.ca.clone()),
        bounds: Bounds {
            connect_timeout: Duration::from_secs(10),
            call_timeout: Duration::from_secs(30),
            retries_max: 2,
            retry_permille: 100,
            // This one is in no hurry to be polite.
            reads_per_s: 100_000,
            writes_per_s: 100_000,
            burst: 1000,
            calls_max: AT_ONCE,
            failures_max: 5,
            pause: Duration::from_secs(1),
            answer_bytes_max: 1 << 20,
        },
    };
    Ok(Provider::new(&options, Metrics::new())?)
}

/// A journal of its own, before the engine's; it gives the shards up in the end.
async fn journal(store: &Store, settings: &Settings) -> anyhow::Result<Arc<Journal>> {
    let config = served::config(settings)?;
    let options = JournalOptions {
        node: "prepared".to_owned(),
        lease: LEASE,
        writers: u16::try_from(config.journal.writers)?,
        queue_max: config.journal.queue_max,
        batch_max: config.journal.batch_max,
        answer_within: Duration::from_millis(config.journal.answer_ms),
    };
    let Taking::Ours(tenure) = Tenure::take(&store.db(), &options).await? else {
        anyhow::bail!("another engine has the shards of a database of this bench's own");
    };
    let connect = store.pool.connect_options().as_ref().clone();
    let parts = JournalParts {
        connect,
        db: store.db(),
        metrics: Metrics::new(),
        publish: Arc::new(|_| {}),
    };
    Ok(Journal::start(tenure, &options, parts))
}

fn now() -> UnixMillis {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixMillis(i64::try_from(now.unwrap_or_default().as_millis()).unwrap_or(i64::MAX))
}
