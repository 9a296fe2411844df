//! Licences of all dependencies, on every platform, against a list of those we can ship under
//! `MIT OR Apache-2.0`, and the packages that may not come in at all.
//!
//! Nobody calls this; `./dev lint` and `./dev test` run it. It asks `cargo metadata` for the
//! locked graph, without the internet where cargo has everything already.

use std::process::Command;

use serde_json::Value;

const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

const BANNED: [(&str, &str); 5] = [
    ("actix-governor", "GPL-3.0-or-later; `governor` and a middleware of our own do it"),
    ("actix-web-actors", "deprecated, and a client that stops reading freezes its session"),
    ("aws-lc-sys", "one TLS stack: rustls with ring"),
    ("native-tls", "one TLS stack: rustls with ring"),
    ("openssl-sys", "one TLS stack: rustls with ring"),
];

#[test]
fn every_dependency_may_be_shipped() {
    let graph = metadata();
    let packages = graph["packages"].as_array().expect("cargo metadata lists packages");
    assert!(packages.len() > 100, "only {} packages: is this the whole graph?", packages.len());
    let refused: Vec<_> = packages.iter().filter_map(refusal).collect();
    assert!(refused.is_empty(), "{} packages\n{}", refused.len(), refused.join("\n"));
}

/// The locked graph. Offline first: that is quick, and works on a machine without internet.
fn metadata() -> Value {
    let mut errors = String::new();
    for mode in [&["--locked", "--offline"][..], &["--locked"]] {
        let output = Command::new(env!("CARGO"))
            .args(["metadata", "--format-version", "1"])
            .args(mode)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs, it has built this test");
        if output.status.success() {
            return serde_json::from_slice(&output.stdout).expect("cargo metadata writes JSON");
        }
        errors.push_str(&String::from_utf8_lossy(&output.stderr));
    }
    panic!("cargo metadata failed, offline and online:\n{errors}");
}

/// Why a package cannot be in the graph, if so.
fn refusal(package: &Value) -> Option<String> {
    let name = package["name"].as_str().unwrap_or_default();
    let version = package["version"].as_str().unwrap_or_default();
    if let Some((_, why)) = BANNED.iter().find(|(banned, _)| *banned == name) {
        return Some(format!("Cargo.lock: {name} {version} is banned: {why}"));
    }
    let Some(licence) = package["license"].as_str() else {
        return Some(format!("Cargo.lock: {name} {version} names no licence"));
    };
    match Expression::allows(licence) {
        Ok(true) => None,
        Ok(false) => Some(format!("Cargo.lock: {name} {version} is under `{licence}`")),
        Err(at) => {
            Some(format!("Cargo.lock: {name} {version}: `{licence}` makes no sense at {at}"))
        }
    }
}

/// A reader of SPDX licence expressions: `OR` binds weaker than `AND`, `/` is an old `OR`.
struct Expression<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Expression<'a> {
    /// Whether we can choose licences from [`ALLOWED`] that satisfy `text`; the index of the word
    /// that cannot stand where it does otherwise.
    fn allows(text: &'a str) -> Result<bool, usize> {
        let spaced = text.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
        let mut expression = Expression { words: spaced.split_whitespace().collect(), at: 0 };
        let allowed = expression.either()?;
        if expression.at == expression.words.len() { Ok(allowed) } else { Err(expression.at) }
    }

    fn next_is(&mut self, word: &str) -> bool {
        let found = self.words.get(self.at) == Some(&word);
        self.at += usize::from(found);
        found
    }

    fn either(&mut self) -> Result<bool, usize> {
        let mut allowed = self.both()?;
        while self.next_is("OR") {
            allowed |= self.both()?;
        }
        Ok(allowed)
    }

    fn both(&mut self) -> Result<bool, usize> {
        let mut allowed = self.licence()?;
        while self.next_is("AND") {
            allowed &= self.licence()?;
        }
        Ok(allowed)
    }

    fn licence(&mut self) -> Result<bool, usize> {
        if self.next_is("(") {
            let allowed = self.either()?;
            return if self.next_is(")") { Ok(allowed) } else { Err(self.at) };
        }
        let mut name = self.name()?.to_owned();
        if self.next_is("WITH") {
            name = format!("{name} WITH {}", self.name()?);
        }
        Ok(ALLOWED.contains(&name.as_str()))
    }

    fn name(&mut self) -> Result<&'a str, usize> {
        let word = self.words.get(self.at).copied().ok_or(self.at)?;
        if ["AND", "OR", "WITH", "(", ")"].contains(&word) {
            return Err(self.at);
        }
        self.at += 1;
        Ok(word)
    }
}

#[test]
fn licence_expressions_are_read_as_they_bind() {
    let cases = [
        ("MIT", Ok(true)),
        ("GPL-3.0-or-later", Ok(false)),
        ("MIT/Apache-2.0", Ok(true)),
        ("MIT OR GPL-3.0-only", Ok(true)),
        ("MIT AND GPL-3.0-only", Ok(false)),
        ("GPL-3.0-only AND ISC OR MIT", Ok(true)),
        ("GPL-3.0-only AND (ISC OR MIT)", Ok(false)),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", Ok(true)),
        ("Apache-2.0 WITH LLVM-exception OR GPL-2.0-only", Ok(true)),
        ("GPL-2.0-only WITH Classpath-exception-2.0", Ok(false)),
        ("MIT OR", Err(2)),
        ("(MIT", Err(2)),
        ("MIT Apache-2.0", Err(1)),
        ("", Err(0)),
    ];
    for (text, expected) in cases {
        assert_eq!(Expression::allows(text), expected, "{text}");
    }
}

#[test]
fn a_package_that_cannot_be_shipped_is_refused() {
    let package = |name: &str, licence: Value| {
        refusal(&serde_json::json!({"name": name, "version": "1.0.0", "license": licence}))
    };
    assert_eq!(package("serde", "MIT".into()), None);
    assert!(package("openssl-sys", "MIT".into()).is_some_and(|why| why.contains("banned")));
    assert!(package("copyleft", "AGPL-3.0".into()).is_some());
    assert!(package("nameless", Value::Null).is_some());
}
