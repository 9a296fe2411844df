//! How an app reaches an engine: a session that goes on where it was, and REST beside it.

use std::sync::Arc;

use super::AppEvent;
use crate::command::{Down, Reply, Rest, Up};
use crate::node::NodeEvent;
use crate::queue::{MS, SECOND};
use crate::tell;
use crate::watch::SESSION;
use crate::world::{Event, Ids, World};

impl World {
    pub(super) fn connect(&mut self, app: usize) {
        let phone = &self.apps[app];
        if phone.old {
            self.to_app(app, SECOND, AppEvent::Poll);
            return;
        }
        if phone.link.is_some() {
            return;
        }
        let node = phone.node.min(self.nodes.len() - 1);
        let cut = self.cut_until(app, node);
        if cut > 0 {
            let after = (cut - self.now).min(5 * SECOND) + self.chance.below(SECOND);
            self.try_the_other(app);
            self.to_app(app, after, AppEvent::Connect);
            return;
        }
        if !self.nodes[node].up || self.nodes[node].engine.is_none() {
            // Refused, or told that another has the work.
            self.try_the_other(app);
            let after = self.chance.between(300 * MS, 2 * SECOND);
            self.to_app(app, after, AppEvent::Connect);
            return;
        }
        let link = self.link(app, node);
        let phone = &mut self.apps[app];
        phone.link = Some(link);
        phone.deaf = false;
        phone.welcomed = false;
        let has = phone.has.clone();
        self.send_up(link, Up::Hello { has });
        self.to_app(app, 8 * SECOND, AppEvent::WelcomeBy { link });
    }

    fn try_the_other(&mut self, app: usize) {
        let phone = &mut self.apps[app];
        phone.node = 1 - phone.node.min(1);
    }

    /// No welcome came: tries again.
    pub(super) fn give_up(&mut self, app: usize, link: u64) {
        if self.apps[app].link == Some(link) && !self.apps[app].welcomed {
            self.break_link(link);
            self.closed(app, link);
        }
    }

    pub(super) fn closed(&mut self, app: usize, link: u64) {
        let phone = &mut self.apps[app];
        if phone.link != Some(link) {
            return;
        }
        phone.link = None;
        phone.welcomed = false;
        self.try_the_other(app);
        let after = self.chance.between(200 * MS, 3 * SECOND);
        self.to_app(app, after, AppEvent::Connect);
    }

    /// A frame came. Events have no gap, from one session to the next.
    pub(super) fn told(&mut self, app: usize, frame: Down) {
        match frame {
            Down::Welcome { epoch, seq, recovered, snapshot } => {
                self.apps[app].welcomed = true;
                if !recovered {
                    self.apps[app].has = Some((epoch, seq));
                    self.anew(app, &snapshot);
                }
            }
            Down::Sync { seq, snapshot } => {
                if let Some((_, has)) = &mut self.apps[app].has {
                    *has = seq;
                }
                self.anew(app, &snapshot);
            }
            Down::Event { seq, row } => {
                let (name, now) = (self.apps[app].name(), self.now);
                let Some((_, has)) = &mut self.apps[app].has else { return };
                let before = std::mem::replace(has, seq);
                self.watch.checks += 1;
                let what = || format!("{name} had event {before}, then got {seq}");
                if seq != before + 1 {
                    self.watch.check(now, SESSION, (false, what()));
                }
                tell!(self, "{name} event {seq} {}", row.op);
                self.event(app, &row);
            }
            Down::Res { id, answer } => self.answered(app, &id, answer),
        }
    }

    /// Asks by REST. It may be lost, and it may come twice.
    pub(super) fn send_rest(&mut self, app: usize, rest: &Rest) {
        let request = Ids::next(&mut self.ids.request);
        if matches!(rest, Rest::Snapshot) {
            self.apps[app].snapshot = request;
        }
        let times = if self.apps[app].doubles_until > self.now { 2 } else { 1 };
        for _ in 0..times {
            let node = self.apps[app].node.min(self.nodes.len() - 1);
            let hop = self.hop();
            if self.cut_until(app, node) > 0 || self.loses(app) || !self.nodes[node].up {
                continue;
            }
            let run = self.nodes[node].run;
            let what = NodeEvent::Rest { app, request, rest: rest.clone() };
            self.at(self.now + hop, Event::Node { node, run, what });
        }
    }

    pub(super) fn rest_told(&mut self, app: usize, request: u64, reply: Reply) {
        match reply {
            Reply::Answer { id, answer } => self.answered(app, &id, answer),
            Reply::Snapshot(Some(snapshot)) if self.apps[app].snapshot == request => {
                // What a session tells is newer than what was asked beside it.
                if self.apps[app].old {
                    self.anew(app, &snapshot);
                }
            }
            Reply::Snapshot(None) => self.try_the_other(app),
            Reply::Snapshot(Some(_)) => {}
        }
    }

    /// An old app asks how things are, again and again.
    pub(super) fn poll(&mut self, app: usize) {
        self.send_rest(app, &Rest::Snapshot);
        if self.chance.percent(10) {
            self.try_the_other(app);
        }
        let after = self.chance.between(3 * SECOND, 8 * SECOND);
        self.to_app(app, after, AppEvent::Poll);
    }

    pub(super) fn ask_snapshot(&mut self, app: usize) {
        if self.apps[app].old {
            self.send_rest(app, &Rest::Snapshot);
        }
    }

    /// Whether an app has what its stream has.
    #[must_use]
    pub fn is_up_to_date(&self, app: usize) -> bool {
        let phone = &self.apps[app];
        let (last, epoch) = self.db.stream(phone.user.0);
        let has = phone.has.as_ref().map(|(epoch, seq)| (Arc::clone(epoch), *seq));
        let last = u64::try_from(last).unwrap_or(0);
        phone.old || (phone.welcomed && has == epoch.map(|epoch| (epoch, last)))
    }
}
