//! Which steps of a ride book something, and what.

use super::event::{FinancialEvent, LedgerError};
use super::rides::{Due, Trip};
use super::share::{Rate, Shares};
use crate::money::Centavos;
use crate::ride::{PaymentMethod, Ride, RideEvent};
use crate::units::UnixMillis;

/// How the money of a ride is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The platform's share of a fare.
    pub commission: Rate,
    /// The driver's share of a fee for a ride that was not driven.
    pub driver_of_fee: Rate,
}

/// What the passenger owes by `event`, which has happened to `ride` already, and whose it is.
/// `None` where he owes nothing: the ride is free, or was paid in cash.
///
/// # Errors
/// [`LedgerError`] for a fare or a fee that is no amount.
pub fn owed_for(
    ride: &Ride,
    event: &RideEvent,
    terms: &Terms,
) -> Result<Option<(Trip, Due, Shares)>, LedgerError> {
    let Some(driver) = ride.driver_id() else { return Ok(None) };
    let trip = Trip { ride: ride.id, passenger: ride.order.passenger.id, driver };
    match event {
        RideEvent::Completed { fare, .. } if *fare != Centavos::ZERO => {
            let shares = Shares::of(*fare, terms.commission)?;
            let by_pix = ride.order.payment_method == PaymentMethod::Pix;
            Ok(by_pix.then_some((trip, Due::Fare, shares)))
        }
        // However the ride itself would have been paid: nobody hands cash over for a ride that he
        // has called off.
        RideEvent::Canceled { fee, .. } if *fee != Centavos::ZERO => {
            let driven = ride.started_at.is_some();
            let platform = if driven { terms.commission } else { terms.driver_of_fee.rest() };
            Ok(Some((trip, Due::CancelFee, Shares::of(*fee, platform)?)))
        }
        RideEvent::Requested { .. }
        | RideEvent::OffersMade { .. }
        | RideEvent::OfferDeclined { .. }
        | RideEvent::OfferWithdrawn { .. }
        | RideEvent::OffersExpired { .. }
        | RideEvent::Assigned { .. }
        | RideEvent::Unchained
        | RideEvent::Released { .. }
        | RideEvent::Arriving
        | RideEvent::Arrived
        | RideEvent::PinRefused { .. }
        | RideEvent::Started
        | RideEvent::Completed { .. }
        | RideEvent::Canceled { .. }
        | RideEvent::Rated { .. }
        | RideEvent::NoDriver => Ok(None),
    }
}

/// What is booked when `event` happens to `ride`, which it has changed already. `None` where nobody
/// owes anything by it.
///
/// # Errors
/// [`LedgerError`] for a fare or a fee that is no amount.
pub fn of_ride(
    ride: &Ride,
    event: &RideEvent,
    terms: &Terms,
    at: UnixMillis,
) -> Result<Option<FinancialEvent>, LedgerError> {
    if let Some((trip, due, shares)) = owed_for(ride, event, terms)? {
        return trip.owed(due, shares, Centavos::ZERO, at).map(Some);
    }
    match (event, ride.driver_id()) {
        (RideEvent::Completed { fare, .. }, Some(driver)) if *fare != Centavos::ZERO => {
            let trip = Trip { ride: ride.id, passenger: ride.order.passenger.id, driver };
            trip.cash(Shares::of(*fare, terms.commission)?, at)
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use rust_decimal::Decimal;

    use super::*;
    use crate::ledger::Account;
    use crate::policy::RidePolicy;
    use crate::ride::sample::ride_in;
    use crate::ride::{CancelReason, Party, Status};

    fn booked(ride: &Ride, event: &RideEvent) -> Option<Vec<(u16, i64)>> {
        let terms = RidePolicy::default().terms;
        let booked = of_ride(ride, event, &terms, UnixMillis(0)).expect("an amount")?;
        let line = |line: &crate::ledger::Posting| (line.account.code(), line.amount.0);
        Some(booked.postings().iter().map(line).collect())
    }

    fn canceled(fee: i64) -> RideEvent {
        let (by, reason) = (Party::Passenger, CancelReason::ChangedMind);
        RideEvent::Canceled { by, reason, note: None, fee: Centavos(fee) }
    }

    fn completed(fare: i64) -> RideEvent {
        RideEvent::Completed { fare: Centavos(fare), reason: None }
    }

    #[test]
    fn a_fare_is_owed_and_cash_leaves_the_driver_owing_the_commission() {
        let mut ride = ride_in(Status::Started);
        let pix = vec![(1100, 1455), (2005, -1164), (4000, -291)];
        assert_eq!(booked(&ride, &completed(1455)), Some(pix));
        ride.order.payment_method = PaymentMethod::Cash;
        assert_eq!(booked(&ride, &completed(1455)), Some(vec![(1110, 291), (4000, -291)]));
        assert_eq!(booked(&ride, &completed(0)), None);
    }

    #[test]
    fn a_fee_is_mostly_the_drivers_and_a_ride_called_off_midway_costs_its_fare() {
        let fee = vec![(1100, 500), (2005, -400), (4010, -100)];
        assert_eq!(booked(&ride_in(Status::Accepted), &canceled(500)), Some(fee));
        let midway = vec![(1100, 2000), (2005, -1600), (4010, -400)];
        assert_eq!(booked(&ride_in(Status::Started), &canceled(2000)), Some(midway));
        assert_eq!(booked(&ride_in(Status::Accepted), &canceled(0)), None);
        assert_eq!(
            booked(&ride_in(Status::Searching), &canceled(500)),
            None,
            "nobody is owed a share"
        );
        assert_eq!(booked(&ride_in(Status::Started), &RideEvent::Arrived), None);
    }

    #[test]
    fn what_is_no_fare_is_refused() {
        let terms = RidePolicy::default().terms;
        let negative = of_ride(&ride_in(Status::Started), &completed(-1), &terms, UnixMillis(0));
        assert_eq!(negative, Err(LedgerError::OutOfRange));
        assert_eq!(Rate::new(Decimal::TWO), None);
        assert_eq!(Account::Commission.code(), 4000);
    }
}
