//! A driver's vehicle, as its driver, the passenger who waits for it and the database see it.

use serde::Serialize;

use crate::category::Category;
use crate::ids::VehicleId;
use crate::person::Plate;

/// A vehicle. It serves at least one category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Vehicle {
    pub id: VehicleId,
    pub plate: Plate,
    pub make: String,
    pub model: String,
    pub color: String,
    pub year: u16,
    pub categories: Vec<Category>,
}

impl Vehicle {
    /// Whether this vehicle may serve `category`.
    #[must_use]
    pub fn serves(&self, category: Category) -> bool {
        self.categories.contains(&category)
    }
}
