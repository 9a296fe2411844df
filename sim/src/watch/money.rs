//! The watch's own books of money: every committed posting, payment, hold and payout, and what the
//! provider was asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ibora_domain::credit::CreditLot;
use ibora_domain::facts::{Decision, Entity, PaymentRow, RefundRow, Row};
use ibora_domain::ids::{CreditId, DriverId, PassengerId, PaymentId, PayoutId};
use ibora_domain::invariants::{
    MONEY_1, MONEY_3, MONEY_6, MONEY_7, MONEY_8, MONEY_9, MONEY_10, MONEY_11, MONEY_15, TIMER_1,
};
use ibora_domain::ledger::{Account, Earning, FinancialEvent, Guard, Posting, Side, Subject};
use ibora_domain::money::Centavos;
use ibora_domain::payment::{Payment, PaymentEvent};
use ibora_domain::payout::{Payout, SendOrder};
use ibora_domain::pix::{EndToEndId, RefundId};
use ibora_domain::units::{Millis, UnixMillis};
use ibora_psp::Refusal;
use uuid::Uuid;

use super::Watch;
use super::court::{CourtBooks, gives_back};
use crate::database::Write;
use crate::faults::Kind;
use crate::people;
use crate::world::World;

/// Promises about the provider, which no database could prove.
pub(super) const PAID: &str = "PAID";
pub(super) const CHARGE: &str = "CHARGE";
pub(super) const REFUND: &str = "REFUND";
pub(super) const SEND: &str = "SEND";
pub(super) const PAYMENT: &str = "PAYMENT";

/// The books of money.
#[derive(Default)]
pub(super) struct MoneyBooks {
    /// Debits positive.
    balances: BTreeMap<Account, i64>,
    keys: BTreeSet<Arc<str>>,
    pub(super) payments: BTreeMap<PaymentId, Payment>,
    owed: BTreeMap<PassengerId, i64>,
    /// What each payment is owed, of that.
    due: BTreeMap<PaymentId, i64>,
    /// What credit has paid of each, by its passengers' machines.
    used: BTreeMap<PaymentId, i64>,
    lots: BTreeMap<CreditId, i64>,
    credit: BTreeMap<PassengerId, i64>,
    /// What was put into holds and has not left them, each with its driver's sum.
    pub(super) holds: BTreeMap<Earning, (DriverId, i64)>,
    held: BTreeMap<DriverId, i64>,
    refunds: BTreeMap<EndToEndId, BTreeMap<RefundId, RefundRow>>,
    payouts: BTreeMap<PayoutId, Payout>,
    in_transit: i64,
    requested: BTreeMap<Uuid, FinancialEvent>,
    pub(super) court: CourtBooks,
}

impl MoneyBooks {
    fn balance(&self, account: Account) -> i64 {
        let signed = self.balances.get(&account).copied().unwrap_or(0);
        if account.side() == Side::Debit { signed } else { -signed }
    }

    /// Takes note of what a payment is owed, by its status, beyond what credit has paid of it.
    fn note_due(&mut self, id: PaymentId) {
        let Some(payment) = self.payments.get(&id) else { return };
        let Some(passenger) = payment.passenger() else { return };
        let owed = payment.debt.filter(|_| payment.status.is_owed());
        let used = self.used.get(&id).copied().unwrap_or(0);
        let due = owed.map_or(0, |debt| debt.amount().0 - used);
        let before = self.due.insert(id, due).unwrap_or(0);
        *self.owed.entry(passenger).or_default() += due - before;
    }

    fn note_lot(&mut self, lot: &CreditLot) {
        let before = self.lots.insert(lot.id, lot.left().0).unwrap_or(0);
        *self.credit.entry(lot.passenger).or_default() += lot.left().0 - before;
    }

    /// What credit has paid of a payment.
    fn used_of(&self, payment: Subject) -> i64 {
        match payment {
            Subject::Payment(id) => self.used.get(&id).copied().unwrap_or(0),
            _ => 0,
        }
    }

    /// Whether credit has paid all of a ride.
    fn is_paid_by_credit(&self, ride: Subject) -> bool {
        let Subject::Ride(ride) = ride else { return false };
        let payment = self.payments.get(&PaymentId::of_ride(ride));
        payment.is_some_and(|payment| {
            let used = self.used.get(&payment.id).copied().map(Centavos);
            payment.is_paid_by_credit() && payment.wanted() == used
        })
    }
}

impl Watch {
    /// What was there before the first engine.
    pub fn funded(&mut self, event: &FinancialEvent) {
        self.post(event);
    }

    fn post(&mut self, event: &FinancialEvent) {
        for posting in event.postings() {
            *self.money.balances.entry(posting.account).or_default() += posting.amount.0;
        }
    }

    /// A decision is on disk: what it did to the books.
    pub(super) fn money_decided(&mut self, decision: &Decision) {
        for event in &decision.money {
            let sum: i64 = event.postings().iter().map(|posting| posting.amount.0).sum();
            let new = self.money.keys.insert(Arc::clone(event.key()));
            self.holds(MONEY_1, sum == 0 && new, || format!("{} sums to {sum}", event.key()));
            self.undone_exactly(event);
            self.given_back_exactly(event);
            self.post(event);
            for account in event.postings().iter().map(|posting| posting.account) {
                let balance = self.money.balance(account);
                let floor = account.guard() != Guard::Floor || balance >= 0;
                self.holds(MONEY_3, floor, || format!("{account:?} is at {balance}"));
            }
        }
        self.payment_decided(decision);
        for row in &decision.rows {
            match row {
                Row::Hold(row) => {
                    let known = self.money.holds.insert(row.earning, (row.driver, row.amount.0));
                    self.holds(MONEY_7, known.is_none(), || format!("{row:?} is there"));
                    *self.money.held.entry(row.driver).or_default() += row.amount.0;
                }
                Row::Held(row) => {
                    let left = row.hold.left().0;
                    let known = self.money.holds.insert(row.earning, (row.driver, left));
                    let (_, before) = known.unwrap_or((row.driver, 0));
                    // It grows only by what was taken from it, and is given back.
                    let grows = decision.money.iter().any(gives_back);
                    let holds = left <= before || grows && left <= row.hold.amount.0;
                    self.holds(MONEY_7, holds, || format!("{row:?} held {before}"));
                    *self.money.held.entry(row.driver).or_default() += left - before;
                }
                Row::Refund(row) => self.refund_decided(row),
                Row::Dispute(row) => self.dispute_decided(row),
                Row::Credit(lot) => self.money.note_lot(lot),
                Row::CreditUse(used) => {
                    *self.money.used.entry(used.payment).or_default() += used.amount.0;
                    self.money.note_due(used.payment);
                }
                Row::Payout(row) => {
                    if let Ok(payout) = serde_json::from_str::<Payout>(&row.state) {
                        self.payout_decided(payout);
                    }
                }
                _ => {}
            }
        }
    }

    /// A payout that failed is as if it had not been asked for, the fee included.
    fn undone_exactly(&mut self, event: &FinancialEvent) {
        match event.kind() {
            "payout_requested" => {
                self.money.requested.insert(event.subject().id(), event.clone());
            }
            "payout_failed" => {
                let back = |posting: &Posting| (posting.account, posting.amount.0);
                let asked = self.money.requested.get(&event.subject().id());
                let mut asked: Vec<_> =
                    asked.iter().flat_map(|asked| asked.postings()).map(back).collect();
                let mut undone: Vec<_> = event.postings().iter().map(back).collect();
                undone.iter_mut().for_each(|(_, amount)| *amount = -*amount);
                asked.sort_unstable();
                undone.sort_unstable();
                self.holds(MONEY_8, asked == undone, || {
                    format!("{} gives back {undone:?} of {asked:?}", event.key())
                });
            }
            _ => {}
        }
    }

    /// A payment is the fold of its events, and its row is that.
    fn payment_decided(&mut self, decision: &Decision) {
        let rows = decision.rows.iter().filter_map(|row| match row {
            Row::Payment(row) => Some(row),
            _ => None,
        });
        for row in rows {
            let Ok(stored) = serde_json::from_str::<Payment>(&row.state) else {
                self.check(0, PAYMENT, (false, format!("{row:?} cannot be read")));
                continue;
            };
            let status = self.money.payments.get(&row.id).map(|known| known.status);
            let mut folded = match self.money.payments.remove(&row.id) {
                Some(known) => known,
                None if decision.entity == Entity::Payment(row.id) => begun(&stored),
                None => stored.clone(),
            };
            if decision.entity == Entity::Payment(row.id) {
                self.fold(&mut folded, decision, row);
            }
            let same = folded == stored;
            let what = format!("{} {} is not what its events make of it", name(row), row.version);
            self.checks += 1;
            self.check(0, PAYMENT, (same, what));
            self.shares_taken_once(&stored);
            self.paid_is_held(status, &stored, decision);
            self.money.payments.insert(row.id, stored);
            self.money.note_due(row.id);
        }
    }

    fn fold(&mut self, payment: &mut Payment, decision: &Decision, row: &PaymentRow) {
        for event in &decision.events {
            let Ok(happened) = serde_json::from_str::<PaymentEvent>(&event.body) else { continue };
            let next = event.seq == payment.version + 1;
            let what = format!("{} has {}, then {}", name(row), payment.version, event.seq);
            self.check(0, PAYMENT, (next, what));
            payment.apply(&happened, event.at);
        }
    }

    /// What goes back of a Pix is never more than came in.
    fn refund_decided(&mut self, row: &RefundRow) {
        let of = self.money.refunds.entry(row.pix.clone()).or_default();
        of.insert(row.id.clone(), row.clone());
        let goes = |row: &&RefundRow| !matches!(row.status, "failed" | "dropped");
        let gone: i64 = of.values().filter(goes).map(|row| row.amount.0).sum();
        let (came, pix) = (self.came_in(&row.pix), &row.pix);
        self.checks += 1;
        self.check(0, REFUND, (gone <= came, format!("{gone} goes back of {came} of {pix}")));
    }

    fn came_in(&self, pix: &EndToEndId) -> i64 {
        let receipts = self.money.payments.values().flat_map(|payment| &payment.receipts);
        receipts.filter(|receipt| receipt.pix == *pix).map(|receipt| receipt.amount.0).sum()
    }

    fn payout_decided(&mut self, payout: Payout) {
        let net = |payout: &Payout| {
            let ended = !payout.is_under_way() && payout.status() != "awaiting_approval";
            if ended { 0 } else { payout.terms().net().0 }
        };
        let now = net(&payout);
        let before = self.money.payouts.insert(payout.id, payout).as_ref().map_or(0, net);
        self.money.in_transit += now - before;
    }

    /// After a batch the books say what payments, holds and payouts say.
    fn books_agree(&mut self, write: &Write) {
        let touched = write.decisions.iter().flat_map(|decision| &decision.money);
        let accounts: BTreeSet<Account> =
            touched.flat_map(FinancialEvent::postings).map(|posting| posting.account).collect();
        for account in accounts {
            let (balance, money) = (self.money.balance(account), &self.money);
            let (invariant, said) = match account {
                Account::PassengerReceivable(id) => (MONEY_9, money.owed.get(&id).copied()),
                Account::PassengerCredit(id) => (MONEY_15, money.credit.get(&id).copied()),
                Account::DriverHeld(id) => (MONEY_7, money.held.get(&id).copied()),
                Account::PayoutInTransit => (MONEY_8, Some(money.in_transit)),
                Account::DisputeEscrow(id) => (MONEY_11, Some(money.court.escrow(id))),
                _ => continue,
            };
            let said = said.unwrap_or(0);
            self.holds(invariant, said == balance, || {
                format!("{account:?} is at {balance}, and {said} is what there is")
            });
        }
        let trial: i64 = self.money.balances.values().sum();
        self.holds(MONEY_6, trial == 0, || format!("all accounts sum to {trial}"));
    }
}

/// A top-up or a tip before it was asked for, or of a Pix that nobody asked for before it was taken
/// in.
fn begun(stored: &Payment) -> Payment {
    if stored.top_up.is_some() {
        return Payment::top_up(stored.id, stored.opened_at);
    }
    if let Some(debt) = stored.debt.filter(|_| stored.is_tip()) {
        return Payment::tip(debt.trip, stored.opened_at);
    }
    let pix = stored.receipts.first().map(|receipt| receipt.pix.clone());
    pix.map_or_else(|| stored.clone(), |pix| Payment::stray(&pix, stored.opened_at))
}

fn name(row: &PaymentRow) -> String {
    people::name(row.id.0)
}

/// The Pix that an event of the ledger says came in.
fn pix_of(event: &FinancialEvent) -> Option<EndToEndId> {
    let (prefix, rest) = event.key().split_once(':')?;
    let pix = rest.split(':').next().filter(|_| prefix == "pix")?;
    EndToEndId::parse(pix).ok()
}

impl World {
    /// A batch is on disk: money has moved only as it may.
    pub(super) fn watch_money(&mut self, write: &Write) {
        for decision in &write.decisions {
            self.watch.money_decided(decision);
            for event in &decision.money {
                self.watch_came_in(event);
            }
            self.watch_payouts_ended(decision);
            self.watch_ruled(decision);
            self.watch_deadlines(decision);
        }
        if write.decisions.iter().any(|decision| !decision.money.is_empty()) {
            self.watch.books_agree(write);
        }
    }

    /// What is booked as come in did come in, all of it; a driver is credited only by that, and by
    /// what was taken from him and is given back.
    fn watch_came_in(&mut self, event: &FinancialEvent) {
        let of = |wanted: fn(&Account) -> bool| {
            let postings = event.postings().iter();
            postings
                .filter(|posting| wanted(&posting.account))
                .map(|posting| posting.amount.0)
                .sum()
        };
        let clearing: i64 = of(|account| matches!(account, Account::PspClearing));
        let earned: i64 = of(|account| matches!(account, Account::DriverHeld(_)));
        let pix = pix_of(event);
        let came = pix.as_ref().and_then(|pix| self.provider.books.receipt(pix));
        let came = came.map(|receipt| receipt.value.0);
        self.watch.checks += 1;
        let exact = clearing <= 0 || came == Some(clearing);
        self.watch.holds(MONEY_10, exact, || {
            format!("{} books {clearing}, and {came:?} came in", event.key())
        });
        let fees: i64 = of(|account| matches!(account, Account::PspFees));
        let stated =
            event.key().strip_prefix("pixconf:").and_then(|pix| EndToEndId::parse(pix).ok());
        let taken = stated.and_then(|pix| self.provider.books.receipt(&pix));
        let taken = taken.map(|receipt| (receipt.value.0, receipt.tariff.0));
        let exact = clearing >= 0 || taken == Some((-clearing, fees));
        self.watch.holds(MONEY_10, exact, || {
            format!("{} books {clearing} and {fees}, and {taken:?} is so", event.key())
        });
        let by_credit = self.watch.money.is_paid_by_credit(event.subject());
        let used = self.watch.money.used_of(event.subject());
        let by_pix = came.is_some_and(|came| came + used >= -earned);
        let credited = earned >= 0 || by_credit || by_pix || gives_back(event);
        let what = format!("{} credits a driver, and {came:?} came in", event.key());
        self.watch.check(self.now, PAID, (credited, what));
    }

    /// What is under way has a deadline on disk, so that a start goes on with it. A batch may hold
    /// a later decision, so what is looked at is what the batch left behind.
    fn watch_deadlines(&mut self, decision: &Decision) {
        for row in &decision.rows {
            let (id, due) = match row {
                Row::Payment(row) => {
                    let payment = self.db.payment(row.id).filter(Payment::is_busy);
                    (row.id.0, payment.map(|payment| payment.opened_at))
                }
                Row::Payout(row) => {
                    let payout = self.db.payout(row.id).filter(Payout::is_under_way);
                    (row.driver.wallet(), payout.map(|payout| payout.asked_at))
                }
                Row::Dispute(row) => {
                    let due = self.db.dispute(row.id).and_then(|dispute| dispute.due_at);
                    (row.driver.wallet(), due)
                }
                _ => continue,
            };
            let Some(due) = due else { continue };
            let timer = self.db.timers.get(&id).map(|(_, at)| *at);
            self.watch.holds(TIMER_1, timer.is_some_and(|at| at <= due), || {
                format!("{} has something due at {due}, and {timer:?}", people::name(id))
            });
        }
    }

    /// One that failed has not left, and one that is done has.
    fn watch_payouts_ended(&mut self, decision: &Decision) {
        for row in &decision.rows {
            let Row::Payout(row) = row else { continue };
            let Some(payout) = self.db.payout(row.id) else { continue };
            let sent = self.provider.books.payout(&payout.order(None).id());
            let state = sent.map(|sent| sent.state);
            let holds = match row.status {
                "done" | "returned" => state == Some(ibora_psp::PayoutState::Done),
                "failed" => matches!(state, None | Some(ibora_psp::PayoutState::Failed { .. })),
                _ => true,
            };
            let what = format!("{payout} is {state:?} at the provider");
            self.watch.checks += 1;
            self.watch.check(self.now, SEND, (holds, what));
        }
    }

    /// The provider has made a charge: no other of that payment can be paid.
    pub fn watch_charge_made(&mut self, payment: PaymentId) {
        let active = self.provider.active_charges(payment);
        let what = format!("{} has {active} charges that can be paid", people::name(payment.0));
        self.watch.checks += 1;
        self.watch.check(self.now, CHARGE, (active <= 1, what));
    }

    /// The provider refuses a refund: it never has a reason to, but its own, and that a bank was
    /// faster.
    pub fn watch_refund_refused(&mut self, pix: &EndToEndId, refusal: Refusal) {
        let what = format!("a refund of {pix} is refused: {refusal}");
        let holds = self.bank_took_of(pix);
        self.watch.checks += 1;
        self.watch.check(self.now, REFUND, (holds, what));
    }

    /// A payout arrives at the provider: it is recorded as sent, and the line is free for it.
    pub fn watch_send(&mut self, order: &SendOrder) {
        let recorded = self.db.payout(order.payout);
        let since = recorded.as_ref().and_then(Payout::in_flight_since);
        let known = self.provider.books.payout(&order.id()).is_some();
        let ended = recorded.as_ref().is_some_and(|payout| !payout.is_under_way());
        let what = format!("{} is sent, and {recorded:?}", people::name(order.payout.0));
        self.watch.checks += 1;
        let holds = since.is_some() || known || ended && recorded.is_some();
        self.watch.check(self.now, SEND, (holds, what));
        if known {
            return;
        }
        let skewed = self.plan.iter().any(|fault| fault.kind == Kind::Skew);
        let slack = Millis(if skewed { 12_000 } else { 3000 });
        let (now, held) = (self.wall(), self.line.held);
        let waited_for = |since: UnixMillis| now.since(since).0 + slack.0 < held.0;
        if since.is_some_and(|since| !waited_for(since)) {
            // A call that took long: the line was free again before it arrived.
            return;
        }
        let pending: Vec<_> = self.provider.pending_sends().map(|send| send.id.clone()).collect();
        for other in pending {
            let id = Uuid::try_parse(other.as_str()).ok().map(PayoutId);
            let payout = id.and_then(|id| self.db.payout(id));
            let since = payout.as_ref().and_then(Payout::in_flight_since);
            let set_aside = since.is_some_and(|since| !waited_for(since));
            let what = format!("{} is sent while {payout:?} is", people::name(order.payout.0));
            self.watch.check(self.now, SEND, (set_aside, what));
        }
    }
}
