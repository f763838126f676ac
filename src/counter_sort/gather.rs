//! From inputs to counts: lists, hands out and reads the files, in rounds of bounded memory.
//!
//! A template is cut into blocks of indices and needs no message. Otherwise root lists a batch, every
//! rank gets its part as bytes, and while all read it, root lists the next one. Batches begin small, so
//! that nobody waits long for the first, and double. Files beyond `split_bytes` are read by all ranks
//! together after their batch, by byte ranges.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::batch::{Batch, Group, parts};
use super::grammar::Tally;
use super::histogram::{Counts, Histogram, Kind, Limits};
use super::large::{self, Large, Part};
use super::list::Lister;
use super::read::{Found, Lines, Reading, Worker, available, read_batch};
use super::refused::Refused;
use super::spec::{Counters, Io, Spec};
use crate::comm::Op;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::num::{len_f64, to_u64, to_usize};
use crate::partition::block;
use crate::store::files::{Names, Trust};

/// Files per rank of the first batch, and the most of any.
const FIRST: usize = 2048;
const PER_RANK: usize = 1 << 16;

/// Files of a batch altogether: some 20 MB of names on root, twice.
const BATCH_MAX: usize = 1 << 20;

/// What this rank knows once everything is read.
pub struct Gathered {
    /// Totals of this rank.
    pub found: Found,
    /// Its counts.
    pub counts: Counts,
    /// How many numbers its histogram took.
    pub counted: u64,
    /// Their checksum.
    pub checksum: u64,
    /// Links that were not followed; root's.
    pub links: u64,
    /// The inputs, in the order of `found.bytes`.
    pub inputs: Vec<String>,
}

/// Collective. Reads and counts everything.
///
/// # Errors
/// When a list of names cannot be read, the counters do not fit the memory, or a file changes while it
/// is read.
pub fn gather(spec: &Spec, context: &Context, memory_bytes: u64) -> Result<Gathered> {
    let mut reader = Gather::new(spec, context, memory_bytes)?;
    let mut links = 0;
    if let Some((template, first, count)) = &spec.name {
        reader.template(spec, template, *first, *count)?;
    }
    if spec.files_from.is_some() || spec.name.is_none() {
        links = reader.listed(spec)?;
    }
    reader.finish(spec, links)
}

/// What root's two kinds of work take, as measured on this disk.
#[derive(Clone, Copy, Debug)]
struct Pace {
    listing_s: f64,
    reading_s: f64,
}

impl Pace {
    /// Before the first file is read: five times the listing of its name, as on a warm disk.
    fn new(listed: Duration, files: usize) -> Self {
        let listing_s = listed.as_secs_f64() / len_f64(files.max(1));
        Self { listing_s, reading_s: 5.0 * listing_s }
    }

    fn note(&mut self, read: Duration, files: usize) {
        if files > 0 {
            self.reading_s = read.as_secs_f64() / len_f64(files);
        }
    }

    /// Listing so many names, in files read.
    fn in_files(&self, names: usize) -> f64 {
        len_f64(names) * self.listing_s / self.reading_s.max(1e-9)
    }
}

/// Whether the counters fit.
fn room(histogram: &Histogram, memory_bytes: u64) -> Result<()> {
    match histogram.overflow() {
        None => Ok(()),
        Some(too_big) => Err(Error::bad_input(format!(
            "the input has more distinct values than --memory allows: of {} MiB a rank, half for \
             counting and shared by the threads, at least {} MiB more are needed; give more memory or more \
             ranks",
            memory_bytes >> 20,
            too_big.needed_bytes.div_ceil(1 << 20)
        ))),
    }
}

struct Gather<'a> {
    context: &'a Context,
    memory_bytes: u64,
    io: Io,
    reading: Reading,
    workers: Vec<Mutex<Worker>>,
    found: Found,
    done: u64,
}

impl<'a> Gather<'a> {
    fn new(spec: &Spec, context: &'a Context, memory_bytes: u64) -> Result<Self> {
        let threads = context.threads.count();
        let kind = match spec.histogram {
            Counters::Auto => Kind::Auto,
            Counters::Dense => Kind::Dense,
            Counters::Sparse => Kind::Sparse,
        };
        let limits = Limits { min: spec.min_int, max: spec.max_int };
        let reading = Reading::new();
        // Half for what combining the ranks' counts needs.
        let each = memory_bytes / 2 / to_u64(threads);
        let (io, obstacle) = available(spec.io, reading);
        let made: Result<Vec<Mutex<Worker>>> = (0..threads)
            .map(|_| {
                let histogram = Histogram::new(kind, limits, each).map_err(|too_big| {
                    Error::usage(format!(
                        "--histogram dense: a table from {} to {} needs {} MiB a thread, --memory allows \
                         {}; give --min-int and --max-int, more memory, or --histogram auto",
                        spec.min_int,
                        spec.max_int,
                        too_big.needed_bytes >> 20,
                        each >> 20
                    ))
                })?;
                Ok(Mutex::new(Worker::new(histogram)))
            })
            .collect();
        let workers = context.comm.agree(made)?;
        if let Some(problem) = obstacle.filter(|_| context.comm.is_root()) {
            context.progress.say(&format!("--io uring: {problem}; reading by openat instead"));
        }
        Ok(Self { context, memory_bytes, io, reading, workers, found: Found::default(), done: 0 })
    }

    fn template(
        &mut self,
        spec: &Spec,
        template: &super::template::Template,
        first: u64,
        count: u64,
    ) -> Result<()> {
        let comm = &self.context.comm;
        let directory = spec.input.first().map_or("", String::as_str).as_bytes().to_vec();
        let mine = block(count, comm.size(), comm.rank());
        let mut name = Vec::new();
        for start in mine.clone().step_by(PER_RANK) {
            let mut names = Names::new();
            for index in start..(start + to_u64(PER_RANK)).min(mine.end) {
                template.write(first + index, &mut name);
                names.push(&name).expect("a template has no NUL");
            }
            let trust = Trust::Given;
            let groups = vec![Group { directory: directory.clone(), trust, source: 0, names }];
            let batch = Batch { groups };
            read_batch(
                &self.context.threads,
                &self.workers,
                &batch,
                (self.io, self.reading),
                || (),
            );
            self.progress(to_u64(batch.len()) * comm.size());
            if self.room().is_err() {
                break; // told by all ranks together, below
            }
        }
        comm.agree(self.room())?;
        self.large()
    }

    /// Whether the counters of all threads still fit.
    fn room(&self) -> Result<()> {
        let fits = |worker: &Mutex<Worker>| {
            room(
                &worker.lock().expect("no thread panics with a worker").histogram,
                self.memory_bytes,
            )
        };
        self.workers.iter().try_for_each(fits)
    }

    fn listed(&mut self, spec: &Spec) -> Result<u64> {
        let comm = &self.context.comm;
        let mut lister = comm.is_root().then(|| Lister::new(spec)).transpose();
        comm.agree(lister.as_ref().map(|_| ()).map_err(Clone::clone))?;
        let mut lister = lister.as_mut().ok().and_then(Option::as_mut);
        let next_batch = |lister: &mut Option<&mut Lister>, most| match lister {
            Some(lister) => lister.next(most),
            None => Ok(Batch::default()),
        };
        let ranks = to_usize(comm.size());
        let mut most = (FIRST * ranks).min(BATCH_MAX);
        let start = Instant::now();
        let mut batch = comm.agree(next_batch(&mut lister, most))?;
        let mut pace = Pace::new(start.elapsed(), batch.len());
        loop {
            most = (2 * most).min(PER_RANK * ranks).min(BATCH_MAX);
            let more = lister.as_ref().is_some_and(|lister| !lister.is_done());
            let listing = if more { pace.in_files(most) } else { 0.0 };
            let (mine, is_last, total) = self.scatter(&batch, more, listing)?;
            let (mut next, mut spent) = (Ok(Batch::default()), Duration::ZERO);
            let start = Instant::now();
            let way = (self.io, self.reading);
            read_batch(&self.context.threads, &self.workers, &mine, way, || {
                if more {
                    next = next_batch(&mut lister, most);
                    spent = start.elapsed();
                }
            });
            pace.note(start.elapsed().saturating_sub(spent), mine.len());
            self.progress(total);
            batch = comm.agree(next.and_then(|batch| self.room().map(|()| batch)))?;
            if more {
                pace =
                    Pace { listing_s: spent.as_secs_f64() / len_f64(batch.len().max(1)), ..pace };
            }
            self.large()?;
            if is_last {
                break;
            }
        }
        let Some(lister) = lister else { return Ok(0) };
        self.found.files_refused += lister.unread.count;
        self.found.told.extend(std::mem::take(&mut lister.unread.told));
        Ok(lister.links)
    }

    /// Collective. This rank's part of root's batch, whether it is the last one, and its length.
    fn scatter(&self, batch: &Batch, more: bool, listing: f64) -> Result<(Batch, bool, u64)> {
        let comm = &self.context.comm;
        let (count, is_last) = comm.decide(|| Ok((batch.len(), !more)))?;
        let mut bytes = Vec::new();
        let mut send_counts = vec![0; to_usize(comm.size())];
        if comm.is_root() {
            for (range, sent) in
                parts(count, comm.size(), listing).into_iter().zip(&mut send_counts)
            {
                let before = bytes.len();
                batch.encode(range, &mut bytes);
                *sent = to_u64(bytes.len() - before);
            }
        }
        let received = comm.exchange(&bytes, &send_counts);
        let mine = Batch::decode(&received.bytes).map_err(Error::internal);
        Ok((comm.agree(mine)?, is_last, to_u64(count)))
    }

    fn progress(&mut self, files: u64) {
        self.done += files;
        self.context.progress.count(self.done, "files");
    }

    /// Collective. Reads what was too large for one rank.
    fn large(&mut self) -> Result<()> {
        let comm = &self.context.comm;
        let mut mine: Vec<Large> = Vec::new();
        for worker in &self.workers {
            mine.append(&mut worker.lock().expect("no thread panics").large);
        }
        let words = serde_json::to_vec(&mine).expect("plain data");
        let mut files: Vec<Large> = Vec::new();
        for part in comm.all_gather_bytes(&words) {
            files.extend(serde_json::from_slice::<Vec<Large>>(&part).expect("as it was sent"));
        }
        if files.is_empty() {
            return Ok(());
        }
        files.sort_unstable();
        let (workers, _) = self.context.workers();
        let all = large::parts(&files, workers, Some(self.reading.split_bytes.min(4 << 20)));
        let range = block(to_u64(all.len()), comm.size(), comm.rank());
        let range = to_usize(range.start)..to_usize(range.end);
        let read = self.read_parts(&files, &all, range.clone());
        // A line's number is known once all parts before it are counted.
        let mut lines = vec![0; all.len()];
        for (at, part) in range.clone().zip(&read) {
            lines[at] = part.as_ref().map_or(0, |(tally, _)| tally.lines());
        }
        comm.all_reduce(Op::Sum, &mut lines);
        let mut spoilt = Ok(());
        for (at, part) in range.zip(read) {
            let Part { file, bytes } = &all[at];
            let large = &files[*file];
            let first = all.partition_point(|part| part.file < *file);
            match part {
                Ok((tally, refusals)) => {
                    self.found.files += u64::from(bytes.start == 0);
                    self.found.add_bytes(large.source, bytes.end - bytes.start);
                    self.found.add_lines(tally);
                    let before = lines[first..at].iter().sum();
                    for refusal in refusals {
                        let path = large.path.clone();
                        self.found.told.push(Refused::line(path, &refusal, before));
                    }
                }
                Err(cause) => {
                    let text = Refused::file(large.path.clone(), &cause).text();
                    spoilt = spoilt.and(Err(Error::bad_input(text)));
                }
            }
        }
        comm.agree(spoilt.and(self.room()))
    }

    fn read_parts(
        &self,
        files: &[Large],
        all: &[Part],
        range: std::ops::Range<usize>,
    ) -> Vec<std::io::Result<(Tally, Vec<super::grammar::Refusal>)>> {
        let (next, who) = (AtomicUsize::new(range.start), AtomicUsize::new(1));
        let workers = &self.workers;
        let draw = |index: usize| {
            let mut worker = workers[index].lock().expect("no thread panics with a worker");
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                if at >= range.end {
                    break done;
                }
                if worker.histogram.overflow().is_some() {
                    done.push((at, Ok((Tally::default(), Vec::new()))));
                    continue; // the run ends with that
                }
                let mut refusals = Vec::new();
                // The first ones of a part are all that can be told.
                let mut keep = |refusal| {
                    if refusals.len() < super::refused::TOLD {
                        refusals.push(refusal);
                    }
                };
                let histogram = &mut worker.histogram;
                let mut lines = Lines { histogram, refusals: &mut keep };
                let tally = large::part(&files[all[at].file], &all[at].bytes, &mut lines);
                worker.opened += 1;
                done.push((at, tally.map(|tally| (tally, refusals))));
            }
        };
        let main = || draw(0);
        let worker = || draw(who.fetch_add(1, Ordering::Relaxed));
        let mut parts: Vec<_> =
            self.context.threads.crew(main, worker).into_iter().flatten().collect();
        parts.sort_by_key(|(at, _)| *at);
        parts.into_iter().map(|(_, part)| part).collect()
    }

    /// Collective. Adds up the threads.
    fn finish(mut self, spec: &Spec, links: u64) -> Result<Gathered> {
        let mut whole: Option<Histogram> = None;
        for worker in self.workers {
            let worker = worker.into_inner().expect("no thread panics with a worker");
            self.found.take(worker.found);
            self.context.meter.count_files(worker.opened);
            match &mut whole {
                None => {
                    // One histogram may take what those of all threads may.
                    let mut histogram = worker.histogram;
                    histogram.allow(self.memory_bytes / 2);
                    whole = Some(histogram);
                }
                Some(whole) => whole.merge(worker.histogram),
            }
        }
        self.context.meter.count_read(self.found.bytes.iter().sum());
        let histogram = whole.expect("at least one thread");
        let spoilt = self.found.spoilt.take();
        let comm = &self.context.comm;
        comm.agree(spoilt.map_or(Ok(()), |piece| Err(Error::bad_input(piece.text()))))?;
        comm.agree(room(&histogram, self.memory_bytes))?;
        let (counted, checksum) = (histogram.total(), histogram.checksum());
        let mut inputs = spec.input.clone();
        if let (Some((template, ..)), true) = (&spec.name, inputs.is_empty()) {
            inputs.push(template.to_string());
        }
        inputs.extend(spec.files_from.clone());
        let (found, counts) = (self.found, histogram.into_counts());
        Ok(Gathered { found, counts, counted, checksum, links, inputs })
    }
}
