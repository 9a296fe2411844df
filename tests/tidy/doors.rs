//! Doors: which room of `src/` may use which. Mirrors "The house" in the architecture page; a new
//! room is added to both. Only `tidy` uses it.

use std::collections::BTreeSet;

use crate::source::{Source, closing, ident_at, skip_space};
use crate::tree::Tree;

/// What may use every room: it puts them together.
const EVERY: &[&str] = &["*"];
const EDGE: &[&str] = &["accounts", "actors", "network", "readmodel", "domain", "obs"];
const LEAF: &[&str] = &["domain", "obs"];
const STORE: &[&str] = &["db", "domain", "obs"];

/// A room and the rooms behind its doors. `domain` is the package `ibora-domain`.
const DOORS: &[(&str, &[&str])] = &[
    ("lib", &[]),
    ("main", &["app", "cli"]),
    ("app", EVERY),
    ("cli", EVERY),
    // `pix` draws the codes that are scanned.
    ("api", &["accounts", "actors", "network", "pix", "readmodel", "domain", "obs"]),
    ("realtime", EDGE),
    ("console", EDGE),
    ("accounts", &["journal", "readmodel", "db", "domain", "obs"]),
    ("actors", &["journal", "geo", "ledger", "risk", "domain", "obs"]),
    ("effects", &["actors", "pix", "webhooks", "bus", "domain", "obs"]),
    ("jobs", &["actors", "journal", "pix", "readmodel", "domain", "obs"]),
    ("journal", STORE),
    ("readmodel", STORE),
    ("db", &[]),
    ("geo", LEAF),
    ("ledger", LEAF),
    ("risk", LEAF),
    ("pix", LEAF),
    ("webhooks", LEAF),
    ("bus", LEAF),
    ("config", &["network", "domain", "obs"]),
    // A city in virtual time: the policies of the domain over the roads, no engine.
    ("simulate", &["geo", "domain"]),
    ("seed", &["accounts", "journal", "domain", "obs"]),
    // Clients: of the engine's own rooms they may use the roads, which anybody could have.
    ("bots", &["geo", "domain", "obs"]),
    ("demo", &["app", "bots", "config", "geo", "postgres", "seed", "domain", "obs"]),
    ("network", &[]),
    ("obs", &["domain"]),
    // The server process only; `app` and `cli` start it, nobody else knows that it exists.
    ("postgres", &["obs"]),
];

/// Crates that a room never sees: an actor's pushes and effects are outputs that `app` wires.
const CLOSED: &[(&str, &[&str])] =
    &[("actors", &["sqlx", "actix_web", "actix_http", "awc", "hyper", "tokio::net", "std::net"])];

pub(crate) fn check(source: &Source) -> Vec<String> {
    let Some(room) = room_of(source.path) else {
        return Vec::new();
    };
    let behind = DOORS.iter().find(|(name, _)| *name == room).map_or(EVERY, |(_, doors)| *doors);
    let shut =
        |(_, used): &(usize, &str)| *used != room && behind != EVERY && !behind.contains(used);
    let rule = |used| format!("`{room}` has no door to `{used}` (tests/tidy/doors.rs)");
    let mut findings: Vec<_> = uses(source)
        .into_iter()
        .filter(shut)
        .map(|(at, used)| source.finding(at, &rule(used)))
        .collect();
    for (_, crates) in CLOSED.iter().filter(|(name, _)| *name == room) {
        for name in *crates {
            findings
                .extend(source.words(name).into_iter().map(|at| source.finding(at, &rule(name))));
        }
    }
    findings
}

/// Rooms that nobody gave a row, and rows for nothing that `use` could mean.
pub(crate) fn unknown_rooms(tree: &Tree) -> Vec<String> {
    let rooms: BTreeSet<_> = tree.under("src/", ".rs").filter_map(|f| room_of(&f.path)).collect();
    let unknown = rooms.into_iter().filter(|room| !is_room(room));
    unknown.map(|room| format!("src/{room}:1: no row in tests/tidy/doors.rs")).collect()
}

/// `src/journal/writer.rs` and `src/journal.rs` are of the room `journal`.
fn room_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    Some(inside.split_once('/').map_or_else(|| inside.trim_end_matches(".rs"), |(room, _)| room))
}

fn is_room(name: &str) -> bool {
    DOORS.iter().any(|(room, _)| *room == name)
}

/// Each use of a room: through `crate::`, through `super::` above the own room, from `main` by the
/// name of the package, and `ibora_domain`.
fn uses<'a>(source: &'a Source) -> Vec<(usize, &'a str)> {
    let mut found: Vec<_> =
        source.words("ibora_domain").into_iter().map(|at| (at, "domain")).collect();
    for root in ["crate", "ibora"] {
        for at in source.words(root) {
            found.extend(first_names(&source.code, at + root.len()));
        }
    }
    found.extend(above_the_room(source));
    found.retain(|(_, name)| *name == "domain" || *name == "*" || is_room(name));
    found
}

/// The names one step below a path that has come to `at`: `::a::b`, or `::{a::b, c}`.
fn first_names(code: &str, at: usize) -> Vec<(usize, &str)> {
    let Some(behind) = path_separator(code, at) else {
        return Vec::new();
    };
    if !code[behind..].starts_with('{') {
        let name = if code[behind..].starts_with('*') { Some("*") } else { ident_at(code, behind) };
        return name.map(|name| (behind, name)).into_iter().collect();
    }
    let mut names = Vec::new();
    let (mut depth, mut expected) = (0_usize, true);
    for (at, byte) in code.bytes().enumerate().take(closing(code, behind)).skip(behind) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 1 => expected = true,
            _ if expected && depth == 1 && !byte.is_ascii_whitespace() => {
                names.extend(ident_at(code, at).map(|name| (at, name)));
                expected = false;
            }
            _ => {}
        }
    }
    names
}

/// The offset behind a `::` at `at`.
fn path_separator(code: &str, at: usize) -> Option<usize> {
    let colons = skip_space(code, at);
    code[colons..].starts_with("::").then(|| skip_space(code, colons + 2))
}

/// Chains of `super` that leave the room.
fn above_the_room<'a>(source: &'a Source) -> Vec<(usize, &'a str)> {
    let inside = source.path.trim_start_matches("src/").trim_end_matches(".rs");
    let depth = inside.trim_end_matches("/mod").split('/').count();
    let mut found = Vec::new();
    for at in source.words("super") {
        if source.code[..at].trim_end().ends_with("super::") {
            continue;
        }
        let (mut end, mut steps) = (at + "super".len(), 1);
        while let Some(next) = path_separator(&source.code, end)
            && ident_at(&source.code, next) == Some("super")
        {
            (end, steps) = (next + "super".len(), steps + 1);
        }
        if steps >= depth {
            found.extend(first_names(&source.code, end).into_iter().filter(|(_, n)| *n != "*"));
        }
    }
    found
}

#[test]
fn a_door_that_is_not_there_is_found() {
    let used = |path, text| check(&Source::new(path, text)).len();
    assert_eq!(used("src/journal/mod.rs", "use crate::obs::Metrics; use ibora_domain::ids;"), 0);
    assert_eq!(used("src/journal/mod.rs", "use crate::actors::Registry;"), 1);
    assert_eq!(used("src/journal/a.rs", "use crate::{\n  obs::{self, x},\n  api, geo::y,\n};"), 2);
    assert_eq!(used("src/journal/a.rs", "use super::super::{api}; use super::geo;"), 1);
    assert_eq!(used("src/geo/mod.rs", "fn a() { super::journal::b(crate :: ledger::c) }"), 2);
    assert_eq!(used("src/geo/mod.rs", "use crate::*; // use crate::api;"), 1);
    assert_eq!(used("src/actors/ride.rs", "use sqlx::PgPool; use tokio::net::TcpStream;"), 2);
    assert_eq!(used("src/main.rs", "use ibora::cli; use ibora::journal::Writer;"), 1);
    assert_eq!(used("src/app.rs", "use crate::{api, journal, postgres};"), 0);
    assert_eq!(used("src/postgres/mod.rs", "use crate::obs; use ibora_domain::ids::RideId;"), 1);
    assert_eq!(used("loadtest/src/main.rs", "use crate::journal;"), 0);
    let tree = Tree::sample(&[("src/attic/mod.rs", ""), ("src/geo/mod.rs", "")]);
    assert_eq!(unknown_rooms(&tree), ["src/attic:1: no row in tests/tidy/doors.rs"]);
}
