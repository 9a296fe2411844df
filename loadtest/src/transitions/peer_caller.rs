//! A caller of a peer: the same steps against the peer's own tables.

use std::sync::Arc;

use uuid::Uuid;

use crate::closed::Caller;
use crate::facts::Step;
use crate::peers::{Call, Peer};

pub(super) struct PeerCaller<P> {
    peer: Arc<P>,
    passenger: Uuid,
    driver: Uuid,
    next: Step,
    ride: Uuid,
}

impl<P: Peer> PeerCaller<P> {
    pub(super) fn open(peer: P, count: usize) -> Vec<Self> {
        let peer = Arc::new(peer);
        let caller = |_| Self {
            peer: Arc::clone(&peer),
            passenger: Uuid::now_v7(),
            driver: Uuid::now_v7(),
            next: Step::Request,
            ride: Uuid::nil(),
        };
        (0..count).map(caller).collect()
    }
}

impl<P: Peer> Caller for PeerCaller<P> {
    /// A peer stores its offers with the request: there is nothing to wait for.
    async fn ready(&mut self) -> anyhow::Result<()> {
        Ok(())
    }

    async fn step(&mut self) -> anyhow::Result<()> {
        if self.next == Step::Request {
            self.ride = Uuid::now_v7();
        }
        let call = Call {
            step: self.next,
            ride: self.ride,
            passenger: self.passenger,
            driver: self.driver,
            others: &[],
            command: &Uuid::now_v7().to_string(),
        };
        let moved = self.peer.step(&call).await?;
        anyhow::ensure!(moved, "{} did not move a ride nobody else wants", self.peer.name());
        self.next = self.next.next();
        Ok(())
    }

    fn is_between_rides(&self) -> bool {
        self.next == Step::Request
    }
}
