//! Collectives of ranks that share too few cores: they meet in memory, and sleep until all are there.
//!
//! MPI libraries wait by asking again and again. Where many ranks share few cores, those that wait take turns
//! on the cores from the one they wait for, and a collective of 64 ranks on 2 cores takes some 10 ms, most of
//! it asking. Here each rank writes what it brings into a slot of its own that all can read, and sleeps until
//! the last one has come and wakes all (a futex: Drepper, "Futexes Are Tricky", 2011, section 6), after which
//! each reads what it wants. There are two sets of slots in turn: nobody can write the next
//! but one before all have come to the next, and so have read this one.
//!
//! For the ranks of one machine that are more than its cores, and for what fits a slot; all else takes MPI.
//! `DCOMP_MEET=memory` or `messages` forces one way in tests.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use mpi::topology::SimpleCommunicator;
use nix::libc;

use super::window::NodeWords;
use crate::num::{to_u64, to_usize};

/// What a rank can bring: more than the collectives of a run usually carry.
pub(super) const SLOT_BYTES: usize = 16 << 10;

/// The number of bytes, then these.
const SLOT_WORDS: usize = 1 + SLOT_BYTES / 8;

/// How many ranks have come.
const ARRIVED: usize = 0;

/// What changes when all have come; both halves alike, because the system looks at 32 bits. On a line of the
/// cache of its own.
const MEETING: usize = 8;

const HEADER_WORDS: usize = 16;

/// Stands for bytes that do not fit.
const TOO_LONG: u64 = u64::MAX;

/// A sleeper looks after MPI so often, for messages that it has sent and that wait for it.
static LOOK_AFTER: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 20_000_000 };

pub(super) struct Crowd {
    words: NodeWords,
    rank: usize,
    size: usize,
    /// Meetings so far.
    turn: Cell<usize>,
}

impl Crowd {
    /// Collective over all ranks, which are the node's.
    pub(super) fn allocate(node: &SimpleCommunicator, rank: u64, size: u64) -> Self {
        let (rank, size) = (to_usize(rank), to_usize(size));
        let count = HEADER_WORDS + 2 * size * SLOT_WORDS;
        let words = NodeWords::allocate(node, rank == 0, count, HEADER_WORDS);
        Self { words, rank, size, turn: Cell::new(0) }
    }

    /// Collective. Each rank brings bytes; then all look at everybody's, each in a closure that gets a
    /// rank's bytes by its number. None, on all ranks, when one has brought too many.
    pub(super) fn share<T>(
        &self,
        mine: &[u8],
        idle: impl Fn(),
        look: impl FnOnce(&dyn Fn(usize) -> Vec<u8>) -> T,
    ) -> Option<T> {
        self.put(self.rank, mine);
        self.meet(idle);
        self.all_fit().then(|| look(&|rank| self.get(rank)))
    }

    /// Collective. Root brings bytes for each rank, the others nothing. None when one's are too many.
    pub(super) fn hand_out(&self, parts: Option<&[Vec<u8>]>, idle: impl Fn()) -> Option<Vec<u8>> {
        for (rank, part) in parts.into_iter().flatten().enumerate() {
            self.put(rank, part);
        }
        self.meet(idle);
        self.all_fit().then(|| self.get(self.rank))
    }

    fn slot(&self, rank: usize) -> &[AtomicU64] {
        let at = HEADER_WORDS + (self.turn.get() % 2 * self.size + rank) * SLOT_WORDS;
        &self.words.words()[at..][..SLOT_WORDS]
    }

    fn put(&self, rank: usize, bytes: &[u8]) {
        let slot = self.slot(rank);
        if bytes.len() > SLOT_BYTES {
            return slot[0].store(TOO_LONG, Ordering::Relaxed);
        }
        slot[0].store(to_u64(bytes.len()), Ordering::Relaxed);
        for (word, bytes) in slot[1..].iter().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            word.store(u64::from_ne_bytes(whole), Ordering::Relaxed);
        }
    }

    /// What a rank brought to the last meeting.
    fn get(&self, rank: usize) -> Vec<u8> {
        let slot = self.slot_of_last(rank);
        let length = to_usize(slot[0].load(Ordering::Relaxed));
        let words = slot[1..][..length.div_ceil(8)].iter();
        let mut bytes: Vec<u8> =
            words.flat_map(|word| word.load(Ordering::Relaxed).to_ne_bytes()).collect();
        bytes.truncate(length);
        bytes
    }

    fn all_fit(&self) -> bool {
        (0..self.size).all(|rank| self.slot_of_last(rank)[0].load(Ordering::Relaxed) != TOO_LONG)
    }

    fn slot_of_last(&self, rank: usize) -> &[AtomicU64] {
        let at = HEADER_WORDS + ((self.turn.get() + 1) % 2 * self.size + rank) * SLOT_WORDS;
        &self.words.words()[at..][..SLOT_WORDS]
    }

    /// Collective. Returns when all ranks have come; `idle` is called now and then meanwhile.
    pub(super) fn meet(&self, idle: impl Fn()) {
        let words = self.words.words();
        let (arrived, meeting) = (&words[ARRIVED], &words[MEETING]);
        let before = meeting.load(Ordering::Acquire);
        if arrived.fetch_add(1, Ordering::AcqRel) + 1 == to_u64(self.size) {
            arrived.store(0, Ordering::Relaxed);
            let next = both_halves(half(before).wrapping_add(1));
            meeting.store(next, Ordering::Release);
            wake_all(meeting);
        } else {
            while meeting.load(Ordering::Acquire) == before {
                sleep_unless_changed(meeting, half(before));
                idle();
            }
        }
        self.turn.set(self.turn.get() + 1);
    }
}

fn half(word: u64) -> u32 {
    u32::try_from(word & u64::from(u32::MAX)).expect("32 bits")
}

fn both_halves(half: u32) -> u64 {
    u64::from(half) << 32 | u64::from(half)
}

/// Sleeps until somebody wakes all, a signal comes, or it is time to look after MPI; not at all when the word
/// has changed.
fn sleep_unless_changed(word: &AtomicU64, seen: u32) {
    // SAFETY: the word is aligned, mapped and lives as long as the borrow; the system reads half of it, and
    // the time, and writes nothing. A wrong answer costs a look at the word, nothing else.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            seen,
            &raw const LOOK_AFTER,
        );
    }
}

fn wake_all(word: &AtomicU64) {
    // SAFETY: the system takes the address as a name and touches nothing.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, libc::c_int::MAX) };
}
