//! Recorded demand: who asked for a ride, when, from where to where; and where cars were free.
//!
//! CSV with a header, columns in any order, others ignored, `.gz` or plain. Rows are read one by
//! one and kept in 24 bytes each, so that ten million of them fit. The first wrong row ends it,
//! with its line, unless wrong rows are to be left out; then they are counted.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use csv::StringRecord;
use flate2::read::GzDecoder;
use ibora_domain::place::{Coordinates, PlaceError, whole};
use thiserror::Error;
use time::PrimitiveDateTime;
use time::format_description::well_known::Iso8601;

use super::streets::Streets;

/// More rows than this are refused: 480 MB.
const ROWS_MAX: usize = 20_000_000;

/// Longest record: a week.
const TIME_MAX_S: f64 = 604_800.0;

/// Nobody takes a car further within a city.
const TRIP_MAX_M: u32 = 300_000;

/// So many cars at most begin where rides end.
const CARS_MADE_MAX: usize = 100_000;

/// How often reading says how far it is.
const TELL_EVERY: u64 = 1_000_000;

/// A request as it was recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Ask {
    pub(super) at_ms: u32,
    pickup: Packed,
    dropoff: Packed,
}

/// A place in ten-millionths of a degree, a centimetre.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Packed {
    lat: i32,
    lng: i32,
}

/// What a simulation is fed with.
#[derive(Debug, Default, Clone)]
pub struct Demand {
    /// In order of time.
    pub(super) asks: Vec<Ask>,
    pub(super) cars: Vec<Coordinates>,
    /// Rows that were left out.
    pub(super) skipped: usize,
}

/// Why a file is no demand. Lines count from 1, the header included.
#[derive(Debug, Error)]
pub enum DemandError {
    #[error("{}: cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{}: the header has no column `{column}`", path.display())]
    NoColumn { path: PathBuf, column: &'static str },
    #[error("{}, line {line}: {fault}", path.display())]
    Row { path: PathBuf, line: u64, fault: RowError },
    #[error("{}: nothing after the header", path.display())]
    Empty { path: PathBuf },
    #[error("{}: more than {ROWS_MAX} rows", path.display())]
    TooMany { path: PathBuf },
}

/// What is wrong with a row.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RowError {
    #[error("{found} columns instead of {expected}")]
    Columns { expected: u64, found: u64 },
    #[error("not readable as CSV in UTF-8")]
    Text,
    #[error("`{column}` is no number")]
    Number { column: &'static str },
    #[error("`{column}` is no time within a week of the first row")]
    Time { column: &'static str },
    #[error("`{column}`: {source}")]
    Place { column: &'static str, source: PlaceError },
    #[error("the {end} is nowhere near a street")]
    OffStreets { end: &'static str },
    #[error("the ends are more than {} km apart", TRIP_MAX_M / 1000)]
    TooFar,
}

impl Ask {
    pub(super) fn new(at_ms: u32, pickup: Coordinates, dropoff: Coordinates) -> Self {
        Self { at_ms, pickup: Packed::of(pickup), dropoff: Packed::of(dropoff) }
    }

    /// Where it goes from and to.
    pub(super) fn ends(&self) -> Option<(Coordinates, Coordinates)> {
        Some((self.pickup.place()?, self.dropoff.place()?))
    }
}

impl Packed {
    #[expect(clippy::cast_possible_truncation, reason = "180 degrees fit")]
    fn of(place: Coordinates) -> Self {
        let packed = |degrees: f64| (degrees * 1e7).round() as i32;
        Self { lat: packed(place.lat()), lng: packed(place.lng()) }
    }

    fn place(self) -> Option<Coordinates> {
        Coordinates::new(f64::from(self.lat) / 1e7, f64::from(self.lng) / 1e7).ok()
    }
}

/// How rows are read.
pub struct Reading<'a> {
    pub streets: &'a Streets,
    /// Leave wrong rows out instead of ending at the first.
    pub skip_wrong: bool,
    /// Told from time to time how far it is.
    pub progress: &'a dyn Fn(&str),
}

impl Demand {
    /// How many rows were left out.
    #[must_use]
    pub fn skipped(&self) -> usize {
        self.skipped
    }

    /// Reads requests and cars.
    ///
    /// # Errors
    /// [`DemandError`]: the first thing that is wrong.
    pub fn read(requests: &Path, cars: &Path, reading: &Reading<'_>) -> Result<Self, DemandError> {
        let mut demand = Self::default();
        demand.read_asks(requests, reading)?;
        demand.read_cars(cars, reading)?;
        Ok(demand)
    }

    /// Reads requests; so many cars, and more where there are more rides, begin where rides end.
    ///
    /// # Errors
    /// [`DemandError`]: the first thing that is wrong.
    pub fn read_without_cars(
        requests: &Path,
        cars: u32,
        reading: &Reading<'_>,
    ) -> Result<Self, DemandError> {
        let mut demand = Self::default();
        demand.read_asks(requests, reading)?;
        let asks = demand.asks.len();
        let count = asks.max(cars as usize).min(CARS_MADE_MAX);
        // Evenly over the whole time, each more than once where there are too few.
        let ask = |car| demand.asks[car * asks / count];
        let ends = (0..count).filter_map(|car| ask(car).dropoff.place());
        demand.cars = ends.collect();
        Ok(demand)
    }

    fn read_asks(&mut self, path: &Path, reading: &Reading<'_>) -> Result<(), DemandError> {
        let mut table = Table::open(path)?;
        let t_s = table.find("t_s");
        let at = match t_s {
            Some(_) => None,
            None => Some(table.column("pickup_at")?),
        };
        let ends = [
            (table.column("pickup_lat")?, table.column("pickup_lon")?),
            (table.column("dropoff_lat")?, table.column("dropoff_lon")?),
        ];
        let mut begin = None;
        table.rows(self, reading, |row, demand| {
            let at_ms = match (t_s, at) {
                (Some(t_s), _) => seconds(row, t_s)?,
                (None, at) => moment(row, at.unwrap_or(0), &mut begin)?,
            };
            let pickup = place(row, ends[0], ("pickup_lat", "pickup_lon"))?;
            let dropoff = place(row, ends[1], ("dropoff_lat", "dropoff_lon"))?;
            if pickup.distance_to(dropoff).0 > TRIP_MAX_M {
                return Err(RowError::TooFar);
            }
            for (end, at) in [("pickup", pickup), ("dropoff", dropoff)] {
                reading.streets.spot(at).ok_or(RowError::OffStreets { end })?;
            }
            demand.asks.push(Ask::new(at_ms, pickup, dropoff));
            Ok(())
        })?;
        if self.asks.is_empty() {
            return Err(DemandError::Empty { path: path.into() });
        }
        self.asks.sort_by_key(|ask| ask.at_ms);
        Ok(())
    }

    fn read_cars(&mut self, path: &Path, reading: &Reading<'_>) -> Result<(), DemandError> {
        let mut table = Table::open(path)?;
        let at = (table.column("lat")?, table.column("lon")?);
        table.rows(self, reading, |row, demand| {
            let place = place(row, at, ("lat", "lon"))?;
            reading.streets.spot(place).ok_or(RowError::OffStreets { end: "car" })?;
            demand.cars.push(place);
            Ok(())
        })?;
        if self.cars.is_empty() {
            return Err(DemandError::Empty { path: path.into() });
        }
        Ok(())
    }
}

/// A CSV file with its header read.
struct Table {
    path: PathBuf,
    reader: csv::Reader<Box<dyn Read>>,
    header: StringRecord,
}

impl Table {
    fn open(path: &Path) -> Result<Self, DemandError> {
        let unreadable = |source| DemandError::Unreadable { path: path.into(), source };
        let file = BufReader::new(File::open(path).map_err(unreadable)?);
        let packed = path.extension().is_some_and(|end| end == "gz");
        let text: Box<dyn Read> =
            if packed { Box::new(GzDecoder::new(file)) } else { Box::new(file) };
        let mut reader = csv::Reader::from_reader(text);
        let header = reader.headers().map_err(|error| wrong(path, 1, &error))?.clone();
        Ok(Self { path: path.into(), reader, header })
    }

    fn find(&self, column: &str) -> Option<usize> {
        self.header.iter().position(|name| name.trim() == column)
    }

    fn column(&self, column: &'static str) -> Result<usize, DemandError> {
        let missing = || DemandError::NoColumn { path: self.path.clone(), column };
        self.find(column).ok_or_else(missing)
    }

    fn rows(
        &mut self,
        demand: &mut Demand,
        reading: &Reading<'_>,
        mut each: impl FnMut(&StringRecord, &mut Demand) -> Result<(), RowError>,
    ) -> Result<(), DemandError> {
        let mut row = StringRecord::new();
        let mut rows = 0_u64;
        loop {
            let (line, outcome) = match self.reader.read_record(&mut row) {
                Ok(false) => return Ok(()),
                Ok(true) => (row.position().map_or(0, csv::Position::line), each(&row, demand)),
                Err(error) => match wrong(&self.path, self.reader.position().line(), &error) {
                    DemandError::Row { line, fault, .. } => (line, Err(fault)),
                    fatal => return Err(fatal),
                },
            };
            match outcome {
                Ok(()) => {}
                Err(_) if reading.skip_wrong => demand.skipped += 1,
                Err(fault) => {
                    return Err(DemandError::Row { path: self.path.clone(), line, fault });
                }
            }
            rows += 1;
            if rows.is_multiple_of(TELL_EVERY) {
                (reading.progress)(&format!("{}: {rows} rows", self.path.display()));
            }
            if demand.asks.len().max(demand.cars.len()) > ROWS_MAX {
                return Err(DemandError::TooMany { path: self.path.clone() });
            }
        }
    }
}

/// What the CSV reader found wrong.
fn wrong(path: &Path, line: u64, error: &csv::Error) -> DemandError {
    let fault = match error.kind() {
        csv::ErrorKind::Io(source) => {
            let source = io::Error::new(source.kind(), source.to_string());
            return DemandError::Unreadable { path: path.into(), source };
        }
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            RowError::Columns { expected: *expected_len, found: *len }
        }
        _ => RowError::Text,
    };
    let line = error.position().map_or(line, csv::Position::line);
    DemandError::Row { path: path.into(), line, fault }
}

fn number(row: &StringRecord, at: usize, column: &'static str) -> Result<f64, RowError> {
    let text = row.get(at).unwrap_or_default().trim();
    text.parse().map_err(|_| RowError::Number { column })
}

fn place(
    row: &StringRecord,
    (lat, lng): (usize, usize),
    names: (&'static str, &'static str),
) -> Result<Coordinates, RowError> {
    let (lat, lng) = (number(row, lat, names.0)?, number(row, lng, names.1)?);
    let column = names.0;
    Coordinates::new(lat, lng).map_err(|source| RowError::Place { column, source })
}

/// Milliseconds of a column of seconds.
fn seconds(row: &StringRecord, at: usize) -> Result<u32, RowError> {
    let seconds = number(row, at, "t_s")?;
    if (0.0..=TIME_MAX_S).contains(&seconds) {
        return Ok(whole(seconds * 1000.0));
    }
    Err(RowError::Time { column: "t_s" })
}

/// Milliseconds since the hour in which the first row lies.
fn moment(
    row: &StringRecord,
    at: usize,
    begin: &mut Option<PrimitiveDateTime>,
) -> Result<u32, RowError> {
    let wrong = RowError::Time { column: "pickup_at" };
    let text = row.get(at).unwrap_or_default().trim().trim_end_matches('Z');
    let at = PrimitiveDateTime::parse(text, &Iso8601::DEFAULT).map_err(|_| wrong.clone())?;
    let hour = || time::Time::from_hms(at.hour(), 0, 0).map(|hour| at.replace_time(hour));
    let begin = begin.get_or_insert_with(|| hour().unwrap_or(at));
    let since = (at - *begin).as_seconds_f64();
    if (0.0..=TIME_MAX_S).contains(&since) { Ok(whole(since * 1000.0)) } else { Err(wrong) }
}
