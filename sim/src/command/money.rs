//! What people ask for about money: each his own, and some what people of the platform would.

use ibora_domain::dispute::{Opening, Reason, Winner};
use ibora_domain::ids::{CreditId, DisputeId, DriverId, PassengerId, PaymentId, PayoutId, RideId};
use ibora_domain::machines::{
    Ask, Envelope, PassengerInput, PaymentInput, RideInput, Verdict, WalletInput, Wanted,
};
use ibora_domain::money::Centavos;
use ibora_domain::payment::BorneBy;
use ibora_domain::person::Role;

use super::New;
use crate::people;

/// A command about money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MoneyCommand {
    /// He wants to pay for this ride.
    Intent { ride: RideId },
    /// He gives his driver so many centavos on top.
    Tip { ride: RideId, centavos: i64 },
    /// A passenger puts so many centavos in for later rides.
    TopUp { centavos: i64 },
    /// Somebody of the platform gives a passenger so many.
    GiveCredit { passenger: PassengerId, centavos: i64 },
    /// Somebody of the platform gives so much of a payment back.
    GiveBack { payment: PaymentId, centavos: i64, borne_by: BorneBy },
    /// Somebody of the platform lets a passenger off a fee.
    Waive { payment: PaymentId },
    /// A driver wants so many centavos.
    Payout { centavos: i64 },
    /// Somebody of the platform lets a payout go, or not.
    Review { driver: DriverId, payout: PayoutId, approves: bool },
    /// One of a ride's people contests it.
    Contest { ride: RideId },
    /// One of them adds to that.
    Evidence { driver: DriverId, dispute: DisputeId },
    /// Somebody of the platform rules it.
    Rule { driver: DriverId, dispute: DisputeId, winner: Winner },
}

impl MoneyCommand {
    /// A short name for a trace.
    pub(super) fn name(self) -> String {
        let (op, about) = match self {
            Self::Intent { ride } => ("intent", Some(ride.0)),
            Self::Tip { ride, .. } => ("tip", Some(ride.0)),
            Self::TopUp { .. } => ("top up", None),
            Self::GiveCredit { passenger, .. } => ("give credit", Some(passenger.0)),
            Self::GiveBack { payment, .. } => ("give back", Some(payment.0)),
            Self::Waive { payment } => ("waive", Some(payment.0)),
            Self::Payout { .. } => ("payout", None),
            Self::Review { payout, .. } => ("review", Some(payout.0)),
            Self::Contest { ride } => ("contest", Some(ride.0)),
            Self::Evidence { dispute, .. } => ("evidence", Some(dispute.0)),
            Self::Rule { dispute, .. } => ("rule", Some(dispute.0)),
        };
        about.map_or_else(|| op.to_owned(), |about| format!("{op} {}", people::name(about)))
    }

    /// The message for the machine that decides it.
    pub(super) fn envelope<R>(self, ask: Ask<R>, new: New) -> Envelope<R> {
        let by = ask.by;
        let role = if people::is_driver(by) { Role::Driver } else { Role::Passenger };
        match self {
            Self::Intent { ride } => {
                Envelope::Payment(PaymentId::of_ride(ride), PaymentInput::Intent { ask })
            }
            Self::Tip { ride, centavos } => {
                Envelope::Ride(ride, RideInput::Tip { ask, amount: Centavos(centavos) })
            }
            Self::TopUp { centavos } => {
                let id = ask.key.as_ref().map_or("", |key| &*key.id);
                let (payment, amount) = (PaymentId::of_top_up(by, id), Centavos(centavos));
                let input = PassengerInput::TopUp { ask, payment, amount };
                Envelope::Passenger(by.into(), input)
            }
            Self::GiveCredit { passenger, centavos } => {
                // As new as the id of a ride would be.
                let (credit, amount) = (CreditId(new.ride.0), Centavos(centavos));
                let reason = "sorry".to_owned();
                let input = PassengerInput::GiveCredit { ask, credit, amount, reason };
                Envelope::Passenger(passenger, input)
            }
            Self::GiveBack { payment, centavos, borne_by } => {
                let (amount, reason) = (Centavos(centavos), "goodwill".to_owned());
                let input = PaymentInput::GiveBack { ask, amount, borne_by, reason };
                Envelope::Payment(payment, input)
            }
            Self::Waive { payment } => {
                let reason = "rain".to_owned();
                Envelope::Payment(payment, PaymentInput::Waive { ask, reason })
            }
            Self::Payout { centavos } => {
                let driver = DriverId::from(by);
                let (amount, payee) = (Centavos(centavos), people::payee(driver));
                let wanted =
                    Box::new(Wanted { id: new.payout, amount, key: None, payee, sweep: None });
                Envelope::Wallet(driver, WalletInput::Payout { ask, wanted })
            }
            Self::Review { driver, payout, approves } => {
                let verdict = match approves {
                    true => Verdict::Approved,
                    false => Verdict::Rejected { reason: None },
                };
                Envelope::Wallet(driver, WalletInput::Review { ask, payout, verdict })
            }
            Self::Contest { ride } => {
                let (id, reason) = (new.dispute, Reason::WrongFare);
                let opening = Opening { id, by, role, reason, note: None };
                let payment = PaymentId::of_ride(ride);
                Envelope::Payment(payment, PaymentInput::Contest { ask, opening })
            }
            Self::Evidence { driver, dispute } => {
                let text = "look".to_owned();
                Envelope::Wallet(driver, WalletInput::Evidence { ask, dispute, role, text })
            }
            Self::Rule { driver, dispute, winner } => {
                let reason = "seen".to_owned();
                Envelope::Wallet(driver, WalletInput::Rule { ask, dispute, winner, reason })
            }
        }
    }
}
