//! What a payment waits for from the provider, and when it asks again.

use super::{
    Backoff, Centavos, Effect, EndToEndId, FAILED, HINTS_MAX, Incoming, LOOKS, Millis, Mutant,
    Payment, PaymentEffect, PaymentEvent, PaymentMachine, Receipt, RefundId, RefundStage, Stage,
    Turn, UnixMillis, is,
};

/// An effect whose outcome was not told for so long is wanted again: the word of it was lost.
const LOST_AFTER: Millis = Millis::from_secs(120);

/// A charge that the provider has shown is there, though it may not be found for a moment: ended
/// too early, it could be paid beside the one that follows it.
const ABSENT_FOR: Millis = Millis::from_secs(60);

/// One thing that is asked of the provider until its end is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    /// When it is asked next.
    pub(super) due: UnixMillis,
    /// Since when an answer is awaited.
    pub(super) out_since: Option<UnixMillis>,
    pub(super) tries: u32,
    /// The order may be there.
    pub(super) in_doubt: bool,
    /// Since when the provider says that there is nothing.
    absent_since: Option<UnixMillis>,
}

impl Watch {
    pub(super) fn new(due: UnixMillis, in_doubt: bool) -> Self {
        Self { due, out_since: None, tries: 0, in_doubt, absent_since: None }
    }

    /// Whether an answer is awaited.
    pub(super) const fn is_out(&self) -> bool {
        self.out_since.is_some()
    }

    /// The provider says that there is nothing: whether that is believed, having been so for a
    /// while.
    pub(super) fn is_absent(&mut self, now: UnixMillis) -> bool {
        let since = *self.absent_since.get_or_insert(now);
        now.since(since) >= ABSENT_FOR
    }

    /// The provider has it.
    pub(super) const fn is_found(&mut self) {
        self.absent_since = None;
    }

    /// It was answered and has no end yet: asks again after a while.
    pub(super) fn again(&mut self, now: UnixMillis, backoff: Backoff, in_doubt: bool) {
        self.tries += 1;
        self.out_since = None;
        self.in_doubt = in_doubt;
        // Spread by when each began, which is as good as chance.
        let dice = u64::try_from(now.0).unwrap_or(0);
        self.due = now + backoff.after(self.tries, dice);
    }

    /// Whether it is to be asked now. It is then out.
    pub(super) fn fires(&mut self, now: UnixMillis) -> bool {
        let lost = self.out_since.is_some_and(|since| now.since(since) >= LOST_AFTER);
        let fires = match self.out_since {
            Some(_) => lost,
            None => now >= self.due,
        };
        self.in_doubt |= lost;
        if fires {
            self.out_since = Some(now);
        }
        fires
    }

    /// When it is to be looked at next.
    fn next(&self) -> UnixMillis {
        self.out_since.map_or(self.due, |since| since + LOST_AFTER)
    }
}

impl<R> PaymentMachine<R> {
    /// Somebody says that a Pix came in, or that something of it went back.
    pub(super) fn hint(&mut self, now: UnixMillis, pix: EndToEndId, refund: Option<&RefundId>) {
        // Of one that is taken in, what the provider took of it may be left to ask.
        let done = |known: &Receipt| known.pix == pix && known.tariff.is_some();
        let is_known = |payment: &Payment| match refund {
            Some(id) => payment.knows_back(id),
            None => payment.receipts.iter().any(done),
        };
        if !self.payment.as_ref().is_some_and(is_known) {
            self.look_at(now, pix);
        }
    }

    /// Has the provider asked what became of a Pix, from then on.
    pub(super) fn look_at(&mut self, now: UnixMillis, pix: EndToEndId) {
        if self.hints.len() < HINTS_MAX {
            self.hints.entry(pix).or_insert(Watch::new(now, false));
        }
    }

    /// A planted bug: what somebody says is taken for what the provider says.
    pub(super) fn believe(&mut self, turn: &mut Turn<'_, R>, pix: EndToEndId) {
        let said = self.payment.as_ref().and_then(|payment| {
            let txid = Some(payment.txid(payment.charges.last()?.number));
            let (amount, tariff) = (payment.row().amount, Some(Centavos::ZERO));
            Some(Incoming { pix, txid, amount, tariff, taken_back: vec![] })
        });
        if let Some(said) = said {
            self.came_in(turn, said);
        }
    }

    /// Sees to it that everything under way is asked for, and comes back when the next is due.
    /// `rebuilt`: an earlier life may have ordered it.
    pub(super) fn attend(&mut self, turn: &mut Turn<'_, R>, rebuilt: bool) {
        self.watch_credit(turn);
        self.watch_charge(turn, rebuilt);
        self.watch_refunds(turn, rebuilt);
        for (pix, watch) in &mut self.hints {
            if watch.fires(turn.now) {
                let effect = PaymentEffect::Confirm { pix: pix.clone() };
                turn.effect(Effect::Payment(self.id, effect));
            }
        }
        self.watch_wallets(turn, rebuilt);
        let watches = self.charge.iter().chain(self.refunds.values()).chain(self.hints.values());
        let watches = watches.chain(self.wallets.values()).chain(&self.credit);
        turn.alarm(watches.map(Watch::next).min());
    }

    fn watch_charge(&mut self, turn: &mut Turn<'_, R>, rebuilt: bool) {
        let Some((payment, charge)) =
            self.payment.as_ref().and_then(|payment| Some((payment, payment.open_charge()?)))
        else {
            self.charge = None;
            return;
        };
        let txid = payment.txid(charge.number);
        let live = matches!(charge.stage, Stage::Live { .. });
        let over = turn.now >= charge.expires_at || !payment.status.is_payable();
        // A machine is often rebuilt by the word of a Pix, which is asked for by itself.
        let first = if live && !over { turn.now + LOOKS.first } else { turn.now };
        let watch = self.charge.get_or_insert(Watch::new(first, rebuilt));
        if live && !over {
            watch.due = watch.due.min(charge.expires_at);
        }
        if live && over && is(Mutant::ChargeForgotten) {
            let (mut decision, number) = (self.decision(turn), charge.number);
            self.record(turn, &PaymentEvent::ChargeEnded { number }, &mut decision);
            return self.finish(turn, decision);
        }
        if !watch.fires(turn.now) {
            return;
        }
        let effect = match charge.stage {
            Stage::Live { .. } if over => PaymentEffect::TakeBack { txid },
            Stage::Live { .. } => PaymentEffect::Look { txid },
            Stage::Making | Stage::Ended | Stage::Refused { .. } => PaymentEffect::Charge {
                txid,
                amount: charge.part.or(payment.wanted()).unwrap_or(Centavos::ZERO),
                expires_in: self.policy.expiry,
                in_doubt: watch.in_doubt,
            },
        };
        turn.effect(Effect::Payment(self.id, effect));
    }

    /// Sends again what failed, once its time has come. True where there may be another.
    fn retries_refund(&mut self, turn: &mut Turn<'_, R>) -> bool {
        let failed = self.payment.as_ref().and_then(|payment| payment.failed_refund().cloned());
        let Some(failed) = failed else { return false };
        // Those of the same Pix have all failed; what became of others says nothing of it.
        let refunds = self.payment.iter().flat_map(|payment| &payment.refunds);
        let tries = refunds.filter(|refund| refund.pix == failed.pix).count();
        let tries = u32::try_from(tries).unwrap_or(u32::MAX);
        let after = FAILED.after(tries, u64::try_from(failed.asked_at.0).unwrap_or(0));
        // From what is recorded: a machine that is built again waits no longer for that.
        let due = failed.asked_at + after;
        let watch = self.refunds.entry(failed.id.clone()).or_insert(Watch::new(due, false));
        if watch.is_out() {
            *watch = Watch::new(due, false);
        }
        let is_due = turn.now >= watch.due;
        if is_due {
            self.refunds.remove(&failed.id);
            self.send_back_again(turn);
        }
        let next = self.payment.as_ref().and_then(Payment::failed_refund);
        is_due && next.is_some_and(|next| next.id != failed.id)
    }

    fn watch_refunds(&mut self, turn: &mut Turn<'_, R>, rebuilt: bool) {
        while self.retries_refund(turn) {}
        let Some(payment) = &self.payment else { return };
        let asked: Vec<_> = payment.refunds.iter().filter(|refund| leaves(refund.stage)).collect();
        let failed = payment.failed_refund().map(|refund| refund.id.clone());
        self.refunds.retain(|id, _| failed.as_ref() == Some(id) || has(&asked, id));
        for refund in asked {
            let watch =
                self.refunds.entry(refund.id.clone()).or_insert(Watch::new(turn.now, rebuilt));
            if watch.fires(turn.now) {
                let effect = PaymentEffect::Refund {
                    pix: refund.pix.clone(),
                    id: refund.id.clone(),
                    amount: refund.amount,
                    in_doubt: watch.in_doubt,
                };
                turn.effect(Effect::Payment(self.id, effect));
            }
        }
    }

    fn send_back_again(&mut self, turn: &mut Turn<'_, R>) {
        let mut decision = self.decision(turn);
        if let Some(event) = self.payment.as_ref().and_then(Payment::refund_met) {
            self.record(turn, &event, &mut decision);
        }
        if let Some(event) = self.payment.as_ref().and_then(Payment::refund_again) {
            self.record(turn, &event, &mut decision);
        }
        self.finish(turn, decision);
    }
}

/// Whether the provider is asked to carry a refund out.
fn leaves(stage: RefundStage) -> bool {
    let early = stage == RefundStage::Decided && is(Mutant::RefundUnfrozen);
    stage == RefundStage::Asked || early
}

fn has(refunds: &[&crate::payment::Refund], id: &RefundId) -> bool {
    refunds.iter().any(|refund| refund.id == *id)
}
