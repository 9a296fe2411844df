//! What everybody of a run shares: where the engines are, what is remembered, counted and found.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

use ibora_domain::place::Coordinates;
use uuid::Uuid;

use super::memory::Memory;
use super::truth::Truth;
use crate::report::say;

/// What people do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Passengers request, drivers race.
    Busy,
    /// Nobody requests, everybody brings to an end what was begun.
    Finishing,
    /// Nobody asks for anything; sessions stay.
    Quiet,
}

/// Shared by all people of a run, and by what happens to them.
pub(super) struct Run {
    pub(super) memory: Memory,
    pub(super) truth: Truth,
    pub(super) phase: Cell<Phase>,
    /// The engine that takes work, as a balancer would know.
    pub(super) route: Cell<usize>,
    /// To each engine over a plain road, and through a tunnel.
    pub(super) roads: [[SocketAddr; 2]; 2],
    /// Where everything happens.
    pub(super) place: Coordinates,
    /// PINs as passengers tell them at the kerb.
    pub(super) pins: RefCell<HashMap<Uuid, Box<str>>>,
    counts: RefCell<BTreeMap<&'static str, u64>>,
    findings: RefCell<BTreeMap<&'static str, u64>>,
}

/// Findings of one kind that are shown.
const SHOWN: u64 = 5;

impl Run {
    pub(super) fn new(truth: Truth, roads: [[SocketAddr; 2]; 2], place: Coordinates) -> Self {
        Self {
            memory: Memory::default(),
            truth,
            phase: Cell::new(Phase::Busy),
            route: Cell::new(0),
            roads,
            place,
            pins: RefCell::default(),
            counts: RefCell::default(),
            findings: RefCell::default(),
        }
    }

    /// Where a client finds an engine now.
    pub(super) fn address(&self, in_tunnel: bool) -> SocketAddr {
        self.roads[self.route.get()][usize::from(in_tunnel)]
    }

    /// Something was done to somebody.
    pub(super) fn count(&self, what: &'static str) {
        *self.counts.borrow_mut().entry(what).or_default() += 1;
    }

    pub(super) fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.counts.borrow().clone()
    }

    /// Something happened that must not: so often in all.
    pub(super) fn found(&self, what: &'static str, detail: impl FnOnce() -> String) {
        let mut findings = self.findings.borrow_mut();
        let times = findings.entry(what).or_default();
        *times += 1;
        if *times <= SHOWN {
            say(format!("VIOLATION {what}: {}", detail()));
        }
    }

    pub(super) fn findings(&self) -> BTreeMap<&'static str, u64> {
        self.findings.borrow().clone()
    }
}
