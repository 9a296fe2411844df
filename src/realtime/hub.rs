//! The hub: who is connected, and on which devices. What the engine has to say to a person goes
//! through here into the outboxes of their sessions.
//!
//! A driver has one live session, a passenger up to three devices; whoever is welcome beyond that
//! ends the one before (4004). Putting something in never waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ibora_domain::facts::StreamRow;
use ibora_domain::ids::UserId;
use ibora_domain::machines::Ephemeral;
use ibora_domain::person::Role;
use parking_lot::Mutex;
use uuid::Uuid;

use super::close::Close;
use super::outbox::Outbox;
use super::say;
use crate::actors::PushEphemeral;
use crate::obs::{Metrics, failpoint};

/// Locks over which people are spread.
const STRIPES: usize = 64;
/// Groups in which sessions are sent away when the engine stops.
const DRAIN_STEPS: u32 = 20;

/// Everybody who is connected to this engine.
pub struct Hub {
    stripes: Vec<Mutex<HashMap<UserId, Vec<Member>>>>,
    passenger_devices_max: usize,
    sessions: AtomicUsize,
    draining: AtomicBool,
    metrics: Arc<Metrics>,
}

#[derive(Clone)]
struct Member {
    session: Uuid,
    device: Uuid,
    outbox: Arc<Outbox>,
}

/// A session that is about to begin.
pub(super) struct Entrant {
    pub(super) user: UserId,
    pub(super) role: Role,
    pub(super) session: Uuid,
    pub(super) device: Uuid,
    pub(super) outbox: Arc<Outbox>,
}

/// A session's place in the hub, until dropped.
pub(super) struct Membership {
    hub: Arc<Hub>,
    user: UserId,
    role: Role,
    session: Uuid,
}

impl Hub {
    /// A hub with nobody in it.
    #[must_use]
    pub fn new(passenger_devices_max: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            passenger_devices_max,
            sessions: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            metrics,
        })
    }

    /// Takes durable events after their commit, those of one person in `seq` order. Events of
    /// people who are not connected cost a look. Never waits.
    pub fn publish(&self, events: impl IntoIterator<Item = (u64, StreamRow)>) {
        for (seq, row) in events {
            let people = self.stripe(row.stream.user()).lock();
            let Some((last, others)) =
                people.get(&row.stream.user()).and_then(|members| members.split_last())
            else {
                continue;
            };
            failpoint!(each crate::obs::failpoints::event(&row));
            // Encoded once, copied for all devices but one.
            let frame = say::event(seq, &row);
            for member in others {
                member.outbox.event(frame.clone());
            }
            last.outbox.event(frame);
        }
    }

    /// Where the actors' ephemeral frames go.
    #[must_use]
    pub fn pusher(self: &Arc<Self>) -> PushEphemeral {
        let hub = Arc::clone(self);
        Arc::new(move |frame| hub.show(&frame))
    }

    fn show(&self, frame: &Ephemeral) {
        let people = self.stripe(frame.to).lock();
        let Some(members) = people.get(&frame.to) else { return };
        let said = say::ephemeral(frame);
        for member in members {
            member.outbox.show(frame.op, frame.key, said.clone());
        }
    }

    /// Sends everybody away, spread over `within` so that they do not all come back at once, and
    /// lets nobody in any more.
    pub async fn drain(&self, within: Duration) {
        self.draining.store(true, Ordering::Release);
        let mut steps: Vec<Vec<Arc<Outbox>>> = vec![Vec::new(); DRAIN_STEPS as usize];
        let everybody = self.stripes.iter().flat_map(|stripe| {
            stripe
                .lock()
                .values()
                .flatten()
                .map(|member| Arc::clone(&member.outbox))
                .collect::<Vec<_>>()
        });
        for (at, outbox) in everybody.enumerate() {
            steps[at % DRAIN_STEPS as usize].push(outbox);
        }
        let pause = within / DRAIN_STEPS;
        for (outboxes, step) in steps.iter().zip(1..) {
            let in_ms = u64::try_from((pause * step).as_millis()).unwrap_or(u64::MAX);
            outboxes.iter().for_each(|outbox| outbox.put(say::drain(in_ms)));
        }
        for outboxes in steps.iter().filter(|outboxes| !outboxes.is_empty()) {
            tokio::time::sleep(pause).await;
            outboxes.iter().for_each(|outbox| outbox.close(Close::Drain));
        }
    }

    /// Sends everybody away at once, and lets nobody in any more: another engine has taken over, so
    /// what is said here may no longer be true.
    pub fn move_away(&self) {
        self.draining.store(true, Ordering::Release);
        for stripe in &self.stripes {
            let people = stripe.lock();
            people.values().flatten().for_each(|member| member.outbox.close(Close::Moved));
        }
    }

    /// Ends every session of a person whose access is no longer good.
    pub fn end_sessions(&self, user: UserId) {
        let people = self.stripe(user).lock();
        for member in people.get(&user).into_iter().flatten() {
            member.outbox.close(Close::Credentials);
        }
    }

    /// Whether sessions are sent away.
    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// How many sessions there are.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// Lets a session in. From here on its outbox gathers events.
    pub(super) fn enter(self: &Arc<Self>, entrant: Entrant) -> Membership {
        let Entrant { user, role, session, device, outbox } = entrant;
        let member = Member { session, device, outbox };
        self.stripe(user).lock().entry(user).or_default().push(member);
        self.sessions.fetch_add(1, Ordering::Relaxed);
        self.metrics.ws_sessions.with_label_values(&[role.as_str()]).inc();
        Membership { hub: Arc::clone(self), user, role, session }
    }

    fn stripe(&self, user: UserId) -> &Mutex<HashMap<UserId, Vec<Member>>> {
        &self.stripes[usize::from(ibora_domain::ids::Shard::of(user.0).number()) % STRIPES]
    }
}

impl Membership {
    /// Closes the older sessions that this one, now that it is welcome, is instead of. One that
    /// never is, as where the truth cannot be read, sends nobody away.
    pub(super) fn supersede(&self) {
        let room_for = match self.role {
            Role::Passenger => self.hub.passenger_devices_max,
            Role::Driver | Role::Admin | Role::Partner => 1,
        };
        let mut people = self.hub.stripe(self.user).lock();
        let Some(members) = people.get_mut(&self.user) else { return };
        let this = members.iter().position(|member| member.session == self.session);
        // One that is not there any more was superseded itself.
        let Some(this) = this else { return };
        let device = members[this].device;
        let mut superseded: Vec<Member> =
            members.extract_if(..this, |member| member.device == device).collect();
        let older = this - superseded.len();
        superseded.extend(members.drain(..(older + 1).saturating_sub(room_for)));
        drop(people);
        for member in superseded {
            member.outbox.close(Close::Superseded);
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.hub.sessions.fetch_sub(1, Ordering::Relaxed);
        self.hub.metrics.ws_sessions.with_label_values(&[self.role.as_str()]).dec();
        let mut people = self.hub.stripe(self.user).lock();
        if let Some(members) = people.get_mut(&self.user) {
            members.retain(|member| member.session != self.session);
            if members.is_empty() {
                people.remove(&self.user);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use ibora_domain::facts::StreamId;
    use ibora_domain::ids::{DriverId, PassengerId};

    use super::super::outbox::{Bounds, Next};
    use super::super::say::{Kind, Outgoing};
    use super::*;

    struct Phone {
        outbox: Arc<Outbox>,
        member: Membership,
    }

    impl Phone {
        fn enter(hub: &Arc<Hub>, user: UserId, role: Role, device: u128) -> Self {
            let phone = Self::come(hub, user, role, device);
            phone.member.supersede();
            phone
        }

        /// Is not welcome yet.
        fn come(hub: &Arc<Hub>, user: UserId, role: Role, device: u128) -> Self {
            let outbox = Arc::new(Outbox::new(Bounds { frames: 16, bytes: 4096 }));
            outbox.open(Outgoing::plain(Kind::Welcome, "welcome".into()), vec![], 0);
            let (session, device) = (Uuid::now_v7(), Uuid::from_u128(device));
            let entrant = Entrant { user, role, session, device, outbox: Arc::clone(&outbox) };
            Self { outbox, member: hub.enter(entrant) }
        }

        fn read(&self) -> (Vec<Kind>, Next) {
            let mut frames = VecDeque::new();
            self.outbox.take(&mut frames);
            let kinds = frames.drain(..).map(|frame| frame.kind).collect();
            (kinds, self.outbox.take(&mut frames))
        }

        fn end(&self) -> Option<Close> {
            match self.read().1 {
                Next::End(close) => Some(close),
                Next::Write | Next::Wait | Next::Sync => None,
            }
        }
    }

    fn hub() -> (Arc<Hub>, UserId) {
        (Hub::new(3, Metrics::new()), UserId(Uuid::now_v7()))
    }

    fn row(stream: StreamId) -> StreamRow {
        let (op, key) = ("payment.updated", Uuid::nil());
        let body = "{}".into();
        StreamRow { stream, op, key, version: 1, expires_at: None, urgent: false, body }
    }

    #[test]
    fn a_driver_has_one_session_and_the_newest_has_it() {
        let (hub, user) = hub();
        let first = Phone::enter(&hub, user, Role::Driver, 1);
        let second = Phone::enter(&hub, user, Role::Driver, 2);
        assert_eq!((first.end(), second.end()), (Some(Close::Superseded), None));
        drop(first);
        assert_eq!(hub.sessions(), 1, "the one that was superseded takes nobody with it");
        hub.publish([(1, row(StreamId::Driver(DriverId(user.0))))]);
        assert_eq!(second.read().0, [Kind::Evt]);
        drop(second);
        assert_eq!(hub.sessions(), 0);
    }

    #[test]
    fn who_is_not_welcome_yet_sends_nobody_away_and_of_two_the_later_comer_stays() {
        let (hub, user) = hub();
        let first = Phone::enter(&hub, user, Role::Driver, 1);
        let [second, third] = [1, 2].map(|device| Phone::come(&hub, user, Role::Driver, device));
        assert_eq!([&first, &second, &third].map(Phone::end), [None; 3]);
        hub.publish([(1, row(StreamId::Driver(DriverId(user.0))))]);
        assert_eq!(third.read().0, [Kind::Evt], "what comes meanwhile is not missed");
        third.member.supersede();
        let superseded = Some(Close::Superseded);
        assert_eq!([&first, &second, &third].map(Phone::end), [superseded, superseded, None]);
        second.member.supersede();
        assert_eq!(third.end(), None, "the one that was superseded meanwhile ends nobody");
    }

    #[test]
    fn a_passenger_has_three_devices_and_all_get_the_events() {
        let (hub, user) = hub();
        let enter = |device| Phone::enter(&hub, user, Role::Passenger, device);
        let phones = [enter(1), enter(2), enter(3)];
        assert_eq!(phones.each_ref().map(Phone::end), [None; 3]);
        hub.publish([(1, row(StreamId::Passenger(PassengerId(user.0))))]);
        assert!(phones.iter().all(|phone| phone.read().0 == [Kind::Evt]));
        let again = enter(2);
        let superseded = Some(Close::Superseded);
        assert_eq!(phones.each_ref().map(Phone::end), [None, superseded, None]);
        let fourth = enter(4);
        assert_eq!(phones.each_ref().map(Phone::end), [superseded, superseded, None]);
        assert_eq!((again.end(), fourth.end()), (None, None));
    }

    #[test]
    fn events_of_others_and_of_the_absent_go_nowhere() {
        let (hub, user) = hub();
        let phone = Phone::enter(&hub, user, Role::Passenger, 1);
        phone.read();
        let other = UserId(Uuid::now_v7());
        hub.publish([(1, row(StreamId::Passenger(other.into())))]);
        let body = "{}".into();
        let op = "driver.position";
        (hub.pusher())(Ephemeral { to: other, op, key: Uuid::nil(), body: Arc::clone(&body) });
        assert_eq!(phone.read(), (vec![], Next::Wait));
        (hub.pusher())(Ephemeral { to: user, op, key: Uuid::nil(), body });
        assert_eq!(phone.read().0, [Kind::Eph]);
    }

    #[test]
    fn whose_token_was_copied_is_sent_away_on_every_device_and_nobody_else_is() {
        let (hub, user) = hub();
        let phones = [1, 2].map(|device| Phone::enter(&hub, user, Role::Passenger, device));
        let other = Phone::enter(&hub, UserId(Uuid::now_v7()), Role::Passenger, 1);
        hub.end_sessions(user);
        assert_eq!(phones.each_ref().map(Phone::end), [Some(Close::Credentials); 2]);
        assert_eq!(other.end(), None);
    }

    #[test]
    fn who_is_on_an_engine_that_lost_its_work_is_sent_to_another_at_once() {
        let (hub, user) = hub();
        let phone = Phone::enter(&hub, user, Role::Driver, 1);
        hub.move_away();
        assert_eq!(phone.end(), Some(Close::Moved));
        assert!(hub.is_draining());
    }

    #[tokio::test]
    async fn a_drain_says_when_and_then_closes() {
        let (hub, user) = hub();
        let phone = Phone::enter(&hub, user, Role::Passenger, 1);
        hub.drain(Duration::from_millis(20)).await;
        assert_eq!(phone.read(), (vec![Kind::Welcome, Kind::Drain], Next::End(Close::Drain)));
        assert!(hub.is_draining());
    }
}
