//! The race: waves of offers, accepts, declines and expiry.

use super::{
    Ask, Attempt, AttemptsRow, Candidate, CommandKey, Decision, DispatcherInput, DriverCard,
    DriverId, DriverInput, DriverPosition, Entity, Envelope, Loser, Millis, Note, Offer, OfferId,
    Output, Outputs, Reader, Refusal, RideEvent, RideMachine, Row, Seek, Status, StreamId,
    StreamRow, UnixMillis, WaveOffer, WaveRow, Zone, answer, done,
};

/// The one zone of an engine without configured zones.
const WHOLE_AREA: Zone = Zone(0);

/// How long a ride waits for a wave before it asks for it again.
const ASK_AGAIN_AFTER: Millis = Millis::from_secs(2);

impl<R> RideMachine<R> {
    /// Asks the dispatcher for the next wave, and again later should the question be lost: a
    /// dispatcher keeps nothing on disk.
    pub(super) fn start_wave(&self, now: UnixMillis, out: &mut Outputs<R>) {
        let Some(ride) = self.ride.as_ref().filter(|ride| ride.status == Status::Searching) else {
            return;
        };
        let wave = ride.search.wave.saturating_add(1);
        let seek = Seek {
            ride: ride.id,
            search: ride.search.reassignments,
            wave,
            pickup: ride.order.pickup,
            category: ride.order.category,
            radius: self.policy.wave_radius(wave),
            count: self.policy.wave_size(wave),
            excluded: ride.not_to_ask(),
            slots_until: self.policy.offer_ttl,
        };
        let input = DispatcherInput::Seek(Box::new(seek));
        out.push(Output::Send(Envelope::Dispatcher(WHOLE_AREA, input)));
        let ask_again = now + ASK_AGAIN_AFTER;
        let due = self.deadline().filter(|due| *due > now);
        out.push(Output::Alarm(Some(due.map_or(ask_again, |due| due.min(ask_again)))));
    }

    /// Starts the next wave where the last event made it due at once.
    pub(super) fn seek_if_due(&self, now: UnixMillis, out: &mut Outputs<R>) {
        if self.ride.as_ref().is_some_and(|ride| ride.search.next_wave_at <= now) {
            self.start_wave(now, out);
        }
    }

    /// Makes the offers of a wave. A wave that comes too late only gives its slots back.
    pub(super) fn offers_found(
        &mut self,
        now: UnixMillis,
        (search, wave): (u8, u16),
        candidates: Vec<Candidate>,
        out: &mut Outputs<R>,
    ) {
        let expected = self.ride.as_ref().is_some_and(|ride| {
            ride.status == Status::Searching
                && ride.search.reassignments == search
                && ride.search.wave + 1 == wave
        });
        if !expected {
            for candidate in candidates {
                let free = DriverInput::OfferClosed { ride: self.id };
                out.push(Output::Send(Envelope::Driver(candidate.driver, free)));
            }
            return;
        }
        let expires_at = now + self.policy.offer_ttl;
        let offers: Vec<Offer> = candidates
            .into_iter()
            .map(|Candidate { driver, offer, distance, eta }| Offer {
                id: offer,
                driver,
                wave,
                expires_at,
                distance,
                eta,
            })
            .collect();
        // Nobody in reach: look farther at once, while there is a farther.
        let at_once = offers.is_empty() && self.policy.grows_after(wave);
        let next_wave_at = if at_once { now } else { now + self.policy.next_wave_after(wave) };
        let mut decision = Decision::new(Entity::Ride(self.id), now);
        if !offers.is_empty() {
            self.tell_offers(&mut decision, &offers, (search, wave, expires_at));
            out.push(Output::Note(Note::OffersMade { count: offers.len() }));
        }
        let event = RideEvent::OffersMade { wave, offers, next_wave_at };
        self.record(now, &event, &mut decision, out);
        self.finish(decision, out);
        if at_once {
            self.start_wave(now, out);
        }
    }

    fn tell_offers(
        &self,
        decision: &mut Decision,
        offers: &[Offer],
        (search, wave, expires_at): (u8, u16, UnixMillis),
    ) {
        let Some(ride) = &self.ride else { return };
        for offer in offers {
            let body = serde_json::json!({
                "offer_id": offer.id,
                "ride_id": ride.id,
                "category": ride.order.category,
                "pickup": ride.order.pickup,
                "dropoff": ride.order.dropoff,
                "fare": ride.order.fare.estimated.to_string(),
                "currency": "BRL",
                "pickup_distance_m": offer.distance,
                "pickup_eta_s": offer.eta,
                "expires_at": expires_at.to_string(),
            });
            decision.streams.push(StreamRow {
                stream: StreamId::Driver(offer.driver),
                op: "offer.made",
                key: ride.id.0,
                version: ride.version + 1,
                expires_at: Some(expires_at),
                urgent: true,
                body: body.to_string().into(),
            });
        }
        let line = |offer: &Offer| WaveOffer {
            id: offer.id,
            driver: offer.driver,
            distance: offer.distance,
            eta: offer.eta,
        };
        let offers = offers.iter().map(line).collect();
        decision.rows.push(Row::Wave(WaveRow { ride: ride.id, wave, search, expires_at, offers }));
    }

    /// A refused accept waits here until it is recorded; asked again meanwhile, it waits twice.
    pub(super) fn replay_accept(
        &self,
        ask: Ask<R>,
        driver: DriverId,
        out: &mut Outputs<R>,
    ) -> Option<Ask<R>> {
        let ask = self.known.replay(ask, out);
        if ask.is_none() {
            self.whose(driver, out);
        }
        ask
    }

    pub(super) fn accept(
        &mut self,
        now: UnixMillis,
        ask: Ask<R>,
        driver: &DriverCard,
        (offer, position): (Option<OfferId>, Option<DriverPosition>),
        out: &mut Outputs<R>,
    ) {
        let Some(ride) = &self.ride else {
            self.refuse_driver(ask, driver.id, Refusal::OfferNotFound, out);
            return;
        };
        let stale = ask.if_version.is_some_and(|version| version != ride.version);
        let decided = ride.accept(driver, offer, now, &self.policy);
        match if stale { Err(Refusal::VersionConflict) } else { decided } {
            Ok(Some(event)) => self.win(now, ask, (driver.id, position), &event, out),
            Ok(None) => {
                let answered = done(ride.version, ride.json_for(Reader::Driver));
                let mut decision = Decision::new(Entity::Ride(self.id), now);
                answer(ask, Ok(answered), &mut self.known, &mut decision, out);
                self.whose(driver.id, out);
                self.finish(decision, out);
            }
            // Nothing is recorded for one who was never asked: strangers shall not make us write.
            Err(Refusal::OfferNotFound) => {
                self.refuse_driver(ask, driver.id, Refusal::OfferNotFound, out);
            }
            Err(refusal) => {
                let attempt = self.attempt(now, driver.id, refusal.code(), ask.key.clone());
                if let Some(key) = &ask.key {
                    self.known.remember(key, Some(refusal));
                }
                out.push(Output::Note(Note::Attempt { outcome: refusal.code() }));
                self.losers.push(Loser { ask, attempt, refusal });
            }
        }
    }

    fn win(
        &mut self,
        now: UnixMillis,
        ask: Ask<R>,
        (driver, position): (DriverId, Option<DriverPosition>),
        event: &RideEvent,
        out: &mut Outputs<R>,
    ) {
        let mut attempt = self.attempt(now, driver, "accepted", ask.key.clone());
        attempt.command = None;
        self.withdraw(Some(driver), "taken");
        let mut decision = Decision::new(Entity::Ride(self.id), now);
        self.record(now, event, &mut decision, out);
        if let (Some(ride), Some(position)) = (self.ride.as_mut(), position) {
            ride.follow(position, &self.policy);
        }
        let Some(ride) = &self.ride else { return };
        let won = done(ride.version, ride.json_for(Reader::Driver));
        out.push(Output::Note(Note::Accepted { waited: now.since(ride.search.since) }));
        out.push(Output::Note(Note::Attempt { outcome: "accepted" }));
        self.attempts += 1;
        decision.rows.push(Row::Attempts(AttemptsRow {
            ride: self.id,
            first_rank: self.attempts,
            attempts: vec![attempt],
        }));
        answer(ask, Ok(won), &mut self.known, &mut decision, out);
        out.push(Output::Send(Envelope::Driver(driver, DriverInput::Won { ride: self.id })));
        self.finish(decision, out);
    }

    fn attempt(
        &self,
        now: UnixMillis,
        driver: DriverId,
        outcome: &'static str,
        command: Option<CommandKey>,
    ) -> Attempt {
        let offered = self.ride.as_ref().and_then(|ride| ride.offered_at(driver, &self.policy));
        let latency = offered.map(|at| now.since(at)).unwrap_or_default();
        Attempt { driver, outcome, at: now, latency, command }
    }

    fn refuse_driver(&self, ask: Ask<R>, driver: DriverId, refusal: Refusal, out: &mut Outputs<R>) {
        out.push(Output::Reply(ask.reply, Err(refusal)));
        let released = DriverInput::NotWon { ride: self.id };
        out.push(Output::Send(Envelope::Driver(driver, released)));
    }

    /// Records the attempts refused since the last commit, and answers them.
    pub(super) fn record_losers(&mut self, now: UnixMillis, out: &mut Outputs<R>) {
        if self.losers.is_empty() {
            return;
        }
        let first_rank = self.attempts + 1;
        let mut attempts = Vec::with_capacity(self.losers.len());
        for Loser { ask, attempt, refusal } in std::mem::take(&mut self.losers) {
            let driver = attempt.driver;
            attempts.push(attempt);
            self.refuse_driver(ask, driver, refusal, out);
        }
        self.attempts =
            self.attempts.saturating_add(u32::try_from(attempts.len()).unwrap_or(u32::MAX));
        let mut decision = Decision::new(Entity::Ride(self.id), now);
        decision.rows.push(Row::Attempts(AttemptsRow { ride: self.id, first_rank, attempts }));
        out.push(Output::Persist(Box::new(decision)));
    }

    pub(super) fn decline(
        &mut self,
        now: UnixMillis,
        ask: Ask<R>,
        (driver, offer, reason): (DriverId, Option<OfferId>, Option<String>),
        out: &mut Outputs<R>,
    ) {
        let offered = self.ride.as_ref().is_some_and(|ride| ride.was_offered_to(driver));
        if !offered {
            out.push(Output::Reply(ask.reply, Err(Refusal::OfferNotFound)));
            return;
        }
        let decide = |ride: &crate::ride::Ride, _: &_| ride.decline(driver, offer, reason).into();
        self.command(now, ask, Reader::Driver, decide, out);
        let free = DriverInput::OfferClosed { ride: self.id };
        out.push(Output::Send(Envelope::Driver(driver, free)));
        self.hurry(now, out);
    }

    /// Starts the next wave when nobody is left to answer this one.
    fn hurry(&mut self, now: UnixMillis, out: &mut Outputs<R>) {
        let Some(ride) = &self.ride else { return };
        let nobody_left = ride.status == Status::Searching
            && ride.search.wave > 0
            && ride.search.next_wave_at > now
            && ride.open_offers().next().is_none();
        if nobody_left {
            self.start_wave(now, out);
        }
    }

    /// Something is due: offers are over, the next wave starts, or the search is given up.
    pub(super) fn alarm(&mut self, now: UnixMillis, out: &mut Outputs<R>) {
        let Some(ride) = self.ride.as_ref().filter(|ride| ride.status == Status::Searching) else {
            return;
        };
        let mut decision = Decision::new(Entity::Ride(self.id), now);
        let give_up = now >= ride.search.since + self.policy.search;
        let overdue = ride.overdue_offers(now, &self.policy);
        let expired = !overdue.is_empty();
        if expired {
            self.withdraw_these(&overdue, "expired");
            let event = RideEvent::OffersExpired { drivers: overdue };
            self.record(now, &event, &mut decision, out);
        }
        if give_up {
            self.withdraw(None, "expired");
            self.record(now, &RideEvent::NoDriver, &mut decision, out);
        }
        self.finish(decision, out);
        if give_up {
            return;
        }
        let due = self.ride.as_ref().is_some_and(|ride| ride.search.next_wave_at <= now);
        if due {
            self.start_wave(now, out);
        } else if expired {
            self.hurry(now, out);
        }
    }

    /// Notes every open offer as closed when `event` ends the search.
    pub(super) fn withdraw_all_if_over(&mut self, event: &RideEvent) {
        if let RideEvent::Canceled { .. } = event {
            self.withdraw(None, "canceled");
        }
    }

    fn withdraw(&mut self, except: Option<DriverId>, reason: &'static str) {
        if let Some(ride) = &self.ride {
            let closed = ride.open_offers().filter(|offer| Some(offer.driver) != except);
            self.withdrawn.extend(closed.map(|offer| (offer.clone(), reason)));
        }
    }

    fn withdraw_these(&mut self, drivers: &[DriverId], reason: &'static str) {
        if let Some(ride) = &self.ride {
            let closed = ride.open_offers().filter(|offer| drivers.contains(&offer.driver));
            self.withdrawn.extend(closed.map(|offer| (offer.clone(), reason)));
        }
    }

    /// Tells drivers that their offers are closed; not those whose own accept is told so now.
    pub(super) fn tell_withdrawn(&mut self, now: UnixMillis, out: &mut Outputs<R>) {
        if self.withdrawn.is_empty() {
            return;
        }
        let version = self.ride.as_ref().map_or(0, |ride| ride.version);
        let mut decision = Decision::new(Entity::Ride(self.id), now);
        for (offer, reason) in std::mem::take(&mut self.withdrawn) {
            let free = DriverInput::OfferClosed { ride: self.id };
            out.push(Output::Send(Envelope::Driver(offer.driver, free)));
            if self.losers.iter().any(|loser| loser.attempt.driver == offer.driver) {
                continue;
            }
            let body = serde_json::json!({
                "offer_id": offer.id, "ride_id": self.id, "reason": reason,
            });
            decision.streams.push(StreamRow {
                stream: StreamId::Driver(offer.driver),
                op: "offer.withdrawn",
                key: self.id.0,
                version,
                expires_at: None,
                urgent: false,
                body: body.to_string().into(),
            });
        }
        if !decision.is_empty() {
            out.push(Output::Persist(Box::new(decision)));
        }
    }
}
