//! Categories of service: what a passenger asks for and what a vehicle may serve.
//!
//! The names are part of the public contract and of the database: `snake_case`, never renamed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::person::PersonError;

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

impl Category {
    /// Every category, in the order in which people see them.
    pub const ALL: [Self; 5] =
        [Self::Economy, Self::Comfort, Self::Premium, Self::Moto, Self::Delivery];

    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Economy => "economy",
            Self::Comfort => "comfort",
            Self::Premium => "premium",
            Self::Moto => "moto",
            Self::Delivery => "delivery",
        }
    }

    /// This category's bit in a set of categories.
    #[must_use]
    pub const fn bit(self) -> u8 {
        match self {
            Self::Economy => 1,
            Self::Comfort => 1 << 1,
            Self::Premium => 1 << 2,
            Self::Moto => 1 << 3,
            Self::Delivery => 1 << 4,
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Category {
    type Err = PersonError;

    fn from_str(text: &str) -> Result<Self, PersonError> {
        Self::ALL
            .into_iter()
            .find(|category| category.as_str() == text)
            .ok_or(PersonError::UnknownName { field: "category" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_category_has_a_name_and_a_bit_of_its_own() {
        let mut bits = 0;
        for category in Category::ALL {
            assert_eq!(category.as_str().parse(), Ok(category));
            assert_eq!(bits & category.bit(), 0, "{category} shares its bit");
            bits |= category.bit();
        }
        assert_eq!(bits.count_ones(), 5);
        assert!("Economy".parse::<Category>().is_err());
        assert!("".parse::<Category>().is_err());
    }
}
