//! The nasty cases of money: each has a row in `docs/money-cases.md`, and each test that a row
//! names is there. Only `tidy` uses it.

use crate::tree::Tree;

const PAGE: &str = "docs/money-cases.md";
const CASES: usize = 56;

pub(crate) fn check(tree: &Tree) -> Vec<String> {
    let Some(page) = tree.file(PAGE) else { return vec![format!("{PAGE} is not there")] };
    let mut findings = Vec::new();
    let mut next = 1;
    for (number, line) in (1..).zip(page.text.lines()) {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let [_, case, _, promised, _] = cells[..] else { continue };
        if let Ok(case) = case.parse::<usize>() {
            if case != next {
                findings.push(format!("{PAGE}:{number}: case {case} where {next} is due"));
            }
            next = case + 1;
        }
        for test in promised.split('`').filter(|text| text.contains("::")) {
            if !is_there(tree, test) {
                findings.push(format!("{PAGE}:{number}: there is no test {test}"));
            }
        }
    }
    if next != CASES + 1 {
        findings.push(format!("{PAGE}: {} of {CASES} cases", next - 1));
    }
    findings
}

/// Whether the file of `path::name` has a function of that name.
fn is_there(tree: &Tree, test: &str) -> bool {
    let Some((path, name)) = test.split_once("::") else { return false };
    let declared = format!("fn {name}(");
    tree.file(path).is_some_and(|file| file.text.contains(&declared))
}

#[test]
fn samples_are_found() {
    let page = "| 1 | x | `a.rs::here` |\n| 3 | y | `a.rs::gone`, `b.rs::here` |\n";
    let tree = Tree::sample(&[(PAGE, page), ("a.rs", "#[test]\nfn here() {}")]);
    assert_eq!(
        check(&tree),
        [
            "docs/money-cases.md:2: case 3 where 2 is due",
            "docs/money-cases.md:2: there is no test a.rs::gone",
            "docs/money-cases.md:2: there is no test b.rs::here",
            "docs/money-cases.md: 3 of 56 cases",
        ]
    );
}
