//! Machines under chance: a small world carries out their outputs by the rules of the room's door,
//! commits late, loses commits and crashes, and checks every answer against what was recorded.

mod actor;
mod alone;
mod bots;
mod cases;
mod disk;
mod dispatching;
mod eta;
mod lost_words;
mod offers;
mod races;
mod world;

/// Chance that is the same for the same seed.
pub(super) struct Chance(u64);

impl Chance {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def0)
    }

    /// A number below `limit`, and 0 for a limit of 0.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        // Knuth's MMIX generator; its high bits are the good ones.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let drawn = usize::try_from(self.0 >> 33).unwrap_or(0);
        drawn % limit.max(1)
    }

    pub(super) fn one_in(&mut self, count: usize) -> bool {
        count > 0 && self.below(count) == 0
    }
}
