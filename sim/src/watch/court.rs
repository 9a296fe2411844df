//! The watch's own books of what stands against drivers' shares: what lies in escrow, what was
//! taken and given back, and how each dispute ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use ibora_domain::dispute::Dispute;
use ibora_domain::facts::{Decision, DisputeRow, Row};
use ibora_domain::ids::{DisputeId, PaymentId};
use ibora_domain::invariants::{MONEY_12, MONEY_14};
use ibora_domain::ledger::{Account, Due, Earning, FinancialEvent};
use ibora_domain::payment::{BankStage, Payment, PaymentStatus};
use ibora_domain::pix::{EndToEndId, RefundId};
use ibora_domain::units::Millis;
use ibora_psp::Nature;

use super::Watch;
use super::money::REFUND;
use crate::people;
use crate::queue::{MS, Micros};
use crate::world::World;

/// How each dispute goes.
pub(super) const DISPUTE: &str = "DISPUTE";

/// A dispute ends so long after its deadline at most, once nothing goes wrong any more.
const ENDED_WITHIN: Millis = Millis::from_secs(180);

/// The books of disputes.
#[derive(Default)]
pub(super) struct CourtBooks {
    disputes: BTreeMap<DisputeId, Dispute>,
    /// What was taken, by the key under which that was booked.
    taken: BTreeMap<Arc<str>, Sums>,
}

/// What an event does to each account; a driver's are one: what he gets back of what he owes he may
/// have paid meanwhile.
type Sums = BTreeMap<Account, i64>;

fn sums(event: &FinancialEvent, sign: i64) -> Sums {
    let mut sums = Sums::new();
    for posting in event.postings() {
        let account = match posting.account {
            Account::DriverHeld(id) | Account::DriverReceivable(id) => Account::DriverAvailable(id),
            account => account,
        };
        *sums.entry(account).or_default() += sign * posting.amount.0;
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

impl CourtBooks {
    /// What lies in escrow for a dispute.
    pub(super) fn escrow(&self, id: DisputeId) -> i64 {
        self.disputes.get(&id).map_or(0, |dispute| dispute.escrow().0)
    }
}

/// Whether an event gives back what was taken for something that came to nothing.
pub(super) fn gives_back(event: &FinancialEvent) -> bool {
    matches!(event.kind(), "refund_failed" | "dispute_undone")
}

impl Watch {
    /// What comes to nothing leaves nothing behind: everybody has what he had.
    pub(super) fn given_back_exactly(&mut self, event: &FinancialEvent) {
        let books = &mut self.money.court;
        if matches!(event.kind(), "refund_requested" | "dispute_opened") {
            books.taken.insert(Arc::clone(event.key()), sums(event, 1));
        } else if gives_back(event) {
            let taken = event.key().strip_suffix(":reversed");
            let taken = taken.and_then(|key| books.taken.get(key)).cloned().unwrap_or_default();
            let given = sums(event, -1);
            let what = || format!("{} gives back {given:?} of {taken:?}", event.key());
            self.holds(MONEY_12, given == taken, what);
        }
    }

    /// A dispute's row is on disk.
    pub(super) fn dispute_decided(&mut self, row: &DisputeRow) {
        let name = people::name(row.id.0);
        let Ok(dispute) = serde_json::from_str::<Dispute>(&row.state) else {
            return self.check(0, DISPUTE, (false, format!("{name} cannot be read")));
        };
        let before = self.money.court.disputes.insert(row.id, dispute);
        let open = before.as_ref().is_none_or(|before| before.status.is_open());
        self.checks += 1;
        self.check(0, DISPUTE, (open, format!("{name} has ended, and goes on")));
    }

    /// However much is wanted of a payment, nobody gives more than his share of it.
    pub(super) fn shares_taken_once(&mut self, payment: &Payment) {
        let Some(debt) = payment.debt else { return };
        let refunds = payment.refunds.iter().filter(|refund| refund.counts());
        let refunds = refunds.filter_map(|refund| refund.against.as_ref()).map(|it| it.shares);
        let banks = payment.bank_claims.iter().filter_map(|claim| match &claim.stage {
            BankStage::Blocked => claim.against.as_ref().map(|against| against.shares),
            BankStage::Took { shares, .. } => Some(*shares),
            BankStage::Rejected => None,
        });
        let (mut driver, mut platform) = (0, 0);
        for shares in refunds.chain(banks) {
            driver += shares.driver.0;
            platform += shares.platform.0;
        }
        let holds = driver <= debt.shares.driver.0 && platform <= debt.shares.platform.0;
        self.checks += 1;
        self.check(0, DISPUTE, (holds, format!("{driver} and {platform} are wanted of {debt:?}")));
    }

    /// What was just paid is its driver's, held for him; who was let off has paid nothing.
    pub(super) fn paid_is_held(
        &mut self,
        before: Option<PaymentStatus>,
        payment: &Payment,
        decision: &Decision,
    ) {
        let relieved = matches!(payment.status, PaymentStatus::Waived | PaymentStatus::Lapsed);
        let settled = payment.settled_by().is_some();
        self.holds(MONEY_14, !(relieved && settled), || {
            format!("{} is {:?} and was paid", people::name(payment.id.0), payment.status)
        });
        let was = before.is_none_or(|before| before != PaymentStatus::Paid);
        let Some(debt) = payment.debt.filter(|_| was && payment.status == PaymentStatus::Paid)
        else {
            return;
        };
        let earning = Earning { ride: debt.trip.ride, due: debt.due };
        let held = decision.rows.iter().any(|row| match row {
            Row::Hold(row) => row.earning == earning && row.amount == debt.shares.driver,
            _ => false,
        });
        // A refund that failed makes it paid again; then it is held, or was let go of, already.
        let known = self.money.holds.contains_key(&earning);
        self.holds(MONEY_14, held || known || debt.shares.driver.0 == 0, || {
            format!("{} was paid, and is held for nobody", people::name(payment.id.0))
        });
    }

    /// Payments that are owed or paid for this.
    #[must_use]
    pub fn payments_of(&self, due: Due) -> Vec<PaymentId> {
        let is_it = |payment: &&Payment| {
            let stands = payment.status.is_payable() || payment.status == PaymentStatus::Paid;
            stands && payment.debt.is_some_and(|debt| debt.due == due)
        };
        self.money.payments.values().filter(is_it).map(|payment| payment.id).collect()
    }
}

impl World {
    /// A refund arrives at the provider: it is recorded, and whoever bears it has given his share.
    pub fn watch_refund_sent(&mut self, pix: &EndToEndId, id: &RefundId) {
        let row = self.db.money.refunds.get(&(pix.clone(), id.clone()));
        let disputes = &self.db.money.disputes.rows;
        let holds = row.is_some_and(|row| match row.cause {
            "shared" => disputes.contains_key(&DisputeId::of_refund(id)),
            "dispute" => disputes.values().any(|dispute| {
                dispute.payment == row.payment
                    && (dispute.kind, dispute.status) == ("contested", "for_passenger")
            }),
            _ => true,
        });
        let what = format!("{id} of {pix} is sent, and {row:?}");
        self.watch.checks += 1;
        self.watch.check(self.now, REFUND, (holds, what));
    }

    /// Nobody but an admin rules what is contested before its time.
    pub(super) fn watch_ruled(&mut self, decision: &Decision) {
        for row in &decision.rows {
            let Row::Dispute(row) = row else { continue };
            let dispute = self.watch.money.court.disputes.get(&row.id);
            let dispute = dispute.filter(|dispute| dispute.claim.opening().is_some());
            let Some((dispute, ruling)) =
                dispute.and_then(|dispute| Some((dispute, dispute.ruling.as_ref()?)))
            else {
                continue;
            };
            let due = dispute.opened_at + self.wallets.disputes.ruled_within;
            let holds = ruling.by.is_some() || ruling.at >= due;
            let what = format!("{} is ruled before its time", people::name(row.id.0));
            self.watch.check(self.now, DISPUTE, (holds, what));
        }
    }

    /// Whether a bank has taken something of a Pix, so that less can go back than was paid.
    pub(super) fn bank_took_of(&self, pix: &EndToEndId) -> bool {
        let receipt = self.provider.books.receipt(pix);
        let refunds = receipt.into_iter().flat_map(|receipt| &receipt.refunds);
        refunds.into_iter().any(|refund| refund.nature != Nature::Original)
    }

    /// Since `over` nothing goes wrong: what is contested is ruled by its deadline at the latest.
    pub fn watch_court(&mut self, over: Micros) {
        let rules = self.wallets.disputes;
        let calm = crate::world::BEGAN + Millis(over / MS);
        let now = self.wall();
        let late = self.db.money.disputes.open().find(|row| {
            let due = (row.opened_at + rules.ruled_within).max(calm);
            row.kind == "contested" && now.since(due) > ENDED_WITHIN
        });
        if let Some(row) = late {
            let what = format!("{} is {} still", people::name(row.id.0), row.status);
            self.watch.check(self.now, DISPUTE, (false, what));
        }
    }
}
