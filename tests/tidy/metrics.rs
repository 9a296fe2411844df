//! Metrics: what the engine registers and what `docs/metrics.md` lists are the same.
//! Only `tidy` uses it.

use std::collections::BTreeMap;

use crate::problems::first_cells;
use crate::source::Source;
use crate::tree::Tree;

const SOURCE: &str = "src/obs/metrics";
const PAGE: &str = "docs/metrics.md";

pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let named = names_in_source(tree);
    let Some(page) = tree.file(PAGE) else {
        return named.into_values().map(|at| format!("{at} needs {PAGE}")).collect();
    };
    let listed = first_cells(page);
    let mut findings: Vec<_> = named
        .iter()
        .filter(|(name, _)| is_metric(name) && !listed.contains_key(name.as_str()))
        .map(|(_, at)| format!("{at} is not in {PAGE}"))
        .collect();
    // The `process_` ones come from the collector of the client library.
    let ours = listed.iter().filter(|(name, _)| !name.starts_with("process_"));
    let unknown = ours.filter(|(name, _)| !named.contains_key(**name));
    findings
        .extend(unknown.map(|(name, line)| format!("{PAGE}:{line}: `{name}` is not registered")));
    findings
}

/// The string literals of the metrics room that could be names, and where they stand.
fn names_in_source(tree: &Tree) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for file in tree.under(SOURCE, ".rs") {
        let source = Source::new(&file.path, &file.text);
        for literal in source.literals.iter().filter(|literal| !source.is_test(literal.at)) {
            let at = source.finding(literal.at, &format!("`{}`", literal.text));
            names.insert(literal.text.clone(), at);
        }
    }
    names
}

/// A name of ours, or one that ends in a unit as metric names do; labels and helps do not.
fn is_metric(text: &str) -> bool {
    let snake = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let unit = ["_total", "_seconds", "_minutes", "_bytes"].iter().any(|unit| text.ends_with(unit));
    snake && (text.starts_with("ibora_") || unit)
}

#[test]
fn a_metric_on_one_side_only_is_found() {
    let source = "fn new() { counter(\"rides_created_total\", \"Rides.\", [\"event_type\"]);\n\
                  gauge(\"ibora_ws_sessions\", \"Open.\"); gauge(\"active_rides\", \"Now.\"); }";
    let page = "| `ibora_ws_sessions{role}` | gauge |\n| `active_rides` | gauge |\n\
                | `gone` | gauge |\n| `process_threads` | gauge |\n";
    let findings = check(&Tree::sample(&[("src/obs/metrics.rs", source), (PAGE, page)]));
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].starts_with("src/obs/metrics.rs:1: `rides_created_total`"));
    assert!(findings[1].starts_with("docs/metrics.md:3: `gone`"));
    assert!(!check(&Tree::sample(&[("src/obs/metrics.rs", source)])).is_empty());
    assert_eq!(check(&Tree::sample(&[(PAGE, page)])).len(), 3);
}
