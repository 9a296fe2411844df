//! `ibora pix check`: whether the provider of Pix can be called as configured, call by call.
//!
//! It only asks; nothing is charged, paid or registered. So the rights to order are not tried: the
//! provider has no call that would tell of them and do nothing.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Subcommand;
use ibora_domain::provider::{Outcome, Window};
use ibora_domain::units::{Millis, UnixMillis};
use time::OffsetDateTime;

use super::print;
use crate::app::provider_options;
use crate::config::Config;
use crate::obs::Metrics;
use crate::pix::client::{Provider, ReceivedFilter};

#[derive(Subcommand)]
pub(super) enum PixCommand {
    /// Call the provider as configured and say which questions it answers; orders nothing
    Check,
}

pub(super) async fn run(command: &PixCommand, config: &Config) -> anyhow::Result<ExitCode> {
    let PixCommand::Check = command;
    let options = provider_options(config).context("pix.base_url is not set")?;
    let provider = Provider::new(&options, Metrics::new())?;
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
