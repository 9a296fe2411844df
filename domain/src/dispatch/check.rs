//! The check of a plan: what a policy says is not trusted.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::{Again, Plan, View};
use crate::ids::{DriverId, RideId};

/// What is wrong with a plan. None of it may be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlanFault {
    #[error("ride {ride} does not wait")]
    UnknownRide { ride: RideId },
    #[error("ride {ride} has two offers")]
    RideTwice { ride: RideId },
    #[error("ride {ride} is offered to nobody")]
    NoCar { ride: RideId },
    #[error("driver {driver} is asked twice")]
    CarTwice { driver: DriverId },
    #[error("driver {driver} is no candidate for ride {ride}")]
    NoCandidate { ride: RideId, driver: DriverId },
    #[error("the policy wants to be called again at once and offers nothing")]
    Restless,
}

/// Whether the plan can be carried out as it is.
///
/// # Errors
/// The first [`PlanFault`], in the order of the offers.
pub fn check(plan: &Plan, view: &View<'_>) -> Result<(), PlanFault> {
    let waiting: BTreeMap<_, _> = view.waiting.iter().map(|ride| (ride.ride, ride)).collect();
    let (mut rides, mut drivers) = (BTreeSet::new(), BTreeSet::new());
    for offer in &plan.offers {
        let ride = offer.ride;
        let waits = waiting.get(&ride).ok_or(PlanFault::UnknownRide { ride })?;
        if !rides.insert(ride) {
            return Err(PlanFault::RideTwice { ride });
        }
        if offer.cars.is_empty() {
            return Err(PlanFault::NoCar { ride });
        }
        for car in &offer.cars {
            let driver = car.driver;
            if !drivers.insert(driver) {
                return Err(PlanFault::CarTwice { driver });
            }
            if !view.supply.is_candidate(waits, driver) {
                return Err(PlanFault::NoCandidate { ride, driver });
            }
        }
    }
    if plan.offers.is_empty() && plan.again == Again::AtOnce {
        return Err(PlanFault::Restless);
    }
    Ok(())
}
