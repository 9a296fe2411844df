//! Amounts, and the commands about payments.

use ibora_domain::field::FieldError;
use ibora_domain::ids::{DisputeId, PassengerId, PaymentId, RideId};
use ibora_domain::money::{Centavos, MoneyError};
use ibora_domain::payment::BorneBy;
use serde_json::Value;

use super::{Form, NOTE_CHARS_MAX, Read, name, text, uuid};
use crate::actors::Command;

/// Characters of a piece of evidence.
const EVIDENCE_CHARS_MAX: usize = 2000;

/// An amount above nothing: a text in reais with two places. No number: floats are no money.
pub fn amount(value: &Value) -> Read<Centavos> {
    let fault = |code, detail| vec![FieldError::whole(code, detail)];
    let text =
        value.as_str().ok_or_else(|| fault("wrong_type", "this is a text like \"20.00\""))?;
    match text.parse() {
        Ok(Centavos::ZERO) => Err(fault("out_of_range", "more than nothing")),
        Ok(amount) => Ok(amount),
        Err(MoneyError::Malformed) => Err(fault("invalid_format", "an amount looks like 20.00")),
        Err(MoneyError::OutOfRange) => Err(fault("out_of_range", "far too much")),
    }
}

/// Reads the command of `POST /payments/intent`.
///
/// # Errors
/// Every fault of the fields.
pub fn payment_intent(d: &Value) -> Read<Command> {
    let mut form = Form::of(d);
    let ride = form.required("ride_id", uuid).map(RideId);
    form.close(ride.map(|ride| Command::Intent { ride }))
}

/// Reads the command of `POST /payments/{id}/refund`.
///
/// # Errors
/// Every fault of the fields.
pub fn payment_refund(payment: PaymentId, d: &Value) -> Read<Command> {
    let mut form = Form::of(d);
    let amount = form.required("amount", amount);
    let reason = form.required("reason", text(1..=NOTE_CHARS_MAX));
    let borne_by = form.optional("borne_by", name).unwrap_or(BorneBy::Platform);
    let made = amount.zip(reason);
    let command = |(amount, reason)| Command::GiveBack { payment, amount, borne_by, reason };
    form.close(made.map(command))
}

/// Reads the command of `POST /rides/{id}/dispute`.
///
/// # Errors
/// Every fault of the fields.
pub fn dispute(ride: RideId, d: &Value) -> Read<Command> {
    let mut form = Form::of(d);
    let reason = form.required("reason", name);
    let note = form.optional("note", text(1..=NOTE_CHARS_MAX));
    form.close(reason.map(|reason| Command::Contest { ride, reason, note }))
}

/// Reads the command of `POST /disputes/{id}/evidence`.
///
/// # Errors
/// Every fault of the fields.
pub fn evidence(dispute: DisputeId, d: &Value) -> Read<Command> {
    let mut form = Form::of(d);
    let text = form.required("text", text(1..=EVIDENCE_CHARS_MAX));
    form.close(text.map(|text| Command::Evidence { dispute, text }))
}

/// Reads the command of `POST /disputes/{id}/ruling`.
///
/// # Errors
/// Every fault of the fields.
pub fn ruling(dispute: DisputeId, d: &Value) -> Read<Command> {
    let mut form = Form::of(d);
    let winner = form.required("for", name);
    let reason = form.required("reason", text(1..=NOTE_CHARS_MAX));
    let made = winner.zip(reason);
    form.close(made.map(|(winner, reason)| Command::Rule { dispute, winner, reason }))
}

/// Reads the command of `POST /payments/{id}/waive`.
///
/// # Errors
/// Every fault of the fields.
pub fn payment_waiver(payment: PaymentId, d: &Value) -> Read<Command> {
    let mut form = Form::of(d);
    let reason = form.required("reason", text(1..=NOTE_CHARS_MAX));
    form.close(reason.map(|reason| Command::Waive { payment, reason }))
}

/// Reads the command of `POST /rides/{id}/tip`.
///
/// # Errors
/// Every fault of the fields.
pub fn tip(ride: RideId, d: &Value) -> Read<Command> {
    let mut form = Form::of(d);
    let amount = form.required("amount", amount);
    form.close(amount.map(|amount| Command::Tip { ride, amount }))
}

/// Reads the command of `POST /me/credit`.
///
/// # Errors
/// Every fault of the fields.
pub fn top_up(d: &Value) -> Read<Command> {
    let mut form = Form::of(d);
    let amount = form.required("amount", amount);
    form.close(amount.map(|amount| Command::TopUp { amount }))
}

/// Reads the command of `POST /admin/passengers/{id}/credit`.
///
/// # Errors
/// Every fault of the fields.
pub fn give_credit(passenger: PassengerId, d: &Value) -> Read<Command> {
    let mut form = Form::of(d);
    let amount = form.required("amount", amount);
    let reason = form.required("reason", text(1..=NOTE_CHARS_MAX));
    let made = amount.zip(reason);
    form.close(made.map(|(amount, reason)| Command::GiveCredit { passenger, amount, reason }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_amount_is_a_text_with_two_places() {
        assert_eq!(amount(&json!("20.00")), Ok(Centavos(2000)));
        let code = |value: Value| amount(&value).expect_err("no amount").remove(0).code;
        for value in [json!(20), json!(20.0), json!(null), json!(["20.00"]), json!({"a": 1})] {
            assert_eq!(code(value), "wrong_type");
        }
        for text in ["20", "20.0", "20.000", "1e2", "-1.00", "+1.00", "NaN", "２０.００", " 1.00"]
        {
            assert_eq!(code(json!(text)), "invalid_format", "{text}");
        }
        for text in ["0.00", "92233720368547758.08"] {
            assert_eq!(code(json!(text)), "out_of_range", "{text}");
        }
    }
}
