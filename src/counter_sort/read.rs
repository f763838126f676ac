//! Reads this rank's files with all its threads and counts what is in them.
//!
//! Each thread has a reader, a histogram and its own totals; they draw pieces of the batch from one
//! counter of the rank. Files that fit a buffer are read whole, larger ones in chunks, and those
//! beyond [`Reading::split_bytes`] are left for all ranks together.

use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;

use super::batch::{Batch, Group};
use super::grammar::{self, Refusal, Sink};
use super::histogram::Histogram;
use super::large::{self, Large, Trouble};
use super::refused::{Refused, Told};
use super::spec::Io;
use crate::num::to_u64;
use crate::store::again;
use crate::store::files::{Files, Openat, Problem, SMALL_MAX, Trust, Uring, Visitor};
use crate::threads::Threads;

/// Files that a thread draws at once.
const DRAWN: usize = 256;

/// Files in flight in one ring.
const DEPTH: u32 = 64;

/// How files are read; the same on all threads.
#[derive(Clone, Copy, Debug)]
pub struct Reading {
    /// Files up to here are read whole.
    pub small_max: usize,
    /// Files above are split over all ranks.
    pub split_bytes: u64,
}

impl Reading {
    /// The usual sizes; `DCOMP_SMALL_BYTES` and `DCOMP_SPLIT_BYTES` force tiny ones in tests.
    pub fn new() -> Self {
        let forced = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let small = forced("DCOMP_SMALL_BYTES").map(crate::num::to_usize);
        Self {
            small_max: small.unwrap_or(SMALL_MAX).max(1),
            split_bytes: forced("DCOMP_SPLIT_BYTES").unwrap_or(16 << 20),
        }
    }
}

/// What a thread or a rank has found; adds up.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Files read to their end.
    pub files: u64,
    /// Files that could not be read.
    pub files_refused: u64,
    /// Bytes of the files, by input.
    pub bytes: Vec<u64>,
    /// Lines with an accepted number, counted apart from the histogram.
    pub accepted: u64,
    /// Lines refused.
    pub refused: u64,
    /// Lines without anything.
    pub blank_lines: u64,
    /// The first of what was refused.
    pub told: Told,
    /// A file that failed after some of its numbers were counted.
    pub spoilt: Option<Refused>,
}

impl Found {
    /// Adds bytes of an input.
    pub fn add_bytes(&mut self, source: u32, bytes: u64) {
        let source = usize::try_from(source).expect("a 64-bit machine");
        if self.bytes.len() <= source {
            self.bytes.resize(source + 1, 0);
        }
        self.bytes[source] += bytes;
    }

    /// Adds the lines of a file or a part of one.
    pub fn add_lines(&mut self, tally: grammar::Tally) {
        self.accepted += tally.numbers;
        self.refused += tally.refused;
        self.blank_lines += tally.blank_lines;
    }

    /// Takes what another found.
    pub fn take(&mut self, other: Self) {
        self.files += other.files;
        self.files_refused += other.files_refused;
        for (source, bytes) in (0..).zip(other.bytes) {
            self.add_bytes(source, bytes);
        }
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.blank_lines += other.blank_lines;
        self.told.extend(other.told);
        self.spoilt = self.spoilt.take().or(other.spoilt);
    }
}

/// One thread's counters and totals.
pub struct Worker {
    /// The thread's counters.
    pub histogram: Histogram,
    /// The thread's totals.
    pub found: Found,
    /// Files left for all ranks together.
    pub large: Vec<Large>,
    /// Files opened.
    pub opened: u64,
}

/// One thread's way to read. A ring belongs to the thread that made it, so it lasts for a batch.
enum Reader {
    Openat(Openat),
    Uring(Box<Uring>),
}

impl Reader {
    fn new(io: Io, reading: Reading) -> Self {
        let ring =
            || Uring::new(reading.small_max, DEPTH).ok().map(|ring| Self::Uring(Box::new(ring)));
        let wanted = (io == Io::Uring).then(ring).flatten();
        wanted.unwrap_or_else(|| Self::Openat(Openat::new(reading.small_max)))
    }
}

/// The way to read that this machine allows, and what stands in the way of another wish.
pub fn available(io: Io, reading: Reading) -> (Io, Option<String>) {
    match io {
        Io::Openat => (io, None),
        Io::Uring => match Uring::new(reading.small_max, DEPTH) {
            Ok(_) => (io, None),
            Err(cause) => (Io::Openat, Some(cause.to_string())),
        },
    }
}

impl Worker {
    /// A worker that has found nothing yet.
    pub fn new(histogram: Histogram) -> Self {
        Self { histogram, found: Found::default(), large: Vec::new(), opened: 0 }
    }

    fn read(&mut self, reader: &mut Reader, group: &Group, names: Range<usize>, reading: Reading) {
        let directory = match open_directory(&group.directory) {
            Ok(directory) => directory,
            Err(cause) => {
                for index in names {
                    self.found.files_refused += 1;
                    self.found.told.push(Refused::file(group.path(index), &cause));
                }
                return;
            }
        };
        self.opened += to_u64(names.len());
        let at = directory.as_ref().map_or(AT_FDCWD, AsFd::as_fd);
        let files = Files { dir: at, names: &group.names, trust: group.trust };
        let Self { histogram, found, large, .. } = self;
        let mut visitor = Counting { group, reading, at, histogram, found, large };
        match reader {
            Reader::Openat(plain) => {
                plain.read_all(files, names, &mut visitor);
            }
            Reader::Uring(ring) => {
                ring.read_all(files, names, &mut visitor);
            }
        }
    }
}

fn open_directory(path: &[u8]) -> std::io::Result<Option<OwnedFd>> {
    if path.is_empty() {
        return Ok(None);
    }
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    Ok(Some(again(|| openat(AT_FDCWD, path, flags, Mode::empty()))?))
}

/// Counts the numbers of one file or part and keeps what is refused.
pub struct Lines<'a> {
    /// Where numbers go.
    pub histogram: &'a mut Histogram,
    /// Where refusals go.
    pub refusals: &'a mut dyn FnMut(Refusal),
}

impl Sink for Lines<'_> {
    #[inline]
    fn number(&mut self, value: i64) -> bool {
        self.histogram.add(value)
    }

    fn refuse(&mut self, refusal: Refusal) {
        (self.refusals)(refusal);
    }
}

struct Counting<'a> {
    group: &'a Group,
    reading: Reading,
    at: std::os::fd::BorrowedFd<'a>,
    histogram: &'a mut Histogram,
    found: &'a mut Found,
    large: &'a mut Vec<Large>,
}

impl Visitor for Counting<'_> {
    fn small(&mut self, index: usize, buffer: &[u8], from: usize) {
        let (group, told) = (self.group, &mut self.found.told);
        let mut refusals =
            |refusal: Refusal| told.push(Refused::line(group.path(index), &refusal, 0));
        let mut lines = Lines { histogram: self.histogram, refusals: &mut refusals };
        let tally = grammar::parse_file(buffer, from, &mut lines);
        self.found.add_lines(tally);
        self.found.files += 1;
        self.found.add_bytes(group.source, to_u64(buffer.len() - from));
    }

    fn large(&mut self, index: usize, size: u64) {
        let group = self.group;
        if size > self.reading.split_bytes {
            let (path, source) = (group.path(index), group.source);
            self.large.push(Large { path, source, size, follow: group.trust == Trust::Given });
            return;
        }
        // One rank reads it alone, in chunks.
        let (told, path) = (&mut self.found.told, || group.path(index));
        let mut refusals = |refusal: Refusal| told.push(Refused::line(path(), &refusal, 0));
        let mut lines = Lines { histogram: self.histogram, refusals: &mut refusals };
        let name = group.names.get(index);
        match large::whole(self.at, name, group.trust, &mut lines) {
            Ok((bytes, tally)) => {
                self.found.files += 1;
                self.found.add_lines(tally);
                self.found.add_bytes(group.source, bytes);
            }
            Err(Trouble::Unread(cause)) => self.failed(index, Problem::Io(cause)),
            Err(Trouble::Spoilt(cause)) => {
                let spoilt = Refused::file(group.path(index), &cause);
                self.found.spoilt.get_or_insert(spoilt);
            }
        }
    }

    fn failed(&mut self, index: usize, problem: Problem) {
        self.found.files_refused += 1;
        let path = self.group.path(index);
        self.found.told.push(match problem {
            Problem::Io(cause) => Refused::file(path, &cause),
            Problem::NotRegular(kind) => Refused::not_regular(path, kind),
        });
    }
}

/// Reads the files of `range` with all threads. `workers` has one for each; `between` runs on the
/// main thread first, while the others read.
pub fn read_batch(
    threads: &Threads,
    workers: &[Mutex<Worker>],
    batch: &Batch,
    (io, reading): (Io, Reading),
    between: impl FnOnce(),
) {
    let (next, who, total) = (AtomicUsize::new(0), AtomicUsize::new(1), batch.len());
    let draw = |worker: &mut Worker| {
        let mut reader = Reader::new(io, reading);
        loop {
            let start = next.fetch_add(DRAWN, Ordering::Relaxed);
            if start >= total || worker.histogram.overflow().is_some() {
                break;
            }
            for (group, names) in batch.cut(start..(start + DRAWN).min(total)) {
                worker.read(&mut reader, group, names, reading);
            }
        }
    };
    let locked = |index: usize| workers[index].lock().expect("no thread panics with a worker");
    threads.crew(
        || {
            between();
            draw(&mut locked(0));
        },
        || draw(&mut locked(who.fetch_add(1, Ordering::Relaxed))),
    );
}
