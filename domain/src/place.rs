//! Places on the Earth: WGS84 degrees that are always finite and in range.
//!
//! A person's position is personal data: `Debug` masks it, only `Serialize` shows it.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::units::Metres;

/// Mean radius of the Earth in metres (IUGG).
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// A point in WGS84 degrees. Past [`Coordinates::new`] it is finite and in range.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Coordinates {
    lat: f64,
    lng: f64,
}

/// Why a pair of numbers is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PlaceError {
    #[error("lat must be a number from -90 to 90")]
    Latitude,
    #[error("lng must be a number from -180 to 180")]
    Longitude,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    lat: f64,
    lng: f64,
}

impl TryFrom<Unchecked> for Coordinates {
    type Error = PlaceError;

    fn try_from(raw: Unchecked) -> Result<Self, PlaceError> {
        Self::new(raw.lat, raw.lng)
    }
}

impl Coordinates {
    /// A point from degrees.
    ///
    /// # Errors
    /// [`PlaceError`] for NaN, infinity, and what lies outside -90..90 and -180..180.
    pub fn new(lat: f64, lng: f64) -> Result<Self, PlaceError> {
        // A comparison with NaN is false, so NaN is refused here too.
        if !(-90.0..=90.0).contains(&lat) {
            return Err(PlaceError::Latitude);
        }
        if !(-180.0..=180.0).contains(&lng) {
            return Err(PlaceError::Longitude);
        }
        Ok(Self { lat, lng })
    }

    /// Degrees north.
    #[must_use]
    pub fn lat(self) -> f64 {
        self.lat
    }

    /// Degrees east.
    #[must_use]
    pub fn lng(self) -> f64 {
        self.lng
    }

    /// Great-circle distance (haversine).
    #[must_use]
    pub fn distance_to(self, other: Self) -> Metres {
        let (lat_a, lat_b) = (self.lat.to_radians(), other.lat.to_radians());
        let half_lat = ((lat_b - lat_a) / 2.0).sin();
        let half_lng = ((other.lng - self.lng).to_radians() / 2.0).sin();
        let chord = half_lat * half_lat + lat_a.cos() * lat_b.cos() * half_lng * half_lng;
        let metres = 2.0 * EARTH_RADIUS_M * chord.sqrt().min(1.0).asin();
        Metres(whole(metres))
    }
}

/// Rounds a non-negative length or time that fits `u32`; the cast saturates where it does not.
#[must_use]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates by design")]
pub fn whole(value: f64) -> u32 {
    value.round() as u32
}

impl fmt::Debug for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Coordinates(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_place_is_refused() {
        for bad in [f64::NAN, f64::INFINITY, 90.000_1, -90.000_1] {
            assert_eq!(Coordinates::new(bad, 0.0), Err(PlaceError::Latitude));
        }
        for bad in [f64::NAN, f64::NEG_INFINITY, 180.000_1] {
            assert_eq!(Coordinates::new(0.0, bad), Err(PlaceError::Longitude));
        }
    }

    #[test]
    fn distances_match_known_pairs() {
        let se = Coordinates::new(-23.5503, -46.6339).expect("Praça da Sé");
        let masp = Coordinates::new(-23.5614, -46.6559).expect("MASP");
        assert!((2555..2575).contains(&se.distance_to(masp).0));
        assert_eq!(se.distance_to(se), Metres(0));
    }

    #[test]
    fn a_place_is_read_back_as_it_was_written() {
        for step in 0..1000 {
            let lat = -23.5503 + f64::from(step) / 111_195.0;
            let place = Coordinates::new(lat, lat * 2.0).expect("valid");
            let text = serde_json::to_string(&place).expect("JSON");
            let read: Coordinates = serde_json::from_str(&text).expect("a place");
            assert!(read == place, "{text}");
        }
    }

    #[test]
    fn a_position_never_reaches_a_log() {
        let place = Coordinates::new(-23.5503, -46.6339).expect("valid");
        assert!(!format!("{place:?}").contains("23"));
    }
}
