//! What admins do over REST: review drivers, list them, read the audit trail, stop payouts, book by
//! hand what the platform itself gives and is charged.

use actix_web::http::{Method, StatusCode};
use ibora_domain::ids::{DriverId, UserId};
use ibora_domain::person::{Approval, Scope};
use serde_json::json;

use super::auth::{ADMIN, caller};
use super::idempotency::{self, Once, once};
use super::query;
use super::rides::send;
use super::route::{self, Answered, Call, Entry, known};
use crate::accounts::{EntryForm, Identity, Review};
use crate::actors::Command;
use crate::actors::parse::{
    Form, NOTE_CHARS_MAX, amount, flag, moment, name, raw_text, text, uuid,
};
use crate::readmodel::AuditFilter;

const REVIEWS: [(&str, &str, Approval); 3] = [
    ("/v1/drivers/{id}/approve", "driver.approve", Approval::Approved),
    ("/v1/drivers/{id}/reject", "driver.reject", Approval::Rejected),
    ("/v1/drivers/{id}/suspend", "driver.suspend", Approval::Suspended),
];

/// Characters of an action's or a kind's name.
const NAME_CHARS_MAX: usize = 64;

pub(super) fn entries() -> Vec<Entry> {
    let mut entries = vec![
        known((Method::GET, "/v1/drivers"), ADMIN, Scope::Admin, drivers),
        known((Method::GET, "/v1/audit/logs"), ADMIN, Scope::Admin, audit),
        known((Method::GET, "/v1/payout-switch"), ADMIN, Scope::Admin, payout_switch),
        known((Method::PUT, "/v1/payout-switch"), ADMIN, Scope::Admin, switch_payouts),
        known((Method::POST, "/v1/admin/ledger/entries"), ADMIN, Scope::Admin, book),
        known((Method::POST, "/v1/admin/ledger/sweeps"), ADMIN, Scope::Admin, sweep),
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
        caller: caller(&who),
        id: idempotency::key(call.request.headers())?,
        command: &json!({ "op": op, "driver": driver, "reason": review.reason }),
        status: StatusCode::OK,
    };
    let by = call.meta.caller(&who);
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
    let filter = AuditFilter {
        action: form.optional("action", text(1..=NAME_CHARS_MAX)),
        entity_type: form.optional("entity_type", text(1..=NAME_CHARS_MAX)),
        entity_id: form.optional("entity_id", uuid),
        user: form.optional("user_id", uuid).map(UserId),
        from: form.optional("from", moment),
        to: form.optional("to", moment),
    };
    form.close(Some(()))?;
    let cursor = page.cursor.as_deref();
    let entries = call.api.accounts.list_audit(&filter, cursor, page.limit).await?;
    Ok(route::json(StatusCode::OK, &entries))
}

async fn payout_switch(call: Call, _who: Identity) -> Answered {
    Ok(route::json(StatusCode::OK, &call.api.accounts.payout_switch().await?))
}

async fn switch_payouts(call: Call, who: Identity) -> Answered {
    let body = call.json()?;
    let mut form = Form::of(&body);
    let stopped = form.required("stopped", flag);
    let reason = form.required("reason", raw_text);
    let (stopped, reason) = form.close(stopped.zip(reason))?;
    let by = call.meta.caller(&who);
    let switch = call.api.accounts.switch_payouts(&by, stopped, &reason).await?;
    tracing::warn!(stopped = switch.stopped, "payouts.switched");
    Ok(route::json(StatusCode::OK, &switch))
}

async fn book(call: Call, who: Identity) -> Answered {
    let body = call.json()?;
    let mut form = Form::of(&body);
    let what = form.required("kind", name).zip(form.required("amount", amount));
    let said = form.required("reference", raw_text).zip(form.required("reason", raw_text));
    let read = what.zip(said).map(|((kind, amount), (reference, reason))| EntryForm {
        kind,
        amount,
        reference,
        reason,
    });
    let form = form.close(read)?;
    let (api, accounts) = (&call.api, &call.api.accounts);
    let asked = Once {
        caller: caller(&who),
        id: idempotency::key(call.request.headers())?,
        command: &json!({ "op": "ledger.book", "entry": form }),
        status: StatusCode::CREATED,
    };
    let by = call.meta.caller(&who);
    once(api, asked, async |key| {
        let entry = accounts.book_by_hand(&by, form, key.as_ref()).await?;
        Ok(route::json(StatusCode::CREATED, &entry))
    })
    .await
}

async fn sweep(call: Call, who: Identity) -> Answered {
    let body = call.json()?;
    let mut form = Form::of(&body);
    let amount = form.required("amount", amount);
    let reason = form.required("reason", text(1..=NOTE_CHARS_MAX));
    let (amount, reason) = form.close(amount.zip(reason))?;
    send(&call, &who, Command::Sweep { amount, reason }, StatusCode::CREATED).await
}
