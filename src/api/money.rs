//! What drivers ask about their money: the key that they are paid to.

use actix_web::http::{Method, StatusCode};
use ibora_domain::ids::DriverId;
use ibora_domain::person::Scope;
use secrecy::SecretString;

use super::auth::DRIVER;
use super::route::{self, Answered, Call, Entry, known};
use crate::accounts::{AccountError, Identity, PixKeyForm};
use crate::actors::parse::{Form, raw_text};

pub(super) fn entries() -> Vec<Entry> {
    vec![known((Method::PUT, "/v1/me/pix-key"), DRIVER, Scope::Write, set_pix_key)]
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
