//! Chance from a seed: the same numbers on every machine and in every version of this program.
//!
//! Own code, since the generators of libraries may change what a seed means.

/// A seeded source of numbers (SplitMix64; Steele, Lea and Flood 2014).
pub(super) struct Chance(u64);

impl Chance {
    /// A source of its own for each `purpose`, so that one more draw here changes nothing there.
    pub(super) fn new(seed: u64, purpose: u64) -> Self {
        let mut chance = Self(seed ^ purpose.wrapping_mul(0xD1B5_4A32_D192_ED03));
        chance.next();
        chance
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 up to `end`, without it; 0 where `end` is 0.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        let wide = (self.next() >> 32) * u64::from(end);
        u32::try_from(wide >> 32).unwrap_or(0)
    }

    /// From 0 to 1, without 1.
    pub(super) fn unit(&mut self) -> f64 {
        f64::from(self.below(u32::MAX)) / f64::from(u32::MAX)
    }

    /// `count` of the numbers below `of`, ascending; all where there are no more.
    pub(super) fn sample(&mut self, of: u32, count: u32) -> Vec<u32> {
        let mut all: Vec<u32> = (0..of).collect();
        let count = count.min(of);
        for at in 0..count {
            let other = at + self.below(of - at);
            all.swap(at as usize, other as usize);
        }
        all.truncate(count as usize);
        all.sort_unstable();
        all
    }
}
