//! How a city pays: how long charges and holds last, what payers do, what the provider takes.
//!
//! Holds and charges last minutes and not a day, so that a run sees them end.

use ibora_domain::credit::CreditPolicy;
use ibora_domain::dispute::{DisputePolicy, Winner};
use ibora_domain::ledger::PayoutRules;
use ibora_domain::machines::WalletPolicy;
use ibora_domain::money::Centavos;
use ibora_domain::payment::{PaymentPolicy, TipPolicy};
use ibora_domain::units::Millis;

use crate::chance::Chance;

/// Of hundred chances, how many are taken; and how long things last.
#[derive(Debug, Clone, Copy)]
pub struct Purse {
    /// How long a charge can be paid, and a driver's share is held.
    expiry: Millis,
    hold: Millis,
    /// How long the provider takes for a refund or a payout.
    pub settles: Millis,
    /// What the provider takes of a Pix, and how long until it shows that.
    pub tariff: Centavos,
    pub tariff_after: Millis,
    /// What the owner has put in.
    pub funds: Centavos,
    /// A payer pays what he is shown, in time; of the others, each does something else.
    pub pays: u64,
    /// A driver wants money each time he looks.
    pub wants_payout: u64,
    /// A payout comes back.
    pub sent_back: u64,
    /// Somebody gets something back of what he paid.
    pub complains: u64,
    /// A passenger puts money in for later rides each time he looks, or is given some.
    pub tops_up: u64,
    /// A payout above it has to be approved by two people.
    approved_above: Centavos,
    /// What is owed for so long is written off.
    write_off_after: Millis,
    pub court: Court,
}

/// How a city quarrels: of hundred chances, how many are taken.
#[derive(Debug, Clone, Copy)]
pub struct Court {
    /// A passenger tips his driver.
    pub tips: u64,
    /// Somebody contests a ride, adds to that, or rules it, each time he looks.
    pub contests: u64,
    pub answers: u64,
    pub rules: u64,
    /// Somebody lets a passenger off a fee.
    pub waives: u64,
    /// A payer's bank wants his money back.
    pub claims: u64,
    rules_of: DisputePolicy,
}

impl Court {
    const PLAIN: Self = Self {
        tips: 15,
        contests: 1,
        answers: 10,
        rules: 5,
        waives: 2,
        claims: 2,
        rules_of: DisputePolicy {
            open_within: Millis::from_secs(300),
            answer_within: Millis::from_secs(30),
            ruled_within: Millis::from_secs(90),
            unruled: Winner::Driver,
        },
    };

    fn drawn(mut one_of: impl FnMut(&[u64]) -> u64) -> Self {
        let answer_within = one_of(&[5, 30, 60]);
        let secs = Millis::from_secs;
        Self {
            tips: one_of(&[0, 15, 50]),
            contests: one_of(&[0, 1, 4]),
            answers: one_of(&[2, 20]),
            rules: one_of(&[0, 5, 30]),
            waives: one_of(&[0, 3, 10]),
            claims: one_of(&[0, 2, 15]),
            rules_of: DisputePolicy {
                open_within: secs(one_of(&[30, 300])),
                answer_within: secs(answer_within),
                ruled_within: secs(answer_within + one_of(&[5, 60])),
                unruled: if one_of(&[0, 1]) == 0 { Winner::Driver } else { Winner::Passenger },
            },
        }
    }
}

impl Purse {
    /// The usual one.
    pub const PLAIN: Self = Self {
        expiry: Millis::from_secs(90),
        hold: Millis::from_secs(60),
        settles: Millis(2000),
        tariff: Centavos(24),
        tariff_after: Millis(0),
        funds: Centavos(50_000),
        pays: 80,
        wants_payout: 8,
        sent_back: 5,
        complains: 5,
        tops_up: 5,
        approved_above: Centavos(100_000),
        write_off_after: Millis::from_secs(240),
        court: Court::PLAIN,
    };

    /// One as it comes.
    #[must_use]
    pub fn drawn(chance: &mut Chance) -> Self {
        let mut one_of = |of: &[u64]| of[chance.index(of.len())];
        let (expiry, hold) = (one_of(&[20, 60, 150]), one_of(&[5, 40, 150]));
        Self {
            expiry: Millis::from_secs(expiry),
            hold: Millis::from_secs(hold),
            settles: Millis(one_of(&[500, 2000, 6000])),
            tariff: Centavos(if one_of(&[0, 1]) == 0 { 0 } else { 24 }),
            tariff_after: Millis::from_secs(one_of(&[0, 0, 20])),
            funds: Centavos(i64::try_from(one_of(&[100, 50_000])).unwrap_or(100)),
            pays: one_of(&[40, 75, 95]),
            wants_payout: one_of(&[3, 10, 25]),
            sent_back: one_of(&[0, 10, 30]),
            complains: one_of(&[0, 2, 10]),
            tops_up: one_of(&[0, 3, 15]),
            approved_above: Centavos(i64::try_from(one_of(&[1500, 100_000])).unwrap_or(1500)),
            write_off_after: Millis::from_secs(one_of(&[60, 200, 7_776_000])),
            court: Court::drawn(one_of),
        }
    }

    /// As an engine is configured for it.
    #[must_use]
    pub fn payments(&self) -> PaymentPolicy {
        PaymentPolicy {
            charges: true,
            expiry: self.expiry,
            hold: self.hold,
            tips: TipPolicy {
                min: Centavos(100),
                max: Centavos(20_000),
                within: Millis::from_secs(120),
            },
            credit: CreditPolicy::default(),
            write_off_after: self.write_off_after,
            disputes: self.court.rules_of,
        }
    }

    /// As an engine is configured for it.
    #[must_use]
    pub fn wallets(&self) -> WalletPolicy {
        WalletPolicy {
            payouts: PayoutRules {
                fee: Centavos(50),
                minimum: Centavos(500),
                day_max: Centavos(200_000),
            },
            approved_above: self.approved_above,
            passivate_after: Millis::from_secs(60),
            disputes: self.court.rules_of,
            ..WalletPolicy::default()
        }
    }
}
