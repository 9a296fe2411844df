//! Disputes: the messages of commands about them.

use ibora_domain::dispute::{Opening, Reason, Winner};
use ibora_domain::ids::{DisputeId, DriverId, PaymentId, RideId};
use ibora_domain::machines::{Ask, Envelope, PaymentInput, WalletInput};
use uuid::Uuid;

use super::Caller;
use super::payouts::OfPayout;
use super::ports::Reply;

impl OfPayout {
    /// The message of somebody who contests a ride, under a new id: its payment decides whether it
    /// is his to contest.
    pub(super) fn contest(
        &self,
        caller: Caller,
        ask: Ask<Reply>,
        ride: RideId,
        (reason, note): (Reason, Option<String>),
    ) -> Envelope<Reply> {
        let (by, role) = (caller.user, caller.role);
        let opening = Opening { id: DisputeId(Uuid::now_v7()), by, role, reason, note };
        Envelope::Payment(PaymentId::of_ride(ride), PaymentInput::Contest { ask, opening })
    }

    /// The message of somebody who adds to a dispute, whose wallet decides whether he may.
    pub(super) fn evidence(
        &self,
        caller: Caller,
        ask: Ask<Reply>,
        dispute: DisputeId,
        text: String,
    ) -> Envelope<Reply> {
        let input = WalletInput::Evidence { ask, dispute, role: caller.role, text };
        Envelope::Wallet(self.wallet(), input)
    }

    /// The message of an admin who rules a dispute.
    pub(super) fn rule(
        &self,
        ask: Ask<Reply>,
        dispute: DisputeId,
        (winner, reason): (Winner, String),
    ) -> Envelope<Reply> {
        Envelope::Wallet(self.wallet(), WalletInput::Rule { ask, dispute, winner, reason })
    }

    /// Whose wallet it is; of none that was looked up, nobody's.
    fn wallet(&self) -> DriverId {
        self.driver.unwrap_or(DriverId(Uuid::nil()))
    }
}
