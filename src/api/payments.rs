//! `/payments`: what a passenger has to pay by Pix, the code to pay it, what he gives on top, what
//! he is let off, and what goes back.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode};
use ibora_domain::ids::{PaymentId, RideId};
use ibora_domain::person::{Role, Scope};
use ibora_domain::refusal::Refusal;
use serde::Deserialize;

use super::auth::{ADMIN, PASSENGER, caller};
use super::problem::Problem;
use super::rides::send;
use super::route::{self, Answered, Call, Entry, known};
use crate::accounts::Identity;
use crate::actors::parse;
use crate::pix::qr::{QrError, qr_png, qr_svg};

/// Who may see a payment: its passenger, which the payment itself decides, and admins.
const PAYERS: &[Role] = &[Role::Passenger, Role::Admin];

pub(super) fn entries() -> Vec<Entry> {
    let png = |call, who| code(call, who, "image/png", qr_png);
    let svg = |call, who| code(call, who, "image/svg+xml", |text| qr_svg(text).map(Into::into));
    vec![
        known((Method::POST, "/v1/payments/intent"), PASSENGER, Scope::Write, intent),
        known((Method::GET, "/v1/payments/{id}"), PAYERS, Scope::Read, payment),
        known((Method::GET, "/v1/payments/{id}/qrcode.png"), PAYERS, Scope::Read, png),
        known((Method::GET, "/v1/payments/{id}/qrcode.svg"), PAYERS, Scope::Read, svg),
        known((Method::POST, "/v1/payments/{id}/refund"), ADMIN, Scope::Admin, refund),
        known((Method::POST, "/v1/payments/{id}/waive"), ADMIN, Scope::Admin, waive),
        known((Method::POST, "/v1/rides/{id}/tip"), PASSENGER, Scope::Write, tip),
    ]
}

/// What of a payment's JSON is drawn.
#[derive(Deserialize)]
struct Shown {
    pix: Option<Charge>,
}

#[derive(Deserialize)]
struct Charge {
    copy_paste: String,
}

async fn intent(call: Call, who: Identity) -> Answered {
    let command = parse::payment_intent(&call.json()?)?;
    send(&call, &who, command, StatusCode::CREATED).await
}

async fn payment(call: Call, who: Identity) -> Answered {
    let done = call.api.dispatch.payment(caller(&who), PaymentId(call.id()?)).await?;
    Ok(route::done(StatusCode::OK, &done))
}

async fn refund(call: Call, who: Identity) -> Answered {
    let command = parse::payment_refund(PaymentId(call.id()?), &call.json()?)?;
    send(&call, &who, command, StatusCode::OK).await
}

async fn waive(call: Call, who: Identity) -> Answered {
    let command = parse::payment_waiver(PaymentId(call.id()?), &call.json()?)?;
    send(&call, &who, command, StatusCode::OK).await
}

async fn tip(call: Call, who: Identity) -> Answered {
    let command = parse::tip(RideId(call.id()?), &call.json()?)?;
    send(&call, &who, command, StatusCode::CREATED).await
}

/// The code of a charge, for as long as it can be paid.
async fn code(
    call: Call,
    who: Identity,
    kind: &'static str,
    draw: fn(&str) -> Result<Vec<u8>, QrError>,
) -> Answered {
    let done = call.api.dispatch.payment(caller(&who), PaymentId(call.id()?)).await?;
    let shown: Shown = serde_json::from_str(&done.body).map_err(|_| Problem::Broken)?;
    let charge = shown.pix.ok_or(Refusal::NotFound)?;
    let image = draw(&charge.copy_paste).map_err(|_| Problem::Broken)?;
    Ok(HttpResponse::Ok().content_type(kind).body(image))
}
