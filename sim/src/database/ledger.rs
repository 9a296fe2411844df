//! The ledger's tables in the model: financial events by their keys, balances by account.
//!
//! As `ledger_write` of the migrations: keys first, then what each account comes to, then what it
//! came to on the way. Only `database` uses it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ibora_domain::ledger::{Account, FinancialEvent, Guard, Side};

use super::{Database, Step, Undo};

/// What the tables of the ledger hold.
#[derive(Debug, Default)]
pub struct Ledger {
    pub events: BTreeMap<Arc<str>, FinancialEvent>,
    /// Debits positive, and how many postings it is the sum of.
    pub balances: BTreeMap<Account, (i64, i64)>,
}

impl Ledger {
    /// Takes back what was booked last under `key`.
    pub(super) fn take_back(&mut self, key: &Arc<str>) {
        let Some(event) = self.events.remove(key) else { return };
        for posting in event.postings() {
            if let Some((balance, lines)) = self.balances.get_mut(&posting.account) {
                *balance -= posting.amount.0;
                *lines -= 1;
            }
        }
        self.balances.retain(|_, (_, lines)| *lines > 0);
    }

    fn insert(&mut self, event: &FinancialEvent) -> Step {
        if self.events.contains_key(event.key()) {
            return Err("financial_events_key");
        }
        self.events.insert(Arc::clone(event.key()), event.clone());
        for posting in event.postings() {
            let (balance, lines) = self.balances.entry(posting.account).or_default();
            *balance += posting.amount.0;
            *lines += 1;
        }
        Ok(())
    }
}

impl Database {
    /// Books what was there before the first engine.
    pub fn fund(&mut self, event: &FinancialEvent) {
        // Nothing was booked before it, so nothing can refuse it.
        self.ledger.insert(event).unwrap_or(());
    }

    /// Books all of them, or says what refuses them.
    pub(super) fn insert_money<'a>(
        &mut self,
        events: &(impl Iterator<Item = &'a FinancialEvent> + Clone),
        undo: &mut Vec<Undo>,
    ) -> Step {
        let mut on_the_way = Ok(());
        for event in events.clone() {
            self.ledger.insert(event)?;
            undo.push(Undo::Money(Arc::clone(event.key())));
            if self.is_below(event) {
                on_the_way = Err("ledger_entries_floor");
            }
        }
        if events.clone().any(|event| self.is_below(event)) {
            return Err("ledger_running_balances_floor");
        }
        on_the_way
    }

    fn is_below(&self, event: &FinancialEvent) -> bool {
        event.postings().iter().map(|posting| posting.account).any(|account| {
            let balance = self.ledger.balances.get(&account).map_or(0, |(balance, _)| *balance);
            let grown = if account.side() == Side::Debit { balance } else { -balance };
            account.guard() == Guard::Floor && grown < 0
        })
    }
}
