//! Shortest times over a directed graph: hub labels for how long and how far (a hierarchy, where
//! those would be too many), Dijkstra's algorithm from both ends at once for the way itself, and
//! from one end for all ways to a node.
//!
//! Only the road graph calls it. Costs are whole milliseconds, so a search has one answer on every
//! machine. Labels and queues are kept between searches and shared by a pool; a label counts only
//! when it bears the number of the running search, so nothing is cleared.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use parking_lot::Mutex;

use super::hierarchy::Hierarchy;
use super::labels::{self, Labels};
use super::parts;

/// A directed piece of road.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) from: u32,
    pub(super) to: u32,
    /// Length in millimetres.
    pub(super) mm: u32,
    /// Time of passage in milliseconds.
    pub(super) ms: u32,
}

/// No way leads there.
const UNREACHABLE: u32 = u32::MAX;

/// The edges of a graph, found from either of their ends.
pub(super) struct Network {
    /// Ordered by `from`.
    edges: Vec<Edge>,
    /// Where the edges from a node begin; one more than there are nodes.
    leaving: Vec<u32>,
    /// Numbers of edges ordered by `to`.
    by_target: Vec<u32>,
    /// Where the edges to a node begin in `by_target`.
    entering: Vec<u32>,
    times: Times,
    pool: Mutex<Vec<Scratch>>,
}

/// What times of fastest ways come from.
enum Times {
    Labels(Labels),
    Hierarchy(Hierarchy),
}

#[derive(Clone, Copy)]
enum Direction {
    Forward,
    Backward,
}

impl Network {
    /// A graph of `nodes` nodes; edges name them by number, below that.
    pub(super) fn new(nodes: usize, mut edges: Vec<Edge>) -> Self {
        edges.sort_by_key(|edge| (edge.from, edge.to));
        let leaving = starts(nodes, edges.iter().map(|edge| edge.from));
        let mut by_target: Vec<u32> = (0_u32..).zip(&edges).map(|(number, _)| number).collect();
        by_target.sort_by_key(|&number| edges[number as usize].to);
        let entering = starts(nodes, by_target.iter().map(|&number| edges[number as usize].to));
        let hierarchy = Hierarchy::new(nodes, &edges);
        let times = match Labels::new(&hierarchy, labels::BYTES_MAX) {
            Some(labels) => Times::Labels(labels),
            None => Times::Hierarchy(hierarchy),
        };
        Self { edges, leaving, by_target, entering, times, pool: Mutex::default() }
    }

    pub(super) fn edges(&self) -> usize {
        self.edges.len()
    }

    /// Both nodes of every edge.
    pub(super) fn ends(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        self.edges.iter().map(|edge| (edge.from, edge.to))
    }

    /// The nodes of the largest part in which every node reaches every other.
    pub(super) fn largest_connected(&self) -> usize {
        let targets: Vec<u32> = self.edges.iter().map(|edge| edge.to).collect();
        let nodes = short(self.leaving.len() - 1);
        parts::largest(nodes, |node| &targets[range(&self.leaving, node)])
    }

    /// Milliseconds and millimetres of the fastest way.
    pub(super) fn fastest(&self, from: u32, to: u32) -> Option<(u32, u64)> {
        match &self.times {
            Times::Labels(labels) => labels.fastest(from, to),
            Times::Hierarchy(hierarchy) => hierarchy.fastest(from, to),
        }
    }

    /// Memory of the hub labels; none where there are none.
    pub(super) fn label_bytes(&self) -> Option<usize> {
        match &self.times {
            Times::Labels(labels) => Some(labels.bytes()),
            Times::Hierarchy(_) => None,
        }
    }

    /// The times of the fastest ways from every node to this one, or [`UNREACHABLE`].
    pub(super) fn all_ms_to(&self, to: u32) -> Vec<u32> {
        let mut times = vec![UNREACHABLE; self.leaving.len() - 1];
        let mut queue = BinaryHeap::from([Reverse((0, to))]);
        times[to as usize] = 0;
        while let Some(Reverse((ms, node))) = queue.pop() {
            if times[node as usize] < ms {
                continue;
            }
            for &number in &self.by_target[range(&self.entering, node)] {
                let edge = self.edges[number as usize];
                let by_here = ms.saturating_add(edge.ms);
                if by_here < times[edge.from as usize] {
                    times[edge.from as usize] = by_here;
                    queue.push(Reverse((by_here, edge.from)));
                }
            }
        }
        times
    }

    /// Hands the edges of the fastest way, in order, to `each`. False, and none, where there is
    /// no way.
    pub(super) fn shortest(&self, from: u32, to: u32, each: impl FnMut(&Edge)) -> bool {
        let pooled = self.pool.lock().pop();
        let mut scratch = pooled.unwrap_or_else(|| Scratch::new(self.leaving.len() - 1));
        let meeting = self.meet(&mut scratch, from, to);
        if let Some(node) = meeting {
            self.way(&mut scratch, node).iter().map(|&edge| self.edge(edge)).for_each(each);
        }
        self.pool.lock().push(scratch);
        meeting.is_some()
    }

    /// Searches from both ends, and returns a node on the fastest way.
    fn meet(&self, scratch: &mut Scratch, from: u32, to: u32) -> Option<u32> {
        scratch.forward.begin(from);
        scratch.backward.begin(to);
        let mut best: Option<(u32, u32)> = None;
        loop {
            let (Some(ahead), Some(behind)) =
                (scratch.forward.next_cost(), scratch.backward.next_cost())
            else {
                // One side has seen all it can reach, the other end included if there is a way.
                return best.map(|(_, node)| node);
            };
            // No way is left that both searches have yet to find and that is faster.
            if let Some((cost, node)) = best
                && ahead.saturating_add(behind) >= cost
            {
                return Some(node);
            }
            let (own, other, direction) = if ahead <= behind {
                (&mut scratch.forward, &scratch.backward, Direction::Forward)
            } else {
                (&mut scratch.backward, &scratch.forward, Direction::Backward)
            };
            let Some((cost, node)) = own.settle() else {
                continue;
            };
            if let Some(rest) = other.cost(node) {
                let whole = cost.saturating_add(rest);
                if best.is_none_or(|(known, _)| whole < known) {
                    best = Some((whole, node));
                }
            }
            self.relax(own, direction, cost, node);
        }
    }

    fn relax(&self, side: &mut Side, direction: Direction, cost: u32, node: u32) {
        match direction {
            Direction::Forward => {
                let range = range(&self.leaving, node);
                for (edge, number) in self.edges[range.clone()].iter().zip(range) {
                    side.reach(edge.to, cost.saturating_add(edge.ms), short(number));
                }
            }
            Direction::Backward => {
                for &number in &self.by_target[range(&self.entering, node)] {
                    let edge = self.edge(number);
                    side.reach(edge.from, cost.saturating_add(edge.ms), number);
                }
            }
        }
    }

    /// The edges of the way through `meeting`, from end to end.
    fn way<'a>(&self, scratch: &'a mut Scratch, meeting: u32) -> &'a [u32] {
        let Scratch { forward, backward, way } = scratch;
        way.clear();
        let mut node = meeting;
        while let Some(number) = forward.via(node) {
            way.push(number);
            node = self.edge(number).from;
        }
        way.reverse();
        node = meeting;
        while let Some(number) = backward.via(node) {
            way.push(number);
            node = self.edge(number).to;
        }
        way
    }

    fn edge(&self, number: u32) -> &Edge {
        &self.edges[number as usize]
    }
}

fn range(starts: &[u32], node: u32) -> std::ops::Range<usize> {
    let node = node as usize;
    starts[node] as usize..starts[node + 1] as usize
}

/// Where each node's run begins in a list that is ordered by node.
fn starts(nodes: usize, ordered: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut starts = vec![0; nodes + 1];
    for node in ordered {
        starts[node as usize + 1] += 1;
    }
    let mut sum = 0;
    for start in &mut starts {
        sum += *start;
        *start = sum;
    }
    starts
}

/// An edge's number as it is stored.
fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(NO_EDGE)
}

/// What two searches need, kept for the next.
struct Scratch {
    forward: Side,
    backward: Side,
    way: Vec<u32>,
}

impl Scratch {
    fn new(nodes: usize) -> Self {
        Self { forward: Side::new(nodes), backward: Side::new(nodes), way: Vec::new() }
    }
}

/// Stands for the edge by which the search's own start was reached.
const NO_EDGE: u32 = u32::MAX;

/// One direction of a search.
struct Side {
    search: u32,
    labels: Vec<Label>,
    queue: BinaryHeap<Reverse<(u32, u32)>>,
}

#[derive(Clone, Copy)]
struct Label {
    search: u32,
    cost: u32,
    via: u32,
}

impl Side {
    fn new(nodes: usize) -> Self {
        let labels = vec![Label { search: 0, cost: 0, via: NO_EDGE }; nodes];
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
        self.reach(node, 0, NO_EDGE);
    }

    fn cost(&self, node: u32) -> Option<u32> {
        let label = self.labels[node as usize];
        (label.search == self.search).then_some(label.cost)
    }

    /// The edge by which a node was reached; none at the search's own start.
    fn via(&self, node: u32) -> Option<u32> {
        let label = self.labels[node as usize];
        (label.search == self.search && label.via != NO_EDGE).then_some(label.via)
    }

    fn reach(&mut self, node: u32, cost: u32, via: u32) {
        if self.cost(node).is_none_or(|known| cost < known) {
            self.labels[node as usize] = Label { search: self.search, cost, via };
            self.queue.push(Reverse((cost, node)));
        }
    }

    fn next_cost(&self) -> Option<u32> {
        self.queue.peek().map(|Reverse((cost, _))| *cost)
    }

    /// Takes the nearest node from the queue; none where it was reached faster since.
    fn settle(&mut self) -> Option<(u32, u32)> {
        let Reverse((cost, node)) = self.queue.pop()?;
        (self.cost(node) == Some(cost)).then_some((cost, node))
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::tests::Lcg;
    use super::*;

    const NODES: u32 = 40;

    /// Every shortest time, by Floyd and Warshall.
    fn all_pairs(edges: &[Edge]) -> Vec<Vec<Option<u64>>> {
        let size = NODES as usize;
        let mut cost = vec![vec![None; size]; size];
        for edge in edges {
            let cell: &mut Option<u64> = &mut cost[edge.from as usize][edge.to as usize];
            *cell = Some(cell.map_or(u64::from(edge.ms), |known| known.min(edge.ms.into())));
        }
        for via in 0..size {
            for from in 0..size {
                for to in 0..size {
                    if let (Some(a), Some(b)) = (cost[from][via], cost[via][to])
                        && cost[from][to].is_none_or(|known| a + b < known)
                    {
                        cost[from][to] = Some(a + b);
                    }
                }
            }
        }
        cost
    }

    #[test]
    fn every_answer_is_the_shortest_of_all_ways() {
        let mut chance = Lcg(11);
        let (mut ways, mut dead_ends) = (0, 0);
        for edges_per_node in [1, 2, 3, 5] {
            let mut edge = || {
                let (from, to) = (chance.below(NODES), chance.below(NODES));
                Edge { from, to, mm: 1000, ms: 1 + chance.below(100) }
            };
            let edges: Vec<Edge> = (0..NODES * edges_per_node).map(|_| edge()).collect();
            let expected = all_pairs(&edges);
            let hierarchy = Hierarchy::new(NODES as usize, &edges);
            let network = Network::new(NODES as usize, edges);
            assert!(network.label_bytes().is_some(), "a small graph has labels");
            for from in 0..NODES {
                for to in (0..NODES).filter(|&to| to != from) {
                    let (mut at, mut cost) = (from, 0_u64);
                    let found = network.shortest(from, to, |edge| {
                        assert_eq!(edge.from, at, "edges join");
                        at = edge.to;
                        cost += u64::from(edge.ms);
                    });
                    let expected = expected[from as usize][to as usize];
                    assert_eq!(found.then_some(cost), expected, "from {from} to {to}");
                    assert_eq!(at, if found { to } else { from });
                    let fastest = network.fastest(from, to);
                    assert_eq!(fastest.map(|(ms, _)| u64::from(ms)), expected);
                    assert!(fastest.is_none_or(|(_, mm)| mm > 0 && mm % 1000 == 0));
                    let without_labels = hierarchy.fastest(from, to);
                    assert_eq!(without_labels.map(|(ms, _)| u64::from(ms)), expected);
                    let by_dijkstra = network.all_ms_to(to)[from as usize];
                    assert_eq!(u64::from(by_dijkstra), expected.unwrap_or(UNREACHABLE.into()));
                    *if found { &mut ways } else { &mut dead_ends } += 1;
                }
            }
        }
        assert!(ways > 1000 && dead_ends > 1000, "{ways} ways, {dead_ends} dead ends");
    }

    #[test]
    fn labels_take_no_more_memory_than_they_may() {
        let edge = |from| Edge { from, to: (from + 1) % NODES, mm: 1000, ms: 10 };
        let edges: Vec<Edge> = (0..NODES).map(edge).collect();
        let hierarchy = Hierarchy::new(NODES as usize, &edges);
        let bytes = Labels::new(&hierarchy, usize::MAX).map_or(0, |labels| labels.bytes());
        assert!(Labels::new(&hierarchy, bytes).is_some_and(|labels| labels.bytes() == bytes));
        assert!(Labels::new(&hierarchy, bytes - 1).is_none());
    }

    #[test]
    fn labels_of_long_ago_do_not_count_when_search_numbers_begin_anew() {
        let mut side = Side::new(2);
        side.begin(0);
        side.search = u32::MAX;
        side.begin(1);
        assert_eq!((side.cost(0), side.cost(1)), (None, Some(0)));
    }
}
