//! Tokens, balance, settings, claims of fraud, and the report of a day.

use std::fmt::Write as _;

use ibora_domain::money::Centavos;
use ibora_domain::units::{Millis, UnixMillis};
use ibora_psp::Entry;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{Answer, Body};
use super::core::State;
use super::provider::Call;
use super::render;
use crate::pix::wire::{Balance, Blocks, Defence, TokenAnswer, TokenRequest, moment_of};

/// Brazil's days begin three hours after UTC's.
const DAY_BEGINS: Millis = Millis::from_secs(3 * 3600);
const DAY: Millis = Millis::from_secs(86_400);
const DEFENCE_MAX: usize = 1000;

type Answered = Result<Answer, Answer>;

pub(super) fn token(state: &mut State, authorization: &str, body: &[u8]) -> Answered {
    let asked: TokenRequest = serde_json::from_slice(body).map_err(|_| Answer::malformed())?;
    if asked != TokenRequest::client_credentials() {
        return Err(Answer::named(400, "grant_type_invalido", "grant_type não suportado"));
    }
    let now = state.now();
    let denied = || Answer::named(401, "nao_autorizado", "Credenciais inválidas ou inativas");
    let given = state.tokens.give(authorization, now).ok_or_else(denied)?;
    let answer = TokenAnswer {
        access_token: given.token,
        token_type: "Bearer".to_owned(),
        expires_in: given.expires_in_s,
        scope: given.scope,
    };
    Ok(Answer::json(200, &answer))
}

pub(super) fn balance(state: &State, call: &Call<'_>) -> Answered {
    let wanted = call.query.flag("bloqueios")? == Some(true);
    let med = state.books.blocked();
    let blocks = Blocks { judicial: Some(Centavos::ZERO), med: Some(med), total: Some(med) };
    let available = state.books.balance();
    Ok(Answer::json(200, &Balance { available, blocks: wanted.then_some(blocks) }))
}

/// Of all settings only this one changes anything here: whether Pix without a reference are told.
pub(super) fn configure(state: &mut State, body: &[u8]) -> Answered {
    let settings: Value = serde_json::from_slice(body).map_err(|_| Answer::malformed())?;
    if let Some(told) = find(&settings, "pixSemTxid").and_then(Value::as_bool) {
        state.tells_strays = told;
    }
    Ok(Answer::json(200, &settings))
}

fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let object = value.as_object()?;
    object.get(name).or_else(|| object.values().find_map(|inner| find(inner, name)))
}

pub(super) fn infractions(state: &State, call: &Call<'_>) -> Answered {
    let window = call.query.window()?;
    let rows = state.books.claims().map(|claim| (claim.opened, render::infraction(claim)));
    Ok(Answer::json(200, &window.page(rows.collect())))
}

pub(super) fn defend(state: &mut State, id: &str, body: &[u8]) -> Answered {
    let defence: Defence = serde_json::from_slice(body).map_err(|_| Answer::malformed())?;
    if defence.text.expose().chars().count() > DEFENCE_MAX {
        return Err(Answer::named(400, "valor_invalido", "A justificativa é longa demais"));
    }
    let claim = state.books.defend(id)?;
    Ok(Answer::json(200, &render::infraction(claim)))
}

#[derive(Deserialize)]
struct ReportOrder {
    #[serde(rename = "dataMovimento")]
    day: String,
}

/// A report is ready at once; its id is its day.
pub(super) fn ask_report(state: &State, body: &[u8]) -> Answered {
    let order: ReportOrder = serde_json::from_slice(body).map_err(|_| Answer::malformed())?;
    let begins = beginning(&order.day)?;
    if begins + DAY > state.now() {
        return Err(Answer::named(400, "valor_invalido", "dataMovimento deve ser anterior a hoje"));
    }
    let id = order.day.replace('-', "");
    Ok(Answer::json(201, &json!({"id": id, "status": "AGUARDANDO_PROCESSAMENTO"})))
}

/// The statement of a day, as CSV.
pub(super) fn report(state: &State, id: &str) -> Answered {
    let part = |range| id.get(range).unwrap_or_default();
    let begins = beginning(&format!("{}-{}-{}", part(0..4), part(4..6), part(6..8)))?;
    let of_day = |entry: &&Entry| entry.at >= begins && entry.at < begins + DAY;
    let mut text = String::from("horario;tipo;endToEndId;valor;saldo\n");
    for entry in state.books.statement().iter().filter(of_day) {
        let kind = serde_json::to_value(entry.kind).unwrap_or_default();
        let kind = kind.as_str().unwrap_or_default().to_uppercase();
        let e2e_id = entry.e2e_id.as_ref().map_or("", |id| id.as_str());
        let (at, amount, balance) = (entry.at, entry.amount, entry.balance);
        // Writing to a text cannot fail.
        writeln!(text, "{at};{kind};{e2e_id};{amount};{balance}").ok();
    }
    Ok(Answer { status: 200, body: Body::Csv(text) })
}

fn beginning(day: &str) -> Result<UnixMillis, Answer> {
    let wrong = || Answer::named(400, "valor_invalido", "dataMovimento inválida");
    let midnight = moment_of(&format!("{day}T00:00:00Z")).ok_or_else(wrong)?;
    Ok(midnight + DAY_BEGINS)
}
