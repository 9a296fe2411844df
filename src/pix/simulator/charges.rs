//! `/v2/cob`: charges, as they are asked for and answered.

use ibora_domain::pix::Txid;
use ibora_psp::{Charge, ChargeOrder, Refusal};
use uuid::Uuid;

use super::answer::Answer;
use super::core::{ChargeTexts, State};
use super::provider::Call;
use super::render;
use crate::pix::wire::{self, ChargeRevision, ChargeStatus, ChargeValue, NewCharge};

const KIND: &str = "CobOperacaoInvalida";
const MESSAGE_MAX: usize = 140;
const NOTES_MAX: usize = 50;

type Answered = Result<Answer, Answer>;

pub(super) fn create(state: &mut State, txid: &str, body: &[u8]) -> Answered {
    let txid = Txid::parse(txid).map_err(|_| Refusal::ShortTxid)?;
    let new: NewCharge = serde_json::from_slice(body).map_err(|_| Answer::malformed())?;
    let texts = ChargeTexts { debtor: new.debtor, message: new.message, notes: new.notes };
    check(&texts)?;
    let order = ChargeOrder {
        value: new.value.original,
        changeable: new.value.changeable == Some(1),
        expires_in_s: new.calendar.seconds,
        key: new.key,
    };
    let now = state.now();
    state.books.create_charge(&txid, order, now)?;
    state.texts.insert(txid.clone(), texts);
    Ok(Answer::json(201, &rendered(state, &txid)?))
}

pub(super) fn create_unnamed(state: &mut State, body: &[u8]) -> Answered {
    create(state, &Uuid::new_v4().simple().to_string(), body)
}

pub(super) fn revise(state: &mut State, txid: &str, body: &[u8]) -> Answered {
    let txid = known(txid)?;
    let revision: ChargeRevision = serde_json::from_slice(body).map_err(|_| Answer::malformed())?;
    if let Some(status) = &revision.status {
        let alone = ChargeRevision { status: Some(status.clone()), ..ChargeRevision::default() };
        if revision != alone || *status != ChargeStatus::RemovedByUser {
            let reason = "O status só pode ser a remoção pelo recebedor, sem outros campos.";
            return Err(Answer::violation(KIND, "cob.status", reason));
        }
        state.books.remove_charge(&txid)?;
        return Ok(Answer::json(200, &rendered(state, &txid)?));
    }
    let old = state.books.charge(&txid).ok_or(Refusal::NoCharge)?.order.clone();
    let value = revision
        .value
        .unwrap_or(ChargeValue { original: old.value, changeable: old.changeable.then_some(1) });
    let mut texts = state.texts.get(&txid).cloned().unwrap_or_default();
    texts.debtor = revision.debtor.or(texts.debtor);
    texts.message = revision.message.or(texts.message);
    texts.notes = revision.notes.unwrap_or(texts.notes);
    check(&texts)?;
    let order = ChargeOrder {
        value: value.original,
        changeable: value.changeable == Some(1),
        expires_in_s: revision.calendar.map_or(old.expires_in_s, |calendar| calendar.seconds),
        key: revision.key.unwrap_or(old.key),
    };
    state.books.revise_charge(&txid, order)?;
    state.texts.insert(txid.clone(), texts);
    Ok(Answer::json(200, &rendered(state, &txid)?))
}

pub(super) fn get(state: &State, txid: &str) -> Answered {
    Ok(Answer::json(200, &rendered(state, &known(txid)?)?))
}

pub(super) fn list(state: &State, call: &Call<'_>) -> Answered {
    let window = call.query.window()?;
    let status = call.query.get("status").map(|name| ChargeStatus::from(name.to_owned()));
    let located = call.query.flag("locationPresente")?;
    let document = call.query.get("cpf").or_else(|| call.query.get("cnpj"));
    if call.query.get("cpf").is_some() && call.query.get("cnpj").is_some() {
        return Err(Answer::violation("CobConsultaInvalida", "cpf", "Use cpf ou cnpj."));
    }
    let rows = state.books.charges().map(|charge| (charge.created, render(state, charge)));
    let owes = |charge: &wire::Charge| {
        let debtor = charge.debtor.as_ref();
        let documents = debtor.into_iter().flat_map(|party| [&party.cpf, &party.cnpj]).flatten();
        document.is_none_or(|wanted| documents.into_iter().any(|had| had.expose() == wanted))
    };
    let rows = rows.filter(|(_, charge)| {
        let wanted = status.as_ref().is_none_or(|status| charge.status == *status);
        wanted && located != Some(false) && owes(charge)
    });
    Ok(Answer::json(200, &window.page(rows.collect())))
}

fn render(state: &State, charge: &Charge) -> wire::Charge {
    let texts = state.texts.get(&charge.txid).cloned().unwrap_or_default();
    render::charge(&state.books, charge, &texts)
}

fn rendered(state: &State, txid: &Txid) -> Result<wire::Charge, Answer> {
    let charge = state.books.charge(txid).ok_or(Refusal::NoCharge)?;
    Ok(render(state, charge))
}

fn known(txid: &str) -> Result<Txid, Answer> {
    Txid::parse(txid).map_err(|_| Refusal::NoCharge.into())
}

fn check(texts: &ChargeTexts) -> Result<(), Answer> {
    let long =
        texts.message.as_ref().is_some_and(|text| text.expose().chars().count() > MESSAGE_MAX);
    if long {
        return Err(Answer::violation(KIND, "cob.solicitacaoPagador", "No máximo 140."));
    }
    if texts.notes.len() > NOTES_MAX {
        return Err(Answer::violation(KIND, "cob.infoAdicionais", "No máximo 50."));
    }
    Ok(())
}
