//! How much memory a rank may use, and what it uses it for.

use std::time::Duration;

use super::central;
use super::form::Form;
use super::scratch::Layout;
use crate::comm::{Comm, Op};
use crate::measure::{available_memory_bytes, peak_rss_bytes};
use crate::num::{floor_u64, len_f64, to_f64, to_u64, to_usize};

/// Bytes of a rank for its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// All of it.
    pub bytes: u64,
    /// Items that can be sorted at once in all of it.
    sortable_bytes: u64,
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
    /// Items that may stay in memory between sorting and merging, if there is room.
    pub held_bytes_max: u64,
}

/// Items of a run, and of a slice, of a sort that can be interrupted: some seconds' work, which is what a
/// rank loses when it is killed.
const LOST_BYTES: u64 = 1 << 30;

/// Items that one thread of such a sort reads and sorts without looking up: what takes it about a second.
/// More pieces cost the merge more.
const PIECE_BYTES: u64 = 256 << 20;
const PIECE_BYTES_OF_LINES: u64 = 64 << 20;

/// What a rank reads and sorts in a second at the least, about: a cautious guess, as nothing is measured yet
/// when it is needed.
const SORTED_A_SECOND: u64 = 100 << 20;

/// Of the time between two checkpoints, which a kill costs anyway, sorting again what stayed in memory
/// may add one part in so many.
const AGAIN_PART: u32 = 10;

/// Of the memory of a sort by runs, what merging has at the least beside runs that stay, as one part in so
/// many.
const MERGE_PART: u64 = 32;

/// What the search for a cut reads of a run, about: some pages.
const SEARCH_BYTES: u64 = 12 << 10;

/// A run that stays is no smaller than one part of the memory in so many, unless it is the last.
const LEAST_HELD_PART: u64 = 32;

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
        let items = ranks * bytes / form.item_bytes().map_or(1, to_u64);
        let search = central::root_bytes((ranks, threads), items, key);
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

/// Of `bytes`, whole items, that a rank sorts by runs within a budget, how many go through the disk.
pub fn stored(form: &dyn Form, budget: Budget, bytes: u64, ranks: u64) -> u64 {
    let keys = Layout::new(form, bytes, budget.bytes).key_bytes;
    bytes - budget.held(form, bytes, ranks, keys).iter().sum::<u64>()
}

/// How many bytes may stay in memory of a sort with a checkpoint every so often. A checkpoint does not have
/// them, so they are sorted again after a kill: only once, as a sort that goes on from a checkpoint keeps
/// everything on the disk, and comes further however early it is stopped.
pub fn held_bytes_max(every: Duration, goes_on: bool) -> u64 {
    let sorted = u128::from(SORTED_A_SECOND) * (every / AGAIN_PART).as_micros() / 1_000_000;
    if goes_on { 0 } else { u64::try_from(sorted).unwrap_or(u64::MAX) }
}

/// Tiny runs for tests, so that there are thousands of them.
fn forced() -> Option<u64> {
    std::env::var("DCOMP_RUN_BYTES").ok()?.parse().ok()
}

/// What merging does with so many bytes.
fn merging(bytes: u64) -> Budget {
    Budget {
        bytes,
        sortable_bytes: bytes,
        run_bytes: bytes,
        slice_bytes: (bytes / 2).max(1 << 16),
        slice_bytes_max: (bytes / 8 * 5).max(1 << 16),
        send_bytes: (bytes / 4).max(1 << 12),
        piece_bytes: u64::MAX,
        held_bytes_max: u64::MAX,
    }
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
                sortable_bytes: bytes,
                run_bytes: bytes,
                slice_bytes,
                slice_bytes_max,
                send_bytes: bytes,
                piece_bytes: u64::MAX,
                held_bytes_max: u64::MAX,
            };
        }
        Self::of(bytes, appetite)
    }

    /// Of so many bytes.
    pub fn of(bytes: u64, appetite: Appetite) -> Self {
        let run_bytes = floor_u64(to_f64(bytes) / appetite.sorting).max(1 << 16);
        Self { sortable_bytes: run_bytes, run_bytes, ..merging(bytes) }
    }

    /// The same for a sort that can be interrupted, of which so much may stay in memory.
    #[must_use]
    pub fn with_breaks(self, form: &dyn Form, held_bytes_max: u64) -> Self {
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
            held_bytes_max,
            ..self
        }
    }

    /// How the last of a rank's `bytes` are sorted in pieces that stay in memory until they are merged, and
    /// so need no disk: each as large as what the ones before it leave can sort, in whole items. `keys`
    /// bytes are taken for those of runs on the disk. None of items of many sizes, nor where equal ones are
    /// taken out.
    pub fn held(&self, form: &dyn Form, bytes: u64, ranks: u64, keys: u64) -> Vec<u64> {
        let Some(item) = form.item_bytes().map(to_u64).filter(|_| !form.is_unique()) else {
            return Vec::new();
        };
        let memory = self.bytes.saturating_sub(keys);
        let most = memory.saturating_sub(self.merging_beside(bytes, ranks));
        let most = most.min(self.held_bytes_max).min(bytes);
        let (mut held, mut pieces) = (0, Vec::new());
        loop {
            let sortable = u128::from(memory - held) * u128::from(self.sortable_bytes);
            let sortable =
                u64::try_from(sortable / u128::from(self.bytes.max(1))).unwrap_or(u64::MAX);
            let piece = sortable.min(self.run_bytes).min(most - held) / item * item;
            let last = held + piece == bytes;
            let enough = (self.bytes / LEAST_HELD_PART).min(self.run_bytes / 2);
            if piece == 0 || (piece < enough && !last) {
                return pieces;
            }
            pieces.push(piece);
            held += piece;
        }
    }

    /// What is left to merge `bytes` with, when much stays. With less of it less goes through the disk, but
    /// slices are smaller, and for each of them, of every rank, every run is searched. With m bytes of
    /// memory, r m of data, x left for slices of half of that and s read by the searches, 2 x + 2 r m / x *
    /// r s is least at x = r sqrt(m s).
    fn merging_beside(&self, bytes: u64, ranks: u64) -> u64 {
        if forced().is_some() {
            return self.bytes / MERGE_PART;
        }
        let runs = to_f64(bytes) / to_f64(self.bytes.max(1));
        let best = runs * (to_f64(self.bytes) * to_f64(SEARCH_BYTES * ranks)).sqrt();
        floor_u64(best).max(self.bytes / MERGE_PART)
    }

    /// For merging beside so many bytes that stay in memory.
    #[must_use]
    pub fn beside(self, held: u64) -> Self {
        if forced().is_some() || held == 0 {
            return self;
        }
        let left = merging(self.bytes.saturating_sub(held));
        Self {
            slice_bytes: self.slice_bytes.min(left.slice_bytes),
            slice_bytes_max: self.slice_bytes_max.min(left.slice_bytes_max),
            send_bytes: left.send_bytes,
            ..self
        }
    }

    /// Into how many pieces so many bytes are cut, which threads sort in turn.
    pub fn pieces(&self, bytes: u64, threads: u64) -> u64 {
        threads * bytes.div_ceil(threads).div_ceil(self.piece_bytes).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mergesort::lines::Flags;
    use crate::mergesort::spec::{Kind, form_of};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_stays_fits_beside_all_else(
            kind in prop_oneof![Just("u32"), Just("u64"), Just("record:100:10"), Just("record:4096:8")],
            memory in 1_u64 << 18..1 << 34,
            times in 0.0..40.0_f64,
            ranks in 1_u64..100,
        ) {
            let kind: Kind = kind.parse().unwrap();
            let form = form_of(kind, &Flags::default()).unwrap();
            let (appetite, item) = (Appetite::of(&*form, None), to_u64(form.item_bytes().unwrap()));
            let bytes = floor_u64(to_f64(memory) * times) / item * item;
            let keys = memory / 40;
            let budget = Budget::of(memory, appetite);
            let pieces = budget.held(&*form, bytes, ranks, keys);
            let merging = budget.merging_beside(bytes, ranks);
            let mut held = keys;
            for piece in pieces {
                let sorting = to_f64(held) + to_f64(piece) * appetite.sorting;
                prop_assert!(sorting <= 1.001 * to_f64(memory), "{sorting} of {memory}");
                prop_assert!(piece % item == 0 && piece > 0);
                held += piece;
            }
            prop_assert!(held - keys <= bytes && held <= memory - memory / MERGE_PART);
            // And hardly more could stay.
            let could = bytes.min(memory.saturating_sub(merging));
            prop_assert!(held + memory / 32 + item >= could, "{held} of {could}");
        }
    }

    #[test]
    fn what_checkpoints_lack_is_bounded() {
        let every = Duration::from_secs(600);
        assert_eq!(held_bytes_max(every, false), 60 * SORTED_A_SECOND);
        assert_eq!(held_bytes_max(every, true), 0);
        assert_eq!(held_bytes_max(Duration::ZERO, false), 0);
        let keys = form_of("u64".parse().unwrap(), &Flags::default()).unwrap();
        for (memory, most) in [33, 35, 38].into_iter().flat_map(|bits| {
            [0, 1, 1 << 28, 1 << 30, 5 << 30, u64::MAX].map(|most| (1_u64 << bits, most))
        }) {
            let budget = Budget::of(memory, Appetite::of(&*keys, None));
            let pieces = budget.with_breaks(&*keys, most).held(&*keys, 4 * memory, 2, 0);
            let held: u64 = pieces.iter().sum();
            assert!(held <= most && held <= memory, "{held} of {most}");
            // What is too little to be worth a piece goes to the disk.
            let least = (memory / LEAST_HELD_PART).min(LOST_BYTES / 2);
            assert!(held >= most.min(memory) / 8 * 7 || most < least, "{held} of {most}");
            assert!(pieces.iter().all(|piece| *piece <= LOST_BYTES), "{pieces:?}");
        }
    }

    #[test]
    fn lines_and_runs_without_equal_items_go_to_the_disk() {
        let lines = form_of(Kind::Lines, &Flags::default()).unwrap();
        let unique = Flags { unique: true, ..Flags::default() };
        let keys = form_of("u64".parse().unwrap(), &unique).unwrap();
        for form in [lines, keys] {
            let budget = Budget::of(1 << 20, Appetite::of(&*form, None));
            assert_eq!(budget.held(&*form, 1 << 21, 2, 0), [0_u64; 0]);
        }
    }
}
