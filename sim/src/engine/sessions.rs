//! Sessions: who is connected, what they are told, and from where they go on. As `src/realtime`.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use ibora_domain::facts::{Answer, StreamRow};
use ibora_domain::ids::{DriverId, RideId, UserId};
use ibora_domain::machines::{DriverInput, Envelope, ReadAs, RideInput};
use ibora_domain::mutants::{Mutant, is};
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::DriverPosition;
use ibora_domain::session::{Sequence, Taken, resume_after};
use ibora_domain::units::Metres;

use super::{Engine, Had, Reply, Target};
use crate::app::AppEvent;
use crate::command::{Down, Seen, Snapshot, Up};
use crate::node::NodeEvent;
use crate::people;
use crate::queue::{Micros, SECOND};
use crate::tell;
use crate::world::{Ids, World};

/// How often the driver's actor hears that his session lives.
const SEEN_EVERY: Micros = 15 * SECOND;

/// A session of one device.
pub struct Session {
    user: UserId,
    sequence: Sequence,
    /// Events that wait until it is known which of them a snapshot tells of.
    gathered: Vec<(u64, Rc<StreamRow>)>,
    /// Answers that wait for the welcome.
    early: Vec<Down>,
    /// Where its client was.
    has: Option<(Arc<str>, u64)>,
    welcomed: bool,
}

/// For whom a snapshot is made.
#[derive(Debug, Clone, Copy)]
pub(super) enum For {
    Session { link: u64 },
    Rest { app: usize, request: u64 },
}

/// A snapshot in the making: where the stream was, and what was found out since.
pub(super) struct Opening {
    whom: For,
    user: UserId,
    head: (Arc<str>, u64),
    snapshot: Snapshot,
    /// The chained ride of a driver, looked for before the ride that he is on.
    next: Option<RideId>,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Head,
    Stand,
    Records { offered: bool },
    Ride,
    Next,
}

/// Snapshots in the making.
pub(super) type Openings = BTreeMap<u64, Opening>;

impl Engine {
    /// A frame came from an app.
    pub fn frame(&mut self, world: &mut World, link: u64, frame: Up) {
        let Some(way) = world.links.get(&link) else { return };
        let user = world.apps[way.app].user;
        match frame {
            Up::Hello { has } => self.hello(world, (link, user), has),
            Up::Cmd { id, command } if self.sessions.contains_key(&link) => {
                let target = Target::Frame { link, id: Arc::clone(&id) };
                self.command(world, (user, target), &id, &command);
            }
            Up::Position { metres } if self.sessions.contains_key(&link) => {
                self.position(world, user.into(), metres);
            }
            // Of a session that has ended meanwhile.
            Up::Cmd { .. } | Up::Position { .. } => {}
        }
    }

    fn hello(
        &mut self,
        world: &mut World,
        (link, user): (u64, UserId),
        has: Option<(Arc<str>, u64)>,
    ) {
        if self.may_act(world).is_err() {
            self.close(world, link);
            return;
        }
        // It enters the hub first, so that no event falls between the snapshot and the session.
        let sequence = Sequence::New;
        let session =
            Session { user, sequence, gathered: vec![], early: vec![], has, welcomed: false };
        self.sessions.insert(link, session);
        let others = self.hub.entry(user).or_default();
        others.push(link);
        let devices = if people::is_driver(user) { 1 } else { 3 };
        if others.len() > devices {
            let oldest = others.remove(0);
            self.close(world, oldest);
        }
        if people::is_driver(user) {
            self.send(world, Envelope::Driver(user.into(), DriverInput::SessionOpened));
            world.to_node(self.node, SEEN_EVERY, NodeEvent::Seen { link });
        }
        self.open(world, For::Session { link }, user);
    }

    /// Begins to find out what a person's app must show. How far the stream is is read first and
    /// the snapshot after it.
    pub(super) fn open(&mut self, world: &mut World, whom: For, user: UserId) {
        let number = Ids::next(&mut world.ids.request);
        let head = (Arc::from(""), 0);
        let (snapshot, next) = (Snapshot::default(), None);
        let opening = Opening { whom, user, head, snapshot, next, step: Step::Head };
        self.openings.insert(number, opening);
        let after = world.read_time();
        world.to_node(self.node, after, NodeEvent::Open { number });
    }

    /// The next step of a snapshot in the making.
    pub fn open_on(&mut self, world: &mut World, number: u64) {
        if self.may_act(world).is_err() || world.nodes[self.node].is_cut_off(world.now) {
            self.cannot_tell(world, number);
            return;
        }
        let Some(opening) = self.openings.get(&number) else { return };
        let (user, step) = (opening.user, opening.step);
        match step {
            Step::Head => {
                if !is(Mutant::SnapshotFirst) {
                    self.read_head(world, number, user);
                }
                if people::is_driver(user) {
                    self.stands(number, Step::Stand);
                    let reply = self.ask(world, number);
                    let input = DriverInput::Stand { reply };
                    self.send(world, Envelope::Driver(user.into(), input));
                } else {
                    self.stands(number, Step::Records { offered: false });
                    let after = world.read_time();
                    world.to_node(self.node, after, NodeEvent::Open { number });
                }
            }
            Step::Records { offered } => {
                if offered {
                    let now = world.clock(self.node);
                    let offers = world.db.open_offers(user.into(), now);
                    if let Some(opening) = self.openings.get_mut(&number) {
                        opening.snapshot.offers = offers;
                    }
                }
                let next = self.next_ride.get(&user.into()).copied();
                if let Some(opening) = self.openings.get_mut(&number) {
                    opening.next = next;
                }
                let ride = match self.on_ride.get(&user.0) {
                    Some(Had::Ride(ride)) => Some(*ride),
                    Some(Had::Unsure) => world.db.active_ride(user),
                    None => None,
                };
                match ride {
                    Some(ride) => self.ask_ride(world, number, (ride, Step::Ride)),
                    None => self.look_at_next(world, number),
                }
            }
            Step::Stand | Step::Ride | Step::Next => {}
        }
    }

    fn read_head(&mut self, world: &mut World, number: u64, user: UserId) {
        let head = match self.numbers.head(user.0) {
            Some(head) => head,
            None => {
                let new = format!("{:08x}", Ids::next(&mut world.ids.epoch));
                let (epoch, seq) = world.db.head(user.0, &new);
                self.numbers.begin(user.0, &epoch, seq);
                (epoch, u64::try_from(seq).unwrap_or(0))
            }
        };
        if let Some(opening) = self.openings.get_mut(&number) {
            opening.head = head;
        }
    }

    fn stands(&mut self, number: u64, step: Step) {
        if let Some(opening) = self.openings.get_mut(&number) {
            opening.step = step;
        }
    }

    fn ask(&self, world: &mut World, number: u64) -> Reply {
        let reply = Reply::new(world.expect(self.node, Target::Opening { number }));
        let deadline = NodeEvent::Deadline { reply: reply.id };
        world.to_node(self.node, 5 * SECOND, deadline);
        reply
    }

    /// The chained ride, if there is one, is asked for after the ride before it.
    fn look_at_next(&mut self, world: &mut World, number: u64) {
        let Some(opening) = self.openings.get(&number) else { return };
        let shown = opening.snapshot.ride.map(|seen| seen.ride);
        match opening.next.filter(|next| shown != Some(*next)) {
            Some(next) => self.ask_ride(world, number, (next, Step::Next)),
            None => self.finish(world, number),
        }
    }

    fn ask_ride(&mut self, world: &mut World, number: u64, (ride, step): (RideId, Step)) {
        self.stands(number, step);
        let Some(user) = self.openings.get(&number).map(|opening| opening.user) else { return };
        let reply = self.ask(world, number);
        let input = RideInput::Read { by: ReadAs::User(user), reply };
        self.send(world, Envelope::Ride(ride, input));
    }

    /// A machine's answer to a snapshot in the making.
    pub(super) fn opened(&mut self, world: &mut World, number: u64, answer: Answer) {
        let Some(opening) = self.openings.get_mut(&number) else { return };
        match (opening.step, answer) {
            (Step::Stand, Ok(done)) => {
                opening.snapshot.online = done.body.contains(r#""status":"online""#);
                let offered = done.body.ends_with(r#""offered":true}"#);
                opening.step = Step::Records { offered };
                let after = world.read_time();
                world.to_node(self.node, after, NodeEvent::Open { number });
            }
            (Step::Ride, Ok(done)) => {
                opening.snapshot.ride = Seen::of_answer(&done.body);
                self.look_at_next(world, number);
            }
            (Step::Next, Ok(done)) => {
                let next = Seen::of_answer(&done.body);
                match next {
                    Some(seen) if seen.chained => opening.snapshot.next = next,
                    // It was canceled while it was asked for, and the other goes on.
                    Some(seen) if seen.status.is_final() => {}
                    // Its turn has come since: the other has ended.
                    Some(_) | None => opening.snapshot.ride = next,
                }
                self.finish(world, number);
            }
            // It ended, or was given to another, since its id was read.
            (Step::Ride, Err(Refusal::NotFound)) => self.look_at_next(world, number),
            (Step::Next, Err(Refusal::NotFound)) => self.finish(world, number),
            (Step::Head | Step::Stand | Step::Records { .. } | Step::Ride | Step::Next, _) => {
                self.cannot_tell(world, number);
            }
        }
    }

    fn cannot_tell(&mut self, world: &mut World, number: u64) {
        let Some(opening) = self.openings.remove(&number) else { return };
        match opening.whom {
            For::Session { link } => self.close(world, link),
            For::Rest { app, request } => world.say_snapshot(self.node, (app, request), None),
        }
    }

    fn finish(&mut self, world: &mut World, number: u64) {
        if is(Mutant::SnapshotFirst)
            && let Some(user) = self.openings.get(&number).map(|opening| opening.user)
        {
            self.read_head(world, number, user);
        }
        let Some(opening) = self.openings.remove(&number) else { return };
        let Opening { whom, user, head, mut snapshot, .. } = opening;
        // One that ended while it was asked for is no ride to show.
        snapshot.ride = snapshot.ride.filter(|seen| !seen.status.is_final());
        world.watch_snapshot(user, head.1, &snapshot);
        let snapshot = Rc::new(snapshot);
        match whom {
            For::Rest { app, request } => {
                world.say_snapshot(self.node, (app, request), Some(snapshot));
            }
            For::Session { link } => self.welcome(world, (link, user), head, snapshot),
        }
    }

    fn welcome(
        &mut self,
        world: &mut World,
        (link, user): (u64, UserId),
        (epoch, seq): (Arc<str>, u64),
        snapshot: Rc<Snapshot>,
    ) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        if !session.sequence.open(seq) {
            return;
        }
        let has = session.has.as_ref().map(|(epoch, seq)| (&**epoch, *seq));
        let after = resume_after(has, (&epoch, seq));
        let first = if std::mem::replace(&mut session.welcomed, true) {
            Down::Sync { seq, snapshot }
        } else {
            let recovered = after.is_some();
            Down::Welcome { epoch, seq, recovered, snapshot }
        };
        let welcome = matches!(first, Down::Welcome { .. });
        let mut frames = vec![first];
        if let Some(after) = after.filter(|_| welcome) {
            let missed = world.db.events_between(user.0, after, seq).into_iter();
            frames.extend(missed.map(|(seq, row)| Down::Event { seq, row: Rc::new(row) }));
        }
        frames.append(&mut session.early);
        let gathered = std::mem::take(&mut session.gathered);
        for frame in frames {
            world.send_down(link, frame);
        }
        for (seq, row) in gathered {
            self.event(world, link, (seq, &row));
        }
    }

    /// A durable event goes to its person's sessions.
    pub(super) fn publish(&mut self, world: &mut World, seq: u64, row: &StreamRow) {
        let Some(links) = self.hub.get(&row.stream.user()) else { return };
        let row = Rc::new(row.clone());
        for link in links.clone() {
            self.event(world, link, (seq, &row));
        }
    }

    fn event(&mut self, world: &mut World, link: u64, (seq, row): (u64, &Rc<StreamRow>)) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        match session.sequence.take(seq) {
            Taken::Next => world.send_down(link, Down::Event { seq, row: Rc::clone(row) }),
            Taken::Known => {}
            Taken::Gathered => {
                session.gathered.push((seq, Rc::clone(row)));
                if session.sequence == Sequence::Gap {
                    tell!(world, "n{} a gap before {seq}", self.node);
                    let user = session.user;
                    self.open(world, For::Session { link }, user);
                }
            }
        }
    }

    /// The driver's session says that it lives.
    pub fn seen(&mut self, world: &mut World, link: u64) {
        let Some(session) = self.sessions.get(&link) else { return };
        let user = session.user;
        if world.links.get(&link).is_some_and(|way| !way.dead) {
            self.locate(world, user.into(), None);
        }
        self.send(world, Envelope::Driver(user.into(), DriverInput::Seen));
        world.to_node(self.node, SEEN_EVERY, NodeEvent::Seen { link });
    }

    fn position(&mut self, world: &mut World, driver: DriverId, metres: u32) {
        self.locate(world, driver, Some(metres));
        let Some(Had::Ride(ride)) = self.on_ride.get(&driver.0).copied() else { return };
        let position = DriverPosition {
            place: people::north_of_pickup(metres),
            at: world.clock(self.node),
            accuracy: Metres(10),
        };
        self.send(world, Envelope::Ride(ride, RideInput::Position { driver, position }));
    }

    /// Ends a session.
    pub fn close(&mut self, world: &mut World, link: u64) {
        self.forget_session(world, link);
        let after = world.hop();
        if let Some(way) = world.links.remove(&link) {
            let cut = world.cut_until(way.app, way.node) > 0 || way.dead;
            let after = if cut { after + 10 * SECOND } else { after };
            world.to_app(way.app, after, AppEvent::Closed { link });
        }
    }

    /// A session has ended.
    pub fn forget_session(&mut self, world: &mut World, link: u64) {
        let Some(session) = self.sessions.remove(&link) else { return };
        if let Some(links) = self.hub.get_mut(&session.user) {
            links.retain(|other| *other != link);
        }
        if people::is_driver(session.user) {
            let driver = session.user.into();
            self.send(world, Envelope::Driver(driver, DriverInput::SessionClosed));
        }
    }
}
