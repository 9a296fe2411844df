//! Geometry on the sphere: how points compare by distance and how the Earth is cut into cells.
//!
//! Only this room calls it. Distances are compared as squared chords between unit vectors: exact
//! in order, a few multiplications each, and without a special case at the antimeridian or a pole.
//!
//! What always holds: the bound of a block or a cell is never above the squared chord to any point
//! inside it. A search that skips by bounds therefore misses nobody.

use ibora_domain::place::Coordinates;

/// Mean radius of the Earth in metres (IUGG), as in `Coordinates::distance_to`.
const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// Cells along one side of a block.
pub(super) const SIDE: usize = 8;

/// A point on an edge may be computed to lie on either side of it; 6 micrometres cover that.
const EDGE_SLACK_RAD: f64 = 1e-12;

/// A place as a vector of length one.
#[derive(Clone, Copy)]
pub(super) struct UnitVector([f64; 3]);

impl UnitVector {
    pub(super) fn of(place: Coordinates) -> Self {
        let (sin_lat, cos_lat) = place.lat().to_radians().sin_cos();
        let (sin_lng, cos_lng) = place.lng().to_radians().sin_cos();
        Self([cos_lat * cos_lng, cos_lat * sin_lng, sin_lat])
    }

    /// Grows with the great-circle distance, from 0 here to 4 at the antipode.
    pub(super) fn chord_squared(self, other: Self) -> f64 {
        let [x, y, z] = [0, 1, 2].map(|axis| self.0[axis] - other.0[axis]);
        x * x + y * y + z * z
    }
}

/// The squared chord that belongs to a length on the ground.
pub(super) fn chord_squared(metres: f64) -> f64 {
    let half_angle = (metres / (2.0 * EARTH_RADIUS_M)).min(std::f64::consts::FRAC_PI_2);
    4.0 * half_angle.sin().powi(2)
}

/// The length on the ground that belongs to a squared chord.
pub(super) fn metres(chord_squared: f64) -> f64 {
    2.0 * EARTH_RADIUS_M * (chord_squared.sqrt() / 2.0).min(1.0).asin()
}

/// Where a search starts, with everything that its bounds need again and again.
pub(super) struct Origin {
    pub(super) vector: UnitVector,
    lat: f64,
    lng: f64,
    cos_lat: f64,
    band: u32,
}

/// Names a block: its band from the south pole, its column from the antimeridian.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct BlockKey {
    band: u32,
    column: u32,
}

/// The block of a point, and the number of its cell there, row by row.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) block: BlockKey,
    pub(super) cell: u8,
}

/// Bounds of a block's cells: that of cell (row, column) is `rows[row] + columns[column]`.
pub(super) struct CellBounds {
    pub(super) rows: [f64; SIDE],
    pub(super) columns: [f64; SIDE],
}

/// The cut of the whole Earth into bands of equal height, and of each band into whole blocks.
///
/// A block has 8 x 8 cells. Cells are as high as asked for, and as wide at the side of their band
/// that is nearer to the equator; at the poles one block goes around.
pub(super) struct Layout {
    band_deg: f64,
    bands: Vec<Band>,
}

struct Band {
    columns: u32,
    column_deg: f64,
    cos_min: f64,
}

impl Layout {
    /// A cut into cells of about `cell_m` metres, which is taken as at least 50 and at most 10,000.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small, positive")]
    pub(super) fn new(cell_m: u32) -> Self {
        let block_m = f64::from(cell_m.clamp(50, 10_000)) * 8.0;
        let degree_m = EARTH_RADIUS_M.to_radians();
        let count = (180.0 * degree_m / block_m).ceil() as u32;
        let band_deg = 180.0 / f64::from(count);
        let bands = (0..count).map(|band| {
            let south = f64::from(band) * band_deg - 90.0;
            let [a, b] = [south, south + band_deg].map(|lat| lat.to_radians().cos().max(0.0));
            let columns = ((360.0 * degree_m * a.max(b) / block_m) as u32).max(1);
            Band { columns, column_deg: 360.0 / f64::from(columns), cos_min: a.min(b) }
        });
        Self { band_deg, bands: bands.collect() }
    }

    pub(super) fn origin(&self, place: Coordinates) -> Origin {
        Origin {
            vector: UnitVector::of(place),
            lat: place.lat(),
            lng: place.lng(),
            cos_lat: place.lat().to_radians().cos().max(0.0),
            band: self.band_at(place.lat()),
        }
    }

    pub(super) fn spot(&self, place: Coordinates) -> Spot {
        let block = self.block_at(place);
        let (south, west) = self.corner(block);
        let row = cell_of((place.lat() - south) / self.band_deg);
        let column = cell_of((place.lng() - west) / self.band(block.band).column_deg);
        Spot { block, cell: row * 8 + column }
    }

    /// Shows `visit` the blocks of one square ring around the origin's block, each at most once,
    /// with their bounds.
    ///
    /// Bounds never shrink from ring to ring in any direction: once every block of a ring is too
    /// far, so is every block beyond it.
    pub(super) fn ring(&self, origin: &Origin, ring: u32, mut visit: impl FnMut(BlockKey, f64)) {
        let last = u32::try_from(self.bands.len() - 1).unwrap_or(u32::MAX);
        let (south, north) = (origin.band.saturating_sub(ring), (origin.band + ring).min(last));
        for number in south..=north {
            let band = self.band(number);
            let rows = gap_term(self.lat_gap(origin, number));
            let home = column_at(origin.lng, band);
            // Columns to either side, so that a whole round meets none of them twice.
            let (to_west, to_east) = ((band.columns - 1) / 2, band.columns / 2);
            let mut show = |column: u32| {
                let gap = lng_gap(origin.lng, west_of(column, band), band.column_deg);
                let bound = rows + origin.cos_lat * band.cos_min * gap_term(gap);
                visit(BlockKey { band: number, column }, bound);
            };
            let full = number.abs_diff(origin.band) == ring;
            if full {
                show(home);
            }
            for steps in if full { 1..=ring } else { ring..=ring } {
                if steps <= to_east {
                    let column = home + steps;
                    show(if column < band.columns { column } else { column - band.columns });
                }
                if steps <= to_west {
                    let wrapped = if steps <= home { home } else { home + band.columns };
                    show(wrapped - steps);
                }
            }
        }
    }

    pub(super) fn cell_bounds(&self, origin: &Origin, block: BlockKey) -> CellBounds {
        let (south, west) = self.corner(block);
        let band = self.band(block.band);
        let (height, width) = (self.band_deg / 8.0, band.column_deg / 8.0);
        let scale = origin.cos_lat * band.cos_min;
        let mut bounds = CellBounds { rows: [0.0; SIDE], columns: [0.0; SIDE] };
        let mut step = 0.0;
        for (row, column) in bounds.rows.iter_mut().zip(&mut bounds.columns) {
            *row = gap_term(interval_gap(origin.lat, south + step * height, height));
            *column = scale * gap_term(lng_gap(origin.lng, west + step * width, width));
            step += 1.0;
        }
        bounds
    }

    fn block_at(&self, place: Coordinates) -> BlockKey {
        let band = self.band_at(place.lat());
        BlockKey { band, column: column_at(place.lng(), self.band(band)) }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates"
    )]
    fn band_at(&self, lat: f64) -> u32 {
        let last = self.bands.len() - 1;
        (((lat + 90.0) / self.band_deg) as u32).min(u32::try_from(last).unwrap_or(u32::MAX))
    }

    fn band(&self, number: u32) -> &Band {
        &self.bands[number as usize]
    }

    fn corner(&self, block: BlockKey) -> (f64, f64) {
        let south = f64::from(block.band) * self.band_deg - 90.0;
        (south, west_of(block.column, self.band(block.band)))
    }

    fn lat_gap(&self, origin: &Origin, band: u32) -> f64 {
        let south = f64::from(band) * self.band_deg - 90.0;
        interval_gap(origin.lat, south, self.band_deg)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn column_at(lng: f64, band: &Band) -> u32 {
    (((lng + 180.0) / band.column_deg) as u32).min(band.columns - 1)
}

fn west_of(column: u32, band: &Band) -> f64 {
    f64::from(column) * band.column_deg - 180.0
}

/// The cell along one side of a block, of a point at `share` of that side.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates")]
fn cell_of(share: f64) -> u8 {
    ((share * 8.0) as u8).min(7)
}

/// Degrees from `value` to the interval of that start and length; 0 inside.
fn interval_gap(value: f64, start: f64, length: f64) -> f64 {
    (start - value).max(value - start - length).max(0.0)
}

/// Degrees of longitude to the interval, the shorter way around; 0 inside.
fn lng_gap(lng: f64, west: f64, width: f64) -> f64 {
    let eastward = west - lng;
    let westward = lng - west - width;
    if eastward <= 0.0 && westward <= 0.0 {
        return 0.0;
    }
    let around = |gap: f64| if gap < 0.0 { gap + 360.0 } else { gap };
    around(eastward).min(around(westward))
}

/// At most `(2 sin(gap / 2))^2`: the haversine term of a gap in degrees, as a squared chord.
fn gap_term(gap_deg: f64) -> f64 {
    let half = (gap_deg.to_radians() / 2.0 - EDGE_SLACK_RAD).max(0.0);
    // x - x^3 / 6 is never above the sine, and positive as far as half a turn needs it.
    let sine = half - half * half * half / 6.0;
    4.0 * sine * sine
}
