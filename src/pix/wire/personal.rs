//! People in the provider's bytes: names, documents, texts. Their `Debug` shows nothing.

use std::fmt;

use ibora_domain::person::Cpf;
use serde::{Deserialize, Serialize};

/// Text about a person, or written by one: a name, a CPF, an email, a message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Personal(String);

impl Personal {
    /// Keeps a text from being shown by accident.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text. The only way out of this type: say at each call why it is right.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<Cpf> for Personal {
    /// The eleven digits, for the provider compares them with the owner of a key.
    fn from(cpf: Cpf) -> Self {
        Self(cpf.expose())
    }
}

impl fmt::Debug for Personal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Who owes a charge. A name needs one of the two documents, and only one may be given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Party {
    /// Eleven digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpf: Option<Personal>,
    /// Fourteen letters and digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cnpj: Option<Personal>,
    #[serde(rename = "nome", default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Personal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Personal>,
}
