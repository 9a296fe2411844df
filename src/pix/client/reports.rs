//! The provider's statement of one day, tariffs included: asked for, then fetched when it is ready.

use std::fmt;

use hyper::body::Bytes;
use hyper::{Method, StatusCode};
use ibora_domain::provider::{Outcome, Why};
use serde::{Deserialize, Serialize};
use time::Date;

use super::Provider;
use super::calls::Call;
use super::charges::encoded;

/// Bytes of a statement: a day of a million rows.
const REPORT_BYTES_MAX: usize = 256 << 20;

/// A statement that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ReportId {
    id: String,
}

/// A statement, as CSV. It names people: `Debug` shows its length.
#[derive(Clone, PartialEq, Eq)]
pub struct Report(Bytes);

impl Report {
    #[must_use]
    pub fn csv(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Report({} bytes)", self.0.len())
    }
}

#[derive(Serialize)]
struct NewReport {
    #[serde(rename = "dataMovimento")]
    day: String,
    #[serde(rename = "tipoRegistros")]
    rows: Rows,
}

macro_rules! rows {
    ($($field:ident = $name:literal),* $(,)?) => {
        /// What a statement has: all that there is.
        #[derive(Serialize)]
        struct Rows {
            $(#[serde(rename = $name)] $field: bool,)*
        }

        const EVERYTHING: Rows = Rows { $($field: true),* };
    };
}

rows! {
    received = "pixRecebido",
    sent_by_key = "pixEnviadoChave",
    sent_by_account = "pixEnviadoDadosBancarios",
    sent_reversed = "estornoPixEnviado",
    refund_sent = "pixDevolucaoEnviada",
    refund_received = "pixDevolucaoRecebida",
    tariff_sent = "tarifaPixEnviado",
    tariff_received = "tarifaPixRecebido",
    tariff_sent_reversed = "estornoTarifaPixEnviado",
    balance_before = "saldoDiaAnterior",
    balance = "saldoDia",
    transfer_sent = "transferenciaEnviada",
    transfer_received = "transferenciaRecebida",
    transfer_reversed = "estornoTransferenciaEnviada",
    tariff_transfer = "tarifaTransferenciaEnviada",
    tariff_transfer_reversed = "estornoTarifaTransferenciaEnviada",
    tariff_received_reversed = "estornoTarifaPixRecebido",
}

impl Provider {
    /// Asks for the statement of a day before today, with everything that it can have. One too many
    /// costs nothing.
    pub async fn request_report(&self, day: Date) -> Outcome<ReportId> {
        let path = "/v2/gn/relatorios/extrato-conciliacao".to_owned();
        // The calendar's own form of a date is the wire's: `2026-11-25`.
        let body = NewReport { day: day.to_string(), rows: EVERYTHING };
        self.ask(Call::order("report_request", Method::POST, path, &body).harmless()).await
    }

    /// The statement; none while it is being made, which takes about half a minute.
    pub async fn report(&self, ReportId { id }: &ReportId) -> Outcome<Option<Report>> {
        let call = Call::get("report_get", format!("/v2/gn/relatorios/{}", encoded(id)));
        self.call(call.up_to(REPORT_BYTES_MAX)).await.and_then(|answer| match answer.status {
            StatusCode::ACCEPTED => Outcome::Done(None),
            StatusCode::OK => Outcome::Done(Some(Report(answer.body))),
            other => Outcome::Unclear(Why::Unreadable { status: other.as_u16() }),
        })
    }
}
