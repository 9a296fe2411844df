//! No file names a path that exists on one machine only. Only `tidy` uses it.
//!
//! The patterns are put together at run time, so that this file does not hold them either.

use crate::source::{Source, line_of};
use crate::tree::Tree;

pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let patterns = ["work", "root", "home"].map(|name| format!("/{name}/"));
    let mut findings = Vec::new();
    for file in &tree.files {
        // A test of where data lives may invent a person's home.
        let invents = file.path.ends_with(".rs").then(|| Source::new(&file.path, &file.text));
        for pattern in &patterns {
            for (at, _) in file.text.match_indices(pattern.as_str()) {
                let invented = invents.as_ref().is_some_and(|source| source.is_test(at));
                let home = pattern == &patterns[2];
                if begins_a_path(&file.text[..at]) && !(home && invented) {
                    let line = line_of(&file.text, at);
                    findings.push(format!("{}:{line}: no path of one machine", file.path));
                }
            }
        }
    }
    findings
}

/// Whether a `/` behind `before` is the first of an absolute path, not one within a path.
fn begins_a_path(before: &str) -> bool {
    let within = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '~' | '}' | '*');
    !before.ends_with(within)
}

#[test]
fn an_absolute_path_is_found_and_a_relative_one_is_not() {
    let text = format!("a {0}root/b\n\"{0}home/c/d\" src{0}work/e ..{0}root/f", '/');
    let findings = check(&Tree::sample(&[("README.md", &text)]));
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings.iter().any(|finding| finding.starts_with("README.md:2:")));
}
