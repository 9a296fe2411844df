//! Building an actor from the records.

use std::sync::Arc;

use actix::{Actor, Context};
use ibora_domain::facts::Entity;
use ibora_domain::machines::{
    DispatcherMachine, DriverMachine, Driving, Machine, Output, Outputs, PassengerMachine,
    PaymentMachine, PaymentRecords, PayoutLineMachine, RideMachine, RideRecords, Riding,
    WalletMachine,
};

use super::ports::{Ports, Reply};
use super::positions::Stands;
use super::registry::Address;
use super::shell::{Shell, Vitals};
use crate::journal::ReadError;
use crate::obs::failpoint;

/// Starts the actor of `entity` on this arbiter. `read`: it may have records.
///
/// # Errors
/// Whatever the database reports; no actor is started then.
pub(super) async fn start(
    entity: Entity,
    read: bool,
    ports: &Arc<Ports>,
    vitals: &Arc<Vitals>,
) -> Result<Address, ReadError> {
    let records = ports.journal.records();
    let mut first = Outputs::new();
    Ok(match entity {
        Entity::Ride(id) => {
            let known = if read { records.ride(id).await? } else { RideRecords::default() };
            let machine = RideMachine::new(id, Arc::clone(&ports.ride_policy), known);
            if let Some(ride) = machine.ride() {
                let people = (ride.driver_id(), ride.order.passenger.id);
                let chained = ride.chain.is_some();
                ports.on_ride.set(people, id, Stands { status: ride.status, chained });
            }
            first.push(Output::Alarm(machine.deadline()));
            Address::Ride(spawn(machine, ports, vitals, first))
        }
        Entity::Driver(id) => {
            let now = ports.clock.now();
            // Asked for before the records are read: what is recorded meanwhile is known then.
            let under_way = ports.running.of(id);
            let mut known = records.driver(id, now).await?;
            known.elsewhere.extend(under_way);
            let policy = Arc::clone(&ports.driver_policy);
            let mut machine = DriverMachine::new(id, policy, known, now);
            machine.wake(&mut first);
            Address::Driver(spawn(Driving(machine, std::marker::PhantomData), ports, vitals, first))
        }
        Entity::Passenger(id) => {
            let payments = &ports.ride_policy.payments;
            let known = records.passenger(id, payments.charges).await?;
            let idle = ports.driver_policy.passivate_after;
            let machine = PassengerMachine::new(id, payments, known, idle);
            let machine = Riding(machine, std::marker::PhantomData);
            Address::Passenger(spawn(machine, ports, vitals, first))
        }
        Entity::Dispatcher(zone) => {
            let policy = ports.ride_policy.dispatch_policy(zone);
            Address::Dispatcher(spawn(DispatcherMachine::new(zone, policy), ports, vitals, first))
        }
        Entity::Payment(id) => {
            let known = if read { records.payment(id).await? } else { PaymentRecords::default() };
            let mut machine = PaymentMachine::new(id, ports.ride_policy.payments, known);
            machine.wake(ports.clock.now(), &mut first);
            Address::Payment(spawn(machine, ports, vitals, first))
        }
        Entity::Wallet(id) => {
            let known = records.wallet(id, ports.clock.now()).await?;
            let mut machine = WalletMachine::new(id, Arc::clone(&ports.wallet_policy), known);
            machine.wake(ports.clock.now(), &mut first);
            Address::Wallet(spawn(machine, ports, vitals, first))
        }
        Entity::PayoutLine => {
            let resumed = records.payouts_in_flight().await?;
            let now = ports.clock.now();
            let mut machine = PayoutLineMachine::new(ports.line_policy, resumed, now);
            machine.wake(now, &mut first);
            Address::PayoutLine(spawn(machine, ports, vitals, first))
        }
    })
}

fn spawn<M>(
    machine: M,
    ports: &Arc<Ports>,
    vitals: &Arc<Vitals>,
    first: Outputs<Reply>,
) -> actix::Addr<Shell<M>>
where
    M: Machine<Reply = Reply> + Unpin + 'static,
    M::Input: Send,
{
    failpoint!(ActorRead);
    let (ports, vitals) = (Arc::clone(ports), Arc::clone(vitals));
    Shell::create(move |_: &mut Context<Shell<M>>| Shell::new(machine, ports, vitals, first))
}
