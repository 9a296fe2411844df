//! Pix that came in, and the refunds (devoluções) of them.

use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, PixKey, RefundId, ReturnId, Txid};
use ibora_domain::units::UnixMillis;
use serde::{Deserialize, Serialize};

use super::personal::Personal;
use super::states::{RefundNature, RefundStatus};
use super::text::{amount, amount_option, list, moment_option};

/// A Pix that came in, in lists, answers and callbacks alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    #[serde(rename = "endToEndId")]
    pub e2e_id: EndToEndId,
    /// Of the charge that was paid; none where somebody paid the key itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txid: Option<Txid>,
    #[serde(rename = "chave", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PixKey>,
    #[serde(rename = "valor", with = "amount")]
    pub value: Centavos,
    #[serde(rename = "horario", with = "moment_option", default)]
    pub at: Option<UnixMillis>,
    /// What the payer wrote.
    #[serde(rename = "infoPagador", default, skip_serializing_if = "Option::is_none")]
    pub payer_text: Option<Personal>,
    #[serde(
        rename = "devolucoes",
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub refunds: Vec<Refund>,
    #[serde(rename = "gnExtras", default, skip_serializing_if = "Option::is_none")]
    pub extras: Option<ReceivedExtras>,
}

/// What this provider tells beside the rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedExtras {
    #[serde(rename = "pagador", default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<Payer>,
    /// What the provider keeps of it.
    #[serde(
        rename = "tarifa",
        with = "amount_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub tariff: Option<Centavos>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
}

/// Who paid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payer {
    #[serde(rename = "nome", default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Personal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpf: Option<Personal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnpj: Option<Personal>,
    #[serde(rename = "codigoBanco", default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<String>,
}

/// The division of a receipt between accounts of the provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    pub id: String,
    #[serde(rename = "revisao", default)]
    pub revision: u32,
}

/// Body of `PUT /v2/pix/{e2eId}/devolucao/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewRefund {
    #[serde(rename = "valor", with = "amount")]
    pub value: Centavos,
    #[serde(rename = "natureza", default, skip_serializing_if = "Option::is_none")]
    pub nature: Option<RefundNature>,
    #[serde(rename = "descricao", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Personal>,
}

/// A refund as the provider keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    pub id: RefundId,
    #[serde(rename = "rtrId", default, skip_serializing_if = "Option::is_none")]
    pub return_id: Option<ReturnId>,
    #[serde(rename = "valor", with = "amount")]
    pub value: Centavos,
    /// None means [`RefundNature::Original`].
    #[serde(rename = "natureza", default, skip_serializing_if = "Option::is_none")]
    pub nature: Option<RefundNature>,
    #[serde(rename = "descricao", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Personal>,
    #[serde(rename = "horario", default)]
    pub times: Times,
    pub status: RefundStatus,
    /// Why it has this status, in words.
    #[serde(rename = "motivo", default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// When a refund or payout was asked for, and when it was settled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    #[serde(
        rename = "solicitacao",
        with = "moment_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub asked: Option<UnixMillis>,
    #[serde(
        rename = "liquidacao",
        with = "moment_option",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub settled: Option<UnixMillis>,
}
