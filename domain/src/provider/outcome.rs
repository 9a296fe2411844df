//! What can come of one call: done, refused, never sent, or unclear.
//!
//! The last two are apart because they bind the caller differently. What was not sent can be sent;
//! what is unclear may have been carried out, and is asked about under its own id. Codes and states
//! that nobody knew when this was written are kept as they came.

use std::fmt;

use thiserror::Error;

use crate::units::Millis;

/// All that one call can come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome<T> {
    Done(T),
    /// The provider says no, and says so itself.
    Refused(ProviderError),
    /// Nothing has left this process that the provider could have acted on.
    NotSent(Hindrance),
    /// The provider may have acted, or not, or may do so yet.
    Unclear(Why),
}

impl<T> Outcome<T> {
    /// The same outcome of a call of which only a part matters.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Outcome<U> {
        self.and_then(|done| Outcome::Done(f(done)))
    }

    /// Judges further what was done.
    pub fn and_then<U>(self, f: impl FnOnce(T) -> Outcome<U>) -> Outcome<U> {
        match self {
            Self::Done(done) => f(done),
            Self::Refused(error) => Outcome::Refused(error),
            Self::NotSent(hindrance) => Outcome::NotSent(hindrance),
            Self::Unclear(why) => Outcome::Unclear(why),
        }
    }

    /// What was done, where it was.
    pub fn done(self) -> Option<T> {
        match self {
            Self::Done(done) => Some(done),
            _ => None,
        }
    }

    /// The label of metrics.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Refused(_) => "refused",
            Self::NotSent(_) => "not_sent",
            Self::Unclear(_) => "unclear",
        }
    }
}

/// Why a call was not sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Hindrance {
    #[error("the provider failed lately and is left alone")]
    Paused,
    #[error("our own limit of calls is reached")]
    Pace,
    #[error("no connection in time")]
    Connect,
    #[error("no trusted connection: {0}")]
    Tls(TlsFault),
    #[error("no access token: {0}")]
    Token(Box<Hindrance>),
    #[error("no access token: {0}")]
    TokenRefused(ProviderError),
    #[error("no access token: {0}")]
    TokenUnclear(Why),
}

/// Why the two ends did not trust each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TlsFault {
    #[error("the provider's certificate is of no authority that we know")]
    UnknownAuthority,
    #[error("the provider's certificate is over, or not yet good")]
    Expired,
    #[error("the provider's certificate is of another name")]
    OtherName,
    /// Also what a provider does that knows our certificate and no longer accepts it.
    #[error("the provider does not accept our certificate")]
    OursRefused,
    #[error("the handshake failed")]
    Other,
}

/// Why the outcome of a call that was sent is not known.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Why {
    #[error("no answer in time")]
    TimedOut,
    #[error("the connection was lost")]
    Lost,
    #[error("the provider failed with {status}")]
    Failed { status: u16, code: Option<Code> },
    #[error("an answer that makes no sense, with {status}")]
    Unreadable { status: u16 },
    #[error("an answer that is too long")]
    TooLong,
}

/// The name of an error as the provider writes it: `txid_duplicado`, `CobOperacaoInvalida`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Code(String);

impl Code {
    /// Longer ones are cut: a code is a name, not a text.
    const BYTES_MAX: usize = 64;

    /// Takes the name from the provider's text; of a URL, as one of the shapes has it, the last
    /// part. Characters that no name has become `_`, for a code is logged.
    #[must_use]
    pub fn new(text: &str) -> Self {
        let name = text.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default();
        let plain = |c: char| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '_' };
        Self(name.chars().take(Self::BYTES_MAX).map(plain).collect())
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// In which of its published shapes an error came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{type, title, status, detail, violacoes}`: RFC 7807, the central bank's.
    Problem,
    /// `{nome, mensagem}`: the provider's own.
    Named,
    /// `{error, error_description}`: RFC 6749, of the token.
    OAuth,
    /// None of them; the status is all there is.
    Bare,
}

/// What is wrong with one property of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Violation {
    pub property: String,
    pub reason: String,
}

impl fmt::Debug for Violation {
    /// Without the reason, which may repeat the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Violation").field("property", &self.property).finish_non_exhaustive()
    }
}

/// A refusal in the provider's words. Its text may repeat what was sent, and so is never shown by
/// `Debug` or `Display`.
#[derive(Clone, PartialEq, Eq, Error)]
#[error("refused with {status} {code}", code = self.code.as_ref().map_or("", Code::as_str))]
pub struct ProviderError {
    pub status: u16,
    pub shape: Shape,
    pub code: Option<Code>,
    /// The provider's sentence for people.
    pub text: Option<String>,
    pub violations: Vec<Violation>,
    /// How long it asks us to wait.
    pub retry_after: Option<Millis>,
}

/// What a refusal means to the one who asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// There is something under this id already.
    Duplicate,
    /// There is nothing under this id. To a question only: an order may be refused so for what it
    /// refers to.
    NotFound,
    /// The call was not looked at: too many of them, or ours to mend (token, scope).
    NotNow,
    /// The call was looked at and is wrong, or not wanted.
    Rejected,
}

impl ProviderError {
    /// An error of which nothing is known but its status.
    #[must_use]
    pub const fn bare(status: u16) -> Self {
        Self {
            status,
            shape: Shape::Bare,
            code: None,
            text: None,
            violations: Vec::new(),
            retry_after: None,
        }
    }

    /// What it means.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self.status {
            // `devolucao_id_duplicado` comes with 400.
            409 => Kind::Duplicate,
            _ if self.code_is(|code| code.ends_with("duplicado")) => Kind::Duplicate,
            404 => Kind::NotFound,
            401 | 403 | 429 => Kind::NotNow,
            _ => Kind::Rejected,
        }
    }

    /// Whether our application was never given the right to call this.
    #[must_use]
    pub fn is_insufficient_scope(&self) -> bool {
        self.status == 403 && self.code_is(|code| code == "insufficient_scope")
    }

    fn code_is(&self, like: impl Fn(&str) -> bool) -> bool {
        self.code.as_ref().is_some_and(|code| like(code.as_str()))
    }
}

impl fmt::Debug for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderError")
            .field("status", &self.status)
            .field("shape", &self.shape)
            .field("code", &self.code)
            .field("violations", &self.violations)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_name_that_can_be_logged() {
        let code = |text: &str| Code::new(text).as_str().to_owned();
        assert_eq!(code("txid_duplicado"), "txid_duplicado");
        assert_eq!(
            code("https://pix.bcb.gov.br/api/v2/error/CobNaoEncontrado"),
            "CobNaoEncontrado"
        );
        assert_eq!(code("a b\n\u{202E}c"), "a_b__c");
        assert_eq!(code(&"x".repeat(1000)).len(), 64);
        assert_eq!(code("///"), "");
    }

    #[test]
    fn a_refusal_says_what_it_means_and_not_what_was_sent() {
        let error = |status, code| ProviderError {
            code: Some(Code::new(code)),
            text: Some("CPF 123.456.789-09".to_owned()),
            ..ProviderError::bare(status)
        };
        assert_eq!(error(409, "txid_duplicado").kind(), Kind::Duplicate);
        assert_eq!(error(400, "devolucao_id_duplicado").kind(), Kind::Duplicate);
        assert_eq!(error(404, "cobranca_nao_encontrada").kind(), Kind::NotFound);
        assert_eq!(error(403, "insufficient_scope").kind(), Kind::NotNow);
        assert_eq!(error(422, "pagamento_negado").kind(), Kind::Rejected);
        assert!(error(403, "insufficient_scope").is_insufficient_scope());
        let error = error(400, "valor_invalido");
        assert_eq!(error.to_string(), "refused with 400 valor_invalido");
        assert!(!format!("{error:?}").contains("123"));
    }
}
