//! The books in the provider's words.

use ibora_domain::units::UnixMillis;
use ibora_psp::{
    Books, Charge, ChargeState, Claim, ClaimState, Nature, Notice, Payout, PayoutState, Receipt,
    Refund, RefundState, Return,
};
use serde_json::Value;

use super::core::ChargeTexts;
use crate::pix::brcode::{BrCode, Target};
use crate::pix::wire;

/// Where payloads would lie.
const HOST: &str = "pix.example.com/v2";

pub(super) fn charge(books: &Books, charge: &Charge, texts: &ChargeTexts) -> wire::Charge {
    let location = format!("{HOST}/{}", charge.txid);
    let code = BrCode {
        target: Target::Dynamic { url: location.clone() },
        once: true,
        amount: None,
        name: "IBORA SIMULADO".to_owned(),
        city: "RECIFE".to_owned(),
        txid: None,
    };
    wire::Charge {
        calendar: wire::Calendar {
            created: charge.created,
            expires_in_s: charge.order.expires_in_s,
        },
        txid: charge.txid.clone(),
        revision: charge.revision,
        place: Some(wire::Location {
            id: 1,
            location: Some(location.clone()),
            kind: Some("cob".to_owned()),
        }),
        location: Some(location),
        status: match charge.state {
            ChargeState::Active => wire::ChargeStatus::Active,
            ChargeState::Completed => wire::ChargeStatus::Completed,
            ChargeState::Removed => wire::ChargeStatus::RemovedByUser,
        },
        debtor: texts.debtor.clone(),
        value: wire::ChargeValue {
            original: charge.order.value,
            changeable: charge.order.changeable.then_some(1),
        },
        key: charge.order.key.clone(),
        message: texts.message.clone(),
        notes: texts.notes.clone(),
        copy_and_paste: code.encode().ok(),
        pix: books.receipts_of(&charge.txid).map(received).collect(),
    }
}

pub(super) fn received(receipt: &Receipt) -> wire::Received {
    let tariff = (receipt.tariff.0 > 0).then_some(receipt.tariff);
    wire::Received {
        e2e_id: receipt.e2e_id.clone(),
        txid: receipt.txid.clone(),
        key: Some(receipt.key.clone()),
        value: receipt.value,
        at: Some(receipt.at),
        payer_text: None,
        refunds: receipt.refunds.iter().map(refund).collect(),
        extras: tariff.map(|tariff| wire::ReceivedExtras {
            tariff: Some(tariff),
            ..wire::ReceivedExtras::default()
        }),
    }
}

pub(super) fn refund(refund: &Refund) -> wire::Refund {
    wire::Refund {
        id: refund.id.clone(),
        return_id: Some(refund.return_id.clone()),
        value: refund.value,
        nature: Some(match refund.nature {
            Nature::Original => wire::RefundNature::Original,
            Nature::MedOperational => wire::RefundNature::MedOperational,
            Nature::MedFraud => wire::RefundNature::MedFraud,
        }),
        message: None,
        times: times(refund.asked, refund.settled),
        status: match refund.state {
            RefundState::Pending => wire::RefundStatus::Pending,
            RefundState::Returned => wire::RefundStatus::Returned,
            RefundState::Failed => wire::RefundStatus::Failed,
        },
        reason: refund.reason.map(str::to_owned),
    }
}

const fn times(asked: UnixMillis, settled: Option<UnixMillis>) -> wire::Times {
    wire::Times { asked: Some(asked), settled }
}

fn send_status(state: PayoutState) -> wire::SendStatus {
    match state {
        PayoutState::Pending => wire::SendStatus::Pending,
        PayoutState::Done => wire::SendStatus::Done,
        PayoutState::Failed { .. } => wire::SendStatus::Failed,
    }
}

pub(super) fn sent(payout: &Payout) -> wire::Sent {
    wire::Sent {
        e2e_id: payout.e2e_id.clone(),
        id: Some(payout.id.clone()),
        value: payout.value,
        key: payout.to.clone(),
        status: send_status(payout.state),
        message: None,
        times: times(payout.asked, payout.settled),
        payee: payout.to.clone().map(|key| wire::Beneficiary { key: Some(key), identity: None }),
        returns: payout.returns.iter().map(returned).collect(),
    }
}

pub(super) fn accepted(payout: &Payout) -> wire::SendAccepted {
    wire::SendAccepted {
        id: payout.id.clone(),
        e2e_id: payout.e2e_id.clone(),
        value: payout.value,
        times: times(payout.asked, None),
        status: wire::SendStatus::Pending,
    }
}

fn returned(part: &Return) -> wire::Returned {
    wire::Returned {
        id: None,
        return_id: Some(part.return_id.clone()),
        value: part.value,
        times: times(part.at, Some(part.at)),
        status: wire::RefundStatus::Returned,
        reason: None,
    }
}

pub(super) fn infraction(claim: &Claim) -> wire::Infraction {
    wire::Infraction {
        id: claim.id.clone(),
        e2e_id: claim.e2e_id.clone(),
        protocol: Some(claim.id.clone()),
        value: claim.value,
        status: match claim.state {
            ClaimState::Open => wire::InfractionStatus::Open,
            ClaimState::InDefence => wire::InfractionStatus::InDefence,
            ClaimState::Accepted => wire::InfractionStatus::Accepted,
            ClaimState::Rejected => wire::InfractionStatus::Rejected,
        },
        analysis: Some(wire::InfractionAnalysis { opened: claim.opened, due: Some(claim.due) }),
    }
}

/// An element of a callback: a receipt alone, or with the one refund that it is about; a payout
/// alone, or with the one return.
pub(super) fn notice(books: &Books, notice: &Notice) -> Option<Value> {
    let told = match notice {
        Notice::Received { e2e_id } => {
            let refunds = Vec::new();
            wire::Notice::Received(wire::Received { refunds, ..received(books.receipt(e2e_id)?) })
        }
        Notice::Refunded { e2e_id, refund: id } => {
            let receipt = books.receipt(e2e_id)?;
            let refunds = vec![refund(receipt.refund(id)?)];
            wire::Notice::Refunded(wire::Received { refunds, ..received(receipt) })
        }
        Notice::Sent { send } => wire::Notice::Sent(send_notice(books.payout(send)?)),
        Notice::Returned { send, at } => {
            let payout = books.payout(send)?;
            let returns = vec![returned(payout.returns.get(*at)?)];
            wire::Notice::Returned(wire::SendNotice { returns, ..send_notice(payout) })
        }
    };
    serde_json::to_value(told).ok()
}

fn send_notice(payout: &Payout) -> wire::SendNotice {
    let failure = match payout.state {
        PayoutState::Failed { code } => Some(wire::SendFailure {
            code: code.to_owned(),
            origin: "PSP do usuário recebedor".to_owned(),
            reason: "A transação não foi concluída".to_owned(),
        }),
        PayoutState::Pending | PayoutState::Done => None,
    };
    wire::SendNotice {
        e2e_id: payout.e2e_id.clone(),
        key: payout.to.clone(),
        kind: Some("SOLICITACAO".to_owned()),
        status: send_status(payout.state),
        value: payout.value,
        at: payout.settled.filter(|_| failure.is_none()),
        message: None,
        returns: Vec::new(),
        extras: wire::SendExtras { id: Some(payout.id.clone()), failure },
    }
}
