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
use crate::accounts::{AccountError, ByHand, Caller, EntryForm};
use crate::app::{self, Store, archive_ledger};
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
    /// Book what the owner has put into the account at the provider; audited
    Fund(EntryArgs),
    /// Book what the provider took for payouts, as its statement shows; audited
    Tariff(EntryArgs),
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

#[derive(Args)]
pub(super) struct EntryArgs {
    /// Reais, such as 500.00
    #[arg(long)]
    amount: Centavos,
    /// Its name in the provider's statement; what has one name is booked once
    #[arg(long, value_name = "NAME")]
    reference: String,
    /// Why, for the audit trail
    #[arg(long)]
    reason: String,
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
        LedgerCommand::Fund(args) => book(config, &store, ByHand::Funding, args).await?,
        LedgerCommand::Tariff(args) => book(config, &store, ByHand::PayoutTariff, args).await?,
    }
    store.close().await?;
    Ok(ExitCode::SUCCESS)
}

/// Beside a running engine or without one: no actor decides from what this moves.
async fn book(
    config: &Config,
    store: &Store,
    kind: ByHand,
    EntryArgs { amount, reference, reason }: EntryArgs,
) -> anyhow::Result<()> {
    let accounts = app::accounts_for_tools(config, store).await?;
    let form = EntryForm { kind, amount, reference, reason };
    let entry = match accounts.book_by_hand(&Caller::system(), form, None).await {
        Err(AccountError::Invalid(faults)) => {
            let named = faults.iter().map(|fault| format!("{}: {}", fault.field, fault.detail));
            bail!("{}", named.collect::<Vec<_>>().join("; "));
        }
        done => done?,
    };
    print(&format!("booked: {} under {}", entry.amount, entry.reference));
    Ok(())
}

fn line(balance: &Balance) -> String {
    let Balance { account, side, balance, postings } = balance;
    let amount = balance.to_string();
    format!("{account:22} {amount:>18} {side:6} {postings} postings")
}
