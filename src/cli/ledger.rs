//! `ibora ledger`: the books for whoever has to answer for them.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use ibora_domain::money::Centavos;
use ibora_domain::units::UnixMillis;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use super::print;
use crate::app::{Store, archive_ledger};
use crate::config::Config;
use crate::readmodel::{Balance, Ledger};

#[derive(Subcommand)]
pub(super) enum LedgerCommand {
    /// The balance of an account, now or at any past moment
    Balance(BalanceArgs),
    /// Every account of the chart, over all owners: debits equal credits
    Trial(TrialArgs),
    /// Move months that are over into the history, as the owner of the tables
    Archive(ArchiveArgs),
}

#[derive(Args)]
pub(super) struct BalanceArgs {
    /// Name in the chart, such as `driver_available`; `ibora ledger trial` lists them
    #[arg(long)]
    account: String,
    /// Whose it is; without it, the platform's
    #[arg(long)]
    owner: Option<Uuid>,
    /// RFC 3339, such as 2026-11-22T03:00:00Z; without it, now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<UnixMillis>,
}

#[derive(Args)]
pub(super) struct TrialArgs {
    /// RFC 3339; without it, now
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<UnixMillis>,
}

#[derive(Args)]
pub(super) struct ArchiveArgs {
    /// RFC 3339: months that ended before it are moved
    #[arg(long, value_name = "TIME", value_parser = moment)]
    before: UnixMillis,
}

fn moment(text: &str) -> Result<UnixMillis, String> {
    let parsed = OffsetDateTime::parse(text, &Rfc3339).map_err(|error| error.to_string())?;
    let ms = i64::try_from(parsed.unix_timestamp_nanos() / 1_000_000);
    ms.map(UnixMillis).map_err(|error| error.to_string())
}

pub(super) async fn run(command: LedgerCommand, config: &Config) -> anyhow::Result<ExitCode> {
    let store = Store::open_beside(config).await?;
    let ledger = Ledger::new(store.db());
    match command {
        LedgerCommand::Balance(BalanceArgs { account, owner, at }) => {
            let owner = owner.unwrap_or_default();
            let Some(balance) = ledger.balance(&account, owner, at).await? else {
                bail!("the chart has no account `{account}`; see `ibora ledger trial`");
            };
            print(&line(&balance));
        }
        LedgerCommand::Trial(TrialArgs { at }) => {
            let accounts = ledger.trial(at).await?;
            let sum = |side: &str| {
                let of_side = accounts.iter().filter(|account| account.side == side);
                Centavos(of_side.map(|account| account.balance.0).sum())
            };
            for account in &accounts {
                print(&line(account));
            }
            let (debit, credit) = (sum("debit"), sum("credit"));
            print(&format!("all: debits {debit}, credits {credit}"));
            if debit != credit {
                bail!("debits and credits differ");
            }
        }
        LedgerCommand::Archive(ArchiveArgs { before }) => {
            let owner = store.database.owner_options();
            let owner =
                owner.context("archiving takes the owner's access: database.migrate_url")?;
            let moved = archive_ledger(owner, &before.to_string()).await?;
            let named = moved.iter().map(|month| format!("{month}\n")).collect::<String>();
            print(&format!("{named}{} months moved to the history", moved.len()));
        }
    }
    store.close().await?;
    Ok(ExitCode::SUCCESS)
}

fn line(balance: &Balance) -> String {
    let Balance { account, side, balance, postings } = balance;
    let amount = balance.to_string();
    format!("{account:22} {amount:>18} {side:6} {postings} postings")
}
