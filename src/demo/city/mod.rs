//! The demo's city: a street grid that a seed bends, on land that is drawn by hand.
//!
//! The demo makes one, hands its roads to the engine and the bots as the two CSV texts of a road
//! graph, and shows it on the page. The same seed draws the same streets. What always holds: every
//! crossing can be reached from every other.

mod land;

use std::collections::{HashMap, VecDeque};
use std::fmt::Write;

use ibora_domain::place::Coordinates;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use land::Point;

/// Metres of a degree of latitude, and of longitude at this latitude.
const LAT_M: f64 = 111_195.0;
const LNG_M: f64 = 102_400.0;
/// Length of a block.
const BLOCK_M: f64 = 172.0;
/// How far a crossing may be from where a ruler would put it.
const JITTER_M: f64 = 26.0;
/// How far, and over what length, whole quarters are bent.
const BEND_M: f64 = 130.0;
const BEND_OVER_M: f64 = 2600.0;
/// Every so many streets one is an avenue.
const AVENUE_EVERY: i32 = 5;
/// Of a thousand pieces of street, those that are not there.
const MISSING: u32 = 110;

/// How fast a road is, and how broad it is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Street,
    Avenue,
    /// A tunnel or a bridge.
    Link,
}

impl Class {
    const fn speed_kmh(self) -> u32 {
        match self {
            Self::Street => 24,
            Self::Avenue => 38,
            Self::Link => 62,
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Street => 0,
            Self::Avenue => 1,
            Self::Link => 2,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Road {
    from: usize,
    to: usize,
    class: Class,
}

/// Streets, and where people are on them.
pub(super) struct City {
    nodes: Vec<Coordinates>,
    roads: Vec<Road>,
}

/// Where people gather.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spot {
    pub(super) centre: Coordinates,
    pub(super) radius_m: f64,
    pub(super) weight: u32,
}

impl City {
    /// Draws the city of this seed.
    #[must_use]
    pub(super) fn draw(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed ^ 0x5eed_c17f);
        let (crossings, places) = crossings(&mut rng);
        let roads = streets(&mut rng, &crossings);
        let mut city = Self { nodes: places, roads };
        for link in land::LINKS {
            city.link(link);
        }
        city.keep_connected();
        city
    }

    /// `node_id,lat,lon` of every crossing.
    #[must_use]
    pub(super) fn nodes_csv(&self) -> String {
        let mut text = String::from("node_id,lat,lon\n");
        for (number, place) in self.nodes.iter().enumerate() {
            writeln!(text, "{number},{:.6},{:.6}", place.lat(), place.lng()).ok();
        }
        text
    }

    /// `from_node,to_node,length_km,speed_kmh`: every road, there and back.
    #[must_use]
    pub(super) fn edges_csv(&self) -> String {
        let mut text = String::from("from_node,to_node,length_km,speed_kmh\n");
        for Road { from, to, class } in &self.roads {
            let metres = self.nodes[*from].distance_to(self.nodes[*to]).0.max(1);
            let (km, speed) = (f64::from(metres) / 1000.0, class.speed_kmh());
            writeln!(text, "{from},{to},{km:.3},{speed}").ok();
            writeln!(text, "{to},{from},{km:.3},{speed}").ok();
        }
        text
    }

    /// Where people gather.
    #[must_use]
    pub(super) fn spots() -> Vec<Spot> {
        let spot = |((lat, lng), radius_m, weight)| {
            let centre = Coordinates::new(lat, lng).ok()?;
            Some(Spot { centre, radius_m, weight })
        };
        land::SPOTS.into_iter().filter_map(spot).collect()
    }

    /// The crossing nearest to a point so many metres north and east of a place.
    #[must_use]
    pub(super) fn near(
        &self,
        place: Coordinates,
        (north_m, east_m): (f64, f64),
    ) -> Option<Coordinates> {
        let (lat, lng) = (place.lat() + north_m / LAT_M, place.lng() + east_m / LNG_M);
        let node = self.nearest((lat, lng))?;
        Some(self.nodes[node])
    }

    /// The name of the quarter that a place is in or near.
    #[must_use]
    pub(super) fn quarter(place: Coordinates) -> &'static str {
        let quarters = land::LABELS.iter().filter(|(_, _, kind)| kind.number() == 0);
        let distance =
            |(lat, lng): Point| ((place.lat() - lat) * LAT_M).hypot((place.lng() - lng) * LNG_M);
        let near = quarters.min_by(|(_, a, _), (_, b, _)| distance(*a).total_cmp(&distance(*b)));
        near.map_or("", |(name, _, _)| name)
    }

    /// What the page draws: lines as flat lists of degrees times 100,000.
    #[must_use]
    pub(super) fn drawing(&self) -> Value {
        let line = |points: &&[Point]| -> Vec<i32> {
            points.iter().flat_map(|(lat, lng)| [scaled(*lat), scaled(*lng)]).collect()
        };
        let label = |(name, (lat, lng), kind): &(&str, Point, land::Kind)| {
            json!([name, scaled(*lat), scaled(*lng), kind.number()])
        };
        let road = |road: &Road| [road.from, road.to, usize::from(road.class.number())];
        let (south, west, north, east) = land::EDGES;
        json!({
            "edges": [scaled(south), scaled(west), scaled(north), scaled(east)],
            "land": land::LAND.iter().map(line).collect::<Vec<_>>(),
            "lagoon": line(&land::LAGOON),
            "hills": land::HILLS.iter().map(line).collect::<Vec<_>>(),
            "labels": land::LABELS.iter().map(label).collect::<Vec<_>>(),
            "nodes": self.nodes.iter().flat_map(flat).collect::<Vec<_>>(),
            "roads": self.roads.iter().flat_map(road).collect::<Vec<_>>(),
        })
    }

    fn nearest(&self, (lat, lng): Point) -> Option<usize> {
        let distance =
            |place: &Coordinates| ((place.lat() - lat) * LAT_M).hypot((place.lng() - lng) * LNG_M);
        let nodes = self.nodes.iter().enumerate();
        let nearest = nodes.min_by(|(_, a), (_, b)| distance(a).total_cmp(&distance(b)));
        nearest.map(|(number, _)| number)
    }

    /// Adds a line of fast road; its ends meet the nearest crossings.
    fn link(&mut self, points: &[Point]) {
        let [first, between @ .., last] = points else { return };
        let (Some(mut from), Some(end)) = (self.nearest(*first), self.nearest(*last)) else {
            return;
        };
        for (lat, lng) in between {
            let Ok(place) = Coordinates::new(*lat, *lng) else { continue };
            self.nodes.push(place);
            let to = self.nodes.len() - 1;
            self.roads.push(Road { from, to, class: Class::Link });
            from = to;
        }
        self.roads.push(Road { from, to: end, class: Class::Link });
    }

    /// Drops what cannot be reached from the largest part.
    fn keep_connected(&mut self) {
        let parts = parts(self.nodes.len(), &self.roads);
        let mut sizes: HashMap<usize, usize> = HashMap::new();
        for part in &parts {
            *sizes.entry(*part).or_default() += 1;
        }
        let largest = sizes.into_iter().max_by_key(|(part, size)| (*size, *part));
        let Some((largest, _)) = largest else { return };
        let mut numbers = vec![usize::MAX; self.nodes.len()];
        let mut kept = Vec::new();
        for (old, place) in self.nodes.iter().enumerate() {
            if parts[old] == largest {
                numbers[old] = kept.len();
                kept.push(*place);
            }
        }
        self.nodes = kept;
        self.roads.retain(|road| parts[road.from] == largest);
        for road in &mut self.roads {
            (road.from, road.to) = (numbers[road.from], numbers[road.to]);
        }
    }
}

/// Degrees as the page takes them.
fn scaled(degrees: f64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "at most 180 times 100,000")]
    let whole = (degrees * 100_000.0).round() as i32;
    whole
}

fn flat(place: &Coordinates) -> [i32; 2] {
    [scaled(place.lat()), scaled(place.lng())]
}

/// The number of a crossing by its row and column.
type Crossings = HashMap<(i32, i32), usize>;

/// A grid of crossings, bent and jittered, without those in the water and on hills.
fn crossings(rng: &mut StdRng) -> (Crossings, Vec<Coordinates>) {
    let (south, west, north, east) = land::EDGES;
    let blocks = |metres: f64| -> i32 {
        #[expect(clippy::cast_possible_truncation, reason = "a city has some hundred blocks")]
        let count = (metres / BLOCK_M) as i32;
        count
    };
    let (rows, columns) = (blocks((north - south) * LAT_M), blocks((east - west) * LNG_M));
    let phase: [f64; 4] = std::array::from_fn(|_| rng.random_range(0.0..std::f64::consts::TAU));
    let mut numbers = Crossings::new();
    let mut places = Vec::new();
    for row in 0..rows {
        for column in 0..columns {
            let (y, x) = (f64::from(row) * BLOCK_M, f64::from(column) * BLOCK_M);
            let (v, u) = (y / BEND_OVER_M, x / BEND_OVER_M);
            let north_m = y
                + BEND_M * ((u + phase[0]).sin() + (1.7 * v + phase[1]).cos())
                + rng.random_range(-JITTER_M..JITTER_M);
            let east_m = x
                + BEND_M * ((v + phase[2]).sin() + (1.7 * u + phase[3]).cos())
                + rng.random_range(-JITTER_M..JITTER_M);
            let point = (south + north_m / LAT_M, west + east_m / LNG_M);
            let Ok(place) = Coordinates::new(point.0, point.1) else { continue };
            if is_built(point) {
                numbers.insert((row, column), places.len());
                places.push(place);
            }
        }
    }
    (numbers, places)
}

/// Roads between neighbouring crossings: avenues whole, of the streets some are missing.
fn streets(rng: &mut StdRng, crossings: &Crossings) -> Vec<Road> {
    let mut ordered: Vec<_> = crossings.iter().map(|(at, number)| (*at, *number)).collect();
    ordered.sort_unstable();
    let mut roads = Vec::new();
    for ((row, column), from) in ordered {
        let across = ((row, column + 1), row % AVENUE_EVERY == 0);
        let up = ((row + 1, column), column % AVENUE_EVERY == 0);
        for (to, avenue) in [across, up] {
            let missing = rng.random_range(0..1000) < MISSING;
            let Some(to) = crossings.get(&to).copied() else { continue };
            let class = if avenue { Class::Avenue } else { Class::Street };
            if avenue || !missing {
                roads.push(Road { from, to, class });
            }
        }
    }
    roads
}

/// For every node the lowest node of its part.
fn parts(nodes: usize, roads: &[Road]) -> Vec<usize> {
    let mut neighbours = vec![Vec::new(); nodes];
    for Road { from, to, .. } in roads {
        neighbours[*from].push(*to);
        neighbours[*to].push(*from);
    }
    let mut parts = vec![usize::MAX; nodes];
    for start in 0..nodes {
        let mut waiting = VecDeque::from([start]);
        while let Some(node) = waiting.pop_front() {
            if parts[node] == usize::MAX {
                parts[node] = start;
                waiting.extend(&neighbours[node]);
            }
        }
    }
    parts
}

/// Whether streets may be here: on land, not in the lagoon, not on a hill.
fn is_built(point: Point) -> bool {
    land::LAND.iter().any(|land| contains(land, point))
        && !contains(land::LAGOON, point)
        && !land::HILLS.iter().any(|hill| contains(hill, point))
}

/// Whether a closed line goes around a point: a ray from it crosses the line an odd number of times.
fn contains(line: &[Point], (lat, lng): Point) -> bool {
    let mut inside = false;
    let previous = line.iter().cycle().skip(line.len().saturating_sub(1));
    for (a, b) in line.iter().zip(previous) {
        let spans = (a.0 > lat) != (b.0 > lat);
        if spans && lng < (b.1 - a.1) * (lat - a.0) / (b.0 - a.0) + a.1 {
            inside = !inside;
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::geo::{PowerLaw, RoadGraph, Router};

    #[test]
    fn the_same_seed_draws_the_same_city_and_another_seed_another() {
        let (one, again, other) = (City::draw(7), City::draw(7), City::draw(8));
        assert_eq!(one.nodes_csv(), again.nodes_csv());
        assert_eq!(one.edges_csv(), again.edges_csv());
        assert_ne!(one.nodes_csv(), other.nodes_csv());
    }

    #[test]
    fn every_crossing_is_dry_and_can_be_reached() {
        let city = City::draw(1);
        assert!(city.nodes.len() > 2000, "{} crossings", city.nodes.len());
        assert!(parts(city.nodes.len(), &city.roads).iter().all(|part| *part == 0));
        let wet = city.nodes.iter().filter(|place| !is_built((place.lat(), place.lng()))).count();
        let on_links: usize = land::LINKS.iter().map(|link| link.len() - 2).sum();
        assert!(wet <= on_links, "{wet} crossings in the water or on a hill");
    }

    #[test]
    fn the_engine_reads_the_roads_and_drives_over_the_bridge() {
        let city = City::draw(1);
        let (nodes, edges) = (city.nodes_csv(), city.edges_csv());
        let graph = RoadGraph::read(nodes.as_bytes(), edges.as_bytes(), Arc::default());
        let graph = graph.expect("a road graph");
        assert_eq!((graph.nodes(), graph.edges()), (city.nodes.len(), 2 * city.roads.len()));
        let centre = Coordinates::new(-22.9060, -43.1780).expect("Centro");
        let niteroi = Coordinates::new(-22.8950, -43.1190).expect("Niterói");
        let over = graph.route(centre, niteroi);
        assert!(over.distance.0 > 12_000, "only the bridge leads there: {over:?}");
        assert!(graph.path(centre, niteroi).len() > 20);
        let straight = PowerLaw::default().route(centre, niteroi);
        assert!(straight.distance < over.distance);
    }

    #[test]
    fn the_drawing_is_small_enough_for_a_phone() {
        let drawing = City::draw(1).drawing().to_string();
        assert!(drawing.len() < 400_000, "{} bytes", drawing.len());
    }
}
