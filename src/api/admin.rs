//! What admins do over REST: review drivers, list them, read the audit trail.

use actix_web::http::{Method, StatusCode};
use ibora_domain::ids::DriverId;
use ibora_domain::person::{Approval, Scope};
use serde_json::json;

use super::auth::ADMIN;
use super::idempotency::{self, Once, once};
use super::query;
use super::route::{self, Answered, Call, Entry, known};
use crate::accounts::{Caller, Identity, Review};
use crate::actors::parse::{Form, raw_text};

const REVIEWS: [(&str, &str, Approval); 3] = [
    ("/v1/drivers/{id}/approve", "driver.approve", Approval::Approved),
    ("/v1/drivers/{id}/reject", "driver.reject", Approval::Rejected),
    ("/v1/drivers/{id}/suspend", "driver.suspend", Approval::Suspended),
];

pub(super) fn entries() -> Vec<Entry> {
    let mut entries = vec![
        known((Method::GET, "/v1/drivers"), ADMIN, Scope::Admin, drivers),
        known((Method::GET, "/v1/audit/logs"), ADMIN, Scope::Admin, audit),
    ];
    entries.extend(REVIEWS.map(|(path, op, to)| {
        known((Method::POST, path), ADMIN, Scope::Admin, move |call, who| review(op, to, call, who))
    }));
    entries
}

async fn review(op: &'static str, to: Approval, call: Call, who: Identity) -> Answered {
    let driver = DriverId(call.id()?);
    let body = call.json()?;
    let mut form = Form::of(&body);
    let reason = form.optional("reason", raw_text);
    let review = form.close(Some(Review { to, reason }))?;
    let (api, accounts) = (&call.api, &call.api.accounts);
    let asked = Once {
        user: who.user,
        id: idempotency::key(call.request.headers())?,
        command: &json!({ "op": op, "driver": driver, "reason": review.reason }),
        status: StatusCode::OK,
    };
    let by = Caller {
        ip: call.meta.address,
        user_agent: call.meta.user_agent.clone(),
        request_id: Some(call.meta.request_id.clone()),
        ..Caller::of(&who)
    };
    let response = once(api, asked, async |key| {
        let profile = accounts.review_driver(&by, driver, review, key.as_ref()).await?;
        Ok(route::json(StatusCode::OK, &profile))
    });
    let response = response.await?;
    api.dispatch.driver_changed(driver).await?;
    Ok(response)
}

async fn drivers(call: Call, _who: Identity) -> Answered {
    let parameters = query::parameters(call.request.query_string())?;
    let mut form = Form::of(&parameters);
    let page = query::page(&mut form);
    let approval = query::filter::<Approval>(&mut form, "approval");
    form.close(Some(()))?;
    let cursor = page.cursor.as_deref();
    let drivers = call.api.accounts.list_drivers(approval, cursor, page.limit).await?;
    Ok(route::json(StatusCode::OK, &drivers))
}

async fn audit(call: Call, _who: Identity) -> Answered {
    let parameters = query::parameters(call.request.query_string())?;
    let mut form = Form::of(&parameters);
    let page = query::page(&mut form);
    form.close(Some(()))?;
    let entries = call.api.accounts.list_audit(page.cursor.as_deref(), page.limit).await?;
    Ok(route::json(StatusCode::OK, &entries))
}
