//! `ibora admin create`: the first person who may approve drivers.

use std::io::Read;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};
use secrecy::SecretString;

use crate::accounts::{AdminForm, Caller};
use crate::app::{self, Store};
use crate::config::Config;

#[derive(Subcommand)]
pub(super) enum AdminCommand {
    /// Make an admin. Without a password one is made and printed once
    Create(Create),
}

#[derive(Args)]
pub(super) struct Create {
    #[arg(long)]
    name: String,
    #[arg(long)]
    email: String,
    /// E.164, like +5511987654321
    #[arg(long)]
    phone: Option<String>,
    #[arg(long)]
    cpf: Option<String>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

pub(super) async fn run(command: AdminCommand, config: &Config) -> anyhow::Result<ExitCode> {
    let AdminCommand::Create(create) = command;
    let (password, made) = if create.password_stdin {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).context("reading the password")?;
        (text.trim_end_matches(['\r', '\n']).to_owned(), false)
    } else {
        (hex::encode(rand::random::<[u8; 12]>()), true)
    };
    let store = Store::open_beside(config).await?;
    let accounts = app::accounts_for_tools(config, &store).await?;
    let form = AdminForm {
        name: create.name,
        email: create.email,
        phone: create.phone,
        cpf: create.cpf,
        password: SecretString::from(password.clone()),
    };
    let admin = accounts.create_admin(&Caller::system(), form).await?;
    say(&format!("admin {} created", admin.id));
    if made {
        say(&format!("password (shown once): {password}"));
    }
    store.close().await?;
    Ok(ExitCode::SUCCESS)
}

#[expect(clippy::print_stdout, reason = "the command's product")]
fn say(text: &str) {
    println!("{text}");
}
