//! Answers, and refusals in the provider's two shapes.

use ibora_psp::Refusal;
use serde::Serialize;
use serde_json::{Value, json};

use super::tokens::Denied;

/// The rule's names of problems begin so.
const PROBLEMS: &str = "https://pix.bcb.gov.br/api/v2/error/";

/// What is answered, before it becomes bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Body,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Body {
    Empty,
    Json(Value),
    Problem(Value),
    Csv(String),
}

impl Answer {
    /// A success.
    pub(super) fn json(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_value(body) {
            Ok(body) => Self { status, body: Body::Json(body) },
            Err(_) => Self::named(500, "erro_aplicacao", "Ocorreu um erro interno"),
        }
    }

    pub(super) const fn empty(status: u16) -> Self {
        Self { status, body: Body::Empty }
    }

    /// The provider's own shape.
    pub(super) fn named(status: u16, name: &str, message: &str) -> Self {
        Self { status, body: Body::Json(json!({"nome": name, "mensagem": message})) }
    }

    /// The shape of RFC 7807.
    pub(super) fn problem(status: u16, kind: &str, title: &str) -> Self {
        let body = json!({"type": format!("{PROBLEMS}{kind}"), "title": title, "status": status});
        Self { status, body: Body::Problem(body) }
    }

    /// A problem with one field.
    pub(super) fn violation(kind: &str, property: &str, reason: &str) -> Self {
        let mut answer = Self::problem(400, kind, "Requisição inválida.");
        if let Body::Problem(body) = &mut answer.body {
            body["violacoes"] = json!([{"razao": reason, "propriedade": property}]);
        }
        answer
    }

    /// A body that is no JSON, or not the JSON that is wanted.
    pub(super) fn malformed() -> Self {
        Self::problem(400, "RequisicaoInvalida", "A requisição não respeita o schema.")
    }

    pub(super) fn not_found() -> Self {
        Self::problem(404, "NaoEncontrado", "Não encontrado.")
    }

    /// Another answer in place of the real one, from the dial.
    pub(super) fn fault(status: u16) -> Self {
        match status {
            429 => Self::named(429, "limite_excedido", "Limite de requisições excedido"),
            503 => Self::problem(503, "ServicoIndisponivel", "Serviço indisponível."),
            _ => Self::named(status, "erro_aplicacao", "Ocorreu um erro interno"),
        }
    }
}

impl From<Denied> for Answer {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Token => Self {
                status: 401,
                body: Body::Json(json!({
                    "error": "invalid_token", "error_description": "Invalid or expired token"
                })),
            },
            Denied::Scope => Self {
                status: 403,
                body: Body::Problem(json!({
                    "type": format!("{PROBLEMS}AcessoNegado"), "title": "Acesso negado",
                    "status": 403, "detail": "insufficient_scope"
                })),
            },
        }
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let cob = |property, reason| Self::violation("CobOperacaoInvalida", property, reason);
        let refund = |reason| Self::violation("PixDevolucaoInvalida", "devolucao.valor", reason);
        match refusal {
            Refusal::ZeroAmount => cob("cob.valor.original", "O valor é zero."),
            Refusal::ZeroExpiry => {
                cob("cob.calendario.expiracao", "A expiração deve ser maior que zero.")
            }
            Refusal::ShortTxid => cob("cob.txid", "O txid deve ter de 26 a 35 caracteres."),
            Refusal::DuplicateTxid => {
                Self::named(409, "txid_duplicado", "Campo txid informado já existe")
            }
            Refusal::NoCharge => {
                Self::named(404, "cobranca_nao_encontrada", "Nenhuma cobrança encontrada")
            }
            Refusal::ChargeNotActive => Self::named(
                400,
                "status_cobranca_invalido",
                "A cobrança não está mais ativa e não pode ser alterada",
            ),
            Refusal::NoReceipt | Refusal::NoRefund => Self::not_found(),
            Refusal::NoClaim => {
                Self::named(404, "infracao_nao_encontrada", "Nenhuma infração encontrada")
            }
            Refusal::DuplicateRefund => Self::named(
                400,
                "devolucao_id_duplicado",
                "O id de devolução informado já existe para este Pix",
            ),
            Refusal::RefundsAbovePix => refund("A soma das devoluções ultrapassa o valor do Pix."),
            Refusal::TooOldToRefund => refund("O prazo de 90 dias para devolução terminou."),
            Refusal::DuplicateSend => {
                Self::named(409, "id_envio_duplicado", "Campo idEnvio informado já existe")
            }
            Refusal::NoSend => {
                Self::problem(404, "PixEnviadoNaoEncontrado", "Pix enviado não encontrado.")
            }
            Refusal::NoSuchKey => Self::named(400, "chave_invalida", "A chave é inválida"),
            Refusal::KeyOfAnother => Self::named(
                400,
                "chave_nao_pertence_ao_documento",
                "A chave informada não pertence ao documento",
            ),
            Refusal::SendDenied => {
                Self::named(422, "pagamento_negado", "Pagamento negado por análises internas")
            }
            Refusal::AboveSandbox
            | Refusal::OutOfRange
            | Refusal::ChargeExpired
            | Refusal::AnotherAmount
            | Refusal::NotReturnable => {
                Self::named(400, "valor_invalido", "O valor é inválido para esta operação")
            }
        }
    }
}
