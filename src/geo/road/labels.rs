//! Hub labels (Abraham, Delling, Goldberg and Werneck 2011): each node keeps how far it is to its
//! hubs, and from them. A fastest way leads over a hub that both its ends have, so that a question
//! is one pass over two short sorted lists.
//!
//! Only the road graph calls it. What always holds: a time is that of the hierarchy, and labels
//! never take more than [`BYTES_MAX`].

use super::hierarchy::{Hierarchy, Hop};

/// Memory that all labels may take. Manhattan takes 5 MB; the hierarchy, which is slower, answers
/// for a graph that would take more than this.
pub(super) const BYTES_MAX: usize = 64 << 20;

/// Memory of one hub of one node.
const ENTRY_BYTES: usize = 16;

/// Stands at the end of each list, and is no hub.
const END: u32 = u32::MAX;

/// Hubs are known by their place: 0 is the node that was taken out of the graph last.
#[derive(Clone, Copy)]
struct Entry {
    hub: u32,
    ms: u32,
    mm: u64,
}

/// The labels of one direction. Hubs lie apart from the rest: they are what is looked through.
struct Lists {
    starts: Vec<u32>,
    hubs: Vec<u32>,
    ms: Vec<u32>,
    mm: Vec<u64>,
}

/// The labels of all nodes.
pub(super) struct Labels {
    /// By node.
    places: Vec<u32>,
    /// To hubs and from hubs, by place.
    out: Lists,
    into: Lists,
}

impl Labels {
    /// The labels of a hierarchy; none where they would take more than so many bytes.
    pub(super) fn new(hierarchy: &Hierarchy, bytes_max: usize) -> Option<Self> {
        let mut places = vec![0; hierarchy.order().len()];
        for (place, node) in (0..).zip(hierarchy.order().iter().rev()) {
            places[*node as usize] = place;
        }
        let mut labels = Self { places, out: Lists::new(), into: Lists::new() };
        for (place, &node) in (0..).zip(hierarchy.order().iter().rev()) {
            let out = labels.out.reached_by(place, hierarchy.up(node), &labels.places);
            let into = labels.into.reached_by(place, hierarchy.down(node), &labels.places);
            // A hub that another hub leads to sooner is on no fastest way.
            let useful = |own: &[Entry], hubs: &Lists| -> Vec<Entry> {
                let first = |entry: &&Entry| {
                    let way = (entry.hub != place).then(|| hubs.fastest_from(own, entry.hub));
                    way.flatten().is_none_or(|ms| entry.ms <= ms)
                };
                own.iter().filter(first).copied().collect()
            };
            let (out, into) = (useful(&out, &labels.into), useful(&into, &labels.out));
            labels.out.push(&out);
            labels.into.push(&into);
            if labels.bytes() > bytes_max {
                return None;
            }
        }
        Some(labels)
    }

    /// Memory that the labels take.
    pub(super) fn bytes(&self) -> usize {
        (self.out.hubs.len() + self.into.hubs.len()) * ENTRY_BYTES
    }

    /// Milliseconds and millimetres of the fastest way, if there is one.
    pub(super) fn fastest(&self, from: u32, to: u32) -> Option<(u32, u64)> {
        let (out, into) = (&self.out, &self.into);
        let mut ahead = out.starts[self.places[from as usize] as usize] as usize;
        let mut behind = into.starts[self.places[to as usize] as usize] as usize;
        let mut best = (u32::MAX, 0, 0);
        loop {
            let (there, here) = (out.hubs[ahead], into.hubs[behind]);
            if there == here {
                if there == END {
                    break;
                }
                let ms = out.ms[ahead].saturating_add(into.ms[behind]);
                if ms < best.0 {
                    best = (ms, ahead, behind);
                }
            }
            // Without a branch, which nobody could foretell.
            ahead += usize::from(there <= here);
            behind += usize::from(here <= there);
        }
        let (ms, ahead, behind) = best;
        (ms < u32::MAX).then(|| (ms, out.mm[ahead] + into.mm[behind]))
    }
}

impl Lists {
    fn new() -> Self {
        Self { starts: Vec::new(), hubs: Vec::new(), ms: Vec::new(), mm: Vec::new() }
    }

    /// The hubs of those that a node's hops lead to, and itself, in order.
    fn reached_by(&self, place: u32, hops: &[Hop], places: &[u32]) -> Vec<Entry> {
        let mut reached = vec![Entry { hub: place, ms: 0, mm: 0 }];
        for hop in hops {
            reached.extend(self.of(places[hop.node as usize]).map(|entry| Entry {
                hub: entry.hub,
                ms: entry.ms.saturating_add(hop.ms),
                mm: entry.mm + hop.mm,
            }));
        }
        reached.sort_unstable_by_key(|entry| (entry.hub, entry.ms, entry.mm));
        reached.dedup_by_key(|entry| entry.hub);
        reached
    }

    fn of(&self, place: u32) -> impl Iterator<Item = Entry> + '_ {
        let start = self.starts[place as usize] as usize;
        (start..).map_while(|at| {
            let hub = self.hubs[at];
            (hub != END).then(|| Entry { hub, ms: self.ms[at], mm: self.mm[at] })
        })
    }

    /// Milliseconds to a hub over these entries and its own list.
    fn fastest_from(&self, own: &[Entry], hub: u32) -> Option<u32> {
        let mut own = own.iter().peekable();
        let over = |entry: Entry| {
            while own.next_if(|first| first.hub < entry.hub).is_some() {}
            let first = own.next_if(|first| first.hub == entry.hub)?;
            Some(first.ms.saturating_add(entry.ms))
        };
        self.of(hub).filter_map(over).min()
    }

    fn push(&mut self, entries: &[Entry]) {
        self.starts.push(u32::try_from(self.hubs.len()).unwrap_or(END));
        for entry in entries.iter().chain([&Entry { hub: END, ms: END, mm: 0 }]) {
            self.hubs.push(entry.hub);
            self.ms.push(entry.ms);
            self.mm.push(entry.mm);
        }
    }
}
