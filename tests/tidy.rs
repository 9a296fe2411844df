//! The rules of the house, checked over the whole tree: doors between rooms, sizes, forbidden
//! words, docs in step with the code.
//!
//! Nobody calls this; `./dev lint` and `./dev test` run it. It reads files and nothing else, so
//! it needs no database. Each finding names `file:line` and the rule. Every rule has a sample in
//! its own file that it must find: a rule that has gone blind fails there.

#[path = "tidy/cases.rs"]
mod cases;
#[path = "tidy/docs.rs"]
mod docs;
#[path = "tidy/domain.rs"]
mod domain;
#[path = "tidy/doors.rs"]
mod doors;
#[path = "tidy/metrics.rs"]
mod metrics;
#[path = "tidy/paths.rs"]
mod paths;
#[path = "tidy/problems.rs"]
mod problems;
#[path = "tidy/sizes.rs"]
mod sizes;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/words.rs"]
mod words;

use source::Source;
use tree::Tree;

/// Fails with all findings at once: one run shows the whole work.
#[track_caller]
fn expect_none(findings: &[String]) {
    assert!(findings.is_empty(), "{} findings\n{}", findings.len(), findings.join("\n"));
}

/// Applies `rule` to every Rust file of the tree.
#[track_caller]
fn over_rust_files(rule: impl Fn(&Source) -> Vec<String>) {
    let tree = Tree::read();
    let sources = tree.sources();
    assert!(!sources.is_empty(), "no Rust file found under {}", tree.root.display());
    expect_none(&sources.iter().flat_map(rule).collect::<Vec<_>>());
}

#[test]
fn rooms_use_only_the_doors_they_have() {
    over_rust_files(doors::check);
}

#[test]
fn every_room_is_in_the_table_of_doors() {
    expect_none(&doors::unknown_rooms(&Tree::read()));
}

#[test]
fn the_domain_is_walled() {
    over_rust_files(domain::check);
    expect_none(&domain::dependencies(&Tree::read()));
}

#[test]
fn a_seed_of_the_simulator_is_one_run() {
    over_rust_files(domain::check_simulator);
}

#[test]
fn lines_functions_and_files_are_short() {
    over_rust_files(sizes::check);
}

#[test]
fn every_rust_file_says_what_it_is_for() {
    over_rust_files(words::begins_with_its_purpose);
}

#[test]
fn forbidden_words_are_absent() {
    over_rust_files(words::check);
}

#[test]
fn every_config_key_has_a_comment() {
    expect_none(&docs::config_comments(&Tree::read()));
}

#[test]
fn links_in_the_docs_resolve() {
    expect_none(&docs::links(&Tree::read()));
}

#[test]
fn migrations_are_numbered_without_gap() {
    expect_none(&docs::migrations(&Tree::read()));
}

#[test]
fn every_nasty_case_of_money_has_a_test() {
    expect_none(&cases::check(&Tree::read()));
}

#[test]
fn problem_codes_are_documented() {
    expect_none(&problems::check(&Tree::read()));
}

#[test]
fn metrics_are_documented() {
    expect_none(&metrics::check(&Tree::read()));
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    expect_none(&paths::check(&Tree::read()));
}
