//! Effects: calls to the provider that machines want made, carried out beside them. As
//! `src/effects`.
//!
//! What must hold there holds here: an engine that may not act calls nobody, nothing is decided,
//! and what is dropped is wanted again under the same id.

use ibora_domain::machines::{Effect, EffectEnded, Envelope, PaymentEffect, PaymentSeen, Said};
use ibora_domain::payout::{Cleared, Heard, PayoutCall};
use ibora_domain::provider::{Ending, Errand, Order, Patience, REFUND_CARRIED_FOR, Seen, Step};
use ibora_domain::units::{Millis, UnixMillis};

use super::Engine;
use crate::node::NodeEvent;
use crate::provider::{Answer, Call};
use crate::queue::{MS, Micros, SECOND};
use crate::world::{Ids, World};

/// How long a charge is carried on in one go. Then it is said that it has no end yet.
const PATIENCE: Micros = 20 * SECOND;

/// An effect that is being carried out.
pub(super) struct Carrying {
    effect: Effect,
    /// Of an order under an id of ours; a question, and what the line carries itself, has none.
    errand: Option<Errand>,
    until: Micros,
    /// The call that is out is the order itself.
    sends: bool,
}

impl Carrying {
    fn new(effect: Effect, now: UnixMillis, until: Micros) -> Self {
        let begun = |in_doubt: bool, amount, patience| {
            let order = Order { amount, key: None };
            match in_doubt {
                true => Errand::in_doubt(order, patience, now),
                false => Errand::new(order, patience, now),
            }
        };
        let errand = match &effect {
            Effect::Payment(_, PaymentEffect::Charge { amount, in_doubt, .. }) => {
                Some(begun(*in_doubt, *amount, Patience::CHARGE))
            }
            Effect::Payment(_, PaymentEffect::Refund { amount, in_doubt, .. }) => {
                Some(begun(*in_doubt, *amount, Patience::REFUND))
            }
            Effect::Payment(..) | Effect::Payout(..) => None,
        };
        let sends = matches!(effect, Effect::Payment(_, PaymentEffect::TakeBack { .. }));
        Self { effect, errand, until, sends }
    }

    /// The call to make now. `sends`: it is the order itself.
    fn call(&self, sends: bool) -> Call {
        match &self.effect {
            Effect::Payment(_, PaymentEffect::Charge { txid, amount, expires_in, .. }) if sends => {
                let (txid, amount, expires_in) = (txid.clone(), *amount, *expires_in);
                Call::PutCharge { txid, amount, expires_in }
            }
            Effect::Payment(_, PaymentEffect::TakeBack { txid }) if sends => {
                Call::RemoveCharge { txid: txid.clone() }
            }
            Effect::Payment(
                _,
                PaymentEffect::Charge { txid, .. }
                | PaymentEffect::Look { txid }
                | PaymentEffect::TakeBack { txid },
            ) => Call::GetCharge { txid: txid.clone() },
            Effect::Payment(_, PaymentEffect::Confirm { pix }) => Call::GetPix { pix: pix.clone() },
            Effect::Payment(_, PaymentEffect::Refund { pix, id, amount, .. }) => {
                let (pix, id, amount) = (pix.clone(), id.clone(), *amount);
                match sends {
                    true => Call::PutRefund { pix, id, amount },
                    false => Call::GetRefund { pix, id },
                }
            }
            Effect::Payout(_, PayoutCall::Clear(_)) => Call::Balance,
            Effect::Payout(_, PayoutCall::Send(order)) => Call::Send(order.clone()),
            Effect::Payout(_, PayoutCall::Ask(id)) => Call::GetSend { id: id.clone() },
        }
    }

    /// Takes in what came of an order's call.
    fn heed<S: Seen>(
        &mut self,
        now: UnixMillis,
        outcome: ibora_domain::provider::Outcome<S>,
        dice: u64,
    ) -> Option<Ending<S>> {
        let errand = self.errand.as_mut()?;
        match self.sends {
            true => errand.sent(now, outcome, dice),
            false => errand.asked(now, outcome, dice),
        }
    }

    fn carried<S, T>(&self, ending: Option<Ending<S>>, read: impl FnOnce(S) -> Said<T>) -> Said<T> {
        match &self.errand {
            Some(errand) => Said::carried(ending, errand, read),
            None => Said::Unfinished { in_doubt: true },
        }
    }
}

impl Engine {
    /// Begins to carry out an effect, if this engine may act.
    pub(super) fn carry(&mut self, world: &mut World, effect: Effect) {
        if self.may_act(world).is_err() {
            return;
        }
        let number = Ids::next(&mut world.ids.request);
        let until = world.now
            + match &effect {
                Effect::Payment(_, PaymentEffect::Refund { .. }) => REFUND_CARRIED_FOR.0 * MS,
                Effect::Payment(..) | Effect::Payout(..) => PATIENCE,
            };
        let carrying = Carrying::new(effect, world.clock(self.node), until);
        self.carrying.insert(number, carrying);
        self.carry_on(world, number);
    }

    /// The next call of an effect, or the wait for it.
    pub fn carry_on(&mut self, world: &mut World, number: u64) {
        let now = world.clock(self.node);
        let Some(carrying) = self.carrying.get_mut(&number) else { return };
        if let Some(errand) = &carrying.errand {
            carrying.sends = match errand.step(now) {
                Step::Send => true,
                Step::Ask => false,
                Step::Wait { until } => {
                    let wait = until.since(now).max(Millis(1)).0 * MS;
                    if world.now + wait > carrying.until {
                        self.give_up(world, number);
                    } else {
                        world.to_node(self.node, wait, NodeEvent::Carry { number });
                    }
                    return;
                }
            };
        }
        // Whether payouts are stopped is asked of the database first.
        let clears = matches!(carrying.effect, Effect::Payout(_, PayoutCall::Clear(_)));
        if clears && world.nodes[self.node].is_cut_off(world.now) {
            self.heard_of_payout(world, number, Heard::Cleared(Cleared::Unknown));
            return;
        }
        let call = carrying.call(carrying.sends);
        world.call(self.node, number, call);
    }

    /// What came of a call.
    pub fn heard(&mut self, world: &mut World, number: u64, answer: Answer) {
        let (now, dice) = (world.clock(self.node), world.chance.below(u64::MAX));
        let Some(carrying) = self.carrying.get_mut(&number) else { return };
        match (&carrying.effect, answer) {
            (Effect::Payment(_, PaymentEffect::Charge { txid, .. }), Answer::Charge(outcome)) => {
                let txid = txid.clone();
                let ending = carrying.heed(now, outcome, dice);
                if ending.is_none() {
                    return self.carry_on(world, number);
                }
                let said = carrying.carried(ending, |found| Said::Found(found.seen));
                self.heard_of_payment(world, number, PaymentSeen::Charge { txid, said });
            }
            (Effect::Payment(_, PaymentEffect::TakeBack { .. }), _) if carrying.sends => {
                carrying.sends = false;
                self.carry_on(world, number);
            }
            (
                Effect::Payment(_, PaymentEffect::Look { txid } | PaymentEffect::TakeBack { txid }),
                Answer::Charge(outcome),
            ) => {
                let txid = txid.clone();
                let said = Said::answered(outcome, |found| Said::Found(found.seen));
                self.heard_of_payment(world, number, PaymentSeen::Charge { txid, said });
            }
            (Effect::Payment(_, PaymentEffect::Confirm { pix }), Answer::Pix(outcome)) => {
                let pix = pix.clone();
                let said = Said::answered(outcome, Said::Found);
                self.heard_of_payment(world, number, PaymentSeen::Confirm { pix, said });
            }
            (Effect::Payment(_, PaymentEffect::Refund { id, .. }), Answer::Refund(outcome)) => {
                let id = id.clone();
                let ending = carrying.heed(now, outcome, dice);
                if ending.is_none() {
                    return self.carry_on(world, number);
                }
                let said = carrying.carried(ending, |found| Said::Found(found.seen));
                self.heard_of_payment(world, number, PaymentSeen::Refund { id, said });
            }
            (Effect::Payout(_, PayoutCall::Clear(amount)), Answer::Balance(outcome)) => {
                let cleared = match outcome.done() {
                    Some(balance) if balance >= *amount => Cleared::Yes,
                    Some(_) => Cleared::Short,
                    None => Cleared::Unknown,
                };
                self.heard_of_payout(world, number, Heard::Cleared(cleared));
            }
            (Effect::Payout(_, PayoutCall::Send(_)), Answer::Send(outcome)) => {
                self.heard_of_payout(world, number, Heard::Sent(outcome));
            }
            (Effect::Payout(_, PayoutCall::Ask(_)), Answer::Send(outcome)) => {
                self.heard_of_payout(world, number, Heard::Asked(outcome));
            }
            // A call is answered as what it is.
            (Effect::Payment(..) | Effect::Payout(..), _) => {}
        }
    }

    /// An order was carried on for long enough: it has no end yet.
    fn give_up(&mut self, world: &mut World, number: u64) {
        let Some(carrying) = self.carrying.get(&number) else { return };
        let Some(errand) = &carrying.errand else { return };
        let in_doubt = errand.is_in_doubt();
        let seen = match &carrying.effect {
            Effect::Payment(_, PaymentEffect::Charge { txid, .. }) => {
                let said = Said::Unfinished { in_doubt };
                PaymentSeen::Charge { txid: txid.clone(), said }
            }
            Effect::Payment(_, PaymentEffect::Refund { id, .. }) => {
                PaymentSeen::Refund { id: id.clone(), said: Said::Unfinished { in_doubt } }
            }
            Effect::Payment(..) | Effect::Payout(..) => return,
        };
        self.heard_of_payment(world, number, seen);
    }

    fn heard_of_payment(&mut self, world: &mut World, number: u64, seen: PaymentSeen) {
        if let Some(Carrying { effect: Effect::Payment(id, _), .. }) = self.carrying.remove(&number)
        {
            self.send(world, Envelope::from(EffectEnded::Payment(id, seen)));
        }
    }

    fn heard_of_payout(&mut self, world: &mut World, number: u64, heard: Heard) {
        if let Some(Carrying { effect: Effect::Payout(call, _), .. }) =
            self.carrying.remove(&number)
        {
            self.send(world, Envelope::from(EffectEnded::Payout(call, heard)));
        }
    }
}
