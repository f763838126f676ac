//! Many sorted runs of bare keys into one, by a tree of two-way merges through small buffers.
//!
//! Every inner node of the tree has a buffer, all of them together fit the second-level cache, and a
//! node is filled again when its parent has emptied it (the lazy scheme of funnelsort: Frigo,
//! Leiserson, Prokop, Ramachandran, FOCS 1999). A key is moved log2(k) times, but only the first
//! read and the last write leave the cache. Beyond some hundred runs the buffers get so small that
//! sorting again by a vector sort is faster; `examples/bench.rs` shows where.

use super::Key;
use super::prefetch::prefetch;
use super::two::{merge_all, merge_some};

/// Bytes of all buffers together: half of a second-level cache.
const SCRATCH: usize = 1 << 20;

/// Most bytes of a buffer. Each merge of two runs begins with searches that miss the cache, so it
/// should be long: three runs in memory take 4.3 ns a key with 16 KiB, 2.6 with 128, 2.5 with 512.
const BUFFER_MAX: usize = 128 << 10;

/// Fewest bytes of a buffer. With more than 4096 runs the buffers exceed [`SCRATCH`].
const BUFFER_MIN: usize = 256;

/// Merges sorted `runs`, any of which may be empty, into `out`.
///
/// # Panics
/// When `out` is not exactly as long as all runs together.
pub fn merge<K: Key>(runs: &[&[K]], out: &mut [K]) {
    let total: usize = runs.iter().map(|run| run.len()).sum();
    assert_eq!(out.len(), total, "room for all runs");
    let runs: Vec<&[K]> = runs.iter().copied().filter(|run| !run.is_empty()).collect();
    match runs[..] {
        [] => {}
        [only] => out.copy_from_slice(only),
        [a, b] => merge_all(a, b, out),
        _ => {
            let made = Tree::new(runs).fill(ROOT, out);
            assert_eq!(made, total, "every key comes out");
        }
    }
}

/// The node that has no buffer: it writes to the output.
const ROOT: usize = 1;

/// A binary tree in heap order: the children of node `i` are `2i` and `2i + 1`, the inner nodes are
/// `1..k`, and the runs are the leaves `k..2k`.
struct Tree<'a, K> {
    /// What is left of each run.
    runs: Vec<&'a [K]>,
    /// The buffers of the inner nodes; those of 0 and [`ROOT`] are empty.
    buffers: Vec<Buffer<K>>,
}

/// Keys that a node has merged and its parent has not taken yet.
struct Buffer<K> {
    keys: Vec<K>,
    taken: usize,
    filled: usize,
}

impl<'a, K: Key> Tree<'a, K> {
    fn new(runs: Vec<&'a [K]>) -> Self {
        let bytes = (SCRATCH / runs.len()).clamp(BUFFER_MIN, BUFFER_MAX);
        let buffer = |node| {
            let length = if node > ROOT { bytes / size_of::<K>() } else { 0 };
            Buffer { keys: vec![K::zeroed(); length], taken: 0, filled: 0 }
        };
        Self { buffers: (0..runs.len()).map(buffer).collect(), runs }
    }

    /// Merges what is below `node` into `out`; says how many keys, fewer than fit only at the end.
    fn fill(&mut self, node: usize, out: &mut [K]) -> usize {
        let children = [2 * node, 2 * node + 1];
        let mut at = 0;
        while at < out.len() {
            for child in children {
                self.refill(child);
            }
            let [left, right] = children.map(|child| self.ready(child));
            let room = out.len() - at;
            let room = &mut out[at..][..room.min(BUFFER_MAX / size_of::<K>())];
            let taken = match (left.is_empty(), right.is_empty()) {
                (true, true) => break,
                (false, true) => (copy(left, room), 0),
                (true, false) => (0, copy(right, room)),
                (false, false) => merge_some(left, right, room),
            };
            self.take(children[0], taken.0);
            self.take(children[1], taken.1);
            at += taken.0 + taken.1;
        }
        at
    }

    /// The keys of a node that can be taken now.
    fn ready(&self, node: usize) -> &[K] {
        if let Some(run) = node.checked_sub(self.runs.len()) {
            return self.runs[run];
        }
        let buffer = &self.buffers[node];
        &buffer.keys[buffer.taken..buffer.filled]
    }

    /// Fills the buffer of a node, if it has one and it is empty.
    fn refill(&mut self, node: usize) {
        if node >= self.runs.len() || self.buffers[node].taken < self.buffers[node].filled {
            return;
        }
        let mut keys = std::mem::take(&mut self.buffers[node].keys);
        let filled = self.fill(node, &mut keys);
        self.buffers[node] = Buffer { keys, taken: 0, filled };
    }

    fn take(&mut self, node: usize, count: usize) {
        match node.checked_sub(self.runs.len()) {
            Some(run) => {
                let rest = &self.runs[run][count..];
                self.runs[run] = rest;
                prefetch(rest, 0, rest.len());
            }
            None => self.buffers[node].taken += count,
        }
    }
}

fn copy<K: Key>(from: &[K], to: &mut [K]) -> usize {
    let length = from.len().min(to.len());
    to[..length].copy_from_slice(&from[..length]);
    length
}
