//! A long time in pieces that a list can be asked for, each one reaching back into the last.
//!
//! Rows may appear late, and the provider's clock is not ours: what lies on an edge is seen twice
//! rather than never. Whoever reads the rows takes each of them once, by its id.

use crate::units::{Millis, UnixMillis};

/// From and to, both within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub from: UnixMillis,
    pub to: UnixMillis,
}

/// The windows of a time, the earliest first.
#[derive(Debug, Clone)]
pub struct Windows {
    next: Option<UnixMillis>,
    end: UnixMillis,
    length: Millis,
    overlap: Millis,
}

impl Windows {
    /// The windows that together are `whole`, each of `length` at most and, but for the first, with
    /// `overlap` of the one before it. A length that is all overlap counts as one ms longer.
    #[must_use]
    pub fn of(whole: Window, length: Millis, overlap: Millis) -> Self {
        let next = (whole.from <= whole.to).then_some(whole.from);
        Self { next, end: whole.to, length: length.max(overlap.plus(Millis(1))), overlap }
    }
}

impl Iterator for Windows {
    type Item = Window;

    fn next(&mut self) -> Option<Window> {
        let from = self.next?;
        let to = self.end.min(from + self.length);
        self.next = (to < self.end).then(|| to - self.overlap);
        Some(Window { from, to })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(from: i64, to: i64, length: u64, overlap: u64) -> Vec<(i64, i64)> {
        let whole = Window { from: UnixMillis(from), to: UnixMillis(to) };
        let windows = Windows::of(whole, Millis(length), Millis(overlap));
        windows.take(100).map(|window| (window.from.0, window.to.0)).collect()
    }

    #[test]
    fn windows_cover_everything_and_overlap() {
        assert_eq!(windows(0, 100, 40, 10), [(0, 40), (30, 70), (60, 100)]);
        assert_eq!(windows(0, 30, 40, 10), [(0, 30)]);
        assert_eq!(windows(5, 5, 40, 10), [(5, 5)]);
        assert_eq!(windows(6, 5, 40, 10), []);
        assert_eq!(windows(0, 3, 10, 20).len(), 1);
        assert_eq!(
            windows(0, 30, 10, 20),
            [
                (0, 21),
                (1, 22),
                (2, 23),
                (3, 24),
                (4, 25),
                (5, 26),
                (6, 27),
                (7, 28),
                (8, 29),
                (9, 30)
            ]
        );
    }
}
