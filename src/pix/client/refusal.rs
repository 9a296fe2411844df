//! What an answer of the provider is: done, refused in one of its shapes, or unclear.
//!
//! Only the calls of the client use it. What must hold: only a refusal that the provider words
//! itself is one; what a proxy says in its place, or half a sentence, is unclear.

use hyper::StatusCode;
use ibora_domain::provider::{Code, Outcome, ProviderError, Shape, Violation, Why};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::wires::Answer;
use crate::pix::wire;

/// Of the token's endpoint, and of a missing right (RFC 6749, 5.2).
#[derive(Deserialize)]
struct OAuth {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

/// Tells which of the four an answer is.
pub(super) fn judge(answer: Answer) -> Outcome<Answer> {
    let status = answer.status.as_u16();
    match status {
        200..=299 => Outcome::Done(answer),
        // A request that came too slowly may have come all the same.
        408 | 500.. => Outcome::Unclear(Why::Failed { status, code: read(&answer).code }),
        400..=499 => {
            let error = read(&answer);
            // These mean one thing whoever says it; the others only if the provider does.
            let plain = [401, 403, 429].contains(&status) || error.shape != Shape::Bare;
            if plain {
                Outcome::Refused(error)
            } else {
                Outcome::Unclear(Why::Unreadable { status })
            }
        }
        _ => Outcome::Unclear(Why::Unreadable { status }),
    }
}

/// The body of an answer that went well.
pub(super) fn json<T: DeserializeOwned>(answer: &Answer) -> Outcome<T> {
    let unreadable = Why::Unreadable { status: answer.status.as_u16() };
    serde_json::from_slice(&answer.body).map_or(Outcome::Unclear(unreadable), Outcome::Done)
}

fn read(answer: &Answer) -> ProviderError {
    let mut error = worded(&answer.body, answer.status);
    error.retry_after = answer.retry_after;
    if answer.lacks_scope && answer.status == StatusCode::FORBIDDEN {
        error.code = Some(Code::new("insufficient_scope"));
    }
    error
}

fn worded(body: &[u8], status: StatusCode) -> ProviderError {
    let bare = ProviderError::bare(status.as_u16());
    let code = |name: &str| Some(Code::new(name)).filter(|code| !code.as_str().is_empty());
    match wire::ProviderError::read(body) {
        wire::ProviderError::Named(named) => ProviderError {
            shape: Shape::Named,
            code: code(&named.name),
            text: Some(named.message),
            ..bare
        },
        wire::ProviderError::Problem(problem) => ProviderError {
            shape: Shape::Problem,
            code: code(&problem.kind),
            text: problem.detail,
            violations: problem.violations.into_iter().map(violation).collect(),
            ..bare
        },
        wire::ProviderError::Unreadable => match serde_json::from_slice::<OAuth>(body) {
            Ok(oauth) => ProviderError {
                shape: Shape::OAuth,
                code: code(&oauth.error),
                text: oauth.error_description,
                ..bare
            },
            Err(_) => bare,
        },
    }
}

fn violation(violation: wire::Violation) -> Violation {
    Violation { property: violation.property, reason: violation.reason }
}

#[cfg(test)]
mod tests {
    use ibora_domain::provider::Kind;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            body: body.to_owned().into(),
            retry_after: None,
            lacks_scope: false,
        }
    }

    fn refused(status: u16, body: &str) -> ProviderError {
        match judge(answer(status, body)) {
            Outcome::Refused(error) => error,
            other => panic!("{}", other.as_str()),
        }
    }

    #[test]
    fn errors_of_each_published_shape_keep_their_code() {
        let named = refused(409, r#"{"nome":"txid_duplicado","mensagem":"Campo txid ..."}"#);
        assert_eq!((named.shape, named.kind()), (Shape::Named, Kind::Duplicate));
        let problem = refused(
            400,
            r#"{"type":"https://pix.bcb.gov.br/api/v2/error/CobOperacaoInvalida","title":"x",
               "status":400,"detail":"d","violacoes":[{"razao":"r","propriedade":"cob.valor"}]}"#,
        );
        assert_eq!(problem.code, Some(Code::new("CobOperacaoInvalida")));
        assert_eq!(problem.violations[0].property, "cob.valor");
        let scope = refused(403, r#"{"error":"insufficient_scope","error_description":"no"}"#);
        assert!(scope.is_insufficient_scope() && scope.shape == Shape::OAuth);
        let header = Answer { lacks_scope: true, ..answer(403, "") };
        assert!(matches!(judge(header), Outcome::Refused(e) if e.is_insufficient_scope()));
    }

    #[test]
    fn only_the_provider_itself_can_refuse() {
        let unclear = |status, body| matches!(judge(answer(status, body)), Outcome::Unclear(_));
        for body in ["", "<html>nginx</html>", r#"{"nome":"txid_dupl"#, "{}", "[]", "null"] {
            assert!(unclear(400, body) && unclear(404, body) && unclear(409, body), "{body}");
            assert!(!unclear(429, body) && !unclear(401, body), "{body}");
        }
        let failed = r#"{"nome":"erro_aplicacao","mensagem":"?"}"#;
        assert!(unclear(500, failed) && unclear(503, "") && unclear(408, failed));
        assert!(unclear(302, "") && unclear(101, ""));
    }
}
