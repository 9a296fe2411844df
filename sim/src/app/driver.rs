//! What drivers do: accept, decline, let pass, drive, give back, tap twice.

use ibora_domain::ids::{OfferId, RideId};
use ibora_domain::ride::Status;

use super::AppEvent;
use crate::command::{Command, Up};
use crate::queue::{MS, SECOND};
use crate::world::World;

impl World {
    pub(super) fn driver_thinks(&mut self, app: usize) {
        let after = self.chance.between(8 * SECOND, 20 * SECOND);
        self.to_app(app, after, AppEvent::Think);
        if !self.closing && self.chance.percent(self.temper.purse.wants_payout) {
            self.wants_payout(app);
        }
        self.quarrels(app);
        let phone = &self.apps[app];
        let (online, busy) = (phone.online, phone.ride.is_some());
        let reaches = phone.old || phone.welcomed;
        if !reaches || phone.is_doing(|doing| matches!(doing, Command::Online | Command::Offline)) {
            return;
        }
        if !online {
            self.ask(app, Command::Online);
        } else if !self.closing && self.chance.percent(if busy { 1 } else { 3 }) {
            self.ask(app, Command::Offline);
        }
    }

    /// An offer is shown.
    pub(super) fn offered(&mut self, app: usize, ride: RideId, offer: OfferId) {
        self.apps[app].offers.insert(ride, offer);
        self.apps[app].offered = Some(ride);
        let after = match self.chance.below(10) {
            0 => self.chance.between(12 * SECOND, 18 * SECOND),
            _ => self.chance.between(300 * MS, self.temper.looks),
        };
        self.to_app(app, after, AppEvent::React { ride, offer });
        self.to_app(app, 17 * SECOND, AppEvent::Over { ride, offer });
    }

    /// He looks at an offer.
    pub(super) fn react(&mut self, app: usize, ride: RideId, offer: OfferId) {
        if self.apps[app].offers.get(&ride) != Some(&offer) {
            return;
        }
        let about = |doing: &Command| {
            matches!(doing, Command::Accept { ride: other, .. } | Command::Decline { ride: other }
                if *other == ride)
        };
        if self.apps[app].is_doing(about) {
            return;
        }
        match self.chance.below(20) {
            0..=14 => {
                let named = self.chance.percent(70).then_some(offer);
                self.ask(app, Command::Accept { ride, offer: named });
                if self.chance.percent(self.temper.taps_twice) {
                    // He taps twice.
                    self.ask(app, Command::Accept { ride, offer: named });
                }
            }
            15 | 16 => self.ask(app, Command::Decline { ride }),
            _ => {}
        }
    }

    /// He has a ride, and drives it.
    pub(super) fn go_on_driving(&mut self, app: usize, ride: RideId) {
        if !std::mem::replace(&mut self.apps[app].stepping, true) {
            let after = self.chance.between(2 * SECOND, 12 * SECOND);
            self.to_app(app, after, AppEvent::Step { ride });
        }
    }

    pub(super) fn step(&mut self, app: usize, ride: RideId) {
        self.apps[app].stepping = false;
        let Some(seen) = self.apps[app].ride else { return };
        self.go_on_driving(app, seen.ride);
        let busy = |doing: &Command| !matches!(doing, Command::Online | Command::Offline);
        if seen.ride != ride || self.apps[app].is_doing(busy) {
            return;
        }
        if !self.closing && self.chance.percent(self.temper.gives_back) {
            // He may also give back the one that he was to do next.
            let next = self.apps[app].next.filter(|_| self.chance.percent(50));
            self.ask(app, Command::Cancel { ride: next.map_or(ride, |next| next.ride) });
            return;
        }
        match seen.status {
            Status::Accepted | Status::Arriving if self.chance.percent(50) => {
                let metres = u32::try_from(self.chance.between(10, 600)).unwrap_or(10);
                if let Some(link) = self.apps[app].link {
                    self.send_up(link, Up::Position { metres });
                    self.send_up(link, Up::Position { metres: metres.min(20) });
                }
            }
            Status::Accepted | Status::Arriving => {
                // In the end he says it himself: of two phones that take the session from each
                // other, neither may get a position through.
                self.ask(app, Command::Arrive { ride, here: self.closing });
            }
            Status::Arrived => {
                let right = self.closing || !self.chance.percent(8);
                self.ask(app, Command::Start { ride, right });
            }
            Status::Started => self.ask(app, Command::Complete { ride }),
            Status::Searching | Status::Completed | Status::Canceled | Status::NoDriver => {}
        }
    }
}
