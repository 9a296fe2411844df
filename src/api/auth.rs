//! Who is asking: the bearer token, the scope and the role that a route wants, and its limit.

use std::net::IpAddr;
use std::time::Instant;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use ibora_domain::ids::DriverId;
use ibora_domain::person::{Role, Scope};
use ibora_domain::refusal::Refusal;

use super::Api;
use super::problem::Problem;
use crate::accounts::Identity;
use crate::actors::Caller;

/// Roles that may call a route.
pub(super) const ANYBODY: &[Role] = &[Role::Passenger, Role::Driver, Role::Admin, Role::Partner];
pub(super) const PASSENGER: &[Role] = &[Role::Passenger];
pub(super) const DRIVER: &[Role] = &[Role::Driver];
pub(super) const DRIVER_OR_ADMIN: &[Role] = &[Role::Driver, Role::Admin];
pub(super) const ADMIN: &[Role] = &[Role::Admin];
/// Who rates the other.
pub(super) const RIDERS: &[Role] = &[Role::Passenger, Role::Driver];
pub(super) const RIDE_PEOPLE: &[Role] = &[Role::Passenger, Role::Driver, Role::Admin];

/// The holder of the request's token, who may call a route for `roles` and `scope`.
pub(super) fn identify(
    api: &Api,
    headers: &HeaderMap,
    address: Option<IpAddr>,
    (roles, scope): (&[Role], Scope),
) -> Result<Identity, Problem> {
    let known = bearer(headers)
        .ok_or(Problem::NoToken)
        .and_then(|token| api.accounts.authenticate(token).map_err(Problem::Token));
    let identity = match known {
        Ok(identity) => identity,
        // Guessing tokens is limited like any request without one.
        Err(problem) => {
            api.limits.address(address)?;
            if let Problem::Token(cause) = &problem {
                tracing::info!(%cause, "token refused");
            }
            return Err(problem);
        }
    };
    api.limits.user(identity.user)?;
    if !identity.may(scope) {
        return Err(Problem::Scope(scope));
    }
    if !roles.contains(&identity.role) {
        return Err(Refusal::Forbidden.into());
    }
    if identity.role == Role::Driver {
        let driver = DriverId::from(identity.user);
        if api.seen.is_news(driver, Instant::now()) {
            api.dispatch.driver_seen(driver);
        }
    }
    Ok(identity)
}

/// The same person as the actors know them.
pub(super) const fn caller(identity: &Identity) -> Caller {
    Caller { user: identity.user, role: identity.role }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
