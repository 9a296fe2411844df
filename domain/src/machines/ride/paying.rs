//! What the end of a ride leaves to be paid by Pix: the payment is recorded with it, and told.

use super::{PassengerInput, Turn};
use crate::facts::{Decision, Entity};
use crate::ledger;
use crate::machines::PaymentInput;
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
    let payment = Payment::owed(Debt { trip, due, shares }, turn.now, &policy.payments);
    decision.rows.extend(payment.first_rows());
    if payment.is_busy() {
        decision.wakes.push((Entity::Payment(payment.id), turn.now));
        let id = payment.id;
        turn.tell_payment(id, PaymentInput::Opened(Box::new(payment)));
    }
}

/// The word to its passenger's machine that a ride is over, and what he owes for it, where that can
/// be paid.
pub(super) fn ended<R>(ride: &Ride, policy: &RidePolicy) -> PassengerInput<R> {
    let owes = ride.owed().filter(|_| policy.payments.charges);
    PassengerInput::Ended { ride: ride.id, owes }
}
