//! What was asked for goes from the journal into the simulation, and takes nobody's traces along.

use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;
use uuid::Uuid;

use crate::clients::Clients;
use crate::process::Process;

/// A file of this test, gone with it.
struct Export(PathBuf);

impl Export {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("ibora-demand-{}.csv", Uuid::now_v7().simple())))
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("UTF-8")
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

fn export(process: &Process, (from, to): (&str, &str), file: &Export) -> Option<i32> {
    process.run(&["export-demand", "--from", from, "--to", to, "--out", file.path()])
}

#[actix_web::test]
async fn rides_that_were_made_are_exported_without_their_people_and_simulated() {
    let mut process = Process::start(&[("dispatch.waves", "[4]")]).await;
    let people = process.seed(3, 3);
    let (drivers, passengers): (Vec<_>, Vec<_>) =
        people.into_iter().partition(|person| person.role == "driver");
    let load = Clients::new(&[&process], Vec::new());
    for (pair, lat) in passengers.iter().zip(&drivers).zip([-8.051_234, -8.061_234, -8.071_234]) {
        load.whole_ride(pair, (lat, -34.881_234)).await;
    }
    let file = Export::new();
    let ever = ("2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z");
    assert_eq!(export(&process, ever, &file), Some(0));
    let text = std::fs::read_to_string(&file.0).expect("a file");
    let mut lines = text.lines();
    let header = lines.next().expect("a header");
    assert_eq!(header, "pickup_at,pickup_lat,pickup_lon,dropoff_lat,dropoff_lon");
    let (times, places): (Vec<_>, Vec<_>) =
        lines.map(|line| line.split_once(',').expect("columns")).unzip();
    assert!(times.iter().all(|at| at.ends_with(":00Z")), "{text}");
    let rounded = ["-8.051,-34.881", "-8.061,-34.881", "-8.071,-34.881"];
    let dropped = ["-8.062,-34.903", "-8.072,-34.903", "-8.082,-34.903"];
    let expected: Vec<_> = rounded.iter().zip(dropped).map(|(a, b)| format!("{a},{b}")).collect();
    assert_eq!(places, expected);
    let before = ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z");
    assert_eq!(export(&process, before, &Export::new()), Some(1), "nobody asked then");
    let mut simulate = process.command();
    simulate.args(["simulate", "--requests", file.path(), "--cars", "5", "--warm-up-s", "0"]);
    let output = simulate.arg("--json").stdout(Stdio::piped()).output().expect("runs");
    assert!(output.status.success());
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["requests_recorded"], 3);
    assert_eq!(report["policies"]["default"]["cars"]["5"]["completion"], 1.0, "{report}");
    assert_eq!(process.terminate().await, Some(0));
}
