//! Payouts (Pix sends): asked for, looked up, told of by callback.

use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, PixKey, RefundId, ReturnId, SendId};
use ibora_domain::units::UnixMillis;
use serde::{Deserialize, Serialize};

use super::personal::Personal;
use super::received::Times;
use super::states::{AccountKind, RefundStatus, SendStatus};
use super::text::{amount, list, moment_option};

/// Body of `PUT /v3/gn/pix/{idEnvio}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSend {
    #[serde(rename = "valor", with = "amount")]
    pub value: Centavos,
    #[serde(rename = "pagador")]
    pub payer: PayingKey,
    #[serde(rename = "favorecido")]
    pub payee: Payee,
}

/// The key of ours that pays; it must have a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayingKey {
    #[serde(rename = "chave")]
    pub key: PixKey,
    #[serde(rename = "infoPagador", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Personal>,
}

/// Who is paid. With a document the provider refuses a key that belongs to somebody else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Payee {
    Key {
        #[serde(rename = "chave")]
        key: PixKey,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cpf: Option<Personal>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cnpj: Option<Personal>,
    },
    Account {
        #[serde(rename = "contaBanco")]
        account: BankAccount,
    },
}

/// A bank account that is paid without a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BankAccount {
    #[serde(rename = "nome")]
    pub name: Personal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpf: Option<Personal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnpj: Option<Personal>,
    /// ISPB, eight digits.
    #[serde(rename = "codigoBanco")]
    pub bank: String,
    #[serde(rename = "agencia")]
    pub branch: Personal,
    #[serde(rename = "conta")]
    pub number: Personal,
    #[serde(rename = "tipoConta")]
    pub kind: AccountKind,
}

/// Answer of `PUT /v3/gn/pix/{idEnvio}`: accepted, not yet done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAccepted {
    #[serde(rename = "idEnvio")]
    pub id: SendId,
    #[serde(rename = "e2eId")]
    pub e2e_id: EndToEndId,
    #[serde(rename = "valor", with = "amount")]
    pub value: Centavos,
    #[serde(rename = "horario", default)]
    pub times: Times,
    pub status: SendStatus,
}

/// A payout as a query or a list answers it. It never says why one failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    #[serde(rename = "endToEndId")]
    pub e2e_id: EndToEndId,
    #[serde(rename = "idEnvio", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<SendId>,
    #[serde(rename = "valor", with = "amount")]
    pub value: Centavos,
    #[serde(rename = "chave", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PixKey>,
    pub status: SendStatus,
    #[serde(rename = "infoPagador", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Personal>,
    #[serde(rename = "horario", default)]
    pub times: Times,
    #[serde(rename = "favorecido", default, skip_serializing_if = "Option::is_none")]
    pub payee: Option<Beneficiary>,
    #[serde(
        rename = "devolucoes",
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub returns: Vec<Returned>,
}

/// Who was paid, as far as the provider shows it: documents are masked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beneficiary {
    #[serde(rename = "chave", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PixKey>,
    #[serde(rename = "identificacao", default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<PayeeIdentity>,
}

/// Name and masked document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayeeIdentity {
    #[serde(rename = "nome", default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Personal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpf: Option<Personal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnpj: Option<Personal>,
}

/// A part of a payout that came back, or all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Returned {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RefundId>,
    #[serde(rename = "rtrId", default, skip_serializing_if = "Option::is_none")]
    pub return_id: Option<ReturnId>,
    #[serde(rename = "valor", with = "amount")]
    pub value: Centavos,
    #[serde(rename = "horario", default)]
    pub times: Times,
    pub status: RefundStatus,
    #[serde(rename = "motivo", default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A payout in a callback: how it ended, and what of it came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendNotice {
    #[serde(rename = "endToEndId")]
    pub e2e_id: EndToEndId,
    #[serde(rename = "chave", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PixKey>,
    /// `SOLICITACAO`, as published.
    #[serde(rename = "tipo", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    pub status: SendStatus,
    #[serde(rename = "valor", with = "amount")]
    pub value: Centavos,
    /// `null` where it was not done.
    #[serde(rename = "horario", with = "moment_option", default)]
    pub at: Option<UnixMillis>,
    #[serde(rename = "infoPagador", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Personal>,
    #[serde(
        rename = "devolucoes",
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub returns: Vec<Returned>,
    #[serde(rename = "gnExtras", default)]
    pub extras: SendExtras,
}

/// What this provider tells beside the rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendExtras {
    #[serde(rename = "idEnvio", default, skip_serializing_if = "Option::is_none")]
    pub id: Option<SendId>,
    #[serde(rename = "erro", default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<SendFailure>,
}

/// Why a payout was not done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendFailure {
    #[serde(rename = "codigo", default)]
    pub code: String,
    #[serde(rename = "origem", default)]
    pub origin: String,
    #[serde(rename = "motivo", default)]
    pub reason: String,
}
