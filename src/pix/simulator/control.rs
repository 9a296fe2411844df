//! The control interface: what the simulator is told to do, and its books. Plain HTTP, loopback.

use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use ibora_domain::money::Centavos;
use ibora_domain::units::Millis;
use ibora_psp::{Refusal, Rules, Script};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::control_money;
use super::core::Core;
use super::dial::Fault;
use crate::pix::wire::Personal;

pub(super) type Shared = web::Data<Core>;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .app_data(web::JsonConfig::default().error_handler(|error, _| {
            let answer = refused(StatusCode::BAD_REQUEST, &error.to_string());
            InternalError::from_response(error, answer).into()
        }))
        .service(
            web::scope("/control")
                .route("/faults", web::get().to(faults))
                .route("/faults", web::post().to(add_fault))
                .route("/faults", web::delete().to(clear_faults))
                .route("/script", web::post().to(script))
                .route("/rules", web::get().to(rules))
                .route("/rules", web::post().to(set_rules))
                .route("/clock", web::get().to(clock))
                .route("/clock", web::post().to(set_clock))
                .route("/tokens", web::post().to(tokens))
                .route("/webhooks", web::get().to(webhooks))
                .route("/webhooks", web::post().to(set_webhooks))
                .configure(control_money::routes),
        );
}

pub(super) fn refused(status: StatusCode, why: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "error": why }))
}

/// An answer, or why the books refused.
pub(super) fn outcome<T: Serialize>(outcome: Result<T, Refusal>) -> HttpResponse {
    match outcome {
        Ok(done) => HttpResponse::Ok().json(done),
        Err(why) => refused(StatusCode::CONFLICT, &why.to_string()),
    }
}

async fn faults(core: Shared) -> HttpResponse {
    HttpResponse::Ok().json(core.lock().dial.faults())
}

async fn add_fault(core: Shared, form: web::Json<Value>) -> HttpResponse {
    match Fault::read(&form) {
        Ok(fault) => core.lock().dial.add(fault),
        Err(why) => return refused(StatusCode::BAD_REQUEST, &why),
    }
    HttpResponse::NoContent().finish()
}

async fn clear_faults(core: Shared) -> HttpResponse {
    core.lock().dial.clear();
    HttpResponse::NoContent().finish()
}

async fn script(core: Shared, script: web::Json<Script>) -> HttpResponse {
    *core.lock().books.script() = script.into_inner();
    HttpResponse::NoContent().finish()
}

/// The rules in JSON; an amount in reais.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RulesForm {
    #[serde(default)]
    sandbox: bool,
    #[serde(default)]
    pay_after_ms: Option<u64>,
    settle_after_ms: u64,
    tariff: String,
    #[serde(default = "none")]
    send_tariff: String,
}

fn none() -> String {
    Centavos::ZERO.to_string()
}

async fn rules(core: Shared) -> HttpResponse {
    let rules = *core.lock().books.rules();
    HttpResponse::Ok().json(RulesForm {
        sandbox: rules.sandbox,
        pay_after_ms: rules.pay_after.map(|after| after.0),
        settle_after_ms: rules.settle_after.0,
        tariff: rules.tariff.to_string(),
        send_tariff: rules.send_tariff.to_string(),
    })
}

async fn set_rules(core: Shared, form: web::Json<RulesForm>) -> HttpResponse {
    let tariffs = amount(&form.tariff).zip(amount(&form.send_tariff));
    let Some((tariff, send_tariff)) = tariffs else {
        return refused(StatusCode::BAD_REQUEST, "a tariff is an amount like 0.24");
    };
    let rules = Rules {
        sandbox: form.sandbox,
        pay_after: form.pay_after_ms.map(Millis),
        settle_after: Millis(form.settle_after_ms),
        tariff,
        send_tariff,
    };
    core.lock().books.set_rules(rules);
    HttpResponse::NoContent().finish()
}

pub(super) fn amount(text: &str) -> Option<Centavos> {
    text.parse().ok()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockForm {
    advance_ms: Option<u64>,
    speed: Option<u32>,
}

async fn clock(core: Shared) -> HttpResponse {
    let state = core.lock();
    HttpResponse::Ok().json(json!({"now": state.now().to_string(), "speed": state.clock.speed()}))
}

async fn set_clock(core: Shared, form: web::Json<ClockForm>) -> HttpResponse {
    let mut state = core.lock();
    if let Some(speed) = form.speed {
        state.clock.set_speed(speed);
    }
    if let Some(ms) = form.advance_ms {
        state.clock.advance(Millis(ms));
    }
    state.pump();
    core.changed();
    HttpResponse::NoContent().finish()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TokensForm {
    #[serde(default)]
    revoke: bool,
    /// What new and old tokens are good for; everything, where it is `null`.
    scopes: Option<String>,
}

async fn tokens(core: Shared, form: web::Json<TokensForm>) -> HttpResponse {
    let mut state = core.lock();
    if form.revoke {
        state.tokens.revoke();
    }
    state.tokens.set_scopes(form.scopes.clone());
    HttpResponse::Ok().json(json!({"given": state.tokens.given}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhooksForm {
    batch: Option<usize>,
    tells_strays: Option<bool>,
    #[serde(default)]
    flush: bool,
}

async fn webhooks(core: Shared) -> HttpResponse {
    let state = core.lock();
    let waiting: Vec<Value> = state
        .deliveries
        .waiting()
        .map(|one| {
            let next = one.next.to_string();
            json!({"id": one.id, "failures": one.failures, "next": next,
                   "in_flight": one.in_flight, "tells": one.what.notices})
        })
        .collect();
    let hooks = state.hooks.iter().map(|(key, hook)| {
        // Whoever asks is on this machine; even so a secret stays where it is.
        let url = hook.url.split('?').next().unwrap_or_default();
        json!({"key": key, "url": url})
    });
    HttpResponse::Ok().json(json!({
        "registered": hooks.collect::<Vec<_>>(), "waiting": waiting,
        "delivered": state.deliveries.delivered(), "given_up": state.deliveries.given_up()
    }))
}

async fn set_webhooks(core: Shared, form: web::Json<WebhooksForm>) -> HttpResponse {
    let mut state = core.lock();
    state.batch = form.batch.unwrap_or(state.batch).max(1);
    state.tells_strays = form.tells_strays.unwrap_or(state.tells_strays);
    if form.flush {
        state.flush();
    }
    core.changed();
    HttpResponse::NoContent().finish()
}

/// A document in JSON that is never shown.
pub(super) type Document = Option<Personal>;
