//! The ledger that people write in SQL: a transaction a transfer, the rows of both accounts locked
//! in one order, the balance after it with each entry.
//!
//! Tables and client are spared what the engine does beside: the trigger that sums an event up, the
//! refusal of changes, floors on each entry, fencing.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::Load;
use super::engine_side::two_of;
use crate::closed::Caller;

const TABLES: &str = "
CREATE SCHEMA plain_ledger;
SET search_path = plain_ledger;
CREATE TABLE accounts (
    id      uuid   PRIMARY KEY,
    balance bigint NOT NULL,
    version bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE transfers (
    id   uuid        PRIMARY KEY,
    key  text        NOT NULL UNIQUE,
    kind text        NOT NULL,
    at   timestamptz NOT NULL
);
CREATE TABLE entries (
    transfer_id   uuid        NOT NULL,
    line          smallint    NOT NULL,
    account_id    uuid        NOT NULL,
    amount        bigint      NOT NULL CHECK (amount <> 0),
    version       bigint      NOT NULL,
    balance_after bigint      NOT NULL,
    at            timestamptz NOT NULL,
    PRIMARY KEY (transfer_id, line)
);
CREATE INDEX entries_of_account ON entries (account_id, at);";

/// The account that all transfers are on where one is hot.
const HOT: Uuid = Uuid::nil();

/// A plain ledger.
pub(super) struct Plain {
    connect: PgConnectOptions,
    accounts: Arc<[Uuid]>,
}

impl Plain {
    /// Makes its tables, and an account for each of `people`.
    pub(super) async fn open(
        owner: PgConnectOptions,
        people: &Arc<[Uuid]>,
    ) -> anyhow::Result<Self> {
        let connect = owner.options([("search_path", "plain_ledger")]);
        let mut connection = PgConnection::connect_with(&connect).await?;
        sqlx::raw_sql(TABLES).execute(&mut connection).await?;
        let all: Vec<Uuid> = people.iter().copied().chain([HOT]).collect();
        sqlx::query("INSERT INTO accounts SELECT id, 0, 0 FROM unnest($1::uuid[]) AS a(id)")
            .bind(all)
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok(Self { connect, accounts: Arc::clone(people) })
    }

    /// Clients, each with a connection of its own.
    pub(super) async fn clients(&self, load: Load, count: usize) -> anyhow::Result<Vec<Client>> {
        let mut clients = Vec::with_capacity(count);
        for _ in 0..count {
            let connection = PgConnection::connect_with(&self.connect).await?;
            clients.push(Client { connection, load, accounts: Arc::clone(&self.accounts) });
        }
        Ok(clients)
    }
}

/// One who transfers, over a connection.
pub(super) struct Client {
    connection: PgConnection,
    load: Load,
    accounts: Arc<[Uuid]>,
}

impl Caller for Client {
    async fn step(&mut self) -> anyhow::Result<()> {
        let (who, whom) = two_of(self.accounts.len());
        let to = self.accounts[whom];
        let from = match self.load {
            Load::Hot => HOT,
            Load::Spread => self.accounts[who],
        };
        transfer(&mut self.connection, (from, to), rand::random_range(1..5000)).await?;
        Ok(())
    }
}

async fn transfer(
    connection: &mut PgConnection,
    (from, to): (Uuid, Uuid),
    amount: i64,
) -> Result<(), sqlx::Error> {
    let id = Uuid::now_v7();
    let mut transaction = connection.begin().await?;
    sqlx::query("SELECT balance FROM accounts WHERE id IN ($1, $2) ORDER BY id FOR UPDATE")
        .bind(from)
        .bind(to)
        .fetch_all(&mut *transaction)
        .await?;
    sqlx::query("INSERT INTO transfers VALUES ($1, $2, 'transfer', now())")
        .bind(id)
        .bind(format!("transfer:{}", id.simple()))
        .execute(&mut *transaction)
        .await?;
    for (line, account, amount) in [(1_i16, from, -amount), (2, to, amount)] {
        let (balance, version): (i64, i64) = sqlx::query_as(
            "UPDATE accounts SET balance = balance + $2, version = version + 1 WHERE id = $1
             RETURNING balance, version",
        )
        .bind(account)
        .bind(amount)
        .fetch_one(&mut *transaction)
        .await?;
        sqlx::query("INSERT INTO entries VALUES ($1, $2, $3, $4, $5, $6, now())")
            .bind(id)
            .bind(line)
            .bind(account)
            .bind(amount)
            .bind(version)
            .bind(balance)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}
