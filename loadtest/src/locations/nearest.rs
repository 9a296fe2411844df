//! The live index in process: updates and queries, each on a thread whose CPU time is its own, and
//! queries beside a thread that never stops moving drivers.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use ibora::geo::{CategoryBits, IndexOptions, LiveIndex, Query};
use ibora_domain::category::Category;
use ibora_domain::ids::DriverId;
use ibora_domain::place::Coordinates;
use ibora_domain::units::{Metres, UnixMillis};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use uuid::Uuid;

use super::{Options, PerCpuSecond};
use crate::engine::NEVER;
use crate::procs;
use crate::report::{Percentiles, number};

/// A city of about 50 x 50 km around São Paulo.
const SOUTH: f64 = -23.78;
const WEST: f64 = -46.88;
const SIDE: f64 = 0.45;

const NOW: UnixMillis = UnixMillis(1_000_000);
/// How far is looked: the first wave of the defaults.
pub(super) const RADIUS_M: u32 = 1500;
/// Operations between two looks at the clock.
const AT_ONCE: usize = 256;

/// A place in the city.
pub(super) fn anywhere(random: &mut SmallRng) -> anyhow::Result<Coordinates> {
    let (lat, lng) = (random.random_range(0.0..SIDE), random.random_range(0.0..SIDE));
    Ok(Coordinates::new(SOUTH + lat, WEST + lng)?)
}

struct Crowd {
    index: LiveIndex,
    drivers: Vec<DriverId>,
}

impl Crowd {
    fn new(count: usize, random: &mut SmallRng) -> anyhow::Result<Self> {
        let index = LiveIndex::new(IndexOptions { stale_after: NEVER, ..IndexOptions::default() });
        let drivers: Vec<DriverId> = (0..count).map(|_| DriverId(Uuid::now_v7())).collect();
        for driver in &drivers {
            index.update(*driver, anywhere(random)?, NOW);
            index.set_available(*driver, CategoryBits(Category::Economy.bit()));
        }
        Ok(Self { index, drivers })
    }

    /// Moves somebody by up to about a hundred metres, as five seconds of driving would.
    fn move_someone(&self, random: &mut SmallRng) -> anyhow::Result<()> {
        let driver = self.drivers[random.random_range(0..self.drivers.len())];
        let Some((from, _)) = self.index.position(driver) else { return Ok(()) };
        let mut step = || random.random_range(-0.001..0.001);
        let (lat, lng) = (from.lat() + step(), from.lng() + step());
        self.index.update(driver, Coordinates::new(lat, lng)?, NOW);
        Ok(())
    }

    fn ask(&self, at: Coordinates) -> usize {
        let found = self.index.nearest(&Query {
            at,
            radius: Metres(RADIUS_M),
            limit: 10,
            category: CategoryBits(Category::Economy.bit()),
            now: NOW,
            excluded: &[],
        });
        found.len()
    }
}

/// What the index does in a CPU second of one thread, and how long a query takes, in microseconds,
/// while others move.
pub(super) fn run(options: Options) -> anyhow::Result<(PerCpuSecond, Percentiles)> {
    let mut random = SmallRng::seed_from_u64(7);
    let lasting = Duration::from_secs(options.measure_s);
    let few = Crowd::new(options.drivers, &mut random)?;
    let updates = per_cpu_second(lasting / 2, || few.move_someone(&mut random))?;
    let many = Arc::new(Crowd::new(options.crowd, &mut random)?);
    let queries = per_cpu_second(lasting / 2, || {
        many.ask(anywhere(&mut random)?);
        Ok(())
    })?;
    let latencies = beside_movers(&many, lasting, &mut random)?;
    Ok((PerCpuSecond { updates, queries }, latencies))
}

fn per_cpu_second(
    lasting: Duration,
    mut work: impl FnMut() -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let (before, until) = (procs::of_this_thread(), Instant::now() + lasting);
    let mut done = 0;
    while Instant::now() < until {
        for _ in 0..AT_ONCE {
            work()?;
        }
        done += AT_ONCE;
    }
    Ok(number(done) / procs::of_this_thread().saturating_sub(before).as_secs_f64())
}

fn beside_movers(
    crowd: &Arc<Crowd>,
    lasting: Duration,
    random: &mut SmallRng,
) -> anyhow::Result<Percentiles> {
    let over = Arc::new(AtomicBool::new(false));
    let mover = std::thread::spawn({
        let (crowd, over) = (Arc::clone(crowd), Arc::clone(&over));
        move || {
            let mut random = SmallRng::seed_from_u64(11);
            while !over.load(Ordering::Relaxed) {
                crowd.move_someone(&mut random)?;
            }
            anyhow::Ok(())
        }
    });
    let mut nanos = Histogram::<u64>::new(3)?;
    nanos.auto(true);
    let until = Instant::now() + lasting;
    while Instant::now() < until {
        let place = anywhere(random)?;
        let asked = Instant::now();
        let found = crowd.ask(place);
        let took = asked.elapsed();
        anyhow::ensure!(found == 10, "{found} of 10 found in a city full of drivers");
        nanos.record(u64::try_from(took.as_nanos())?)?;
    }
    over.store(true, Ordering::Relaxed);
    mover.join().map_err(|_| anyhow::anyhow!("the mover died"))??;
    let micros = |quantile| Duration::from_nanos(nanos.value_at_quantile(quantile));
    let micros = |quantile| micros(quantile).as_secs_f64() * 1e6;
    Ok(Percentiles { p50: micros(0.5), p99: micros(0.99) })
}
