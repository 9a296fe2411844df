//! Credit: what a passenger has of it is asked before a charge is ordered, and what he puts in.
//!
//! His machine answers each question once for ever, so it may be asked as often as words are lost.

use super::{Ask, Centavos, Decision, Payment, PaymentMachine, TRIES, TopUp, Turn, Watch};
use crate::machines::PassengerInput;

impl<R> PaymentMachine<R> {
    /// Has the charge of a top-up made, and answers once there is one.
    pub(super) fn top_up(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, top_up: TopUp) {
        let first = Payment::top_up(self.id, turn.now);
        let asked = self.payment.as_ref().unwrap_or(&first).put_in(top_up, turn.now, &self.policy);
        let mut decision = self.decision(turn);
        match asked {
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
        // Asked for again after its end, it is not about to come in.
        if self.payment.as_ref().is_none_or(|payment| !payment.status.is_payable()) {
            let ended = PassengerInput::TopUpEnded { payment: self.id };
            turn.tell_passenger(top_up.passenger, ended);
        }
    }

    /// The passenger's machine looks for the answers to his top-ups, not the payment's: it has to
    /// know which ids he has used.
    pub(super) fn own_results(&self, decision: &mut Decision) {
        let Some(top_up) = self.payment.as_ref().and_then(|payment| payment.top_up) else { return };
        let his = |id: crate::ids::UserId| id.0 == top_up.passenger.0;
        for result in decision.results.iter_mut().filter(|result| his(result.key.principal)) {
            result.owner = top_up.passenger.0;
        }
    }

    /// The answer to a question: perhaps it is paid, perhaps a charge of the rest is ordered.
    pub(super) fn credited(&mut self, turn: &mut Turn<'_, R>, number: u16, amount: Centavos) {
        let said = self.payment.as_ref().and_then(|payment| payment.credit_said(number, amount));
        let Some(event) = said else { return };
        let mut decision = self.decision(turn);
        self.record(turn, &event, &mut decision);
        let payment = self.payment.as_ref();
        let rest = payment.and_then(|payment| payment.order_charge(turn.now, &self.policy));
        if let Some(event) = rest {
            self.record(turn, &event, &mut decision);
        }
        self.answer_waiting(turn, &mut decision);
        self.finish(turn, decision);
    }

    /// Asks what is not answered yet, again and again.
    pub(super) fn watch_credit(&mut self, turn: &mut Turn<'_, R>) {
        let Some((passenger, number, upto)) = self.payment.as_ref().and_then(Payment::asks_credit)
        else {
            self.credit = None;
            return;
        };
        let watch = self.credit.get_or_insert(Watch::new(turn.now, false));
        if watch.fires(turn.now) {
            watch.again(turn.now, TRIES, false);
            let payment = self.id;
            turn.tell_passenger(passenger, PassengerInput::UseCredit { payment, number, upto });
        }
    }

    /// A life that follows tells of the credit that came of this payment: the word of it may have
    /// been lost.
    pub(super) fn tell_credit_again(&self, turn: &mut Turn<'_, R>) {
        let Some(payment) = &self.payment else { return };
        let since = payment.paid_at.unwrap_or(payment.opened_at);
        let lots = payment.put_in_lot(since).into_iter().chain(payment.returned_lots(since));
        for lot in lots {
            turn.tell_passenger(lot.passenger, PassengerInput::Credit(lot));
        }
    }
}
