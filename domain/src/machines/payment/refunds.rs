//! What goes back: as an admin wants it, and what the provider says of it.

use serde_json::json;

use super::{PaymentMachine, TRIES};
use crate::facts::Act;
use crate::machines::effect::{RefundSeen, Said};
use crate::machines::{Ask, Turn};
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::payment::BorneBy;
use crate::person::Role;
use crate::pix::RefundId;
use crate::refusal::Refusal;

impl<R> PaymentMachine<R> {
    pub(super) fn give_back(
        &mut self,
        turn: &mut Turn<'_, R>,
        ask: Ask<R>,
        (amount, borne_by, reason): (Centavos, BorneBy, String),
    ) {
        let Some(payment) = &self.payment else {
            turn.reply(ask.reply, Err(Refusal::NotFound));
            return;
        };
        let stale = ask.if_version.is_some_and(|version| version != payment.version);
        let decided = match stale {
            true => Err(Refusal::VersionConflict),
            false => payment.give_back(amount, borne_by, turn.now),
        };
        let mut decision = self.decision(turn);
        match decided {
            Ok(event) => {
                let act = Act {
                    action: "payment.refund",
                    entity_type: "payment",
                    entity_id: self.id.0,
                    changes: json!({
                        "amount": amount.to_string(), "borne_by": borne_by, "reason": reason,
                    }),
                };
                decision.audit.push(ask.audit(Role::Admin, act, turn.now));
                self.record(turn, &event, &mut decision);
                self.answer(turn, ask, &mut decision);
            }
            Err(refusal) => self.known.answer(turn, ask, Err(refusal), &mut decision),
        }
        self.finish(turn, decision);
    }

    pub(super) fn refund_said(
        &mut self,
        turn: &mut Turn<'_, R>,
        id: &RefundId,
        said: &Said<RefundSeen>,
    ) {
        let done = match said {
            Said::Found(RefundSeen::Returned) => true,
            Said::Found(RefundSeen::Failed) | Said::Refused { .. } => false,
            Said::Found(RefundSeen::Pending) if is(Mutant::RefundAgain) => false,
            Said::Found(RefundSeen::Pending) | Said::Absent | Said::Mismatched => {
                if let Some(watch) = self.refunds.get_mut(id) {
                    watch.again(turn.now, TRIES, true);
                }
                return;
            }
            Said::Unfinished { in_doubt } => {
                if let Some(watch) = self.refunds.get_mut(id) {
                    watch.again(turn.now, TRIES, *in_doubt);
                }
                return;
            }
        };
        let ended = self.payment.as_ref().and_then(|payment| payment.refund_ended(id, done));
        if let Some(event) = ended {
            let mut decision = self.decision(turn);
            self.record(turn, &event, &mut decision);
            self.finish(turn, decision);
        }
    }
}
