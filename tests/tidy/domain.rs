//! The wall around `domain/` and `psp/`: no clock, no chance, no I/O, no async, few dependencies.
//! Only `tidy` uses it.

use crate::source::Source;
use crate::tree::Tree;

/// The domain, and the books of the simulated provider, which are a model in `sim/` too.
const PURE: [&str; 2] = ["domain/src/", "psp/src/"];

const DEPENDENCIES: [&str; 5] = ["serde", "serde_json", "thiserror", "rust_decimal", "uuid"];

/// What pure code cannot contain, and what it does in its place.
const OUTSIDE: &[(&str, &str)] = &[
    ("Instant", "time comes in as an argument"),
    ("SystemTime", "time comes in as an argument"),
    ("now_v7", "ids come in as arguments"),
    ("new_v4", "ids come in as arguments"),
    ("rand", "chance comes in as an argument"),
    ("RandomState", "its order is random"),
    ("async", "no async"),
    ("tokio", "no async"),
    ("actix", "no actor"),
    ("thread", "no thread"),
    ("static", "no globals: a `const` or an argument"),
];

/// Where planted bugs are chosen, in builds that no engine is: docs/decisions/0014.
const PLANTED: &str = "domain/src/mutants.rs";

/// What would make two runs of one seed different.
const NOT_SIMULATED: [&str; 7] =
    ["Instant", "SystemTime", "HashMap", "HashSet", "thread", "rand", "now_v7"];

/// Modules of `std` that reach out of the process.
const STD_OUTSIDE: [&str; 5] = ["env", "fs", "io", "net", "process"];

pub(crate) fn check(source: &Source) -> Vec<String> {
    if !PURE.iter().any(|pure| source.path.starts_with(pure)) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let mut refuse = |word: &str, why: &str| {
        for at in source.words(word).into_iter().filter(|at| !source.is_test(*at)) {
            let lifetime = source.code[..at].ends_with('\'');
            if !(word == "static" && (lifetime || source.path == PLANTED)) {
                findings.push(source.finding(at, &format!("no `{word}` in the domain: {why}")));
            }
        }
    };
    for (word, why) in OUTSIDE {
        refuse(word, why);
    }
    if source.words("BuildHasherDefault").is_empty() {
        for word in ["HashMap", "HashSet"] {
            refuse(word, "its order is random: a tree, or `BuildHasherDefault` of a fixed hasher");
        }
    }
    for module in STD_OUTSIDE {
        refuse(&format!("std::{module}"), "no I/O");
    }
    findings
}

/// The simulator is one run a seed: its library sees no clock, no thread and no hash order, and of
/// the engine only the domain.
pub(crate) fn check_simulator(source: &Source) -> Vec<String> {
    let program = ["sim/src/main.rs", "sim/src/report.rs"].contains(&source.path);
    if !source.path.starts_with("sim/src/") || program {
        return Vec::new();
    }
    let words = NOT_SIMULATED.iter().chain([&"ibora"]);
    let found = words.flat_map(|word| source.words(word).into_iter().map(move |at| (at, word)));
    found.map(|(at, word)| source.finding(at, &format!("no `{word}` in the simulator"))).collect()
}

/// Dependencies of the domain that no decision has allowed. Those of its tests are free.
pub(crate) fn dependencies(tree: &Tree) -> Vec<String> {
    let Some(manifest) = tree.file("domain/Cargo.toml") else {
        return vec!["domain/Cargo.toml:1: not found".into()];
    };
    let mut findings = Vec::new();
    let mut section = "";
    for (number, line) in manifest.text.lines().enumerate() {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']);
        }
        let inside = section == "dependencies" || section.ends_with(".dependencies");
        let table = section.strip_prefix("dependencies.").filter(|_| line.starts_with('['));
        let key = line.split(['=', '.']).next().map(str::trim).filter(|key| inside && is_key(key));
        for name in table.into_iter().chain(key).filter(|name| !DEPENDENCIES.contains(name)) {
            let rule = format!("the domain does not depend on `{name}` without an ADR");
            findings.push(format!("{}:{}: {rule}", manifest.path, number + 1));
        }
    }
    findings
}

fn is_key(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    !text.is_empty() && text.chars().all(part)
}

#[test]
fn what_would_make_a_seed_two_runs_is_found() {
    let found = |path, text| check_simulator(&Source::new(path, text)).len();
    assert_eq!(found("sim/src/a.rs", "use std::collections::{BTreeMap, HashMap}; ibora::app"), 2);
    assert_eq!(found("sim/src/a.rs", "use ibora_domain::ids; use std::time::Instant;"), 1);
    assert_eq!(found("sim/src/main.rs", "use std::time::Instant;"), 0);
    assert_eq!(found("src/a.rs", "use std::time::Instant;"), 0);
}

#[test]
fn what_reaches_through_the_wall_is_found() {
    let found = |text| check(&Source::new("domain/src/ride.rs", text)).len();
    assert_eq!(found("use std::time::{Duration, Instant}; async fn a() {}"), 2);
    assert_eq!(found("use std::collections::HashMap; use std::io::Read;"), 2);
    assert_eq!(found("static COUNT: u8 = 0; fn a() -> &'static str { \"rand\" }"), 1);
    assert_eq!(found("#[cfg(test)] mod tests { use std::collections::HashSet; }"), 0);
    assert_eq!(found("type Known = HashMap<u8, u8, BuildHasherDefault<Fixed>>;"), 0);
    assert_eq!(check(&Source::new("src/a.rs", "use tokio::x;")).len(), 0);
    let manifest = "[package]\nname = \"d\"\n[dependencies]\nserde = \"1\"\ntime.workspace = true\n\
                    [dev-dependencies]\nproptest = \"1\"\n[dependencies.rand]\nversion = \"1\"\n";
    let findings = dependencies(&Tree::sample(&[("domain/Cargo.toml", manifest)]));
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].starts_with("domain/Cargo.toml:5: ") && findings[1].contains("`rand`"));
}
