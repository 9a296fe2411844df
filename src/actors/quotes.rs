//! Prices: what a ride would cost now, kept for as long as the price is guaranteed.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ibora_domain::category::Category;
use ibora_domain::fare::{Fare, Tariff, price};
use ibora_domain::ids::UserId;
use ibora_domain::place::Coordinates;
use ibora_domain::units::{Metres, Millis, Seconds, UnixMillis};
use parking_lot::Mutex;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::geo::Router;

/// Quotes kept at most; the oldest go first, and are then as good as expired.
const KEPT_MAX: usize = 100_000;

/// A trip to be priced.
#[derive(Debug, Clone, PartialEq)]
pub struct Trip {
    pub pickup: Coordinates,
    pub stops: Vec<Coordinates>,
    pub dropoff: Coordinates,
}

/// A price for a trip in one category.
#[derive(Debug, Clone)]
pub struct Quote {
    pub id: Uuid,
    pub category: Category,
    pub fare: Fare,
    pub distance: Metres,
    pub duration: Seconds,
    pub expires_at: UnixMillis,
}

/// What a category costs; `None` where it is not offered.
pub type Tariffs = Arc<dyn Fn(Category) -> Option<Tariff> + Send + Sync>;

pub(super) struct Quotes {
    tariffs: Tariffs,
    ttl: Millis,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    by_id: HashMap<Uuid, (UserId, Trip, Quote)>,
    order: VecDeque<Uuid>,
}

impl Quotes {
    pub(super) fn new(tariffs: Tariffs, ttl: Millis) -> Self {
        Self { tariffs, ttl, kept: Mutex::default() }
    }

    /// Prices a trip of this length and duration, and keeps the price for this person. `None`: too
    /// long to be priced, or a category that is not offered.
    pub(super) fn quote(
        &self,
        user: UserId,
        trip: &Trip,
        category: Category,
        ((distance, duration), now): ((Metres, Seconds), UnixMillis),
    ) -> Option<Quote> {
        let tariff = (self.tariffs)(category)?;
        let fare = price(&tariff, distance, duration, Decimal::ONE).ok()?;
        let id = Uuid::now_v7();
        let expires_at = now + self.ttl;
        let quote = Quote { id, category, fare, distance, duration, expires_at };
        let mut kept = self.kept.lock();
        kept.by_id.insert(id, (user, trip.clone(), quote.clone()));
        kept.order.push_back(id);
        // The oldest are at the front, and all live equally long.
        while let Some(oldest) = kept.order.front().copied() {
            let over = kept.by_id.get(&oldest).is_none_or(|(_, _, quote)| quote.expires_at < now);
            if !over && kept.order.len() <= KEPT_MAX {
                break;
            }
            kept.order.pop_front();
            kept.by_id.remove(&oldest);
        }
        Some(quote)
    }

    /// The price that this person was told for just this trip, while it is guaranteed.
    pub(super) fn find(
        &self,
        (user, id): (UserId, Uuid),
        trip: &Trip,
        category: Category,
        now: UnixMillis,
    ) -> Option<Quote> {
        let kept = self.kept.lock();
        let (owner, of, quote) = kept.by_id.get(&id)?;
        let same = *owner == user && of == trip && quote.category == category;
        (same && now <= quote.expires_at).then(|| quote.clone())
    }
}

/// Length and duration of a trip over its stops.
pub(super) fn measure(trip: &Trip, router: &dyn Router) -> (Metres, Seconds) {
    let ends = trip.stops.iter().chain([&trip.dropoff]);
    let starts = [&trip.pickup].into_iter().chain(&trip.stops);
    starts.zip(ends).fold((Metres(0), Seconds(0)), |(metres, seconds), (from, to)| {
        let leg = router.route(*from, *to);
        (
            Metres(metres.0.saturating_add(leg.distance.0)),
            Seconds(seconds.0.saturating_add(leg.duration.0)),
        )
    })
}
