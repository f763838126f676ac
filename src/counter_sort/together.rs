//! Large files, which all ranks read together, by parts of equal bytes.
//!
//! Without checkpoints all that wait are cut into parts at once. With them they are read slice by slice, so
//! that a break can come between two: of each file it is known up to which byte it is read, and how many
//! lines that is, so that refusals name the right ones. A slice takes about half a second, by the time that
//! the one before took; what it costs is that all ranks wait for each other at its end.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::grammar::{Refusal, Tally};
use super::large::{self, Large, Part};
use super::read::{Found, Lines, Worker};
use super::refused::{Refused, TOLD};
use crate::comm::{Comm, Op};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::num::{to_u64, to_usize};
use crate::partition::block;
use crate::stop;

/// A file, and how far it is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The file.
    pub file: Large,
    /// The first byte that is not yet read as part of a slice.
    pub at: u64,
    /// Lines that begin before it.
    pub lines: u64,
}

/// The files that wait; the same on all ranks.
pub struct Together {
    waiting: VecDeque<Pending>,
    /// Least bytes of a part.
    least: u64,
    /// Bytes of the next slice, and the least of any.
    slice_bytes: u64,
    slice_min: u64,
}

/// A slice that takes less is followed by a larger one, one that takes more by a smaller one.
const SHORT: Duration = Duration::from_millis(250);
const LONG: Duration = Duration::from_secs(1);

impl Together {
    /// Collective in that all ranks make one alike. Parts have at least `least` bytes.
    pub fn new(context: &Context, waiting: Vec<Pending>, least: u64) -> Self {
        let (workers, _) = context.workers();
        let slice_min = least.max(1).saturating_mul(workers);
        let slice_bytes = match context.saves {
            None => u64::MAX,
            Some(_) => slice_min.saturating_mul(4),
        };
        Self { waiting: waiting.into(), least, slice_bytes, slice_min }
    }

    /// The files.
    pub fn waiting(&self) -> impl Iterator<Item = &Pending> {
        self.waiting.iter()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Collective. Takes the large files that this rank's threads have met.
    pub fn collect(&mut self, comm: &Comm, workers: &[Mutex<Worker>]) {
        let mut mine: Vec<Large> = Vec::new();
        for worker in workers {
            mine.append(&mut worker.lock().expect("no thread panics").large);
        }
        let words = serde_json::to_vec(&mine).expect("plain data");
        let mut files: Vec<Large> = Vec::new();
        for part in comm.all_gather_bytes(&words) {
            files.extend(serde_json::from_slice::<Vec<Large>>(&part).expect("as it was sent"));
        }
        files.sort_unstable();
        self.waiting.extend(files.into_iter().map(|file| Pending { file, at: 0, lines: 0 }));
    }

    /// Collective. Reads a slice of what waits.
    ///
    /// # Errors
    /// When a file cannot be read any more, on this rank.
    pub fn read(
        &mut self,
        context: &Context,
        workers: &[Mutex<Worker>],
        found: &mut Found,
    ) -> Result<()> {
        let (start, comm) = (Instant::now(), &context.comm);
        let slice = self.slice();
        let all = large::parts(&slice, context.workers().0, self.least);
        let range = block(to_u64(all.len()), comm.size(), comm.rank());
        let range = to_usize(range.start)..to_usize(range.end);
        let read = self.parts(context, workers, &all, range.clone());
        // A line's number is known once all parts before it are counted.
        let mut lines = vec![0; all.len()];
        for (at, part) in range.clone().zip(&read) {
            lines[at] = part.as_ref().map_or(0, |(tally, _)| tally.lines());
        }
        comm.all_reduce(Op::Sum, &mut lines);
        let noted = self.note(&all, range.zip(read), &lines, found);
        self.advance(&slice, &all, &lines);
        self.pace(comm, start);
        noted
    }

    /// What the next slice reads.
    fn slice(&self) -> Vec<Part> {
        let mut left = self.slice_bytes;
        let mut slice = Vec::new();
        for (index, pending) in self.waiting.iter().enumerate() {
            let bytes = left.min(pending.file.size - pending.at);
            slice.push(Part { file: index, bytes: pending.at..pending.at + bytes });
            left -= bytes;
            if left == 0 {
                break;
            }
        }
        slice
    }

    fn note(
        &self,
        all: &[Part],
        read: impl Iterator<Item = (usize, PartRead)>,
        lines: &[u64],
        found: &mut Found,
    ) -> Result<()> {
        let mut spoilt = Ok(());
        for (at, part) in read {
            let Part { file, bytes } = &all[at];
            let Pending { file: large, lines: earlier, .. } = &self.waiting[*file];
            let first = all.partition_point(|part| part.file < *file);
            match part {
                Ok((tally, refusals)) => {
                    found.files += u64::from(bytes.start == 0);
                    found.add_bytes(large.source, bytes.end - bytes.start);
                    found.add_lines(tally);
                    let before = earlier + lines[first..at].iter().sum::<u64>();
                    for refusal in refusals {
                        let path = large.path.clone();
                        found.told.push(Refused::line(path, &refusal, before));
                    }
                }
                Err(cause) => {
                    let text = Refused::file(large.path.clone(), &cause).text();
                    spoilt = spoilt.and(Err(Error::bad_input(text)));
                }
            }
        }
        spoilt
    }

    fn advance(&mut self, slice: &[Part], all: &[Part], lines: &[u64]) {
        for Part { file, bytes } in slice {
            self.waiting[*file].at = bytes.end;
        }
        for (Part { file, .. }, lines) in all.iter().zip(lines) {
            self.waiting[*file].lines += lines;
        }
        while self.waiting.front().is_some_and(|first| first.at == first.file.size) {
            self.waiting.pop_front();
        }
    }

    /// Collective. How much the next slice reads.
    fn pace(&mut self, comm: &Comm, start: Instant) {
        if self.slice_bytes == u64::MAX {
            return;
        }
        let took = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let mut slowest = [took];
        comm.all_reduce(Op::Max, &mut slowest);
        let took = Duration::from_micros(slowest[0]);
        if took < SHORT {
            self.slice_bytes = self.slice_bytes.saturating_mul(2).min(u64::MAX / 2);
        } else if took > LONG {
            self.slice_bytes = (self.slice_bytes / 2).max(self.slice_min);
        }
    }

    fn parts(
        &self,
        context: &Context,
        workers: &[Mutex<Worker>],
        all: &[Part],
        range: Range<usize>,
    ) -> Vec<PartRead> {
        let (next, who) = (AtomicUsize::new(range.start), AtomicUsize::new(1));
        let draw = |index: usize, look: &dyn Fn()| {
            let mut worker = workers[index].lock().expect("no thread panics with a worker");
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= range.end {
                    break done;
                }
                stop::count_piece();
                let Part { file, bytes } = &all[at];
                done.push((at, read_part(&mut worker, &self.waiting[*file].file, bytes)));
                look();
            }
        };
        let main = || draw(0, &|| context.look());
        let worker = || draw(who.fetch_add(1, Ordering::Relaxed), &|| ());
        let mut parts: Vec<_> = context.threads.crew(main, worker).into_iter().flatten().collect();
        parts.sort_by_key(|(at, _)| *at);
        parts.into_iter().map(|(_, part)| part).collect()
    }
}

/// The lines of a part and the first refusals, or why it cannot be read.
type PartRead = std::io::Result<(Tally, Vec<Refusal>)>;

fn read_part(worker: &mut Worker, file: &Large, bytes: &Range<u64>) -> PartRead {
    if worker.histogram.overflow().is_some() {
        return Ok((Tally::default(), Vec::new())); // the run ends with that
    }
    let mut refusals = Vec::new();
    // The first ones of a part are all that can be told.
    let mut keep = |refusal| {
        if refusals.len() < TOLD {
            refusals.push(refusal);
        }
    };
    let mut lines = Lines { histogram: &mut worker.histogram, refusals: &mut keep };
    let tally = large::part(file, bytes, &mut lines);
    worker.opened += 1;
    tally.map(|tally| (tally, refusals))
}
