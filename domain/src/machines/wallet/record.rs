//! From a wallet's decision to what is recorded and told.

use super::{Turn, WalletMachine};
use crate::dispute::DisputeEvent;
use crate::facts::{Decision, Done, EventRow, HeldRow, PayoutRow, Row, StreamId, StreamRow, Timer};
use crate::ids::{DisputeId, DriverId, PayoutId, RideId};
use crate::ledger::Earning;
use crate::machines::Note;
use crate::mutants::{Mutant, is};
use crate::payout::{Payout, PayoutEvent};

impl<R> WalletMachine<R> {
    /// The payout as whoever asked about it is answered.
    pub(super) fn shown(&self, id: PayoutId) -> Done {
        let payout = self.payouts.get(&id);
        let (version, body) =
            payout.map_or((0, String::new()), |payout| (payout.version, payout.json()));
        Done { version, body: body.into() }
    }

    /// Adds what has just happened to a payout, its row, and what its driver is told.
    pub(super) fn record_event(
        &mut self,
        decision: &mut Decision,
        id: PayoutId,
        event: &PayoutEvent,
    ) {
        let Some(payout) = self.payouts.get(&id) else { return };
        self.events += 1;
        decision.events.push(EventRow {
            seq: self.events,
            kind: event.kind(),
            at: decision.at,
            body: event_json(payout, event).into(),
        });
        decision.rows.retain(|row| !matches!(row, Row::Payout(earlier) if earlier.id == id));
        decision.rows.push(Row::Payout(row_of(payout)));
        if self.driver == DriverId::OWNER {
            // He has no app.
            return;
        }
        decision.streams.push(StreamRow {
            stream: StreamId::Driver(self.driver),
            op: "payout.updated",
            key: id.0,
            version: payout.version,
            expires_at: None,
            urgent: false,
            body: ["{\"payout\":", &payout.json(), "}"].concat().into(),
        });
    }

    /// Adds what has just happened to a dispute, and its row.
    pub(super) fn record_dispute(
        &mut self,
        decision: &mut Decision,
        id: DisputeId,
        event: &DisputeEvent,
    ) {
        let Some(dispute) = self.disputes.get(&id) else { return };
        self.events += 1;
        let body = serde_json::json!({"dispute_id": id, "event": event}).to_string().into();
        let (seq, kind) = (self.events, event.kind());
        decision.events.push(EventRow { seq, kind, at: decision.at, body });
        decision.rows.retain(|row| !matches!(row, Row::Dispute(earlier) if earlier.id == id));
        decision.rows.push(Row::Dispute(dispute.row()));
    }

    /// Adds the rows of a ride's holds, of which something was taken or given back.
    pub(super) fn record_holds(&self, decision: &mut Decision, ride: RideId) {
        let earnings: Vec<_> = self.wallet.holds_of(ride).map(|(earning, _)| earning).collect();
        for earning in earnings {
            decision.rows.retain(|row| !matches!(row, Row::Held(row) if row.earning == earning));
            self.record_hold(decision, earning);
        }
    }

    /// Adds the row of a hold that has changed.
    pub(super) fn record_hold(&self, decision: &mut Decision, earning: Earning) {
        if let Some(hold) = self.wallet.hold(earning) {
            decision.rows.push(Row::Held(HeldRow { earning, driver: self.driver, hold: *hold }));
        }
    }

    /// Completes a decision with the deadline, and hands it over; what it left queued the line is
    /// told.
    pub(super) fn finish(&mut self, turn: &mut Turn<'_, R>, mut decision: Decision) {
        let queued = decision.rows.iter().filter_map(|row| match row {
            Row::Payout(row) => Some(row.id),
            _ => None,
        });
        let queued: Vec<_> = queued.collect();
        let timer = self.deadline();
        decision.timer = Some(timer).filter(|timer| self.timer != Some(*timer));
        self.timer = Some(timer);
        for event in &decision.events {
            turn.note(match event.kind.starts_with("dispute") {
                true => Note::Dispute { event: event.kind },
                false => Note::Payout { event: event.kind },
            });
        }
        turn.persist(decision);
        for id in queued {
            if self.payouts.get(&id).is_some_and(|payout| payout.status() == "queued") {
                self.tell_of(turn, id);
            }
        }
    }

    /// What has to ring after a start: a payout that is under way at once, or the next hold's end.
    fn deadline(&self) -> Timer {
        let payouts = self.payouts.values().filter(|_| !is(Mutant::PayoutNotWoken));
        let under_way = payouts.filter(|payout| payout.is_under_way());
        let asked = under_way.map(|payout| payout.asked_at).min();
        let release = self.wallet.next_release().filter(|_| !is(Mutant::HoldNotWoken));
        let dispute = self.next_dispute().filter(|_| !is(Mutant::DisputeNotWoken));
        let due = asked.into_iter().chain(release).chain(dispute);
        due.min().map_or(Timer::Off, Timer::Due)
    }
}

fn row_of(payout: &Payout) -> PayoutRow {
    PayoutRow {
        id: payout.id,
        driver: payout.driver,
        status: payout.status(),
        amount: payout.amount,
        asked_at: payout.asked_at,
        version: payout.version,
        state: serde_json::to_string(payout).unwrap_or_default().into(),
    }
}

/// The event with the payout that it is of: the events are the wallet's.
fn event_json(payout: &Payout, event: &PayoutEvent) -> String {
    serde_json::json!({"payout_id": payout.id, "event": event}).to_string()
}
