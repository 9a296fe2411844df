//! What is paid for a ride by Pix: what its end leaves, which is recorded with it, and tips.

use super::record::is_stale;
use super::{Ask, Centavos, PassengerInput, Refusal, RideMachine, Turn};
use crate::facts::{Decision, Entity};
use crate::ids::PaymentId;
use crate::ledger;
use crate::machines::PaymentInput;
use crate::mutants::{Mutant, is};
use crate::payment::{Debt, Payment};
use crate::policy::RidePolicy;
use crate::ride::{Ride, RideEvent};

/// Opens the payment that `event` leaves, in the commit of `event`.
pub(super) fn open<R>(
    turn: &mut Turn<'_, R>,
    decision: &mut Decision,
    (ride, event): (&Ride, &RideEvent),
    policy: &RidePolicy,
) {
    // What was priced is an amount.
    let owed = ledger::owed_for(ride, event, &policy.terms).ok().flatten();
    let Some((trip, due, shares)) = owed else { return };
    let debt = Debt { trip, due, shares };
    let payment = match ride.order.prepaid {
        true => Payment::prepaid(debt, turn.now),
        false => Payment::owed(debt, turn.now, &policy.payments),
    };
    decision.rows.extend(payment.first_rows());
    if payment.is_busy() {
        let id = payment.id;
        if !is(Mutant::PaymentNotWoken) {
            decision.wakes.push((Entity::Payment(id), turn.now));
        }
        turn.tell_payment(id, PaymentInput::Opened(Box::new(payment)));
    }
}

/// The word to its passenger's machine that a ride is over, and what he owes for it, where that can
/// be paid.
pub(super) fn ended<R>(ride: &Ride, policy: &RidePolicy) -> PassengerInput<R> {
    let owes = ride.owed().filter(|_| policy.payments.charges);
    PassengerInput::Ended { ride: ride.id, owes }
}

impl<R> RideMachine<R> {
    /// Its passenger tips its driver: the tip has a payment of its own, which decides the rest.
    pub(super) fn tip(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, amount: Centavos) {
        let his = |ride: &&Ride| ride.order.passenger.id.0 == ask.by.0;
        let Some(ride) = self.ride.as_ref().filter(his) else {
            turn.reply(ask.reply, Err(Refusal::NotFound));
            return;
        };
        let stale = is_stale(&ask, ride);
        let between = match stale {
            true => Err(Refusal::VersionConflict),
            false => ride.tips(turn.now, &self.policy.payments.tips),
        };
        let Some(ask) = self.known.replay(turn, ask) else { return };
        match between {
            Ok(trip) => {
                let tip = PaymentInput::Tip { ask, trip, amount };
                turn.tell_payment(PaymentId::of_tip(trip.ride), tip);
            }
            Err(refusal) => {
                let mut decision = self.decision(turn);
                self.known.answer(turn, ask, Err(refusal), &mut decision);
                self.finish(turn, decision);
            }
        }
    }
}
