//! `/payouts`: what drivers take out, and who approves it.

use actix_web::http::{Method, StatusCode};
use ibora_domain::ids::{DriverId, PayoutId};
use ibora_domain::money::Centavos;
use ibora_domain::person::{Role, Scope};
use ibora_domain::pix::PixKey;
use ibora_domain::refusal::Refusal;

use super::auth::{ADMIN, DRIVER, DRIVER_OR_ADMIN};
use super::query;
use super::rides::send;
use super::route::{self, Answered, Call, Entry, known};
use crate::accounts::Identity;
use crate::actors::Command;
use crate::actors::parse::{Form, amount, raw_text, text, uuid};

pub(super) fn entries() -> Vec<Entry> {
    vec![
        known((Method::POST, "/v1/payouts"), DRIVER, Scope::Write, ask),
        known((Method::GET, "/v1/payouts"), DRIVER_OR_ADMIN, Scope::Read, list),
        known((Method::GET, "/v1/payouts/{id}"), DRIVER_OR_ADMIN, Scope::Read, payout),
        known((Method::POST, "/v1/payouts/{id}/approve"), ADMIN, Scope::Admin, approve),
        known((Method::POST, "/v1/payouts/{id}/reject"), ADMIN, Scope::Admin, reject),
    ]
}

async fn ask(call: Call, who: Identity) -> Answered {
    let body = call.json()?;
    let mut form = Form::of(&body);
    let amount: Option<Centavos> = form.required("amount", amount);
    let key = form.optional("pix_key", raw_text);
    let amount = form.close(amount)?;
    // What is no key is not the registered one.
    let pix_key = match key.as_deref().map(PixKey::of_person) {
        None => None,
        Some(Ok((key, _))) => Some(key),
        Some(Err(_)) => return Err(Refusal::PixKeyMismatch.into()),
    };
    send(&call, &who, Command::Payout { amount, pix_key }, StatusCode::CREATED).await
}

async fn approve(call: Call, who: Identity) -> Answered {
    let body = call.json()?;
    Form::of(&body).close(Some(()))?;
    let command = Command::ApprovePayout { payout: PayoutId(call.id()?) };
    send(&call, &who, command, StatusCode::OK).await
}

async fn reject(call: Call, who: Identity) -> Answered {
    let body = call.json()?;
    let mut form = Form::of(&body);
    let reason = form.optional("reason", text(1..=500));
    form.close(Some(()))?;
    let command = Command::RejectPayout { payout: PayoutId(call.id()?), reason };
    send(&call, &who, command, StatusCode::OK).await
}

/// Whose payouts this person may see; `None`: everybody's.
fn whose(who: &Identity) -> Option<DriverId> {
    match who.role {
        Role::Admin => None,
        Role::Driver | Role::Passenger | Role::Partner => Some(who.user.into()),
    }
}

async fn payout(call: Call, who: Identity) -> Answered {
    let id = PayoutId(call.id()?);
    let found = call.api.rides.payout(id, whose(&who)).await?;
    let done = found.ok_or(Refusal::NotFound)?;
    Ok(route::done(StatusCode::OK, &done))
}

async fn list(call: Call, who: Identity) -> Answered {
    let parameters = query::parameters(call.request.query_string())?;
    let mut form = Form::of(&parameters);
    let page = query::page(&mut form);
    let status = form.optional("status", text(1..=40));
    let driver = match whose(&who) {
        Some(driver) => Some(driver),
        None => form.optional("driver_id", uuid).map(DriverId),
    };
    form.close(Some(()))?;
    let (status, cursor) = (status.as_deref(), page.cursor.as_deref());
    let payouts = call.api.rides.payouts((driver, status), cursor, page.limit).await?;
    Ok(route::json(StatusCode::OK, &payouts))
}
