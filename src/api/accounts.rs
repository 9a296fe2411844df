//! `/auth/*` and `/session-tickets`. Their answers are secrets: nothing of them is stored or
//! repeated, and `Idempotency-Key` has no effect here.

use actix_web::http::{Method, StatusCode};
use ibora_domain::person::{Role, Scope};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Value, json};

use super::Api;
use super::auth::ANYBODY;
use super::problem::Problem;
use super::route::{self, Answered, Call, Entry, known, login};
use crate::accounts::{AccountError, Identity, RegisterForm, TokenPair};
use crate::actors::parse::{Form, Read, name, raw_text};

pub(super) fn entries() -> Vec<Entry> {
    vec![
        login("/v1/auth/register", register),
        login("/v1/auth/login", log_in),
        login("/v1/auth/refresh", refresh),
        login("/v1/auth/logout", log_out),
        known((Method::POST, "/v1/session-tickets"), ANYBODY, Scope::Write, ticket),
    ]
}

#[derive(Serialize)]
struct Tokens {
    tokens: TokenPair,
}

async fn register(call: Call) -> Answered {
    let form = register_form(&call.json()?)?;
    call.api.limits.auth_account(&form.email)?;
    let signed_in = call.api.accounts.register(form).await?;
    let user = &signed_in.user;
    tracing::info!(user_type = %user.role, user_id = %user.id, "user.created");
    Ok(route::json(StatusCode::CREATED, &signed_in))
}

fn register_form(body: &Value) -> Read<RegisterForm> {
    let mut form = Form::of(body);
    let role = form.required("role", name::<Role>);
    let mut text = |field| form.required(field, raw_text);
    let (person, email, phone, cpf) = (text("name"), text("email"), text("phone"), text("cpf"));
    let password = text("password").map(SecretString::from);
    form.close((|| {
        Some(RegisterForm {
            role: role?,
            name: person?,
            email: email?,
            phone: phone?,
            cpf: cpf?,
            password: password?,
        })
    })())
}

async fn log_in(call: Call) -> Answered {
    let body = call.json()?;
    let mut form = Form::of(&body);
    let email = form.required("email", raw_text);
    let password = form.required("password", raw_text).map(SecretString::from);
    let (email, password) = form.close(email.zip(password))?;
    call.api.limits.auth_account(&email)?;
    match call.api.accounts.login(&email, password).await {
        Ok(tokens) => Ok(route::json(StatusCode::OK, &Tokens { tokens })),
        Err(error) => {
            if error == AccountError::InvalidCredentials {
                call.api.metrics.login_failures.inc();
                tracing::warn!("auth.login.failed");
            }
            Err(error.into())
        }
    }
}

async fn refresh(call: Call) -> Answered {
    let token = refresh_token(&call)?;
    let tokens = call.api.accounts.refresh(&token).await;
    let tokens = tokens.map_err(|error| reused(&call.api, error))?;
    Ok(route::json(StatusCode::OK, &Tokens { tokens }))
}

async fn log_out(call: Call) -> Answered {
    let token = refresh_token(&call)?;
    let done = call.api.accounts.logout(&token).await;
    done.map_err(|error| reused(&call.api, error))?;
    Ok(route::json(StatusCode::OK, &json!({})))
}

fn refresh_token(call: &Call) -> Result<String, Problem> {
    let body = call.json()?;
    let mut form = Form::of(&body);
    let token = form.required("refresh_token", raw_text);
    let token = form.close(token)?;
    // The family is the account here: who holds a copy of its token is limited with its owner.
    call.api.limits.auth_account(token.split('.').next().unwrap_or_default())?;
    Ok(token)
}

/// A copied token ends what was opened with it.
fn reused(api: &Api, error: AccountError) -> AccountError {
    if let AccountError::TokenReused { user } = &error {
        tracing::warn!(user_id = %user, "auth.token.reused");
        (api.end_sessions)(*user);
    }
    error
}

async fn ticket(call: Call, who: Identity) -> Answered {
    let ticket = call.api.accounts.issue_ticket(who)?;
    Ok(route::json(StatusCode::CREATED, &ticket))
}
