//! The people of the hour: cars that come when they were seen, passengers who ask when they asked.
//!
//! Arrivals are open loop: nobody waits for the engine before the next one comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ibora::bots::{
    DriverBot, DriverHabits, Engine, PassengerBot, PassengerHabits, Person, Story, Town,
};
use parking_lot::Mutex;
use tokio::task::JoinSet;

use super::data::{Car, Request};

/// A passenger opens the app this long before they ask. Domain seconds.
pub(super) const OPENS_APP_S: f64 = 45.0;
/// Pause between two drivers who connect before the hour begins.
const CONNECT_EVERY: Duration = Duration::from_millis(4);
/// As good as never, in domain time.
const NEVER_MS: u64 = 7 * 24 * 3_600_000;

/// What all of them share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    pub(super) town: Arc<Town>,
    /// Real time of a second of the hour: its first moment, and the speed.
    pub(super) begins: Instant,
    pub(super) speed: f64,
    pub(super) ended: Arc<Mutex<Ended>>,
}

/// How the requests ended so far.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) stories: Vec<Story>,
    /// Passengers whose session ended for good.
    pub(super) sessions_lost: u32,
}

impl Shared {
    fn when(&self, at_s: f64) -> Instant {
        self.begins + Duration::from_secs_f64(at_s.max(0.0) / self.speed)
    }
}

/// Drivers accept after 2 to 6 domain seconds, and stay where a ride left them.
fn drivers() -> Arc<DriverHabits> {
    Arc::new(DriverHabits {
        declines: 0.0,
        standing_ms: NEVER_MS..=NEVER_MS,
        ..DriverHabits::default()
    })
}

/// Passengers ask at once and wait until they are told that there is no driver.
fn passengers() -> Arc<PassengerHabits> {
    let patience_ms = NEVER_MS..=NEVER_MS;
    Arc::new(PassengerHabits { thinks_ms: 0..=0, patience_ms, cancels: 0.0, rates: 0.0 })
}

/// Drivers at work, and the seed of the next.
pub(super) struct Fleet {
    engine: Arc<Engine>,
    town: Arc<Town>,
    habits: Arc<DriverHabits>,
    working: JoinSet<()>,
    seed: u64,
}

impl Fleet {
    pub(super) fn new(engine: Arc<Engine>, town: Arc<Town>, seed: u64) -> Self {
        Self { engine, town, habits: drivers(), working: JoinSet::new(), seed }
    }

    fn add(&mut self, person: Person, car: Car) {
        let with = (Arc::clone(&self.engine), Arc::clone(&self.town));
        let (habits, seed) = (Arc::clone(&self.habits), self.seed);
        self.seed += 1;
        self.working.spawn(async move {
            if let Ok(bot) = DriverBot::connect(with, person, habits, (car.place, seed)).await {
                bot.work().await.err();
            }
        });
    }

    /// Sends the drivers of before the hour to work, one after the other.
    pub(super) async fn gather(&mut self, people: Vec<(Person, Car)>) {
        for (person, car) in people {
            tokio::time::sleep(CONNECT_EVERY).await;
            self.add(person, car);
        }
    }

    /// Sends each of the others at his time. Ends with the last session.
    pub(super) async fn grow(mut self, shared: Shared, people: Vec<(Person, Car)>) {
        for (person, car) in people {
            tokio::time::sleep_until(shared.when(car.at_s).into()).await;
            self.add(person, car);
        }
        while self.working.join_next().await.is_some() {}
    }
}

/// Lets passengers ask, each at their time. Ends when all requests have ended.
pub(super) async fn ask(shared: Shared, people: Vec<(Person, Request)>, seed: u64) {
    let habits = passengers();
    let mut riding = JoinSet::new();
    for ((person, request), seed) in people.into_iter().zip(seed..) {
        tokio::time::sleep_until(shared.when(request.at_s - OPENS_APP_S).into()).await;
        let (shared, habits) = (shared.clone(), Arc::clone(&habits));
        riding.spawn(async move {
            let with = (Arc::clone(&shared.engine), Arc::clone(&shared.town));
            let ended = match PassengerBot::connect(with, person, habits, seed).await {
                Ok(mut bot) => {
                    tokio::time::sleep_until(shared.when(request.at_s).into()).await;
                    bot.ride(request.trip).await
                }
                Err(error) => Err(error),
            };
            let mut so_far = shared.ended.lock();
            match ended {
                Ok(story) => so_far.stories.push(story),
                Err(_) => so_far.sessions_lost += 1,
            }
        });
        while riding.try_join_next().is_some() {}
    }
    while riding.join_next().await.is_some() {}
}
