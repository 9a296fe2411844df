//! Many clients that hold a session and do nothing with it: heartbeats, and coming back when it is
//! lost, as the contract asks of every client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use ibora::bots::Person;
use ibora_domain::place::Coordinates;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::backoff::Backoff;
use crate::client::{Client, StreamAt};
use crate::report::say;

/// Sessions that are opened at the same time at first. Whoever comes back asks nobody.
const CONNECTING: usize = 32;
/// Share of the longest silence after which a client sends something.
const BEAT: std::ops::Range<f64> = 0.5..0.7;
/// Drivers go online within this time.
const GOING_ONLINE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const SAY_EVERY: Duration = Duration::from_secs(2);
const WITHIN: Duration = Duration::from_secs(180);

/// Clients that stay until this is dropped.
pub(super) struct Crowd {
    shared: Arc<Shared>,
    _clients: JoinSet<()>,
    online: watch::Sender<bool>,
    count: usize,
}

struct Shared {
    address: SocketAddr,
    /// How often all sessions were lost at once.
    lost: AtomicU64,
    /// Clients that were welcomed since, and drivers who went online.
    back: AtomicUsize,
    online: AtomicUsize,
    /// The last thing that went wrong.
    trouble: Mutex<String>,
}

struct One {
    person: Person,
    /// Where a driver goes online.
    place: Option<Coordinates>,
    device: Uuid,
    /// Where the stream was when the session was lost.
    at: Option<StreamAt>,
    /// The last loss after which this one was welcomed.
    lost: Option<u64>,
}

impl Crowd {
    /// Lets them come; a place is where a driver will go online.
    pub(super) fn gather(address: SocketAddr, people: Vec<(Person, Option<Coordinates>)>) -> Self {
        let shared = Arc::new(Shared {
            address,
            lost: AtomicU64::new(0),
            back: AtomicUsize::new(0),
            online: AtomicUsize::new(0),
            trouble: Mutex::default(),
        });
        let (count, turns) = (people.len(), Arc::new(Semaphore::new(CONNECTING)));
        let (online, hears) = watch::channel(false);
        let mut clients = JoinSet::new();
        for (person, place) in people {
            let one = One { person, place, device: Uuid::now_v7(), at: None, lost: None };
            clients.spawn(one.live(Arc::clone(&shared), Arc::clone(&turns), hears.clone()));
        }
        Self { shared, _clients: clients, online, count }
    }

    /// All sessions were just lost: counts anew who is back.
    pub(super) fn lost(&self) {
        self.shared.back.store(0, Ordering::SeqCst);
        self.shared.lost.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until everybody has been welcomed since the last loss.
    pub(super) async fn all_back(&self) -> anyhow::Result<()> {
        self.all(&self.shared.back, self.count, "have a session").await
    }

    /// Sends all drivers online.
    pub(super) async fn go_online(&self, drivers: usize) -> anyhow::Result<()> {
        self.online.send_replace(true);
        self.all(&self.shared.online, drivers, "are online").await
    }

    async fn all(&self, number: &AtomicUsize, wanted: usize, what: &str) -> anyhow::Result<()> {
        let deadline = Instant::now() + WITHIN;
        let mut said = Instant::now();
        loop {
            let now = number.load(Ordering::SeqCst);
            if now >= wanted {
                return Ok(());
            }
            if said.elapsed() >= SAY_EVERY {
                say(format!("  {now} of {wanted} {what}"));
                said = Instant::now();
            }
            let trouble = || self.shared.trouble.lock().clone();
            anyhow::ensure!(
                Instant::now() < deadline,
                "{now} of {wanted} {what}; the last said: {}",
                trouble()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

impl One {
    async fn live(
        mut self,
        shared: Arc<Shared>,
        turns: Arc<Semaphore>,
        mut online: watch::Receiver<bool>,
    ) {
        let mut backoff = Backoff::default();
        // Never closed, so there always is a turn.
        let mut turn = turns.acquire().await.ok();
        loop {
            let resume = self.at.as_ref();
            let opened = Client::open(shared.address, &self.person, (self.device, resume)).await;
            let error = match opened {
                Ok((mut client, welcome)) => {
                    drop(turn.take());
                    backoff.reset();
                    self.welcomed(&shared);
                    let beat = Duration::from_millis(welcome.hb.idle_ms);
                    let error = self.stay(&mut client, (&shared, &mut online), beat).await.err();
                    self.at = Some(StreamAt { seq: client.newest(), ..welcome.stream });
                    error
                }
                Err(error) => Some(error),
            };
            if let Some(error) = error {
                *shared.trouble.lock() = format!("{error:#}");
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    fn welcomed(&mut self, shared: &Shared) {
        let lost = Some(shared.lost.load(Ordering::SeqCst));
        if self.lost != lost {
            self.lost = lost;
            shared.back.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Holds the session until it is lost.
    async fn stay(
        &mut self,
        client: &mut Client,
        (shared, online): (&Shared, &mut watch::Receiver<bool>),
        beat: Duration,
    ) -> anyhow::Result<()> {
        let next_beat = || Instant::now() + beat.mul_f64(rand::random_range(BEAT));
        let mut beat_at = next_beat();
        loop {
            let shall_go_online = tokio::select! {
                heard = client.next() => {
                    heard?;
                    continue;
                }
                () = tokio::time::sleep_until(beat_at.into()) => false,
                told = online.wait_for(|online| *online), if self.place.is_some() => told.is_ok(),
            };
            match self.place {
                Some(place) if shall_go_online => {
                    tokio::time::sleep(GOING_ONLINE.mul_f64(rand::random_range(0.0..1.0))).await;
                    let d = json!({"category": "economy", "location": place});
                    client.done(("driver.online", Some(self.person.id)), &d).await?;
                    shared.online.fetch_add(1, Ordering::SeqCst);
                    self.place = None;
                }
                Some(_) | None => client.beat().await?,
            }
            beat_at = next_beat();
        }
    }
}
