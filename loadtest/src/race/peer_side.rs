//! A peer in a race: the same lanes and callers against its own tables.

use uuid::Uuid;

use super::audit::{ACCEPTED, LOST};
use super::volley::Racer;
use crate::facts::Step;
use crate::peers::{Call, Desk, Peer};

/// A peer with its lanes.
pub(super) struct PeerSide<P> {
    peer: P,
    lanes: Vec<Lane>,
}

struct Lane {
    passenger: Uuid,
    drivers: Vec<Uuid>,
}

impl<P: Peer> PeerSide<P> {
    pub(super) fn new(peer: P, (lanes, drivers): (usize, usize)) -> Self {
        let lane = |_| Lane {
            passenger: Uuid::now_v7(),
            drivers: (0..drivers).map(|_| Uuid::now_v7()).collect(),
        };
        Self { peer, lanes: (0..lanes).map(lane).collect() }
    }

    pub(super) fn desk(&self) -> &Desk {
        self.peer.desk()
    }
}

impl<P: Peer> Racer for PeerSide<P> {
    fn name(&self) -> &'static str {
        self.peer.name()
    }

    async fn set_up(&self, lane: usize) -> anyhow::Result<Uuid> {
        let Lane { passenger, drivers } = &self.lanes[lane];
        let ride = Uuid::now_v7();
        let call = Call {
            step: Step::Request,
            ride,
            passenger: *passenger,
            driver: drivers[0],
            others: &[],
            command: &format!("request-{ride}"),
        };
        self.peer.step(&call).await?;
        Ok(ride)
    }

    async fn accept(
        &self,
        lane: usize,
        racer: usize,
        (ride, command): (Uuid, &str),
    ) -> anyhow::Result<&'static str> {
        let Lane { passenger, drivers } = &self.lanes[lane];
        let call = Call {
            step: Step::Accept,
            ride,
            passenger: *passenger,
            driver: drivers[racer],
            others: drivers,
            command,
        };
        Ok(if self.peer.step(&call).await? { ACCEPTED } else { LOST })
    }

    fn driver(&self, lane: usize, racer: usize) -> Uuid {
        self.lanes[lane].drivers[racer]
    }

    async fn clear(&self, ride: Uuid) -> anyhow::Result<()> {
        self.desk().end(ride).await
    }
}
