//! The tables of payments and payouts in the model, and what is read back of them.
//!
//! As `payment_write` and `payout_write` of the migrations, in the order of their statements. Only
//! `database` writes here; who reads is in `engine`.

use std::collections::BTreeMap;

use ibora_domain::credit::{CreditLot, CreditUse};
use ibora_domain::facts::{
    ChargeRow, Decision, DisputeRow, Entity, EvidenceRow, HeldRow, HoldRow, PaymentRow, PayoutRow,
    ReceiptRow, RefundRow, Row,
};
use ibora_domain::ids::{CreditId, DisputeId, DriverId, PassengerId, PaymentId, PayoutId, RideId};
use ibora_domain::ledger::{Account, Earning, Hold, Side, Wallet};
use ibora_domain::machines::{
    PassengerRecords, PastCommand, PaymentRecords, Resumed, WalletRecords, day_of, start_of_day,
};
use ibora_domain::money::Centavos;
use ibora_domain::payment::{Payment, PaymentStatus};
use ibora_domain::payout::{Payout, Phase};
use ibora_domain::pix::{EndToEndId, RefundId, Txid};
use ibora_domain::units::UnixMillis;
use uuid::Uuid;

use super::disputes::{DisputeUndo, Disputes};
use super::{Database, Step, Undo, put_back};

/// What the tables hold.
#[derive(Debug, Default)]
pub struct Money {
    pub payments: BTreeMap<PaymentId, PaymentRow>,
    pub charges: BTreeMap<Txid, ChargeRow>,
    open: BTreeMap<PaymentId, Txid>,
    pub received: BTreeMap<EndToEndId, ReceiptRow>,
    settled: BTreeMap<PaymentId, EndToEndId>,
    pub refunds: BTreeMap<(EndToEndId, RefundId), RefundRow>,
    pub holds: BTreeMap<Earning, (DriverId, Hold)>,
    pub payouts: BTreeMap<PayoutId, PayoutRow>,
    pub disputes: Disputes,
    pub credits: BTreeMap<CreditId, CreditLot>,
    pub credit_uses: BTreeMap<(PaymentId, u16), CreditUse>,
}

/// What a step changed, to take it back.
pub(super) enum MoneyUndo {
    Payment(PaymentId, Option<PaymentRow>),
    Charge(Txid, Option<ChargeRow>),
    Receipt(EndToEndId),
    Refund(EndToEndId, RefundId, Option<RefundRow>),
    Hold(Earning, Option<(DriverId, Hold)>),
    Payout(PayoutId, Option<PayoutRow>),
    Dispute(DisputeUndo),
    Credit(CreditId, Option<CreditLot>),
    CreditUse(PaymentId, u16),
}

fn is_open(charge: &ChargeRow) -> bool {
    matches!(charge.status, "making" | "live")
}

fn settles(receipt: &ReceiptRow) -> bool {
    matches!(receipt.good_for, "settled" | "settled_late")
}

impl Money {
    fn put_charge(&mut self, txid: &Txid, row: Option<ChargeRow>) {
        if let Some(before) = self.charges.remove(txid).filter(is_open) {
            self.open.remove(&before.payment);
        }
        if let Some(row) = row {
            if is_open(&row) {
                self.open.insert(row.payment, txid.clone());
            }
            self.charges.insert(txid.clone(), row);
        }
    }

    pub(super) fn take_back(&mut self, step: MoneyUndo) {
        match step {
            MoneyUndo::Payment(id, before) => put_back(&mut self.payments, id, before),
            MoneyUndo::Charge(txid, before) => self.put_charge(&txid, before),
            MoneyUndo::Receipt(pix) => {
                if let Some(row) = self.received.remove(&pix).filter(settles) {
                    self.settled.remove(&row.payment);
                }
            }
            MoneyUndo::Refund(pix, id, before) => put_back(&mut self.refunds, (pix, id), before),
            MoneyUndo::Hold(earning, before) => put_back(&mut self.holds, earning, before),
            MoneyUndo::Payout(id, before) => put_back(&mut self.payouts, id, before),
            MoneyUndo::Dispute(step) => self.disputes.take_back(step),
            MoneyUndo::Credit(id, before) => put_back(&mut self.credits, id, before),
            MoneyUndo::CreditUse(payment, number) => {
                self.credit_uses.remove(&(payment, number));
            }
        }
    }

    /// A payment that is there keeps whose it is.
    fn upsert_payment(&mut self, row: &PaymentRow) -> Result<MoneyUndo, &'static str> {
        let is_of = |row: &PaymentRow| {
            row.passenger.is_none() == (row.status == "unmatched")
                && row.ride.is_none() == row.driver.is_none()
                && (row.ride.is_none() || row.passenger.is_some())
        };
        let (id, before) = (row.id, self.payments.get(&row.id).cloned());
        let proposed = is_of(row);
        let mut row = row.clone();
        if let Some(known) = &before {
            (row.ride, row.passenger, row.driver) = (known.ride, known.passenger, known.driver);
        }
        if !proposed || !is_of(&row) {
            return Err("payment_intents_whose");
        }
        self.payments.insert(id, row);
        Ok(MoneyUndo::Payment(id, before))
    }

    fn upsert_charge(&mut self, row: &ChargeRow) -> Result<MoneyUndo, &'static str> {
        let before = self.charges.get(&row.txid).cloned();
        let row = match &before {
            Some(known) => ChargeRow {
                status: row.status,
                copy_paste: row.copy_paste.clone(),
                ..known.clone()
            },
            None => row.clone(),
        };
        let other = self.open.get(&row.payment).filter(|open| **open != row.txid);
        if is_open(&row) && other.is_some() {
            return Err("pix_charges_one_open");
        }
        let txid = row.txid.clone();
        self.put_charge(&txid, Some(row));
        Ok(MoneyUndo::Charge(txid, before))
    }

    fn insert_receipt(&mut self, row: &ReceiptRow) -> Result<MoneyUndo, &'static str> {
        if self.received.contains_key(&row.pix) {
            return Err("pix_received_pkey");
        }
        if settles(row) {
            if self.settled.contains_key(&row.payment) {
                return Err("pix_received_settles_once");
            }
            self.settled.insert(row.payment, row.pix.clone());
        }
        self.received.insert(row.pix.clone(), row.clone());
        Ok(MoneyUndo::Receipt(row.pix.clone()))
    }

    fn upsert_refund(&mut self, row: &RefundRow) -> MoneyUndo {
        let key = (row.pix.clone(), row.id.clone());
        let before = self.refunds.get(&key).cloned();
        let row = match &before {
            Some(known) => RefundRow { status: row.status, ..known.clone() },
            None => row.clone(),
        };
        self.refunds.insert(key.clone(), row);
        MoneyUndo::Refund(key.0, key.1, before)
    }

    fn upsert_payout(&mut self, row: &PayoutRow) -> MoneyUndo {
        let before = self.payouts.get(&row.id).cloned();
        let (id, status, version) = (row.id, row.status, row.version);
        let row = match &before {
            Some(known) => PayoutRow { status, version, state: row.state.clone(), ..known.clone() },
            None => row.clone(),
        };
        self.payouts.insert(id, row);
        MoneyUndo::Payout(id, before)
    }

    /// Of a lot that is there only what is used of it changes.
    fn upsert_credit(&mut self, row: &CreditLot) -> Result<MoneyUndo, &'static str> {
        let before = self.credits.get(&row.id).copied();
        let lot = before.map_or(*row, |known| CreditLot { used: row.used, ..known });
        if row.used > row.amount || lot.used > lot.amount {
            return Err("passenger_credits_whole");
        }
        self.credits.insert(row.id, lot);
        Ok(MoneyUndo::Credit(row.id, before))
    }

    fn insert_credit_use(&mut self, row: &CreditUse) -> Result<MoneyUndo, &'static str> {
        let key = (row.payment, row.number);
        if self.credit_uses.contains_key(&key) {
            return Err("credit_uses_pkey");
        }
        self.credit_uses.insert(key, *row);
        Ok(MoneyUndo::CreditUse(row.payment, row.number))
    }

    fn insert_hold(&mut self, row: &HoldRow) -> Result<MoneyUndo, &'static str> {
        if self.holds.contains_key(&row.earning) {
            return Err("holds_pkey");
        }
        let hold = Hold::of(row.amount, row.release_at);
        self.holds.insert(row.earning, (row.driver, hold));
        Ok(MoneyUndo::Hold(row.earning, None))
    }

    /// What was taken from a hold, or let go of; of one that is not there nothing.
    fn update_hold(&mut self, row: &HeldRow) -> Result<Option<MoneyUndo>, &'static str> {
        let Some((_, hold)) = self.holds.get_mut(&row.earning) else { return Ok(None) };
        let before = *hold;
        let Hold { taken, released, .. } = row.hold;
        if taken.0 + released.0 > before.amount.0 {
            return Err("holds_whole");
        }
        (hold.taken, hold.released) = (taken, released);
        Ok(Some(MoneyUndo::Hold(row.earning, Some((row.driver, before)))))
    }
}

/// The rows of a batch in the order in which they are written; of two of one thing the later.
#[derive(Default)]
struct Rows<'a> {
    payments: BTreeMap<PaymentId, &'a PaymentRow>,
    charges: BTreeMap<&'a Txid, &'a ChargeRow>,
    receipts: Vec<&'a ReceiptRow>,
    refunds: BTreeMap<(&'a EndToEndId, &'a RefundId), &'a RefundRow>,
    holds: Vec<&'a HoldRow>,
    held: BTreeMap<Earning, &'a HeldRow>,
    payouts: BTreeMap<PayoutId, &'a PayoutRow>,
    disputes: BTreeMap<DisputeId, &'a DisputeRow>,
    evidence: Vec<&'a EvidenceRow>,
    credits: BTreeMap<CreditId, &'a CreditLot>,
    credit_uses: Vec<&'a CreditUse>,
}

impl<'a> Rows<'a> {
    fn of(decisions: impl Iterator<Item = &'a Decision>) -> Self {
        let mut rows = Self::default();
        for row in decisions.flat_map(|decision| &decision.rows) {
            match row {
                Row::Payment(row) => drop(rows.payments.insert(row.id, row)),
                Row::Charge(row) => drop(rows.charges.insert(&row.txid, row)),
                Row::Receipt(row) => rows.receipts.push(row),
                Row::Refund(row) => drop(rows.refunds.insert((&row.pix, &row.id), row)),
                Row::Hold(row) => rows.holds.push(row),
                Row::Held(row) => drop(rows.held.insert(row.earning, row)),
                Row::Payout(row) => drop(rows.payouts.insert(row.id, row)),
                Row::Dispute(row) => drop(rows.disputes.insert(row.id, row)),
                Row::Evidence(row) => rows.evidence.push(row),
                Row::Credit(row) => drop(rows.credits.insert(row.id, row)),
                Row::CreditUse(row) => rows.credit_uses.push(row),
                Row::Ride(_) | Row::Wave(_) | Row::Attempts(_) | Row::Driver(_) => {}
            }
        }
        rows
    }
}

impl Database {
    /// Writes what a batch says of payments, payouts and disputes, and the deadlines given to
    /// others.
    pub(super) fn write_payments<'a>(
        &mut self,
        decisions: &(impl Iterator<Item = &'a Decision> + Clone),
        undo: &mut Vec<Undo>,
    ) -> Step {
        let rows = Rows::of(decisions.clone());
        let money = &mut self.money;
        for row in rows.payments.values() {
            undo.push(Undo::Rows(money.upsert_payment(row)?));
        }
        let (open, ended): (Vec<_>, Vec<_>) =
            rows.charges.values().partition(|charge| is_open(charge));
        for row in ended.into_iter().chain(open) {
            undo.push(Undo::Rows(money.upsert_charge(row)?));
        }
        for row in rows.receipts {
            undo.push(Undo::Rows(money.insert_receipt(row)?));
        }
        for row in rows.refunds.values() {
            undo.push(Undo::Rows(money.upsert_refund(row)));
        }
        for row in rows.holds {
            undo.push(Undo::Rows(money.insert_hold(row)?));
        }
        for (entity, at) in decisions.clone().flat_map(|decision| &decision.wakes) {
            self.wake(*entity, *at, undo);
        }
        for row in rows.held.values() {
            undo.extend(self.money.update_hold(row)?.map(Undo::Rows));
        }
        for row in rows.payouts.values() {
            undo.push(Undo::Rows(self.money.upsert_payout(row)));
        }
        let disputes = &mut self.money.disputes;
        for row in rows.disputes.values() {
            undo.push(Undo::Rows(MoneyUndo::Dispute(disputes.upsert(row)?)));
        }
        for row in rows.evidence {
            undo.push(Undo::Rows(MoneyUndo::Dispute(disputes.insert_evidence(row)?)));
        }
        for row in rows.credits.values() {
            undo.push(Undo::Rows(self.money.upsert_credit(row)?));
        }
        for row in rows.credit_uses {
            undo.push(Undo::Rows(self.money.insert_credit_use(row)?));
        }
        Ok(())
    }

    fn wake(&mut self, entity: Entity, at: UnixMillis, undo: &mut Vec<Undo>) {
        let before = self.timers.get(&entity.id()).copied();
        let due = before.map_or(at, |(_, known)| known.min(at));
        self.timers.insert(entity.id(), (entity, due));
        undo.push(Undo::Timer(entity.id(), before));
    }

    /// A payment, read as what it is.
    #[must_use]
    pub fn payment(&self, id: PaymentId) -> Option<Payment> {
        serde_json::from_str(&self.money.payments.get(&id)?.state).ok()
    }

    /// What a payment's machine must know.
    #[must_use]
    pub fn payment_records(&self, id: PaymentId) -> PaymentRecords {
        let payment = self.payment(id);
        let passenger = payment.as_ref().and_then(Payment::passenger);
        let top_up = payment.as_ref().and_then(|payment| payment.top_up);
        let owner = top_up.map_or(id.0, |top_up| top_up.passenger.0);
        let commands = self.commands_of(owner, passenger.map(|id| id.0));
        PaymentRecords { payment, commands }
    }

    /// Where the payment of a ride stands, and at which version.
    #[must_use]
    pub fn payment_of(&self, ride: RideId) -> Option<(PaymentStatus, u64)> {
        let payment = self.payment(PaymentId::of_ride(ride))?;
        Some((payment.status, payment.version))
    }

    /// What a passenger's machine must know, whose active ride was read before.
    #[must_use]
    pub fn passenger_records(&self, id: PassengerId, active: Option<RideId>) -> PassengerRecords {
        let money = &self.money;
        // Nothing here is so old that the records would leave it out.
        let uses = money.credit_uses.values().filter(|used| used.passenger == id);
        let open = |row: &&PaymentRow| {
            let open = matches!(row.status, "pending" | "expired");
            row.passenger == Some(id) && row.ride.is_none() && open
        };
        let top_ups = money.payments.values().filter(open);
        PassengerRecords {
            active,
            commands: self.past_commands(id.0),
            owed: self.owed_by(id),
            lots: money.credits.values().filter(|lot| lot.passenger == id).copied().collect(),
            uses: uses.copied().collect(),
            top_ups: top_ups.map(|row| (row.id, row.amount)).collect(),
        }
    }

    /// What a passenger has to pay.
    #[must_use]
    pub fn owed_by(&self, passenger: PassengerId) -> Vec<PaymentId> {
        let owed = |row: &&PaymentRow| {
            let owes = matches!(row.status, "pending" | "expired" | "written_off");
            row.passenger == Some(passenger) && owes && is_of_ride(row)
        };
        self.money.payments.values().filter(owed).map(|row| row.id).collect()
    }

    /// What has been owed since then or for longer.
    #[must_use]
    pub fn owed_since(&self, moment: UnixMillis) -> Vec<PaymentId> {
        let owed = |row: &&PaymentRow| {
            let owes = matches!(row.status, "pending" | "expired");
            row.opened_at <= moment && owes && is_of_ride(row)
        };
        self.money.payments.values().filter(owed).map(|row| row.id).collect()
    }

    /// The Pix that came in before this moment of which it is not booked what the provider took.
    #[must_use]
    pub fn unstated(&self, before: UnixMillis) -> Vec<(PaymentId, EndToEndId)> {
        let stated =
            |pix: &EndToEndId| self.ledger.events.contains_key(format!("pixconf:{pix}").as_str());
        let old = self.money.received.values().filter(|row| row.at <= before && !stated(&row.pix));
        old.map(|row| (row.payment, row.pix.clone())).collect()
    }

    /// A balance, on the side on which its account grows.
    #[must_use]
    pub fn balance(&self, account: Account) -> Centavos {
        let signed = self.ledger.balances.get(&account).map_or(0, |(balance, _)| *balance);
        Centavos(if account.side() == Side::Debit { signed } else { -signed })
    }

    /// What a driver may take out, and what he owes: the first statement that his wallet is built
    /// from.
    #[must_use]
    pub fn wallet_balances(&self, driver: DriverId) -> (Centavos, Centavos) {
        let of = |account| self.balance(account);
        (of(Account::DriverAvailable(driver)), of(Account::DriverReceivable(driver)))
    }

    /// When the holds end that have not.
    #[must_use]
    pub fn next_releases(&self) -> Vec<(DriverId, UnixMillis)> {
        let open = self.money.holds.values().filter(|(_, hold)| hold.left() > Centavos::ZERO);
        open.map(|(driver, hold)| (*driver, hold.release_at)).collect()
    }

    /// The later statements.
    #[must_use]
    pub fn wallet_records(
        &self,
        driver: DriverId,
        balances: (Centavos, Centavos),
        now: UnixMillis,
    ) -> WalletRecords {
        let holds = self.money.holds.iter().filter(|(_, (of, _))| *of == driver);
        let holds = holds.map(|(earning, (_, hold))| (*earning, *hold));
        let today = start_of_day(now);
        let his = || self.money.payouts.values().filter(|row| row.driver == driver);
        let counts = |row: &&PayoutRow| {
            row.asked_at >= today && !matches!(row.status, "failed" | "rejected")
        };
        let asked = Centavos(his().filter(counts).map(|row| row.amount.0).sum());
        let unfinished = |row: &&PayoutRow| {
            matches!(row.status, "awaiting_approval" | "queued" | "in_flight" | "unclear")
        };
        WalletRecords {
            wallet: Wallet::restore(driver, balances, holds, (day_of(now), asked)),
            events: self.events_of(driver.wallet()),
            payouts: his().filter(unfinished).filter_map(read).collect(),
            disputes: self.disputes_of(driver),
            document: None,
            commands: self.commands_of(driver.wallet(), Some(driver.0)),
        }
    }

    /// What one person was answered by `owner`. What others were is found by its key when it would
    /// be recorded again.
    fn commands_of(&self, owner: Uuid, person: Option<Uuid>) -> Vec<PastCommand> {
        let mut commands = self.past_commands(owner);
        commands.retain(|past| Some(past.key.principal.0) == person);
        commands
    }

    /// A payout as it is recorded.
    #[must_use]
    pub fn payout(&self, id: PayoutId) -> Option<Payout> {
        self.money.payouts.get(&id).and_then(read)
    }

    /// Every payout that may be with the provider and is not known to have ended.
    #[must_use]
    pub fn payouts_in_flight(&self) -> Vec<Resumed> {
        let flying = |row: &&PayoutRow| matches!(row.status, "in_flight" | "unclear");
        let payouts = self.money.payouts.values().filter(flying).filter_map(read);
        let resumed = payouts.filter_map(|payout| {
            let since = payout.in_flight_since()?;
            let aside = matches!(payout.phase, Phase::SetAside { .. });
            Some(Resumed { order: payout.order(None), driver: payout.driver, since, aside })
        });
        resumed.collect()
    }
}

/// Whether it is a ride's own payment, and no tip.
#[must_use]
pub fn is_of_ride(row: &PaymentRow) -> bool {
    row.ride.is_some_and(|ride| row.id == PaymentId::of_ride(ride))
}

fn read(row: &PayoutRow) -> Option<Payout> {
    serde_json::from_str(&row.state).ok()
}
