//! People who quarrel: who tips and who contests a ride, what each adds to that, and what somebody
//! of the platform makes of it.

use ibora_domain::dispute::Winner;
use ibora_domain::facts::{DisputeRow, PaymentRow};
use ibora_domain::ids::RideId;
use ibora_domain::ledger::Due;
use ibora_domain::ride::Status;

use super::AppEvent;
use crate::command::{Command, MoneyCommand, Seen};
use crate::database::is_of_ride;
use crate::queue::SECOND;
use crate::world::World;

impl World {
    /// A passenger who has arrived may want to give his driver something.
    pub(super) fn perhaps_tips(&mut self, app: usize, seen: &Seen) {
        let there = seen.status == Status::Completed && !self.apps[app].is_driver();
        if there && !self.closing && self.chance.percent(self.temper.purse.court.tips) {
            let after = self.chance.between(SECOND, 60 * SECOND);
            self.to_app(app, after, AppEvent::Tip { ride: seen.ride });
        }
    }

    /// He gives it.
    pub(super) fn tips(&mut self, app: usize, ride: RideId) {
        if self.closing {
            return;
        }
        let centavos = [100, 300, 300, 500, 50][self.chance.index(5)];
        self.watch.count("tipped");
        self.ask(app, Command::Money(MoneyCommand::Tip { ride, centavos }));
    }

    /// Passenger or driver contests a ride that was paid, or adds to what is contested.
    pub(super) fn quarrels(&mut self, app: usize) {
        let court = self.temper.purse.court;
        if self.closing || self.apps[app].is_doing(is_quarrel) {
            return;
        }
        let (user, drives) = (self.apps[app].user.0, self.apps[app].is_driver());
        let is_his = |passenger, driver| user == if drives { driver } else { passenger };
        if self.chance.percent(court.contests) {
            let mine = |row: &&PaymentRow| {
                let people = row.passenger.zip(row.driver);
                let is_mine = people.is_some_and(|(p, d)| is_his(p.0, d.0));
                is_mine && row.status == "paid" && is_of_ride(row)
            };
            let paid: Vec<_> = self.db.money.payments.values().filter(mine).collect();
            let ride = paid.get(self.chance.index(paid.len())).and_then(|row| row.ride);
            if let Some(ride) = ride {
                self.watch.count("contested");
                self.ask(app, Command::Money(MoneyCommand::Contest { ride }));
            }
        } else if self.chance.percent(court.answers) {
            let mine = |row: &&DisputeRow| is_his(row.passenger.0, row.driver.0);
            let open: Vec<_> = self.db.money.disputes.open().filter(mine).collect();
            if let Some(row) = open.get(self.chance.index(open.len())) {
                let (driver, dispute) = (row.driver, row.id);
                self.ask(app, Command::Money(MoneyCommand::Evidence { driver, dispute }));
            }
        }
    }

    /// Passengers do what people of the platform would: rule what is contested, perhaps after
    /// another has, and let somebody off a fee.
    pub(super) fn judges(&mut self, app: usize) {
        let court = self.temper.purse.court;
        if self.closing || self.apps[app].is_doing(is_judgement) {
            return;
        }
        if self.chance.percent(court.rules) {
            let late = self.chance.percent(20);
            let all = self.db.money.disputes.rows.values();
            let open = |row: &&DisputeRow| late || matches!(row.status, "open" | "under_review");
            let rows: Vec<_> = all.filter(|row| row.kind == "contested").filter(open).collect();
            if let Some(row) = rows.get(self.chance.index(rows.len())) {
                let (driver, dispute) = (row.driver, row.id);
                let passenger = self.chance.percent(50);
                let winner = if passenger { Winner::Passenger } else { Winner::Driver };
                self.ask(app, Command::Money(MoneyCommand::Rule { driver, dispute, winner }));
            }
        } else if self.chance.percent(court.waives) {
            let fees = self.watch.payments_of(Due::CancelFee);
            if let Some(payment) = fees.get(self.chance.index(fees.len())).copied() {
                self.watch.count("waived");
                self.ask(app, Command::Money(MoneyCommand::Waive { payment }));
            }
        }
    }
}

fn is_quarrel(doing: &Command) -> bool {
    matches!(doing, Command::Money(MoneyCommand::Contest { .. } | MoneyCommand::Evidence { .. }))
}

fn is_judgement(doing: &Command) -> bool {
    matches!(doing, Command::Money(MoneyCommand::Rule { .. } | MoneyCommand::Waive { .. }))
}
