//! The people of a demo: a task each for drivers and passengers, and one that deals out trips.

use std::sync::Arc;
use std::time::Duration;

use ibora_domain::person::Role;
use ibora_domain::place::Coordinates;
use ibora_domain::units::UnixMillis;
use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::cashier::Cashier;
use super::city::City;
use super::demand::Demand;
use super::live::Live;
use crate::bots::{
    DriverBot, DriverHabits, Engine, EngineClock, PassengerBot, PassengerHabits, Person, Town, Trip,
};
use crate::seed::Seeded;

/// Places that drivers choose from when they have nothing to do.
const HAUNTS: usize = 600;
/// Trips a driver is asked for in an hour of the engine's clock, in the mean of a day. At the peaks
/// nearly every car is then busy.
const TRIPS_PER_DRIVER_HOUR: f64 = 3.0;
/// Pause between two people who connect: a second for five hundred of them.
const CONNECT_EVERY: Duration = Duration::from_millis(2);

/// Where trips are handed to passengers, by their numbers.
type Doors = Arc<Mutex<Vec<mpsc::Sender<Trip>>>>;

/// What everybody of a demo shares.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) engine: Arc<Engine>,
    pub(super) town: Arc<Town>,
    pub(super) city: Arc<City>,
    pub(super) clock: EngineClock,
}

/// Everybody.
pub(super) struct People {
    shared: Shared,
    tasks: JoinSet<()>,
}

/// Where drivers wait: the more often, the more people are there.
pub(super) fn haunts(city: &City, seed: u64) -> Vec<Coordinates> {
    let mut demand = Demand::new(seed ^ 0x4a07, 1.0, UnixMillis(0));
    (0..HAUNTS).filter_map(|_| demand.place(city)).collect()
}

impl People {
    /// Connects everybody, one after the other, and starts the demand.
    pub(super) fn arrive(shared: Shared, seeded: Vec<Seeded>, seed: u64, live: &Arc<Live>) -> Self {
        let mut people = Self { shared, tasks: JoinSet::new() };
        let (drivers, passengers): (Vec<_>, Vec<_>) =
            seeded.into_iter().partition(|person| person.role == Role::Driver);
        let per_hour = TRIPS_PER_DRIVER_HOUR * f64::from(u32::try_from(drivers.len()).unwrap_or(0));
        people.tasks.spawn(Cashier::new(people.engine().address).serve(drivers.clone()));
        people.drivers(drivers, seed, live);
        people.passengers(passengers, (seed, per_hour), live);
        people
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    /// Everybody goes home.
    pub(super) async fn leave(mut self) {
        self.tasks.shutdown().await;
    }

    fn drivers(&mut self, drivers: Vec<Seeded>, seed: u64, live: &Arc<Live>) {
        let (shared, live) = (self.shared.clone(), Arc::clone(live));
        let habits = Arc::new(DriverHabits::default());
        let mut demand = Demand::new(seed ^ 0xca45, 1.0, UnixMillis(0));
        self.tasks.spawn(async move {
            let mut working = JoinSet::new();
            for (number, driver) in (seed..).zip(drivers) {
                let Some(home) = demand.place(&shared.city) else { continue };
                let (shared, habits) = (shared.clone(), Arc::clone(&habits));
                let live = Arc::clone(&live);
                working.spawn(async move {
                    let with = (shared.engine, shared.town);
                    let person = person(&driver);
                    let bot = DriverBot::connect(with, person, habits, (home, number)).await;
                    let ended = match bot {
                        Ok(bot) => {
                            live.driver(bot.seen());
                            bot.work().await.err()
                        }
                        Err(error) => Some(error),
                    };
                    if let Some(error) = ended {
                        tracing::warn!(%error, "a driver went home");
                    }
                });
                tokio::time::sleep(CONNECT_EVERY).await;
            }
            while working.join_next().await.is_some() {}
        });
    }

    fn passengers(&mut self, all: Vec<Seeded>, (seed, rate): (u64, f64), live: &Arc<Live>) {
        let (free, whoever_is_free) = mpsc::unbounded_channel();
        let senders = Doors::default();
        let doors = Arc::clone(&senders);
        let (shared, live) = (self.shared.clone(), Arc::clone(live));
        let habits = Arc::new(PassengerHabits::default());
        self.tasks.spawn(async move {
            let mut traveling = JoinSet::new();
            for (number, passenger) in all.into_iter().enumerate() {
                let (door, trips) = mpsc::channel(1);
                senders.lock().push(door);
                let with = (Arc::clone(&shared.engine), Arc::clone(&shared.town));
                let (habits, free, live) = (Arc::clone(&habits), free.clone(), Arc::clone(&live));
                let seed = seed.wrapping_add(1 << 32).wrapping_add(number as u64);
                traveling.spawn(async move {
                    let person = person(&passenger);
                    let bot = PassengerBot::connect(with, person, habits, seed).await;
                    let ended = match bot {
                        Ok(bot) => {
                            live.passenger(bot.seen());
                            // Nobody listens any more when the demo ends.
                            bot.travel(trips, || {
                                free.send(number).ok();
                            })
                            .await
                        }
                        Err(error) => Err(error),
                    };
                    if let Err(error) = ended {
                        tracing::warn!(%error, "a passenger went home");
                    }
                });
                tokio::time::sleep(CONNECT_EVERY).await;
            }
            while traveling.join_next().await.is_some() {}
        });
        let demand = Demand::new(seed, rate, self.shared.clock.now());
        self.tasks.spawn(deal(demand, self.shared.clone(), (doors, whoever_is_free)));
    }
}

/// Gives each trip to somebody who is free; where nobody is, it is not made.
async fn deal(
    mut demand: Demand,
    shared: Shared,
    (doors, mut free): (Doors, mpsc::UnboundedReceiver<usize>),
) {
    let mut at = shared.clock.now();
    loop {
        at = demand.next_at(at);
        tokio::time::sleep_until(shared.clock.when(at).into()).await;
        let Some(trip) = demand.trip(&shared.city) else { continue };
        let Ok(number) = free.try_recv() else { continue };
        let door = doors.lock().get(number).cloned();
        if let Some(door) = door {
            // A passenger who went home takes no trips.
            door.try_send(trip).ok();
        }
    }
}

fn person(seeded: &Seeded) -> Person {
    Person { id: seeded.user.0, token: seeded.token.as_str().into() }
}
