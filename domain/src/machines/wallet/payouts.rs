//! What a driver is paid, or the owner: asked for, approved, sent, and how that ended.

use serde_json::{Value, json};

use super::{LineNews, Sweep, TOLD_EVERY, Verdict, WalletMachine, Wanted, day_of};
use crate::facts::{Act, Decision};
use crate::ids::PayoutId;
use crate::ledger::{FinancialEvent, Payee, PayoutRefusal, PayoutTerms};
use crate::machines::{Ask, LineInput, Note, Turn};
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::payout::{Payout, PayoutEvent, Phase};
use crate::person::Role;
use crate::refusal::Refusal;
use crate::units::UnixMillis;

impl<R> WalletMachine<R> {
    pub(super) fn ask(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, wanted: &Wanted) {
        let mut decision = self.decision(turn);
        self.release(turn, &mut decision);
        let amount = wanted.amount.to_string();
        let reason = wanted.sweep.as_ref().map(|sweep| sweep.reason.clone());
        let answer = match self.open(turn.now, wanted, &mut decision) {
            Ok(id) => {
                let (role, action, changes) = match reason {
                    None => (Role::Driver, "payout.request", json!({ "amount": amount })),
                    Some(reason) => {
                        let changes = json!({"amount": amount, "reason": reason});
                        (Role::Admin, "platform.sweep", changes)
                    }
                };
                decision.audit.push(ask.audit(role, act(action, id, changes), turn.now));
                Ok(self.shown(id))
            }
            Err(refusal) => Err(refusal),
        };
        self.known.answer(turn, ask, answer, &mut decision);
        self.finish(turn, decision);
    }

    fn open(
        &mut self,
        now: UnixMillis,
        wanted: &Wanted,
        decision: &mut Decision,
    ) -> Result<PayoutId, Refusal> {
        let payee = wanted.payee.clone().ok_or(Refusal::PixKeyMissing)?;
        if wanted.key.as_ref().is_some_and(|key| *key != payee.key) {
            return Err(Refusal::PixKeyMismatch);
        }
        if now < payee.usable_from {
            return Err(Refusal::PixKeyCooling);
        }
        let (terms, booked) = match &wanted.sweep {
            Some(sweep) => self.swept((wanted.id, wanted.amount), sweep, now)?,
            None => {
                let (when, rules) = ((day_of(now), now), &self.policy.payouts);
                let asked = self.wallet.ask_payout(wanted.id, wanted.amount, when, rules);
                asked.map_err(|refusal| match refusal {
                    PayoutRefusal::BelowMinimum { .. } => Refusal::BelowMinimum,
                    PayoutRefusal::InsufficientBalance => Refusal::InsufficientBalance,
                    PayoutRefusal::LimitExceeded { .. } => Refusal::LimitExceeded,
                })?
            }
        };
        decision.money.push(booked);
        let mut payout = Payout::requested(&terms, self.driver, payee.key, now);
        // Of one's own money nobody is the only one who decides.
        if terms.amount > self.policy.approved_above || wanted.sweep.is_some() {
            payout.phase = Phase::AwaitingApproval;
        }
        self.payouts.insert(terms.id, payout);
        let event = PayoutEvent::Requested { amount: terms.amount, fee: terms.fee };
        self.record_event(decision, terms.id, &event);
        Ok(terms.id)
    }

    /// What is nobody else's goes to the owner (E17), less what stays.
    fn swept(
        &self,
        (id, amount): (PayoutId, Centavos),
        sweep: &Sweep,
        now: UnixMillis,
    ) -> Result<(PayoutTerms, FinancialEvent), Refusal> {
        // Something was decided here that what was read does not know of.
        if sweep.events != self.events {
            return Err(Refusal::Unavailable);
        }
        if amount.0 > sweep.spare.0.saturating_sub(self.policy.sweep_keeps.0) {
            return Err(Refusal::InsufficientBalance);
        }
        let terms = PayoutTerms { id, payee: Payee::Owner, amount, fee: Centavos::ZERO };
        // An amount above nothing: this cannot fail.
        let booked = terms.requested(now).map_err(|_| Refusal::BelowMinimum)?;
        Ok((terms, booked))
    }

    pub(super) fn review(
        &mut self,
        turn: &mut Turn<'_, R>,
        ask: Ask<R>,
        id: PayoutId,
        verdict: Verdict,
    ) {
        let Some(payout) = self.payouts.get(&id) else {
            // One that has ended is not in memory, and nobody decides on it any more.
            let mut decision = self.decision(turn);
            let refusal = Err(Refusal::IllegalTransition);
            self.known.answer(turn, ask, refusal, &mut decision);
            self.finish(turn, decision);
            return;
        };
        let (before, action) = (payout.status(), verdict.action());
        let decided = match verdict {
            Verdict::Approved => payout.approve(ask.by),
            Verdict::Rejected { reason } => payout.reject(ask.by, reason),
        };
        let mut decision = self.decision(turn);
        let answer = match decided {
            Ok(event) => {
                self.happened(turn.now, id, &event, &mut decision);
                let after = self.payouts.get(&id).map(Payout::status);
                let act = act(action, id, json!({"before": before, "after": after}));
                decision.audit.push(ask.audit(Role::Admin, act, turn.now));
                Ok(self.shown(id))
            }
            Err(refusal) => Err(refusal),
        };
        self.known.answer(turn, ask, answer, &mut decision);
        self.finish(turn, decision);
        if matches!(self.payouts.get(&id).map(|payout| &payout.phase), Some(Phase::Rejected { .. }))
        {
            // The next one need not wait until there is money for it.
            turn.tell_line(LineInput::Drop { payout: id });
        }
    }

    /// Applies what happened to a payout, with what it does to wallet and ledger.
    fn happened(
        &mut self,
        now: UnixMillis,
        id: PayoutId,
        event: &PayoutEvent,
        decision: &mut Decision,
    ) {
        let Some(payout) = self.payouts.get_mut(&id) else { return };
        let terms = payout.terms();
        let asked_on = day_of(payout.asked_at);
        payout.apply(event, now);
        let booked = match event {
            PayoutEvent::Done => terms.done(Centavos::ZERO, now).map(Some),
            PayoutEvent::Failed { .. } | PayoutEvent::Rejected { .. } => {
                self.wallet.unpaid(&terms, asked_on);
                terms.failed(now).map(Some)
            }
            PayoutEvent::Returned { id, amount } => {
                self.wallet.credited(*amount);
                terms.returned(id.as_str(), *amount, now).map(Some)
            }
            PayoutEvent::Requested { .. }
            | PayoutEvent::Approved { .. }
            | PayoutEvent::Sending
            | PayoutEvent::Accepted { .. }
            | PayoutEvent::SetAside => Ok(None),
        };
        // What was asked for was booked, so that its end can be.
        decision.money.extend(booked.ok().flatten());
        self.record_event(decision, id, event);
    }

    /// The line wants to send a payout: that is recorded first.
    pub(super) fn turn_of(&mut self, turn: &mut Turn<'_, R>, id: PayoutId) {
        match self.payouts.get(&id).map(|payout| &payout.phase) {
            Some(Phase::Queued) => {
                let mut decision = self.decision(turn);
                if !is(Mutant::SentUnrecorded) {
                    self.happened(turn.now, id, &PayoutEvent::Sending, &mut decision);
                }
                self.finish(turn, decision);
                if let Some(payout) = self.payouts.get(&id) {
                    let order = Box::new(payout.order(self.document));
                    turn.tell_line(LineInput::Go { order, driver: self.driver });
                }
            }
            Some(Phase::InFlight { .. } | Phase::SetAside { .. }) => self.tell_of(turn, id),
            Some(
                Phase::AwaitingApproval
                | Phase::Done { .. }
                | Phase::Failed { .. }
                | Phase::Rejected { .. },
            )
            | None => turn.tell_line(LineInput::Drop { payout: id }),
        }
    }

    pub(super) fn line(&mut self, turn: &mut Turn<'_, R>, id: PayoutId, news: LineNews) {
        let Some(payout) = self.payouts.get(&id) else { return };
        let under_way = payout.in_flight_since().is_some();
        let events = match news {
            LineNews::Found(sent) if !payout.is_of(&sent) => {
                turn.note(Note::PayoutOdd);
                vec![]
            }
            LineNews::Found(sent) => {
                if payout.contradicts(&sent) {
                    turn.note(Note::PayoutOdd);
                }
                payout.news(&sent)
            }
            LineNews::Refused { code } if under_way => {
                vec![PayoutEvent::Failed { code: code.map(|code| code.as_str().to_owned()) }]
            }
            LineNews::SetAside if matches!(payout.phase, Phase::InFlight { .. }) => {
                vec![PayoutEvent::SetAside]
            }
            LineNews::Refused { .. } | LineNews::SetAside => vec![],
        };
        let mut decision = self.decision(turn);
        for event in &events {
            self.happened(turn.now, id, event, &mut decision);
        }
        self.finish(turn, decision);
        // An earlier life of this wallet may have had the line go on with it meanwhile.
        if events.iter().any(|event| matches!(event, PayoutEvent::Failed { .. })) {
            turn.tell_line(LineInput::Drop { payout: id });
        }
    }

    /// Has the line ask about a payout. One that is not in memory had ended when this machine was
    /// built, and this machine has recorded nothing of it: a record that is as new as the machine
    /// is right. An older one may lack what an earlier life booked; whoever hints does so again.
    pub(super) fn hint(&mut self, turn: &mut Turn<'_, R>, recorded: Payout, as_of: u64) {
        let id = recorded.id;
        if as_of >= self.built_at {
            self.payouts.entry(id).or_insert(recorded);
        }
        let Some(payout) = self.payouts.get(&id) else { return };
        match payout.phase {
            Phase::InFlight { .. }
            | Phase::SetAside { .. }
            | Phase::Done { .. }
            | Phase::Failed { .. } => {
                let order = Box::new(payout.order(self.document));
                turn.tell_line(LineInput::Look { order, driver: self.driver });
            }
            Phase::AwaitingApproval | Phase::Queued | Phase::Rejected { .. } => {}
        }
    }

    /// Tells the line of what is under way, when it is time to.
    pub(super) fn tell_line(&mut self, turn: &mut Turn<'_, R>) {
        if self.tells_at.is_none_or(|at| turn.now < at) {
            return;
        }
        self.tells_at = Some(turn.now + TOLD_EVERY);
        let under_way = self.payouts.values().filter(|payout| payout.is_under_way());
        let ids: Vec<_> = under_way.map(|payout| payout.id).collect();
        for id in ids {
            self.tell_of(turn, id);
        }
    }

    pub(super) fn tell_of(&self, turn: &mut Turn<'_, R>, id: PayoutId) {
        let Some(payout) = self.payouts.get(&id) else { return };
        let driver = self.driver;
        match payout.phase {
            Phase::Queued => {
                let amount = payout.terms().net();
                turn.tell_line(LineInput::Queue { payout: id, driver, amount });
            }
            Phase::InFlight { since } | Phase::SetAside { since } => {
                let order = Box::new(payout.order(self.document));
                let aside = matches!(payout.phase, Phase::SetAside { .. });
                turn.tell_line(LineInput::Resume { order, driver, since, aside });
            }
            Phase::AwaitingApproval
            | Phase::Done { .. }
            | Phase::Failed { .. }
            | Phase::Rejected { .. } => {}
        }
    }
}

fn act(action: &'static str, payout: PayoutId, changes: Value) -> Act {
    Act { action, entity_type: "payout", entity_id: payout.0, changes }
}
