//! The way of a command: it is let in, what it needs is looked up, and an actor decides it.

use std::sync::Arc;

use ibora_domain::facts::{Answer, CommandKey, Origin};
use ibora_domain::ids::PassengerId;
use ibora_domain::machines::{Ask, Envelope, PassengerInput};
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::{Order, PassengerCard, Pin};

use super::commands::{self, LookedUp};
use super::quotes::measure;
use super::{Caller, Command, Dispatch, RideRequest, RunningGuard, Sent, Trip};

impl Dispatch {
    /// Lets a command in, one of a key at a time, and has it decided.
    pub(super) async fn decide(
        &self,
        caller: Caller,
        sent: Sent,
        origin: Option<Arc<Origin>>,
    ) -> Answer {
        if !sent.command.is_for(caller.role) {
            return Err(Refusal::Forbidden);
        }
        self.may_act()?;
        let Ok(_unanswered) = self.unanswered.try_read() else { return Err(Refusal::Unavailable) };
        if !self.registry.ports.journal.has_room() {
            return Err(Refusal::Overloaded);
        }
        let key = sent.key(caller);
        let running = match &key {
            Some(key) => Some(self.registry.ports.running.enter(caller, key)?),
            None => None,
        };
        let answer = match self.look_up(caller, &sent.command).await {
            Ok(looked_up) => {
                running.iter().for_each(RunningGuard::goes_on);
                self.ask_actors(caller, (sent, key), origin, looked_up).await
            }
            // What it needs is not there any more, but it may have been decided, or is being.
            Err(refusal) => match sent.command {
                Command::Request(_) => self.ask_passenger(caller, key, refusal).await,
                _ => self.known_or(key, refusal).await,
            },
        };
        if let Some(running) = running {
            self.conclude(running, &answer);
        }
        answer
    }

    /// Looks up what the actor of a command needs.
    async fn look_up(&self, caller: Caller, command: &Command) -> Result<LookedUp, Refusal> {
        let order = match command {
            Command::Request(request) => Some(self.order(caller, request).await?),
            _ => None,
        };
        let about = self.of_payout(caller, command).await?;
        self.knows_whom(command).await?;
        Ok(LookedUp { order, at: self.last_position(caller.user.into()), about })
    }

    async fn ask_actors(
        &self,
        caller: Caller,
        (sent, key): (Sent, Option<CommandKey>),
        origin: Option<Arc<Origin>>,
        looked_up: LookedUp,
    ) -> Answer {
        let online_at = match &sent.command {
            Command::Online { location, .. } => *location,
            _ => None,
        };
        let Sent { id: _, if_version, command } = sent;
        let answer = self
            .ask(|reply| {
                let ask = Ask { by: caller.user, key, if_version, origin, reply };
                commands::envelope(caller, command, ask, looked_up)
            })
            .await;
        if let (Some(place), Ok(_)) = (online_at, &answer) {
            self.registry.ports.index.update(caller.user.into(), place, self.now());
        }
        answer
    }

    async fn ask_passenger(
        &self,
        caller: Caller,
        key: Option<CommandKey>,
        refusal: Refusal,
    ) -> Answer {
        let by = caller.user;
        self.ask(|reply| {
            let ask = Ask { by, key, if_version: None, origin: None, reply };
            Envelope::Passenger(by.into(), PassengerInput::Unpriced { ask, refusal })
        })
        .await
    }

    async fn known_or(&self, key: Option<CommandKey>, refusal: Refusal) -> Answer {
        let Some(key) = key else { return Err(refusal) };
        self.answered(&key).await?.unwrap_or(Err(refusal))
    }

    async fn order(&self, caller: Caller, request: &RideRequest) -> Result<Box<Order>, Refusal> {
        let trip =
            Trip { pickup: request.pickup, stops: request.stops.clone(), dropoff: request.dropoff };
        let now = self.now();
        let quote = match request.quote_id {
            Some(id) => self
                .quotes
                .find((caller.user, id), &trip, request.category, now)
                .ok_or(Refusal::QuoteExpired)?,
            None => {
                let asked = trip.clone();
                let measured = self.by_road(move |ports| measure(&asked, &*ports.router)).await?;
                let quote =
                    self.quotes.quote(caller.user, &trip, request.category, (measured, now));
                quote.ok_or(Refusal::TooFar)?
            }
        };
        let records = self.registry.ports.journal.records();
        let person = records.person(caller.user).await.map_err(|_| Refusal::Unavailable)?;
        let person = person.ok_or(Refusal::NotFound)?;
        Ok(Box::new(Order {
            passenger: PassengerCard {
                id: PassengerId::from(caller.user),
                name: person.name,
                rating: person.rating.hundredths,
            },
            category: request.category,
            pickup: request.pickup,
            dropoff: request.dropoff,
            stops: request.stops.clone(),
            payment_method: request.payment_method,
            notes: request.notes.clone(),
            fare: quote.fare,
            distance: quote.distance,
            duration: quote.duration,
            pin: Pin::new(rand::random_range(0..10_000)),
            prepaid: false,
        }))
    }
}
