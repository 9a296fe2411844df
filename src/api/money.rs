//! What drivers ask about their money: the key that they are paid to, what they have, what became
//! of it, and what they have earned.

use actix_web::HttpResponse;
use actix_web::http::header::{ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY};
use actix_web::http::{Method, StatusCode};
use ibora_domain::field::FieldError;
use ibora_domain::ids::DriverId;
use ibora_domain::person::Scope;
use secrecy::SecretString;
use time::Date;

use super::auth::DRIVER;
use super::problem::Problem;
use super::query;
use super::route::{self, Answered, Call, Entry, known};
use super::statement::{Language, Statement, page};
use crate::accounts::{AccountError, Identity, PixKeyForm};
use crate::actors::parse::{Form, moment, raw_text};
use crate::readmodel::{LINES_MAX, Span};

/// Days of one question about days.
const DAYS_MAX: i64 = 366;

/// The page that is printed is text and style, and asks for nothing.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'";

pub(super) fn entries() -> Vec<Entry> {
    vec![
        known((Method::PUT, "/v1/me/pix-key"), DRIVER, Scope::Write, set_pix_key),
        known((Method::GET, "/v1/me/balance"), DRIVER, Scope::Read, balance),
        known((Method::GET, "/v1/me/statement"), DRIVER, Scope::Read, statement),
        known((Method::GET, "/v1/me/statement.html"), DRIVER, Scope::Read, printable),
        known((Method::GET, "/v1/me/earnings"), DRIVER, Scope::Read, earnings),
    ]
}

async fn set_pix_key(call: Call, who: Identity) -> Answered {
    let body = call.json()?;
    let mut form = Form::of(&body);
    let pix_key = form.required("pix_key", raw_text);
    let password = form.required("password", raw_text).map(SecretString::from);
    let (pix_key, password) = form.close(pix_key.zip(password))?;
    let (api, driver) = (&call.api, DriverId::from(who.user));
    // Who has the token and guesses the password is as slow as who guesses at the login.
    api.limits.auth_account(&who.user.to_string())?;
    let (by, form) = (call.meta.caller(&who), PixKeyForm { pix_key, password });
    let set = api.accounts.set_pix_key(&by, driver, form, api.dispatch.now()).await;
    if set == Err(AccountError::InvalidCredentials) {
        api.metrics.login_failures.inc();
        tracing::warn!("auth.password.failed");
    }
    let key = set?;
    api.dispatch.driver_changed(driver).await?;
    Ok(route::json(StatusCode::OK, &key))
}

async fn balance(call: Call, who: Identity) -> Answered {
    let balance = call.api.ledger.driver_balance(DriverId::from(who.user)).await?;
    Ok(route::json(StatusCode::OK, &balance))
}

async fn statement(call: Call, who: Identity) -> Answered {
    let parameters = query::parameters(call.request.query_string())?;
    let mut form = Form::of(&parameters);
    let asked = query::page(&mut form);
    let span = Span {
        from: form.optional("from", moment).unwrap_or(Span::ALWAYS.from),
        to: form.optional("to", moment).unwrap_or(Span::ALWAYS.to),
    };
    form.close(Some(()))?;
    let (driver, cursor) = (DriverId::from(who.user), asked.cursor.as_deref());
    let lines = call.api.ledger.statement(driver, span, cursor, asked.limit).await?;
    Ok(route::json(StatusCode::OK, &lines))
}

async fn printable(call: Call, who: Identity) -> Answered {
    let parameters = query::parameters(call.request.query_string())?;
    let mut form = Form::of(&parameters);
    let wanted = (form.optional("from", query::day), form.optional("to", query::day));
    let named = form.optional("lang", |value| match value.as_str() {
        Some(named @ ("pt" | "en")) => Ok(named.to_owned()),
        _ => Err(vec![FieldError::whole("unknown_value", "pt or en")]),
    });
    form.close(Some(()))?;
    let (api, driver) = (&call.api, DriverId::from(who.user));
    let (first, last, span) = days(&call, wanted).await?;
    let lines = api.ledger.statement(driver, span, None, LINES_MAX).await?;
    if lines.next_cursor.is_some() {
        let detail = format!("more than {LINES_MAX} entries: ask for fewer days");
        return Err(vec![FieldError::new("to", "out_of_range", detail)].into());
    }
    let person = api.accounts.user(who.user).await?;
    let statement = Statement {
        driver: person.name.as_str(),
        days: (first, last),
        before: api.ledger.pockets_before(driver, span.from).await?,
        after: api.ledger.pockets_before(driver, span.to).await?,
        lines: &lines.items,
    };
    let accepted = call.request.headers().get(ACCEPT_LANGUAGE).and_then(|tags| tags.to_str().ok());
    let language = Language::of(named.as_deref(), accepted);
    Ok(HttpResponse::Ok()
        .content_type("text/html; charset=utf-8")
        .insert_header((CONTENT_SECURITY_POLICY, PAGE_POLICY))
        .body(page(&statement, language)))
}

async fn earnings(call: Call, who: Identity) -> Answered {
    let parameters = query::parameters(call.request.query_string())?;
    let mut form = Form::of(&parameters);
    let wanted = (form.optional("from", query::day), form.optional("to", query::day));
    form.close(Some(()))?;
    let (_, _, span) = days(&call, wanted).await?;
    let earned = call.api.ledger.earnings(DriverId::from(who.user), span).await?;
    Ok(route::json(StatusCode::OK, &earned))
}

/// The days that are asked about, both ends in it.
async fn days(
    call: &Call,
    (first, last): (Option<Date>, Option<Date>),
) -> Result<(Date, Date, Span), Problem> {
    let (first, last, span) = call.api.ledger.days(first, last, call.api.dispatch.now()).await?;
    let days = (last - first).whole_days() + 1;
    if !(1..=DAYS_MAX).contains(&days) {
        let detail = format!("1 to {DAYS_MAX} days, from the earlier to the later");
        return Err(vec![FieldError::new("to", "out_of_range", detail)].into());
    }
    Ok((first, last, span))
}
