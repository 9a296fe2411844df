//! A passenger's credit: what is put in and given, and what payments are answered of it.

use serde_json::json;

use super::{Centavos, CreditId, Decision, Entity, PassengerMachine, PaymentId, Refusal, done};
use crate::credit::{CreditKind, CreditLot, CreditUse};
use crate::facts::{Act, Row};
use crate::ledger::{credit_used, goodwill};
use crate::machines::{Ask, PaymentInput, Turn};
use crate::payment::TopUp;
use crate::person::Role;

impl PassengerMachine {
    /// He puts money in: the payment of it has a charge made, and answers.
    pub(super) fn top_up<R>(
        &mut self,
        turn: &mut Turn<'_, R>,
        ask: Ask<R>,
        (payment, amount): (PaymentId, Centavos),
    ) {
        if let Some(refusal) = self.still_running(ask.key.as_ref()) {
            turn.reply(ask.reply, Err(refusal));
            return;
        }
        let asked_before = ask.key.as_ref().is_some_and(|key| self.known.went_elsewhere(key))
            || self.top_ups.contains_key(&payment);
        let may = if asked_before { Ok(()) } else { self.may_put_in(amount) };
        if let Err(refusal) = may {
            let mut decision = self.decision(turn);
            self.known.answer(turn, ask, Err(refusal), &mut decision);
            turn.persist(decision);
            return;
        }
        if let Some(key) = &ask.key {
            self.known.goes_elsewhere(key);
        }
        // One that was asked for before is in there, or has ended.
        if !asked_before {
            self.top_ups.insert(payment, amount);
        }
        let top_up = TopUp { passenger: self.id, amount };
        turn.tell_payment(payment, PaymentInput::TopUp { ask, top_up });
    }

    fn may_put_in(&self, amount: Centavos) -> Result<(), Refusal> {
        let limits = &self.limits;
        match amount {
            _ if !self.charges => Err(Refusal::Unavailable),
            // What he owes comes first.
            _ if !self.owed.is_empty() => Err(Refusal::DebtOutstanding),
            _ if !(limits.top_up_min..=limits.top_up_max).contains(&amount) => {
                Err(Refusal::AmountOutOfRange)
            }
            _ => self.has_room(amount),
        }
    }

    /// Whether he may have so much more, with what he is about to put in.
    fn has_room(&self, amount: Centavos) -> Result<(), Refusal> {
        let coming = self.top_ups.values().map(|amount| amount.0).fold(0, i64::saturating_add);
        let all = self.credit.left().0.saturating_add(coming).saturating_add(amount.0);
        if all > self.limits.max.0 { Err(Refusal::AmountOutOfRange) } else { Ok(()) }
    }

    /// An admin gives him credit (E16).
    pub(super) fn give_credit<R>(
        &mut self,
        turn: &mut Turn<'_, R>,
        ask: Ask<R>,
        (id, amount, reason): (CreditId, Centavos, &str),
    ) {
        let mut decision = self.decision(turn);
        let given = goodwill(&id.0.simple().to_string(), self.id, amount, turn.now);
        let given = given.map_err(|_| Refusal::AmountOutOfRange);
        match self.has_room(amount).and(given) {
            Ok(event) => {
                let lot = CreditLot {
                    id,
                    passenger: self.id,
                    kind: CreditKind::Goodwill,
                    amount,
                    used: Centavos::ZERO,
                    payment: None,
                    at: turn.now,
                };
                self.credit.add(lot);
                decision.rows.push(Row::Credit(lot));
                decision.money.push(event);
                let act = Act {
                    action: "passenger.credit",
                    entity_type: "passenger",
                    entity_id: self.id.0,
                    changes: json!({"amount": amount.to_string(), "reason": reason}),
                };
                decision.audit.push(ask.audit(Role::Admin, act, turn.now));
                let body = json!({
                    "credit_id": id, "passenger_id": self.id, "kind": lot.kind.as_str(),
                    "amount": amount.to_string(), "balance": self.credit.left().to_string(),
                    "currency": "BRL",
                });
                let given = done(0, body.to_string());
                self.known.answer(turn, ask, Ok(given), &mut decision);
            }
            Err(refusal) => self.known.answer(turn, ask, Err(refusal), &mut decision),
        }
        turn.persist(decision);
    }

    /// Answers a payment's question: what it is told is recorded first, and is told again whenever
    /// it asks again.
    pub(super) fn use_credit<R>(
        &mut self,
        turn: &mut Turn<'_, R>,
        (payment, number): (PaymentId, u16),
        upto: Centavos,
    ) {
        let known = self.credit.answer(payment, number);
        let amount = known.unwrap_or_else(|| self.pay(turn, (payment, number), upto));
        // Nothing is left to pay, whether or not he has heard that there was.
        if amount >= upto {
            self.is_settled(payment);
        }
        turn.tell_payment(payment, PaymentInput::Credited { number, amount });
    }

    fn pay<R>(
        &mut self,
        turn: &mut Turn<'_, R>,
        (payment, number): (PaymentId, u16),
        upto: Centavos,
    ) -> Centavos {
        let mut decision = self.decision(turn);
        let (amount, lots) = self.credit.take(upto);
        let used = CreditUse { payment, number, passenger: self.id, amount, at: turn.now };
        self.credit.remember(&used);
        // Of nothing nothing is booked; whatever else was taken is an amount.
        decision.money.extend(credit_used(&used));
        decision.rows.extend(lots.into_iter().map(Row::Credit));
        decision.rows.push(Row::CreditUse(used));
        turn.persist(decision);
        amount
    }

    fn decision<R>(&self, turn: &Turn<'_, R>) -> Decision {
        Decision::new(Entity::Passenger(self.id), turn.now)
    }
}
