//! What a driver is: the account that dispatch sees, and how he shows himself to others.

use std::fmt;

use serde::Serialize;

use crate::category::Category;
use crate::ids::{DriverId, VehicleId};
use crate::pix::PixKeyKind;
use crate::refusal::Refusal;
use crate::ride::{DriverCard, VehicleCard, rating};
use crate::units::{UnixMillis, rfc3339};

/// A driver's account, as far as dispatch cares.
#[derive(Clone, PartialEq)]
pub struct DriverProfile {
    pub name: String,
    pub rating: MeanRating,
    pub approved: bool,
    /// As shown: `pending`, `approved`, ...
    pub approval: String,
    pub vehicles: Vec<(VehicleCard, Vec<Category>)>,
    /// Of the Pix key that he is paid to only what he may know at a glance.
    pub pix_key: Option<PixKeyStand>,
}

/// What a driver is shown of his Pix key: that it is there, or that somebody has changed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct PixKeyStand {
    pub kind: PixKeyKind,
    #[serde(serialize_with = "rfc3339")]
    pub usable_from: UnixMillis,
}

/// How a person was rated so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeanRating {
    /// Mean in hundredths, 500 is the best; what somebody is shown with who was never rated.
    pub hundredths: u16,
    /// Of how many ratings. Of two means the one of more ratings is the newer.
    pub of: u32,
}

impl fmt::Debug for DriverProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DriverProfile({})", self.approval)
    }
}

/// As what a driver is online.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnlineAs {
    pub category: Category,
    pub vehicle: Option<VehicleId>,
}

/// A driver as he and the staff see him.
#[derive(Serialize)]
struct DriverView<'a> {
    id: DriverId,
    status: &'static str,
    approval: &'a str,
    category: Option<Category>,
    vehicle: Option<&'a VehicleCard>,
    rating: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pix_key: Option<PixKeyStand>,
}

/// As what a driver with this account may go online, if he may.
pub(super) fn may_go_online(
    profile: Option<&DriverProfile>,
    category: Option<Category>,
    vehicle: Option<VehicleId>,
) -> Result<OnlineAs, Refusal> {
    let profile = profile.ok_or(Refusal::NotFound)?;
    if !profile.approved {
        return Err(Refusal::DriverNotApproved);
    }
    let wanted = category.unwrap_or(Category::Economy);
    let suits = |(_, categories): &&(VehicleCard, Vec<Category>)| categories.contains(&wanted);
    let chosen = match vehicle {
        Some(id) => {
            let his = profile.vehicles.iter().find(|(card, _)| card.id == id);
            Some(his.filter(suits).ok_or(Refusal::VehicleNotSuitable)?)
        }
        None => profile.vehicles.iter().find(suits),
    };
    if chosen.is_none() && !profile.vehicles.is_empty() {
        return Err(Refusal::VehicleNotSuitable);
    }
    Ok(OnlineAs { category: wanted, vehicle: chosen.map(|(card, _)| card.id) })
}

/// The driver as a passenger sees him.
pub(super) fn card(
    id: DriverId,
    profile: Option<&DriverProfile>,
    online: Option<OnlineAs>,
) -> DriverCard {
    DriverCard {
        id,
        name: profile.map(|profile| profile.name.clone()).unwrap_or_default(),
        rating: mean(profile),
        vehicle: vehicle(profile, online).cloned(),
    }
}

/// The driver as he sees himself, as JSON text.
pub(super) fn json(
    id: DriverId,
    profile: Option<&DriverProfile>,
    online: Option<OnlineAs>,
) -> String {
    let view = DriverView {
        id,
        status: match online {
            Some(_) => "online",
            None => "offline",
        },
        approval: profile.map_or("pending", |profile| &profile.approval),
        category: online.map(|online| online.category),
        vehicle: vehicle(profile, online),
        rating: rating(mean(profile)),
        pix_key: profile.and_then(|profile| profile.pix_key),
    };
    serde_json::to_string(&view).unwrap_or_default()
}

fn mean(profile: Option<&DriverProfile>) -> u16 {
    profile.map_or(0, |profile| profile.rating.hundredths)
}

fn vehicle(profile: Option<&DriverProfile>, online: Option<OnlineAs>) -> Option<&VehicleCard> {
    let chosen = online?.vehicle?;
    let (card, _) = profile?.vehicles.iter().find(|(card, _)| card.id == chosen)?;
    Some(card)
}
