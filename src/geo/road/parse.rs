//! Reads the two CSV texts of a road graph, strictly: the first wrong line ends it.
//!
//! Only the road graph calls it. What always holds: edges that came through here join known nodes,
//! and their lengths and times are positive and fit their types.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead};
use std::str::FromStr;

use ibora_domain::place::{Coordinates, PlaceError, whole};
use thiserror::Error;

use super::search::Edge;

const NODE_HEADER: &str = "node_id,lat,lon";
const EDGE_HEADER: &str = "from_node,to_node,length_km,speed_kmh";

/// Longest edge and slowest passage that are still taken for real.
const LENGTH_MAX_KM: f64 = 1000.0;
const PASSAGE_MAX_MS: f64 = 86_400_000.0;

/// One of the two texts of a road graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoadFile {
    Nodes,
    Edges,
}

/// Why two texts are no road graph. Lines count from 1, the header included.
#[derive(Debug, Error)]
pub enum RoadGraphError {
    #[error("{file}, line {line}: unreadable")]
    Unreadable { file: RoadFile, line: usize, source: io::Error },
    #[error("{file}, line 1: the header must be {expected}")]
    Header { file: RoadFile, expected: &'static str },
    #[error("{file}, line {line}: {found} columns instead of {expected}")]
    Columns { file: RoadFile, line: usize, expected: usize, found: usize },
    #[error("{file}, line {line}: {column} is no number of its kind")]
    Number { file: RoadFile, line: usize, column: &'static str },
    #[error("{file}, line {line}: {column} is out of range")]
    OutOfRange { file: RoadFile, line: usize, column: &'static str },
    #[error("nodes, line {line}: no place on Earth")]
    Place { line: usize, source: PlaceError },
    #[error("nodes, line {line}: node {node} was there before")]
    DuplicateNode { line: usize, node: u32 },
    #[error("edges, line {line}: there is no node {node}")]
    UnknownNode { line: usize, node: u32 },
    #[error("{file}: nothing after the header")]
    Empty { file: RoadFile },
}

impl fmt::Display for RoadFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nodes => "nodes",
            Self::Edges => "edges",
        })
    }
}

/// From a node's number in the files to its place in memory.
pub(super) type Numbers = HashMap<u32, u32>;

pub(super) fn nodes(text: impl BufRead) -> Result<(Numbers, Vec<Coordinates>), RoadGraphError> {
    let mut numbers = Numbers::new();
    let mut places = Vec::new();
    rows(RoadFile::Nodes, NODE_HEADER, text, |row: Row<'_, 3>| {
        let node = row.number::<u32>(0, "node_id")?;
        let (lat, lng) = (row.number(1, "lat")?, row.number(2, "lon")?);
        let place = Coordinates::new(lat, lng)
            .map_err(|source| RoadGraphError::Place { line: row.line, source })?;
        let next = u32::try_from(places.len()).map_err(|_| row.out_of_range("node_id"))?;
        if numbers.insert(node, next).is_some() {
            return Err(RoadGraphError::DuplicateNode { line: row.line, node });
        }
        places.push(place);
        Ok(())
    })?;
    Ok((numbers, places))
}

pub(super) fn edges(text: impl BufRead, numbers: &Numbers) -> Result<Vec<Edge>, RoadGraphError> {
    let mut edges = Vec::new();
    rows(RoadFile::Edges, EDGE_HEADER, text, |row: Row<'_, 4>| {
        let end = |at: usize, column: &'static str| {
            let node = row.number(at, column)?;
            let unknown = RoadGraphError::UnknownNode { line: row.line, node };
            numbers.get(&node).copied().ok_or(unknown)
        };
        let (from, to) = (end(0, "from_node")?, end(1, "to_node")?);
        let length_km: f64 = row.number(2, "length_km")?;
        let speed_kmh: f64 = row.number(3, "speed_kmh")?;
        // Written so that NaN is refused as well.
        if !(length_km > 0.0 && length_km <= LENGTH_MAX_KM) {
            return Err(row.out_of_range("length_km"));
        }
        let passage_ms = length_km / speed_kmh * 3_600_000.0;
        if !(speed_kmh > 0.0 && speed_kmh.is_finite() && passage_ms <= PASSAGE_MAX_MS) {
            return Err(row.out_of_range("speed_kmh"));
        }
        let (mm, ms) = (whole(length_km * 1_000_000.0), whole(passage_ms));
        edges.push(Edge { from, to, mm: mm.max(1), ms: ms.max(1) });
        Ok(())
    })?;
    Ok(edges)
}

/// The cells of one line.
struct Row<'a, const N: usize> {
    file: RoadFile,
    line: usize,
    cells: [&'a str; N],
}

impl<const N: usize> Row<'_, N> {
    fn number<V: FromStr>(&self, at: usize, column: &'static str) -> Result<V, RoadGraphError> {
        let wrong = RoadGraphError::Number { file: self.file, line: self.line, column };
        self.cells[at].parse().map_err(|_| wrong)
    }

    fn out_of_range(&self, column: &'static str) -> RoadGraphError {
        RoadGraphError::OutOfRange { file: self.file, line: self.line, column }
    }
}

/// Hands every line after the header, split into its `N` cells, to `each`.
fn rows<const N: usize>(
    file: RoadFile,
    header: &'static str,
    text: impl BufRead,
    mut each: impl FnMut(Row<'_, N>) -> Result<(), RoadGraphError>,
) -> Result<(), RoadGraphError> {
    let mut last = 0;
    for (line, text) in (1..).zip(text.lines()) {
        let text = text.map_err(|source| RoadGraphError::Unreadable { file, line, source })?;
        // `lines` has taken the line feed and a carriage return before it.
        if line == 1 && text != header {
            return Err(RoadGraphError::Header { file, expected: header });
        }
        if line > 1 {
            let cells: Vec<&str> = text.split(',').collect();
            let found = cells.len();
            let cells = <[&str; N]>::try_from(cells).map_err(|_| RoadGraphError::Columns {
                file,
                line,
                expected: N,
                found,
            })?;
            each(Row { file, line, cells })?;
        }
        last = line;
    }
    match last {
        0 => Err(RoadGraphError::Header { file, expected: header }),
        1 => Err(RoadGraphError::Empty { file }),
        _ => Ok(()),
    }
}
