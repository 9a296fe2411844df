//! What came out, and its three forms: a table for people, JSON for machines, a page for both.

mod json;
mod page;
mod summary;
mod table;

use super::{Column, Demand, Options, Streets};
pub(crate) use summary::Summary;

/// The outcome of a comparison.
pub struct Report {
    streets: &'static str,
    options: Options,
    requests: usize,
    skipped: usize,
    columns: Vec<Column>,
    summaries: Vec<Summary>,
    /// Pieces of road, for the map: both ends, in hundred-thousandths of a degree.
    roads: Vec<[i32; 4]>,
}

impl Report {
    pub(super) fn new(
        demand: &Demand,
        streets: &Streets,
        options: &Options,
        columns: Vec<Column>,
    ) -> Self {
        let summaries = columns.iter().map(|column| Summary::of(column, &columns)).collect();
        Self {
            streets: streets.name(),
            options: options.clone(),
            requests: demand.asks.len(),
            skipped: demand.skipped,
            roads: streets.lines(),
            columns,
            summaries,
        }
    }
}
