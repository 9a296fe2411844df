//! Admission: which messages an actor that has much to do takes no more.

use ibora_domain::machines::{
    DriverInput, Envelope, PassengerInput, PaymentInput, RideInput, WalletInput,
};

use super::ports::Reply;

/// How many messages may wait before this one is refused; `None` where it never is. Telemetry goes
/// first, since the next tells more than the last; then commands and reads, whose askers are told.
/// What actors tell each other is bounded by those; dropped, it would leave reservations behind.
pub(super) fn admitted_below(envelope: &Envelope<Reply>, mailbox_max: u32) -> Option<u32> {
    if is_telemetry(envelope) {
        return Some(mailbox_max / 2);
    }
    is_refusable(envelope).then_some(mailbox_max)
}

pub(super) const fn is_telemetry(envelope: &Envelope<Reply>) -> bool {
    matches!(
        envelope,
        Envelope::Ride(_, RideInput::Position { .. } | RideInput::Ahead { .. })
            | Envelope::Driver(_, DriverInput::Seen)
    )
}

fn is_refusable(envelope: &Envelope<Reply>) -> bool {
    match envelope {
        Envelope::Ride(_, input) => matches!(
            input,
            RideInput::Drive { .. }
                | RideInput::Cancel { .. }
                | RideInput::Decline { .. }
                | RideInput::Rate { .. }
                | RideInput::Tip { .. }
                | RideInput::Read { .. }
        ),
        Envelope::Driver(_, input) => matches!(
            input,
            DriverInput::Accept { .. }
                | DriverInput::Online { .. }
                | DriverInput::Offline { .. }
                | DriverInput::PassOn { .. }
                | DriverInput::Claim { .. }
                | DriverInput::Read { .. }
        ),
        Envelope::Passenger(_, input) => matches!(
            input,
            PassengerInput::Request { .. }
                | PassengerInput::Unpriced { .. }
                | PassengerInput::TopUp { .. }
                | PassengerInput::GiveCredit { .. }
                | PassengerInput::Active { .. }
        ),
        Envelope::Payment(_, input) => matches!(
            input,
            PaymentInput::Intent { .. }
                | PaymentInput::Read { .. }
                | PaymentInput::GiveBack { .. }
                | PaymentInput::Waive { .. }
                | PaymentInput::Contest { .. }
        ),
        Envelope::Wallet(_, input) => matches!(
            input,
            WalletInput::Payout { .. }
                | WalletInput::Review { .. }
                | WalletInput::Evidence { .. }
                | WalletInput::Rule { .. }
        ),
        Envelope::Dispatcher(..) | Envelope::PayoutLine(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use ibora_domain::facts::Answer;
    use ibora_domain::ids::{DriverId, RideId};
    use ibora_domain::machines::{Ask, ReadAs};
    use ibora_domain::place::Coordinates;
    use ibora_domain::ride::DriverPosition;
    use ibora_domain::units::{Metres, UnixMillis};
    use tokio::sync::oneshot;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn telemetry_is_shed_before_commands_and_what_actors_tell_each_other_never() {
        let (ride, driver) = (RideId(Uuid::nil()), DriverId(Uuid::nil()));
        let reply = || oneshot::channel::<Answer>().0;
        let ask =
            Ask { by: driver.into(), key: None, if_version: None, origin: None, reply: reply() };
        let place = Coordinates::new(-23.55, -46.63).expect("a place");
        let position = DriverPosition { place, at: UnixMillis(1), accuracy: Metres(5) };
        let table = [
            (Envelope::Ride(ride, RideInput::Position { driver, position }), Some(4)),
            (Envelope::Driver(driver, DriverInput::Seen), Some(4)),
            (Envelope::Driver(driver, DriverInput::Offline { ask }), Some(8)),
            (Envelope::Ride(ride, RideInput::Read { reply: reply(), by: ReadAs::Admin }), Some(8)),
            (Envelope::Ride(ride, RideInput::Alarm), None),
            (Envelope::Driver(driver, DriverInput::SessionClosed), None),
        ];
        for (envelope, most) in table {
            assert_eq!(admitted_below(&envelope, 8), most, "{:?}", envelope.entity());
        }
    }
}
