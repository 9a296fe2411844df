//! A tip: given through its ride, which knows who may give it.

use super::{Ask, Centavos, Payment, PaymentMachine, Trip, Turn};

impl<R> PaymentMachine<R> {
    /// Has the charge of a tip made, and answers once there is one.
    pub(super) fn tip(
        &mut self,
        turn: &mut Turn<'_, R>,
        ask: Ask<R>,
        (trip, amount): (Trip, Centavos),
    ) {
        let first = Payment::tip(trip, turn.now);
        let given =
            self.payment.as_ref().unwrap_or(&first).give_tip(amount, turn.now, &self.policy);
        let mut decision = self.decision(turn);
        match given {
            Ok(events) => {
                self.payment.get_or_insert(first);
                for event in &events {
                    self.record(turn, event, &mut decision);
                }
                self.answer_with_charge(turn, ask, &mut decision);
            }
            Err(refusal) => self.known.answer(turn, ask, Err(refusal), &mut decision),
        }
        self.finish(turn, decision);
    }
}
