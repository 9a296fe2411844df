//! `ibora psp`: a payment provider to develop and test against. Its money is not real.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use ibora_domain::money::Centavos;
use ibora_domain::units::Millis;
use tokio::signal::unix::{SignalKind, signal};

use super::print;
use crate::app;
use crate::config::Config;
use crate::pix::simulator::{Rules, Simulator, SimulatorOptions};

#[derive(Args)]
pub(super) struct PspArgs {
    /// Where its certificates go; `psp` in the data folder unless given
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where it is the provider: HTTPS, client certificate wanted
    #[arg(long, default_value = "127.0.0.1:8443", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where it is told what to do, and shows its books: HTTP, loopback only
    #[arg(long, default_value = "127.0.0.1:8444", value_name = "ADDRESS")]
    control: SocketAddr,
    /// What happens is chosen by amount, as in the provider's own test environment
    #[arg(long)]
    sandbox: bool,
    /// Every charge is paid by itself after so many milliseconds
    #[arg(long, value_name = "MS")]
    pay_after_ms: Option<u64>,
    /// How long refunds and payouts take
    #[arg(long, default_value_t = 500, value_name = "MS")]
    settle_after_ms: u64,
    /// What it keeps of each Pix that comes in
    #[arg(long, default_value = "0.00", value_name = "REAIS")]
    tariff: Centavos,
    /// What it takes for each payout, and tells in its statement alone
    #[arg(long, default_value = "0.00", value_name = "REAIS")]
    send_tariff: Centavos,
    /// Seconds of its clock that pass in a real second
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    speed: u32,
    /// Draws which of the faults with a chance happen
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(super) async fn run(args: PspArgs, config: &Config) -> anyhow::Result<ExitCode> {
    let dir = match args.dir {
        Some(dir) => dir,
        None => app::data_dir(config)?.join("psp"),
    };
    let rules = Rules {
        sandbox: args.sandbox,
        pay_after: args.pay_after_ms.map(Millis),
        settle_after: Millis(args.settle_after_ms),
        tariff: args.tariff,
        send_tariff: args.send_tariff,
    };
    let options = SimulatorOptions {
        listen: args.listen,
        control: args.control,
        rules,
        speed: args.speed,
        seed: args.seed,
        ..SimulatorOptions::new(dir)
    };
    let credentials = options.credentials.clone();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let simulator = Simulator::start(options).await?;
    let certificates = simulator.certificates();
    print(&format!(
        "provider     {}\ncontrol      {}/control/books\nauthority    {}\n\
         certificate  {}\n             {} (password \"\")\nclient       {}:{}",
        simulator.api_url(),
        simulator.control_url(),
        certificates.ca.display(),
        certificates.client.path.display(),
        certificates.client_p12.display(),
        credentials.client_id,
        credentials.client_secret,
    ));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    simulator.stop().await;
    Ok(ExitCode::SUCCESS)
}
