//! Credit: the messages of commands about it, which all go to the passenger's machine.

use ibora_domain::ids::{CreditId, PassengerId, PaymentId};
use ibora_domain::machines::{Ask, Envelope, PassengerInput};
use ibora_domain::money::Centavos;
use ibora_domain::refusal::Refusal;
use uuid::Uuid;

use super::ports::Reply;
use super::{Command, Dispatch};

/// The message of a passenger who puts in so much. Sent again, it is about the same payment.
pub(super) fn top_up(ask: Ask<Reply>, amount: Centavos) -> Envelope<Reply> {
    let payment = match &ask.key {
        Some(key) => PaymentId::of_top_up(ask.by, &key.id),
        None => PaymentId(Uuid::now_v7()),
    };
    Envelope::Passenger(ask.by.into(), PassengerInput::TopUp { ask, payment, amount })
}

/// The message of an admin who gives a passenger credit.
pub(super) fn give(
    ask: Ask<Reply>,
    passenger: PassengerId,
    (amount, reason): (Centavos, String),
) -> Envelope<Reply> {
    let credit = CreditId(Uuid::now_v7());
    Envelope::Passenger(passenger, PassengerInput::GiveCredit { ask, credit, amount, reason })
}

impl Dispatch {
    /// Whether there is whom a command gives credit.
    pub(super) async fn knows_whom(&self, command: &Command) -> Result<(), Refusal> {
        let Command::GiveCredit { passenger, .. } = command else { return Ok(()) };
        let known = self.journal().records().is_passenger(*passenger).await;
        match known {
            Ok(true) => Ok(()),
            Ok(false) => Err(Refusal::NotFound),
            Err(_) => Err(Refusal::Unavailable),
        }
    }
}
