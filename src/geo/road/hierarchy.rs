//! Contraction hierarchies (Geisberger, Sanders, Schultes and Delling 2008): the time and the
//! length of the fastest way between two nodes, in microseconds.
//!
//! Nodes are taken out one by one, the least important first; where a fastest way led through one,
//! a shortcut takes its place. A search then only ever goes up, from both ends, and is short.
//!
//! Only the road graph calls it. What always holds: a time is that of plain Dijkstra.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use parking_lot::Mutex;

use super::search::Edge;

/// A search for a way around a node gives up after so many nodes; then a shortcut too many is made.
const WITNESS_NODES: usize = 80;

/// A way to a node, or from one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hop {
    pub(super) node: u32,
    pub(super) ms: u32,
    pub(super) mm: u64,
}

/// Hops by the node that they start or end at.
struct Hops {
    starts: Vec<u32>,
    hops: Vec<Hop>,
}

impl Hops {
    fn new(lists: Vec<Vec<Hop>>) -> Self {
        let mut hops = Self { starts: vec![0], hops: Vec::new() };
        for list in lists {
            hops.hops.extend(list);
            hops.starts.push(u32::try_from(hops.hops.len()).unwrap_or(u32::MAX));
        }
        hops
    }

    fn of(&self, node: u32) -> &[Hop] {
        let node = node as usize;
        &self.hops[self.starts[node] as usize..self.starts[node + 1] as usize]
    }
}

/// The hierarchy over a graph.
pub(super) struct Hierarchy {
    /// From each node to more important ones, and to each node from more important ones.
    up: Hops,
    down: Hops,
    /// The nodes, the least important first.
    order: Vec<u32>,
    /// Working memory of searches that have ended, for the next ones.
    pool: Mutex<Vec<[Side; 2]>>,
}

impl Hierarchy {
    pub(super) fn new(nodes: usize, edges: &[Edge]) -> Self {
        let mut rest = Rest::new(nodes, edges);
        let mut queue: BinaryHeap<Reverse<(i64, u32)>> = BinaryHeap::new();
        for node in 0..u32::try_from(nodes).unwrap_or(u32::MAX) {
            queue.push(Reverse((rest.importance(node), node)));
        }
        let (mut up, mut down) = (vec![Vec::new(); nodes], vec![Vec::new(); nodes]);
        let mut order = Vec::with_capacity(nodes);
        while let Some(Reverse((_, node))) = queue.pop() {
            // What was taken out since may have made it more important.
            let importance = rest.importance(node);
            if queue.peek().is_some_and(|Reverse((next, _))| *next < importance) {
                queue.push(Reverse((importance, node)));
                continue;
            }
            (up[node as usize], down[node as usize]) = rest.take_out(node);
            order.push(node);
        }
        Self { up: Hops::new(up), down: Hops::new(down), order, pool: Mutex::default() }
    }

    /// The nodes, the least important first.
    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }

    /// The ways from a node to more important ones.
    pub(super) fn up(&self, node: u32) -> &[Hop] {
        self.up.of(node)
    }

    /// The ways to a node from more important ones.
    pub(super) fn down(&self, node: u32) -> &[Hop] {
        self.down.of(node)
    }

    /// Milliseconds and millimetres of the fastest way, if there is one.
    pub(super) fn fastest(&self, from: u32, to: u32) -> Option<(u32, u64)> {
        let pooled = self.pool.lock().pop();
        let nodes = self.up.starts.len() - 1;
        let mut sides = pooled.unwrap_or_else(|| [Side::new(nodes), Side::new(nodes)]);
        let [ahead, behind] = &mut sides;
        ahead.begin(from);
        behind.begin(to);
        let mut best = None;
        loop {
            let least = best.map_or(u32::MAX, |(ms, _)| ms);
            let one = ahead.step(behind, (&self.up, &self.down), least, &mut best);
            let least = best.map_or(u32::MAX, |(ms, _)| ms);
            let other = behind.step(ahead, (&self.down, &self.up), least, &mut best);
            if !one && !other {
                break;
            }
        }
        self.pool.lock().push(sides);
        best
    }
}

/// One direction of a search.
struct Side {
    search: u32,
    labels: Vec<Label>,
    queue: BinaryHeap<Reverse<(u32, u32)>>,
}

#[derive(Clone, Copy)]
struct Label {
    search: u32,
    ms: u32,
    mm: u64,
}

impl Side {
    fn new(nodes: usize) -> Self {
        let labels = vec![Label { search: 0, ms: 0, mm: 0 }; nodes];
        Self { search: 0, labels, queue: BinaryHeap::new() }
    }

    fn begin(&mut self, node: u32) {
        self.queue.clear();
        self.search = self.search.wrapping_add(1);
        if self.search == 0 {
            // The numbers begin anew: labels of long ago must not seem to be of today.
            self.labels.iter_mut().for_each(|label| label.search = 0);
            self.search = 1;
        }
        self.reach(node, 0, 0);
    }

    fn label(&self, node: u32) -> Option<Label> {
        Some(self.labels[node as usize]).filter(|label| label.search == self.search)
    }

    fn reach(&mut self, node: u32, ms: u32, mm: u64) {
        if self.label(node).is_none_or(|known| ms < known.ms) {
            self.labels[node as usize] = Label { search: self.search, ms, mm };
            self.queue.push(Reverse((ms, node)));
        }
    }

    /// Settles a node; false when none is left that could make a way shorter than `least`.
    fn step(
        &mut self,
        other: &Self,
        (onward, back): (&Hops, &Hops),
        least: u32,
        best: &mut Option<(u32, u64)>,
    ) -> bool {
        let Some(Reverse((ms, node))) = self.queue.pop().filter(|next| next.0.0 < least) else {
            return false;
        };
        let Some(label) = self.label(node).filter(|label| label.ms == ms) else { return true };
        // A node that is reached sooner from above is on no fastest way.
        let sooner =
            |hop: &Hop| self.label(hop.node).is_some_and(|l| l.ms.saturating_add(hop.ms) < ms);
        if back.of(node).iter().any(sooner) {
            return true;
        }
        if let Some(rest) = other.label(node) {
            let whole = ms.saturating_add(rest.ms);
            if best.is_none_or(|(known, _)| whole < known) {
                *best = Some((whole, label.mm + rest.mm));
            }
        }
        for hop in onward.of(node) {
            self.reach(hop.node, ms.saturating_add(hop.ms), label.mm + hop.mm);
        }
        true
    }
}

/// The graph as far as nodes were not yet taken out.
struct Rest {
    out: Vec<Vec<Hop>>,
    into: Vec<Vec<Hop>>,
    /// How many levels lie below a node.
    depth: Vec<i64>,
    witness: Side,
}

impl Rest {
    fn new(nodes: usize, edges: &[Edge]) -> Self {
        let (out, into) = (vec![Vec::new(); nodes], vec![Vec::new(); nodes]);
        let mut rest = Self { out, into, depth: vec![0; nodes], witness: Side::new(nodes) };
        for edge in edges.iter().filter(|edge| edge.from != edge.to) {
            rest.join(edge.from, edge.to, (edge.ms, edge.mm.into()));
        }
        rest
    }

    /// Adds a hop, unless one as fast is there.
    fn join(&mut self, from: u32, to: u32, (ms, mm): (u32, u64)) {
        put(&mut self.out[from as usize], Hop { node: to, ms, mm });
        put(&mut self.into[to as usize], Hop { node: from, ms, mm });
    }

    /// Shortcuts that taking it out would make, beside the hops that it would save.
    fn importance(&mut self, node: u32) -> i64 {
        let made = i64::try_from(self.shortcuts(node).len()).unwrap_or(i64::MAX / 4);
        let at = node as usize;
        let saved = i64::try_from(self.out[at].len() + self.into[at].len()).unwrap_or(0);
        2 * made - saved + self.depth[at]
    }

    /// The ways through a node that are faster than any around it.
    fn shortcuts(&mut self, node: u32) -> Vec<(u32, u32, (u32, u64))> {
        let (into, out) = (self.into[node as usize].clone(), self.out[node as usize].clone());
        let farthest = out.iter().map(|hop| hop.ms).max().unwrap_or(0);
        let mut shortcuts = Vec::new();
        for first in &into {
            self.look_around(first.node, node, first.ms.saturating_add(farthest));
            for last in out.iter().filter(|last| last.node != first.node) {
                let ms = first.ms.saturating_add(last.ms);
                if self.witness.label(last.node).is_none_or(|around| around.ms > ms) {
                    shortcuts.push((first.node, last.node, (ms, first.mm + last.mm)));
                }
            }
        }
        shortcuts
    }

    /// Labels what is reached from `from` without passing `without`.
    fn look_around(&mut self, from: u32, without: u32, within: u32) {
        self.witness.begin(from);
        for _ in 0..WITNESS_NODES {
            let Some(Reverse((ms, node))) = self.witness.queue.pop() else { return };
            if ms > within {
                return;
            }
            for hop in self.out[node as usize].iter().filter(|hop| hop.node != without) {
                self.witness.reach(hop.node, ms.saturating_add(hop.ms), 0);
            }
        }
    }

    /// Takes a node out; returns the hops from it and to it, all of them to what is left.
    fn take_out(&mut self, node: u32) -> (Vec<Hop>, Vec<Hop>) {
        for (from, to, length) in self.shortcuts(node) {
            self.join(from, to, length);
        }
        let at = node as usize;
        let (out, into) = (std::mem::take(&mut self.out[at]), std::mem::take(&mut self.into[at]));
        let depth = self.depth[at] + 1;
        for hop in &out {
            self.into[hop.node as usize].retain(|back| back.node != node);
        }
        for hop in &into {
            self.out[hop.node as usize].retain(|back| back.node != node);
        }
        for hop in out.iter().chain(&into) {
            let above = &mut self.depth[hop.node as usize];
            *above = depth.max(*above);
        }
        (out, into)
    }
}

fn put(hops: &mut Vec<Hop>, hop: Hop) {
    match hops.iter_mut().find(|known| known.node == hop.node) {
        Some(known) if known.ms <= hop.ms => {}
        Some(known) => *known = hop,
        None => hops.push(hop),
    }
}
