//! The race: accepts, the one that wins, and those that are refused.

use super::eta::Eta;
use super::record::is_stale;
use super::{
    Ask, Attempt, Bid, CommandKey, Decision, Done, DriverId, Loser, Reader, RideMachine, done,
};
use crate::facts::{AttemptsRow, Row};
use crate::machines::{Note, Turn};
use crate::refusal::Refusal;
use crate::ride::{Ride, RideEvent};

impl<R> RideMachine<R> {
    /// A driver wants the ride. A command that was answered before is answered the same.
    ///
    /// His machine hears before he does: he may want another ride at once, and is not busy.
    pub(super) fn bid(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, bid: &Bid) {
        let Some(ask) = self.join_loser(ask, bid.awaited()) else {
            return;
        };
        if self.known.has(ask.key.as_ref()) {
            self.answer_call(turn, bid.driver.id, bid.awaited());
        }
        if let Some(ask) = self.known.replay(turn, ask) {
            self.accept(turn, ask, bid);
        }
    }

    /// A refusal that is not yet on its way to disk cannot be repeated: the same command, sent
    /// again, waits for it.
    fn join_loser(&mut self, ask: Ask<R>, call: Option<u64>) -> Option<Ask<R>> {
        let same = |loser: &&mut Loser<R>| {
            let command = loser.attempt.command.as_ref();
            command.is_some_and(|command| Some(command) == ask.key.as_ref())
        };
        match self.losers.iter_mut().find(same) {
            Some(loser) => loser.asked.push((ask.reply, call)),
            None => return Some(ask),
        }
        None
    }

    fn accept(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, bid: &Bid) {
        let driver = bid.driver.id;
        // Nothing is recorded for one who was never asked: strangers shall not make us write.
        let Some(ride) = self.ride.as_ref().filter(|ride| is_candidate(ride, driver)) else {
            self.answer_call(turn, driver, bid.awaited());
            turn.reply(ask.reply, Err(Refusal::OfferNotFound));
            return;
        };
        let decided = if is_stale(&ask, ride) {
            Err(Refusal::VersionConflict)
        } else {
            ride.accept(bid, turn.now, &self.policy)
        };
        match decided {
            Ok(Some(event)) => self.win(turn, ask, bid, &event),
            Ok(None) => {
                let answer = Ok(done(ride.version, ride.json_for(Reader::Driver)));
                let mut decision = self.decision(turn);
                self.whose(turn, driver, bid.call);
                self.known.answer(turn, ask, answer, &mut decision);
                turn.persist(decision);
            }
            Err(refusal) => self.lose(turn, ask, bid, refusal),
        }
    }

    fn win(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, bid: &Bid, event: &RideEvent) {
        let driver = bid.driver.id;
        let mut decision = self.decision(turn);
        // Those who were refused before him rank before him.
        let mut attempts = self.answer_losers(turn);
        attempts.push(self.attempt(turn, driver, "accepted", None));
        self.record_attempts(attempts, &mut decision);
        // Before it is told, so that all who hear of the ride hear where its driver is.
        if let (Some(ride), Some(position)) = (self.ride.as_mut(), bid.at) {
            ride.locate(position);
        }
        let told = self.record(turn, event, &mut decision);
        let Some(ride) = &self.ride else { return };
        let waited = turn.now.since(ride.search.since);
        turn.note(Note::Accepted { waited });
        let won = Done { version: ride.version, body: told.to(Reader::Driver, ride) };
        self.whose(turn, driver, bid.call);
        self.known.answer(turn, ask, Ok(won), &mut decision);
        self.ask_preceding(turn);
        self.finish(turn, decision);
        self.eta = Eta::default();
        self.look_ahead(turn);
    }

    fn lose(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, bid: &Bid, refusal: Refusal) {
        if let Some(key) = &ask.key {
            self.known.remember(key, Some(refusal));
        }
        let attempt = self.attempt(turn, bid.driver.id, refusal.code(), ask.key);
        self.losers.push(Loser { attempt, refusal, asked: vec![(ask.reply, bid.awaited())] });
    }

    fn attempt(
        &self,
        turn: &mut Turn<'_, R>,
        driver: DriverId,
        outcome: &'static str,
        command: Option<CommandKey>,
    ) -> Attempt {
        turn.note(Note::Attempt { outcome });
        let ride = self.ride.as_ref();
        let offered = ride.and_then(|ride| ride.offered_at(driver, &self.policy));
        let latency = offered.map(|at| turn.now.since(at)).unwrap_or_default();
        Attempt { driver, outcome, at: turn.now, latency, command }
    }

    /// Tells a driver's machine what came of its call, if it waits for that.
    fn answer_call(&self, turn: &mut Turn<'_, R>, driver: DriverId, call: Option<u64>) {
        if let Some(call) = call {
            self.whose(turn, driver, call);
        }
    }

    /// Records the attempts refused since the last commit, and answers them.
    pub(super) fn record_losers(&mut self, turn: &mut Turn<'_, R>) {
        let mut decision = self.decision(turn);
        let attempts = self.answer_losers(turn);
        self.record_attempts(attempts, &mut decision);
        turn.persist(decision);
    }

    /// Answers the refused, for a decision that records their attempts in the same turn.
    fn answer_losers(&mut self, turn: &mut Turn<'_, R>) -> Vec<Attempt> {
        let mut attempts = Vec::with_capacity(self.losers.len());
        for loser in std::mem::take(&mut self.losers) {
            for (reply, call) in loser.asked {
                self.answer_call(turn, loser.attempt.driver, call);
                turn.reply(reply, Err(loser.refusal));
            }
            attempts.push(loser.attempt);
        }
        attempts
    }

    fn record_attempts(&mut self, attempts: Vec<Attempt>, decision: &mut Decision) {
        if attempts.is_empty() {
            return;
        }
        let first_rank = self.attempts.saturating_add(1);
        let count = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
        self.attempts = self.attempts.saturating_add(count);
        decision.rows.push(Row::Attempts(AttemptsRow { ride: self.id, first_rank, attempts }));
    }

    pub(super) fn decline(
        &mut self,
        turn: &mut Turn<'_, R>,
        ask: Ask<R>,
        driver: DriverId,
        decide: impl FnOnce(&Ride) -> Result<Option<RideEvent>, Refusal>,
    ) {
        let ride = self.ride.as_ref();
        if !ride.is_some_and(|ride| is_candidate(ride, driver)) {
            turn.reply(ask.reply, Err(Refusal::OfferNotFound));
            return;
        }
        let happened = self.command(turn, ask, Reader::Offered, |ride, _| decide(ride).into());
        if happened {
            self.hurry(turn);
        }
    }

    /// Whether a driver's machine is about to be told what became of his accept.
    pub(super) fn is_about_to_hear(&self, driver: DriverId) -> bool {
        let his = |loser: &&Loser<R>| loser.attempt.driver == driver;
        let waits = |loser: &Loser<R>| loser.asked.iter().any(|(_, call)| call.is_some());
        self.losers.iter().filter(his).any(waits)
    }

    /// Whether a driver whose offer closes is told so by the answer that his own accept waits for.
    pub(super) fn is_told_by_answer(&self, driver: DriverId, reason: &str) -> bool {
        let says_so = |refusal| {
            matches!(
                (refusal, reason),
                (Refusal::RideAlreadyAssigned, "taken")
                    | (Refusal::OfferExpired, "expired")
                    | (Refusal::RideClosed, "canceled" | "expired")
            )
        };
        let his = |loser: &&Loser<R>| loser.attempt.driver == driver;
        let mut his_own = self.losers.iter().filter(his);
        his_own.any(|loser| says_so(loser.refusal))
    }
}

/// Whether `driver` was ever offered this ride, or has it.
fn is_candidate(ride: &Ride, driver: DriverId) -> bool {
    ride.was_offered_to(driver) || ride.is_driven_by(driver)
}
