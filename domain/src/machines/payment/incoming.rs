//! What came in: whose it is, and that it is taken in once.

use super::{
    Centavos, Decision, EndToEndId, HINT_TRIES, Incoming, Payment, PaymentId, PaymentInput,
    PaymentMachine, Said, TRIES, Turn,
};

impl<R> PaymentMachine<R> {
    pub(super) fn confirmed(
        &mut self,
        turn: &mut Turn<'_, R>,
        pix: &EndToEndId,
        said: Said<Incoming>,
    ) {
        let incoming = match said {
            Said::Found(incoming) => incoming,
            // The provider does not know it: a forged word, or an early one.
            Said::Absent | Said::Unfinished { .. } => {
                if let Some(watch) = self.hints.get_mut(pix) {
                    watch.again(turn.now, TRIES, false);
                }
                self.hints.retain(|_, watch| watch.tries < HINT_TRIES);
                return;
            }
            Said::Refused { .. } | Said::Mismatched => {
                self.hints.remove(pix);
                return;
            }
        };
        self.hints.remove(pix);
        let named = incoming.txid.as_ref().and_then(Payment::of_txid);
        match named.filter(|payment| *payment != self.id) {
            Some(payment) => turn.tell_payment(payment, PaymentInput::Claimed(incoming)),
            None => self.came_in(turn, incoming),
        }
    }

    /// Takes in a Pix that names this payment, or none.
    pub(super) fn came_in(&mut self, turn: &mut Turn<'_, R>, incoming: Incoming) {
        let claims = self.payment.as_ref().is_some_and(|payment| payment.claims(&incoming));
        let early = self.payment.as_ref().is_some_and(|payment| payment.comes_too_early(&incoming));
        let stray = PaymentId::of_stray(&incoming.pix);
        if early {
            // It is asked for again, once it is known what credit has paid.
            self.look_at(turn.now + TRIES.first, incoming.pix);
        } else if claims {
            let mut decision = self.decision(turn);
            self.take_in(turn, &incoming, &mut decision);
            self.answer_waiting(turn, &mut decision);
            self.finish(turn, decision);
        } else if stray == self.id {
            self.unclaimed(turn, &incoming);
        } else {
            turn.tell_payment(stray, PaymentInput::Unclaimed(incoming));
        }
    }

    /// Takes in a Pix that is for nobody.
    pub(super) fn unclaimed(&mut self, turn: &mut Turn<'_, R>, incoming: &Incoming) {
        if self.payment.is_none() && incoming.amount > Centavos::ZERO {
            self.payment = Some(Payment::stray(&incoming.pix, turn.now));
        }
        let mut decision = self.decision(turn);
        self.take_in(turn, incoming, &mut decision);
        self.finish(turn, decision);
    }

    pub(super) fn take_in(
        &mut self,
        turn: &mut Turn<'_, R>,
        incoming: &Incoming,
        decision: &mut Decision,
    ) {
        let events = self.payment.as_ref().map(|payment| payment.receive(incoming));
        for event in events.into_iter().flatten() {
            self.record(turn, &event, decision);
        }
        let stated = self.payment.as_ref().and_then(|payment| payment.state(incoming, turn.now));
        if let Some(event) = stated {
            self.record(turn, &event, decision);
        }
        let took = |payment: &Payment| payment.bank_took(&incoming.pix, &incoming.taken_back);
        for _ in &incoming.taken_back {
            let Some(event) = self.payment.as_ref().and_then(took) else { break };
            self.record(turn, &event, decision);
        }
        while let Some(claim) = self.next_over(&incoming.pix) {
            let let_go = self.payment.as_ref().and_then(|payment| payment.bank_let_go(&claim));
            if let Some(event) = let_go {
                self.record(turn, &event, decision);
            }
        }
    }

    /// Takes out a claim whose time was over before this Pix was looked at.
    fn next_over(&mut self, pix: &EndToEndId) -> Option<String> {
        let of_pix = self.over.iter().find(|(of, _)| of == pix).cloned()?;
        self.over.remove(&of_pix);
        Some(of_pix.1)
    }
}
