//! What histories do to payments and payouts: few of everything, so that keys collide.

use ibora_domain::credit::{CreditKind, CreditLot, CreditUse};
use ibora_domain::facts::{
    ChargeRow, Decision, Entity, HeldRow, HoldRow, PaymentRow, PayoutRow, ReceiptRow, RefundRow,
    Row,
};
use ibora_domain::ids::{CreditId, PaymentId};
use ibora_domain::ledger::{Due, Earning, Hold};
use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, RefundId, Txid};
use ibora_domain::units::{Millis, UnixMillis};
use ibora_sim::chance::Chance;
use ibora_sim::people;
use uuid::Uuid;

use super::disputes;

/// A decision about money: some rows of it, and deadlines for others.
pub(super) fn decision(chance: &mut Chance, (number, at): (u64, UnixMillis)) -> Decision {
    let mut decision = Decision::new(Entity::Payment(payment(chance)), at);
    for _ in 0..chance.between(1, 2) {
        decision.rows.push(match chance.below(11) {
            0 | 1 => Row::Payment(intent(chance, number, at)),
            2 | 3 => Row::Charge(charge(chance, at)),
            4 => Row::Receipt(receipt(chance, at)),
            5 => Row::Refund(refund(chance, at)),
            6 => hold(chance, at),
            7 | 8 => Row::Credit(lot(chance, at)),
            9 => Row::CreditUse(credit_use(chance, at)),
            _ => Row::Payout(payout(chance, number, at)),
        });
    }
    if chance.percent(40) {
        disputes::add(chance, &mut decision, (number, at));
    }
    for _ in 0..chance.below(2) {
        let driver = people::driver(chance.below(3));
        let due = at + Millis(chance.below(9000));
        decision.wakes.push((Entity::Wallet(driver), due));
    }
    decision
}

fn payment(chance: &mut Chance) -> PaymentId {
    PaymentId::of_ride(people::ride(chance.below(4)))
}

fn amount(chance: &mut Chance) -> Centavos {
    Centavos(i64::try_from(chance.between(1, 900)).expect("small"))
}

fn one_of<T: Copy>(chance: &mut Chance, of: &[T]) -> T {
    of[chance.index(of.len())]
}

fn lot(chance: &mut Chance, at: UnixMillis) -> CreditLot {
    let (amount, used) = (amount(chance), amount(chance));
    let kind = one_of(chance, &[CreditKind::TopUp, CreditKind::Goodwill]);
    let from = (kind == CreditKind::TopUp).then(|| payment(chance));
    CreditLot {
        id: CreditId(Uuid::from_u128(chance.below(6).into())),
        passenger: people::passenger(chance.below(2)),
        kind,
        amount,
        used: if chance.percent(70) { Centavos(used.0.min(amount.0)) } else { used },
        payment: from,
        at,
    }
}

fn credit_use(chance: &mut Chance, at: UnixMillis) -> CreditUse {
    CreditUse {
        payment: payment(chance),
        number: u16::try_from(chance.between(1, 10)).expect("small"),
        passenger: people::passenger(chance.below(2)),
        amount: amount(chance),
        at,
    }
}

/// Mostly of its ride; sometimes of another, or of none: nobody's, or a top-up.
fn intent(chance: &mut Chance, number: u64, opened_at: UnixMillis) -> PaymentRow {
    let id = payment(chance);
    let status = one_of(chance, &["pending", "expired", "paid", "refunded", "unmatched"]);
    let stray = if chance.percent(90) { status == "unmatched" } else { chance.percent(50) };
    let ride = if chance.percent(90) { id.ride() } else { people::ride(chance.below(4)) };
    let of_ride = !stray && chance.percent(85);
    PaymentRow {
        id,
        ride: of_ride.then_some(ride),
        passenger: (!stray).then(|| people::passenger(1)),
        driver: of_ride.then(|| people::driver(1)),
        amount: amount(chance),
        status,
        version: number,
        opened_at,
        state: format!("{{\"n\":{number}}}").into(),
    }
}

fn txid(chance: &mut Chance, payment: PaymentId) -> Txid {
    Txid::parse(&format!("{}{}", payment.0.simple(), chance.between(1, 3))).expect("an id")
}

fn charge(chance: &mut Chance, at: UnixMillis) -> ChargeRow {
    let payment = payment(chance);
    ChargeRow {
        txid: txid(chance, payment),
        payment,
        amount: amount(chance),
        status: one_of(chance, &["making", "live", "ended", "refused"]),
        copy_paste: chance.percent(50).then(|| "code".into()),
        made_at: at,
        expires_at: at + Millis(600_000),
    }
}

fn pix(chance: &mut Chance) -> EndToEndId {
    EndToEndId::parse(&format!("E{}", chance.below(60))).expect("a number")
}

fn receipt(chance: &mut Chance, at: UnixMillis) -> ReceiptRow {
    let payment = payment(chance);
    ReceiptRow {
        pix: pix(chance),
        payment,
        txid: chance.percent(70).then(|| txid(chance, payment)),
        amount: amount(chance),
        good_for: one_of(chance, &["settled", "settled_late", "duplicate", "stray"]),
        at,
    }
}

fn refund(chance: &mut Chance, asked_at: UnixMillis) -> RefundRow {
    RefundRow {
        pix: EndToEndId::parse(&format!("E{}", chance.below(3))).expect("a number"),
        id: RefundId::parse(&chance.below(3).to_string()).expect("an id"),
        payment: payment(chance),
        amount: amount(chance),
        cause: "suspense",
        status: one_of(chance, &["asked", "done", "failed"]),
        asked_at,
    }
}

/// A share that is held, or what was taken of one and let go of.
fn hold(chance: &mut Chance, at: UnixMillis) -> Row {
    let due = one_of(chance, &[Due::Fare, Due::CancelFee]);
    let earning = Earning { ride: people::ride(chance.below(5)), due };
    let driver = people::driver(chance.below(2));
    if chance.percent(50) {
        let release_at = at + Millis(60_000);
        return Row::Hold(HoldRow { earning, driver, amount: amount(chance), release_at });
    }
    let (taken, released) = (amount(chance), amount(chance));
    let hold = Hold { taken, released, ..Hold::of(Centavos(1800), at) };
    Row::Held(HeldRow { earning, driver, hold })
}

fn payout(chance: &mut Chance, number: u64, asked_at: UnixMillis) -> PayoutRow {
    PayoutRow {
        id: people::payout(chance.below(4)),
        driver: people::driver(chance.below(2)),
        status: one_of(chance, &["queued", "in_flight", "unclear", "done", "failed"]),
        amount: amount(chance),
        asked_at,
        version: number,
        state: format!("{{\"n\":{number}}}").into(),
    }
}
