//! The world: virtual time, what is to happen, and everything that it happens to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use ibora_domain::ids::UserId;
use ibora_domain::ledger::funded;
use ibora_domain::machines::{DriverPolicy, LinePolicy, WalletPolicy};
use ibora_domain::money::Centavos;
use ibora_domain::policy::RidePolicy;
use ibora_domain::units::{Millis, UnixMillis};
use ibora_psp::Script;

use crate::app::{App, AppEvent};
use crate::chance::Chance;
use crate::command::Up;
use crate::database::Database;
use crate::engine::{Pending, Target};
use crate::faults::{Fault, Profile};
use crate::node::{DbEvent, Node, NodeEvent};
use crate::people;
use crate::provider::{Provider, ProviderEvent};
use crate::queue::{MS, Micros, Queue, SECOND};
use crate::temper::Temper;
use crate::watch::Watch;

/// The wall clock's time when a run begins.
pub(crate) const BEGAN: UnixMillis = UnixMillis(1_760_000_000_000);

/// How long a person's engine remembers that nobody is there.
const PRESENCE: Millis = Millis::from_secs(45);

/// Something that happens.
pub enum Event {
    Node { node: usize, run: u64, what: NodeEvent },
    Db(DbEvent),
    App { app: usize, what: AppEvent },
    Fault(usize),
    Heal(usize),
    Provider(ProviderEvent),
}

/// The way between an app and an engine, for the life of one session.
pub struct Link {
    pub app: usize,
    pub node: usize,
    pub run: u64,
    /// When the last frame of each direction arrives: they do not overtake each other.
    up_at: Micros,
    down_at: Micros,
    /// Frames are lost on it; neither side knows yet.
    pub dead: bool,
}

/// Numbers for what is made in a run.
#[derive(Default)]
pub struct Ids {
    pub ride: u64,
    pub offer: u64,
    pub reply: u64,
    pub link: u64,
    pub batch: u64,
    pub request: u64,
    pub epoch: u64,
    pub payout: u64,
    pub dispute: u64,
}

impl Ids {
    /// The next of `counter`.
    pub fn next(counter: &mut u64) -> u64 {
        *counter += 1;
        *counter
    }
}

/// A story of a run, if somebody wants to read it.
#[derive(Default)]
pub struct Trace(Option<String>);

impl Trace {
    /// One that is written.
    #[must_use]
    pub fn on() -> Self {
        Self(Some(String::new()))
    }

    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub fn put(&mut self, now: Micros, line: &str) {
        if let Some(text) = &mut self.0 {
            let at = format!("{:>6}.{:06} ", now / SECOND, now % SECOND);
            text.push_str(&at);
            text.push_str(line);
            text.push('\n');
        }
    }

    #[must_use]
    pub fn text(self) -> String {
        self.0.unwrap_or_default()
    }
}

/// Tells a line of the story.
#[macro_export]
macro_rules! tell {
    ($world:expr, $($format:tt)*) => {
        if $world.trace.is_on() {
            let line = format!($($format)*);
            let now = $world.now;
            $world.trace.put(now, &line);
        }
    };
}

/// Everything.
pub struct World {
    pub now: Micros,
    pub chance: Chance,
    queue: Queue<Event>,
    pub db: Database,
    pub nodes: Vec<Node>,
    pub apps: Vec<App>,
    pub links: BTreeMap<u64, Link>,
    pub pending: BTreeMap<u64, Pending>,
    /// Places to answer to that were dropped without an answer.
    pub dropped: Rc<RefCell<Vec<u64>>>,
    pub ids: Ids,
    pub watch: Watch,
    pub trace: Trace,
    pub profile: Profile,
    pub temper: Temper,
    pub plan: Vec<Fault>,
    /// Until then the database is slow, and until then writes to it go wrong.
    pub slow_until: Micros,
    pub shaky_until: Micros,
    pub rides: Arc<RidePolicy>,
    pub drivers: Arc<DriverPolicy>,
    pub wallets: Arc<WalletPolicy>,
    pub line: LinePolicy,
    pub provider: Provider,
    /// No more rides are asked for.
    pub closing: bool,
    pub steps: u64,
}

impl World {
    /// A city of `profile`, where `plan` goes wrong.
    #[must_use]
    pub fn new(seed: u64, profile: Profile, plan: Vec<Fault>, trace: Trace) -> Self {
        let temper = Temper::drawn(seed, &profile);
        let (zones, payments) = (temper.town.zones(), temper.purse.payments());
        let rides = RidePolicy { zones, payments, ..RidePolicy::default() };
        let mut world = Self {
            now: 0,
            chance: Chance::new(seed, 1),
            queue: Queue::default(),
            db: Database::default(),
            nodes: (0..profile.nodes).map(Node::new).collect(),
            apps: Vec::new(),
            links: BTreeMap::new(),
            pending: BTreeMap::new(),
            dropped: Rc::default(),
            ids: Ids::default(),
            watch: Watch::default(),
            trace,
            profile,
            temper,
            plan,
            slow_until: 0,
            shaky_until: 0,
            rides: Arc::new(rides),
            drivers: Arc::new(DriverPolicy {
                offers_max: 3,
                presence: PRESENCE,
                passivate_after: Millis::from_secs(300),
            }),
            wallets: Arc::new(temper.purse.wallets()),
            line: LinePolicy::default(),
            provider: Provider::new(&temper.purse),
            closing: false,
            steps: 0,
        };
        world.fund();
        for node in 0..world.nodes.len() {
            let at = world.chance.below(SECOND);
            world.boot_at(node, at);
        }
        world.people();
        for fault in 0..world.plan.len() {
            let at = world.plan[fault].at;
            world.at(at, Event::Fault(fault));
        }
        world
    }

    /// The owner of the platform has put money in, or little.
    fn fund(&mut self) {
        self.deposit("start", self.temper.purse.funds);
    }

    /// No more is asked for; whoever waits for the owner's money gets it.
    pub fn close(&mut self) {
        self.closing = true;
        self.deposit("end", Centavos(1_000_000));
    }

    /// Nothing goes wrong any more, not even what was to go wrong with the provider's next orders.
    pub fn calm(&mut self) {
        *self.provider.books.script() = Script::default();
    }

    fn deposit(&mut self, reference: &str, amount: Centavos) {
        let at = self.wall();
        if let (Ok(()), Ok(event)) =
            (self.provider.books.deposit(amount, at), funded(reference, amount, at))
        {
            self.db.fund(&event);
            self.watch.funded(&event);
        }
    }

    fn people(&mut self) {
        let Temper { drivers, passengers, .. } = self.temper;
        for number in 0..drivers + passengers {
            let user: UserId = match number.checked_sub(drivers) {
                None => people::driver(number).into(),
                Some(number) => people::passenger(number).into(),
            };
            let phones = if self.chance.percent(self.temper.two_phones) { 2 } else { 1 };
            for phone in 0..phones {
                let old = self.chance.percent(self.profile.old_apps);
                let app = self.apps.len();
                self.apps.push(App::new(user, phone, old));
                let at = self.chance.between(SECOND / 10, 4 * SECOND);
                self.at(at, Event::App { app, what: AppEvent::Connect });
                let at = self.chance.between(SECOND, 20 * SECOND);
                self.at(at, Event::App { app, what: AppEvent::Think });
            }
        }
    }

    /// Tells that something happens at a time.
    pub fn at(&mut self, at: Micros, event: Event) {
        self.queue.push(at.max(self.now), event);
    }

    /// Tells that something happens to a node's present process.
    pub fn to_node(&mut self, node: usize, after: Micros, what: NodeEvent) {
        let run = self.nodes[node].run;
        self.at(self.now + after, Event::Node { node, run, what });
    }

    /// Tells that something happens to an app.
    pub fn to_app(&mut self, app: usize, after: Micros, what: AppEvent) {
        self.at(self.now + after, Event::App { app, what });
    }

    /// Domain time, by the clock of a node.
    #[must_use]
    pub fn clock(&self, node: usize) -> UnixMillis {
        let now = i64::try_from(self.now / MS).unwrap_or(i64::MAX);
        UnixMillis(BEGAN.0 + now + self.nodes[node].skew_ms)
    }

    /// Time that no clock can turn back, which is also the database's.
    #[must_use]
    pub fn steady(&self) -> Millis {
        Millis(self.now / MS)
    }

    /// How long until a node's clock shows `at`.
    #[must_use]
    pub fn until(&self, node: usize, at: UnixMillis) -> Micros {
        at.since(self.clock(node)).0.saturating_mul(MS)
    }

    /// A little work within a process, which sometimes is a lot.
    pub fn little(&mut self) -> Micros {
        if self.chance.percent(self.temper.stalls) {
            self.chance.between(MS, self.temper.stall)
        } else {
            self.chance.between(5, 300)
        }
    }

    /// A question to the database.
    pub fn read_time(&mut self) -> Micros {
        if self.slow_until > self.now {
            return self.chance.between(5 * MS, 300 * MS);
        }
        self.chance.between(200, 2 * MS)
    }

    /// Until a batch is on disk. What is decided meanwhile waits, and is the next batch.
    pub fn write_time(&mut self) -> Micros {
        let there = self.read_time();
        if self.slow_until > self.now {
            return there + self.chance.between(50 * MS, 1500 * MS);
        }
        there + self.chance.between(500, self.temper.commit)
    }

    /// A way through the mobile network.
    pub fn hop(&mut self) -> Micros {
        if self.chance.percent(3) {
            self.chance.between(200 * MS, 2 * SECOND)
        } else {
            self.chance.between(15 * MS, 150 * MS)
        }
    }

    /// Lets time pass until `end`, or until a promise is broken.
    pub fn run_until(&mut self, end: Micros) {
        while self.watch.broken.is_none() {
            let Some((at, event)) = self.queue.pop_until(end) else { break };
            self.now = at;
            self.steps += 1;
            self.happen(event);
            self.answer_dropped();
            self.watch_standings();
        }
        if self.watch.broken.is_none() {
            self.now = self.now.max(end);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Node { node, run, what } => self.node_event(node, run, what),
            Event::Db(what) => self.db_event(what),
            Event::App { app, what } => self.app_event(app, what),
            Event::Fault(fault) => self.fault(fault),
            Event::Heal(fault) => self.heal(fault),
            Event::Provider(what) => self.provider_event(what),
        }
    }

    /// Whoever waited for an answer that nobody can give any more hears so.
    fn answer_dropped(&mut self) {
        loop {
            let Some(reply) = self.dropped.borrow_mut().pop() else { return };
            self.answer_unavailable(reply);
        }
    }

    /// Opens a way between an app and a node.
    pub fn link(&mut self, app: usize, node: usize) -> u64 {
        let link = Ids::next(&mut self.ids.link);
        let run = self.nodes[node].run;
        let way = Link { app, node, run, up_at: 0, down_at: 0, dead: false };
        self.links.insert(link, way);
        link
    }

    /// Until when the way between an app and a node is cut; 0 if it is not.
    #[must_use]
    pub fn cut_until(&self, app: usize, node: usize) -> Micros {
        let until = self.apps[app].tunnel_until.max(self.nodes[node].alone_until);
        if until > self.now { until } else { 0 }
    }

    /// Sends a frame to an engine.
    pub fn send_up(&mut self, link: u64, frame: Up) {
        let hop = self.hop();
        let Some(way) = self.links.get(&link) else { return };
        let (app, node, run) = (way.app, way.node, way.run);
        if way.dead {
            return;
        }
        let at = (self.now + hop).max(self.cut_until(app, node) + hop);
        let Some(way) = self.links.get_mut(&link) else { return };
        way.up_at = way.up_at.max(at);
        let at = way.up_at;
        self.at(at, Event::Node { node, run, what: NodeEvent::Frame { link, frame } });
    }

    /// Sends a frame to an app.
    pub fn send_down(&mut self, link: u64, frame: crate::command::Down) {
        let hop = self.hop();
        let Some(way) = self.links.get(&link) else { return };
        let (app, node) = (way.app, way.node);
        if way.dead {
            return;
        }
        let at = (self.now + hop).max(self.cut_until(app, node) + hop);
        let Some(way) = self.links.get_mut(&link) else { return };
        way.down_at = way.down_at.max(at);
        let at = way.down_at;
        self.at(at, Event::App { app, what: AppEvent::Frame { link, frame } });
    }

    /// Loses whatever is on its way from now on; both sides find out in their time.
    pub fn break_link(&mut self, link: u64) {
        let client = self.chance.between(2 * SECOND, 25 * SECOND);
        let server = self.chance.between(2 * SECOND, 45 * SECOND);
        let Some(way) = self.links.get_mut(&link).filter(|way| !way.dead) else { return };
        way.dead = true;
        let (app, node, run) = (way.app, way.node, way.run);
        // Also once the engine has forgotten the link: what was on its way is lost for good.
        self.apps[app].deaf |= self.apps[app].link == Some(link);
        self.to_app(app, client, AppEvent::Closed { link });
        let what = NodeEvent::Hangup { link };
        self.at(self.now + server, Event::Node { node, run, what });
    }

    /// A place to answer to.
    pub fn expect(&mut self, node: usize, target: Target) -> (u64, Rc<RefCell<Vec<u64>>>) {
        let id = Ids::next(&mut self.ids.reply);
        let run = self.nodes[node].run;
        self.pending.insert(id, Pending { node, run, target, asked: None });
        (id, Rc::clone(&self.dropped))
    }
}
