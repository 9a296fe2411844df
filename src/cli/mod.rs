//! The command line. Exit codes: 0 done, 1 failed, 2 called wrongly, 3 an audit found something,
//! 4 another engine has taken over.

mod admin;
mod audit;
mod demo;
mod export_demand;
mod ledger;
mod pix;
mod psp;
mod replay;
mod seed;
mod serve;
mod simulate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{Config, DEFAULTS, Sources};

/// A realtime dispatch engine for ride-hailing.
#[derive(Parser)]
#[command(name = "ibora", version, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    given: Given,
    #[command(subcommand)]
    command: Command,
}

/// Where the configuration comes from.
#[derive(Args, Clone)]
struct Given {
    /// Configuration file (TOML); also IBORA_CONFIG. Keys: `ibora config defaults`
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Set one key, e.g. --set http.listen=127.0.0.1:9000; may be repeated
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    set: Vec<(String, String)>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the engine until SIGTERM or Ctrl-C
    Serve(serve::ServeArgs),
    /// Bring the database's schema up to date, as its owner
    Migrate,
    /// People with power over others
    #[command(subcommand)]
    Admin(admin::AdminCommand),
    /// Check every promise over the whole database; exit code 3 if one is broken
    Audit,
    /// The books: balances at any moment, the trial balance, archiving, what is booked by hand
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// The provider of Pix
    #[command(subcommand)]
    Pix(pix::PixCommand),
    /// Tell a ride from its journal step by step, or check every ride against it
    Replay(replay::ReplayArgs),
    /// Write the requests of a period as a file for `simulate`, without anybody's traces
    ExportDemand(export_demand::ExportDemandArgs),
    /// Make simulated people for load tests; needs seed.enabled
    Seed(seed::SeedArgs),
    /// Watch the engine match a simulated city: in the terminal, and on a page at its address
    Demo(demo::DemoArgs),
    /// Be a payment provider with play money, to develop and test against
    Psp(psp::PspArgs),
    /// List the points at which `IBORA_ABORT_AT=<point>[:nth]` ends the process
    #[cfg(feature = "failpoints")]
    Failpoints,
    /// Compare dispatch policies on recorded or made-up demand; needs no engine and no database
    Simulate(Box<simulate::SimulateArgs>),
    /// What the engine is configured to
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Every key with its value in force; secrets masked
    Print,
    /// Every key with its default and its meaning
    Defaults,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let config = match load(&cli.given) {
        Ok(config) => config,
        Err(error) => return failed(&error),
    };
    #[cfg(feature = "failpoints")]
    if let Err(error) = crate::obs::failpoints::arm() {
        return failed(&error.into());
    }
    let mut log = config.log_options();
    if let (Command::Demo(_), Some(rest)) = (&cli.command, log.level.strip_prefix("info")) {
        // It draws on the terminal: of what is normal there is no log beside it.
        log.level = format!("warn{rest}");
    }
    if let Err(error) = crate::obs::init(&log) {
        return failed(&error.into());
    }
    let system = actix_web::rt::System::new();
    match system.block_on(run(cli.command, &config)) {
        Ok(code) => code,
        Err(error) => failed(&error),
    }
}

fn load(given: &Given) -> anyhow::Result<Config> {
    Ok(Config::load(&Sources::of_process(given.config.clone(), given.set.clone()))?)
}

async fn run(command: Command, config: &Config) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(args) => serve::serve(args, config).await,
        Command::Migrate => serve::migrate(config).await,
        Command::Admin(command) => admin::run(command, config).await,
        Command::Audit => audit::run(config).await,
        Command::Ledger(command) => ledger::run(command, config).await,
        Command::Pix(command) => pix::run(&command, config).await,
        Command::Replay(args) => replay::run(args, config).await,
        Command::ExportDemand(args) => export_demand::run(args, config).await,
        Command::Seed(args) => seed::run(args, config).await,
        Command::Demo(args) => demo::run(args, config).await,
        Command::Psp(args) => psp::run(args, config).await,
        #[cfg(feature = "failpoints")]
        Command::Failpoints => Ok(failpoints()),
        Command::Simulate(args) => simulate::run(&args),
        Command::Config(ConfigCommand::Print) => Ok(print(config.redacted())),
        Command::Config(ConfigCommand::Defaults) => Ok(print(DEFAULTS)),
    }
}

#[expect(clippy::print_stdout, reason = "the command's product")]
fn print(text: &str) -> ExitCode {
    println!("{text}");
    ExitCode::SUCCESS
}

#[cfg(feature = "failpoints")]
fn failpoints() -> ExitCode {
    let line = |(_, name, sentence): &(_, &str, &str)| format!("{name:28} {sentence}");
    let lines: Vec<_> = crate::obs::failpoints::TABLE.iter().map(line).collect();
    print(&lines.join("\n"))
}

/// Shows how far long work is.
#[expect(clippy::print_stderr, reason = "a person waits")]
fn progress(text: &str) {
    eprintln!("{text}");
}

#[expect(clippy::print_stderr, reason = "a person reads it, logs may not be set up")]
fn failed(error: &anyhow::Error) -> ExitCode {
    eprintln!("ibora: {error:#}");
    ExitCode::FAILURE
}
