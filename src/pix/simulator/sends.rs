//! `/v3/gn/pix` and what is asked about it later.

use ibora_domain::pix::SendId;
use ibora_psp::{Payout, PayoutOrder, Refusal};

use super::answer::Answer;
use super::core::State;
use super::provider::Call;
use super::render;
use crate::pix::wire::{NewSend, Payee, Personal, SendStatus};

type Answered = Result<Answer, Answer>;

pub(super) fn send(state: &mut State, id: &str, body: &[u8]) -> Answered {
    let wrong = |_| Answer::named(400, "valor_invalido", "Campo idEnvio inválido");
    let id = SendId::parse(id).map_err(wrong)?;
    let new: NewSend = serde_json::from_slice(body).map_err(|_| Answer::malformed())?;
    let from = new.payer.key;
    if !state.hooks.contains_key(&from) {
        let message = "A chave do pagador não possui um webhook associado";
        return Err(Answer::named(400, "webhook_nao_encontrado", message));
    }
    let document = |cpf: Option<Personal>, cnpj: Option<Personal>| {
        cpf.or(cnpj).map(|document| document.expose().to_owned())
    };
    let (to, document) = match new.payee {
        Payee::Key { key, cpf, cnpj } => (Some(key), document(cpf, cnpj)),
        Payee::Account { account } => (None, document(account.cpf, account.cnpj)),
    };
    let now = state.now();
    let order = PayoutOrder { value: new.value, from, to, document };
    let payout = state.books.send(&id, order, now).map_err(|refusal| match refusal {
        Refusal::ZeroAmount => Answer::named(400, "valor_invalido", "Campo valor inválido"),
        other => other.into(),
    })?;
    Ok(Answer::json(201, &render::accepted(payout)))
}

pub(super) fn by_id(state: &State, id: &str) -> Answered {
    let id = SendId::parse(id).map_err(|_| Refusal::NoSend)?;
    found(state.books.payout(&id))
}

pub(super) fn by_number(state: &State, e2e_id: &str) -> Answered {
    found(state.books.payouts().find(|payout| payout.e2e_id.as_str() == e2e_id))
}

fn found(payout: Option<&Payout>) -> Answered {
    Ok(Answer::json(200, &render::sent(payout.ok_or(Refusal::NoSend)?)))
}

pub(super) fn list(state: &State, call: &Call<'_>) -> Answered {
    let window = call.query.window()?;
    let status = call.query.get("status").map(|name| SendStatus::from(name.to_owned()));
    let returned = call.query.flag("devolucaoPresente")?;
    let rows = state.books.payouts().map(|payout| (payout.asked, render::sent(payout)));
    let rows = rows.filter(|(_, sent)| {
        status.as_ref().is_none_or(|status| sent.status == *status)
            && returned.is_none_or(|with| sent.returns.is_empty() != with)
    });
    Ok(Answer::json(200, &window.page(rows.collect())))
}
