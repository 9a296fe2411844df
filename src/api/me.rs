//! `/me`: the person who asks, a driver's vehicles, availability and positions.

use actix_web::http::{Method, StatusCode};
use ibora_domain::category::Category;
use ibora_domain::facts::Answer;
use ibora_domain::ids::DriverId;
use ibora_domain::person::{Role, Scope};
use ibora_domain::refusal::Refusal;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::auth::{ANYBODY, DRIVER, caller};
use super::idempotency::{self, Once, once};
use super::problem::Problem;
use super::rides::send;
use super::route::{self, Answered, Call, Entry, known};
use crate::accounts::{Identity, VehicleForm};
use crate::actors::parse::{self, Form, Read, integer, list, name, raw_text};
use crate::readmodel::UserView;

pub(super) fn entries() -> Vec<Entry> {
    vec![
        known((Method::GET, "/v1/me"), ANYBODY, Scope::Read, me),
        known((Method::POST, "/v1/me/vehicles"), DRIVER, Scope::Write, add_vehicle),
        known((Method::PUT, "/v1/me/availability"), DRIVER, Scope::Write, availability),
        known((Method::POST, "/v1/me/locations"), DRIVER, Scope::Write, locations),
    ]
}

#[derive(Serialize)]
struct Me {
    user: UserView,
    driver: Option<Box<RawValue>>,
    active_ride: Option<Box<RawValue>>,
}

async fn me(call: Call, who: Identity) -> Answered {
    let api = &call.api;
    let user = api.accounts.user(who.user).await?;
    let driver = match who.role {
        Role::Driver => part(api.dispatch.driver(DriverId::from(who.user)).await)?,
        Role::Passenger | Role::Admin | Role::Partner => None,
    };
    let active_ride = match api.rides.active_of(who.user, who.role).await? {
        Some(ride) => part(api.dispatch.ride(caller(&who), ride).await)?,
        None => None,
    };
    Ok(route::json(StatusCode::OK, &Me { user, driver, active_ride }))
}

/// What an actor shows, as part of an answer; `None` where there is no such thing any more.
fn part(answer: Answer) -> Result<Option<Box<RawValue>>, Problem> {
    match answer {
        Ok(done) => Ok(RawValue::from_string(done.body.to_string()).ok()),
        Err(Refusal::NotFound) => Ok(None),
        Err(refusal) => Err(refusal.into()),
    }
}

async fn add_vehicle(call: Call, who: Identity) -> Answered {
    let form = vehicle_form(&call.json()?)?;
    let driver = DriverId::from(who.user);
    let (api, accounts) = (&call.api, &call.api.accounts);
    let asked = Once {
        caller: caller(&who),
        id: idempotency::key(call.request.headers())?,
        command: &json!({ "op": "driver.add_vehicle", "vehicle": form }),
        status: StatusCode::CREATED,
    };
    let response = once(api, asked, async |key| {
        let vehicle = accounts.add_vehicle(driver, form, key.as_ref()).await?;
        Ok(route::json(StatusCode::CREATED, &vehicle))
    });
    let response = response.await?;
    api.dispatch.driver_changed(driver).await?;
    Ok(response)
}

fn vehicle_form(body: &Value) -> Read<VehicleForm> {
    let mut form = Form::of(body);
    let mut text = |field| form.required(field, raw_text);
    let (plate, make, model, color) = (text("plate"), text("make"), text("model"), text("color"));
    let year = form.required("year", integer(0..=9999));
    let categories = list(1..=Category::ALL.len(), name::<Category>);
    let categories = form.required("categories", categories);
    form.close((|| {
        Some(VehicleForm {
            plate: plate?,
            make: make?,
            model: model?,
            color: color?,
            year: year?,
            categories: categories?,
        })
    })())
}

async fn availability(call: Call, who: Identity) -> Answered {
    let command = parse::availability(&call.json()?)?;
    send(&call, &who, command, StatusCode::OK).await
}

async fn locations(call: Call, who: Identity) -> Answered {
    let points = parse::points(&call.json()?)?;
    call.api.dispatch.report_positions(DriverId::from(who.user), &points);
    Ok(route::json(StatusCode::ACCEPTED, &json!({ "received": points.len() })))
}
