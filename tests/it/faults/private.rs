//! The private server of a running engine dies, or its disk is full: the engine has it up again by
//! itself.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::{Duration, Instant};

use super::{is_back, people};
use crate::clients::Clients;
use crate::embedded_postgres::dir::{Dir, signal};
use crate::machine::EVER;
use crate::process::{Database, Person, Process};

/// Of the disk that gets full: a private server needs a third of it.
const DISK: &str = "size=300m,mode=0711";

struct Scene {
    engine: Process,
    clients: Clients,
    pair: (Person, Person),
    /// After the engine: whoever goes last takes the server along.
    dir: Dir,
}

impl Scene {
    async fn start(dir: Dir) -> Self {
        let settings = [("dispatch.waves", "[4]"), ("database.embedded_wal_reserve_mb", "0")];
        let mut engine = Process::on(Database::Private(dir.path.clone()), &settings);
        engine.launch().await;
        let (clients, pair) = people(&engine);
        Self { engine, clients, pair, dir }
    }

    fn server(&self) -> Option<u32> {
        self.dir.server_pid(&self.dir.path.join("pgdata"))
    }

    /// Waits until another server than this serves on the engine's data.
    async fn replaced(&self, dead: u32) {
        let deadline = Instant::now() + EVER;
        let file = self.dir.path.join("pgdata/postmaster.pid");
        let is_ready = || fs::read_to_string(&file).is_ok_and(|text| text.contains("ready"));
        while self.server().is_none_or(|pid| pid == dead) || !is_ready() {
            assert!(Instant::now() < deadline, "stays dead: {}", self.engine.log_text());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks everybody, and ends in order.
    async fn holds(mut self) {
        assert!(self.clients.stands_by_its_word().await > 20, "the load must have been answered");
        assert_eq!(self.engine.audit(), Some(0), "every promise holds");
        assert_eq!(self.engine.terminate().await, Some(0), "{}", self.engine.log_text());
        assert_eq!(self.server(), None, "an engine that ends takes its server along");
    }
}

#[actix_web::test]
async fn a_private_server_that_dies_is_up_again_without_a_restart() {
    let scene = Scene::start(Dir::new()).await;
    let clients = &scene.clients;
    clients
        .during_by_both_doors(async {
            for name in ["QUIT", "KILL"] {
                clients.wins(4).await;
                let dead = scene.server().expect("a server");
                signal(name, dead);
                scene.replaced(dead).await;
                is_back(&scene.engine, clients, &scene.pair).await;
            }
            clients.wins(4).await;
        })
        .await;
    scene.holds().await;
}

/// One that dies while the engine ends is not wanted any more.
#[actix_web::test]
async fn an_engine_that_ends_does_not_raise_the_dead() {
    let mut scene = Scene::start(Dir::new()).await;
    let dead = scene.server().expect("a server").to_string();
    scene.engine.signal("TERM");
    let deadline = Instant::now() + EVER;
    while scene.engine.readiness().await.as_deref() == Some("ready") {
        assert!(Instant::now() < deadline, "does not begin to end");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // It may have been quicker than we, and its server be gone already.
    Command::new("kill").args(["-QUIT", &dead]).output().expect("there is a kill");
    assert!(scene.engine.exit_code().await.is_some());
    assert!(!scene.engine.log_text().contains("starting it again"), "{}", scene.engine.log_text());
    assert_eq!(scene.server(), None);
}

/// A disk of its own for a directory; gone before the directory is.
struct Disk {
    path: std::path::PathBuf,
}

impl Disk {
    /// `None` where mounting is refused.
    fn mount(dir: &Dir) -> Option<Self> {
        let mut mount = Command::new("mount");
        let mount = mount.args(["-t", "tmpfs", "-o", DISK, "tmpfs"]).arg(&dir.path).output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        mounted.then(|| Self { path: dir.path.clone() })
    }

    /// Takes all the room that there is.
    fn fill(&self) {
        let mut file = fs::File::create(self.path.join("ballast")).expect("a file");
        while file.write_all(&[0; 1 << 16]).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }

    fn make_room(&self) {
        fs::remove_file(self.path.join("ballast")).expect("removed");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: whatever still runs there ends with its directory.
        Command::new("umount").arg("-l").arg(&self.path).status().ok();
    }
}

#[actix_web::test]
async fn a_disk_that_is_full() {
    let dir = Dir::new();
    let Some(disk) = Disk::mount(&dir) else {
        #[expect(clippy::print_stderr, reason = "says why nothing was tested")]
        {
            eprintln!("skipped: mounting is refused here");
        }
        return;
    };
    let scene = Scene::start(dir).await;
    let clients = &scene.clients;
    clients
        .during_by_both_doors(async {
            clients.wins(6).await;
            disk.fill();
            let deadline = Instant::now() + EVER;
            while clients.put_off("unavailable") == 0 {
                assert!(Instant::now() < deadline, "never full");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            disk.make_room();
            let dead = scene.server();
            if dead.is_none() {
                scene.replaced(0).await;
            }
            is_back(&scene.engine, clients, &scene.pair).await;
            clients.wins(4).await;
        })
        .await;
    scene.holds().await;
}
