//! Building the machines of money: payments, wallets, the payout line. As `src/actors/activate.rs`.

use std::sync::Arc;

use ibora_domain::facts::Entity;
use ibora_domain::machines::{
    Outputs, PaymentMachine, PaymentRecords, PayoutLineMachine, WalletMachine,
};

use super::{Body, Engine, Read, Reply};
use crate::world::World;

impl Engine {
    /// Builds the machine of `entity`, which is one of money. `read`: it may have records.
    pub(super) fn build_of_money(
        &self,
        world: &World,
        (entity, read): (Entity, bool),
        first: &Read,
        out: &mut Outputs<Reply>,
    ) -> Body {
        let now = world.clock(self.node);
        match entity {
            Entity::Payment(id) => {
                let known =
                    if read { world.db.payment_records(id) } else { PaymentRecords::default() };
                let mut machine = PaymentMachine::new(id, world.rides.payments, known);
                machine.wake(now, out);
                Body::Payment(Box::new(machine))
            }
            Entity::Wallet(id) => {
                let balances = match first {
                    Read::Wallet(available, owed) => (*available, *owed),
                    Read::Nothing | Read::Driver(_) | Read::Passenger(_) => {
                        world.db.wallet_balances(id)
                    }
                };
                let known = world.db.wallet_records(id, balances, now);
                let mut machine = WalletMachine::new(id, Arc::clone(&world.wallets), known);
                machine.wake(now, out);
                Body::Wallet(Box::new(machine))
            }
            Entity::PayoutLine
            | Entity::Ride(_)
            | Entity::Driver(_)
            | Entity::Passenger(_)
            | Entity::Dispatcher(_) => {
                let resumed = world.db.payouts_in_flight();
                let mut machine = PayoutLineMachine::new(world.line, resumed, now);
                machine.wake(now, out);
                Body::PayoutLine(Box::new(machine))
            }
        }
    }
}
