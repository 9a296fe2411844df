//! Ratings: the passenger and the driver of a completed ride rate each other, once each.

use serde::{Deserialize, Serialize};

use super::{Reader, Ride, RideEvent, Status};
use crate::ids::UserId;
use crate::policy::RidePolicy;
use crate::refusal::Refusal;
use crate::units::UnixMillis;

/// One to five stars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Stars(u8);

/// A number that no rating has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("1 to 5 stars, not {0}")]
pub struct NoStars(pub u8);

impl TryFrom<u8> for Stars {
    type Error = NoStars;

    fn try_from(number: u8) -> Result<Self, NoStars> {
        if (1..=5).contains(&number) { Ok(Self(number)) } else { Err(NoStars(number)) }
    }
}

impl From<Stars> for u8 {
    fn from(Stars(number): Stars) -> Self {
        number
    }
}

/// Who rates the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rater {
    Passenger,
    Driver,
}

impl Rater {
    /// The public name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passenger => "passenger",
            Self::Driver => "driver",
        }
    }

    /// As whom they read their ride.
    #[must_use]
    pub const fn reader(self) -> Reader {
        match self {
            Self::Passenger => Reader::Passenger,
            Self::Driver => Reader::Driver,
        }
    }
}

/// What one of a ride's people says of the other.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rating {
    pub stars: Stars,
    pub comment: Option<String>,
}

impl std::fmt::Debug for Rating {
    /// Without the comment: it is about a person.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rating({})", self.stars.0)
    }
}

/// The ratings of a ride, by who gave them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ratings {
    pub passenger: Option<Rating>,
    pub driver: Option<Rating>,
}

impl Ratings {
    /// Whether nobody has rated yet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.passenger.is_none() && self.driver.is_none()
    }

    /// What `by` gave.
    #[must_use]
    pub const fn by(&self, by: Rater) -> Option<&Rating> {
        match by {
            Rater::Passenger => self.passenger.as_ref(),
            Rater::Driver => self.driver.as_ref(),
        }
    }

    pub(super) fn give(&mut self, by: Rater, rating: Rating) {
        match by {
            Rater::Passenger => self.passenger = Some(rating),
            Rater::Driver => self.driver = Some(rating),
        }
    }
}

impl Ride {
    /// As what `user` rates this ride; `None` for one who was neither passenger nor driver of it.
    #[must_use]
    pub fn rater(&self, user: UserId) -> Option<Rater> {
        if self.order.passenger.id.0 == user.0 {
            Some(Rater::Passenger)
        } else {
            self.is_driven_by(user.into()).then_some(Rater::Driver)
        }
    }

    /// Whether `by` may rate the other at `now`. `Ok(None)`: he has said just this before.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`] for a ride that was not completed, and for one who has said
    /// something else before; [`Refusal::RideClosed`] when it is too late.
    pub fn rate(
        &self,
        by: Rater,
        rating: Rating,
        now: UnixMillis,
        policy: &RidePolicy,
    ) -> Result<Option<RideEvent>, Refusal> {
        let (Status::Completed, Some(ended), Some(driver)) =
            (self.status, self.completed_at, self.driver_id())
        else {
            return Err(Refusal::IllegalTransition);
        };
        match self.ratings.by(by) {
            Some(given) if *given == rating => return Ok(None),
            Some(_) => return Err(Refusal::IllegalTransition),
            None if now.since(ended) > policy.rating_within => return Err(Refusal::RideClosed),
            None => {}
        }
        let of = match by {
            Rater::Passenger => driver.into(),
            Rater::Driver => self.order.passenger.id.into(),
        };
        Ok(Some(RideEvent::Rated { by, of, rating }))
    }
}
