//! The switch that stops all payouts, turned by hand beside a running engine.

use std::process::{Output, Stdio};

use crate::process::Process;

async fn run(process: &Process, args: &[&str]) -> Output {
    let mut command = process.command();
    command.args(["pix", "payouts"]).args(args).stdout(Stdio::piped());
    let output = actix_web::web::block(move || command.output()).await.expect("a thread");
    output.expect("runs")
}

#[actix_web::test]
async fn payouts_are_stopped_and_started_by_hand_with_a_reason() {
    let process = Process::start(&[]).await;
    let said = async |args: &[&str]| {
        let output = run(&process, args).await;
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    };
    assert_eq!(said(&["show"]).await, "payouts are going out");
    let stopped = said(&["stop", "--reason", "the bank is closed"]).await;
    assert_eq!(stopped, "payouts are stopped: the bank is closed");
    assert_eq!(said(&["stop", "--reason", "again"]).await, stopped, "what is so stays so");
    let started = said(&["start", "--reason", "it is open"]).await;
    assert_eq!(
        (started.as_str(), said(&["show"]).await),
        ("payouts are going out: it is open", started.clone())
    );
    assert_eq!(run(&process, &["stop"]).await.status.code(), Some(2), "without a reason");
    assert_eq!(run(&process, &["stop", "--reason", " "]).await.status.code(), Some(1));
}
