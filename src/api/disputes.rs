//! `/disputes`: what somebody contests of a ride, what is said to that, and who is right. What a
//! bank claims and what an admin had a driver bear is shown to that driver here too.

use actix_web::http::{Method, StatusCode};
use ibora_domain::ids::{DisputeId, RideId};
use ibora_domain::person::{Role, Scope};
use ibora_domain::refusal::Refusal;

use super::auth::{ADMIN, RIDERS};
use super::query;
use super::rides::send;
use super::route::{self, Answered, Call, Entry, known};
use crate::accounts::Identity;
use crate::actors::parse::{self, Form, text};

/// Who may see a dispute and add to it: its people, which the dispute itself decides, and admins.
const PEOPLE: &[Role] = &[Role::Passenger, Role::Driver, Role::Admin];

pub(super) fn entries() -> Vec<Entry> {
    vec![
        known((Method::POST, "/v1/rides/{id}/dispute"), RIDERS, Scope::Write, open),
        known((Method::GET, "/v1/disputes"), PEOPLE, Scope::Read, list),
        known((Method::GET, "/v1/disputes/{id}"), PEOPLE, Scope::Read, dispute),
        known((Method::POST, "/v1/disputes/{id}/evidence"), PEOPLE, Scope::Write, evidence),
        known((Method::POST, "/v1/disputes/{id}/ruling"), ADMIN, Scope::Admin, rule),
    ]
}

async fn open(call: Call, who: Identity) -> Answered {
    let command = parse::dispute(RideId(call.id()?), &call.json()?)?;
    send(&call, &who, command, StatusCode::CREATED).await
}

async fn evidence(call: Call, who: Identity) -> Answered {
    let command = parse::evidence(DisputeId(call.id()?), &call.json()?)?;
    send(&call, &who, command, StatusCode::CREATED).await
}

async fn rule(call: Call, who: Identity) -> Answered {
    let command = parse::ruling(DisputeId(call.id()?), &call.json()?)?;
    send(&call, &who, command, StatusCode::OK).await
}

async fn dispute(call: Call, who: Identity) -> Answered {
    let found = call.api.rides.dispute(DisputeId(call.id()?), (who.user, who.role)).await?;
    let done = found.ok_or(Refusal::NotFound)?;
    Ok(route::done(StatusCode::OK, &done))
}

async fn list(call: Call, who: Identity) -> Answered {
    let parameters = query::parameters(call.request.query_string())?;
    let mut form = Form::of(&parameters);
    let page = query::page(&mut form);
    let status = form.optional("status", text(1..=40));
    form.close(Some(()))?;
    let (status, cursor) = (status.as_deref(), page.cursor.as_deref());
    let of = (who.user, who.role);
    let disputes = call.api.rides.disputes(of, status, cursor, page.limit).await?;
    Ok(route::json(StatusCode::OK, &disputes))
}
