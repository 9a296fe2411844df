//! `ibora pix check`: whether the provider of Pix can be called as configured, call by call;
//! `ibora pix reconcile`: whether its balance is the ledger's; `ibora pix statement`: how it
//! accounts for a day; and `ibora pix payouts`: the switch that stops all payouts.
//!
//! Nothing is charged, paid or registered. So the rights to order are not tried: the provider has
//! no call that would tell of them and do nothing.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use ibora_domain::money::Centavos;
use ibora_domain::provider::{Outcome, Window};
use ibora_domain::units::{Millis, UnixMillis};
use time::macros::format_description;
use time::{Date, OffsetDateTime};

use super::print;
use crate::accounts::Caller;
use crate::app::{self, Store, provider_options};
use crate::config::Config;
use crate::jobs::reconcile;
use crate::journal::Journal;
use crate::obs::Metrics;
use crate::pix::client::{Provider, ReceivedFilter};

/// A statement takes about half a minute to be made.
const STATEMENT_TRIES: u32 = 60;
const STATEMENT_PAUSE: Duration = Duration::from_secs(2);

#[derive(Subcommand)]
pub(super) enum PixCommand {
    /// Call the provider as configured and say which questions it answers; orders nothing
    Check,
    /// Compare the provider's balance with the ledger and record it; exit code 3 if they differ
    Reconcile,
    /// Print the provider's statement of a day that is over, as it comes: CSV
    Statement(StatementArgs),
    /// The switch that stops all payouts, and lets them go out again; each turn is audited
    #[command(subcommand)]
    Payouts(PayoutsCommand),
}

#[derive(Args)]
pub(super) struct StatementArgs {
    /// In São Paulo, such as 2026-11-25
    #[arg(long, value_parser = day)]
    day: Date,
}

#[derive(Subcommand)]
pub(super) enum PayoutsCommand {
    /// Say whether payouts go out
    Show,
    /// Send none any more; those asked for wait
    Stop(Turn),
    /// Let them go out again
    Start(Turn),
}

#[derive(Args)]
pub(super) struct Turn {
    /// Why, for the audit trail
    #[arg(long)]
    reason: String,
}

pub(super) async fn run(command: &PixCommand, config: &Config) -> anyhow::Result<ExitCode> {
    let provider = || -> anyhow::Result<Provider> {
        let options = provider_options(config).context("pix.base_url is not set")?;
        Ok(Provider::new(&options, Metrics::new())?)
    };
    match command {
        PixCommand::Check => check(&provider()?).await,
        PixCommand::Reconcile => compare(&provider()?, config).await,
        PixCommand::Statement(args) => statement(&provider()?, args.day).await,
        PixCommand::Payouts(command) => payouts(command, config).await,
    }
}

async fn payouts(command: &PayoutsCommand, config: &Config) -> anyhow::Result<ExitCode> {
    let store = Store::open_beside(config).await?;
    let accounts = app::accounts_for_tools(config, &store).await?;
    let system = Caller::system();
    let switch = match command {
        PayoutsCommand::Show => accounts.payout_switch().await,
        PayoutsCommand::Stop(turn) => accounts.switch_payouts(&system, true, &turn.reason).await,
        PayoutsCommand::Start(turn) => accounts.switch_payouts(&system, false, &turn.reason).await,
    };
    store.close().await?;
    let switch = switch?;
    let stands = if switch.stopped { "stopped" } else { "going out" };
    let why = switch.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    print(&format!("payouts are {stands}{why}"));
    Ok(ExitCode::SUCCESS)
}

async fn compare(provider: &Provider, config: &Config) -> anyhow::Result<ExitCode> {
    let store = Store::open_beside(config).await?;
    let (connect, metrics) = (store.database.app_options(), Metrics::new());
    let journal = Journal::for_tools(connect, store.db(), metrics).await?;
    let row = reconcile(provider, &journal).await;
    store.close().await?;
    let row = row?;
    let lines = [
        ("provider: available", row.provider_available),
        ("provider: blocked", row.provider_blocked),
        ("ledger: cash", row.ledger.cash),
        ("ledger: clearing", row.ledger.clearing),
        ("ledger: blocked", row.ledger.blocked),
        ("not booked: receipts", row.receipts),
        ("not booked: tariffs", row.tariffs),
        ("not booked: payouts", row.payouts),
        ("not booked: returns", row.returns),
        ("not booked: refunds", row.refunds),
        ("difference", row.difference),
    ];
    for (name, amount) in lines {
        print(&format!("{name:21} {amount:>14}"));
    }
    if let Some(hint) = hint(row.difference) {
        print(hint);
    }
    if !row.quiet {
        print("money moved while it was compared: ask again");
    }
    if row.overdue > 0 {
        print(&format!("{} of what is not booked are older than an hour", row.overdue));
    }
    Ok(if row.is_sound() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// What a difference may be that no list of the provider's explains.
fn hint(difference: Centavos) -> Option<&'static str> {
    match difference.0 {
        0 => None,
        ..0 => Some(
            "it has less than is booked: tariffs of payouts, perhaps. `ibora pix statement` shows \
             them, `ibora ledger tariff` books them",
        ),
        _ => Some(
            "it has more than is booked: money of the owner's, perhaps. `ibora ledger fund` books \
             that",
        ),
    }
}

fn day(text: &str) -> Result<Date, String> {
    let form = format_description!("[year]-[month]-[day]");
    Date::parse(text, form).map_err(|error| error.to_string())
}

async fn statement(provider: &Provider, day: Date) -> anyhow::Result<ExitCode> {
    let asked = answered(provider.request_report(day).await)?;
    for _ in 0..STATEMENT_TRIES {
        if let Some(report) = answered(provider.report(&asked).await)? {
            std::io::stdout().write_all(report.csv())?;
            return Ok(ExitCode::SUCCESS);
        }
        tokio::time::sleep(STATEMENT_PAUSE).await;
    }
    bail!("the provider is still making the statement: ask again")
}

fn answered<T>(outcome: Outcome<T>) -> anyhow::Result<T> {
    if let Some(trouble) = trouble(&outcome) {
        bail!("the provider: {trouble}");
    }
    outcome.done().context("the provider")
}

async fn check(provider: &Provider) -> anyhow::Result<ExitCode> {
    let window = last_hour();
    let mut all = true;
    let mut tell = |call: &str, trouble: Option<String>| {
        all &= trouble.is_none();
        print(&format!("{call:12} {}", trouble.as_deref().unwrap_or("ok")));
    };
    tell("balance", trouble(&provider.balance().await));
    tell("charges", first(&provider.charges(window, None).next().await));
    let received = provider.received_within(window, &ReceivedFilter::All).next().await;
    tell("received", first(&received));
    tell("payouts", first(&provider.sent_within(window).next().await));
    tell("webhooks", first(&provider.webhooks(window).next().await));
    tell("infractions", first(&provider.infractions(window).next().await));
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn last_hour() -> Window {
    let now = OffsetDateTime::now_utc().unix_timestamp() * 1000;
    let hour = Millis::from(Duration::from_secs(3600));
    Window { from: UnixMillis(now) - hour, to: UnixMillis(now) }
}

/// There is always a first page.
fn first<T>(page: &Option<Outcome<T>>) -> Option<String> {
    page.as_ref().and_then(trouble)
}

/// What is wrong, if so, without what the provider may repeat of people.
fn trouble<T>(outcome: &Outcome<T>) -> Option<String> {
    match outcome {
        Outcome::Done(_) => None,
        Outcome::Refused(error) if error.is_insufficient_scope() => {
            Some("our application at the provider lacks the scope for it".to_owned())
        }
        Outcome::Refused(error) => Some(error.to_string()),
        Outcome::NotSent(hindrance) => Some(hindrance.to_string()),
        Outcome::Unclear(why) => Some(why.to_string()),
    }
}
