//! The table of points: each with its name, `<room or receiver>.<moment>`, and what is so there.

/// Names the points, in the order in which a ride meets them.
macro_rules! points {
    ($($point:ident = $name:literal: $sentence:literal)*) => {
        /// A place at which the process may be made to end.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Failpoint { $($point,)* }

        /// Every point with its name and its sentence.
        pub const TABLE: &[(Failpoint, &str, &str)] =
            &[$((Failpoint::$point, $name, $sentence),)*];
    };
}

points! {
    // A start: `app`, the journal's tenure, the actors.
    StartOpened = "start.opened":
        "The database is open and its schema in order; the shards were not asked for."
    StartFenceRaised = "start.fence_raised":
        "The fence is raised in a transaction that is not committed."
    StartOurs = "start.ours": "The shards are ours; nothing was read."
    StartRead = "start.read":
        "Rides in flight, deadlines and drivers online are read; nothing acts on them."
    StartPreloaded = "start.preloaded": "Whoever was here lately is read; no session was let in."
    StartListening = "start.listening":
        "Requests are served; the engine did not say that it is ready."
    // A command, whoever brings it: `actors`.
    CommandTaken = "command.taken": "A command was taken in; no actor has it."
    CommandRepeated = "command.repeated":
        "The stored answer of a command was read; its sender was not told."
    CommandAnswered = "command.answered":
        "A command's answer is known and what it rests on durable; its sender was not told."
    ActorRead = "actor.read": "An actor's records are read; it was not started."
    // What actors tell each other, just before it is handed over.
    ToPassengerRequest = "to_passenger.request": "A request goes to its passenger."
    ToPassengerOpened = "to_passenger.opened":
        "A recorded ride tells its passenger's actor that it exists."
    ToPassengerEnded = "to_passenger.ended": "A ride that ended tells its passenger's actor."
    ToPassengerAlarm = "to_passenger.alarm": "A passenger's timer rings."
    ToRideRequest = "to_ride.request":
        "The passenger is reserved; his request goes to the new ride."
    ToRideAccept = "to_ride.accept": "The driver is reserved; his accept goes to the ride."
    ToRideDecline = "to_ride.decline": "A decline goes to its ride."
    ToRideArrive = "to_ride.arrive": "An arrival goes to its ride."
    ToRideStart = "to_ride.start": "A start goes to its ride."
    ToRideComplete = "to_ride.complete": "A completion goes to its ride."
    ToRideCancel = "to_ride.cancel": "A cancellation goes to its ride."
    ToRideRate = "to_ride.rate": "A rating goes to its ride."
    ToRideOffers = "to_ride.offers": "A wave with the slots of its drivers goes to its ride."
    ToRideOfferUnwanted = "to_ride.offer_unwanted":
        "A driver who can take no offer tells the ride that made one."
    ToRideWhoseIsIt = "to_ride.whose_is_it":
        "A driver who has heard nothing asks his ride whose it is."
    ToRideDoesItExist = "to_ride.does_it_exist":
        "A passenger's actor asks whether his ride is still open."
    ToRideAlarm = "to_ride.alarm": "A ride's timer rings."
    ToDriverOnline = "to_driver.online": "A driver who wants to go online goes to his actor."
    ToDriverOffline = "to_driver.offline": "A driver who wants to go offline goes to his actor."
    ToDriverAccept = "to_driver.accept": "An accept goes to its driver's actor, which reserves him."
    ToDriverPassOn = "to_driver.pass_on":
        "A driver's command goes past his actor to whoever decides it."
    ToRidePrecedes = "to_ride.precedes":
        "A recorded chained ride tells the one before it that it waits."
    ToRidePrecedingEnded = "to_ride.preceding_ended":
        "A ride that has ended tells the one that is chained to it."
    ToDriverSlot = "to_driver.slot": "The dispatcher asks a driver for a slot."
    ToDriverOffered = "to_driver.offered": "A recorded offer is told to its driver's actor."
    ToDriverOfferClosed = "to_driver.offer_closed":
        "A driver's actor is told that an offer to him is over."
    ToDriverWon = "to_driver.won": "The recorded winner's actor is told that the ride is his."
    ToDriverNotWon = "to_driver.not_won":
        "A recorded loser's actor is told that the ride is not his."
    ToDriverEnded = "to_driver.ended":
        "A ride that ended, or was given back, tells its driver's actor."
    ToDriverSessionOpened = "to_driver.session_opened":
        "A driver's session began; his actor is told."
    ToDriverSessionClosed = "to_driver.session_closed":
        "A driver's session ended; his actor is told."
    ToDriverProfile = "to_driver.profile": "A driver's account changed; his actor is told."
    ToDriverRated = "to_driver.rated": "A driver was rated; his actor is told."
    ToDriverAlarm = "to_driver.alarm": "A driver's timer rings."
    ToDispatcherSeek = "to_dispatcher.seek": "A ride asks for a wave."
    ToDispatcherFound = "to_dispatcher.found": "The drivers near a pickup are found."
    ToDispatcherSlotAnswer = "to_dispatcher.slot_answer": "A driver gives a slot, or does not."
    // What is decided: by the kind of its event.
    RequestedDecided = "ride.requested.decided":
        "Decided, and not handed to the journal: a requested ride."
    RequestedRecorded = "ride.requested.recorded":
        "Durable, sessions told, nobody answered: a requested ride."
    OffersMadeDecided = "ride.offers_made.decided":
        "Decided, and not handed to the journal: a wave of offers."
    OffersMadeRecorded = "ride.offers_made.recorded":
        "Durable, sessions told, nobody answered: a wave of offers."
    OfferDeclinedDecided = "ride.offer_declined.decided":
        "Decided, and not handed to the journal: a declined offer."
    OfferDeclinedRecorded = "ride.offer_declined.recorded":
        "Durable, sessions told, nobody answered: a declined offer."
    OfferWithdrawnDecided = "ride.offer_withdrawn.decided":
        "Decided, and not handed to the journal: a withdrawn offer."
    OfferWithdrawnRecorded = "ride.offer_withdrawn.recorded":
        "Durable, sessions told, nobody answered: a withdrawn offer."
    OffersExpiredDecided = "ride.offers_expired.decided":
        "Decided, and not handed to the journal: offers that are over."
    OffersExpiredRecorded = "ride.offers_expired.recorded":
        "Durable, sessions told, nobody answered: offers that are over."
    AssignedDecided = "ride.assigned.decided":
        "Decided, and not handed to the journal: the winner of a ride."
    AssignedRecorded = "ride.assigned.recorded":
        "Durable, sessions told, nobody answered: the winner of a ride."
    UnchainedDecided = "ride.unchained.decided":
        "Decided, and not handed to the journal: a chained ride whose turn has come."
    UnchainedRecorded = "ride.unchained.recorded":
        "Durable, sessions told, nobody answered: a chained ride whose turn has come."
    ReleasedDecided = "ride.released.decided":
        "Decided, and not handed to the journal: a ride given back."
    ReleasedRecorded = "ride.released.recorded":
        "Durable, sessions told, nobody answered: a ride given back."
    ArrivingDecided = "ride.arriving.decided":
        "Decided, and not handed to the journal: a driver near the pickup."
    ArrivingRecorded = "ride.arriving.recorded":
        "Durable, sessions told, nobody answered: a driver near the pickup."
    ArrivedDecided = "ride.arrived.decided":
        "Decided, and not handed to the journal: a driver at the pickup."
    ArrivedRecorded = "ride.arrived.recorded":
        "Durable, sessions told, nobody answered: a driver at the pickup."
    PinRefusedDecided = "ride.pin_refused.decided":
        "Decided, and not handed to the journal: a wrong PIN."
    PinRefusedRecorded = "ride.pin_refused.recorded":
        "Durable, sessions told, nobody answered: a wrong PIN."
    StartedDecided = "ride.started.decided": "Decided, and not handed to the journal: a start."
    StartedRecorded = "ride.started.recorded": "Durable, sessions told, nobody answered: a start."
    CompletedDecided = "ride.completed.decided":
        "Decided, and not handed to the journal: a completion."
    CompletedRecorded = "ride.completed.recorded":
        "Durable, sessions told, nobody answered: a completion."
    CanceledDecided = "ride.canceled.decided":
        "Decided, and not handed to the journal: a cancellation."
    CanceledRecorded = "ride.canceled.recorded":
        "Durable, sessions told, nobody answered: a cancellation."
    NoDriverDecided = "ride.no_driver.decided":
        "Decided, and not handed to the journal: a search given up."
    NoDriverRecorded = "ride.no_driver.recorded":
        "Durable, sessions told, nobody answered: a search given up."
    RatedDecided = "ride.rated.decided": "Decided, and not handed to the journal: a rating."
    RatedRecorded = "ride.rated.recorded": "Durable, sessions told, nobody answered: a rating."
    OnlineDecided = "driver.online.decided":
        "Decided, and not handed to the journal: a driver online."
    OnlineRecorded = "driver.online.recorded":
        "Durable, sessions told, nobody answered: a driver online."
    OfflineDecided = "driver.offline.decided":
        "Decided, and not handed to the journal: a driver offline."
    OfflineRecorded = "driver.offline.recorded":
        "Durable, sessions told, nobody answered: a driver offline."
    LostDecided = "driver.lost.decided":
        "Decided, and not handed to the journal: the end of a driver's presence."
    LostRecorded = "driver.lost.recorded":
        "Durable, sessions told, nobody answered: the end of a driver's presence."
    AccountChangedDecided = "driver.account_changed.decided":
        "Decided, and not handed to the journal: a driver's changed account."
    AccountChangedRecorded = "driver.account_changed.recorded":
        "Durable, sessions told, nobody answered: a driver's changed account."
    AttemptsDecided = "ride.attempts.decided":
        "Decided, and not handed to the journal: refused accepts."
    AttemptsRecorded = "ride.attempts.recorded": "Durable, nobody answered: refused accepts."
    // Money: what payments and wallets decide.
    ChargeOrderedDecided = "payment.charge_ordered.decided":
        "Decided, and not handed to the journal: a charge after the first."
    ChargeOrderedRecorded = "payment.charge_ordered.recorded":
        "Durable, sessions told, nothing called and nobody answered: a charge after the first."
    ChargeMadeDecided = "payment.charge_made.decided":
        "Decided, and not handed to the journal: a charge that can be paid."
    ChargeMadeRecorded = "payment.charge_made.recorded":
        "Durable, sessions told, nothing called and nobody answered: a charge that can be paid."
    ChargeRefusedDecided = "payment.charge_refused.decided":
        "Decided, and not handed to the journal: a charge that the provider refuses."
    ChargeRefusedRecorded = "payment.charge_refused.recorded":
        "Durable, sessions told, nothing called and nobody answered: a charge that the provider \
         refuses."
    ChargeEndedDecided = "payment.charge_ended.decided":
        "Decided, and not handed to the journal: a charge that cannot be paid any more."
    ChargeEndedRecorded = "payment.charge_ended.recorded":
        "Durable, sessions told, nothing called and nobody answered: a charge that cannot be \
         paid any more."
    PixReceivedDecided = "payment.pix_received.decided":
        "Decided, and not handed to the journal: a Pix that came in."
    PixReceivedRecorded = "payment.pix_received.recorded":
        "Durable, sessions told, nothing called and nobody answered: a Pix that came in."
    RefundAskedDecided = "payment.refund_asked.decided":
        "Decided, and not handed to the journal: a refund."
    RefundAskedRecorded = "payment.refund_asked.recorded":
        "Durable, sessions told, nothing called and nobody answered: a refund."
    RefundDoneDecided = "payment.refund_done.decided":
        "Decided, and not handed to the journal: a refund that was done."
    RefundDoneRecorded = "payment.refund_done.recorded":
        "Durable, sessions told, nothing called and nobody answered: a refund that was done."
    RefundFailedDecided = "payment.refund_failed.decided":
        "Decided, and not handed to the journal: a refund that was not done."
    RefundFailedRecorded = "payment.refund_failed.recorded":
        "Durable, sessions told, nothing called and nobody answered: a refund that was not done."
    CreditAskedDecided = "payment.credit_asked.decided":
        "Decided, and not handed to the journal: a question how much of a payment credit pays."
    CreditAskedRecorded = "payment.credit_asked.recorded":
        "Durable, sessions told, nothing called and nobody answered: a question how much of a \
         payment credit pays."
    CreditHeardDecided = "payment.credit_used.decided":
        "Decided, and not handed to the journal: a payment of which credit has paid something."
    CreditHeardRecorded = "payment.credit_used.recorded":
        "Durable, sessions told, nothing called and nobody answered: a payment of which credit \
         has paid something."
    TopUpAskedDecided = "payment.top_up_asked.decided":
        "Decided, and not handed to the journal: a top-up."
    TopUpAskedRecorded = "payment.top_up_asked.recorded":
        "Durable, sessions told, nothing called and nobody answered: a top-up."
    RelievedDecided = "payment.relieved.decided":
        "Decided, and not handed to the journal: a debt that ends unpaid."
    RelievedRecorded = "payment.relieved.recorded":
        "Durable, sessions told, nothing called and nobody answered: a debt that ends unpaid."
    CreditUsedDecided = "credit.used.decided":
        "Decided, and not handed to the journal: the answer to a payment that asks for credit."
    CreditUsedRecorded = "credit.used.recorded":
        "Durable, and its payment not told: the answer to a payment that asks for credit."
    CreditGivenDecided = "credit.given.decided":
        "Decided, and not handed to the journal: credit that an admin gives."
    CreditGivenRecorded = "credit.given.recorded":
        "Durable, and nobody answered: credit that an admin gives."
    HoldReleasedDecided = "wallet.hold_released.decided":
        "Decided, and not handed to the journal: the end of a hold."
    HoldReleasedRecorded = "wallet.hold_released.recorded":
        "Durable, sessions told, nothing called and nobody answered: the end of a hold."
    PayoutRequestedDecided = "wallet.payout_requested.decided":
        "Decided, and not handed to the journal: a payout."
    PayoutRequestedRecorded = "wallet.payout_requested.recorded":
        "Durable, sessions told, nothing called and nobody answered: a payout."
    PayoutApprovedDecided = "wallet.payout_approved.decided":
        "Decided, and not handed to the journal: the approval of a payout."
    PayoutApprovedRecorded = "wallet.payout_approved.recorded":
        "Durable, sessions told, nothing called and nobody answered: the approval of a payout."
    PayoutRejectedDecided = "wallet.payout_rejected.decided":
        "Decided, and not handed to the journal: the rejection of a payout."
    PayoutRejectedRecorded = "wallet.payout_rejected.recorded":
        "Durable, sessions told, nothing called and nobody answered: the rejection of a payout."
    PayoutSendingDecided = "wallet.payout_sending.decided":
        "Decided, and not handed to the journal: the turn of a payout, which may be out from now \
         on."
    PayoutSendingRecorded = "wallet.payout_sending.recorded":
        "Durable, sessions told, nothing called and nobody answered: the turn of a payout, which \
         may be out from now on."
    PayoutAcceptedDecided = "wallet.payout_accepted.decided":
        "Decided, and not handed to the journal: a payout that the provider has."
    PayoutAcceptedRecorded = "wallet.payout_accepted.recorded":
        "Durable, sessions told, nothing called and nobody answered: a payout that the provider \
         has."
    PayoutSetAsideDecided = "wallet.payout_set_aside.decided":
        "Decided, and not handed to the journal: a payout that nobody waits for any more."
    PayoutSetAsideRecorded = "wallet.payout_set_aside.recorded":
        "Durable, sessions told, nothing called and nobody answered: a payout that nobody waits \
         for any more."
    PayoutDoneDecided = "wallet.payout_done.decided":
        "Decided, and not handed to the journal: a payout that was done."
    PayoutDoneRecorded = "wallet.payout_done.recorded":
        "Durable, sessions told, nothing called and nobody answered: a payout that was done."
    PayoutFailedDecided = "wallet.payout_failed.decided":
        "Decided, and not handed to the journal: a payout that was not done."
    PayoutFailedRecorded = "wallet.payout_failed.recorded":
        "Durable, sessions told, nothing called and nobody answered: a payout that was not done."
    PayoutReturnedDecided = "wallet.payout_returned.decided":
        "Decided, and not handed to the journal: a payout of which something came back."
    PayoutReturnedRecorded = "wallet.payout_returned.recorded":
        "Durable, sessions told, nothing called and nobody answered: a payout of which something \
         came back."
    // A call to the payment provider: `effects`.
    EffectCharge = "effect.charge.begun": "The provider is about to be asked to make a charge."
    EffectChargeAnswered = "effect.charge.answered":
        "It is known what came of asking the provider to make a charge; nobody was told."
    EffectLook = "effect.look.begun": "The provider is about to be asked what a charge is."
    EffectLookAnswered = "effect.look.answered":
        "It is known what came of asking the provider what a charge is; nobody was told."
    EffectTakeBack = "effect.take_back.begun":
        "The provider is about to be asked to take a charge back."
    EffectTakeBackAnswered = "effect.take_back.answered":
        "It is known what came of asking the provider to take a charge back; nobody was told."
    EffectConfirm = "effect.confirm.begun":
        "The provider is about to be asked whether a Pix came in."
    EffectConfirmAnswered = "effect.confirm.answered":
        "It is known what came of asking the provider whether a Pix came in; nobody was told."
    EffectRefund = "effect.refund.begun": "The provider is about to be asked to give a Pix back."
    EffectRefundAnswered = "effect.refund.answered":
        "It is known what came of asking the provider to give a Pix back; nobody was told."
    EffectPayoutClear = "effect.payout_clear.begun":
        "The provider is about to be asked whether there is money for a payout."
    EffectPayoutClearAnswered = "effect.payout_clear.answered":
        "It is known what came of asking the provider whether there is money for a payout; \
         nobody was told."
    EffectPayoutSend = "effect.payout_send.begun":
        "The provider is about to be asked to send a payout."
    EffectPayoutSendAnswered = "effect.payout_send.answered":
        "It is known what came of asking the provider to send a payout; nobody was told."
    EffectPayoutAsk = "effect.payout_ask.begun":
        "The provider is about to be asked how a payout stands."
    EffectPayoutAskAnswered = "effect.payout_ask.answered":
        "It is known what came of asking the provider how a payout stands; nobody was told."
    // What the provider tells, and what its lists have: `app`, `jobs`.
    CallbackTaken = "callback.taken": "A callback came in; it is not stored."
    CallbackStored = "callback.stored": "A callback is stored; the provider was not answered."
    NoticeTaken = "notice.taken": "What the provider tells is recorded as handed on; nobody has it."
    NoticeHanded = "notice.handed": "Whoever it is about has what the provider tells."
    NoticeLooked = "notice.looked": "It is known which notices are booked; that is not recorded."
    NoticeSettled = "notice.settled": "It is recorded which notices are booked."
    JanitorRead = "janitor.read": "A list has what nobody may have told; it is not stored."
    JanitorStored = "janitor.stored": "What a list has is stored; the list counts as unread."
    JanitorMoved = "janitor.moved": "A list counts as read up to here."
    RegistrationBegun = "registration.begun": "The provider is about to be told where to call us."
    RegistrationTaken = "registration.taken":
        "The provider has our address and has tried it; nobody knows."
    // A commit: `journal`.
    JournalClaimed = "journal.claimed":
        "A batch is gathered and its streams claimed; nothing is numbered."
    JournalStreamsRead = "journal.streams_read":
        "How far the streams of a batch are was read for the first time."
    JournalNumbered = "journal.numbered": "The stream events of a batch are numbered."
    JournalBeforeCall = "journal.before_call":
        "The connection is there; `journal_write` was not called."
    JournalAccountsOpen = "journal.accounts_open":
        "Account rows are written in a transaction that is not committed."
    JournalAfterCall = "journal.after_call":
        "`journal_write` has committed; its answer was not looked at."
    JournalWritten = "journal.written": "A batch is known to be durable; no session has its events."
    JournalPublished = "journal.published":
        "Sessions have the events of a batch; its streams are still claimed."
    JournalReleased = "journal.released":
        "The streams of a durable batch are free; nobody was answered."
    JournalTold = "journal.told": "Everybody whose decision was in a batch was answered."
    AcksTaken = "acks.taken": "Acknowledgements are taken; they were not written."
    AcksWritten = "acks.written": "Acknowledgements are written."
    // A session, and the long poll: `realtime`, `api`.
    SessionHello = "session.hello": "A session proved who it is; it is not in the hub."
    SessionEntered = "session.entered":
        "A session is in the hub; how far its stream is was not read."
    SessionTruth = "session.truth": "A session's snapshot is read; nothing was said."
    SessionMissed = "session.missed": "The events that a session missed are read; nothing was said."
    SessionOffer = "session.offer": "A durable offer is about to be pushed to its connected driver."
    SessionWrite = "session.write": "A frame is about to be written."
    StreamAnswer = "stream.answer": "The events that a long poll waits for are read, not sent."
    // An orderly end: `app`.
    StopBegun = "stop.begun": "The engine was told to end; it still takes commands."
    StopHalted = "stop.halted": "No command is taken and no timer rings any more."
    StopSettled = "stop.settled": "All that was decided is recorded; the shards are still ours."
    StopFenceLowered = "stop.fence_lowered":
        "The shards are given up in a transaction that is not committed."
    StopLeft = "stop.left": "The shards are left; sessions are still open."
    StopDrained = "stop.drained": "Sessions are sent away; the actors still stand."
    StopClosed = "stop.closed":
        "Everything is stopped but the database, whose connections are still open."
}
