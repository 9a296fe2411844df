//! Who decides what becomes of what goes through a link.
//!
//! Implement [`Judge`] to break a protocol where it hurts: name the pieces, then their fates.

use std::time::Duration;

/// Which way something goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// From the client that connected.
    Up,
    /// From whom the proxy leads to.
    Down,
}

/// What becomes of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes on.
    Pass,
    /// It goes on after a while; what is behind it waits.
    Late(Duration),
    /// It vanishes; what is behind it goes on.
    Lose,
    /// It goes on, and then the connection ends.
    PassAndCut,
    /// It vanishes, and the connection ends.
    Cut,
    /// It vanishes, and with it all that comes after, both ways: the connection is half-open.
    Silence,
}

/// The judge of one link.
pub trait Judge: Send {
    /// How many bytes at the beginning of `bytes`, of which there is one at least, are a piece;
    /// `None` where the rest of it has yet to come.
    fn piece(&mut self, way: Way, bytes: &[u8]) -> Option<usize> {
        let _ = way;
        Some(bytes.len())
    }

    /// What becomes of a piece. Asked once a piece, in the order in which they come.
    fn fate(&mut self, way: Way, piece: &[u8]) -> Fate;
}

/// Lets everything through.
#[derive(Debug, Clone, Copy)]
pub struct Pass;

impl Judge for Pass {
    fn fate(&mut self, _: Way, _: &[u8]) -> Fate {
        Fate::Pass
    }
}
