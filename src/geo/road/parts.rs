//! The parts of a directed graph in which every node reaches every other (Tarjan's algorithm,
//! without recursion: a city's streets are deeper than a stack).
//!
//! Only the road graph calls it.

const UNSEEN: u32 = u32::MAX;

/// A node on the way of the search, and how many of its neighbours it has looked at.
struct Step {
    node: u32,
    looked: usize,
}

/// The size of the largest such part; `neighbours` are those that a node leads to.
pub(super) fn largest<'a>(nodes: u32, neighbours: impl Fn(u32) -> &'a [u32]) -> usize {
    let mut order = vec![UNSEEN; nodes as usize];
    let mut lowest = vec![UNSEEN; nodes as usize];
    let mut open = vec![false; nodes as usize];
    let (mut members, mut way, mut next, mut largest) = (Vec::new(), Vec::new(), 0, 0);
    for start in 0..nodes {
        if order[start as usize] == UNSEEN {
            way.push(Step { node: start, looked: 0 });
        }
        while let Some(step) = way.last_mut() {
            let node = step.node as usize;
            if step.looked == 0 && order[node] == UNSEEN {
                (order[node], lowest[node]) = (next, next);
                next += 1;
                open[node] = true;
                members.push(step.node);
            }
            if let Some(&there) = neighbours(step.node).get(step.looked) {
                step.looked += 1;
                let seen = order[there as usize];
                if seen == UNSEEN {
                    way.push(Step { node: there, looked: 0 });
                } else if open[there as usize] {
                    lowest[node] = lowest[node].min(seen);
                }
                continue;
            }
            way.pop();
            if let Some(back) = way.last() {
                let back = back.node as usize;
                lowest[back] = lowest[back].min(lowest[node]);
            }
            if lowest[node] == order[node] {
                let from = members.iter().rposition(|&member| member as usize == node);
                let part = members.split_off(from.unwrap_or(0));
                part.iter().for_each(|&member| open[member as usize] = false);
                largest = largest.max(part.len());
            }
        }
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_part_is_found_in_graphs_of_known_shape() {
        let cases: [(&[&[u32]], usize); 5] = [
            (&[], 0),
            (&[&[], &[], &[]], 1),
            (&[&[1], &[2], &[0], &[0]], 3),
            (&[&[1], &[0, 2], &[3], &[4], &[2, 0]], 5),
            (&[&[1], &[0, 2], &[3], &[4], &[2]], 3),
        ];
        for (graph, expected) in cases {
            let nodes = u32::try_from(graph.len()).expect("few");
            assert_eq!(largest(nodes, |node| graph[node as usize]), expected, "{graph:?}");
        }
    }
}
