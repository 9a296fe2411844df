//! What of a payment is wanted back at its driver's cost: his wallet is told until it has said what
//! it did about that, and asked again by the next life of this machine.

use serde_json::json;

use super::{PaymentMachine, RULINGS, Watch};
use crate::dispute::{Opening, Stands, Status};
use crate::facts::Act;
use crate::ids::DisputeId;
use crate::machines::{Ask, Turn, WalletInput};
use crate::payment::{Awaits, BankEnd, BankSays, Payment};
use crate::refusal::Refusal;

impl<R> PaymentMachine<R> {
    /// Somebody contests the ride: what he may want back is reserved, then the wallet freezes it
    /// and answers. Asked again, it is the wallet that knows its answer.
    pub(super) fn contest(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, opening: Opening) {
        let policy = self.policy.disputes;
        let role = opening.role;
        let act = Act {
            action: "dispute.open",
            entity_type: "dispute",
            entity_id: opening.id.0,
            changes: json!({"payment_id": self.id, "reason": opening.reason}),
        };
        let decided = match &self.payment {
            Some(payment) => payment.contest(opening, turn.now, &policy),
            None => Err(Refusal::NotFound),
        };
        let mut decision = self.decision(turn);
        let event = match decided {
            Ok(event) => event,
            Err(refusal) => {
                self.known.answer(turn, ask, Err(refusal), &mut decision);
                self.finish(turn, decision);
                return;
            }
        };
        if let Some(event) = event {
            decision.audit.push(ask.audit(role, act, turn.now));
            self.record(turn, &event, &mut decision);
        }
        self.finish(turn, decision);
        let claim = self.payment.as_ref().and_then(Payment::contest_claim);
        if let Some(claim) = claim {
            let driver = claim.trip.driver;
            let (claim, stands) = (Box::new(claim), Stands::Open);
            turn.tell_wallet(driver, WalletInput::Claim { claim, stands, ask: Some(ask) });
        }
    }

    pub(super) fn wallet(&mut self, turn: &mut Turn<'_, R>, dispute: DisputeId, status: Status) {
        for (_, watch) in self.wallets.iter_mut().filter(|((of, _), _)| *of == dispute) {
            watch.again(turn.now, RULINGS, false);
        }
        let said = self.payment.as_ref().and_then(|payment| payment.wallet_said(dispute, status));
        if let Some(event) = said {
            let mut decision = self.decision(turn);
            self.record(turn, &event, &mut decision);
            self.finish(turn, decision);
        }
    }

    pub(super) fn bank(&mut self, turn: &mut Turn<'_, R>, says: &BankSays) {
        if says.end == Some(BankEnd::Granted) {
            // What was taken, and under which id, the Pix itself says.
            self.look_at(turn.now, says.pix.clone());
            let is_over = says.over_at.is_some_and(|over_at| over_at <= turn.now);
            let let_go = self.payment.as_ref().and_then(|it| it.bank_let_go(&says.name));
            if is_over && let_go.is_some() {
                self.over.insert((says.pix.clone(), says.name.clone()));
            }
        }
        let event = self.payment.as_ref().and_then(|payment| payment.bank_says(says));
        if let Some(event) = event {
            let mut decision = self.decision(turn);
            self.record(turn, &event, &mut decision);
            self.finish(turn, decision);
        }
    }

    /// Tells the driver's wallet whatever it has not said its word to.
    pub(super) fn watch_wallets(&mut self, turn: &mut Turn<'_, R>, rebuilt: bool) {
        let matters = self.payment.as_ref().map(Payment::matters).unwrap_or_default();
        let key = |dispute: DisputeId, stands: &Stands, awaits: Awaits| {
            let what = match (stands, awaits) {
                (_, Awaits::Ruling) => "ruling",
                (Stands::Open, Awaits::Word) => "open",
                (Stands::Granted, Awaits::Word) => "granted",
                (Stands::Refused, Awaits::Word) => "refused",
                (Stands::Taken { .. }, Awaits::Word) => "taken",
            };
            (dispute, what)
        };
        let live: Vec<_> =
            matters.iter().map(|(claim, stands, awaits)| key(claim.id, stands, *awaits)).collect();
        self.wallets.retain(|known, _| live.contains(known));
        for ((claim, stands, awaits), key) in matters.into_iter().zip(live) {
            let first = match awaits {
                Awaits::Ruling if !rebuilt => turn.now + RULINGS.first,
                Awaits::Ruling | Awaits::Word => turn.now,
            };
            let watch = self.wallets.entry(key).or_insert(Watch::new(first, rebuilt));
            if watch.fires(turn.now) {
                let driver = claim.trip.driver;
                let claim = Box::new(claim);
                turn.tell_wallet(driver, WalletInput::Claim { claim, stands, ask: None });
            }
        }
    }
}
