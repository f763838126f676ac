//! How much memory a rank may use, and what it uses it for.

use super::central;
use super::form::Form;
use crate::comm::{Comm, Op};
use crate::measure::{available_memory_bytes, peak_rss_bytes};
use crate::num::{floor_u64, len_f64, to_f64, to_usize};

/// Bytes of a rank for its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// All of it.
    pub bytes: u64,
    /// Items that are sorted at once.
    pub run_bytes: u64,
    /// Items of a slice that are merged at once: what is aimed at.
    pub slice_bytes: u64,
    /// The same: what is accepted.
    pub slice_bytes_max: u64,
    /// Items on their way to other ranks.
    pub send_bytes: u64,
    /// Items that a thread sorts without looking up.
    pub piece_bytes: u64,
}

/// Items of a run, and of a slice, of a sort that can be interrupted: some seconds' work, which is what a
/// rank loses when it is killed.
const LOST_BYTES: u64 = 1 << 30;

/// Items that one thread of such a sort reads and sorts without looking up: what takes it about a second.
/// More pieces cost the merge more.
const PIECE_BYTES: u64 = 256 << 20;
const PIECE_BYTES_OF_LINES: u64 = 64 << 20;

/// Buffers of each thread: a chunk as it is merged, packed and written.
const THREAD_BYTES: u64 = 3 << 20;

/// The part of the available memory that is used when nobody says how much, in 1/8.
const AVAILABLE_EIGHTHS: u64 = 6;

/// How much memory a byte of input takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Appetite {
    /// While it is sorted.
    sorting: f64,
    /// Beside it what comes from other ranks; of what is sorted in a second place, that place.
    moving: f64,
}

impl Appetite {
    /// Bare keys stay where they are; records move to a second place, and have some bytes of key and place
    /// beside while they are sorted; lines have more, for which it matters how long they are: `line` bytes
    /// on average.
    pub fn of(form: &dyn Form, line: Option<f64>) -> Self {
        let (sorting, moving) = match (form.item_bytes(), form.key_bytes()) {
            (Some(bytes), Some(key)) if bytes == key && bytes <= 8 => (1.0, 1.0),
            (Some(bytes), _) => (2.0 + 10.0 / len_f64(bytes), 0.0),
            _ => (2.0 + 24.0 / line.unwrap_or(LINE_BYTES).max(1.0), 0.0),
        };
        Self { sorting, moving }
    }

    /// Bytes that sorting `bytes` of input in memory takes, wherever they go.
    pub fn needed(self, bytes: u64) -> u64 {
        floor_u64(to_f64(bytes) * (self.sorting + self.moving))
    }

    /// The same where each of so many ranks has as much of every part of the result. Of lines less than what
    /// is reckoned with, as their places are not needed all the time: what was measured.
    pub fn usual(self, form: &dyn Form, bytes: u64, (ranks, threads): (u64, u64)) -> u64 {
        let others = 1.0 - 1.0 / to_f64(ranks.max(1));
        let each = match form.item_bytes() {
            Some(_) => self.sorting + self.moving * others,
            None => 2.1 + (self.sorting - 2.0) / 8.0 + if ranks > 1 { 0.35 } else { 0.0 },
        };
        // Chunks are merged when the second places are free again.
        let chunks = if self.moving > 0.0 { (threads << 20).min(bytes) } else { 0 };
        let key = form.key_bytes().unwrap_or(to_usize(floor_u64(LINE_BYTES)));
        let search = if ranks > 1 { central::root_bytes(ranks * threads, key) } else { 0 };
        floor_u64(to_f64(bytes) * each * (1.0 + MARGIN)) + chunks + search
    }
}

/// By how much told memory is above what was measured: the smaller things.
const MARGIN: f64 = 0.03;

/// Of lines that cannot be looked at.
const LINE_BYTES: f64 = 20.0;

/// Bytes of the buffers of so many threads.
pub fn thread_bytes(threads: u64) -> u64 {
    THREAD_BYTES * threads
}

/// Bytes for each of so many ranks of this node, when nobody says how much.
pub fn share(local_ranks: u64) -> u64 {
    let share = |bytes: u64| bytes / local_ranks.max(1) / 8 * AVAILABLE_EIGHTHS;
    available_memory_bytes().map_or(1 << 30, share)
}

/// Tiny runs for tests, so that there are thousands of them.
fn forced() -> Option<u64> {
    std::env::var("DCOMP_RUN_BYTES").ok()?.parse().ok()
}

impl Budget {
    /// Collective. From what the user said, or from what the nodes have; the least of all ranks.
    pub fn new(comm: &Comm, appetite: Appetite, said: Option<u64>, threads: u64) -> Self {
        let used = peak_rss_bytes() + thread_bytes(threads);
        let all = said.unwrap_or_else(|| share(comm.place().local_size));
        let mut bytes = [all.saturating_sub(used).max(all / 2)];
        comm.all_reduce(Op::Min, &mut bytes);
        let bytes = bytes[0];
        if let Some(bytes) = forced() {
            let (slice_bytes, slice_bytes_max) = (4 * bytes, 5 * bytes);
            return Self {
                bytes,
                run_bytes: bytes,
                slice_bytes,
                slice_bytes_max,
                send_bytes: bytes,
                piece_bytes: u64::MAX,
            };
        }
        Self {
            bytes,
            run_bytes: floor_u64(to_f64(bytes) / appetite.sorting).max(1 << 16),
            slice_bytes: (bytes / 2).max(1 << 16),
            slice_bytes_max: (bytes / 8 * 5).max(1 << 16),
            send_bytes: (bytes / 4).max(1 << 12),
            piece_bytes: u64::MAX,
        }
    }

    /// The same for a sort that can be interrupted.
    #[must_use]
    pub fn with_breaks(self, form: &dyn Form) -> Self {
        let lines = form.terminator().is_some();
        let piece_bytes = match forced() {
            Some(bytes) => bytes / 3 + 1,
            None if lines => PIECE_BYTES_OF_LINES,
            None => PIECE_BYTES,
        };
        Self {
            run_bytes: self.run_bytes.min(LOST_BYTES),
            slice_bytes: self.slice_bytes.min(LOST_BYTES),
            slice_bytes_max: self.slice_bytes_max.min(LOST_BYTES / 4 * 5),
            piece_bytes,
            ..self
        }
    }

    /// Into how many pieces so many bytes are cut, which threads sort in turn.
    pub fn pieces(&self, bytes: u64, threads: u64) -> u64 {
        threads * bytes.div_ceil(threads).div_ceil(self.piece_bytes).max(1)
    }
}
