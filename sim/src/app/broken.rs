//! Broken apps: one id for several commands, commands sent again long after they were answered,
//! and commands that make no sense.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use super::Doing;
use crate::command::Command;
use crate::world::World;

/// Answered commands that an app remembers.
const PAST_MAX: usize = 8;

/// What an app was answered, newest last.
#[derive(Default)]
pub(super) struct Past(VecDeque<(Arc<str>, Rc<Command>)>);

impl Past {
    pub(super) fn last(&self) -> Option<Arc<str>> {
        self.0.back().map(|(id, _)| Arc::clone(id))
    }

    fn add(&mut self, id: &Arc<str>, command: &Rc<Command>) {
        self.0.push_back((Arc::clone(id), Rc::clone(command)));
        if self.0.len() > PAST_MAX {
            self.0.pop_front();
        }
    }
}

impl World {
    /// A command was answered: a broken app makes something of it.
    pub(super) fn errs(&mut self, app: usize, id: &Arc<str>, command: &Rc<Command>) {
        self.apps[app].past.add(id, command);
        if self.closing || !self.chance.percent(self.temper.reuses_ids) {
            return;
        }
        match self.chance.below(4) {
            0 => self.asks_again(app),
            1 => self.asks_nonsense(app),
            // It has one id for all that it has to do with an offer, however late.
            _ => {
                if let Some(ride) = self.apps[app].offered {
                    self.ask_as(app, (id, true), Command::Accept { ride, offer: None });
                }
            }
        }
    }

    /// Rates before there is anything to rate, or wants something of a ride that is not its own.
    fn asks_nonsense(&mut self, app: usize) {
        let (own, offered) = (self.apps[app].ride.map(|seen| seen.ride), self.apps[app].offered);
        match (self.chance.below(4), own, offered) {
            (0 | 1, Some(ride), _) => self.rate(app, ride),
            (2, _, Some(ride)) => self.asks_anew(app, Command::Decline { ride }),
            (_, _, Some(ride)) => self.asks_anew(app, Command::Arrive { ride, here: true }),
            (_, _, None) => {}
        }
    }

    /// Asks under a new id. That the ride was not its own says nothing, for by now it may be.
    fn asks_anew(&mut self, app: usize, command: Command) {
        let phone = &mut self.apps[app];
        phone.commands += 1;
        let id: Arc<str> = Arc::from(format!("{}-{}", phone.name(), phone.commands));
        self.ask_as(app, (&id, true), command);
    }

    /// Asks once more what was answered before, under its id.
    fn asks_again(&mut self, app: usize) {
        let of = self.apps[app].past.0.len();
        let nth = self.chance.index(of);
        let phone = &mut self.apps[app];
        let Some((id, command)) = phone.past.0.get(nth).cloned() else { return };
        if !phone.doing.contains_key(&id) {
            phone.doing.insert(Arc::clone(&id), Doing { command, attempt: 0, again: true });
            self.transmit(app, &id);
        }
    }
}
