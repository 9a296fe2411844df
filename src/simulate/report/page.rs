//! The report as one page that needs nothing else: no network, no server, no other file.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::Column;
use super::super::measure::{BIN_MS, Bin, CELL_DEGREES, Cell};
use super::Report;

const PAGE: &str = include_str!("page.html");

/// Where the data stands in the page.
const PLACE: &str = "\"DATA\"";

impl Report {
    /// HTML with charts over the policies and a map of waits.
    #[must_use]
    pub fn page(&self) -> String {
        let mut data = self.json();
        data["columns"] = self.columns.iter().map(column).collect();
        data["bin_s"] = json!(BIN_MS / 1000);
        data["cell_degrees"] = json!(CELL_DEGREES);
        data["roads"] = json!(self.roads);
        // Inside a script element only `</` could end it.
        PAGE.replacen(PLACE, &data.to_string().replace("</", "<\\/"), 1)
    }
}

/// Means over the seeds, five minutes by five minutes and cell by cell.
fn column(column: &Column) -> Value {
    let seeds = column.runs.len().max(1);
    let mut bins: Vec<Bin> = Vec::new();
    let mut cells: BTreeMap<(i32, i32), Cell> = BTreeMap::new();
    for run in &column.runs {
        bins.resize(bins.len().max(run.bins.len()), Bin::default());
        for (sum, bin) in bins.iter_mut().zip(&run.bins) {
            sum.waiting += bin.waiting;
            sum.free += bin.free;
            sum.completed += bin.completed;
            sum.wait_s += bin.wait_s;
        }
        for (key, cell) in &run.cells {
            let sum = cells.entry(*key).or_default();
            sum.asked += cell.asked;
            sum.completed += cell.completed;
            sum.wait_s += cell.wait_s;
        }
    }
    let seeds = super::super::measure::count(seeds);
    let tenth = |value: f64| (value * 10.0).round() / 10.0;
    let bin = |bin: &Bin| {
        let wait = bin.wait_s / f64::from(bin.completed.max(1));
        json!([tenth(bin.waiting / seeds), tenth(bin.free / seeds), tenth(wait)])
    };
    let cell = |((row, column), cell): (&(i32, i32), &Cell)| {
        let wait = cell.wait_s / f64::from(cell.completed.max(1));
        json!([row, column, cell.asked, cell.completed, tenth(wait)])
    };
    json!({
        "policy": column.policy.as_str(),
        "cars": column.cars,
        "bins": bins.iter().map(bin).collect::<Vec<_>>(),
        "cells": cells.iter().map(cell).collect::<Vec<_>>(),
    })
}
