//! The metrics that move with every frame, looked up once.

use prometheus::IntCounter;

use super::close::Close;
use super::say::Kind;
use crate::obs::Metrics;

pub(super) struct Counters {
    /// By [`Kind`].
    sent: [IntCounter; Kind::ALL.len()],
    pub(super) commands: IntCounter,
    pub(super) positions: IntCounter,
    pub(super) hellos: IntCounter,
    /// All other frames: acks, pings, tokens, faults.
    pub(super) others: IntCounter,
    rate_limited: [IntCounter; 2],
    turned_away: IntCounter,
    closed: prometheus::IntCounterVec,
}

impl Counters {
    pub(super) fn new(metrics: &Metrics) -> Self {
        let received = |kind| metrics.ws_frames.with_label_values(&["in", kind]);
        let limited = |limit| metrics.rate_limited.with_label_values(&[limit]);
        Self {
            sent: Kind::ALL
                .map(|kind| metrics.ws_frames.with_label_values(&["out", kind.as_str()])),
            commands: received("cmd"),
            positions: received("tel"),
            hellos: received("hello"),
            others: received("other"),
            rate_limited: [limited("session_cmd"), limited("session_tel")],
            turned_away: limited("session_strangers"),
            closed: metrics.ws_closed.clone(),
        }
    }

    pub(super) fn sent(&self, kind: Kind) {
        self.sent[kind as usize].inc();
    }

    pub(super) fn rate_limited(&self, commands: bool) {
        self.rate_limited[usize::from(!commands)].inc();
    }

    /// A handshake was refused, for too many wait for their welcome.
    pub(super) fn turned_away(&self) {
        self.turned_away.inc();
    }

    pub(super) fn closed(&self, close: Close) {
        let number = close.number().map_or_else(|| "none".to_owned(), |number| number.to_string());
        self.closed.with_label_values(&[&number]).inc();
    }
}
