//! The apps: phones of drivers and passengers, on a network that is what it is.
//!
//! An app keeps a session (an old one polls by REST), repeats what got no answer under the same id,
//! and believes what it is told. What it is told must have no gap.

mod broken;
mod court;
mod driver;
mod link;
mod passenger;
mod payer;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use ibora_domain::facts::{Answer, StreamRow};
use ibora_domain::ids::{OfferId, RideId, UserId};
use ibora_domain::mutants::{Mutant, is};
use ibora_domain::refusal::Refusal;
use ibora_domain::ride::Status;
use serde::Deserialize;

use crate::command::{Command, Down, MoneyCommand, Reply, Rest, Seen, Snapshot};
use crate::people;
use crate::queue::{MS, Micros, SECOND};
use crate::world::World;

/// How long an app waits for an answer before it asks again.
const ANSWER_WITHIN: Micros = 6 * SECOND;

/// What happens to an app.
pub enum AppEvent {
    Connect,
    /// The session that was asked for should have been welcomed by now.
    WelcomeBy {
        link: u64,
    },
    Closed {
        link: u64,
    },
    Frame {
        link: u64,
        frame: Down,
    },
    Answer {
        request: u64,
        reply: Reply,
    },
    /// A command had no answer yet, or one that says to ask again.
    Again {
        id: Arc<str>,
        attempt: u64,
    },
    Think,
    Poll,
    React {
        ride: RideId,
        offer: OfferId,
    },
    Step {
        ride: RideId,
    },
    Waver {
        ride: RideId,
    },
    Rate {
        ride: RideId,
    },
    Tip {
        ride: RideId,
    },
    /// An offer's time is over, as the app was told with it.
    Over {
        ride: RideId,
        offer: OfferId,
    },
}

/// A command that has no answer yet.
pub struct Doing {
    pub command: Rc<Command>,
    /// How often it was sent: an old timer means an earlier time.
    pub attempt: u64,
    /// The answer is no news: something was answered under its id before, or it made no sense.
    again: bool,
}

/// A phone.
pub struct App {
    pub user: UserId,
    phone: u64,
    /// Knows no sessions.
    pub old: bool,
    /// The node that it asks.
    node: usize,
    pub link: Option<u64>,
    /// Nothing arrives by its link any more, and it does not know yet.
    pub deaf: bool,
    pub welcomed: bool,
    /// The newest event it has, for going on after it.
    has: Option<(Arc<str>, u64)>,
    pub doing: BTreeMap<Arc<str>, Doing>,
    commands: u64,
    past: broken::Past,
    pub online: bool,
    pub ride: Option<Seen>,
    /// The chained ride that comes after it.
    pub next: Option<Seen>,
    pub offers: BTreeMap<RideId, OfferId>,
    /// The ride that was offered last.
    offered: Option<RideId>,
    /// The newest version of each ride that it was told of.
    versions: BTreeMap<RideId, u64>,
    stepping: bool,
    /// The newest question for a snapshot: older answers say nothing.
    snapshot: u64,
    pub tunnel_until: Micros,
    pub lossy_until: Micros,
    pub doubles_until: Micros,
}

#[derive(Deserialize)]
struct OfferBody {
    offer_id: OfferId,
}

impl App {
    #[must_use]
    pub fn new(user: UserId, phone: u64, old: bool) -> Self {
        Self {
            user,
            phone,
            old,
            node: 0,
            link: None,
            deaf: false,
            welcomed: false,
            has: None,
            doing: BTreeMap::new(),
            commands: 0,
            past: broken::Past::default(),
            online: false,
            ride: None,
            next: None,
            offers: BTreeMap::new(),
            offered: None,
            versions: BTreeMap::new(),
            stepping: false,
            snapshot: 0,
            tunnel_until: 0,
            lossy_until: 0,
            doubles_until: 0,
        }
    }

    /// `d3` or `p1/1`, the second phone of `p1`.
    #[must_use]
    pub fn name(&self) -> String {
        let name = people::name(self.user.0);
        if self.phone == 0 { name } else { format!("{name}/{}", self.phone) }
    }

    pub fn is_driver(&self) -> bool {
        people::is_driver(self.user)
    }

    /// Whether it waits for the answer to such a command.
    pub fn is_doing(&self, such: impl Fn(&Command) -> bool) -> bool {
        self.doing.values().any(|doing| such(&doing.command))
    }

    /// Takes in what it was told of a ride. What is older than what it knows says nothing.
    fn see(&mut self, seen: Seen) {
        let known = self.versions.entry(seen.ride).or_default();
        if seen.version < *known {
            return;
        }
        *known = seen.version;
        let his = !self.is_driver() || seen.driver == Some(self.user.into());
        let goes_on = his && !seen.status.is_final();
        self.next.take_if(|ride| ride.ride == seen.ride);
        if goes_on {
            self.offers.remove(&seen.ride);
        }
        if goes_on && self.is_driver() && seen.chained {
            self.next = Some(seen);
        } else if goes_on {
            self.ride = Some(seen);
        } else {
            self.ride.take_if(|ride| ride.ride == seen.ride);
        }
    }

    /// Knows nothing but what a snapshot says.
    fn begin_anew(&mut self, snapshot: &Snapshot) {
        self.online = snapshot.online;
        self.offers = snapshot.offers.iter().map(|open| (open.ride, open.offer)).collect();
        self.ride = None;
        self.next = None;
        for seen in snapshot.ride.into_iter().chain(snapshot.next) {
            self.see(seen);
        }
    }
}

impl World {
    /// Something happens to an app.
    pub fn app_event(&mut self, app: usize, what: AppEvent) {
        match what {
            AppEvent::Connect => self.connect(app),
            AppEvent::WelcomeBy { link } => self.give_up(app, link),
            AppEvent::Closed { link } => self.closed(app, link),
            AppEvent::Frame { link, frame } => {
                let phone = &self.apps[app];
                if phone.link == Some(link) && !phone.deaf {
                    self.told(app, frame);
                }
            }
            AppEvent::Answer { request, reply } => self.rest_told(app, request, reply),
            AppEvent::Again { id, attempt } => {
                let doing = self.apps[app].doing.get(&id);
                if doing.is_some_and(|doing| doing.attempt == attempt) {
                    self.transmit(app, &id);
                }
            }
            AppEvent::Think if self.apps[app].is_driver() => self.driver_thinks(app),
            AppEvent::Think => self.passenger_thinks(app),
            AppEvent::Poll => self.poll(app),
            AppEvent::React { ride, offer } => self.react(app, ride, offer),
            AppEvent::Step { ride } => self.step(app, ride),
            AppEvent::Waver { ride } => self.waver(app, ride),
            AppEvent::Rate { ride } => self.rate(app, ride),
            AppEvent::Tip { ride } => self.tips(app, ride),
            AppEvent::Over { ride, offer } => {
                let offers = &mut self.apps[app].offers;
                if offers.get(&ride) == Some(&offer) {
                    offers.remove(&ride);
                }
            }
        }
    }

    /// A person wants something.
    pub(crate) fn ask(&mut self, app: usize, command: Command) {
        let again = self.chance.percent(self.temper.reuses_ids);
        let phone = &mut self.apps[app];
        phone.commands += 1;
        let new = || Arc::from(format!("{}-{}", phone.name(), phone.commands));
        let used = phone.past.last().filter(|_| again);
        let (id, again) = (used.clone().unwrap_or_else(new), used.is_some());
        self.ask_as(app, (&id, again), command);
    }

    /// `again`: the answer is no news, as where it may be to another command of this id.
    fn ask_as(&mut self, app: usize, (id, again): (&Arc<str>, bool), command: Command) {
        let command = match command {
            Command::Request { metres, .. } => Command::Request { intent: Arc::clone(id), metres },
            command => command,
        };
        let doing = Doing { command: Rc::new(command), attempt: 0, again };
        self.apps[app].doing.insert(Arc::clone(id), doing);
        self.transmit(app, id);
    }

    /// Sends a command, by the session or by REST.
    pub(crate) fn transmit(&mut self, app: usize, id: &Arc<str>) {
        let by_session = self.chance.percent(85);
        let id = &self.id_to_send(app, id);
        let phone = &mut self.apps[app];
        let Some(doing) = phone.doing.get_mut(id) else { return };
        doing.attempt += 1;
        let (attempt, command) = (doing.attempt, Rc::clone(&doing.command));
        if attempt > 1 && !by_session {
            phone.node = 1 - phone.node.min(1);
        }
        let link = phone.link.filter(|_| phone.welcomed && by_session);
        match link {
            Some(link) => {
                let frame = crate::command::Up::Cmd { id: Arc::clone(id), command };
                self.send_up(link, frame);
            }
            None => self.send_rest(app, &Rest::Command { id: Arc::clone(id), command }),
        }
        let after = ANSWER_WITHIN + self.chance.below(4 * SECOND);
        self.to_app(app, after, AppEvent::Again { id: Arc::clone(id), attempt });
    }

    /// A command keeps its id for as long as it has no answer.
    fn id_to_send(&mut self, app: usize, id: &Arc<str>) -> Arc<str> {
        let phone = &mut self.apps[app];
        let sent = phone.doing.get(id).is_some_and(|doing| doing.attempt > 0);
        if !sent || !is(Mutant::RetryUnderNewId) {
            return Arc::clone(id);
        }
        let Some(doing) = phone.doing.remove(id) else { return Arc::clone(id) };
        phone.commands += 1;
        let id: Arc<str> = Arc::from(format!("{}-{}", phone.name(), phone.commands));
        phone.doing.insert(Arc::clone(&id), doing);
        id
    }

    /// A command was answered.
    fn answered(&mut self, app: usize, id: &Arc<str>, answer: Answer) {
        let Some(doing) = self.apps[app].doing.get(id) else { return };
        let again = matches!(
            answer,
            Err(Refusal::Unavailable
                | Refusal::NotOwner
                | Refusal::Overloaded
                | Refusal::IdempotencyInProgress)
        );
        if again {
            if answer == Err(Refusal::NotOwner) {
                let phone = &mut self.apps[app];
                phone.node = 1 - phone.node.min(1);
            }
            let Some(doing) = self.apps[app].doing.get(id) else { return };
            let attempt = doing.attempt;
            let after = self.chance.between(300 * MS, 3 * SECOND);
            self.to_app(app, after, AppEvent::Again { id: Arc::clone(id), attempt });
            return;
        }
        let (command, again) = (Rc::clone(&doing.command), doing.again);
        self.apps[app].doing.remove(id);
        match answer {
            _ if again => {}
            Ok(done) => self.went_well(app, &command, &done.body),
            Err(refusal) => self.went_wrong(app, &command, refusal),
        }
        self.errs(app, id, &command);
    }

    fn went_well(&mut self, app: usize, command: &Command, body: &str) {
        match command {
            Command::Online | Command::Offline => {
                self.apps[app].online = matches!(command, Command::Online);
            }
            Command::Decline { ride } => drop(self.apps[app].offers.remove(ride)),
            Command::Money(
                MoneyCommand::Intent { .. } | MoneyCommand::Tip { .. } | MoneyCommand::TopUp { .. },
            ) => self.billed(body),
            Command::Money(_) => {}
            Command::Request { .. }
            | Command::Accept { .. }
            | Command::Arrive { .. }
            | Command::Start { .. }
            | Command::Complete { .. }
            | Command::Cancel { .. }
            | Command::Rate { .. } => {
                if let Some(seen) = Seen::of_answer(body) {
                    self.saw(app, seen);
                }
            }
        }
    }

    fn went_wrong(&mut self, app: usize, command: &Command, refusal: Refusal) {
        match command {
            Command::Accept { ride, .. } | Command::Decline { ride } => {
                self.apps[app].offers.remove(ride);
            }
            Command::Start { .. } if refusal == Refusal::PinWrong => {}
            Command::Rate { .. } | Command::Money(_) => {}
            Command::Request { .. } if refusal == Refusal::DebtOutstanding => {
                self.asks_what_he_owes(app);
            }
            Command::Arrive { ride, .. }
            | Command::Start { ride, .. }
            | Command::Complete { ride }
            | Command::Cancel { ride }
                if refusal == Refusal::NotFound =>
            {
                // Not his any more: his other phone gave it back.
                self.apps[app].ride.take_if(|seen| seen.ride == *ride);
                self.apps[app].next.take_if(|seen| seen.ride == *ride);
            }
            // It knows less than it thought.
            Command::Online
            | Command::Offline
            | Command::Request { .. }
            | Command::Arrive { .. }
            | Command::Start { .. }
            | Command::Complete { .. }
            | Command::Cancel { .. } => self.ask_snapshot(app),
        }
    }

    /// A ride as it is now.
    fn saw(&mut self, app: usize, seen: Seen) {
        self.apps[app].see(seen);
        if seen.status == Status::Completed && !self.closing && self.chance.percent(30) {
            let after = self.chance.between(SECOND, 40 * SECOND);
            self.to_app(app, after, AppEvent::Rate { ride: seen.ride });
        }
        self.perhaps_tips(app, &seen);
        let phone = &self.apps[app];
        let Some(ride) = phone.ride.map(|ride| ride.ride) else { return };
        if phone.is_driver() {
            self.go_on_driving(app, ride);
        } else if !self.closing && seen.version <= 2 && self.chance.percent(self.temper.wavers) {
            let after = self.chance.between(SECOND, 60 * SECOND);
            self.to_app(app, after, AppEvent::Waver { ride });
        }
    }

    /// A durable event.
    fn event(&mut self, app: usize, row: &StreamRow) {
        match row.op {
            "ride.updated" => {
                if let Some(seen) = Seen::of_event(row) {
                    self.saw(app, seen);
                }
            }
            "offer.made" => {
                if let Ok(body) = serde_json::from_str::<OfferBody>(&row.body) {
                    self.offered(app, RideId(row.key), body.offer_id);
                }
            }
            "payment.updated" => self.billed_by_event(row),
            "payout.updated" => {}
            "offer.withdrawn" => drop(self.apps[app].offers.remove(&RideId(row.key))),
            _ => self.apps[app].online = row.body.contains(r#""status":"online""#),
        }
    }

    /// All that there is to know.
    fn anew(&mut self, app: usize, snapshot: &Snapshot) {
        self.apps[app].begin_anew(snapshot);
        if self.apps[app].is_driver() {
            for open in &snapshot.offers {
                self.offered(app, open.ride, open.offer);
            }
            if let Some(ride) = self.apps[app].ride.map(|seen| seen.ride) {
                self.go_on_driving(app, ride);
            }
        }
    }
}
