//! Problem codes: what the code can answer and what `docs/problems.md` lists are the same.
//! Only `tidy` uses it.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;
use crate::tree::{File, Tree};

const PAGE: &str = "docs/problems.md";
/// Where the codes come from; a code of the page must be found once both are there.
const ORIGINS: [&str; 2] = ["domain/src/refusal.rs", "src/api/problem.rs"];

pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let coded = codes_in_source(tree);
    let Some(page) = tree.file(PAGE) else {
        return coded.into_values().map(|at| format!("{at} is in no {PAGE}")).collect();
    };
    let listed = first_cells(page);
    let mut findings: Vec<_> = coded
        .iter()
        .filter(|(code, _)| !listed.contains_key(code.as_str()))
        .map(|(_, at)| format!("{at} is not in {PAGE}"))
        .collect();
    if ORIGINS.iter().all(|path| tree.file(path).is_some()) {
        let written = literals_in_source(tree);
        let unknown = listed.iter().filter(|(code, _)| !written.contains(**code));
        findings
            .extend(unknown.map(|(code, line)| format!("{PAGE}:{line}: no code answers `{code}`")));
    }
    findings
}

/// Every code that a `fn code` of the engine or the domain returns, and where it stands.
fn codes_in_source(tree: &Tree) -> BTreeMap<String, String> {
    let mut codes = BTreeMap::new();
    for source in tree.sources().iter().filter(|source| is_ours(source)) {
        for function in source.functions().iter().filter(|function| function.name == "code") {
            for literal in source.literals.iter().filter(|l| function.span.contains(&l.at)) {
                if is_code(&literal.text) && !source.is_test(literal.at) {
                    let at = source.finding(literal.at, &format!("`{}`", literal.text));
                    codes.insert(literal.text.clone(), at);
                }
            }
        }
    }
    codes
}

/// Every string literal of the engine and the domain outside tests.
fn literals_in_source(tree: &Tree) -> BTreeSet<String> {
    let mut literals = BTreeSet::new();
    for source in tree.sources().iter().filter(|source| is_ours(source)) {
        let real = source.literals.iter().filter(|literal| !source.is_test(literal.at));
        literals.extend(real.map(|literal| literal.text.clone()));
    }
    literals
}

fn is_ours(source: &Source) -> bool {
    source.path.starts_with("src/") || source.path.starts_with("domain/src/")
}

/// The names in the first cells of a page's tables, labels in braces cut off, with their lines.
pub(crate) fn first_cells(page: &File) -> BTreeMap<&str, usize> {
    let mut cells = BTreeMap::new();
    for (index, line) in page.text.lines().enumerate() {
        if let Some(cell) = line.strip_prefix("| `") {
            cells.insert(cell.split(['`', '{']).next().unwrap_or_default(), index + 1);
        }
    }
    cells
}

fn is_code(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

#[test]
fn a_code_on_one_side_only_is_found() {
    let refusal =
        "impl R { fn code(self) -> &'static str { match self { Self::A => \"too_far\" } } }";
    let problem =
        "fn code() -> &'static str { \"malformed\" }\nfn title() -> &'static str { \"no\" }";
    let page = "| code | status |\n|---|---|\n| `too_far` | 409 |\n| `ghost` | 404 |\n";
    let mut files = vec![(ORIGINS[0], refusal), (PAGE, page)];
    assert_eq!(check(&Tree::sample(&files)), Vec::<String>::new());
    files.push((ORIGINS[1], problem));
    let findings = check(&Tree::sample(&files));
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].starts_with("src/api/problem.rs:1: `malformed`"), "{findings:?}");
    assert!(findings[1].starts_with("docs/problems.md:4:"), "{findings:?}");
    assert_eq!(check(&Tree::sample(&files[..1])).len(), 1, "without the page");
}
