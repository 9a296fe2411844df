//! The solver against every way there is.

use super::super::{Costs, FORBIDDEN, assign};

/// Numbers by chance (Knuth's MMIX constants).
struct Lcg(u64);

impl Lcg {
    fn below(&mut self, end: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// The most pairs and the least cost of those, by trying all.
fn best(cells: &[Vec<i64>], row: usize, taken: &mut Vec<bool>) -> (usize, i64) {
    let Some(costs) = cells.get(row) else { return (0, 0) };
    let mut found = best(cells, row + 1, taken);
    for (column, &cost) in costs.iter().enumerate() {
        if cost == FORBIDDEN || taken[column] {
            continue;
        }
        taken[column] = true;
        let (pairs, rest) = best(cells, row + 1, taken);
        taken[column] = false;
        let with = (pairs + 1, rest + cost);
        if with.0 > found.0 || (with.0 == found.0 && with.1 < found.1) {
            found = with;
        }
    }
    found
}

#[test]
fn every_matrix_gets_the_most_pairs_at_the_least_cost() {
    let mut chance = Lcg(7);
    for round in 0..600_u64 {
        let size = |n: u64| usize::try_from(n).expect("small");
        let (rows, columns) = (size(chance.below(6)), size(chance.below(6)));
        let cell = |chance: &mut Lcg| match chance.below(4) {
            0 if round % 2 == 0 => FORBIDDEN,
            _ => i64::try_from(chance.below(30)).expect("small") - 10,
        };
        let cells: Vec<Vec<i64>> =
            (0..rows).map(|_| (0..columns).map(|_| cell(&mut chance)).collect()).collect();
        let mut costs = Costs::new(rows, columns);
        for (row, line) in cells.iter().enumerate() {
            line.iter().enumerate().for_each(|(column, cost)| costs.set(row, column, *cost));
        }
        let assigned = assign(&costs);
        let mut taken = vec![false; columns];
        let (mut pairs, mut total) = (0, 0);
        for (row, column) in assigned.iter().enumerate().filter_map(|(r, c)| Some((r, (*c)?))) {
            assert!(!std::mem::replace(&mut taken[column], true), "a column twice: {cells:?}");
            assert_ne!(cells[row][column], FORBIDDEN, "{cells:?}");
            (pairs, total) = (pairs + 1, total + cells[row][column]);
        }
        assert_eq!((pairs, total), best(&cells, 0, &mut vec![false; columns]), "{cells:?}");
    }
}

#[test]
fn nothing_has_no_pairs_and_the_forbidden_stays_alone() {
    assert!(assign(&Costs::new(0, 3)).is_empty());
    assert_eq!(assign(&Costs::new(2, 0)), [None, None]);
    assert_eq!(assign(&Costs::new(2, 3)), [None, None]);
}

/// How long matrices take; with optimisation on a quiet machine these are figures.
#[test]
#[ignore = "a measurement: cargo test --release -p ibora-domain -- --ignored --nocapture"]
#[expect(clippy::print_stderr, reason = "the measurement's product")]
fn solver_times() {
    let mut chance = Lcg(11);
    for size in [100, 500] {
        let mut costs = Costs::new(size, size);
        for row in 0..size {
            for column in 0..size {
                costs.set(row, column, i64::try_from(chance.below(900_000)).expect("small"));
            }
        }
        let began = std::time::Instant::now();
        let pairs = assign(&costs).iter().flatten().count();
        eprintln!("{size} x {size}: {:?}, {pairs} pairs", began.elapsed());
    }
}
