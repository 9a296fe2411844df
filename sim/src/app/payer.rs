//! Money in people's hands: what passengers do with a code, and drivers who want what is theirs.

use ibora_domain::facts::StreamRow;
use ibora_domain::ids::PassengerId;
use ibora_domain::money::Centavos;
use ibora_domain::payment::{BorneBy, Payment};
use ibora_domain::pix::Txid;
use serde::Deserialize;

use crate::command::{Command, MoneyCommand};
use crate::provider::ProviderEvent;
use crate::queue::{Micros, SECOND};
use crate::world::{Event, World};

#[derive(Deserialize)]
struct Told {
    payment: Bill,
}

/// What of a payment a payer looks at.
#[derive(Deserialize)]
struct Bill {
    pix: Option<Code>,
}

#[derive(Deserialize)]
struct Code {
    txid: Txid,
}

impl World {
    /// A passenger is told of a payment of his.
    pub(super) fn billed_by_event(&mut self, row: &StreamRow) {
        if let Ok(told) = serde_json::from_str::<Told>(&row.body) {
            self.decides_on(told.payment);
        }
    }

    /// He has asked what he has to pay.
    pub(super) fn billed(&mut self, body: &str) {
        if let Ok(bill) = serde_json::from_str::<Bill>(body) {
            self.decides_on(bill);
        }
    }

    /// Each code is decided about once, on whichever phone it is seen first.
    fn decides_on(&mut self, bill: Bill) {
        let Some(Code { txid }) = bill.pix else { return };
        if !self.provider.billed.insert(txid.clone()) {
            return;
        }
        let soon = self.chance.between(SECOND, 25 * SECOND);
        if self.chance.percent(self.temper.purse.pays) {
            return self.pays(soon, Some(txid), (None, false));
        }
        let late = self.chance.between(20 * SECOND, 200 * SECOND);
        match self.chance.below(7) {
            0 => self.oddly("paid_late", late, (Some(txid), None)),
            1 => {
                self.pays(soon, Some(txid.clone()), (None, false));
                let again = if self.chance.percent(50) { soon + SECOND } else { late };
                self.oddly("paid_twice", again, (Some(txid), None));
            }
            2 => self.oddly("paid_little", soon, (Some(txid), Some(Centavos(700)))),
            3 => self.oddly("paid_much", soon, (Some(txid), Some(Centavos(9900)))),
            4 => self.oddly("paid_stray", soon, (None, Some(Centavos(1450)))),
            5 => {
                // For a charge that nobody has made, of a payment that there is.
                let charge = Payment::of_txid(&txid).map(|payment| payment.0.simple());
                let other = charge.and_then(|id| Txid::parse(&format!("{id}77")).ok());
                self.oddly("paid_unknown", soon, (other, Some(Centavos(1450))));
            }
            _ => self.watch.count("paid_not"),
        }
    }

    /// What a bank lets through that should not have come.
    fn oddly(&mut self, what: &'static str, after: Micros, of: (Option<Txid>, Option<Centavos>)) {
        self.watch.count(what);
        let (txid, value) = of;
        self.pays(after, txid, (value, true));
    }

    fn pays(&mut self, after: Micros, txid: Option<Txid>, how: (Option<Centavos>, bool)) {
        let (value, forced) = how;
        let payment = ibora_psp::Payment { txid, key: self.provider.key(), value, forced };
        let pays = ProviderEvent::Pays(Box::new(payment));
        self.at(self.now + after, Event::Provider(pays));
    }

    /// He may not ride before he has paid: asks for what there is to pay.
    pub(super) fn asks_what_he_owes(&mut self, app: usize) {
        let passenger = PassengerId::from(self.apps[app].user);
        let asks = |doing: &Command| matches!(doing, Command::Money(MoneyCommand::Intent { .. }));
        if self.closing || self.apps[app].is_doing(asks) {
            return;
        }
        let owed = self.db.owed_by(passenger);
        if let Some(payment) = owed.get(self.chance.index(owed.len())) {
            let ride = payment.ride();
            self.ask(app, Command::Money(MoneyCommand::Intent { ride }));
        }
    }

    /// Passengers do what people of the platform would: let payouts go, and give something back.
    pub(super) fn looks_after_money(&mut self, app: usize) {
        let busy = |doing: &Command| {
            let Command::Money(doing) = doing else { return false };
            matches!(doing, MoneyCommand::Review { .. } | MoneyCommand::GiveBack { .. })
        };
        if self.apps[app].is_doing(busy) {
            return;
        }
        let mut payouts = self.db.money.payouts.values();
        if let Some(row) = payouts.find(|row| row.status == "awaiting_approval") {
            let (driver, payout) = (row.driver, row.id);
            if self.chance.percent(50) {
                let approves = self.chance.percent(80);
                let review = MoneyCommand::Review { driver, payout, approves };
                self.ask(app, Command::Money(review));
            }
        } else if !self.closing && self.chance.percent(self.temper.purse.complains) {
            let paid = self.db.money.payments.values().filter(|row| row.status == "paid");
            let paid: Vec<_> = paid.map(|row| row.id).collect();
            if let Some(payment) = paid.get(self.chance.index(paid.len())).copied() {
                let centavos = [100, 500, 1450, 2000][self.chance.index(4)];
                let shared = self.chance.percent(50);
                let borne_by = if shared { BorneBy::Driver } else { BorneBy::Platform };
                self.watch.count("given_back");
                let back = MoneyCommand::GiveBack { payment, centavos, borne_by };
                self.ask(app, Command::Money(back));
            }
        }
    }

    /// A passenger puts something in for later rides, or is given something.
    pub(super) fn looks_after_credit(&mut self, app: usize) {
        let busy = |doing: &Command| {
            let Command::Money(doing) = doing else { return false };
            matches!(doing, MoneyCommand::TopUp { .. } | MoneyCommand::GiveCredit { .. })
        };
        let wants = self.chance.percent(self.temper.purse.tops_up);
        if !wants || self.closing || self.apps[app].is_doing(busy) {
            return;
        }
        let passenger = PassengerId::from(self.apps[app].user);
        let centavos = [500, 1000, 1450, 2000, 5000][self.chance.index(5)];
        let (what, command) = match self.chance.percent(70) {
            true => ("topped_up", MoneyCommand::TopUp { centavos }),
            false => ("given_credit", MoneyCommand::GiveCredit { passenger, centavos }),
        };
        self.watch.count(what);
        self.ask(app, Command::Money(command));
    }

    /// A driver wants some of what he has earned, as far as he knows.
    pub(super) fn wants_payout(&mut self, app: usize) {
        let asks = |doing: &Command| matches!(doing, Command::Money(MoneyCommand::Payout { .. }));
        if self.apps[app].is_doing(asks) {
            return;
        }
        let centavos = [400, 500, 560, 1160, 2320, 3000][self.chance.index(6)];
        self.ask(app, Command::Money(MoneyCommand::Payout { centavos }));
    }
}
