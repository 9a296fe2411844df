//! Tests of the room as a whole: what its doors promise, against slow and simple twins.

mod index;
mod learning;
mod osrm;
mod real_city;
mod routers;
mod threads;

use ibora_domain::ids::DriverId;
use ibora_domain::place::Coordinates;
use uuid::Uuid;

/// A seeded source of numbers (Knuth's MMIX constants), so that a failure can be repeated.
pub(super) struct Lcg(pub(super) u64);

impl Lcg {
    /// From 0 to 1, without 1.
    pub(super) fn unit(&mut self) -> f64 {
        f64::from(self.next()) / (f64::from(u32::MAX) + 1.0)
    }

    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    pub(super) fn below(&mut self, end: u32) -> u32 {
        self.next() % end
    }

    fn next(&mut self) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u32::try_from(self.0 >> 32).expect("the upper half fits")
    }
}

fn place(lat: f64, lng: f64) -> Coordinates {
    Coordinates::new(lat, lng).expect("a place on Earth")
}

fn driver(number: u32) -> DriverId {
    DriverId(Uuid::from_u128(0x0192_0000_0000_7000_8000 << 48 | u128::from(number)))
}
