//! What a notice is about: whom it is for, and by which financial event it is seen to be booked.

use std::sync::Arc;

use ibora_domain::pix::{EndToEndId, RefundId, SendId, Txid};
use ibora_domain::provider::Told;
use serde_json::Value;

use crate::journal::Notice;
use crate::pix::wire::{NoticeKind, RefundStatus, SendStatus};

/// A word of the provider, or of somebody who pretends to be it. Nothing of it is to be believed:
/// whoever it is about asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A Pix came in, or something of it went back, under this id.
    Payment { txid: Option<Txid>, pix: EndToEndId, refund: Option<RefundId> },
    /// A payout came to an end, or came back.
    Payout {
        id: Option<SendId>,
        pix: EndToEndId,
        /// Why it was not done, as a code; only callbacks say.
        failure: Option<String>,
    },
}

/// Takes a hint to whom it is about.
pub type Hand = Arc<dyn Fn(Hint) + Send + Sync>;

/// Whether a notice is about money that comes in.
pub(super) fn is_incoming(notice: &Notice) -> bool {
    match NoticeKind::from(notice.kind.clone()) {
        NoticeKind::Received | NoticeKind::Refunded => true,
        NoticeKind::Sent | NoticeKind::Returned | NoticeKind::Unknown(_) => false,
    }
}

/// What a notice says.
pub(super) fn hint(notice: &Notice) -> Hint {
    let element = element(notice);
    let pix = notice.e2e_id.clone();
    if is_incoming(notice) {
        let txid = element["txid"].as_str().and_then(|txid| Txid::parse(txid).ok());
        let refund = RefundId::parse(&notice.part).ok();
        return Hint::Payment { txid, pix, refund };
    }
    let failure = element["gnExtras"]["erro"]["codigo"].as_str().map(str::to_owned);
    Hint::Payout { id: send_id(&element), pix, failure }
}

/// The key of the financial event that books what a notice tells; none where nothing is booked for
/// it.
pub(super) fn booked_as(notice: &Notice) -> Option<String> {
    told(notice)?.booked_as(&notice.e2e_id)
}

/// What a notice tells; none where nobody knows what it means.
fn told(notice: &Notice) -> Option<Told> {
    let Notice { part, status, .. } = notice;
    let id = part.clone();
    let came_to_end = || RefundStatus::from(status.clone()) == RefundStatus::Returned;
    Some(match NoticeKind::from(notice.kind.clone()) {
        NoticeKind::Received => Told::Received,
        NoticeKind::Refunded => Told::Refunded { id, done: came_to_end() },
        NoticeKind::Returned => Told::Returned { id, done: came_to_end() },
        NoticeKind::Sent => {
            let done = match SendStatus::from(status.clone()) {
                SendStatus::Done => Some(true),
                SendStatus::Failed => Some(false),
                SendStatus::Pending | SendStatus::Unknown(_) => None,
            };
            Told::Sent { id: send_id(&element(notice)), done }
        }
        NoticeKind::Unknown(_) => return None,
    })
}

fn element(notice: &Notice) -> Value {
    serde_json::from_str(&notice.body).unwrap_or_default()
}

/// Callbacks and lists say it in different places.
fn send_id(element: &Value) -> Option<SendId> {
    let said = element["idEnvio"].as_str().or(element["gnExtras"]["idEnvio"].as_str());
    said.and_then(|id| SendId::parse(id).ok())
}

#[cfg(test)]
mod tests {
    use ibora_domain::ids::{PaymentId, PayoutId};
    use ibora_domain::ledger::{Payee, PayoutTerms, Receipt, Refund};
    use ibora_domain::money::Centavos;
    use ibora_domain::units::UnixMillis;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const E2E: &str = "E0903256220261126120000000000001";

    fn notice(kind: &str, part: &str, status: &str, body: &Value) -> Notice {
        Notice {
            id: Uuid::nil(),
            kind: kind.to_owned(),
            e2e_id: EndToEndId::parse(E2E).expect("a number"),
            part: part.to_owned(),
            status: status.to_owned(),
            body: body.to_string(),
            tries: 1,
            confirmed: false,
        }
    }

    #[test]
    fn what_is_booked_is_found_under_the_key_that_the_ledger_gave_it() {
        let (amount, at) = (Centavos(2000), UnixMillis(0));
        let receipt = Receipt { end_to_end: E2E, payment: None, amount, at };
        let (payment, id) = (PaymentId(Uuid::from_u128(1)), "r1");
        let refund = Refund { payment, end_to_end: E2E, id, amount };
        let send = PayoutId(Uuid::from_u128(7));
        let terms = PayoutTerms { id: send, payee: Payee::Owner, amount, fee: Centavos(50) };
        let of_send = json!({"gnExtras": {"idEnvio": send.0.simple().to_string()}});
        let of_list = json!({"idEnvio": send.0.simple().to_string()});
        let none = json!({});
        let cases = [
            (notice("PIX_RECEBIDO", "", "", &none), receipt.suspended()),
            (notice("DEVOLUCAO_ENVIADA", "r1", "DEVOLVIDO", &none), refund.done(at)),
            (notice("PIX_ENVIADO", "", "REALIZADO", &of_send), terms.done(Centavos(0), at)),
            (notice("PIX_ENVIADO", "", "NAO_REALIZADO", &of_list), terms.failed(at)),
            (
                notice("DEVOLUCAO_RECEBIDA", "D1", "DEVOLVIDO", &none),
                terms.returned("D1", amount, at),
            ),
        ];
        for (notice, event) in cases {
            let event = event.expect("an event");
            assert_eq!(booked_as(&notice).as_deref(), Some(&**event.key()), "{notice:?}");
        }
    }

    #[test]
    fn what_is_under_way_or_was_not_done_books_nothing() {
        for (kind, status) in [
            ("DEVOLUCAO_ENVIADA", "EM_PROCESSAMENTO"),
            ("DEVOLUCAO_ENVIADA", "NAO_REALIZADO"),
            ("DEVOLUCAO_RECEBIDA", "EM_PROCESSAMENTO"),
            ("PIX_ENVIADO", "EM_PROCESSAMENTO"),
            ("PIX_ENVIADO", "EM_ESPERA"),
        ] {
            assert_eq!(booked_as(&notice(kind, "r1", status, &json!({}))), None, "{kind} {status}");
        }
    }

    #[test]
    fn a_hint_says_whom_it_is_about_as_far_as_that_makes_sense() {
        let pix = EndToEndId::parse(E2E).expect("a number");
        let of = |txid: Value| hint(&notice("PIX_RECEBIDO", "", "", &json!({"txid": txid})));
        let txid = Txid::parse("RIDE1").ok();
        assert_eq!(of(json!("RIDE1")), Hint::Payment { txid, pix: pix.clone(), refund: None });
        for senseless in [json!(null), json!("a b"), json!(1)] {
            assert_eq!(of(senseless), Hint::Payment { txid: None, pix: pix.clone(), refund: None });
        }
        let failed = json!({"gnExtras": {"idEnvio": "7", "erro": {"codigo": "AC03"}}});
        let (id, failure) = (SendId::parse("7").ok(), Some("AC03".to_owned()));
        let told = hint(&notice("PIX_ENVIADO", "", "NAO_REALIZADO", &failed));
        assert_eq!(told, Hint::Payout { id, pix, failure });
    }
}
