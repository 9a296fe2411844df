//! Credit: what a passenger puts in and has, and what he is given.

use actix_web::http::{Method, StatusCode};
use ibora_domain::ids::PassengerId;
use ibora_domain::person::Scope;

use super::auth::{ADMIN, PASSENGER};
use super::query;
use super::rides::send;
use super::route::{self, Answered, Call, Entry, known};
use crate::accounts::Identity;
use crate::actors::parse::{self, Form};

pub(super) fn entries() -> Vec<Entry> {
    let given = "/v1/admin/passengers/{id}/credit";
    vec![
        known((Method::POST, "/v1/me/credit"), PASSENGER, Scope::Write, top_up),
        known((Method::GET, "/v1/me/credit"), PASSENGER, Scope::Read, credit),
        known((Method::POST, given), ADMIN, Scope::Admin, give),
    ]
}

async fn top_up(call: Call, who: Identity) -> Answered {
    let command = parse::top_up(&call.json()?)?;
    send(&call, &who, command, StatusCode::CREATED).await
}

async fn credit(call: Call, who: Identity) -> Answered {
    let parameters = query::parameters(call.request.query_string())?;
    let mut form = Form::of(&parameters);
    let asked = query::page(&mut form);
    form.close(Some(()))?;
    let (passenger, cursor) = (PassengerId::from(who.user), asked.cursor.as_deref());
    let credit = call.api.ledger.credit(passenger, cursor, asked.limit).await?;
    Ok(route::json(StatusCode::OK, &credit))
}

async fn give(call: Call, who: Identity) -> Answered {
    let command = parse::give_credit(PassengerId(call.id()?), &call.json()?)?;
    send(&call, &who, command, StatusCode::CREATED).await
}
