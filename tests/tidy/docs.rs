//! Docs in step with the tree: comments of configuration keys, links, migration numbers.
//! Only `tidy` uses it.

use crate::tree::{File, Tree};

/// Every key of `config/default.toml` says what it means, above it or behind it.
pub(crate) fn config_comments(tree: &Tree) -> Vec<String> {
    let Some(config) = tree.file("config/default.toml") else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let (mut depth, mut commented) = (0_i32, false);
    for (number, line) in config.text.lines().enumerate() {
        let (code, comment) = split_comment(line);
        let key = code.split_once('=').map(|(key, _)| key.trim());
        if let Some(key) = key.filter(|_| depth == 0 && !commented && comment.is_none()) {
            let at = format!("{}:{}", config.path, number + 1);
            findings.push(format!("{at}: say in a comment what `{key}` means, unit and why"));
        }
        depth += nesting(code);
        commented = code.trim().is_empty() && comment.is_some();
    }
    findings
}

/// A line of TOML without its comment, and the comment. A `#` in a basic string is no comment.
fn split_comment(line: &str) -> (&str, Option<&str>) {
    let mut quoted = false;
    for (at, c) in line.char_indices() {
        match c {
            '"' => quoted = !quoted,
            '#' if !quoted => return (&line[..at], Some(&line[at + 1..])),
            _ => {}
        }
    }
    (line, None)
}

fn nesting(code: &str) -> i32 {
    code.split('"')
        .step_by(2)
        .flat_map(str::chars)
        .map(|c| i32::from(c == '[') - i32::from(c == ']'))
        .sum()
}

/// Relative links of the Markdown files lead to a file or directory of the tree.
pub(crate) fn links(tree: &Tree) -> Vec<String> {
    let exists = |path: &str| {
        let below = format!("{path}/");
        path.is_empty() || tree.files.iter().any(|f| f.path == path || f.path.starts_with(&below))
    };
    let mut findings = Vec::new();
    for file in tree.under("", ".md") {
        for (line, target) in targets(file) {
            let path = target.split('#').next().unwrap_or_default();
            let missing = resolve(&file.path, path).is_none_or(|path| !exists(&path));
            if missing && !path.is_empty() {
                findings.push(format!("{}:{line}: link to `{target}` leads nowhere", file.path));
            }
        }
    }
    findings
}

/// The link targets that name a file, with their lines. Code is left out.
fn targets(file: &File) -> Vec<(usize, &str)> {
    let mut targets = Vec::new();
    let mut fenced = false;
    for (number, line) in file.text.lines().enumerate() {
        fenced ^= line.trim_start().starts_with("```");
        if fenced {
            continue;
        }
        let mut at = 0;
        while let Some(found) = line[at..].find("](") {
            let start = at + found + 2;
            at = line[start..].find([')', ' ']).map_or(line.len(), |len| start + len);
            let code = line[..start].matches('`').count() % 2 == 1;
            let target = &line[start..at];
            if !code && !target.contains("://") && !target.starts_with("mailto:") {
                targets.push((number + 1, target));
            }
        }
    }
    targets
}

/// The path that `target` means in a file at `from`; `None` above the root.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<_> = from.split('/').collect();
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// `0001_what.sql`, `0002_...`: forward only, each number once.
pub(crate) fn migrations(tree: &Tree) -> Vec<String> {
    let mut findings = Vec::new();
    let files = tree.files.iter().filter(|file| file.path.starts_with("migrations/"));
    for (index, file) in files.enumerate() {
        let name = file.path.trim_start_matches("migrations/").trim_end_matches(".sql");
        let what = name.strip_prefix(&format!("{:04}_", index + 1)).unwrap_or_default();
        let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if what.is_empty() || !what.chars().all(word) || !file.path.ends_with(".sql") {
            let wanted = format!("`{:04}_what.sql`, without gap", index + 1);
            findings.push(format!("{}:1: a migration is called {wanted}", file.path));
        }
    }
    findings
}

#[test]
fn a_key_without_comment_is_found() {
    let toml = "# Whole section.\n\n[a]\nx = 1\n# Said above.\ny = [\n  \"#\",\n  \"z = 1\",\n]\n\
                z = 2 # Said behind.\nw = \"# not a comment\"\n";
    let findings = config_comments(&Tree::sample(&[("config/default.toml", toml)]));
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].contains(":4:") && findings[1].contains(":11:"), "{findings:?}");
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let text = "[a](../README.md#top) [b](gone.md) `[c](gone.md)` [d](https://e.org) [f](#g)\n\
                ```\n[h](gone.md)\n```\n[i](../../up.md) [dir](../docs) [j](./a.md \"title\")\n";
    let files = [("README.md", ""), ("docs/a.md", text)];
    let findings = links(&Tree::sample(&files));
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert!(findings[0].starts_with("docs/a.md:1:") && findings[1].starts_with("docs/a.md:5:"));
}

#[test]
fn a_gap_between_migrations_is_found() {
    let names = |names: &[&str]| {
        let files: Vec<_> = names.iter().map(|name| (*name, "")).collect();
        migrations(&Tree::sample(&files)).len()
    };
    assert_eq!(names(&["migrations/0001_rides.sql", "migrations/0002_offers_2.sql"]), 0);
    assert_eq!(names(&["migrations/0001_rides.sql", "migrations/0003_offers.sql"]), 1);
    assert_eq!(names(&["migrations/0001_a.sql", "migrations/0001_b.sql"]), 1);
    assert_eq!(names(&["migrations/0001_Rides.sql"]), 1);
    assert_eq!(names(&["migrations/0001_rides.down"]), 1);
}
