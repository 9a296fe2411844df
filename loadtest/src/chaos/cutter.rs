//! A road on which connections end in the middle of things: the judge of a proxy between clients
//! and an engine, which knows where frames of a WebSocket begin and end.
//!
//! Each frame, either way, may be the last of its connection: it vanishes, or a part of it gets
//! through, or all of it does and its sender will never know. Requests of HTTP are cut by what
//! comes in at once. The handshake of a WebSocket is let through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use ibora_loadtest::proxy::{Fate, Judge, Judges, Way};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How dangerous a road is; shared by whoever sets it and the links on it.
#[derive(Default)]
pub(super) struct Road {
    /// Of a thousand frames, so many are the last of their connection.
    chance: AtomicU32,
    cuts: AtomicU64,
    links: AtomicU64,
}

impl Road {
    /// Sets how many of a thousand frames end their connection.
    pub(super) fn set(&self, of_thousand: u32) {
        self.chance.store(of_thousand, Ordering::Relaxed);
    }

    /// Connections that were cut so far.
    pub(super) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    /// The judges of a proxy on this road.
    pub(super) fn judges(self: &Arc<Self>, seed: u64) -> Judges {
        let road = Arc::clone(self);
        Arc::new(move || {
            let link = road.links.fetch_add(1, Ordering::Relaxed);
            let rng = StdRng::seed_from_u64(seed ^ (link << 8));
            let (stage, part) = ([Stage::Head; 2], None);
            Box::new(Cutter { road: Arc::clone(&road), rng, stage, part })
        })
    }
}

/// What one way of a link is in the middle of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Head,
    /// HTTP, whatever comes.
    Plain,
    Frames,
}

struct Cutter {
    road: Arc<Road>,
    rng: StdRng,
    stage: [Stage; 2],
    /// The last piece that was named ends the connection: how.
    part: Option<Fate>,
}

const HEAD_END: &[u8] = b"\r\n\r\n";

impl Judge for Cutter {
    fn piece(&mut self, way: Way, bytes: &[u8]) -> Option<usize> {
        let stage = &mut self.stage[way as usize];
        match *stage {
            Stage::Head => {
                let at = bytes.windows(HEAD_END.len()).position(|part| part == HEAD_END)?;
                let head = &bytes[..at + HEAD_END.len()];
                *stage = if upgrades(head) { Stage::Frames } else { Stage::Plain };
                Some(head.len())
            }
            Stage::Plain => Some(self.maybe_cut(bytes.len())),
            Stage::Frames => {
                let length = frame(bytes)?;
                Some(self.maybe_cut(length))
            }
        }
    }

    fn fate(&mut self, _: Way, _: &[u8]) -> Fate {
        self.part.take().unwrap_or(Fate::Pass)
    }
}

impl Cutter {
    /// Draws whether this is the last piece, and how much of it gets through.
    fn maybe_cut(&mut self, length: usize) -> usize {
        let chance = self.road.chance.load(Ordering::Relaxed);
        if !self.rng.random_ratio(chance.min(1000), 1000) {
            return length;
        }
        self.road.cuts.fetch_add(1, Ordering::Relaxed);
        let (fate, length) = match self.rng.random_range(0..3) {
            0 => (Fate::Cut, length),
            1 => (Fate::PassAndCut, self.rng.random_range(1..=length)),
            _ => (Fate::PassAndCut, length),
        };
        self.part = Some(fate);
        length
    }
}

/// Whether this head begins a WebSocket, asked for or agreed to.
fn upgrades(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let is_refused = head.starts_with("http/") && !head.contains(" 101 ");
    !is_refused && head.contains("\r\nupgrade: websocket")
}

/// The length of the first frame, once it is whole.
fn frame(bytes: &[u8]) -> Option<usize> {
    let [_, second, ..] = *bytes else { return None };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let number = |digits: &[u8]| {
        digits.iter().fold(0_usize, |number, digit| (number << 8) | usize::from(*digit))
    };
    let (head, body) = match second & 0x7f {
        126 => (4, number(bytes.get(2..4)?)),
        127 => (10, number(bytes.get(2..10)?)),
        short => (2, usize::from(short)),
    };
    let length = head + mask + body;
    (bytes.len() >= length).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::framed;

    const UPGRADE: &[u8] = b"GET /v1/session HTTP/1.1\r\nUpgrade: websocket\r\n\r\n";

    fn link(of_thousand: u32) -> (Arc<Road>, Box<dyn Judge>) {
        let road = Arc::new(Road::default());
        road.set(of_thousand);
        let judge = road.judges(7)();
        (road, judge)
    }

    #[test]
    fn frames_are_found_whole_whatever_their_length() {
        let (_, mut judge) = link(0);
        assert_eq!(judge.piece(Way::Up, &UPGRADE[..20]), None);
        assert_eq!(judge.piece(Way::Up, UPGRADE), Some(UPGRADE.len()));
        for length in [1, 125, 126, 5000] {
            let frame = framed(&vec![b'x'; length]).expect("a frame");
            assert_eq!(judge.piece(Way::Up, &frame[..frame.len() - 1]), None);
            let more = [&*frame, b"\x81"].concat();
            assert_eq!(judge.piece(Way::Up, &more), Some(frame.len()));
            assert_eq!(judge.fate(Way::Up, &frame), Fate::Pass);
        }
        assert_eq!(judge.piece(Way::Down, b"HTTP/1.1 503 x\r\n\r\n"), Some(18));
        assert_eq!(judge.piece(Way::Down, b"any"), Some(3), "no WebSocket was agreed to");
    }

    #[test]
    fn a_handshake_is_let_through_and_then_a_frame_is_the_last() {
        let (road, mut judge) = link(1000);
        assert_eq!(judge.piece(Way::Up, UPGRADE), Some(UPGRADE.len()));
        assert_eq!(judge.fate(Way::Up, UPGRADE), Fate::Pass);
        let frame = framed(b"{}").expect("a frame");
        let length = judge.piece(Way::Up, &frame).expect("whole");
        assert!((1..=frame.len()).contains(&length));
        assert!(matches!(judge.fate(Way::Up, &frame[..length]), Fate::Cut | Fate::PassAndCut));
        assert_eq!(road.cuts(), 1);
    }
}
