//! Sizes: what no longer fits on a screen is split before it grows. Only `tidy` uses it.

use crate::source::{Source, line_of};

const COLUMNS_MAX: usize = 100;
const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

pub(crate) fn check(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    let mut offset = 0;
    for line in source.text.split_inclusive('\n') {
        let columns = line.trim_end().chars().count();
        if columns > COLUMNS_MAX {
            let rule = format!("{columns} columns, at most {COLUMNS_MAX}");
            findings.push(source.finding(offset, &rule));
        }
        offset += line.len();
    }
    let lines = source.text.lines().count();
    if lines > FILE_LINES_MAX {
        findings
            .push(source.finding(0, &format!("{lines} lines, at most {FILE_LINES_MAX} a file")));
    }
    for function in source.functions() {
        let first = line_of(source.text, function.span.start);
        let lines = line_of(source.text, function.span.end) - first + 1;
        if lines > FUNCTION_LINES_MAX {
            let name = &function.name;
            let rule = format!("`fn {name}` has {lines} lines, at most {FUNCTION_LINES_MAX}");
            findings.push(source.finding(function.span.start, &rule));
        }
    }
    findings
}

#[test]
fn one_too_many_is_found_and_the_limit_is_not() {
    let function = |lines: usize| format!("fn f() {{\n{}}}\n", "x();\n".repeat(lines - 2));
    let found = |text: &str| check(&Source::new("a.rs", text)).len();
    assert_eq!((found(&"é".repeat(100)), found(&"é".repeat(101))), (0, 1));
    assert_eq!((found(&"//\n".repeat(500)), found(&"//\n".repeat(501))), (0, 1));
    assert_eq!((found(&function(70)), found(&function(71))), (0, 1));
}
