//! From candidates of many rides to pairs and waves: the bridge between policies and the solver.

use std::collections::{BTreeMap, BTreeSet};

use super::{Car, Costs, Offer, Waiting, assign};
use crate::ids::DriverId;
use crate::units::Millis;

/// Rides, and for each the cars that could take it, best first.
pub(super) struct Table<'a> {
    pub(super) waiting: &'a [Waiting],
    pub(super) cars: Vec<Vec<Car>>,
}

impl Table<'_> {
    /// How many different drivers there are.
    pub(super) fn drivers(&self) -> usize {
        self.numbered().len()
    }

    /// An offer for as many rides as can be: first the car that is its in the matching of the least
    /// total `cost`, then, where a wave may ask more, the next best that are nobody's.
    pub(super) fn waves(&self, cost: impl Fn(&Waiting, &Car) -> Millis) -> Vec<Offer> {
        let first = self.matched(cost);
        let mut taken: BTreeSet<DriverId> = first.iter().flatten().map(|car| car.driver).collect();
        let mut offers = Vec::new();
        for ((ride, cars), first) in self.waiting.iter().zip(&self.cars).zip(first) {
            let Some(first) = first else { continue };
            let others = cars.iter().filter(|car| taken.insert(car.driver));
            let asked = [first].into_iter().chain(others.copied());
            let cars: Vec<Car> = asked.take(usize::from(ride.offers.max(1))).collect();
            offers.push(Offer { ride: ride.ride, cars });
        }
        offers
    }

    fn matched(&self, cost: impl Fn(&Waiting, &Car) -> Millis) -> Vec<Option<Car>> {
        let columns = self.numbered();
        let mut costs = Costs::new(self.waiting.len(), columns.len());
        for (row, (ride, cars)) in self.waiting.iter().zip(&self.cars).enumerate() {
            for car in cars {
                if let Some(column) = columns.get(&car.driver) {
                    let cost = i64::try_from(cost(ride, car).0).unwrap_or(i64::MAX - 1);
                    costs.set(row, *column, cost);
                }
            }
        }
        let of_row = |(cars, column): (&Vec<Car>, Option<usize>)| {
            let column = column?;
            cars.iter().find(|car| columns.get(&car.driver) == Some(&column)).copied()
        };
        self.cars.iter().zip(assign(&costs)).map(of_row).collect()
    }

    /// The drivers in order of their ids, numbered from 0.
    fn numbered(&self) -> BTreeMap<DriverId, usize> {
        let drivers: BTreeSet<DriverId> =
            self.cars.iter().flatten().map(|car| car.driver).collect();
        drivers.into_iter().enumerate().map(|(number, driver)| (driver, number)).collect()
    }
}
