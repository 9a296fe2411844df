//! What must always hold, each with an id and one sentence: the one list that code, metrics,
//! documents and `ibora audit` name them by.
//!
//! Any room may name an invariant; the engine's `check_invariant!` evaluates the predicate. Ids are
//! public (metric labels, runbooks): never rename or reuse one.

use std::fmt;

macro_rules! invariants {
    ($($variant:ident $id:ident $sentence:literal)*) => {
        /// A promise of the engine. See [`Invariant::sentence`] for the words.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Invariant {
            $(#[doc = $sentence] $variant,)*
        }

        $(
            #[doc = $sentence]
            pub const $id: Invariant = Invariant::$variant;
        )*

        impl Invariant {
            /// Every invariant, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its public name, such as `RIDE_1`.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($id),)*
                }
            }

            /// What must hold, for people.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self {
                    $(Self::$variant => $sentence,)*
                }
            }
        }
    };
}

invariants! {
    Ride1 RIDE_1 "A ride has at most one driver, unless a release lies between two."
    Ride2 RIDE_2 "A driver has at most one active ride that is not chained."
    Ride3 RIDE_3 "A passenger has at most one active ride."
    Ride4 RIDE_4 "A ride's version is the number of its events, and those are contiguous."
    Ride5 RIDE_5 "A ride changes its status only by an allowed transition."
    Ride6 RIDE_6 "No open offer outlives its ride."
    Ride7 RIDE_7 "A driver has at most one chained ride, and only beside the active one."
    Ack1 ACK_1 "Nothing is acknowledged without a durable row."
    Result1 RESULT_1 "A principal and a key have one result."
    Stream1 STREAM_1 "The sequence numbers of a stream have no gap."
    Timer1 TIMER_1 "A ride that searches has a deadline on disk, one that ended has none."
    Rate1 RATE_1 "What is counted of a person's ratings is what the events say."
    Fence1 FENCE_1 "The epoch of a shard never decreases."
    Money1 MONEY_1 "The postings of a financial event are all there and sum to zero."
    Money2 MONEY_2 "The balance of an account is the sum of its postings."
    Money3 MONEY_3 "No account that has a floor lies below it."
    Money4 MONEY_4 "Numbered postings have no gap, and each balance follows from the one before."
    Money5 MONEY_5 "A ride that ended with something to pay is booked."
    Money6 MONEY_6 "Debits equal credits over all accounts."
    Money7 MONEY_7 "What is held of a driver's earnings is what his account of them holds."
    Money8 MONEY_8 "What is on its way to drivers is what their unfinished payouts are of."
    Money9 MONEY_9 "What a payment is owed is what the ledger says of it."
    Money10 MONEY_10 "A Pix that came in is booked once, and what nobody asked for goes back."
    Money11 MONEY_11 "What lies in escrow is what the open disputes froze."
    Money12 MONEY_12 "What is on its way to passengers is what their unfinished refunds are of."
    Money13 MONEY_13 "What is booked as blocked is what open claims of banks keep."
    Money14 MONEY_14 "A tip that was paid is all the driver's, and who was let off paid nothing."
    Money15 MONEY_15 "What is left of a passenger's credit is what his account of it holds."
    Money16 MONEY_16 "What was paid of a payment, by Pix and by credit, is all that it is of."
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_invariant_has_an_id_of_its_own_and_one_sentence() {
        let ids: HashSet<_> = Invariant::ALL.iter().map(|invariant| invariant.id()).collect();
        assert_eq!(ids.len(), Invariant::ALL.len());
        for invariant in Invariant::ALL {
            let sentence = invariant.sentence();
            assert!(sentence.ends_with('.') && sentence.matches('.').count() == 1, "{sentence}");
        }
    }

    #[test]
    fn the_names_in_code_and_in_metrics_are_the_same() {
        assert_eq!(RIDE_1.to_string(), "RIDE_1");
        assert_eq!(FENCE_1.id(), "FENCE_1");
    }
}
