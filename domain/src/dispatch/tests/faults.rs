//! Plans that may not be carried out, and the check that refuses each.

use super::*;

fn plan(offers: &[(u128, &[u128])], again: Again) -> Plan {
    let car = |number: &u128| Car {
        driver: DriverId(Uuid::from_u128(*number)),
        pickup_in: Millis(0),
        free_in: None,
        merits: Merits::default(),
    };
    let offer = |(ride, cars): &(u128, &[u128])| Offer {
        ride: RideId(Uuid::from_u128(*ride)),
        cars: cars.iter().map(car).collect(),
    };
    Plan { offers: offers.iter().map(offer).collect(), again }
}

#[test]
fn a_wrong_plan_is_refused_by_its_first_fault() {
    let (id, driver) = (|n| RideId(Uuid::from_u128(n)), |n| DriverId(Uuid::from_u128(n)));
    let later = Again::After(Millis(1000));
    let cases = [
        (plan(&[], later), Ok(())),
        (plan(&[(1, &[1]), (2, &[2, 3])], later), Ok(())),
        (plan(&[(1, &[1])], Again::AtOnce), Ok(())),
        (plan(&[(9, &[1])], later), Err(PlanFault::UnknownRide { ride: id(9) })),
        (plan(&[(1, &[1]), (1, &[2])], later), Err(PlanFault::RideTwice { ride: id(1) })),
        (plan(&[(1, &[])], later), Err(PlanFault::NoCar { ride: id(1) })),
        (plan(&[(1, &[1, 1])], later), Err(PlanFault::CarTwice { driver: driver(1) })),
        (plan(&[(1, &[1]), (2, &[1])], later), Err(PlanFault::CarTwice { driver: driver(1) })),
        (plan(&[(1, &[7])], later), Err(PlanFault::NoCandidate { ride: id(1), driver: driver(7) })),
        (plan(&[], Again::AtOnce), Err(PlanFault::Restless)),
    ];
    let street = Street::free(&[0, 100, 200]);
    let waiting = [ride(1, 0, 0, 3), ride(2, 0, 0, 3)];
    let view = View { now: UnixMillis(0), waiting: &waiting, supply: &street };
    for (plan, expected) in cases {
        assert_eq!(check(&plan, &view), expected, "{plan:?}");
    }
}
