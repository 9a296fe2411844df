//! What a passenger has for his rides, and what became of it.

use ibora_domain::ids::PassengerId;
use ibora_domain::money::{Centavos, reais};
use ibora_domain::units::{UnixMillis, rfc3339};
use serde::Serialize;
use uuid::Uuid;

use super::ReadError;
use super::ledger::Ledger;
use super::wallet::{LineRecord, Span};

/// The account of a passenger's credit.
const CREDIT: i16 = 2020;

/// A passenger's credit and a page of its lines, in the shape of the public contract.
#[derive(Debug, Serialize)]
pub struct CreditView {
    pub currency: &'static str,
    #[serde(serialize_with = "reais")]
    pub balance: Centavos,
    pub items: Vec<CreditLine>,
    pub next_cursor: Option<String>,
}

/// What came in, above nothing, or paid for something, below it; `balance` is what there was after
/// it.
#[derive(Debug, Serialize)]
pub struct CreditLine {
    pub id: String,
    #[serde(serialize_with = "rfc3339")]
    pub at: UnixMillis,
    pub kind: String,
    #[serde(serialize_with = "reais")]
    pub amount: Centavos,
    #[serde(serialize_with = "reais")]
    pub balance: Centavos,
    /// What it was put in by, or has paid for.
    pub payment_id: Option<Uuid>,
}

impl From<LineRecord> for CreditLine {
    fn from(line: LineRecord) -> Self {
        // What is owed to him is his: the platform's credit is his plus.
        Self {
            id: format!("{}.{}", line.event_id, line.line),
            at: UnixMillis(line.at / 1000),
            amount: Centavos(-line.amount),
            balance: Centavos(-line.balance_after),
            payment_id: (line.subject_kind == "payment").then_some(line.subject_id),
            kind: line.kind,
        }
    }
}

impl Ledger {
    /// What this passenger has, and what became of it, the newest first.
    ///
    /// # Errors
    /// [`ReadError`]; `Cursor` for one that this list did not give.
    pub async fn credit(
        &self,
        passenger: PassengerId,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<CreditView, ReadError> {
        let balance: i64 = sqlx::query_scalar(
            "SELECT coalesce(-sum(balance), 0)::bigint FROM ledger_running_balances
             WHERE owner = $1 AND code = $2",
        )
        .bind(passenger.0)
        .bind(CREDIT)
        .fetch_one(&self.db)
        .await?;
        let page = self.lines((passenger.0, &[CREDIT]), Span::ALWAYS, cursor, limit).await?;
        Ok(CreditView {
            currency: "BRL",
            balance: Centavos(balance),
            items: page.items.into_iter().map(CreditLine::from).collect(),
            next_cursor: page.next_cursor,
        })
    }
}
