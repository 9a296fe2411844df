//! Which points a message and a decision pass. No `_` arm over messages: a new one owes a thought.

use ibora_domain::facts::{Decision, EntityKind, Row, StreamRow};
use ibora_domain::ledger::FinancialEvent;
use ibora_domain::machines::{
    DispatcherInput, DriverCommand, DriverInput, Effect, Envelope, PassengerInput, PaymentEffect,
    RideInput,
};
use ibora_domain::payout::PayoutCall;

use super::Failpoint;

/// The kinds of events, of whom, with the points of a decision that has one.
const KINDS: &[(EntityKind, &str, Failpoint, Failpoint)] = {
    use EntityKind::{Driver, Passenger, Payment, Ride, Wallet};
    use Failpoint::*;
    &[
        (Ride, "requested", RequestedDecided, RequestedRecorded),
        (Ride, "offers_made", OffersMadeDecided, OffersMadeRecorded),
        (Ride, "offer_declined", OfferDeclinedDecided, OfferDeclinedRecorded),
        (Ride, "offer_withdrawn", OfferWithdrawnDecided, OfferWithdrawnRecorded),
        (Ride, "offers_expired", OffersExpiredDecided, OffersExpiredRecorded),
        (Ride, "assigned", AssignedDecided, AssignedRecorded),
        (Ride, "unchained", UnchainedDecided, UnchainedRecorded),
        (Ride, "released", ReleasedDecided, ReleasedRecorded),
        (Ride, "arriving", ArrivingDecided, ArrivingRecorded),
        (Ride, "arrived", ArrivedDecided, ArrivedRecorded),
        (Ride, "pin_refused", PinRefusedDecided, PinRefusedRecorded),
        (Ride, "started", StartedDecided, StartedRecorded),
        (Ride, "completed", CompletedDecided, CompletedRecorded),
        (Ride, "canceled", CanceledDecided, CanceledRecorded),
        (Ride, "no_driver", NoDriverDecided, NoDriverRecorded),
        (Ride, "rated", RatedDecided, RatedRecorded),
        (Driver, "online", OnlineDecided, OnlineRecorded),
        (Driver, "offline", OfflineDecided, OfflineRecorded),
        (Driver, "lost", LostDecided, LostRecorded),
        (Driver, "account_changed", AccountChangedDecided, AccountChangedRecorded),
        (Payment, "charge_ordered", ChargeOrderedDecided, ChargeOrderedRecorded),
        (Payment, "charge_made", ChargeMadeDecided, ChargeMadeRecorded),
        (Payment, "charge_refused", ChargeRefusedDecided, ChargeRefusedRecorded),
        (Payment, "charge_ended", ChargeEndedDecided, ChargeEndedRecorded),
        (Payment, "pix_received", PixReceivedDecided, PixReceivedRecorded),
        (Payment, "refund_asked", RefundAskedDecided, RefundAskedRecorded),
        (Payment, "refund_done", RefundDoneDecided, RefundDoneRecorded),
        (Payment, "refund_failed", RefundFailedDecided, RefundFailedRecorded),
        (Payment, "pix_stated", PixStatedDecided, PixStatedRecorded),
        (Payment, "tip_given", TipGivenDecided, TipGivenRecorded),
        (Payment, "tip_lapsed", TipLapsedDecided, TipLapsedRecorded),
        (Payment, "cancel_fee_waived", FeeWaivedDecided, FeeWaivedRecorded),
        (Payment, "written_off", WrittenOffDecided, WrittenOffRecorded),
        (Payment, "write_off_reversed", WriteOffReversedDecided, WriteOffReversedRecorded),
        (Payment, "contested", ContestedDecided, ContestedRecorded),
        (Payment, "wallet_said", WalletSaidDecided, WalletSaidRecorded),
        (Payment, "bank_claimed", BankClaimedDecided, BankClaimedRecorded),
        (Payment, "bank_rejected", BankRejectedDecided, BankRejectedRecorded),
        (Payment, "bank_took", BankTookDecided, BankTookRecorded),
        (Payment, "credit_asked", CreditAskedDecided, CreditAskedRecorded),
        (Payment, "credit_used", CreditHeardDecided, CreditHeardRecorded),
        (Payment, "top_up_asked", TopUpAskedDecided, TopUpAskedRecorded),
        (Payment, "relieved", RelievedDecided, RelievedRecorded),
        (Passenger, "credit_used", CreditUsedDecided, CreditUsedRecorded),
        (Passenger, "goodwill_credit", CreditGivenDecided, CreditGivenRecorded),
        (Wallet, "hold_released", HoldReleasedDecided, HoldReleasedRecorded),
        (Wallet, "payout_requested", PayoutRequestedDecided, PayoutRequestedRecorded),
        (Wallet, "payout_approved", PayoutApprovedDecided, PayoutApprovedRecorded),
        (Wallet, "payout_rejected", PayoutRejectedDecided, PayoutRejectedRecorded),
        (Wallet, "payout_sending", PayoutSendingDecided, PayoutSendingRecorded),
        (Wallet, "payout_accepted", PayoutAcceptedDecided, PayoutAcceptedRecorded),
        (Wallet, "payout_set_aside", PayoutSetAsideDecided, PayoutSetAsideRecorded),
        (Wallet, "payout_done", PayoutDoneDecided, PayoutDoneRecorded),
        (Wallet, "payout_failed", PayoutFailedDecided, PayoutFailedRecorded),
        (Wallet, "payout_returned", PayoutReturnedDecided, PayoutReturnedRecorded),
        (Wallet, "dispute_opened", DisputeOpenedDecided, DisputeOpenedRecorded),
        (Wallet, "dispute_evidence", DisputeEvidenceDecided, DisputeEvidenceRecorded),
        (Wallet, "dispute_reviewed", DisputeReviewedDecided, DisputeReviewedRecorded),
        (Wallet, "dispute_ended", DisputeEndedDecided, DisputeEndedRecorded),
    ]
};

/// What is told apart by how it is booked: it has no event of its own, or one with others.
const BOOKED: &[&str] = &[
    "hold_released",
    "credit_used",
    "goodwill_credit",
    "tip_lapsed",
    "cancel_fee_waived",
    "written_off",
    "write_off_reversed",
];

/// The points of a decision that was made and is not handed over yet.
pub(crate) fn decided(decision: &Decision) -> Vec<Failpoint> {
    let mut points: Vec<_> = kinds(decision).map(|(_, _, decided, _)| *decided).collect();
    if refuses_accepts(decision) {
        points.push(Failpoint::AttemptsDecided);
    }
    points
}

/// The points of a decision that is durable, before anybody is answered.
pub(crate) fn recorded(decision: &Decision) -> Vec<Failpoint> {
    let mut points: Vec<_> = kinds(decision).map(|(_, _, _, recorded)| *recorded).collect();
    if refuses_accepts(decision) {
        points.push(Failpoint::AttemptsRecorded);
    }
    points
}

fn kinds(
    decision: &Decision,
) -> impl Iterator<Item = &'static (EntityKind, &'static str, Failpoint, Failpoint)> {
    let of = decision.entity.kind();
    let booked = decision.money.iter().map(FinancialEvent::kind);
    let booked = booked.filter(|kind| BOOKED.contains(kind));
    let kinds = decision.events.iter().map(|event| event.kind).chain(booked);
    kinds.filter_map(move |happened| {
        KINDS.iter().find(|(entity, kind, ..)| *entity == of && *kind == happened)
    })
}

fn refuses_accepts(decision: &Decision) -> bool {
    let refused = |row: &Row| match row {
        Row::Attempts(row) => row.attempts.iter().any(|attempt| attempt.outcome != "accepted"),
        _ => false,
    };
    decision.rows.iter().any(refused)
}

/// The points around a call to the payment provider: before it, and once it is known what came of
/// it.
pub(crate) const fn effect(effect: &Effect) -> (Failpoint, Failpoint) {
    use Failpoint::*;
    match effect {
        Effect::Payment(_, effect) => match effect {
            PaymentEffect::Charge { .. } => (EffectCharge, EffectChargeAnswered),
            PaymentEffect::Look { .. } => (EffectLook, EffectLookAnswered),
            PaymentEffect::TakeBack { .. } => (EffectTakeBack, EffectTakeBackAnswered),
            PaymentEffect::Confirm { .. } => (EffectConfirm, EffectConfirmAnswered),
            PaymentEffect::Refund { .. } => (EffectRefund, EffectRefundAnswered),
        },
        Effect::Payout(_, call) => match call {
            PayoutCall::Clear(_) => (EffectPayoutClear, EffectPayoutClearAnswered),
            PayoutCall::Send(_) => (EffectPayoutSend, EffectPayoutSendAnswered),
            PayoutCall::Ask(_) => (EffectPayoutAsk, EffectPayoutAskAnswered),
        },
    }
}

/// The point of a durable event that is about to be pushed to somebody who is connected.
pub(crate) fn event(event: &StreamRow) -> Option<Failpoint> {
    (event.op == "offer.made").then_some(Failpoint::SessionOffer)
}

const fn to_passenger<R>(input: &PassengerInput<R>) -> Option<Failpoint> {
    Some(match input {
        PassengerInput::Request { .. } => Failpoint::ToPassengerRequest,
        PassengerInput::Opened { .. } => Failpoint::ToPassengerOpened,
        PassengerInput::Ended { .. } => Failpoint::ToPassengerEnded,
        PassengerInput::Alarm => Failpoint::ToPassengerAlarm,
        // What one is built from says it too, or who asks asks again.
        PassengerInput::Active { .. }
        | PassengerInput::Unpriced { .. }
        | PassengerInput::Settled { .. }
        | PassengerInput::TopUp { .. }
        | PassengerInput::TopUpEnded { .. }
        | PassengerInput::GiveCredit { .. }
        | PassengerInput::Credit(_)
        | PassengerInput::UseCredit { .. } => return None,
    })
}

/// The point of a message that is about to be handed to its actor. What only asks, and what comes
/// several times a second, has none; nor has the dispatcher's alarm: nothing durable rests on it.
pub(crate) fn message<R>(envelope: &Envelope<R>) -> Option<Failpoint> {
    use Failpoint::*;
    Some(match envelope {
        Envelope::Passenger(_, input) => return to_passenger(input),
        Envelope::Ride(_, input) => match input {
            RideInput::Request { .. } => ToRideRequest,
            RideInput::Accept { .. } => ToRideAccept,
            RideInput::Decline { .. } => ToRideDecline,
            RideInput::Drive { command, .. } => match command {
                DriverCommand::Arrive { .. } => ToRideArrive,
                DriverCommand::Start { .. } => ToRideStart,
                DriverCommand::Complete { .. } => ToRideComplete,
            },
            RideInput::Cancel { .. } => ToRideCancel,
            RideInput::Rate { .. } => ToRideRate,
            RideInput::Offers { .. } => ToRideOffers,
            RideInput::OfferUnwanted { .. } => ToRideOfferUnwanted,
            RideInput::WhoseIsIt { .. } => ToRideWhoseIsIt,
            RideInput::Precedes { .. } => ToRidePrecedes,
            RideInput::PrecedingEnded { .. } => ToRidePrecedingEnded,
            RideInput::DoesItExist { .. } => ToRideDoesItExist,
            RideInput::Alarm => ToRideAlarm,
            // A slot that nobody speaks of lapses.
            RideInput::SlotUnused { .. }
            | RideInput::Tip { .. }
            | RideInput::Read { .. }
            | RideInput::Position { .. }
            | RideInput::Ahead { .. }
            | RideInput::PaymentMoved { .. } => return None,
        },
        Envelope::Driver(_, input) => match input {
            DriverInput::Online { .. } => ToDriverOnline,
            DriverInput::Offline { .. } => ToDriverOffline,
            DriverInput::Accept { .. } => ToDriverAccept,
            DriverInput::PassOn { .. } => ToDriverPassOn,
            DriverInput::Slot { .. } => ToDriverSlot,
            DriverInput::Offered { .. } => ToDriverOffered,
            DriverInput::OfferClosed { .. } => ToDriverOfferClosed,
            DriverInput::Won { .. } => ToDriverWon,
            DriverInput::NotWon { .. } => ToDriverNotWon,
            DriverInput::Ended { .. } => ToDriverEnded,
            DriverInput::SessionOpened => ToDriverSessionOpened,
            DriverInput::SessionClosed => ToDriverSessionClosed,
            DriverInput::Profile(_) => ToDriverProfile,
            DriverInput::Rated(_) => ToDriverRated,
            DriverInput::Alarm => ToDriverAlarm,
            DriverInput::Seen
            | DriverInput::Stand { .. }
            | DriverInput::Read { .. }
            | DriverInput::Claim { .. }
            | DriverInput::Unused { .. } => return None,
        },
        // It goes on by its own deadline, whatever it was not told.
        Envelope::Payment(..) | Envelope::Wallet(..) | Envelope::PayoutLine(_) => return None,
        Envelope::Dispatcher(_, input) => match input {
            DispatcherInput::Seek(_) => ToDispatcherSeek,
            DispatcherInput::Found { .. } => ToDispatcherFound,
            DispatcherInput::SlotAnswer { .. } => ToDispatcherSlotAnswer,
            DispatcherInput::Alarm => return None,
        },
    })
}
