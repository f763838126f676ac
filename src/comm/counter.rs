//! The work counter: hands out each index of `0..total` exactly once, with no master.
//!
//! Every rank, and every thread of a rank, draws from one atomic word in memory shared by its node
//! (0.1 us a draw). On several nodes that word holds the node's current range; when it is used up,
//! one main thread of the node draws the next, shrinking range from a word on world rank 0 by
//! `MPI_Fetch_and_op` (masterless self-scheduling: Eleliemy & Ciorba, arXiv 1901.02773). What that
//! costs: a node's ranks may wait for one network round trip per range, and rank 0 must enter MPI
//! now and then, which its own draws do. Where MPI has no one-sided access between the nodes at hand, each
//! node has its share of the indices from the start.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::Comm;
use super::window::{NodeWords, WorldWord, poll};
use crate::num::to_usize;
use crate::partition::node_draw;

/// Words of the node: the current range (next index in the high half, its end in the low half),
/// whether the world is used up, and who refills. Each on a cache line of its own.
const RANGE: usize = 0;
const USED_UP: usize = 8;
const REFILLING: usize = 16;
const WORDS: usize = 24;

/// The shared counter. Made once per job, reset for each round of work.
pub struct WorkCounter {
    words: Words,
    global: Option<WorldWord>,
    /// Where ranges cannot be drawn across nodes, the part of the world's ranks before this node's and
    /// with them: each node has its share from the start.
    share: Option<[u64; 2]>,
    total: u32,
    workers_on_node: u64,
}

enum Words {
    Own(Box<[AtomicU64]>),
    Shared(NodeWords),
}

/// What a thread that must not call MPI gets from a draw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// This index is the caller's.
    Index(u32),
    /// The node's range is used up; a main thread must fetch the next.
    Dry,
    /// All indices have been handed out.
    Done,
}

/// Draws without MPI, for worker threads.
#[derive(Clone, Copy)]
pub struct Drawer<'a> {
    words: &'a [AtomicU64],
}

/// Collective. The ranks before this node's, in order of the nodes' leaders, and those with them.
fn share_of_node(comm: &Comm) -> [u64; 2] {
    let place = comm.place();
    let mine = if place.local_rank == 0 { place.local_size } else { 0 };
    let sizes = comm.all_gather(mine);
    let before = sizes[..to_usize(comm.rank())].iter().sum();
    [before, before + place.local_size]
}

impl WorkCounter {
    /// Collective. `workers_on_node` is the number of threads on this node that will draw.
    pub fn new(comm: &Comm, workers_on_node: u64) -> Self {
        let (words, global) = match &comm.mpi {
            None => (Words::Own((0..WORDS).map(|_| AtomicU64::new(0)).collect()), None),
            Some(mpi) => (
                Words::Shared(NodeWords::allocate(
                    &mpi.node,
                    comm.place().local_rank == 0,
                    WORDS,
                    WORDS,
                )),
                (comm.place().node_count > 1)
                    .then(|| WorldWord::allocate(&mpi.all, comm.is_root()))
                    .flatten(),
            ),
        };
        let apart = comm.place().node_count > 1 && global.is_none();
        let share = apart.then(|| share_of_node(comm));
        Self { words, global, share, total: 0, workers_on_node }
    }

    /// Collective. Starts a round over `0..total`; no draw may be under way.
    pub fn reset(&mut self, comm: &Comm, total: u32) {
        self.total = total;
        comm.barrier();
        if comm.place().local_rank == 0 {
            let words = self.words();
            let range = match (&self.global, self.share) {
                (Some(_), _) => pack(0, 0),
                (None, None) => pack(0, total),
                (None, Some(ends)) => {
                    let [start, end] = ends.map(|ranks| {
                        // At most `total`, because no more ranks come before than there are.
                        let part = u64::from(total) * ranks / comm.size();
                        u32::try_from(part).expect("at most total")
                    });
                    pack(start, end)
                }
            };
            words[RANGE].store(range, Ordering::SeqCst);
            words[USED_UP].store(u64::from(self.global.is_none()), Ordering::SeqCst);
            words[REFILLING].store(0, Ordering::SeqCst);
        }
        if let (Some(global), true) = (&self.global, comm.is_root()) {
            let before = global.fetch_add(0);
            global.fetch_add(before.wrapping_neg());
        }
        comm.barrier();
    }

    /// The handle that worker threads draw from.
    pub fn drawer(&self) -> Drawer<'_> {
        Drawer { words: self.words() }
    }

    /// Whether several nodes share the work, each with a range of its own at a time.
    pub fn has_ranges(&self) -> bool {
        self.global.is_some() || self.share.is_some()
    }

    /// Draws on the main thread, which fetches the node's next range when needed and when it
    /// `may_refill`. `None` at the end, or where a refill would be needed. A range that a node has
    /// fetched must be drawn empty: a main thread that wants no more work stops refilling first.
    pub fn draw(&self, comm: &Comm, may_refill: bool) -> Option<u32> {
        let drawer = self.drawer();
        self.poll(comm);
        loop {
            match drawer.draw() {
                Draw::Index(index) => return Some(index),
                Draw::Dry if may_refill => comm.timed(0, 0, || self.refill(comm)),
                Draw::Dry | Draw::Done => return None,
            }
        }
    }

    /// Lets other nodes' draws proceed: a main thread calls it now and then while it does not draw.
    pub fn poll(&self, comm: &Comm) {
        if let (Some(_), Some(mpi)) = (&self.global, &comm.mpi) {
            comm.timed(0, 0, || poll(&mpi.all));
        }
    }

    /// Fetches the node's next range from the world's word, or waits for the rank that does.
    fn refill(&self, comm: &Comm) {
        let (Some(global), Some(mpi)) = (&self.global, &comm.mpi) else {
            unreachable!("a single node is never dry before it is done")
        };
        let words = self.words();
        if words[REFILLING].compare_exchange(0, 1, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            poll(&mpi.all);
            std::thread::yield_now();
            return;
        }
        // Another rank may have refilled between the dry draw and this lock.
        if self.drawer().is_dry() {
            // How much is left is read without adding; a stale answer only changes the range's size.
            let handed_out = global.fetch_add(0);
            let left = u64::from(self.total).saturating_sub(handed_out);
            let want = node_draw(left, comm.place().node_count, self.workers_on_node).max(1);
            let start = global.fetch_add(want);
            match u32::try_from(start) {
                Ok(start) if start < self.total => {
                    let end = (u64::from(start) + want).min(u64::from(self.total));
                    let end = u32::try_from(end).expect("at most total");
                    words[RANGE].store(pack(start, end), Ordering::SeqCst);
                }
                _ => words[USED_UP].store(1, Ordering::SeqCst),
            }
        }
        words[REFILLING].store(0, Ordering::SeqCst);
    }

    fn words(&self) -> &[AtomicU64] {
        match &self.words {
            Words::Own(words) => words,
            Words::Shared(window) => window.words(),
        }
    }
}

impl Drawer<'_> {
    /// The next index of the node's range, if it has one.
    pub fn draw(&self) -> Draw {
        let mut seen = self.words[RANGE].load(Ordering::SeqCst);
        loop {
            let (next, end) = unpack(seen);
            if next >= end {
                // A range may have come in between the two loads; only an empty one ends the work.
                let used_up = self.words[USED_UP].load(Ordering::SeqCst) == 1;
                let again = self.words[RANGE].load(Ordering::SeqCst);
                if again == seen {
                    return if used_up { Draw::Done } else { Draw::Dry };
                }
                seen = again;
                continue;
            }
            let taken = pack(next + 1, end);
            match self.words[RANGE].compare_exchange_weak(
                seen,
                taken,
                Ordering::SeqCst,
                Ordering::SeqCst,
            ) {
                Ok(_) => return Draw::Index(next),
                Err(now) => seen = now,
            }
        }
    }

    /// Draws on a worker thread: waits, without MPI, while the node is dry. `None` at the end, and on
    /// a dry node once this rank's main thread is `retired` and will not refill it.
    pub fn draw_waiting(&self, retired: &AtomicBool) -> Option<u32> {
        let mut pause = Duration::from_micros(1);
        loop {
            match self.draw() {
                Draw::Index(index) => return Some(index),
                Draw::Done => return None,
                Draw::Dry if retired.load(Ordering::SeqCst) => return None,
                // Backing off leaves the core to the main thread that fetches the next range.
                Draw::Dry => {
                    std::thread::sleep(pause);
                    pause = (pause * 2).min(Duration::from_millis(1));
                }
            }
        }
    }

    fn is_dry(&self) -> bool {
        let (next, end) = unpack(self.words[RANGE].load(Ordering::SeqCst));
        next >= end && self.words[USED_UP].load(Ordering::SeqCst) == 0
    }
}

fn pack(next: u32, end: u32) -> u64 {
    (u64::from(next) << 32) | u64::from(end)
}

fn unpack(word: u64) -> (u32, u32) {
    let half = |bits: u64| u32::try_from(bits & 0xFFFF_FFFF).expect("32 bits");
    (half(word >> 32), half(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_draw_each_index_once() {
        let comm = Comm::alone();
        let mut counter = WorkCounter::new(&comm, 4);
        for total in [0, 1, 7, 1000] {
            counter.reset(&comm, total);
            let (drawer, retired) = (counter.drawer(), &AtomicBool::new(false));
            let mut drawn: Vec<u32> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..4)
                    .map(|_| {
                        scope.spawn(move || {
                            std::iter::from_fn(|| drawer.draw_waiting(retired)).collect::<Vec<_>>()
                        })
                    })
                    .collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
            });
            drawn.sort_unstable();
            assert_eq!(drawn, (0..total).collect::<Vec<_>>());
        }
    }
}
