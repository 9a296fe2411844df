//! What goes wrong: profiles of a city, the faults of a seed, and what each of them does.
//!
//! A run's faults are a list that is drawn before it begins, so a failing run can be tried again
//! with fewer of them.

use std::fmt;
use std::str::FromStr;

use crate::chance::Chance;
use crate::node::{NodeEvent, WriteFault};
use crate::queue::{MS, Micros, SECOND};
use crate::tell;
use crate::world::{Event, World};

/// How big a city is, how long it is looked at, and how much goes wrong in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    pub name: &'static str,
    pub nodes: usize,
    pub drivers: u64,
    pub passengers: u64,
    /// Of a hundred people, those with two phones, and of phones, those with an old app.
    pub two_phones: u64,
    pub old_apps: u64,
    /// For how long rides are asked for.
    pub active: Micros,
    pub faults: (u64, u64),
    /// Whether each seed draws which kinds of faults it has.
    pub swarm: bool,
    /// Whether each seed draws what its city is like.
    pub moody: bool,
}

impl Profile {
    /// Nothing goes wrong.
    pub const CALM: Self = Self {
        name: "calm",
        nodes: 2,
        drivers: 8,
        passengers: 8,
        two_phones: 20,
        old_apps: 20,
        active: 600 * SECOND,
        faults: (0, 0),
        swarm: false,
        moody: false,
    };

    /// A few kinds of faults, now and then.
    pub const SWARM: Self =
        Self { name: "swarm", faults: (1, 40), swarm: true, moody: true, ..Self::CALM };

    /// Every kind of fault, again and again.
    pub const STORM: Self = Self { name: "storm", faults: (40, 80), moody: true, ..Self::CALM };

    /// Every profile.
    pub const ALL: [Self; 3] = [Self::CALM, Self::SWARM, Self::STORM];
}

impl FromStr for Profile {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|profile| profile.name == name);
        found.ok_or_else(|| format!("there is no profile `{name}`: calm, swarm or storm"))
    }
}

macro_rules! kinds {
    ($($kind:ident $name:literal)*) => {
        /// A kind of fault.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kind { $($kind),* }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind),*];

            /// Its name in lists and counts.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),* }
            }
        }
    };
}

kinds! {
    Crash "crash"
    Pause "pause"
    Stop "stop"
    Skew "skew"
    DbCut "db_cut"
    DbDown "db_down"
    AnswerLost "answer_lost"
    WriteLost "write_lost"
    WriteLate "write_late"
    Refused "refused"
    Shaky "shaky_db"
    Slow "slow_db"
    Panic "panic"
    Tunnel "tunnel"
    Alone "partition"
    Lossy "loss"
    Doubles "duplication"
    PspShaky "psp_shaky"
    PspDown "psp_down"
    PspBlind "psp_blind"
    PspSlow "psp_slow"
    PspDenies "psp_denies"
    HooksLost "hooks_lost"
    HooksOdd "hooks_odd"
    Forged "forged"
}

/// One fault: when, what, to whom, for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub at: Micros,
    pub kind: Kind,
    /// Chooses the node, the app or the machine.
    pub whom: u64,
    pub lasts: Micros,
}

impl fmt::Display for Fault {
    /// The line of a case file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault {} {} {} {}", self.at, self.kind.name(), self.whom, self.lasts)
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let bad = || format!("`{line}` is no fault: expected `fault AT KIND WHOM LASTS`");
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["fault", at, kind, whom, lasts] = words[..] else { return Err(bad()) };
        let number = |text: &str| text.parse::<u64>().map_err(|_| bad());
        let kind = Kind::ALL.iter().find(|known| known.name() == kind).ok_or_else(bad)?;
        Ok(Self { at: number(at)?, kind: *kind, whom: number(whom)?, lasts: number(lasts)? })
    }
}

/// How much more often than another one kind of fault may come in a seed.
const STRENGTHS: [usize; 4] = [1, 2, 4, 8];

/// Draws what goes wrong in a run of `seed`.
#[must_use]
pub fn plan(seed: u64, profile: &Profile) -> Vec<Fault> {
    let mut chance = Chance::new(seed, 2);
    let (least, most) = profile.faults;
    let count = chance.between(least, most);
    let mut kinds: Vec<Kind> = Kind::ALL.to_vec();
    if profile.swarm {
        let wanted = chance.between(1, 9);
        while kinds.len() as u64 > wanted {
            kinds.swap_remove(chance.index(kinds.len()));
        }
    }
    // Some kinds many times, others hardly ever.
    let mut urn = Vec::new();
    for kind in kinds {
        urn.extend(std::iter::repeat_n(kind, STRENGTHS[chance.index(STRENGTHS.len())]));
    }
    let mut faults: Vec<Fault> = (0..count)
        .map(|_| {
            let kind = urn[chance.index(urn.len())];
            let lasts = match kind {
                Kind::Crash => chance.between(500 * MS, 20 * SECOND),
                Kind::Pause | Kind::DbCut | Kind::DbDown => chance.between(100 * MS, 15 * SECOND),
                Kind::Shaky | Kind::Slow => chance.between(5 * SECOND, 60 * SECOND),
                Kind::Skew => chance.between(5 * SECOND, 60 * SECOND),
                Kind::Tunnel | Kind::Alone => chance.between(SECOND, 40 * SECOND),
                Kind::Lossy | Kind::Doubles => chance.between(5 * SECOND, 60 * SECOND),
                Kind::PspDown => chance.between(SECOND, 40 * SECOND),
                Kind::PspShaky | Kind::PspBlind => chance.between(10 * SECOND, 90 * SECOND),
                Kind::PspSlow => chance.between(10 * SECOND, 60 * SECOND),
                Kind::HooksLost | Kind::HooksOdd => chance.between(20 * SECOND, 120 * SECOND),
                Kind::Stop
                | Kind::AnswerLost
                | Kind::WriteLost
                | Kind::WriteLate
                | Kind::Refused
                | Kind::Panic
                | Kind::PspDenies
                | Kind::Forged => 0,
            };
            let at = chance.between(5 * SECOND, profile.active);
            Fault { at, kind, whom: chance.below(1 << 16), lasts }
        })
        .collect();
    faults.sort_by_key(|fault| fault.at);
    faults
}

impl World {
    /// A fault begins.
    pub fn fault(&mut self, number: usize) {
        let Fault { kind, whom, lasts, .. } = self.plan[number];
        let (whom, until) = (usize::try_from(whom).unwrap_or(0), self.now + lasts);
        self.watch.count(kind.name());
        let (node, app) = (whom % self.nodes.len(), whom % self.apps.len());
        tell!(self, "fault {} {whom} {lasts}", kind.name());
        match kind {
            Kind::Crash if self.nodes[node].up => self.kill(node, lasts),
            Kind::Crash => {}
            Kind::Pause => self.nodes[node].paused_until = until,
            Kind::Stop => self.to_node(node, 0, NodeEvent::Stop),
            Kind::Skew => {
                let by = i64::try_from(whom % 8000).unwrap_or(0) - 4000;
                self.nodes[node].skew_ms = by;
                self.at(until, Event::Heal(number));
            }
            Kind::DbCut => self.nodes[node].cut_off(until),
            Kind::DbDown => {
                for node in &mut self.nodes {
                    node.cut_off(until);
                }
            }
            Kind::AnswerLost => self.write_fault(WriteFault::AnswerLost),
            Kind::WriteLost => self.write_fault(WriteFault::Lost),
            Kind::WriteLate => self.write_fault(WriteFault::Late),
            Kind::Refused => self.write_fault(WriteFault::Refused),
            Kind::Shaky => self.shaky_until = until,
            Kind::Slow => self.slow_until = until,
            Kind::Panic => {
                for node in 0..self.nodes.len() {
                    self.with_engine(node, |engine, world| engine.panic(world, whom));
                }
            }
            Kind::Tunnel => {
                self.apps[app].tunnel_until = until;
                self.cut_links(lasts, |way| way.app == app);
            }
            Kind::Alone => {
                self.nodes[node].alone_until = until;
                self.cut_links(lasts, |way| way.node == node);
            }
            Kind::Lossy => self.apps[app].lossy_until = until,
            Kind::Doubles => self.apps[app].doubles_until = until,
            Kind::PspShaky
            | Kind::PspDown
            | Kind::PspBlind
            | Kind::PspDenies
            | Kind::HooksLost
            | Kind::HooksOdd
            | Kind::Forged => self.provider_fault(kind, (whom, until)),
            Kind::PspSlow => {
                self.provider_fault(kind, (whom, until));
                self.at(until, Event::Heal(number));
            }
        }
    }

    /// The next write of whoever is at work goes wrong.
    fn write_fault(&mut self, fault: WriteFault) {
        for node in &mut self.nodes {
            if node.engine.is_some() {
                node.write_faults.push(fault);
            }
        }
    }

    /// What goes wrong with a write of `node` that is sent now. Where one goes wrong, so do others:
    /// a second fault while the first is still in doubt is what takes care.
    pub fn next_write_fault(&mut self, node: usize) -> Option<WriteFault> {
        let drawn = self.nodes[node].write_faults.pop();
        if drawn.is_some() || self.shaky_until <= self.now || !self.chance.percent(30) {
            return drawn;
        }
        Some(WriteFault::ALL[self.chance.index(WriteFault::ALL.len())])
    }

    /// What lasts longer than a connection does ends it; what is shorter only delays.
    fn cut_links(&mut self, lasts: Micros, hit: impl Fn(&crate::world::Link) -> bool) {
        if lasts < 8 * SECOND {
            return;
        }
        let links = self.links.iter().filter(|(_, way)| hit(way));
        let links: Vec<u64> = links.map(|(link, _)| *link).collect();
        for link in links {
            self.break_link(link);
        }
    }

    /// A fault ends.
    pub fn heal(&mut self, number: usize) {
        let whom = usize::try_from(self.plan[number].whom).unwrap_or(0);
        if self.plan[number].kind == Kind::PspSlow {
            return self.psp_pace(self.temper.purse.settles);
        }
        let node = whom % self.nodes.len();
        self.nodes[node].skew_ms = 0;
        // Whatever waits for a moment of the old clock looks again by the new one.
        tell!(self, "n{node} has the right time");
    }

    /// Whether a message of an app's REST is lost.
    pub fn loses(&mut self, app: usize) -> bool {
        self.apps[app].lossy_until > self.now && self.chance.percent(30)
    }
}
