//! Two drivers and two passengers, what they do in a day, and what they remember of it.
//!
//! A day goes through every step of a ride, over REST and over sessions. It breaks off, with
//! nothing, where the engine does; what everybody was told until then is kept.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use futures_util::future::join;
use serde_json::{Value, json};

use super::phone::{Phone, Seen, as_frame, plain};
use super::told::stand_by_their_word;
use super::told::{Heard, Told, is_settled, nothing_is_won_twice, online, order};
use crate::machine::EVER;
use crate::process::Person;

pub(super) struct Crew {
    engine: String,
    http: awc::Client,
    drivers: [Person; 2],
    passengers: [Person; 2],
    memory: RefCell<Vec<Told>>,
    seen: Seen,
}

impl Crew {
    pub(super) fn new(engine: String, people: &[Person]) -> Self {
        let two = |role: &str| {
            let mut all = people.iter().filter(|person| person.role == role);
            [(); 2].map(|()| all.next().expect("two of each").clone())
        };
        Self {
            engine,
            http: awc::Client::builder().timeout(Duration::from_secs(10)).finish(),
            drivers: two("driver"),
            passengers: two("passenger"),
            memory: RefCell::default(),
            seen: Seen::default(),
        }
    }

    /// A whole day.
    pub(super) async fn day(&self) -> Option<()> {
        let [first, second] = &self.drivers;
        let mut phones = [self.phone(first).await?, self.phone(second).await?];
        self.over(&mut phones[0], first, "/v1/me/availability", online()).await?;
        self.rest(second, "/v1/me/availability", online()).await?;
        self.rest(second, "/v1/me/vehicles", car()).await?;
        self.raced(&mut phones).await?;
        self.given_back(&mut phones).await?;
        self.withdrawn(&mut phones[0]).await?;
        self.reconnected(&phones[0]).await
    }

    /// A ride is won by one of two, driven to its end, and rated by both.
    async fn raced(&self, phones: &mut [Phone; 2]) -> Option<()> {
        let passenger = &self.passengers[0];
        let mut app = self.phone(passenger).await?;
        let (_, ride) = self.over(&mut app, passenger, "/v1/rides", order()).await?;
        let (id, pin) = (ride["id"].as_str()?, ride["pin"].as_str()?);
        let [left, right] = phones;
        left.offered(id).await?;
        right.offered(id).await?;
        let accept = format!("/v1/rides/{id}/accept");
        let (one, other) = join(
            self.over(left, &self.drivers[0], &accept, json!({})),
            self.rest(&self.drivers[1], &accept, json!({})),
        )
        .await;
        let statuses = [one?.0, other?.0];
        assert!(matches!(statuses, [200, 409] | [409, 200]), "one wins: {statuses:?}");
        // He has one: asks for another, and is refused.
        self.rest(passenger, "/v1/rides", order()).await?;
        let winner = usize::from(statuses[1] == 200);
        let (driver, phone) = (&self.drivers[winner], &mut phones[winner]);
        phone.send(&near()).await?;
        app.sees(id, "arriving").await?;
        let step = |name: &str| format!("/v1/rides/{id}/{name}");
        self.over(phone, driver, &step("arrive"), json!({})).await?;
        let wrong = if pin == "0000" { "0001" } else { "0000" };
        self.rest(driver, &step("start"), json!({"pin": wrong})).await?;
        self.over(phone, driver, &step("start"), json!({"pin": pin})).await?;
        self.chained(driver, phone, &step("complete")).await?;
        app.sees(id, "completed").await?;
        self.over(&mut app, passenger, &step("rating"), json!({"stars": 4})).await?;
        self.rest(driver, &step("rating"), json!({"stars": 5})).await.map(drop)
    }

    /// On his way to the drop-off a driver gets his next ride; it is his when he has completed.
    async fn chained(&self, driver: &Person, phone: &mut Phone, complete: &str) -> Option<()> {
        let passenger = &self.passengers[1];
        phone.send(&at_dropoff()).await?;
        let (_, ride) = self.rest(passenger, "/v1/rides", onwards()).await?;
        let id = ride["id"].as_str()?;
        phone.offered(id).await?;
        let (_, won) =
            self.over(phone, driver, &format!("/v1/rides/{id}/accept"), json!({})).await?;
        assert_eq!(won["chained"], true, "{won}");
        self.rest(driver, complete, json!({})).await?;
        let now = |frame: &Value| {
            let shown = &frame["d"]["ride"];
            frame["op"] == "ride.updated" && shown["id"] == id && shown["chained"] == false
        };
        phone.until(now).await?;
        let cancel = format!("/v1/rides/{id}/cancel");
        self.rest(passenger, &cancel, json!({"reason": "changed_mind"})).await.map(drop)
    }

    /// A ride is declined by one, given back by the other, and canceled.
    async fn given_back(&self, phones: &mut [Phone; 2]) -> Option<()> {
        let (passenger, [first, second]) = (&self.passengers[1], &self.drivers);
        let (_, ride) = self.rest(passenger, "/v1/rides", order()).await?;
        let step = |name: &str| format!("/v1/rides/{}/{name}", ride["id"].as_str().expect("an id"));
        let id = ride["id"].as_str()?;
        let [left, right] = phones;
        left.offered(id).await?;
        right.offered(id).await?;
        self.over(left, first, &step("decline"), json!({})).await?;
        self.rest(second, &step("accept"), json!({})).await?;
        self.over(right, second, &step("cancel"), json!({"reason": "vehicle"})).await?;
        self.rest(passenger, &step("cancel"), json!({"reason": "changed_mind"})).await.map(drop)
    }

    /// An offer is open to a driver who leaves.
    async fn withdrawn(&self, phone: &mut Phone) -> Option<()> {
        let (passenger, driver) = (&self.passengers[0], &self.drivers[0]);
        let (_, ride) = self.rest(passenger, "/v1/rides", order()).await?;
        let id = ride["id"].as_str()?;
        phone.offered(id).await?;
        self.over(phone, driver, "/v1/me/availability", json!({"status": "offline"})).await?;
        phone.until(|frame| frame["op"] == "offer.withdrawn" && frame["key"] == id).await?;
        let cancel = format!("/v1/rides/{id}/cancel");
        self.rest(passenger, &cancel, json!({"reason": "changed_mind"})).await.map(drop)
    }

    /// A session goes on where it was, a long poll too, and a command is asked again.
    async fn reconnected(&self, phone: &Phone) -> Option<()> {
        let driver = &self.drivers[0];
        let again = Phone::open(&self.engine, driver, phone.position(), &self.seen).await?;
        assert_eq!(again.welcome["stream"]["recovered"], true, "{}", again.welcome);
        let stream = &again.welcome["stream"];
        let query = format!("epoch={}&seq=0", stream["epoch"].as_str()?);
        let (status, polled) = self.get(driver, &format!("/v1/stream?{query}")).await?;
        assert_eq!((status, &polled["recovered"]), (200, &json!(true)), "{polled}");
        let told = self.memory.borrow().first().cloned();
        told?.send(&self.http, &self.engine).await.map(drop)
    }

    /// Nobody reacts: offers and the search are over, and a driver without a session is gone.
    pub(super) async fn night(&self) -> Option<()> {
        let [first, second] = &self.drivers;
        let mut phone = self.phone(first).await?;
        self.over(&mut phone, first, "/v1/me/availability", online()).await?;
        self.rest(second, "/v1/me/availability", online()).await?;
        let mut app = self.phone(&self.passengers[0]).await?;
        let (_, ride) = self.rest(&self.passengers[0], "/v1/rides", order()).await?;
        app.sees(ride["id"].as_str()?, "no_driver").await?;
        std::future::pending().await
    }

    /// A ride that goes on for ever.
    pub(super) async fn endless(&self) -> Option<()> {
        let _phone = self.on_the_way().await?;
        std::future::pending().await
    }

    /// A ride that is won, and not driven yet.
    pub(super) async fn on_the_way(&self) -> Option<Phone> {
        let driver = &self.drivers[0];
        let mut phone = self.phone(driver).await?;
        self.over(&mut phone, driver, "/v1/me/availability", online()).await?;
        let (_, ride) = self.rest(&self.passengers[0], "/v1/rides", order()).await?;
        let id = ride["id"].as_str()?;
        phone.offered(id).await?;
        self.over(&mut phone, driver, &format!("/v1/rides/{id}/accept"), json!({})).await?;
        Some(phone)
    }

    /// Waits until the engine is ready.
    pub(super) async fn ready(&self) {
        let ready = format!("{}/ready", self.engine);
        let deadline = Instant::now() + EVER;
        while !self.http.get(&ready).send().await.is_ok_and(|answer| answer.status() == 200) {
            assert!(Instant::now() < deadline, "never ready");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn phone(&self, person: &Person) -> Option<Phone> {
        Phone::open(&self.engine, person, Value::Null, &self.seen).await
    }

    /// Sends a command over REST, and remembers it and what it was told.
    async fn rest(&self, person: &Person, path: &str, body: Value) -> Option<Heard> {
        let (told, at) = self.remember(person, path, body);
        let heard = told.send(&self.http, &self.engine).await.map(plain)?;
        self.memory.borrow_mut()[at].answer = Some(heard.clone());
        Some(heard)
    }

    /// Sends a command over a session, and remembers it and what it was told.
    async fn over(
        &self,
        phone: &mut Phone,
        person: &Person,
        path: &str,
        body: Value,
    ) -> Option<Heard> {
        let (told, at) = self.remember(person, path, body);
        let heard = phone.command(&told).await?;
        self.memory.borrow_mut()[at].answer = Some(heard.clone());
        Some(heard)
    }

    fn remember(&self, person: &Person, path: &str, body: Value) -> (Told, usize) {
        let told = Told::new(person, path, body);
        let mut memory = self.memory.borrow_mut();
        memory.push(told.clone());
        (told, memory.len() - 1)
    }

    /// Asks all commands again, over REST and over sessions: what was told stays true, and what was
    /// not gets one answer, which is told from now on. Whoever was told that he won has his ride,
    /// whoever was told that he lost has it not, and what anybody was shown is still on his stream.
    pub(super) async fn ask_again(&self) {
        let told = self.memory.borrow().clone();
        let told = stand_by_their_word(&told, async |told| self.ask(told, false).await).await;
        let told = stand_by_their_word(&told, async |told| self.ask(told, true).await).await;
        nothing_is_won_twice(&told);
        self.everybody_has_his_own(&told).await;
        for person in self.drivers.iter().chain(&self.passengers) {
            self.what_was_shown_stays(person).await;
        }
        *self.memory.borrow_mut() = told;
    }

    async fn ask(&self, told: &Told, over_session: bool) -> Heard {
        let deadline = Instant::now() + EVER;
        loop {
            let heard = match over_session && as_frame(told).is_some() {
                true => match self.phone(&told.person).await {
                    Some(mut phone) => phone.command(told).await,
                    None => None,
                },
                false => told.send(&self.http, &self.engine).await.map(plain),
            };
            match heard {
                Some(heard) if is_settled(&heard) => return heard,
                heard => assert!(Instant::now() < deadline, "{} {heard:?}", told.path),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn what_was_shown_stays(&self, person: &Person) {
        let (epoch, shown) = {
            let seen = self.seen.borrow();
            let his = seen.iter().filter(|shown| shown.person.id == person.id);
            let epoch = his.clone().map(|shown| shown.epoch.clone()).next_back();
            (epoch, his.map(|shown| shown.event.clone()).collect::<Vec<_>>())
        };
        let Some(epoch) = epoch.as_ref().and_then(Value::as_str) else { return };
        let path = format!("/v1/stream?epoch={epoch}&seq=0");
        let (status, stream) = self.get(person, &path).await.expect("an answer");
        assert_eq!((status, &stream["recovered"]), (200, &json!(true)), "{stream}");
        let recorded = stream["events"].as_array().expect("events");
        for event in &shown {
            let kept = recorded.iter().find(|recorded| recorded["seq"] == event["seq"]);
            assert_eq!(kept, Some(event), "shown, and not kept so");
        }
    }

    async fn everybody_has_his_own(&self, told: &[Told]) {
        let ended_by = |ride: &str| told.iter().any(|told| told.path == format!("{ride}/cancel"));
        for told in told {
            let Some(ride) = told.path.strip_suffix("/accept") else { continue };
            let (status, answer) = told.answer.as_ref().expect("answered");
            let (read, shown) = self.get(&told.person, ride).await.expect("an answer");
            if *status == 200 && !ended_by(ride) {
                assert_eq!((read, &shown["driver"]["id"]), (200, &json!(told.person.id)));
            }
            if answer["code"] == "ride_already_assigned" {
                assert_eq!(read, 404, "told that it is another's: {shown}");
            }
        }
    }

    async fn get(&self, person: &Person, path: &str) -> Option<Heard> {
        let request = self.http.get(format!("{}{path}", self.engine)).bearer_auth(&person.token);
        let mut answer = request.send().await.ok()?;
        Some((answer.status().as_u16(), answer.json().limit(1 << 20).await.ok()?))
    }
}

/// A position near the pickup, with a fix too bad to say that its driver is there.
fn near() -> Value {
    let at = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
    let at = u64::try_from(at).expect("fits");
    json!({"t": "tel", "n": 1, "pts": [[at, -23.5513, -46.6339, 60]]})
}

/// A position where the ride of [`order`] ends.
fn at_dropoff() -> Value {
    let at = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
    let at = u64::try_from(at).expect("fits");
    json!({"t": "tel", "n": 2, "pts": [[at, -23.5614, -46.6559, 10]]})
}

/// A ride from there.
fn onwards() -> Value {
    json!({"pickup": {"lat": -23.5614, "lng": -46.6559},
        "dropoff": {"lat": -23.5503, "lng": -46.6339}, "category": "economy",
        "payment_method": "cash"})
}

fn car() -> Value {
    json!({"plate": "IBR1A23", "make": "Fiat", "model": "Argo", "color": "prata", "year": 2024,
        "categories": ["economy"]})
}
