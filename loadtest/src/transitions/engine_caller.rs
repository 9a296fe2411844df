//! A caller of the engine, in process: a passenger and a driver at a place of their own.

use ibora::actors::{Caller as Person, Command};
use ibora_domain::ids::RideId;
use ibora_domain::place::Coordinates;
use sqlx::PgPool;
use uuid::Uuid;

use crate::closed::Caller;
use crate::engine::{Engine, Handles};
use crate::facts::{Script, Step};
use crate::people;

/// Degrees between callers: a wave reaches only the driver at its own place.
const FAR: f64 = 0.01;

pub(super) struct EngineCaller {
    engine: Handles,
    passenger: Person,
    driver: Person,
    place: Coordinates,
    next: Step,
    ride: RideId,
    pin: String,
    /// Whether an offer of the ride has still to reach the driver.
    offer_awaited: bool,
    /// Steps that were answered well.
    pub(super) told: usize,
}

impl EngineCaller {
    /// Makes the people and puts the drivers online.
    pub(super) async fn open(engine: &Engine, count: usize) -> anyhow::Result<Vec<Self>> {
        let passengers = people::make_passengers(&engine.pool, count).await?;
        let drivers = people::make_drivers(&engine.pool, count).await?;
        let mut callers = Vec::with_capacity(count);
        for (number, (passenger, driver)) in passengers.into_iter().zip(drivers).enumerate() {
            callers.push(Self {
                engine: engine.handles.clone(),
                passenger,
                driver,
                place: people::place(number, FAR)?,
                next: Step::Request,
                ride: RideId(Uuid::nil()),
                pin: String::new(),
                offer_awaited: false,
                told: 0,
            });
        }
        let online = callers.iter().map(|caller| (caller.driver, caller.place));
        people::go_online(&engine.handles.dispatch, online).await?;
        Ok(callers)
    }

    /// Drives one ride and keeps what each step stored.
    pub(super) async fn script(&mut self, pool: &PgPool) -> anyhow::Result<Script> {
        let (mut script, mut version) = (Script::default(), 0);
        for step in Step::ALL {
            self.step().await?;
            self.ready().await?;
            version = script.read(pool, (self.ride.0, step), version).await?;
        }
        Ok(script)
    }

    async fn request(&mut self, id: String) -> anyhow::Result<()> {
        let requested = self.engine.request(self.passenger, self.place, id).await?;
        (self.ride, self.pin) = (requested.id, requested.pin);
        self.offer_awaited = true;
        Ok(())
    }
}

impl Caller for EngineCaller {
    async fn ready(&mut self) -> anyhow::Result<()> {
        if std::mem::take(&mut self.offer_awaited) {
            self.engine.board.told(self.ride.0, 1).await?;
        }
        Ok(())
    }

    async fn step(&mut self) -> anyhow::Result<()> {
        let id = Uuid::now_v7().to_string();
        let ride = self.ride;
        let command = match self.next {
            Step::Request => None,
            Step::Accept => Some(Command::Accept { ride, offer_id: None }),
            Step::Arrive => Some(Command::Arrive { ride, location: None }),
            Step::Start => Some(Command::Start { ride, pin: std::mem::take(&mut self.pin) }),
            Step::Complete => Some(Command::Complete { ride, location: None, reason: None }),
        };
        match command {
            None => self.request(id).await?,
            Some(command) => drop(self.engine.done(self.driver, id, command).await?),
        }
        self.told += 1;
        self.next = self.next.next();
        Ok(())
    }

    fn is_between_rides(&self) -> bool {
        self.next == Step::Request
    }
}
