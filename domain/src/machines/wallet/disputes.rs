//! What is taken from a driver's accounts against his will, frozen, and given back.
//!
//! A payment says what is wanted and how that stands, as often as it takes; each is acted on once,
//! by its id. Whatever is taken is booked in the commit that takes it, and answered after that.

use serde_json::json;

use super::WalletMachine;
use crate::dispute::{Claim, Dispute, DisputeEvent, Ground, Overdue, Stands, Winner, shown};
use crate::facts::{Act, Decision, Done, EvidenceRow, Row};
use crate::ids::{DisputeId, UserId};
use crate::ledger::{Bearer, Block, FinancialEvent, Refund, Shares, Taken, TakenByBank};
use crate::machines::{Ask, PaymentInput, Turn};
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::person::Role;
use crate::refusal::Refusal;
use crate::units::UnixMillis;

/// How a dispute ends: who decided, and why.
type Decided = (Winner, Option<UserId>, Option<String>);

impl<R> WalletMachine<R> {
    /// A payment says how something stands that is wanted of his share.
    pub(super) fn claim(
        &mut self,
        turn: &mut Turn<'_, R>,
        claim: Claim,
        stands: &Stands,
        ask: Option<Ask<R>>,
    ) {
        let (id, driver) = (claim.id, self.driver);
        if claim.trip.driver != driver {
            return;
        }
        let mut decision = self.decision(turn);
        if !self.disputes.contains_key(&id) || is(Mutant::ShareTwice) {
            self.open_dispute(turn.now, claim, &mut decision);
        }
        self.goes_on(turn.now, id, stands, &mut decision);
        if let Some(ask) = ask.and_then(|ask| self.known.replay(turn, ask)) {
            let answer = self.dispute_shown(id).ok_or(Refusal::NotFound);
            self.known.answer(turn, ask, answer, &mut decision);
        }
        self.finish(turn, decision);
        self.tell_payment(turn, id);
    }

    /// Says to its payment where a dispute stands.
    pub(super) fn tell_payment(&self, turn: &mut Turn<'_, R>, id: DisputeId) {
        if let Some(dispute) = self.disputes.get(&id) {
            let status = dispute.status;
            let word = PaymentInput::Wallet { dispute: id, status };
            turn.tell_payment(dispute.claim.payment, word);
        }
    }

    fn open_dispute(&mut self, now: UnixMillis, claim: Claim, decision: &mut Decision) {
        let (id, ride, share) = (claim.id, claim.trip.ride, claim.shares.driver);
        let taken = match claim.freezes() {
            true => self.wallet.freeze(ride, share),
            false => self.wallet.take(ride, share),
        };
        let dispute = Dispute::opened(claim, taken, now, &self.policy.disputes);
        let booked = [blocked(&dispute, now), opened(&dispute, now)];
        decision.money.extend(booked.into_iter().flatten());
        let event = DisputeEvent::Opened { taken, due_at: dispute.due_at };
        self.disputes.insert(id, dispute);
        self.record_dispute(decision, id, &event);
        self.record_holds(decision, ride);
    }

    /// What its payment knows of a dispute that is open ends it, perhaps.
    fn goes_on(
        &mut self,
        now: UnixMillis,
        id: DisputeId,
        stands: &Stands,
        decision: &mut Decision,
    ) {
        let again = is(Mutant::BankTwiceByClaim) && matches!(stands, Stands::Taken { .. });
        let goes_on = |dispute: &&Dispute| dispute.status.is_open() || again;
        let Some(dispute) = self.disputes.get(&id).filter(goes_on) else { return };
        match (stands, &dispute.claim.ground) {
            (Stands::Granted, Ground::Refund { .. }) => {
                let none = Taken::default();
                self.end(id, (Winner::Passenger, None, None), none, decision);
            }
            (Stands::Refused, Ground::Refund { .. } | Ground::Bank { .. }) => {
                self.undo(now, id, decision);
            }
            (Stands::Taken { pix, id: refund, amount, shares }, Ground::Bank { blocked, .. }) => {
                let taken = TakenByBank {
                    end_to_end: pix.as_str(),
                    id: refund.as_str(),
                    dispute: id,
                    amount: *amount,
                    blocked: *blocked,
                };
                let (short, rest) = self.shares_out(id, shares.driver);
                let Some(dispute) = self.disputes.get(&id) else { return };
                let claim = Claim { amount: *amount, shares: *shares, ..dispute.claim.clone() };
                let booked = taken.gone(dispute.books(), claim.borne(short, rest), now);
                decision.money.extend(booked.ok());
                self.end(id, (Winner::Passenger, None, None), short, decision);
            }
            (Stands::Open | Stands::Granted | Stands::Refused | Stands::Taken { .. }, _) => {}
        }
    }

    /// The refund was not carried out, or the banks refused the claim: what was taken is his again.
    fn undo(&mut self, now: UnixMillis, id: DisputeId, decision: &mut Decision) {
        let Some(dispute) = self.disputes.get(&id).cloned() else { return };
        let ride = dispute.claim.trip.ride;
        let given = self.wallet.give_back(ride, dispute.taken);
        let booked = match &dispute.claim.ground {
            Ground::Refund { .. } => {
                refund_of(&dispute).and_then(|(refund, by)| refund.failed(by, given, now).ok())
            }
            Ground::Contested(_) | Ground::Bank { .. } => {
                dispute.books().undone(dispute.taken, given, now).ok()
            }
        };
        decision.money.extend(booked.filter(|_| !is(Mutant::FreezeKept)));
        if let Some(event) = block_of(&dispute).and_then(|block| block.rejected(now).ok()) {
            decision.money.push(event);
        }
        self.pay_off(now, &dispute, given.available, decision);
        self.end(id, (Winner::Driver, None, None), Taken::default(), decision);
        self.record_holds(decision, ride);
    }

    /// Of what he was given back he pays what he owes.
    fn pay_off(
        &mut self,
        now: UnixMillis,
        dispute: &Dispute,
        credited: Centavos,
        decision: &mut Decision,
    ) {
        let key = format!("dispute:{}", dispute.claim.id.0.simple());
        let ride = dispute.claim.trip.ride;
        decision.money.extend(self.wallet.set_off(ride, (&key, credited), now));
    }

    /// What of his `share` is not in escrow, and is taken now; and what too much lies there.
    fn shares_out(&mut self, id: DisputeId, share: Centavos) -> (Taken, Centavos) {
        let Some(dispute) = self.disputes.get(&id) else {
            return (Taken::default(), Centavos::ZERO);
        };
        let (escrow, ride) = (dispute.escrow(), dispute.claim.trip.ride);
        let short = Centavos((share.0 - escrow.0).max(0));
        let rest = Centavos((escrow.0 - share.0).max(0));
        self.wallet.credited(rest);
        (self.wallet.take(ride, short), rest)
    }

    fn end(
        &mut self,
        id: DisputeId,
        (winner, by, reason): Decided,
        short: Taken,
        decision: &mut Decision,
    ) {
        let Some(dispute) = self.disputes.get_mut(&id) else { return };
        let ride = dispute.claim.trip.ride;
        let event = DisputeEvent::Ended { winner, by, reason, short };
        dispute.apply(&event, decision.at);
        self.record_dispute(decision, id, &event);
        if short.held > Centavos::ZERO {
            self.record_holds(decision, ride);
        }
    }

    /// Rules what somebody contested: the escrow is his again, or goes back with the commission.
    fn ruled(&mut self, now: UnixMillis, id: DisputeId, how: Decided, decision: &mut Decision) {
        let Some(dispute) = self.disputes.get(&id).cloned() else { return };
        let claim = &dispute.claim;
        let (booked, short) = match how.0 {
            Winner::Driver => {
                self.wallet.credited(dispute.escrow());
                (dispute.books().for_driver(now), Taken::default())
            }
            Winner::Passenger => {
                let (short, rest) = self.shares_out(id, claim.shares.driver);
                let borne = claim.borne(short, rest);
                (dispute.books().for_passenger(claim.amount, borne, now), short)
            }
        };
        // Nothing lay there and nothing goes back: then nothing is booked.
        decision.money.extend(booked.ok());
        if how.0 == Winner::Driver {
            if is(Mutant::EscrowTwice) {
                self.wallet.credited(dispute.escrow());
            }
            self.pay_off(now, &dispute, dispute.escrow(), decision);
        }
        self.end(id, how, short, decision);
    }

    /// An admin rules.
    pub(super) fn rule(
        &mut self,
        turn: &mut Turn<'_, R>,
        ask: Ask<R>,
        id: DisputeId,
        (winner, reason): (Winner, String),
    ) {
        let mut decision = self.decision(turn);
        let decided = match self.disputes.get(&id) {
            None => Err(Refusal::NotFound),
            Some(it) if ask.if_version.is_some_and(|version| version != it.version) => {
                Err(Refusal::VersionConflict)
            }
            Some(dispute) if dispute.may_be_ruled() => Ok(dispute.status),
            Some(_) => Err(Refusal::IllegalTransition),
        };
        let answer = match decided {
            Ok(before) => {
                let changes = json!({"before": before, "for": winner, "reason": reason});
                let how = (winner, Some(ask.by), Some(reason));
                self.ruled(turn.now, id, how, &mut decision);
                let act = act("dispute.ruling", id, changes);
                decision.audit.push(ask.audit(Role::Admin, act, turn.now));
                self.dispute_shown(id).ok_or(Refusal::NotFound)
            }
            Err(refusal) => Err(refusal),
        };
        self.known.answer(turn, ask, answer, &mut decision);
        self.finish(turn, decision);
        self.tell_payment(turn, id);
    }

    /// Somebody adds to it.
    pub(super) fn evidence(
        &mut self,
        turn: &mut Turn<'_, R>,
        ask: Ask<R>,
        id: DisputeId,
        (role, text): (Role, String),
    ) {
        let mut decision = self.decision(turn);
        let said = match self.disputes.get(&id) {
            Some(dispute) => dispute.say(ask.by, role),
            None => Err(Refusal::NotFound),
        };
        let answer = match said {
            Ok(event) => {
                self.take_down(turn.now, id, &event, &mut decision);
                let number = self.disputes.get(&id).map_or(0, |dispute| dispute.evidence);
                let (by, at, text) = (ask.by, turn.now, text.into());
                let role_name = role.as_str();
                let row = EvidenceRow { dispute: id, number, by, role: role_name, text, at };
                decision.rows.push(Row::Evidence(row));
                let policy = self.policy.disputes;
                let next = self.disputes.get(&id).and_then(|it| it.answered(role, &policy));
                if let Some(event) = next {
                    self.take_down(turn.now, id, &event, &mut decision);
                }
                let act = act("dispute.evidence", id, json!({ "number": number }));
                decision.audit.push(ask.audit(role, act, turn.now));
                self.dispute_shown(id).ok_or(Refusal::NotFound)
            }
            Err(refusal) => Err(refusal),
        };
        self.known.answer(turn, ask, answer, &mut decision);
        self.finish(turn, decision);
    }

    fn take_down(
        &mut self,
        now: UnixMillis,
        id: DisputeId,
        event: &DisputeEvent,
        decision: &mut Decision,
    ) {
        if let Some(dispute) = self.disputes.get_mut(&id) {
            dispute.apply(event, now);
            self.record_dispute(decision, id, event);
        }
    }

    /// Does what deadlines that have passed do by themselves; says which were ruled by it.
    pub(super) fn overdue(&mut self, now: UnixMillis, decision: &mut Decision) -> Vec<DisputeId> {
        let policy = self.policy.disputes;
        let due = self.disputes.iter().filter_map(|(id, dispute)| {
            dispute.overdue(now, &policy).map(|overdue| (*id, overdue))
        });
        let due: Vec<_> = due.collect();
        let mut ruled = Vec::new();
        for (id, overdue) in due {
            match overdue {
                Overdue::Review(event) => self.take_down(now, id, &event, decision),
                Overdue::Rule(winner) => {
                    self.ruled(now, id, (winner, None, None), decision);
                    ruled.push(id);
                }
            }
        }
        ruled
    }

    /// When the next dispute goes on by itself.
    pub(super) fn next_dispute(&self) -> Option<UnixMillis> {
        self.disputes.values().filter_map(|dispute| dispute.due_at).min()
    }

    fn dispute_shown(&self, id: DisputeId) -> Option<Done> {
        let dispute = self.disputes.get(&id)?;
        Some(Done { version: dispute.version, body: shown(dispute).into() })
    }
}

fn act(action: &'static str, dispute: DisputeId, changes: serde_json::Value) -> Act {
    Act { action, entity_type: "dispute", entity_id: dispute.0, changes }
}

/// The refund whose shares a dispute is, and who bears it.
fn refund_of(dispute: &Dispute) -> Option<(Refund<'_>, Bearer)> {
    let claim = &dispute.claim;
    let Ground::Refund { pix, id } = &claim.ground else { return None };
    let (end_to_end, id) = (pix.as_str(), id.as_str());
    let refund = Refund { payment: claim.payment, end_to_end, id, amount: claim.amount };
    let Shares { platform: commission, .. } = claim.shares;
    let (driver, taken, due) = (claim.trip.driver, dispute.taken, claim.due);
    Some((refund, Bearer::Both { driver, taken, commission, due }))
}

/// What is booked as a dispute begins: the shares of a refund, or what goes into escrow.
fn opened(dispute: &Dispute, now: UnixMillis) -> Option<FinancialEvent> {
    match refund_of(dispute) {
        Some((refund, by)) => refund.requested(by, now).ok(),
        // Nothing where nothing was there.
        None => dispute.books().opened(dispute.taken, now).ok(),
    }
}

fn block_of(dispute: &Dispute) -> Option<Block<'_>> {
    let Ground::Bank { claim, blocked } = &dispute.claim.ground else { return None };
    let block = Block { infraction: claim, dispute: dispute.claim.id, amount: *blocked };
    (*blocked > Centavos::ZERO).then_some(block)
}

fn blocked(dispute: &Dispute, now: UnixMillis) -> Option<FinancialEvent> {
    block_of(dispute)?.blocked(now).ok()
}
