//! What a session's frames set in motion: commands, positions, refreshed tokens.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use ibora_domain::facts::Answer;
use ibora_domain::ids::DriverId;
use ibora_domain::person::Role;
use secrecy::{ExposeSecret, SecretString};

use super::Shared;
use super::close::Close;
use super::frames::{Cmd, Fault};
use super::opening::Holder;
use super::outbox::Outbox;
use super::say;
use super::session::{Session, Turn};
use crate::actors::parse::{self, Estimate};
use crate::actors::{Caller, Command, Sent, stream_of};

/// Commands of one session that are being carried out.
const IN_FLIGHT_MAX: u32 = 64;

/// One session's ends: its rules, its outbox, and the engine behind it.
///
/// Lives on one thread: its reader and its writer are one task.
pub(super) struct Link {
    pub(super) shared: Arc<Shared>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) session: RefCell<Session>,
    caller: Caller,
    may_write: Cell<bool>,
    in_flight: Rc<Cell<u32>>,
}

impl Link {
    pub(super) fn new(
        shared: Arc<Shared>,
        outbox: Arc<Outbox>,
        session: Session,
        holder: &Holder,
    ) -> Self {
        Self {
            shared,
            outbox,
            session: RefCell::new(session),
            caller: holder.caller,
            may_write: Cell::new(holder.may_write),
            in_flight: Rc::default(),
        }
    }

    /// A text frame came. True if it asked for an answer.
    pub(super) fn on_text(&self, now: Instant, text: &str) -> bool {
        let turn = self.session.borrow_mut().on_text(now, text);
        match &turn {
            Turn::Positions => self.shared.counters.positions.inc(),
            Turn::Command(_) => self.shared.counters.commands.inc(),
            Turn::OverRate { .. }
            | Turn::Quiet
            | Turn::Acked { .. }
            | Turn::Say(_)
            | Turn::Refresh(_)
            | Turn::Seen => self.shared.counters.others.inc(),
        }
        let quiet = matches!(turn, Turn::Positions | Turn::Quiet | Turn::Acked { .. });
        self.carry_out(now, turn);
        !quiet
    }

    /// Does what is due at `now`.
    pub(super) fn on_time(&self, now: Instant) {
        loop {
            let turn = {
                let mut session = self.session.borrow_mut();
                if session.end().is_some() || session.deadline() > now {
                    return;
                }
                session.on_time(now, self.shared.dispatch.now())
            };
            self.carry_out(now, turn);
        }
    }

    fn carry_out(&self, now: Instant, turn: Turn) {
        match turn {
            Turn::Quiet => {}
            Turn::Say(frame) => self.outbox.put(frame),
            Turn::OverRate { commands, told } => {
                self.shared.counters.rate_limited(commands);
                if let Some(frame) = told {
                    self.outbox.put(frame);
                }
            }
            Turn::Positions => {
                let driver = DriverId::from(self.caller.user);
                self.shared.dispatch.report_positions(driver, self.session.borrow().points());
            }
            Turn::Acked { seq } => {
                self.shared.dispatch.journal().acknowledge(self.caller.user, seq);
            }
            Turn::Seen => self.shared.dispatch.driver_seen(DriverId::from(self.caller.user)),
            Turn::Refresh(bearer) => self.refresh(now, &bearer),
            Turn::Command(cmd) => self.command(now, cmd),
        }
    }

    /// Tells the truth after a gap, and goes on from there.
    ///
    /// # Errors
    /// [`Close`] where the truth cannot be read now.
    pub(super) async fn sync(&self) -> Result<(), Close> {
        let stream = stream_of(self.caller).ok_or(Close::Forbidden)?;
        let truth = self.shared.truth(self.caller).await.map_err(|_| Close::Gap)?;
        let (epoch, seq) = (&*truth.epoch, truth.seq);
        let frame = say::sync(stream, (epoch, seq), &truth.snapshot.json);
        let mut session = self.session.borrow_mut();
        session.resumes_after(seq);
        session.shows(Instant::now(), &truth.snapshot);
        drop(session);
        self.outbox.open(frame, Vec::new(), seq);
        Ok(())
    }

    fn refresh(&self, now: Instant, bearer: &SecretString) {
        let holder = self.shared.readmit(self.caller, bearer.expose_secret(), now);
        let mut session = self.session.borrow_mut();
        let turn = match holder {
            Some(holder) => {
                self.may_write.set(holder.may_write);
                session.refreshed(now, holder.expires)
            }
            None => session.refused(now),
        };
        drop(session);
        self.carry_out(now, turn);
    }

    /// Begins to carry out a command. Its answer goes out when it is there: one that waits for a
    /// commit holds up no other.
    fn command(&self, now: Instant, cmd: Box<Cmd>) {
        if !self.may_write.get() {
            return self.outbox.put(say::error(Some(&cmd.id), "insufficient_scope", None));
        }
        let asked = match asked(&cmd) {
            Ok(asked) => asked,
            Err(errors) => {
                let fault = Fault { code: "invalid", errors };
                return self.outbox.put(say::fault(Some(&cmd.id), &fault));
            }
        };
        let Some(place) = InFlight::enter(&self.in_flight) else {
            return self.outbox.put(say::error(Some(&cmd.id), "overloaded", Some(1000)));
        };
        self.session.borrow_mut().on_life(now);
        let (shared, outbox) = (Arc::clone(&self.shared), Arc::clone(&self.outbox));
        let caller = self.caller;
        // On its own: once begun, a command does not end with the session that sent it.
        actix_web::rt::spawn(async move {
            let _place = place;
            let answer = carry_out(&shared, caller, &cmd, asked).await;
            outbox.put(say::answer(&cmd, caller.role == Role::Driver, &answer));
        });
    }
}

/// What a command asks for, read by the same functions as over REST.
enum Asked {
    Change(Command),
    Price(Estimate),
}

fn asked(cmd: &Cmd) -> parse::Read<Asked> {
    match cmd.op.as_str() {
        "ride.estimate" => parse::estimate(&cmd.d).map(Asked::Price),
        op => parse::command(op, cmd.key, &cmd.d).map(Asked::Change),
    }
}

async fn carry_out(shared: &Shared, caller: Caller, cmd: &Cmd, asked: Asked) -> Answer {
    match asked {
        Asked::Price(estimate) => shared.dispatch.estimate(caller, &estimate).await,
        Asked::Change(command) => {
            let id = Some(cmd.id.clone());
            let sent = Sent { id, if_version: cmd.if_version, command };
            shared.dispatch.command(caller, sent).await
        }
    }
}

/// A command's place among those in flight, until dropped.
struct InFlight(Rc<Cell<u32>>);

impl InFlight {
    fn enter(count: &Rc<Cell<u32>>) -> Option<Self> {
        let free = count.get() < IN_FLIGHT_MAX;
        free.then(|| {
            count.set(count.get() + 1);
            Self(Rc::clone(count))
        })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
