//! Bugs planted on purpose, for the simulator to prove that it finds them.
//!
//! Only with the feature `mutants`, which no engine is built with, is one ever chosen; without it
//! [`is`] is `false` at compile time and nothing is left of it. The one global of this package is
//! here: a run of the simulator is one thread, and planting must not change what machines are given
//! (`docs/decisions/0014-the-simulator.md`).

macro_rules! mutants {
    ($($variant:ident $name:literal $what:literal)*) => {
        /// A planted bug.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutant {
            $(#[doc = $what] $variant,)*
        }

        impl Mutant {
            /// Every planted bug.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What is wrong with it.
            #[must_use]
            pub const fn what(self) -> &'static str {
                match self { $(Self::$variant => $what,)* }
            }
        }
    };
}

mutants! {
    FenceRemoved "fence-removed" "A commit is not checked against the owner of its shards."
    NotReserved "not-reserved" "A driver accepts without looking whether he is free."
    AnswerBeforeCommit "answer-before-commit" "What leaves does not wait for its own decision."
    HeldTooShort "held-too-short" "What leaves does not wait for the decision of an earlier turn."
    Overtaken "overtaken" "What leaves with a decision overtakes what an earlier turn said."
    TimerNotArmed "timer-not-armed" "A ride that is built again does not arm its deadline."
    TimerArmedAnew "timer-armed-anew" "A start gives every deadline its whole time again."
    ResumeOffByOne "resume-off-by-one" "A client that comes back misses one event."
    RetryUnderNewId "retry-under-new-id" "An app repeats a command under another id."
    ReservationKept "reservation-kept" "A driver who lost stays reserved."
    OfferOutlivesRide "offer-outlives-ride" "Offers stay open when the search ends."
    OfferKept "offer-kept" "An offer that was withdrawn stays open."
    LeaseNeverLapses "lease-never-lapses" "An engine acts on after its lease has run out."
    LeaseTakenBack "lease-taken-back" "A lease that another engine ended is renewed all the same."
    RetriedBlindly "retried-blindly" "A batch in doubt is sent again under another id."
    Unsealed "unsealed" "A refusal is believed while an earlier call is in doubt."
    AppliedTwice "applied-twice" "A ride that is built again counts its last event twice."
    NumbersKept "numbers-kept" "A refused batch does not give its stream numbers back."
    ClaimsIgnored "claims-ignored" "Two lanes number one stream at once."
    TwoWinners "two-winners" "A ride that has a driver can be accepted."
    LateAccept "late-accept" "An offer that is over can be accepted."
    BrokenLifeGoesOn "broken-life-goes-on" "A life that lost a record goes on recording."
    PassengerNotReserved "passenger-not-reserved" "A passenger requests beside his active ride."
    SnapshotFirst "snapshot-first" "A session's snapshot is older than the event it begins after."
    ToldTooEarly "told-too-early" "A snapshot leaves out a ride whose end is not recorded yet."
    SlotsUnbounded "slots-unbounded" "A driver gives away more slots than he has."
    ChainedTwice "chained-twice" "A driver who has a chained ride accepts another."
    ChainKept "chain-kept" "The end of a ride does not make the chained one active."
    NeverUnchained "never-unchained" "A chained ride does not hear that the one before it ended."
    ZoneIgnored "zone-ignored" "A ride is dispatched by the town's policy, not by its zone's."
    IdReused "id-reused" "A driver uses the id of one accept for another."
    IdPassedOn "id-passed-on" "A driver uses the id of an accept for a command of another kind."
    IdNotHandedOn "id-not-handed-on" "A machine is not told of what an earlier one passed on."
    IdKept "id-kept" "The id of a command that left no record stays used."
    ReadTooEarly "read-too-early" "A machine is built again before its last records are settled."
    ToldOnce "dedup-by-e2e-alone" "Of one Pix the provider is listened to once."
    HintBelieved "settled-without-confirming" "A word that a Pix came in posts it."
    SecondCharge "second-charge-while-live" "A new charge is ordered beside the one that is open."
    ChargeForgotten "expired-by-our-clock-alone" "A charge ends without the provider's word."
    LatePixLost "late-pix-lost" "A Pix for a charge that has ended is passed over."
    PartialSettles "partial-settles" "A Pix of any amount pays what is owed."
    RefundAgain "refund-of-a-refund" "A refund that is under way is ordered under another id."
    HoldTwice "hold-released-twice" "A hold that has ended ends again."
    HoldNotWoken "hold-not-woken" "After a start, no hold rings when it ends."
    PayoutNewId "payout-retry-with-new-id" "A payout in doubt is sent again under another id."
    SendTwo "send-two-at-once" "The next payout goes out beside the one that is under way."
    SentUnrecorded "sent-unrecorded" "A payout goes out that is not recorded as such."
    FeeKept "failed-payout-fee-kept" "The fee of a payout that failed is kept."
    PayoutNotWoken "payout-not-woken" "A payout under way gives its wallet no deadline."
    DuplicateRefused "duplicate-taken-for-refusal" "That there is something under our id is a no."
    PaymentNotWoken "payment-not-woken" "The end of a ride gives its payment no deadline."
    EscrowTwice "escrow-released-twice" "A ruling for the driver gives him his escrow twice."
    RuledAgain "ruling-after-ruling" "A dispute that has ended can be ruled."
    DisputeNotWoken "dispute-not-woken" "A dispute gives its wallet no deadline."
    RefundUnfrozen "refund-before-freeze" "A refund is sent before the wallet gave the share."
    ShareTwice "share-taken-twice" "A claim that is told again takes the share again."
    FreezeKept "freeze-kept" "What was frozen for a claim that the banks refuse stays so."
    BankTwiceById "med-twice-by-id" "What a bank has taken is booked at each look at its Pix."
    BankTwiceByClaim "med-twice-by-claim" "A claim that has ended ends again."
    TipRevived "lapsed-tip-settled" "A Pix pays a tip that has lapsed."
    WriteOffKept "write-off-kept" "What was written off and is paid late is not owed again first."
    RefundNotMet "refund-not-met" "What a bank has sent back we owe all the same."
    ClaimKept "granted-claim-kept" "A claim that is granted when nothing is left stays open."
    Unreserved "refund-unreserved" "What is wanted back and has not left can be given back too."
}

#[cfg(feature = "mutants")]
mod chosen {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static CHOSEN: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// From now on this one, or none, is at work.
    pub fn choose(mutant: Option<Mutant>) {
        CHOSEN.set(mutant);
    }

    /// Whether `mutant` is at work.
    #[must_use]
    pub fn is(mutant: Mutant) -> bool {
        CHOSEN.get() == Some(mutant)
    }
}

#[cfg(feature = "mutants")]
pub use chosen::{choose, is};

/// Whether `mutant` is at work: never.
#[cfg(not(feature = "mutants"))]
#[must_use]
#[inline(always)]
pub const fn is(_mutant: Mutant) -> bool {
    false
}
