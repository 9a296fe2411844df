//! What of money has to come to rest once nothing goes wrong any more: the provider's books are the
//! ledger's to the centavo, and nobody waits for anything.

use ibora_domain::facts::PaymentRow;
use ibora_domain::ids::PassengerId;
use ibora_domain::ledger::Account;
use ibora_domain::money::Centavos;
use ibora_psp::PayoutState;

use crate::database::NoticeRec;
use crate::engine::{Body, Engine};
use crate::people;
use crate::world::World;

/// What of money is not at rest.
#[must_use]
pub fn unrest_of_money(world: &World, engine: &Engine) -> Option<String> {
    let busy = |row: &&PaymentRow| world.db.payment(row.id).is_some_and(|it| it.is_busy());
    if let Some(row) = world.db.money.payments.values().find(busy) {
        return Some(format!("{} is {} and busy", people::name(row.id.0), row.status));
    }
    if let Some((earning, _)) =
        world.db.money.holds.iter().find(|(_, (_, hold))| hold.left() > Centavos::ZERO)
    {
        return Some(format!("a share of {} is held", people::name(earning.ride.0)));
    }
    let flying = ["awaiting_approval", "queued", "in_flight", "unclear"];
    if let Some(row) = world.db.money.payouts.values().find(|row| flying.contains(&row.status)) {
        return Some(format!("{} is {}", people::name(row.id.0), row.status));
    }
    if let Some(row) = world.db.money.disputes.open().next() {
        return Some(format!("{} is {}", people::name(row.id.0), row.status));
    }
    // One that is booked may wait for the look that sees it.
    let booked = |key: String| world.db.ledger.events.contains_key(key.as_str());
    let open = |notice: &&NoticeRec| !notice.told.booked_as(&notice.pix).is_none_or(booked);
    if let Some(notice) = world.db.inbox.waiting().find(open) {
        return Some(format!("{:?} of {} waits", notice.told, notice.pix));
    }
    unrest_of_books(world).or_else(|| unrest_of_figures(world, engine))
}

/// The provider's books and the ledger.
fn unrest_of_books(world: &World) -> Option<String> {
    let of = |account| world.db.balance(account);
    let passing = [
        Account::PayoutInTransit,
        Account::RefundInTransit,
        Account::Suspense,
        Account::PspBlocked,
    ];
    let accounts = world.db.ledger.balances.keys().copied();
    let escrows = accounts.filter(|account| matches!(account, Account::DisputeEscrow(_)));
    for account in passing.into_iter().chain(escrows) {
        if of(account) != Centavos::ZERO {
            return Some(format!("{account:?} is at {}", of(account)));
        }
    }
    let ours = of(Account::PspCash).0 + of(Account::PspClearing).0;
    let books = &world.provider.books;
    let theirs = books.balance().0;
    if ours != theirs {
        return Some(format!("the provider has {theirs}, the ledger {ours}"));
    }
    if books.blocked() != Centavos::ZERO {
        return Some(format!("the provider has blocked {}", books.blocked()));
    }
    if let Err(wrong) = books.check() {
        return Some(wrong);
    }
    for receipt in books.receipts() {
        if !world.db.money.received.contains_key(&receipt.e2e_id) {
            return Some(format!("{} came in and is not taken in", receipt.e2e_id));
        }
    }
    for sent in books.payouts() {
        let done = sent.state == PayoutState::Done;
        let rows = world.db.money.payouts.values();
        let mut rows = rows.filter(|row| row.id.0.simple().to_string() == sent.id.as_str());
        let ours = rows.next().is_some_and(|row| matches!(row.status, "done" | "returned"));
        if done != ours {
            return Some(format!("{} is {:?} at the provider alone", sent.id, sent.state));
        }
    }
    None
}

/// What machines think of money, beside the books.
fn unrest_of_figures(world: &World, engine: &Engine) -> Option<String> {
    for (entity, actor) in engine.actors() {
        let name = people::name(entity.id());
        match &actor.body {
            Body::Passenger(machine) => {
                let owed = world.db.owed_by(PassengerId(entity.id()));
                let mut paid = machine.0.owes().iter().filter(|id| !owed.contains(id));
                if let Some(id) = paid.next() {
                    return Some(format!("{name} may not ride for {}", people::name(id.0)));
                }
                let has = world.db.balance(Account::PassengerCredit(PassengerId(entity.id())));
                let thinks = machine.0.credit().left();
                if thinks != has {
                    return Some(format!("{name} thinks of {thinks} credit, and has {has}"));
                }
            }
            Body::Wallet(machine) => {
                let wallet = machine.wallet();
                let ibora_domain::facts::Entity::Wallet(driver) = entity else { continue };
                let available = world.db.balance(Account::DriverAvailable(driver));
                let held = world.db.balance(Account::DriverHeld(driver));
                if (wallet.available(), wallet.held()) != (available, held) {
                    let (has, holds) = (wallet.available(), wallet.held());
                    return Some(format!(
                        "{name} thinks of {has} and {holds} held, and has {available} and {held}"
                    ));
                }
            }
            Body::Payment(machine) => {
                let stored = match entity {
                    ibora_domain::facts::Entity::Payment(id) => world.db.payment(id),
                    _ => None,
                };
                if machine.payment() != stored.as_ref() {
                    return Some(format!("{name} is not as recorded"));
                }
            }
            Body::Ride(_) | Body::Driver(_) | Body::Dispatcher(_) | Body::PayoutLine(_) => {}
        }
    }
    None
}
