//! What the provider says when it refuses, in both shapes that it has.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::personal::Personal;
use super::text::list;

/// An answer that is no success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProviderError {
    /// RFC 7807, as the central bank's rule has it.
    Problem(Problem),
    /// The provider's own.
    Named(Named),
    /// Neither: a proxy's page, half an answer, nothing.
    Unreadable,
}

impl ProviderError {
    /// Reads the body of an answer. It never fails: what makes no sense is [`Self::Unreadable`].
    #[must_use]
    pub fn read(body: &[u8]) -> Self {
        if let Ok(named) = serde_json::from_slice(body) {
            return Self::Named(named);
        }
        serde_json::from_slice(body).map_or(Self::Unreadable, Self::Problem)
    }

    /// The stable name of what is wrong: `txid_duplicado`, or the last part of a problem's type,
    /// `CobOperacaoInvalida`.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Problem(problem) => problem.kind.rsplit('/').next(),
            Self::Named(named) => Some(&named.name),
            Self::Unreadable => None,
        }
    }
}

/// RFC 7807 with the violations of the rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub status: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(rename = "correlationId", default, skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    #[serde(
        rename = "violacoes",
        default,
        deserialize_with = "list",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub violations: Vec<Violation>,
}

/// One field that the provider does not take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Violation {
    #[serde(rename = "razao", default)]
    pub reason: String,
    #[serde(rename = "propriedade", default)]
    pub property: String,
    /// What was sent; it may be anybody's key.
    #[serde(rename = "valor", default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Personal>,
}

/// The provider's own shape. Its message may repeat what was sent: `Debug` hides it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    #[serde(rename = "nome")]
    pub name: String,
    #[serde(rename = "mensagem", default)]
    pub message: String,
}

impl fmt::Debug for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Named({})", self.name)
    }
}
