//! Debts that end without being paid: waived by an admin, written off when they are old.

use serde_json::{Value, json};

use super::{Ask, PaymentMachine, Refusal, Turn};
use crate::facts::{Act, AuditRow};
use crate::person::Role;

impl<R> PaymentMachine<R> {
    /// An admin lets the passenger off a fee, paid or not.
    pub(super) fn waive(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, reason: &str) {
        let Some(payment) = &self.payment else {
            turn.reply(ask.reply, Err(Refusal::NotFound));
            return;
        };
        let stale = ask.if_version.is_some_and(|version| version != payment.version);
        let decided = if stale { Err(Refusal::VersionConflict) } else { payment.waive(turn.now) };
        let changes = json!({
            "amount": payment.row().amount.to_string(),
            "status": payment.status,
            "reason": reason,
        });
        let mut decision = self.decision(turn);
        match decided {
            Ok(event) => {
                let act = self.act("payment.waive", changes);
                decision.audit.push(ask.audit(Role::Admin, act, turn.now));
                self.record(turn, &event, &mut decision);
                self.answer_waiting(turn, &mut decision);
                self.answer(turn, ask, &mut decision);
            }
            Err(refusal) => self.known.answer(turn, ask, Err(refusal), &mut decision),
        }
        self.finish(turn, decision);
    }

    /// Writes off what is owed for too long.
    pub(super) fn write_off(&mut self, turn: &mut Turn<'_, R>) {
        let Some(payment) = &self.payment else { return };
        let Some(event) = payment.write_off(turn.now, &self.policy) else { return };
        let changes = json!({ "amount": payment.row().amount.to_string() });
        let mut decision = self.decision(turn);
        let act = self.act("payment.write_off", changes);
        decision.audit.push(AuditRow::of_system(act, turn.now));
        self.record(turn, &event, &mut decision);
        self.finish(turn, decision);
    }

    fn act(&self, action: &'static str, changes: Value) -> Act {
        Act { action, entity_type: "payment", entity_id: self.id.0, changes }
    }
}
