//! A little chaos, in every test run: the bench that looks for whatever was lost finds nothing.
//!
//! Few people, few seconds, the quick faults and a seed of its own; `./dev bench chaos` is the same
//! with all of them, for as long as one likes.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

#[test]
fn nothing_that_was_acknowledged_is_lost_in_a_little_chaos() {
    let bench = Path::new(env!("CARGO_BIN_EXE_ibora-loadtest"));
    let beside = bench.with_file_name("ibora");
    assert!(beside.exists(), "it lies there after `cargo build --package ibora`");
    let mut chaos = Command::new(bench);
    chaos.args(["chaos", "--minutes", "0.3", "--seed", "7", "--drivers", "8"]);
    // Those that are over in a few seconds.
    let quick = "kill,sigterm,pg_restart,pg_cancel,lost_commit_request,lost_commit_reply";
    chaos.args(["--passengers", "6", "--faults", quick]);
    chaos.stdin(Stdio::null());
    let output = chaos.output().expect("runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let line: Value = serde_json::from_slice(&output.stdout).expect("one line of JSON");
    assert_eq!((&line["violations"], &line["lost_acks"]), (&0.into(), &0.into()), "{line} {said}");
    let compared = line["answers_compared"].as_u64();
    assert!(compared.is_some_and(|count| count > 20), "people asked and were answered: {line}");
    let cuts = line["faults"]["client_cut"].as_u64();
    assert!(cuts.is_some_and(|count| count > 20), "connections ended in the middle: {line}");
}
