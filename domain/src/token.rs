//! Refresh tokens as the engine keeps them: by family and by hash, never by secret.

use std::fmt;
use std::hint::black_box;

use uuid::Uuid;

/// A family of refresh tokens: one login and all that grew from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FamilyId(pub Uuid);

/// SHA-256 of a refresh token's secret. No `==`: [`TokenHash::matches`] is the only comparison.
#[derive(Clone, Copy)]
pub struct TokenHash(pub [u8; 32]);

impl TokenHash {
    /// Compares in a time that does not depend on where the two differ.
    #[must_use]
    pub fn matches(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        pairs.fold(0, |seen, (left, right)| black_box(seen) | (left ^ right)) == 0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_match_only_where_every_byte_does() {
        let hash = TokenHash([7; 32]);
        assert!(hash.matches(&TokenHash([7; 32])));
        for position in 0..32 {
            let mut other = [7; 32];
            other[position] ^= 1;
            assert!(!hash.matches(&TokenHash(other)), "byte {position}");
        }
        assert_eq!(format!("{hash:?}"), "TokenHash(***)");
    }
}
