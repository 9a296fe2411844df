//! Ride categories: what kind of car a passenger asks for.

use serde::{Deserialize, Serialize};

/// A category of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Category {
    Economy,
    Comfort,
    Premium,
    Moto,
    Delivery,
}
