//! The account at the provider: tokens, balance, webhooks, claims of fraud.

use std::fmt;

use ibora_domain::money::Centavos;
use ibora_domain::pix::{EndToEndId, PixKey};
use ibora_domain::units::UnixMillis;
use serde::{Deserialize, Serialize};

use super::personal::Personal;
use super::states::{Analysis, InfractionStatus, NoticeKind};
use super::text::{amount, amount_option, moment, moment_option};

/// Body of `POST /oauth/token`; who asks stands in the header.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    pub grant_type: String,
}

impl TokenRequest {
    /// The only grant that there is.
    #[must_use]
    pub fn client_credentials() -> Self {
        Self { grant_type: "client_credentials".to_owned() }
    }
}

/// Answer of `POST /oauth/token`. Whoever has it may move money: `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenAnswer {
    pub access_token: String,
    pub token_type: String,
    /// Seconds.
    pub expires_in: u64,
    #[serde(default)]
    pub scope: String,
}

impl fmt::Debug for TokenAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenAnswer")
            .field("expires_in", &self.expires_in)
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// Answer of `GET /v2/gn/saldo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    #[serde(rename = "saldo", with = "amount")]
    pub available: Centavos,
    #[serde(rename = "bloqueios", default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<Blocks>,
}

/// What of the money is blocked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    #[serde(with = "amount_option", default)]
    pub judicial: Option<Centavos>,
    #[serde(with = "amount_option", default)]
    pub med: Option<Centavos>,
    #[serde(with = "amount_option", default)]
    pub total: Option<Centavos>,
}

/// Body of `PUT /v2/webhook/{chave}`. The address may hold a secret: `Debug` hides its query.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewWebhook {
    #[serde(rename = "webhookUrl")]
    pub url: String,
}

/// A webhook as it is registered.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    #[serde(rename = "webhookUrl")]
    pub url: String,
    #[serde(rename = "chave", default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PixKey>,
    #[serde(rename = "criacao", with = "moment_option", default)]
    pub created: Option<UnixMillis>,
}

/// An address without what may be a secret.
fn shown(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

impl fmt::Debug for NewWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NewWebhook({})", shown(&self.url))
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({})", shown(&self.url))
    }
}

/// Body of `POST /v2/gn/webhook/reenviar`: callbacks that are wanted once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resend {
    #[serde(rename = "tipo")]
    pub kind: NoticeKind,
    #[serde(rename = "e2eids")]
    pub e2e_ids: Vec<EndToEndId>,
}

/// A claim of fraud against a Pix that we received (MED).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Infraction {
    #[serde(rename = "idInfracao")]
    pub id: String,
    #[serde(rename = "endToEndId")]
    pub e2e_id: EndToEndId,
    #[serde(rename = "protocolo", default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    #[serde(rename = "valor", with = "amount")]
    pub value: Centavos,
    pub status: InfractionStatus,
    #[serde(rename = "dadosAnalise", default, skip_serializing_if = "Option::is_none")]
    pub analysis: Option<InfractionAnalysis>,
}

/// The clock of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfractionAnalysis {
    #[serde(rename = "abertura", with = "moment")]
    pub opened: UnixMillis,
    #[serde(rename = "prazoFinalizacao", with = "moment_option", default)]
    pub due: Option<UnixMillis>,
}

/// Body of `POST /v2/gn/infracoes/{id}/defesa`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defence {
    #[serde(rename = "analise")]
    pub analysis: Analysis,
    #[serde(rename = "justificativa")]
    pub text: Personal,
}
