//! Payers' banks: claims of fraud (MED), which block what was paid until they are decided, and
//! money that a bank takes back by itself.

use ibora_domain::machines::{Envelope, PaymentInput};
use ibora_domain::money::Centavos;
use ibora_domain::payment::{BankEnd, BankSays, TakenBack};
use ibora_domain::pix::EndToEndId;
use ibora_domain::units::Millis;
use ibora_psp::{ClaimState, Nature, Receipt, RefundState};

use super::ProviderEvent;
use crate::engine::Engine;
use crate::queue::SECOND;
use crate::tell;
use crate::world::{Event, World};

/// Two weeks from a claim to the last moment at which something is taken for it are minutes here.
const OVER_AFTER: Millis = Millis::from_secs(600);

impl World {
    /// The bank of somebody who has just paid may want that back, some time later.
    pub(super) fn bank_thinks(&mut self, pix: &EndToEndId) {
        if !self.chance.percent(self.temper.purse.court.claims) {
            return;
        }
        let after = self.chance.between(SECOND, 60 * SECOND);
        let pix = pix.clone();
        let wants = match self.chance.percent(70) {
            true => ProviderEvent::Claims { pix },
            false => ProviderEvent::TakesBack { pix },
        };
        self.at(self.now + after, Event::Provider(wants));
    }

    /// A bank claims that a Pix was fraud. Where there is nothing to block it does not.
    pub(super) fn bank_claims(&mut self, pix: &EndToEndId) {
        let now = self.wall();
        let books = &mut self.provider.books;
        if books.balance() <= Centavos::ZERO {
            return;
        }
        let Ok(claim) = books.open_claim(pix, now) else { return };
        let id = claim.id.clone();
        self.watch.count("claimed");
        tell!(self, "psp: {pix} is claimed, {} is blocked", self.provider.books.blocked());
        let after = self.chance.between(SECOND, 60 * SECOND);
        let accepted = self.chance.percent(50);
        let decides = ProviderEvent::Decides { id, accepted };
        self.at(self.now + after, Event::Provider(decides));
    }

    /// The banks decide a claim.
    pub(super) fn banks_decide(&mut self, id: &str, accepted: bool) {
        let now = self.wall();
        if self.provider.books.decide_claim(id, accepted, now).is_ok() {
            tell!(self, "psp: claim {id} is accepted: {accepted}");
        }
    }

    /// A bank takes money back without a word before it: all of it, or a part.
    pub(super) fn bank_takes_back(&mut self, pix: &EndToEndId) {
        let now = self.wall();
        let part = self.chance.percent(50).then_some(Centavos(500));
        let taken = self.provider.books.bank_refund(pix, part, Nature::MedOperational, now);
        if let Ok(refund) = taken {
            let value = refund.value;
            self.watch.count("taken_back");
            tell!(self, "psp: a bank takes {value} of {pix}");
        }
    }
}

/// What banks have taken of a Pix.
pub(super) fn taken_of(receipt: &Receipt) -> Vec<TakenBack> {
    let gone = receipt.refunds.iter().filter(|refund| refund.nature != Nature::Original);
    let gone = gone.filter(|refund| refund.state == RefundState::Returned);
    gone.map(|refund| TakenBack { id: refund.id.clone(), amount: refund.value }).collect()
}

impl Engine {
    /// Reads the list of claims: each goes to its payment, as it stands. As `src/jobs/claims.rs`.
    pub(crate) fn read_claims(&mut self, world: &mut World) {
        let says = |claim: &ibora_psp::Claim| BankSays {
            name: claim.id.clone(),
            pix: claim.e2e_id.clone(),
            amount: claim.value,
            end: match claim.state {
                ClaimState::Accepted => Some(BankEnd::Granted),
                ClaimState::Rejected => Some(BankEnd::Rejected),
                ClaimState::Open | ClaimState::InDefence => None,
            },
            over_at: Some(claim.opened + OVER_AFTER),
        };
        let claims: Vec<_> = world.provider.books.claims().map(says).collect();
        for says in claims {
            // Of a Pix that is not here yet it is said again with the next look.
            let receipt = world.db.money.received.get(&says.pix);
            if let Some(payment) = receipt.map(|row| row.payment) {
                self.send(world, Envelope::Payment(payment, PaymentInput::Bank(says)));
            }
        }
    }
}
