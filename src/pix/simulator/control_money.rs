//! The control interface, where it moves money: payments, returns, claims, deposits; and the books.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, web};
use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, PixKey, SendId, Txid};
use ibora_domain::units::UnixMillis;
use ibora_psp::{Books, Nature, PayKey, Payment, Refusal};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::control::{Document, Shared, amount, outcome, refused};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/books", web::get().to(books))
        .route("/pay", web::post().to(pay))
        .route("/deposit", web::post().to(deposit))
        .route("/keys", web::post().to(keys))
        .route("/payouts/{id}/return", web::post().to(return_payout))
        .route("/pix/{e2e_id}/bank-refund", web::post().to(bank_refund))
        .route("/pix/{e2e_id}/claim", web::post().to(claim))
        .route("/claims/{id}/decide", web::post().to(decide));
}

/// Everything, amounts in centavos and moments in milliseconds.
async fn books(core: Shared) -> HttpResponse {
    let state = core.lock();
    let books = &state.books;
    let list = |rows: Vec<Value>| Value::from(rows);
    HttpResponse::Ok().json(json!({
        "balance": books.balance(),
        "blocked": books.blocked(),
        "consistent": books.check().err().map_or(Value::Bool(true), Value::from),
        "charges": list(books.charges().map(value).collect()),
        "receipts": list(books.receipts().map(value).collect()),
        "payouts": list(books.payouts().map(value).collect()),
        "claims": list(books.claims().map(value).collect()),
        "statement": books.statement(),
    }))
}

fn value<T: Serialize>(row: &T) -> Value {
    serde_json::to_value(row).unwrap_or_default()
}

/// Changes the books at the clock's time, and tells who wants to know.
fn change<T: Serialize>(
    core: &Shared,
    act: impl FnOnce(&mut Books, UnixMillis) -> Result<T, Refusal>,
) -> HttpResponse {
    let mut state = core.lock();
    let now = state.now();
    let done = act(&mut state.books, now);
    state.pump();
    core.changed();
    outcome(done)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PayForm {
    txid: Option<Txid>,
    key: Option<PixKey>,
    value: Option<String>,
    #[serde(default)]
    forced: bool,
}

async fn pay(core: Shared, form: web::Json<PayForm>) -> HttpResponse {
    let form = form.into_inner();
    let value = match form.value.as_deref().map(amount) {
        Some(None) => return not_an_amount(),
        Some(value) => value,
        None => None,
    };
    let payment = Payment { txid: form.txid, key: form.key, value, forced: form.forced };
    change(&core, |books, now| {
        books.pay(payment, now).map(|e2e_id| json!({ "endToEndId": e2e_id }))
    })
}

fn not_an_amount() -> HttpResponse {
    refused(StatusCode::BAD_REQUEST, "an amount is written like \"23.50\"")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueForm {
    value: Option<String>,
}

impl ValueForm {
    /// The amount; `None` inside where there is none, `None` outside where it is wrong.
    fn amount(&self) -> Option<Option<Centavos>> {
        self.value.as_deref().map_or(Some(None), |text| amount(text).map(Some))
    }
}

async fn deposit(core: Shared, form: web::Json<ValueForm>) -> HttpResponse {
    let Some(Some(value)) = form.amount() else {
        return not_an_amount();
    };
    change(&core, |books, now| books.deposit(value, now).map(|()| json!({})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyForm {
    key: PixKey,
    /// The document of whom it belongs to; nobody, where there is none.
    owner: Document,
}

async fn keys(core: Shared, form: web::Json<KeyForm>) -> HttpResponse {
    let KeyForm { key, owner } = form.into_inner();
    let owner = owner.map_or(PayKey::Unknown, |owner| PayKey::Of(owner.expose().to_owned()));
    core.lock().books.set_key(key, owner);
    HttpResponse::NoContent().finish()
}

/// Sends a payout back, or a part of it; all that is left, where no amount is given.
async fn return_payout(
    core: Shared,
    id: web::Path<SendId>,
    form: web::Json<ValueForm>,
) -> HttpResponse {
    let Some(value) = form.amount() else {
        return not_an_amount();
    };
    change(&core, |books, now| {
        let payout = books.payout(&id).ok_or(Refusal::NoSend)?;
        let left = Centavos(payout.value.0 - payout.returned().0);
        books.return_send(&id, value.unwrap_or(left), now).cloned()
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BankForm {
    value: Option<String>,
    #[serde(default)]
    operational: bool,
}

async fn bank_refund(
    core: Shared,
    e2e_id: web::Path<EndToEndId>,
    form: web::Json<BankForm>,
) -> HttpResponse {
    let BankForm { value, operational } = form.into_inner();
    let Some(value) = (ValueForm { value }).amount() else {
        return not_an_amount();
    };
    let nature = if operational { Nature::MedOperational } else { Nature::MedFraud };
    change(&core, |books, now| books.bank_refund(&e2e_id, value, nature, now).cloned())
}

async fn claim(core: Shared, e2e_id: web::Path<EndToEndId>) -> HttpResponse {
    change(&core, |books, now| books.open_claim(&e2e_id, now).cloned())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionForm {
    accepted: bool,
}

async fn decide(
    core: Shared,
    id: web::Path<String>,
    form: web::Json<DecisionForm>,
) -> HttpResponse {
    change(&core, |books, now| books.decide_claim(&id, form.accepted, now).map(|()| json!({})))
}
