//! Snapshots: everything a person's app must show when it knows nothing, in one answer.

use std::sync::Arc;

use ibora_domain::facts::StreamId;
use ibora_domain::ids::{DriverId, RideId};
use ibora_domain::person::Role;
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::{Status, rating};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::positions::Had;
use super::{Caller, Dispatch};
use crate::journal::{Published, ReadError};

/// A person's truth, at least as new as whatever was recorded when it was asked for.
#[derive(Debug)]
pub struct Snapshot {
    /// `{driver, offers, ride, next_ride}` or `{passenger, ride, payment}`.
    pub json: Box<RawValue>,
    /// The rides of the open offers in it.
    pub offers: Vec<RideId>,
    /// The rides in it.
    pub rides: Vec<RideId>,
}

/// A snapshot, and where its person's stream was just before it.
#[derive(Debug)]
pub struct Truth {
    pub epoch: Arc<str>,
    /// The newest event of which the snapshot tells for certain.
    pub seq: u64,
    pub snapshot: Snapshot,
}

/// The stream of a driver or a passenger; nobody else has one.
#[must_use]
pub fn stream_of(caller: Caller) -> Option<StreamId> {
    match caller.role {
        Role::Driver => Some(StreamId::Driver(caller.user.into())),
        Role::Passenger => Some(StreamId::Passenger(caller.user.into())),
        Role::Admin | Role::Partner => None,
    }
}

/// What a driver's actor says of him.
#[derive(Deserialize)]
struct Stand {
    driver: Box<RawValue>,
    /// Whether an offer may be open to him.
    offered: bool,
}

/// A ride as its reader sees it.
type Shown = (RideId, Box<RawValue>);

/// Where a ride stands, and whether it waits until its driver has ended another.
#[derive(Deserialize)]
struct Stage {
    #[serde(default)]
    chained: bool,
    status: Status,
}

#[derive(Serialize)]
struct OfDriver<'a> {
    driver: &'a RawValue,
    offers: Vec<&'a RawValue>,
    ride: Option<&'a RawValue>,
    /// The chained one, which comes after it.
    next_ride: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct OfPassenger<'a> {
    passenger: PassengerView,
    ride: Option<&'a RawValue>,
    /// The newest that is still to be paid.
    payment: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct PassengerView {
    id: ibora_domain::ids::UserId,
    name: String,
    rating: f64,
}

impl Dispatch {
    /// What this driver's or passenger's app must show.
    ///
    /// # Errors
    /// [`Refusal::Forbidden`] for other roles, [`Refusal::NotFound`] for nobody,
    /// [`Refusal::Unavailable`] when the database does not answer.
    pub async fn snapshot(&self, caller: Caller) -> Result<Snapshot, Refusal> {
        self.may_act()?;
        match caller.role {
            Role::Driver => self.snapshot_of_driver(caller).await,
            Role::Passenger => self.snapshot_of_passenger(caller).await,
            Role::Admin | Role::Partner => Err(Refusal::Forbidden),
        }
    }

    /// Where a person's stream stands: its epoch and its newest event.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] when the database does not answer.
    pub async fn stream_head(&self, caller: Caller) -> Result<(Arc<str>, u64), Refusal> {
        self.journal().stream_head(caller.user).await.map_err(unavailable)
    }

    /// The events of a stream after number `after` up to `upto`, all of them: `None` where some are
    /// no longer kept, or where they are more than a client may have missed.
    ///
    /// # Errors
    /// [`Refusal::Unavailable`] when the database does not answer.
    pub async fn missed(
        &self,
        stream: StreamId,
        after: u64,
        upto: u64,
    ) -> Result<Option<Vec<Published>>, Refusal> {
        self.journal().events_between(stream, after, upto).await.map_err(unavailable)
    }

    /// What this driver's or passenger's app must show, and as of which event. How far the stream
    /// is is read first and the snapshot after it, so that no event falls between them.
    ///
    /// # Errors
    /// As [`Dispatch::snapshot`].
    pub async fn truth(&self, caller: Caller) -> Result<Truth, Refusal> {
        let (epoch, seq) = self.stream_head(caller).await?;
        Ok(Truth { epoch, seq, snapshot: self.snapshot(caller).await? })
    }

    async fn snapshot_of_driver(&self, caller: Caller) -> Result<Snapshot, Refusal> {
        let id = DriverId::from(caller.user);
        let stand = self.driver_stand(id).await?;
        let stand: Stand = serde_json::from_str(&stand.body).map_err(unreadable)?;
        // Only his actor knows at once that there is none; which are open, the records know.
        let open = match stand.offered {
            true => {
                let records = self.journal().records();
                records.open_offers(id, self.now()).await.map_err(unavailable)?
            }
            false => Vec::new(),
        };
        let offers = open.iter().map(|(_, _, body)| raw(body)).collect::<Result<Vec<_>, _>>()?;
        let (ride, next) = self.rides_of_driver(caller).await?;
        let json = snapshot(&OfDriver {
            driver: &stand.driver,
            offers: offers.iter().map(|offer| &**offer).collect(),
            ride: ride.as_ref().map(|(_, ride)| &**ride),
            next_ride: next.as_ref().map(|(_, ride)| &**ride),
        })?;
        let offers = open.into_iter().map(|(ride, _, _)| ride).collect();
        Ok(Snapshot {
            json,
            offers,
            rides: ride.into_iter().chain(next).map(|(id, _)| id).collect(),
        })
    }

    async fn snapshot_of_passenger(&self, caller: Caller) -> Result<Snapshot, Refusal> {
        let person = self.journal().records().person(caller.user).await.map_err(unavailable)?;
        let person = person.ok_or(Refusal::NotFound)?;
        let ride = self.active_ride(caller).await?;
        let payment = self.owed_payment(caller).await?;
        let json = snapshot(&OfPassenger {
            passenger: PassengerView {
                id: caller.user,
                name: person.name,
                rating: rating(person.rating.hundredths),
            },
            ride: ride.as_ref().map(|(_, ride)| &**ride),
            payment: payment.as_deref(),
        })?;
        Ok(Snapshot {
            json,
            offers: Vec::new(),
            rides: ride.map(|(id, _)| id).into_iter().collect(),
        })
    }

    /// The ride that a driver is on, and the one that is chained to it.
    async fn rides_of_driver(
        &self,
        caller: Caller,
    ) -> Result<(Option<Shown>, Option<Shown>), Refusal> {
        // Looked for first: one that is his ride by now is no longer the next.
        let next = self.registry.ports.on_ride.next_of(caller.user.into());
        let ride = self.active_ride(caller).await?;
        let Some(next) = next.filter(|next| ride.as_ref().is_none_or(|(id, _)| id != next)) else {
            return Ok((ride, None));
        };
        // It may have been canceled while it was asked for, and the other goes on.
        let Some(next) = self.open_ride(caller, next).await? else { return Ok((ride, None)) };
        match stage(&next)?.chained {
            true => Ok((ride, Some(next))),
            // Its turn has come since it was looked for: the other has ended.
            false => Ok((Some(next), None)),
        }
    }

    async fn active_ride(&self, caller: Caller) -> Result<Option<Shown>, Refusal> {
        let id = match self.registry.ports.on_ride.had_by(caller.user.0) {
            Some(Had::Ride(id)) => Some(id),
            Some(Had::Unsure) => {
                let records = self.journal().records();
                let as_driver = caller.role == Role::Driver;
                records.active_ride(caller.user, as_driver).await.map_err(unavailable)?
            }
            None => None,
        };
        match id {
            Some(id) => self.open_ride(caller, id).await,
            None => Ok(None),
        }
    }

    /// The newest payment that is owed, where it can be paid.
    async fn owed_payment(&self, caller: Caller) -> Result<Option<Box<RawValue>>, Refusal> {
        if !self.registry.ports.ride_policy.payments.charges {
            return Ok(None);
        }
        let records = self.journal().records();
        let owed = records.owed_by(caller.user.into()).await.map_err(unavailable)?;
        match owed.last() {
            Some(newest) => Ok(Some(raw(&self.payment(caller, *newest).await?.body)?)),
            None => Ok(None),
        }
    }

    /// A ride as it is now, where it is the caller's and has not ended.
    async fn open_ride(&self, caller: Caller, id: RideId) -> Result<Option<Shown>, Refusal> {
        match self.ride(caller, id).await {
            Ok(ride) => {
                let ride = (id, raw(&ride.body)?);
                let over = stage(&ride)?.status.is_final();
                Ok(Some(ride).filter(|_| !over))
            }
            // It was given to another since its id was read.
            Err(Refusal::NotFound) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }
}

fn stage((_, json): &Shown) -> Result<Stage, Refusal> {
    serde_json::from_str(json.get()).map_err(unreadable)
}

fn raw(json: &str) -> Result<Box<RawValue>, Refusal> {
    RawValue::from_string(json.to_owned()).map_err(unreadable)
}

fn snapshot(snapshot: &impl Serialize) -> Result<Box<RawValue>, Refusal> {
    serde_json::value::to_raw_value(snapshot).map_err(unreadable)
}

#[expect(clippy::needless_pass_by_value, reason = "the form that `map_err` calls")]
fn unreadable(error: serde_json::Error) -> Refusal {
    tracing::error!(%error, "a record is no JSON");
    Refusal::Unavailable
}

#[expect(clippy::needless_pass_by_value, reason = "the form that `map_err` calls")]
fn unavailable(error: ReadError) -> Refusal {
    tracing::warn!(%error, "a snapshot cannot be read");
    Refusal::Unavailable
}
