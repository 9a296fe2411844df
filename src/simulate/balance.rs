//! Where there are more cars than anybody asks for: counts of both by field of the map.

use std::collections::{HashMap, VecDeque};

use ibora_domain::place::Coordinates;

/// Edge of a field in metres; a car is judged by its own field and the eight around it.
const FIELD_M: f64 = 500.0;

/// Metres of a degree of latitude.
const DEGREE_M: f64 = 111_195.0;

/// What was asked for longer ago says nothing any more.
const LATELY_MS: u32 = 600_000;

type Field = (i32, i32);

/// Cars that can be had, and requests of late.
#[derive(Default)]
pub(super) struct Balance {
    cars: HashMap<Field, i32>,
    asked: HashMap<Field, i32>,
    lately: VecDeque<(u32, Field)>,
}

impl Balance {
    /// So many more cars can be had here.
    pub(super) fn car(&mut self, at: Coordinates, more: i32) {
        *self.cars.entry(field(at)).or_default() += more;
    }

    /// Somebody asks for a ride here.
    pub(super) fn ask(&mut self, at: Coordinates, now: u32) {
        *self.asked.entry(field(at)).or_default() += 1;
        self.lately.push_back((now, field(at)));
    }

    /// Forgets what is too long ago.
    pub(super) fn forget(&mut self, now: u32) {
        while let Some((_, field)) = self.lately.pop_front_if(|(at, _)| *at + LATELY_MS < now) {
            *self.asked.entry(field).or_default() -= 1;
        }
    }

    /// Cars for each ride that was asked for around here.
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    pub(super) fn spare(&self, at: Coordinates) -> f32 {
        let around = |counts: &HashMap<Field, i32>| {
            let (row, column) = field(at);
            let fields =
                (row - 1..=row + 1).flat_map(|r| (column - 1..=column + 1).map(move |c| (r, c)));
            fields.filter_map(|field| counts.get(&field)).sum::<i32>()
        };
        // Half a ride more, so that a field where nobody asks is no infinity.
        around(&self.cars) as f32 / (around(&self.asked) as f32 + 0.5)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "degrees over a field fit")]
fn field(at: Coordinates) -> Field {
    let shrink = at.lat().round().to_radians().cos().max(0.01);
    let number = |degrees: f64| (degrees * DEGREE_M / FIELD_M).floor() as i32;
    (number(at.lat()), number(at.lng() * shrink))
}
