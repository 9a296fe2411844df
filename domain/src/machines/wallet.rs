//! The wallet's machine: what a driver has earned, what of it is held, and what he is paid.
//!
//! It alone decides what takes from a driver's accounts, one thing after the other, and books each
//! in the commit of its decision. The payout line asks it before a payout goes out, so that what
//! may be with the provider is recorded before it can be; then it hears how that ended. Every word
//! to it may come twice, late, or never: it acts on each once, and asks again.

mod disputes;
mod payouts;
mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use super::known::{Known, PastCommand};
use super::{Ask, Machine, Outputs, Turn};
use crate::dispute::{Claim, Dispute, DisputePolicy, Stands, Winner};
use crate::facts::{Decision, Entity, Timer};
use crate::ids::{DisputeId, DriverId, PayoutId};
use crate::ledger::{Earning, Hold, PayoutRules, Wallet};
use crate::money::Centavos;
use crate::payout::{Payout, SentPayout};
use crate::person::{Cpf, Role};
use crate::pix::{Payee, PixKey};
use crate::provider::Code;
use crate::units::{Millis, UnixMillis};

/// The day of a daily limit begins at midnight in Brasília, three hours after that of UTC.
const BRASILIA: Millis = Millis::from_secs(3 * 3600);
const DAY_MS: i64 = 86_400_000;

/// How often the line is told again of what is under way: a word may have been lost.
const TOLD_EVERY: Millis = Millis::from_secs(30);

/// By what rules wallets decide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WalletPolicy {
    pub payouts: PayoutRules,
    /// A payout above it has to be approved by two people.
    pub approved_above: Centavos,
    pub disputes: DisputePolicy,
    /// Where the platform's own money goes, if anywhere.
    pub owner_key: Option<PixKey>,
    /// What of it stays.
    pub sweep_keeps: Centavos,
    pub passivate_after: Millis,
}

impl Default for WalletPolicy {
    /// The defaults of the design, for tests; a running engine reads its configuration.
    fn default() -> Self {
        Self {
            payouts: PayoutRules {
                fee: Centavos(50),
                minimum: Centavos(500),
                day_max: Centavos(200_000),
            },
            approved_above: Centavos(100_000),
            disputes: DisputePolicy::default(),
            owner_key: None,
            sweep_keeps: Centavos(10_000),
            passivate_after: Millis::from_secs(60),
        }
    }
}

/// What a wallet reacts to.
#[derive(Debug)]
pub enum WalletInput<R> {
    /// His share of something was paid; the hold is recorded.
    Earned {
        earning: Earning,
        hold: Hold,
    },
    /// From the driver himself; to the owner's wallet, from an admin.
    Payout {
        ask: Ask<R>,
        wanted: Box<Wanted>,
    },
    /// From somebody who may approve payouts.
    Review {
        ask: Ask<R>,
        payout: PayoutId,
        verdict: Verdict,
    },
    /// It is this payout's turn: the line wants to send it.
    Turn {
        payout: PayoutId,
    },
    /// What the line knows of a payout.
    Line {
        payout: PayoutId,
        news: LineNews,
    },
    /// Somebody says that something happened to a payout, which was recorded as this when this
    /// wallet had so many events.
    Hint {
        payout: Box<Payout>,
        as_of: u64,
    },
    /// From a payment: something stands against his share of it. Said again until this wallet has
    /// answered; `ask`: of whoever contests the ride.
    Claim {
        claim: Box<Claim>,
        stands: Stands,
        ask: Option<Ask<R>>,
    },
    /// Somebody adds to a dispute, in this role.
    Evidence {
        ask: Ask<R>,
        dispute: DisputeId,
        role: Role,
        text: String,
    },
    /// An admin rules a dispute.
    Rule {
        ask: Ask<R>,
        dispute: DisputeId,
        winner: Winner,
        reason: String,
    },
    Alarm,
}

/// A payout that a driver asks for, under a new id.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub id: PayoutId,
    /// The fee included.
    pub amount: Centavos,
    /// The key that he means.
    pub key: Option<PixKey>,
    /// Whom he is paid to.
    pub payee: Option<Payee>,
    /// It is the platform's own money, and goes to its owner.
    pub sweep: Option<Sweep>,
}

/// What an admin takes out for the owner, and what there was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sweep {
    /// What of the cash at the provider was nobody else's when that was read.
    pub spare: Centavos,
    /// How many events of the owner's wallet that took in.
    pub events: u64,
    pub reason: String,
}

/// What somebody says to a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Approved,
    Rejected { reason: Option<String> },
}

impl Verdict {
    /// The name in the audit trail.
    const fn action(&self) -> &'static str {
        match self {
            Self::Approved => "payout.approve",
            Self::Rejected { .. } => "payout.reject",
        }
    }
}

/// What the payout line tells of a payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineNews {
    /// The provider has it.
    Found(SentPayout),
    /// It was not carried out, and will not be.
    Refused { code: Option<Code> },
    /// Nobody waits for its outcome any more.
    SetAside,
}

/// What is known of a wallet when its machine is built.
#[derive(Debug)]
pub struct WalletRecords {
    pub wallet: Wallet,
    /// Events recorded so far.
    pub events: u64,
    /// Those that have not ended.
    pub payouts: Vec<Payout>,
    /// Those that have ended too: a payment may say again how it ended.
    pub disputes: Vec<Dispute>,
    pub document: Option<Cpf>,
    pub commands: Vec<PastCommand>,
}

/// The actor's inside.
pub struct WalletMachine<R> {
    driver: DriverId,
    policy: Arc<WalletPolicy>,
    wallet: Wallet,
    events: u64,
    /// How many of them were recorded when this machine was built.
    built_at: u64,
    /// Those that have not ended, and of others those that this machine knows as they are.
    payouts: BTreeMap<PayoutId, Payout>,
    disputes: BTreeMap<DisputeId, Dispute>,
    document: Option<Cpf>,
    known: Known,
    /// The deadline last handed over to be recorded.
    timer: Option<Timer>,
    tells_at: Option<UnixMillis>,
    replies: PhantomData<fn() -> R>,
}

impl<R> WalletMachine<R> {
    /// Builds the machine of `driver`'s wallet from what the records say.
    #[must_use]
    pub fn new(driver: DriverId, policy: Arc<WalletPolicy>, records: WalletRecords) -> Self {
        let payouts = records.payouts.into_iter().map(|payout| (payout.id, payout)).collect();
        let disputes = records.disputes.into_iter();
        let disputes = disputes.map(|dispute| (dispute.claim.id, dispute)).collect();
        Self {
            driver,
            policy,
            wallet: records.wallet,
            events: records.events,
            built_at: records.events,
            payouts,
            disputes,
            document: records.document,
            known: records.commands.into_iter().collect(),
            timer: None,
            tells_at: None,
            replies: PhantomData,
        }
    }

    /// Goes on with what the records say is under way.
    pub fn wake(&mut self, now: UnixMillis, out: &mut Outputs<R>) {
        self.tells_at = Some(now);
        let turn = &mut Turn::new(now, out);
        self.tell_line(turn);
        self.watch(turn);
    }

    /// His figures.
    #[must_use]
    pub fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    fn decision(&self, turn: &Turn<'_, R>) -> Decision {
        Decision::new(Entity::Wallet(self.driver), turn.now)
    }

    /// Ends the holds whose time has come.
    fn release(&mut self, turn: &Turn<'_, R>, decision: &mut Decision) {
        // Amounts that do not fit stay where they are: nothing is lost, and the audit shows them.
        let Ok(released) = self.wallet.release(turn.now) else { return };
        decision.money.extend(released.events);
        for earning in released.earnings {
            self.record_hold(decision, earning);
        }
    }

    fn alarm(&mut self, turn: &mut Turn<'_, R>) {
        let mut decision = self.decision(turn);
        self.release(turn, &mut decision);
        let ruled = self.overdue(turn.now, &mut decision);
        self.finish(turn, decision);
        for dispute in ruled {
            self.tell_payment(turn, dispute);
        }
        self.tell_line(turn);
    }

    /// Sets the alarm, as every step does at its end.
    fn watch(&mut self, turn: &mut Turn<'_, R>) {
        let under_way = self.payouts.values().any(Payout::is_under_way);
        self.tells_at = self.tells_at.or(Some(turn.now + TOLD_EVERY)).filter(|_| under_way);
        let due = self.wallet.next_release().into_iter().chain(self.tells_at);
        turn.alarm(due.chain(self.next_dispute()).min());
    }
}

/// The day of the daily limit.
#[must_use]
pub fn day_of(now: UnixMillis) -> i64 {
    (now - BRASILIA).0.div_euclid(DAY_MS)
}

/// When that day began.
#[must_use]
pub fn start_of_day(now: UnixMillis) -> UnixMillis {
    UnixMillis(day_of(now).saturating_mul(DAY_MS)) + BRASILIA
}

impl<R> Machine for WalletMachine<R> {
    type Input = WalletInput<R>;
    type Reply = R;

    fn step(&mut self, now: UnixMillis, input: WalletInput<R>, out: &mut Outputs<R>) {
        let turn = &mut Turn::new(now, out);
        match input {
            WalletInput::Earned { earning, hold } => {
                self.wallet.earned(earning, hold);
                // Its end is a deadline that must be on disk.
                let decision = self.decision(turn);
                self.finish(turn, decision);
            }
            WalletInput::Payout { ask, wanted } => {
                if let Some(ask) = self.known.replay(turn, ask) {
                    self.ask(turn, ask, &wanted);
                }
            }
            WalletInput::Review { ask, payout, verdict } => {
                if let Some(ask) = self.known.replay(turn, ask) {
                    self.review(turn, ask, payout, verdict);
                }
            }
            WalletInput::Turn { payout } => self.turn_of(turn, payout),
            WalletInput::Line { payout, news } => self.line(turn, payout, news),
            WalletInput::Hint { payout, as_of } => self.hint(turn, *payout, as_of),
            WalletInput::Claim { claim, stands, ask } => self.claim(turn, *claim, &stands, ask),
            WalletInput::Evidence { ask, dispute, role, text } => {
                if let Some(ask) = self.known.replay(turn, ask) {
                    self.evidence(turn, ask, dispute, (role, text));
                }
            }
            WalletInput::Rule { ask, dispute, winner, reason } => {
                if let Some(ask) = self.known.replay(turn, ask) {
                    self.rule(turn, ask, dispute, (winner, reason));
                }
            }
            WalletInput::Alarm => self.alarm(turn),
        }
        self.watch(turn);
    }

    fn settle(&mut self, _now: UnixMillis, _recording: bool, _out: &mut Outputs<R>) {}

    fn passivate_after(&self) -> Millis {
        self.policy.passivate_after
    }
}
