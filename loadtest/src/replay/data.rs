//! The recorded hour: who asked for a ride and when, which cars came free where, and the roads.
//!
//! Read where it lies; the folder's own README says what each column means.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use flate2::read::GzDecoder;
use ibora::bots::Trip;
use ibora::geo::{PowerLaw, RoadGraph};
use ibora_domain::place::Coordinates;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;

/// One meter's vendor rounds to whole minutes: those requests are spread over theirs.
const MINUTE: u32 = 60;

/// A request at a second of the hour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request {
    pub(super) at_s: f64,
    pub(super) trip: Trip,
}

/// A car that is there from a second of the hour on; before its begin counts as its begin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Car {
    pub(super) at_s: f64,
    pub(super) place: Coordinates,
}

/// The hour, in order of time.
pub(super) struct Hour {
    pub(super) requests: Vec<Request>,
    pub(super) cars: Vec<Car>,
    /// How many requests were spread over their minute.
    pub(super) spread: usize,
}

#[derive(Deserialize)]
struct RequestRow {
    t_s: u32,
    pickup_lat: f64,
    pickup_lon: f64,
    dropoff_lat: f64,
    dropoff_lon: f64,
}

#[derive(Deserialize)]
struct CarRow {
    t_s: i32,
    lat: f64,
    lon: f64,
}

impl Hour {
    /// Reads requests and cars.
    pub(super) fn read(dir: &Path, seed: u64) -> anyhow::Result<Self> {
        let mut random = StdRng::seed_from_u64(seed);
        let mut spread = 0;
        let mut requests = Vec::new();
        for row in csv::Reader::from_reader(open(dir, "requests.csv.gz")?).deserialize() {
            let row: RequestRow = row?;
            // Within its second, too: so many requests in one instant were never asked.
            let within = if row.t_s.is_multiple_of(MINUTE) {
                spread += 1;
                f64::from(MINUTE)
            } else {
                1.0
            };
            let pickup = Coordinates::new(row.pickup_lat, row.pickup_lon)?;
            let dropoff = Coordinates::new(row.dropoff_lat, row.dropoff_lon)?;
            let at_s = f64::from(row.t_s) + random.random_range(0.0..within);
            requests.push(Request { at_s, trip: Trip { pickup, dropoff } });
        }
        requests.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        let mut cars = Vec::new();
        for row in csv::Reader::from_reader(open(dir, "taxis.csv.gz")?).deserialize() {
            let row: CarRow = row?;
            let place = Coordinates::new(row.lat, row.lon)?;
            cars.push(Car { at_s: f64::from(row.t_s.max(0)), place });
        }
        cars.sort_by(|a, b| a.at_s.total_cmp(&b.at_s));
        Ok(Self { requests, cars, spread })
    }

    /// Only what happens before this second.
    pub(super) fn until(&mut self, end_s: f64) {
        self.requests.retain(|request| request.at_s < end_s);
        self.cars.retain(|car| car.at_s < end_s);
    }
}

/// The files of the road graph, unpacked into `to`, as the engine reads them.
pub(super) fn unpack_roads(dir: &Path, to: &Path) -> anyhow::Result<(PathBuf, PathBuf)> {
    let unpack = |name: &str| -> anyhow::Result<PathBuf> {
        let path = to.join(name);
        let mut packed = open(dir, &format!("{name}.gz"))?;
        std::io::copy(&mut packed, &mut File::create(&path)?)?;
        Ok(path)
    };
    Ok((unpack("road_nodes.csv")?, unpack("road_edges.csv")?))
}

/// The roads as the bots drive them.
pub(super) fn roads((nodes, edges): &(PathBuf, PathBuf)) -> anyhow::Result<Arc<RoadGraph>> {
    let open = |path: &Path| anyhow::Ok(BufReader::new(File::open(path)?));
    let graph = RoadGraph::read(open(nodes)?, open(edges)?, Arc::new(PowerLaw::default()))?;
    Ok(Arc::new(graph))
}

/// A packed file of the folder.
pub(crate) fn open(dir: &Path, name: &str) -> anyhow::Result<impl Read + use<>> {
    let path = dir.join(name);
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    Ok(BufReader::new(GzDecoder::new(file)))
}
