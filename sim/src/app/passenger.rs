//! What passengers do: ask for rides, and change their minds.

use std::sync::Arc;

use ibora_domain::ids::RideId;
use ibora_domain::ride::Stars;

use super::AppEvent;
use crate::command::Command;
use crate::queue::SECOND;
use crate::town::Town;
use crate::world::World;

impl World {
    pub(super) fn passenger_thinks(&mut self, app: usize) {
        let after = self.chance.between(3 * SECOND, 20 * SECOND);
        self.to_app(app, after, AppEvent::Think);
        self.looks_after_money(app);
        self.looks_after_credit(app);
        self.judges(app);
        self.quarrels(app);
        let phone = &self.apps[app];
        let asks = phone.is_doing(|doing| matches!(doing, Command::Request { .. }));
        if self.closing || phone.ride.is_some() || asks {
            return;
        }
        let metres = Town::somewhere(&mut self.chance);
        self.ask(app, Command::Request { intent: Arc::from(""), metres });
    }

    /// Passenger or driver says what the other was like, perhaps not for the first time.
    pub(super) fn rate(&mut self, app: usize, ride: RideId) {
        if let Ok(stars) = Stars::try_from(4 + u8::from(self.chance.percent(50))) {
            self.ask(app, Command::Rate { ride, stars });
        }
    }

    /// The passenger changes their mind.
    pub(super) fn waver(&mut self, app: usize, ride: RideId) {
        if self.apps[app].ride.is_some_and(|seen| seen.ride == ride) {
            self.ask(app, Command::Cancel { ride });
        }
    }
}
