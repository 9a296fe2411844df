//! The truth, read from the committed rows, and how soon clients show it.
//!
//! A client shows the truth at the moment at which its view (its ride's id, status and version, its
//! open offers, whether it is online) equals the rows of one statement that began after its last
//! `welcome`. The time from that `welcome` is a sample; only clients in the tunnel give any. A
//! connection that ends before gives none: its `welcome` was not the last. An offer with less than
//! [`EDGE`] left is open to some and over for others, and is left out on both sides.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use ibora::bots::Person;
use serde_json::{Value, json};
use sqlx::PgPool;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::view::View;
use crate::report::{Latencies, Percentiles};

const LOOK_EVERY: Duration = Duration::from_millis(10);
/// The database may be away, by intent.
const AGAIN_AFTER: Duration = Duration::from_millis(100);
const EDGE: Duration = Duration::from_millis(500);

const OF_DRIVER: &str = "
    SELECT r.id, r.status, r.version,
           coalesce((SELECT online FROM driver_states WHERE id = $1), false),
           ARRAY(SELECT l.offer_id FROM rides s JOIN ride_offer_lines l ON l.ride_id = s.id
                 WHERE s.active_passenger_id IS NOT NULL AND s.status = 'searching'
                   AND l.driver_id = $1 AND l.expires_at > $2
                   AND (s.state::jsonb -> 'search' -> 'open') ? l.offer_id::text)
    FROM (SELECT) AS always LEFT JOIN rides r ON r.active_driver_id = $1";

const OF_PASSENGER: &str = "
    SELECT r.id, r.status, r.version, false, ARRAY[]::uuid[]
    FROM (SELECT) AS always LEFT JOIN rides r ON r.active_passenger_id = $1";

/// What the rows say of a person, or what a client believes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Facts {
    ride: Option<(Uuid, String, u64)>,
    offers: BTreeSet<Uuid>,
    online: bool,
}

/// Holds clients against the database, over connections that nothing happens to.
pub(super) struct Truth {
    pool: PgPool,
    /// Faults that began so far; odd while one lasts.
    faults: Cell<u64>,
    samples: RefCell<Samples>,
}

struct Samples {
    calm: Latencies,
    in_faults: Latencies,
    /// Connections that ended before their client showed the truth.
    ended: u64,
}

impl Truth {
    pub(super) fn new(pool: PgPool) -> Self {
        let (calm, in_faults) = (Latencies::new(), Latencies::new());
        let samples = RefCell::new(Samples { calm, in_faults, ended: 0 });
        Self { pool, faults: Cell::new(0), samples }
    }

    /// A fault begins, or its last trace is gone: between the two, samples are told apart.
    pub(super) fn disturbed(&self, is: bool) {
        let faults = self.faults.get();
        if (faults % 2 == 1) != is {
            self.faults.set(faults + 1);
        }
    }

    /// A client was just welcomed: takes the time until it shows the truth.
    pub(super) async fn watch(
        &self,
        (person, is_driver): (Person, bool),
        view: Rc<RefCell<View>>,
        welcomed: Instant,
    ) {
        let (faults, connection) = (self.faults.get(), view.borrow().connection);
        loop {
            let truth = self.of(person.id, is_driver).await;
            if view.borrow().connection != connection {
                self.samples.borrow_mut().ended += 1;
                return;
            }
            match truth {
                Ok((truth, as_of)) if truth == believed(&view.borrow(), as_of) => break,
                Ok(_) => tokio::time::sleep(LOOK_EVERY).await,
                Err(_) => tokio::time::sleep(AGAIN_AFTER).await,
            }
        }
        let mut samples = self.samples.borrow_mut();
        let is_calm = faults % 2 == 0 && self.faults.get() == faults;
        let side = if is_calm { &mut samples.calm } else { &mut samples.in_faults };
        side.record(welcomed.elapsed());
    }

    /// What is true of a person, and as of when.
    pub(super) async fn of(
        &self,
        person: Uuid,
        is_driver: bool,
    ) -> anyhow::Result<(Facts, SystemTime)> {
        type Row = (Option<Uuid>, Option<String>, Option<i64>, bool, Vec<Uuid>);
        let as_of = SystemTime::now();
        let row = sqlx::query_as::<_, Row>(if is_driver { OF_DRIVER } else { OF_PASSENGER });
        let mut row = row.bind(person);
        if is_driver {
            row = row.bind(OffsetDateTime::from(as_of + EDGE));
        }
        let (id, status, version, online, offers) = row.fetch_one(&self.pool).await?;
        let version = version.map(u64::try_from).transpose()?;
        let ride = id.zip(status).zip(version);
        let ride = ride.map(|((id, status), version)| (id, status, version));
        Ok((Facts { ride, offers: offers.into_iter().collect(), online }, as_of))
    }

    /// How soon clients showed the truth while nothing else happened, and while faults did.
    pub(super) fn figures(&self) -> Value {
        let samples = self.samples.borrow();
        let of = |latencies: &Latencies| {
            let Percentiles { p50, p99 } = latencies.percentiles();
            json!({"p50": p50, "p99": p99, "count": latencies.count()})
        };
        json!({
            "calm": of(&samples.calm), "in_faults": of(&samples.in_faults), "ended": samples.ended,
        })
    }
}

/// What a view says, in the words of the rows.
pub(super) fn believed(view: &View, as_of: SystemTime) -> Facts {
    let ride = view.ride.as_ref();
    let is_open = |expires_at: &str| {
        let Ok(until) = OffsetDateTime::parse(expires_at, &Rfc3339) else { return false };
        until > OffsetDateTime::from(as_of + EDGE)
    };
    let open = view.offers.values().filter(|offer| is_open(&offer.expires_at));
    Facts {
        ride: ride.map(|ride| (ride.id, ride.status.as_str().to_owned(), ride.version)),
        offers: open.map(|offer| offer.offer_id).collect(),
        online: view.online,
    }
}
