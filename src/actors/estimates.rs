//! Estimates: the prices that a passenger is shown, the same over REST and over a session.

use ibora_domain::category::Category;
use ibora_domain::facts::{Answer, Done};
use ibora_domain::person::Role;
use ibora_domain::refusal::Refusal;
use ibora_domain::units::Seconds;
use serde::Serialize;
use uuid::Uuid;

use super::parse::Estimate;
use super::ports::Ports;
use super::quotes::measure;
use super::{Caller, Dispatch, Quote};

#[derive(Serialize)]
struct Shown {
    quotes: Vec<QuoteView>,
}

#[derive(Serialize)]
struct QuoteView {
    quote_id: Uuid,
    category: Category,
    fare: String,
    currency: &'static str,
    distance_m: u32,
    duration_s: u32,
    surge: f64,
    expires_at: String,
    /// How long the nearest free driver would take; absent while there is none.
    pickup_eta_s: Option<u32>,
}

impl Dispatch {
    /// What a trip would cost in the category asked for, or in all that are offered.
    ///
    /// # Errors
    /// `Forbidden` for those who order no rides; `TooFar` for a trip that nobody drives;
    /// `Unavailable` where it could not be worked out.
    pub async fn estimate(&self, caller: Caller, asked: &Estimate) -> Answer {
        if caller.role != Role::Passenger {
            return Err(Refusal::Forbidden);
        }
        let categories = asked.category.map_or(Category::ALL.to_vec(), |one| vec![one]);
        let (trip, of) = (asked.trip.clone(), categories.clone());
        let by_road = move |ports: &Ports| {
            (measure(&trip, &*ports.router), ports.nearest_etas(trip.pickup, &of))
        };
        let (measured, etas) = self.by_road(by_road).await?;
        let now = self.now();
        let priced = categories.into_iter().zip(etas).filter_map(|(category, eta)| {
            let quote = self.quotes.quote(caller.user, &asked.trip, category, (measured, now))?;
            Some(shown(&quote, eta))
        });
        let quotes = priced.collect();
        let shown = Shown { quotes };
        if shown.quotes.is_empty() {
            return Err(Refusal::TooFar);
        }
        let body = serde_json::to_string(&shown).unwrap_or_default();
        Ok(Done { version: 0, body: body.into() })
    }
}

fn shown(quote: &Quote, pickup_eta: Option<Seconds>) -> QuoteView {
    QuoteView {
        quote_id: quote.id,
        category: quote.category,
        fare: quote.fare.estimated.to_string(),
        currency: "BRL",
        distance_m: quote.distance.0,
        duration_s: quote.duration.0,
        surge: 1.0,
        expires_at: quote.expires_at.to_string(),
        pickup_eta_s: pickup_eta.map(|eta| eta.0),
    }
}
