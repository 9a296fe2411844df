//! The assignment problem: as many pairs as possible, at the least total cost.
//!
//! Shortest augmenting paths over a dense matrix (Jonker and Volgenant 1987, in the rectangular
//! form of Crouse 2016). Whole numbers, so that a matrix has the same answer on every machine.

/// The cost of a pair that must not be.
pub const FORBIDDEN: i64 = i64::MAX;

/// Stands in for [`FORBIDDEN`] while solving: above any sum of real costs, and far from overflow.
const WALL: i64 = 1 << 50;

/// The highest cost of a pair; what is above counts as this.
const COST_MAX: i64 = 1 << 36;

/// A dense matrix of costs.
#[derive(Debug, Clone)]
pub struct Costs {
    rows: usize,
    columns: usize,
    cells: Vec<i64>,
}

impl Costs {
    /// A matrix in which no pair may be.
    #[must_use]
    pub fn new(rows: usize, columns: usize) -> Self {
        Self { rows, columns, cells: vec![WALL; rows * columns] }
    }

    /// Sets what a pair costs, from -2^36 to 2^36, or that it is [`FORBIDDEN`].
    ///
    /// # Panics
    /// Outside the matrix.
    pub fn set(&mut self, row: usize, column: usize, cost: i64) {
        assert!(row < self.rows && column < self.columns, "({row}, {column}) is outside");
        let bounded = if cost == FORBIDDEN { WALL } else { cost.clamp(-COST_MAX, COST_MAX) };
        self.cells[row * self.columns + column] = bounded;
    }

    fn transposed(&self) -> Self {
        let mut cells = Vec::with_capacity(self.cells.len());
        for column in 0..self.columns {
            cells.extend((0..self.rows).map(|row| self.cells[row * self.columns + column]));
        }
        Self { rows: self.columns, columns: self.rows, cells }
    }
}

/// For each row its column, or none: the most pairs that are not forbidden, and among those the
/// least total cost.
#[must_use]
pub fn assign(costs: &Costs) -> Vec<Option<usize>> {
    if costs.rows <= costs.columns {
        return solve(costs);
    }
    let mut rows = vec![None; costs.rows];
    for (column, row) in solve(&costs.transposed()).into_iter().enumerate() {
        if let Some(row) = row {
            rows[row] = Some(column);
        }
    }
    rows
}

/// No row or no column.
const NONE: usize = usize::MAX;

/// The state of the search, for a matrix with no more rows than columns.
struct Solver<'a> {
    costs: &'a Costs,
    row_price: Vec<i64>,
    column_price: Vec<i64>,
    row_of: Vec<usize>,
    column_of: Vec<usize>,
    /// Of the running search: the shortest way to each column, and the row it comes from.
    reach: Vec<i64>,
    from: Vec<usize>,
    /// Columns not yet reached for good.
    open: Vec<usize>,
    /// Columns reached for good.
    closed: Vec<usize>,
}

fn solve(costs: &Costs) -> Vec<Option<usize>> {
    let (rows, columns) = (costs.rows, costs.columns);
    let mut solver = Solver {
        costs,
        row_price: vec![0; rows],
        column_price: vec![0; columns],
        row_of: vec![NONE; columns],
        column_of: vec![NONE; rows],
        reach: vec![0; columns],
        from: vec![NONE; columns],
        open: Vec::with_capacity(columns),
        closed: Vec::with_capacity(columns),
    };
    for row in 0..rows {
        solver.place(row);
    }
    let real = |(row, &column): (usize, &usize)| {
        (costs.cells[row * columns + column] < WALL).then_some(column)
    };
    solver.column_of.iter().enumerate().map(real).collect()
}

impl Solver<'_> {
    /// Gives `start` a column, moving rows that have one along the cheapest way.
    fn place(&mut self, start: usize) {
        self.reach.fill(i64::MAX);
        self.open.clear();
        self.open.extend((0..self.costs.columns).rev());
        self.closed.clear();
        let (mut row, mut so_far) = (start, 0);
        let end = loop {
            let Some((column, length)) = self.extend(row, so_far) else {
                return; // No column is left; with rows <= columns that does not happen.
            };
            so_far = length;
            if self.row_of[column] == NONE {
                break column;
            }
            self.closed.push(column);
            row = self.row_of[column];
        };
        self.row_price[start] += so_far;
        for &column in &self.closed {
            let slack = so_far - self.reach[column];
            self.row_price[self.row_of[column]] += slack;
            self.column_price[column] -= slack;
        }
        self.turn_over(start, end);
    }

    /// Shortens ways through `row`, and closes the nearest open column.
    fn extend(&mut self, row: usize, so_far: i64) -> Option<(usize, i64)> {
        let width = self.costs.columns;
        let cells = &self.costs.cells[row * width..(row + 1) * width];
        let offset = so_far - self.row_price[row];
        let (mut best, mut least) = (NONE, i64::MAX);
        for (at, &column) in self.open.iter().enumerate() {
            let length = cells[column] - self.column_price[column] + offset;
            if length < self.reach[column] {
                self.reach[column] = length;
                self.from[column] = row;
            }
            let reach = self.reach[column];
            // A column without a row ends the search: it wins a tie.
            if reach < least || (reach == least && self.row_of[column] == NONE) {
                (best, least) = (at, reach);
            }
        }
        (best != NONE).then(|| (self.open.swap_remove(best), least))
    }

    /// Follows the way back from `end`, handing each row its new column.
    fn turn_over(&mut self, start: usize, end: usize) {
        let mut column = end;
        loop {
            let row = self.from[column];
            self.row_of[column] = row;
            std::mem::swap(&mut self.column_of[row], &mut column);
            if row == start {
                return;
            }
        }
    }
}
