//! The wallet's machine: what a driver has earned, what of it is held, and what he is paid.
//!
//! It alone decides what takes from a driver's accounts, one thing after the other, and books each
//! in the commit of its decision. The payout line asks it before a payout goes out, so that what
//! may be with the provider is recorded before it can be; then it hears how that ended. Every word
//! to it may come twice, late, or never: it acts on each once, and asks again.

mod record;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use serde_json::{Value, json};

use super::known::{Known, PastCommand};
use super::{Ask, Machine, Note, Outputs, Turn};
use crate::facts::{Act, Decision, Entity, Timer};
use crate::ids::{DriverId, PayoutId};
use crate::ledger::{Earning, Hold, PayoutRefusal, PayoutRules, Wallet};
use crate::machines::LineInput;
use crate::money::Centavos;
use crate::mutants::{Mutant, is};
use crate::payout::{Payout, PayoutEvent, Phase, SentPayout};
use crate::person::{Cpf, Role};
use crate::pix::{Payee, PixKey};
use crate::provider::Code;
use crate::refusal::Refusal;
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
    /// From the driver himself.
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
    /// Somebody says that something happened to a payout, which is recorded as this.
    Hint {
        payout: Box<Payout>,
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
    pub document: Option<Cpf>,
    pub commands: Vec<PastCommand>,
}

/// The actor's inside.
pub struct WalletMachine<R> {
    driver: DriverId,
    policy: Arc<WalletPolicy>,
    wallet: Wallet,
    events: u64,
    payouts: BTreeMap<PayoutId, Payout>,
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
        Self {
            driver,
            policy,
            wallet: records.wallet,
            events: records.events,
            payouts,
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

    fn ask(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, wanted: Wanted) {
        let mut decision = self.decision(turn);
        self.release(turn, &mut decision);
        let amount = wanted.amount;
        let answer = match self.open(turn.now, wanted, &mut decision) {
            Ok(id) => {
                let changes = json!({"amount": amount.to_string()});
                let act = act("payout.request", id, changes);
                decision.audit.push(ask.audit(Role::Driver, act, turn.now));
                Ok(self.shown(id))
            }
            Err(refusal) => Err(refusal),
        };
        self.known.answer(turn, ask, answer, &mut decision);
        self.finish(turn, decision);
    }

    fn open(
        &mut self,
        now: UnixMillis,
        wanted: Wanted,
        decision: &mut Decision,
    ) -> Result<PayoutId, Refusal> {
        let payee = wanted.payee.ok_or(Refusal::PixKeyMissing)?;
        if wanted.key.is_some_and(|key| key != payee.key) {
            return Err(Refusal::PixKeyMismatch);
        }
        if now < payee.usable_from {
            return Err(Refusal::PixKeyCooling);
        }
        let when = (day_of(now), now);
        let asked = self.wallet.ask_payout(wanted.id, wanted.amount, when, &self.policy.payouts);
        let (terms, booked) = asked.map_err(|refusal| match refusal {
            PayoutRefusal::BelowMinimum { .. } => Refusal::BelowMinimum,
            PayoutRefusal::InsufficientBalance => Refusal::InsufficientBalance,
            PayoutRefusal::LimitExceeded { .. } => Refusal::LimitExceeded,
        })?;
        decision.money.push(booked);
        let mut payout = Payout::requested(&terms, self.driver, payee.key, now);
        if terms.amount > self.policy.approved_above {
            payout.phase = Phase::AwaitingApproval;
        }
        self.payouts.insert(terms.id, payout);
        let event = PayoutEvent::Requested { amount: terms.amount, fee: terms.fee };
        self.record_event(decision, terms.id, &event);
        Ok(terms.id)
    }

    fn review(&mut self, turn: &mut Turn<'_, R>, ask: Ask<R>, id: PayoutId, verdict: Verdict) {
        let Some(payout) = self.payouts.get(&id) else {
            // One that has ended is not in memory, and nobody decides on it any more.
            let mut decision = self.decision(turn);
            let refusal = Err(Refusal::IllegalTransition);
            self.known.answer(turn, ask, refusal, &mut decision);
            self.finish(turn, decision);
            return;
        };
        let (before, action) = (payout.status(), verdict.action());
        let decided = match verdict {
            Verdict::Approved => payout.approve(ask.by),
            Verdict::Rejected { reason } => payout.reject(ask.by, reason),
        };
        let mut decision = self.decision(turn);
        let answer = match decided {
            Ok(event) => {
                self.happened(turn.now, id, &event, &mut decision);
                let after = self.payouts.get(&id).map(Payout::status);
                let act = act(action, id, json!({"before": before, "after": after}));
                decision.audit.push(ask.audit(Role::Admin, act, turn.now));
                Ok(self.shown(id))
            }
            Err(refusal) => Err(refusal),
        };
        self.known.answer(turn, ask, answer, &mut decision);
        self.finish(turn, decision);
    }

    /// Applies what happened to a payout, with what it does to wallet and ledger.
    fn happened(
        &mut self,
        now: UnixMillis,
        id: PayoutId,
        event: &PayoutEvent,
        decision: &mut Decision,
    ) {
        let Some(payout) = self.payouts.get_mut(&id) else { return };
        let terms = payout.terms();
        let asked_on = day_of(payout.asked_at);
        payout.apply(event, now);
        let booked = match event {
            PayoutEvent::Done => terms.done(Centavos::ZERO, now).map(Some),
            PayoutEvent::Failed { .. } | PayoutEvent::Rejected { .. } => {
                self.wallet.unpaid(&terms, asked_on);
                terms.failed(now).map(Some)
            }
            PayoutEvent::Returned { id, amount } => {
                self.wallet.credited(*amount);
                terms.returned(id.as_str(), *amount, now).map(Some)
            }
            PayoutEvent::Requested { .. }
            | PayoutEvent::Approved { .. }
            | PayoutEvent::Sending
            | PayoutEvent::Accepted { .. }
            | PayoutEvent::SetAside => Ok(None),
        };
        // What was asked for was booked, so that its end can be.
        decision.money.extend(booked.ok().flatten());
        self.record_event(decision, id, event);
    }

    /// The line wants to send a payout: that is recorded first.
    fn turn_of(&mut self, turn: &mut Turn<'_, R>, id: PayoutId) {
        match self.payouts.get(&id).map(|payout| &payout.phase) {
            Some(Phase::Queued) => {
                let mut decision = self.decision(turn);
                if !is(Mutant::SentUnrecorded) {
                    self.happened(turn.now, id, &PayoutEvent::Sending, &mut decision);
                }
                self.finish(turn, decision);
                if let Some(payout) = self.payouts.get(&id) {
                    let order = Box::new(payout.order(self.document));
                    turn.tell_line(LineInput::Go { order, driver: self.driver });
                }
            }
            Some(Phase::InFlight { .. } | Phase::SetAside { .. }) => self.tell_of(turn, id),
            Some(
                Phase::AwaitingApproval
                | Phase::Done { .. }
                | Phase::Failed { .. }
                | Phase::Rejected { .. },
            )
            | None => turn.tell_line(LineInput::Drop { payout: id }),
        }
    }

    fn line(&mut self, turn: &mut Turn<'_, R>, id: PayoutId, news: LineNews) {
        let Some(payout) = self.payouts.get(&id) else { return };
        let under_way = payout.in_flight_since().is_some();
        let events = match news {
            LineNews::Found(sent) if !payout.is_of(&sent) => {
                turn.note(Note::PayoutOdd);
                vec![]
            }
            LineNews::Found(sent) => {
                if payout.contradicts(&sent) {
                    turn.note(Note::PayoutOdd);
                }
                payout.news(&sent)
            }
            LineNews::Refused { code } if under_way => {
                vec![PayoutEvent::Failed { code: code.map(|code| code.as_str().to_owned()) }]
            }
            LineNews::SetAside if matches!(payout.phase, Phase::InFlight { .. }) => {
                vec![PayoutEvent::SetAside]
            }
            LineNews::Refused { .. } | LineNews::SetAside => vec![],
        };
        let mut decision = self.decision(turn);
        for event in &events {
            self.happened(turn.now, id, event, &mut decision);
        }
        self.finish(turn, decision);
    }

    fn hint(&mut self, turn: &mut Turn<'_, R>, recorded: Payout) {
        let id = recorded.id;
        // Records that say otherwise than memory are older: memory holds whatever has not ended.
        if !recorded.is_under_way() && !matches!(recorded.phase, Phase::AwaitingApproval) {
            self.payouts.entry(id).or_insert(recorded);
        }
        let Some(payout) = self.payouts.get(&id) else { return };
        match payout.phase {
            Phase::InFlight { .. }
            | Phase::SetAside { .. }
            | Phase::Done { .. }
            | Phase::Failed { .. } => {
                let order = Box::new(payout.order(self.document));
                turn.tell_line(LineInput::Look { order, driver: self.driver });
            }
            Phase::AwaitingApproval | Phase::Queued | Phase::Rejected { .. } => {}
        }
    }

    fn alarm(&mut self, turn: &mut Turn<'_, R>) {
        let mut decision = self.decision(turn);
        self.release(turn, &mut decision);
        self.finish(turn, decision);
        self.tell_line(turn);
    }

    /// Tells the line of what is under way, when it is time to.
    fn tell_line(&mut self, turn: &mut Turn<'_, R>) {
        if self.tells_at.is_none_or(|at| turn.now < at) {
            return;
        }
        self.tells_at = Some(turn.now + TOLD_EVERY);
        let under_way = self.payouts.values().filter(|payout| payout.is_under_way());
        let ids: Vec<_> = under_way.map(|payout| payout.id).collect();
        for id in ids {
            self.tell_of(turn, id);
        }
    }

    fn tell_of(&self, turn: &mut Turn<'_, R>, id: PayoutId) {
        let Some(payout) = self.payouts.get(&id) else { return };
        let driver = self.driver;
        match payout.phase {
            Phase::Queued => {
                let amount = payout.terms().net();
                turn.tell_line(LineInput::Queue { payout: id, driver, amount });
            }
            Phase::InFlight { since } | Phase::SetAside { since } => {
                let order = Box::new(payout.order(self.document));
                let aside = matches!(payout.phase, Phase::SetAside { .. });
                turn.tell_line(LineInput::Resume { order, driver, since, aside });
            }
            Phase::AwaitingApproval
            | Phase::Done { .. }
            | Phase::Failed { .. }
            | Phase::Rejected { .. } => {}
        }
    }

    /// Sets the alarm, as every step does at its end.
    fn watch(&mut self, turn: &mut Turn<'_, R>) {
        let under_way = self.payouts.values().any(Payout::is_under_way);
        self.tells_at = self.tells_at.or(Some(turn.now + TOLD_EVERY)).filter(|_| under_way);
        turn.alarm(self.wallet.next_release().into_iter().chain(self.tells_at).min());
    }
}

fn act(action: &'static str, payout: PayoutId, changes: Value) -> Act {
    Act { action, entity_type: "payout", entity_id: payout.0, changes }
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
                    self.ask(turn, ask, *wanted);
                }
            }
            WalletInput::Review { ask, payout, verdict } => {
                if let Some(ask) = self.known.replay(turn, ask) {
                    self.review(turn, ask, payout, verdict);
                }
            }
            WalletInput::Turn { payout } => self.turn_of(turn, payout),
            WalletInput::Line { payout, news } => self.line(turn, payout, news),
            WalletInput::Hint { payout } => self.hint(turn, *payout),
            WalletInput::Alarm => self.alarm(turn),
        }
        self.watch(turn);
    }

    fn settle(&mut self, _now: UnixMillis, _recording: bool, _out: &mut Outputs<R>) {}

    fn passivate_after(&self) -> Millis {
        self.policy.passivate_after
    }
}
