//! Charges (`cob`): what is asked for and what the provider keeps of it.

use ibora_domain::money::Centavos;
use ibora_domain::pix::{PixKey, Txid};
use ibora_domain::units::UnixMillis;
use serde::{Deserialize, Serialize};

use super::personal::{Party, Personal};
use super::received::Received;
use super::states::ChargeStatus;
use super::text::{amount, list, moment};

/// Seconds that a charge lives where none are given.
const EXPIRY_DEFAULT_S: u32 = 86_400;

fn expiry_default_s() -> u32 {
    EXPIRY_DEFAULT_S
}

/// Body of `PUT /v2/cob/{txid}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewCharge {
    #[serde(rename = "calendario")]
    pub calendar: Expiry,
    #[serde(rename = "devedor", default, skip_serializing_if = "Option::is_none")]
    pub debtor: Option<Party>,
    #[serde(rename = "valor")]
    pub value: ChargeValue,
    /// The key that is paid to, ours.
    #[serde(rename = "chave")]
    pub key: PixKey,
    /// Shown to who pays, who may answer it.
    #[serde(rename = "solicitacaoPagador", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Personal>,
    #[serde(
        rename = "infoAdicionais",
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub notes: Vec<Note>,
    #[serde(rename = "loc", default, skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationRef>,
}

/// How long a charge lives, from its creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expiry {
    #[serde(rename = "expiracao", default = "expiry_default_s")]
    pub seconds: u32,
}

/// What is to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeValue {
    #[serde(rename = "original", with = "amount")]
    pub original: Centavos,
    /// 1: who pays may change the amount.
    #[serde(rename = "modalidadeAlteracao", default, skip_serializing_if = "Option::is_none")]
    pub changeable: Option<u8>,
}

/// A line that is shown to who pays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    #[serde(rename = "nome")]
    pub name: String,
    #[serde(rename = "valor")]
    pub value: String,
}

/// A place for the payload that was reserved before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocationRef {
    pub id: i64,
}

/// Body of `PATCH /v2/cob/{txid}`. A status stands alone: with anything else it is refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeRevision {
    #[serde(rename = "calendario", default, skip_serializing_if = "Option::is_none")]
    pub calendar: Option<Expiry>,
    #[serde(rename = "devedor", default, skip_serializing_if = "Option::is_none")]
    pub debtor: Option<Party>,
    #[serde(rename = "valor", default, skip_serializing_if = "Option::is_none")]
    pub value: Option<ChargeValue>,
    #[serde(rename = "chave", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PixKey>,
    #[serde(rename = "solicitacaoPagador", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Personal>,
    #[serde(rename = "infoAdicionais", default, skip_serializing_if = "Option::is_none")]
    pub notes: Option<Vec<Note>>,
    #[serde(rename = "loc", default, skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationRef>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ChargeStatus>,
}

impl ChargeRevision {
    /// Takes a charge back, so that it cannot be paid any more.
    #[must_use]
    pub fn remove() -> Self {
        Self { status: Some(ChargeStatus::RemovedByUser), ..Self::default() }
    }
}

/// A charge as the provider answers it; `pix` only where one charge or a list is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    #[serde(rename = "calendario")]
    pub calendar: Calendar,
    pub txid: Txid,
    #[serde(rename = "revisao", default)]
    pub revision: u32,
    #[serde(rename = "loc", default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Location>,
    /// Address of the payload, without scheme.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    pub status: ChargeStatus,
    #[serde(rename = "devedor", default, skip_serializing_if = "Option::is_none")]
    pub debtor: Option<Party>,
    #[serde(rename = "valor")]
    pub value: ChargeValue,
    #[serde(rename = "chave")]
    pub key: PixKey,
    #[serde(rename = "solicitacaoPagador", default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Personal>,
    #[serde(
        rename = "infoAdicionais",
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub notes: Vec<Note>,
    /// The BR Code that a person copies, or scans.
    #[serde(rename = "pixCopiaECola", default, skip_serializing_if = "Option::is_none")]
    pub copy_and_paste: Option<String>,
    #[serde(default, deserialize_with = "list", skip_serializing_if = "Vec::is_empty")]
    pub pix: Vec<Received>,
}

/// When a charge began, and for how long it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calendar {
    #[serde(rename = "criacao", with = "moment")]
    pub created: UnixMillis,
    #[serde(rename = "expiracao", default = "expiry_default_s")]
    pub expires_in_s: u32,
}

/// Where the payload of a charge lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    pub id: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    #[serde(rename = "tipoCob", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}
