//! Reads this rank's files with all its threads and counts what is in them.
//!
//! Each thread has a reader, a histogram and its own totals; they draw pieces of the batch from one
//! counter of the rank. Files that fit a buffer are read whole, larger ones in chunks, and those
//! beyond [`Reading::split_bytes`] are left for all ranks together. When a break is wanted, no thread begins
//! another file, and what was not begun is left.

use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use serde::{Deserialize, Serialize};

use super::batch::{Batch, Group};
use super::grammar::{self, Refusal, Sink};
use super::histogram::Histogram;
use super::large::{self, Large, Trouble};
use super::past::Past;
use super::refused::{Refused, Told};
use super::spec::Io;
use crate::num::{to_u64, to_usize};
use crate::partition::Ranges;
use crate::stop;
use crate::store::again;
use crate::store::files::{Files, Openat, Problem, SMALL_MAX, Trust, Uring, Visitor};
use crate::threads::Threads;

/// Files that a thread draws at once.
const DRAWN: u64 = 256;

/// Files after which the main thread looks for what other ranks say: so few that slow ones do not keep it.
const BETWEEN_LOOKS: u64 = 16;

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
        let small = forced("DCOMP_SMALL_BYTES").map(to_usize);
        Self {
            small_max: small.unwrap_or(SMALL_MAX).max(1),
            split_bytes: forced("DCOMP_SPLIT_BYTES").unwrap_or(16 << 20),
        }
    }
}

/// What a thread or a rank has found; adds up.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
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
    /// A file that failed after some of its numbers were counted. The run ends with that.
    #[serde(skip)]
    pub spoilt: Option<Refused>,
}

impl Found {
    /// Adds bytes of an input.
    pub fn add_bytes(&mut self, source: u32, bytes: u64) {
        add_bytes(&mut self.bytes, source, bytes);
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

/// Adds bytes of an input to a table of all inputs that grows.
pub fn add_bytes(table: &mut Vec<u64>, source: u32, bytes: u64) {
    let source = to_usize(source.into());
    if table.len() <= source {
        table.resize(source + 1, 0);
    }
    table[source] += bytes;
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
    /// Places of files that could not be read.
    pub unread: Vec<u64>,
    /// Bytes, by input, of files that were only looked at.
    pub looked_at: Vec<u64>,
    /// The first of those that is not what it was.
    pub changed: Option<Refused>,
    /// Places that were drawn and not begun.
    left: Vec<u64>,
    /// Whether it has begun a file since it began to draw: some progress is made before any break.
    has_begun: bool,
    /// How often it was asked whether it begins a file.
    asked: u64,
    seen: Vec<bool>,
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
        Self {
            histogram,
            found: Found::default(),
            large: Vec::new(),
            opened: 0,
            unread: Vec::new(),
            looked_at: Vec::new(),
            changed: None,
            left: Vec::new(),
            has_begun: false,
            asked: 0,
            seen: Vec::new(),
        }
    }

    fn read(
        &mut self,
        reader: &mut Reader,
        (group, names): (&Group, Range<usize>),
        work: &Work<'_>,
        look: &dyn Fn(),
    ) {
        let directory = open_directory(&group.directory);
        let at = match &directory {
            Ok(directory) => directory.as_ref().map_or(AT_FDCWD, AsFd::as_fd),
            Err(_) => AT_FDCWD,
        };
        let mut seen = std::mem::take(&mut self.seen);
        seen.clear();
        seen.resize(names.len(), false);
        let (reading, first) = (work.reading, names.start);
        let mut visitor = Counting { group, reading, at, worker: self, first, seen, look };
        let files = Files { dir: at, names: &group.names, trust: group.trust };
        match (&directory, work.past, reader) {
            (_, Some(past), _) if group.counted => visitor.look_at(names.clone(), past, &directory),
            (Err(cause), ..) => visitor.refuse(names.clone(), cause),
            (_, _, Reader::Openat(plain)) => plain.read_all(files, names.clone(), &mut visitor),
            (_, _, Reader::Uring(ring)) => ring.read_all(files, names.clone(), &mut visitor),
        }
        self.seen = visitor.seen;
        if !group.counted {
            self.opened += to_u64(self.seen.iter().filter(|seen| **seen).count());
        }
        let unseen = names.zip(&self.seen).filter(|(_, seen)| !**seen);
        self.left.extend(unseen.map(|(index, _)| group.first + to_u64(index)));
    }
}

/// An open directory; `None` is the working directory.
type Directory = std::io::Result<Option<OwnedFd>>;

fn open_directory(path: &[u8]) -> Directory {
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

struct Counting<'a, 'w> {
    group: &'a Group,
    reading: Reading,
    at: BorrowedFd<'a>,
    worker: &'w mut Worker,
    /// Which names have been dealt with, from the first one on.
    first: usize,
    seen: Vec<bool>,
    look: &'a dyn Fn(),
}

impl Counting<'_, '_> {
    /// Marks a file as dealt with.
    fn see(&mut self, index: usize) {
        self.seen[index - self.first] = true;
    }

    /// Whether another file is begun: the first one always is.
    fn begins(&mut self) -> bool {
        let goes_on = !self.worker.has_begun || !stop::wanted();
        self.worker.has_begun = true;
        self.worker.asked += 1;
        if self.worker.asked.is_multiple_of(BETWEEN_LOOKS) {
            (self.look)();
        }
        goes_on
    }

    fn place(&self, index: usize) -> u64 {
        self.group.first + to_u64(index)
    }

    /// Files that an earlier run counted.
    fn look_at(&mut self, names: Range<usize>, past: &Past, directory: &Directory) {
        for index in names {
            if !self.begins() {
                break;
            }
            let (name, trust, place) =
                (self.group.names.get(index), self.group.trust, self.place(index));
            let looked = match directory {
                Ok(_) => past.look(self.at, name, trust, place),
                Err(_) if past.unread.contains(place) => Ok(0),
                Err(cause) => Err(format!("its directory cannot be opened: {cause}")),
            };
            match looked {
                Ok(bytes) => add_bytes(&mut self.worker.looked_at, self.group.source, bytes),
                Err(problem) => {
                    let told = Refused { path: self.group.path(index), line: 0, problem };
                    let first =
                        self.worker.changed.take().map_or(told.clone(), |old| old.min(told));
                    self.worker.changed = Some(first);
                }
            }
            self.see(index);
        }
    }

    /// Files of a directory that cannot be opened.
    fn refuse(&mut self, names: Range<usize>, cause: &std::io::Error) {
        for index in names {
            let problem = Refused::file(self.group.path(index), cause);
            self.unread(index, problem);
        }
    }

    fn unread(&mut self, index: usize, told: Refused) {
        let place = self.place(index);
        self.worker.found.files_refused += 1;
        self.worker.found.told.push(told);
        self.worker.unread.push(place);
        self.see(index);
    }
}

impl Visitor for Counting<'_, '_> {
    fn goes_on(&mut self) -> bool {
        stop::count_piece();
        self.begins()
    }

    fn small(&mut self, index: usize, buffer: &[u8], from: usize) {
        self.see(index);
        let (group, Worker { histogram, found, .. }) = (self.group, &mut *self.worker);
        let told = &mut found.told;
        let mut refusals =
            |refusal: Refusal| told.push(Refused::line(group.path(index), &refusal, 0));
        let mut lines = Lines { histogram, refusals: &mut refusals };
        let tally = grammar::parse_file(buffer, from, &mut lines);
        found.add_lines(tally);
        found.files += 1;
        found.add_bytes(group.source, to_u64(buffer.len() - from));
    }

    fn large(&mut self, index: usize, size: u64) {
        self.see(index);
        let (group, Worker { histogram, found, large, .. }) = (self.group, &mut *self.worker);
        if size > self.reading.split_bytes {
            let (path, source) = (group.path(index), group.source);
            large.push(Large { path, source, size, follow: group.trust == Trust::Given });
            return;
        }
        // One rank reads it alone, in chunks.
        let (told, path) = (&mut found.told, || group.path(index));
        let mut refusals = |refusal: Refusal| told.push(Refused::line(path(), &refusal, 0));
        let mut lines = Lines { histogram, refusals: &mut refusals };
        let name = group.names.get(index);
        match large::whole(self.at, name, group.trust, &mut lines) {
            Ok((bytes, tally)) => {
                found.files += 1;
                found.add_lines(tally);
                found.add_bytes(group.source, bytes);
            }
            Err(Trouble::Unread(cause)) => self.failed(index, Problem::Io(cause)),
            Err(Trouble::Spoilt(cause)) => {
                let spoilt = Refused::file(group.path(index), &cause);
                found.spoilt.get_or_insert(spoilt);
            }
        }
    }

    fn failed(&mut self, index: usize, problem: Problem) {
        let path = self.group.path(index);
        self.unread(
            index,
            match problem {
                Problem::Io(cause) => Refused::file(path, &cause),
                Problem::NotRegular(kind) => Refused::not_regular(path, kind),
            },
        );
    }
}

/// Files for the threads of a rank.
pub struct Work<'a> {
    /// Among others, the files.
    pub batch: &'a Batch,
    /// The places of those that are to be read.
    pub todo: &'a Ranges,
    /// How.
    pub io: Io,
    /// How.
    pub reading: Reading,
    /// What is known of those that an earlier run counted.
    pub past: Option<&'a Past>,
}

/// Reads files with all threads, until a break is wanted; the places of those that are left. `workers` has
/// one for each thread; `between` runs on the main thread first, while the others read, and `look` now and
/// then.
pub fn read_batch(
    threads: &Threads,
    workers: &[Mutex<Worker>],
    work: &Work<'_>,
    between: impl FnOnce(),
    look: &dyn Fn(),
) -> Ranges {
    let Work { batch, todo, .. } = *work;
    let (next, who, total) = (AtomicU64::new(0), AtomicUsize::new(1), todo.count());
    let draw = |worker: &mut Worker, look: &dyn Fn()| {
        let mut reader = Reader::new(work.io, work.reading);
        worker.has_begun = false;
        while !(worker.has_begun && stop::wanted()) {
            let start = next.fetch_add(DRAWN, Ordering::Relaxed);
            if start >= total || worker.histogram.overflow().is_some() {
                break;
            }
            let piece = todo.cut(start..(start + DRAWN).min(total));
            for part in piece.iter().flat_map(|range| batch.cut(range)) {
                worker.read(&mut reader, part, work, look);
            }
        }
    };
    let locked = |index: usize| workers[index].lock().expect("no thread panics with a worker");
    threads.crew(
        || {
            between();
            draw(&mut locked(0), look);
        },
        || draw(&mut locked(who.fetch_add(1, Ordering::Relaxed)), &|| ()),
    );
    let drawn = next.into_inner().min(total);
    let left = (0..workers.len()).flat_map(|index| std::mem::take(&mut locked(index).left));
    let mut left: Ranges = left.map(|place| place..place + 1).collect();
    left.join(&todo.cut(drawn..total));
    left
}
