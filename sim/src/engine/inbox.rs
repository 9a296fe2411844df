//! What the provider tells, taken to whom it is about until it is booked; and the janitor, who
//! reads the provider's lists. As `src/jobs`.

use ibora_domain::ids::PayoutId;
use ibora_domain::machines::{Envelope, PaymentInput, WalletInput};
use ibora_domain::payment::{Payment, STATED_AFTER};
use ibora_domain::pix::{RefundId, SendId};
use ibora_domain::provider::{Fate, Told};
use uuid::Uuid;

use super::Engine;
use crate::database::NoticeRec;
use crate::node::NodeEvent;
use crate::queue::{MS, Micros, SECOND};
use crate::tell;
use crate::world::World;

/// How often the provider's lists are read.
const JANITOR_EVERY: Micros = 45 * SECOND;
/// Between two looks at what waits, at least.
const LOOK_EVERY: Micros = 200 * MS;

impl Engine {
    /// What was handed on by an earlier start nobody remembers.
    pub fn take_up_inbox(&mut self, world: &mut World) {
        world.db.inbox.take_up();
        self.inbox_news(world);
        world.to_node(self.node, JANITOR_EVERY, NodeEvent::Janitor);
    }

    /// There may be something new, or something to look at again.
    pub fn inbox_news(&mut self, world: &mut World) {
        let Some(due) = world.db.inbox.next() else { return };
        let at = due.max(world.now + LOOK_EVERY);
        if self.inbox_at.is_none_or(|known| at < known || known <= world.now) {
            self.inbox_at = Some(at);
            world.to_node(self.node, at - world.now, NodeEvent::Inbox);
        }
    }

    /// Hands on what is new, and looks at what was handed on.
    pub fn look_at_inbox(&mut self, world: &mut World) {
        self.inbox_at.take_if(|at| *at <= world.now);
        let may = self.may_act(world).is_ok() && !world.nodes[self.node].is_cut_off(world.now);
        if !may {
            if self.inbox_at.is_none() {
                self.inbox_at = Some(world.now + SECOND);
                world.to_node(self.node, SECOND, NodeEvent::Inbox);
            }
            return;
        }
        for (_, notice) in world.db.inbox.take(true, world.now) {
            self.hand_on(world, &notice);
        }
        for (key, notice) in world.db.inbox.take(false, world.now) {
            let booked_as = notice.told.booked_as(&notice.pix);
            let booked =
                booked_as.is_none_or(|key| world.db.ledger.events.contains_key(key.as_str()));
            let fate = match booked {
                true => Some(Fate::Done),
                false => {
                    let confirmed = notice.confirmed.then_some(true);
                    let known = confirmed.or_else(|| world.knows(&notice));
                    Fate::of(known, notice.tries)
                }
            };
            if fate == Some(Fate::Parked) {
                self.hand_on(world, &notice);
            }
            if let Some(fate) = fate {
                world.db.inbox.settle(&key, fate);
            }
        }
        self.inbox_news(world);
    }

    /// Takes a notice to whom it is about.
    fn hand_on(&mut self, world: &mut World, notice: &NoticeRec) {
        tell!(world, "n{} hands on {:?} of {}", self.node, notice.told, notice.pix);
        match &notice.told {
            Told::Received => self.hint_at_payment(world, notice, None),
            Told::Refunded { id, .. } => {
                self.hint_at_payment(world, notice, RefundId::parse(id).ok());
            }
            Told::Sent { id, .. } => self.hint_at_payout(world, id.clone()),
            Told::Returned { id, .. } => {
                let send = world.sent_of_return(id);
                self.hint_at_payout(world, send);
            }
        }
    }

    fn hint_at_payment(&mut self, world: &mut World, notice: &NoticeRec, refund: Option<RefundId>) {
        let payment = Payment::hinted(notice.txid.as_ref(), &notice.pix);
        let hint = PaymentInput::Hint { pix: notice.pix.clone(), refund };
        self.send(world, Envelope::Payment(payment, hint));
    }

    fn hint_at_payout(&mut self, world: &mut World, send: Option<SendId>) {
        let id = send.and_then(|id| Uuid::try_parse(id.as_str()).ok()).map(PayoutId);
        if let Some(payout) = id.and_then(|id| world.db.payout(id)) {
            let (driver, payout) = (payout.driver, Box::new(payout));
            let as_of = world.db.events_of(driver.wallet());
            self.send(world, Envelope::Wallet(driver, WalletInput::Hint { payout, as_of }));
        }
    }

    /// Reads the provider's lists: what no callback told becomes the same notice. Asks what the
    /// provider took of a Pix where that is not booked, and has written off what is old.
    pub fn janitor(&mut self, world: &mut World) {
        world.to_node(self.node, JANITOR_EVERY, NodeEvent::Janitor);
        let reaches =
            world.provider.down_until <= world.now && !world.nodes[self.node].is_cut_off(world.now);
        if self.may_act(world).is_err() || !reaches {
            return;
        }
        let before = world.clock(self.node) - STATED_AFTER;
        for (payment, pix) in world.db.unstated(before) {
            self.send(world, Envelope::Payment(payment, PaymentInput::Hint { pix, refund: None }));
        }
        for (key, notice) in world.listed() {
            if world.db.inbox.tell(key, notice, true) {
                world.watch.missed += 1;
            }
        }
        self.inbox_news(world);
        self.read_claims(world);
        let old = world.clock(self.node) - world.rides.payments.write_off_after;
        for payment in world.db.owed_since(old) {
            self.send(world, Envelope::Payment(payment, PaymentInput::WriteOff));
        }
    }
}
