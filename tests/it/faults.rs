//! The database fails in every way it can, under load through both doors: nobody is told what is
//! not so, nothing is done twice, and the engine is back by itself as soon as the database is.

mod pool;
mod private;
mod server;

use std::time::{Duration, Instant};

use ibora_loadtest::proxy::postgres::{Losses, Part, Request};
use ibora_loadtest::proxy::{Fate, FaultProxy, Upstream};

use crate::clients::Clients;
use crate::machine::{EVER, patience};
use crate::pg;
use crate::process::{Database, Person, Process};
use server::Server;

/// How soon everything works again, from when the database answers again.
const BACK_WITHIN: Duration = Duration::from_secs(5);
/// Longer than an engine takes to say that it cannot answer now.
const PATIENCE: Duration = Duration::from_secs(8);
/// Where nobody of the load is.
const ELSEWHERE: (f64, f64) = (-23.7503, -46.6339);

/// An engine, the proxy before its database, and people.
struct Scene {
    engine: Process,
    clients: Clients,
    /// A passenger and a driver whom the load leaves alone.
    pair: (Person, Person),
    proxy: FaultProxy,
    losses: Losses,
    server: Server,
}

impl Scene {
    async fn start() -> Self {
        let server = Server::start().await;
        let losses = Losses::new();
        let upstream = Upstream::Unix(server.socket());
        let proxy = FaultProxy::start_with(upstream, losses.judges()).expect("starts");
        let app = format!("postgres://ibora_app@{}/ibora_template", proxy.address());
        let socket = server.socket().parent().expect("a directory").display().to_string();
        let owner = format!("postgres://ibora_owner@{}/ibora_template", socket.replace('/', "%2F"));
        let settings = [("dispatch.waves", "[4]")];
        let mut engine = Process::on(Database::Urls(app, owner), &settings);
        engine.launch().await;
        let (clients, pair) = people(&engine);
        Self { engine, clients, pair, proxy, losses, server }
    }

    /// Load, a fault in the midst of it, and load again; afterwards everybody is asked.
    async fn endures(mut self, fault: impl AsyncFnOnce(&mut Inside<'_>)) -> Clients {
        let clients = &self.clients;
        let mut inside =
            Inside { proxy: &self.proxy, losses: &self.losses, server: &mut self.server, clients };
        clients
            .during_by_both_doors(async {
                clients.wins(6).await;
                fault(&mut inside).await;
                is_back(&self.engine, clients, &self.pair).await;
                clients.wins(4).await;
            })
            .await;
        assert!(clients.stands_by_its_word().await > 20, "the load must have been answered");
        assert_eq!(self.engine.audit(), Some(0), "every promise holds");
        assert_eq!(self.engine.terminate().await, Some(0), "{}", self.engine.log_text());
        self.clients
    }
}

/// What a fault has in its hands.
struct Inside<'a> {
    proxy: &'a FaultProxy,
    losses: &'a Losses,
    server: &'a mut Server,
    clients: &'a Clients,
}

impl Inside<'_> {
    /// The fault goes on for so long, under load.
    async fn lasts(&self, time: Duration) {
        // Not for luck: how long it lasts is what the fault is.
        let over = tokio::time::timeout(time, std::future::pending::<()>());
        over.await.expect_err("it lasts");
    }

    /// Waits until all that was to be lost is lost.
    async fn all_lost(&self) {
        let deadline = Instant::now() + EVER;
        while self.losses.outstanding() > 0 {
            assert!(Instant::now() < deadline, "{} not lost", self.losses.outstanding());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

/// People for the load, and two beside it.
fn people(engine: &Process) -> (Clients, (Person, Person)) {
    let mut people = engine.seed(5, 5);
    let mut take = |role: &str| {
        let at = people.iter().position(|person| person.role == role).expect("one");
        people.remove(at)
    };
    let pair = (take("passenger"), take("driver"));
    (Clients::new(&[engine], people).waiting(PATIENCE).giving_back(0.1), pair)
}

/// The database answers: the engine is ready, and carries a ride from its request to its end.
async fn is_back(engine: &Process, clients: &Clients, (passenger, driver): &(Person, Person)) {
    let began = Instant::now();
    clients.whole_ride((passenger, driver), ELSEWHERE).await;
    engine.says("ready").await;
    let took = began.elapsed();
    assert!(took < patience(BACK_WITHIN), "{took:?}: {}", engine.log_text());
}

#[actix_web::test]
async fn a_database_that_is_restarted_at_once() {
    let scene = Scene::start().await;
    scene
        .endures(async |inside| {
            for _ in 0..3 {
                inside.server.end_at_once();
                inside.server.start_again().await;
                inside.clients.wins(2).await;
            }
        })
        .await;
}

#[actix_web::test]
async fn a_database_that_is_away_for_ten_seconds() {
    let scene = Scene::start().await;
    let clients = scene
        .endures(async |inside| {
            inside.server.end_at_once();
            inside.lasts(Duration::from_secs(10)).await;
            inside.server.start_again().await;
        })
        .await;
    assert!(clients.put_off("unavailable") > 0, "and said so");
}

#[actix_web::test]
async fn a_database_that_takes_two_seconds_a_statement() {
    let scene = Scene::start().await;
    scene
        .endures(async |inside| {
            inside.losses.slow_down(Duration::from_secs(2));
            inside.lasts(Duration::from_secs(15)).await;
            inside.losses.slow_down(Duration::ZERO);
        })
        .await;
}

#[actix_web::test]
async fn connections_that_are_half_open() {
    let scene = Scene::start().await;
    let clients = scene
        .endures(async |inside| {
            inside.proxy.hold(true);
            inside.lasts(Duration::from_secs(10)).await;
            inside.proxy.hold(false);
        })
        .await;
    assert!(clients.put_off("unavailable") > 0, "and said so");
}

#[actix_web::test]
async fn connections_that_are_cut_and_refused() {
    let scene = Scene::start().await;
    scene
        .endures(async |inside| {
            for _ in 0..5 {
                inside.proxy.refuse(true);
                inside.proxy.cut_all();
                inside.lasts(Duration::from_millis(500)).await;
                inside.proxy.refuse(false);
                inside.clients.wins(1).await;
            }
        })
        .await;
}

/// Loses a part of commits, by a cut and by silence.
async fn loses(part: Part) {
    let scene = Scene::start().await;
    scene
        .endures(async |inside| {
            inside.losses.order(10, Request::Write, part, Fate::Cut);
            inside.all_lost().await;
            inside.losses.order(2, Request::Write, part, Fate::Silence);
            inside.all_lost().await;
            inside.clients.wins(1).await;
        })
        .await;
}

#[actix_web::test]
async fn requests_of_commits_that_get_lost() {
    loses(Part::Request).await;
}

#[actix_web::test]
async fn replies_to_commits_that_get_lost() {
    loses(Part::Reply).await;
}

/// The database itself ends transactions that did nothing wrong, the first so many of them.
#[actix_web::test]
async fn deadlocks_and_serialization_failures() {
    const PROVOKE: &str = "
        CREATE SEQUENCE provoked;
        GRANT USAGE ON SEQUENCE provoked TO ibora_app;
        CREATE FUNCTION provoke() RETURNS trigger LANGUAGE plpgsql AS $$
        DECLARE turn bigint := nextval('provoked');
        BEGIN
            IF turn > 60 OR turn % 3 = 0 THEN RETURN NULL; END IF;
            IF turn % 3 = 1 THEN RAISE EXCEPTION 'a deadlock' USING ERRCODE = '40P01'; END IF;
            RAISE EXCEPTION 'could not serialize' USING ERRCODE = '40001';
        END $$;
        CREATE TRIGGER provoke AFTER INSERT ON journal_batches EXECUTE FUNCTION provoke()";
    let scene = Scene::start().await;
    scene
        .endures(async |inside| {
            let database = inside.server.database();
            pg::run(&database, PROVOKE).await;
            let deadline = Instant::now() + EVER;
            let enough = "SELECT CASE WHEN last_value > 60 THEN 'enough' ELSE '' END FROM provoked";
            while pg::ask(&database, enough).await != "enough" {
                assert!(Instant::now() < deadline, "too few commits");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
}

/// A rival takes the engine's rows in the other order, and the database ends one of the two.
#[actix_web::test]
async fn a_deadlock_with_a_rival() {
    const RIVAL: &str = "
        SET deadlock_timeout = '1h';
        BEGIN;
        LOCK TABLE events IN SHARE ROW EXCLUSIVE MODE;
        SELECT count(*) FROM (SELECT pg_sleep(0.3)) AS wait;
        LOCK TABLE journal_batches IN ACCESS EXCLUSIVE MODE;
        COMMIT";
    let scene = Scene::start().await;
    scene
        .endures(async |inside| {
            let database = inside.server.options.clone().database("ibora_template");
            pg::run(&database, RIVAL).await;
            let ended = "SELECT least(deadlocks, 1)::text FROM pg_stat_database
                WHERE datname = 'ibora_template'";
            let deadline = Instant::now() + EVER;
            while pg::ask(&database, ended).await != "1" {
                assert!(Instant::now() < deadline, "there was no deadlock");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
}
