//! Policies by table, over cars on one long street on which a metre takes a tenth of a second.

mod assignment;
mod faults;
mod policies;

use uuid::Uuid;

use super::*;

/// The street: cars at their places, and those that get there only in a while.
#[derive(Default)]
struct Street {
    cars: Vec<(u128, u32, Option<Millis>, Merits)>,
}

impl Street {
    /// Free cars at these metres, numbered from 1.
    fn free(places: &[u32]) -> Self {
        let mut street = Self::default();
        for place in places {
            street = street.and(*place, None, Merits::default());
        }
        street
    }

    fn and(mut self, place: u32, free_in: Option<Millis>, merits: Merits) -> Self {
        self.cars.push((self.cars.len() as u128 + 1, place, free_in, merits));
        self
    }

    fn car(&self, at: usize, ride: &Waiting) -> Car {
        let (number, place, free_in, merits) = self.cars[at];
        let drive = Millis(u64::from(metre(place).distance_to(ride.pickup).0) * 100);
        let pickup_in = Millis(drive.0 + free_in.unwrap_or_default().0);
        Car { driver: DriverId(Uuid::from_u128(number)), pickup_in, free_in, merits }
    }
}

impl Supply for Street {
    fn near(&self, ride: &Waiting, reach: Reach) -> Vec<Car> {
        let cars: Vec<Car> = (0..self.cars.len()).map(|at| self.car(at, ride)).collect();
        let some = |soon: bool, limit: usize| {
            let mut some: Vec<Car> =
                cars.iter().copied().filter(|car| car.free_in.is_some() == soon).collect();
            some.sort_by_key(|car| {
                (car.pickup_in.0 - car.free_in.unwrap_or_default().0, car.driver)
            });
            some.truncate(limit);
            some
        };
        [some(false, reach.free), some(true, reach.soon)].concat()
    }

    fn is_candidate(&self, ride: &Waiting, driver: DriverId) -> bool {
        (0..self.cars.len()).any(|at| self.car(at, ride).driver == driver)
    }
}

/// The place at this metre of the street.
fn metre(metres: u32) -> Coordinates {
    Coordinates::new(0.0, f64::from(metres) / 111_195.080_2).expect("on Earth")
}

/// A ride from this metre, asked for at this second, its wave of this size.
fn ride(number: u128, metres: u32, second: i64, offers: u16) -> Waiting {
    let since = UnixMillis(second * 1000);
    Waiting { ride: RideId(Uuid::from_u128(number)), since, pickup: metre(metres), offers }
}

/// Who is asked for which ride, by number.
fn asked(plan: &Plan) -> Vec<(u128, Vec<u128>)> {
    let numbers = |offer: &Offer| offer.cars.iter().map(|car| car.driver.0.as_u128()).collect();
    plan.offers.iter().map(|offer| (offer.ride.0.as_u128(), numbers(offer))).collect()
}

/// The plan of a policy at this second, checked.
fn decide(kind: PolicyKind, second: i64, waiting: &[Waiting], supply: &Street) -> Plan {
    let view = View { now: UnixMillis(second * 1000), waiting, supply };
    let plan = kind.build(Rules::default()).decide(&view);
    check(&plan, &view).expect("a plan of ours can be carried out");
    plan
}
