//! `/v2/pix`: what came in, and refunds of it.

use ibora_domain::pix::{EndToEndId, RefundId};
use ibora_psp::{Receipt, Refusal};

use super::answer::Answer;
use super::core::State;
use super::provider::Call;
use super::render;
use crate::pix::wire::{NewRefund, RefundNature};

type Answered = Result<Answer, Answer>;

pub(super) fn list(state: &State, call: &Call<'_>) -> Answered {
    let window = call.query.window()?;
    let txid = call.query.get("txid");
    let with_txid = call.query.flag("txIdPresente")?;
    let refunded = call.query.flag("devolucaoPresente")?;
    let wanted = |receipt: &&Receipt| {
        txid.is_none_or(|txid| receipt.txid.as_ref().is_some_and(|had| had.as_str() == txid))
            && with_txid.is_none_or(|with| receipt.txid.is_some() == with)
            && refunded.is_none_or(|with| receipt.refunds.is_empty() != with)
            && window.has(receipt.at)
    };
    let rows = state.books.receipts().filter(wanted);
    let rows = rows.map(|receipt| (receipt.at, render::received(receipt)));
    Ok(Answer::json(200, &window.page(rows.collect())))
}

pub(super) fn get(state: &State, e2e_id: &str) -> Answered {
    let receipt = state.books.receipt(&number(e2e_id)?).ok_or(Refusal::NoReceipt)?;
    Ok(Answer::json(200, &render::received(receipt)))
}

pub(super) fn refund(state: &mut State, e2e_id: &str, id: &str, body: &[u8]) -> Answered {
    let (e2e_id, id) = (number(e2e_id)?, refund_id(id)?);
    let new: NewRefund = serde_json::from_slice(body).map_err(|_| Answer::malformed())?;
    if new.nature.as_ref().is_some_and(RefundNature::is_bank_initiated) {
        let reason = "Esta natureza não pode ser solicitada.";
        return Err(Answer::violation("PixDevolucaoInvalida", "devolucao.natureza", reason));
    }
    let now = state.now();
    let refund = state.books.refund(&e2e_id, &id, new.value, now)?;
    Ok(Answer::json(201, &render::refund(refund)))
}

pub(super) fn get_refund(state: &State, e2e_id: &str, id: &str) -> Answered {
    let receipt = state.books.receipt(&number(e2e_id)?).ok_or(Refusal::NoReceipt)?;
    let refund = receipt.refund(&refund_id(id)?).ok_or(Refusal::NoRefund)?;
    Ok(Answer::json(200, &render::refund(refund)))
}

fn number(text: &str) -> Result<EndToEndId, Answer> {
    EndToEndId::parse(text).map_err(|_| Refusal::NoReceipt.into())
}

fn refund_id(text: &str) -> Result<RefundId, Answer> {
    let reason = "O id deve ter de 1 a 35 letras e números.";
    RefundId::parse(text)
        .map_err(|_| Answer::violation("PixDevolucaoInvalida", "devolucao.id", reason))
}
