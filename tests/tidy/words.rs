//! Words that may not stand in the code, and the one that must: the purpose of each file.
//! Only `tidy` uses it.

use crate::source::{Source, skip_space};

/// The first line says what the file is for.
pub(crate) fn begins_with_its_purpose(source: &Source) -> Vec<String> {
    let first = source.text.lines().next().unwrap_or_default();
    let says = first.strip_prefix("//!").is_some_and(|purpose| !purpose.trim().is_empty());
    if says { Vec::new() } else { vec![source.finding(0, "begin with `//!` and the purpose")] }
}

pub(crate) fn check(source: &Source) -> Vec<String> {
    let mut findings = Vec::new();
    let mut refuse = |offsets: Vec<usize>, rule: &str| {
        findings.extend(offsets.into_iter().map(|at| source.finding(at, rule)));
    };
    refuse(source.words("unsafe"), "no `unsafe`");
    refuse(calls(source, "unwrap", "()", |at| !source.is_test(at)), "no `unwrap()` outside tests");
    for stub in ["todo", "unimplemented"] {
        refuse(calls(source, stub, "!", |_| true), "no stub: build it or leave it out");
    }
    let attribute =
        |at: &usize| source.code[..*at].ends_with("#[") || source.code[..*at].ends_with("#![");
    let allows = source.words("allow").into_iter().filter(attribute).collect();
    refuse(allows, "`#[expect(lint, reason = \"...\")]` in place of `allow`");
    refuse(lucky_sleeps(source), "no sleep for luck in a test: wait for a state, with a deadline");
    findings
}

/// Where `word` stands with `tail` behind it, for the offsets that `wanted` takes.
fn calls(source: &Source, word: &str, tail: &str, wanted: impl Fn(usize) -> bool) -> Vec<usize> {
    let called = |at: &usize| {
        let behind = skip_space(&source.code, at + word.len());
        source.code[behind..].starts_with(tail) && wanted(*at)
    };
    source.words(word).into_iter().filter(called).collect()
}

/// Sleeps under `tests/`, but for the pause between two looks at a state: the function around it
/// has a deadline.
fn lucky_sleeps(source: &Source) -> Vec<usize> {
    if !source.path.starts_with("tests/") {
        return Vec::new();
    }
    let functions = source.functions();
    let has_deadline = |at: usize| {
        let around = functions.iter().rfind(|function| function.span.contains(&at));
        around.is_some_and(|function| source.code[function.span.clone()].contains("deadline"))
    };
    calls(source, "sleep", "(", |at| !has_deadline(at))
}

#[test]
fn each_word_is_found_in_code_and_only_there() {
    let rules = |path, text| check(&Source::new(path, text)).len();
    assert_eq!(rules("src/a.rs", "fn a() { b.unwrap(); unsafe { c() } }"), 2);
    assert_eq!(rules("src/a.rs", "#[cfg(test)] mod t { fn a() { b.unwrap() } }"), 0);
    assert_eq!(rules("src/a.rs", "#![allow(dead_code)] #[allow(x)] fn allow() {}"), 2);
    assert_eq!(rules("src/a.rs", "fn a() { todo!(); unimplemented!() }"), 2);
    assert_eq!(rules("src/a.rs", "// unsafe unwrap()\nfn a() { b(\"todo!()\"); sleep(1) }"), 0);
    assert_eq!(rules("tests/a.rs", "fn a() { sleep(1); b.unwrap() }"), 1);
    assert_eq!(rules("tests/a.rs", "fn w() { while !a() && now() < deadline { sleep(1) } }"), 0);
    let purpose = |text| begins_with_its_purpose(&Source::new("a.rs", text)).len();
    assert_eq!((purpose("//! Wheels.\n"), purpose("//!\n"), purpose("use a;\n//! B")), (0, 1, 1));
}
