//! `/rides`: prices, requests, lists, the timeline, and the commands of a ride's people.

use actix_web::HttpResponse;
use actix_web::http::{Method, StatusCode};
use ibora_domain::ids::{RideId, UserId};
use ibora_domain::person::{Role, Scope};
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::{Reader, Status};
use serde::Serialize;

use super::auth::{DRIVER, PASSENGER, RIDE_PEOPLE, RIDERS, caller};
use super::problem::Problem;
use super::route::{self, Answered, Call, Entry, known};
use super::{idempotency, query};
use crate::accounts::Identity;
use crate::actors::parse::{self, Form, Read, uuid};
use crate::actors::{Command, Sent};
use crate::readmodel::{RideFilter, Step};

/// The commands about one ride: path, op, who may send it.
const COMMANDS: [(&str, &str, &[Role]); 7] = [
    ("/v1/rides/{id}/accept", "ride.accept", DRIVER),
    ("/v1/rides/{id}/decline", "ride.decline", DRIVER),
    ("/v1/rides/{id}/arrive", "ride.arrive", DRIVER),
    ("/v1/rides/{id}/start", "ride.start", DRIVER),
    ("/v1/rides/{id}/complete", "ride.complete", DRIVER),
    ("/v1/rides/{id}/cancel", "ride.cancel", RIDE_PEOPLE),
    ("/v1/rides/{id}/rating", "ride.rate", RIDERS),
];

pub(super) fn entries() -> Vec<Entry> {
    let mut entries = vec![
        // Asks for a price and changes nothing.
        known((Method::POST, "/v1/rides/estimate"), PASSENGER, Scope::Read, estimate),
        known((Method::POST, "/v1/rides"), PASSENGER, Scope::Write, request),
        known((Method::GET, "/v1/rides"), RIDE_PEOPLE, Scope::Read, list),
        known((Method::GET, "/v1/rides/{id}"), RIDE_PEOPLE, Scope::Read, ride),
        known((Method::GET, "/v1/rides/{id}/timeline"), RIDE_PEOPLE, Scope::Read, timeline),
    ];
    entries.extend(COMMANDS.map(|(path, op, roles)| {
        known((Method::POST, path), roles, Scope::Write, move |call, who| act(op, call, who))
    }));
    entries
}

#[derive(Serialize)]
struct Timeline {
    items: Vec<Step>,
}

/// Sends a command with the key and version that the request names.
pub(super) async fn send(
    call: &Call,
    who: &Identity,
    command: Command,
    status: StatusCode,
) -> Result<HttpResponse, Problem> {
    let headers = call.request.headers();
    let (id, if_version) = (idempotency::key(headers)?, idempotency::if_version(headers)?);
    let sent = Sent { id, if_version, command };
    let origin = Some(call.meta.origin());
    let done = call.api.dispatch.command_from(caller(who), sent, origin).await?;
    Ok(route::done(status, &done))
}

async fn act(op: &'static str, call: Call, who: Identity) -> Answered {
    let command = parse::command(op, Some(call.id()?), &call.json()?)?;
    send(&call, &who, command, StatusCode::OK).await
}

async fn estimate(call: Call, who: Identity) -> Answered {
    let asked = parse::estimate(&call.json()?)?;
    let done = call.api.dispatch.estimate(caller(&who), &asked).await?;
    Ok(route::done(StatusCode::OK, &done))
}

async fn request(call: Call, who: Identity) -> Answered {
    let command = parse::command("ride.request", None, &call.json()?)?;
    send(&call, &who, command, StatusCode::CREATED).await
}

async fn ride(call: Call, who: Identity) -> Answered {
    let done = call.api.dispatch.ride(caller(&who), RideId(call.id()?)).await?;
    Ok(route::done(StatusCode::OK, &done))
}

async fn timeline(call: Call, who: Identity) -> Answered {
    let ride = RideId(call.id()?);
    let steps = call.api.rides.timeline(ride, who.user, who.role).await?;
    let items = steps.ok_or(Refusal::NotFound)?;
    Ok(route::json(StatusCode::OK, &Timeline { items }))
}

async fn list(call: Call, who: Identity) -> Answered {
    let parameters = query::parameters(call.request.query_string())?;
    let mut form = Form::of(&parameters);
    let page = query::page(&mut form);
    let status = query::filter::<Status>(&mut form, "status");
    let mut filter = RideFilter { status, ..RideFilter::default() };
    let reader = match who.role {
        Role::Passenger => {
            filter.passenger = Some(who.user);
            Reader::Passenger
        }
        Role::Driver => {
            filter.driver = Some(who.user);
            Reader::Driver
        }
        Role::Admin | Role::Partner => {
            filter.passenger = person(&mut form, "passenger_id");
            filter.driver = person(&mut form, "driver_id");
            Reader::Admin
        }
    };
    let checked: Read<()> = form.close(Some(()));
    checked?;
    let rides = call.api.rides.list(filter, reader, page.cursor.as_deref(), page.limit).await?;
    Ok(route::json(StatusCode::OK, &rides))
}

fn person(form: &mut Form<'_>, field: &'static str) -> Option<UserId> {
    form.optional(field, uuid).map(UserId)
}
