//! From inputs to counts: reads and counts the files, batch by batch, with breaks.
//!
//! Every file has a place in the list of all inputs (`supply`), and what is done is a set of places. A
//! break can come between any two files; threads then begin no more, and what is left of the batch is read
//! by the next call, or by another run with any number of ranks. Files beyond `split_bytes` are read by all
//! ranks together after their batch (`together`). Nothing of a file counts before all of it is read, those
//! apart.

mod resume;

use std::sync::Mutex;
use std::time::Instant;

use super::batch::{Batch, Group};
use super::histogram::{Counts, Histogram, Kind, Limits};
use super::large::PART_MIN;
use super::past::Past;
use super::read::{Found, Reading, Work, Worker, add_bytes, available, read_batch};
use super::refused::Told;
use super::spec::{Counters, Io, Spec};
use super::supply::{Indices, Listing};
use super::together::{Pending, Together};
use crate::comm::Op;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::num::to_u64;
use crate::partition::Ranges;
use crate::stop;
use crate::store::checkpoint::{self, Moment};
use resume::{Begin, singles};

/// What this rank counted, once everything is read.
pub struct Gathered {
    /// Its counts.
    pub counts: Counts,
    /// How many numbers its histogram took.
    pub counted: u64,
    /// Their checksum.
    pub checksum: u64,
}

enum Supply<'a> {
    Template(Indices<'a>),
    List(Box<Listing>),
}

/// The files while they are read.
pub struct Gather<'a> {
    spec: &'a Spec,
    context: &'a Context,
    memory_bytes: u64,
    io: Io,
    reading: Reading,
    workers: Vec<Mutex<Worker>>,
    supply: Supply<'a>,
    /// The files at hand, and the places of those that are not read yet.
    batch: Batch,
    todo: Ranges,
    is_last: bool,
    together: Together,
    /// Totals of this rank; on root with those of earlier runs, without what could not be listed.
    found: Found,
    /// Places of what this rank has done.
    done: Ranges,
    /// Places of what it could not read; on root with those of earlier runs.
    unread: Ranges,
    /// What earlier runs had.
    past: Option<Past>,
    /// Bytes of it, by input, as its files must have them; on root.
    past_bytes: Vec<u64>,
    /// Bytes of all totals that the record knows of, or that earlier runs read.
    metered: u64,
    since: Moment,
    /// What was counted and its checksum, once that is known.
    counted: Option<(u64, u64)>,
    /// Files whose reading was shown.
    shown: u64,
}

impl<'a> Gather<'a> {
    /// Collective. Makes room for the counters, and takes up what an earlier run left.
    ///
    /// # Errors
    /// When the counters do not fit the memory, or the inputs cannot be listed.
    pub fn new(
        spec: &'a Spec,
        context: &'a Context,
        memory_bytes: u64,
        earlier: Option<&checkpoint::Found>,
    ) -> Result<Self> {
        let comm = &context.comm;
        let reading = Reading::new();
        let (io, obstacle) = available(spec.io, reading);
        let workers = comm.agree(workers(spec, context, memory_bytes))?;
        if let Some(problem) = obstacle.filter(|_| comm.is_root()) {
            context.progress.say(&format!("--io uring: {problem}; reading by openat instead"));
        }
        let Begin { waiting, names, counts, past, state } = match earlier {
            Some(earlier) => Begin::from(context, earlier, inputs_of(spec).len())?,
            None => Begin::default(),
        };
        let since = match &context.saves {
            Some(saves) => comm.decide(|| saves.checkpoints.now())?,
            None => Moment::default(),
        };
        let done = past.as_ref().map(Past::places).unwrap_or_default();
        let supply = match &spec.name {
            Some(name) if spec.files_from.is_none() => {
                Supply::Template(Indices::new(spec, context, name, &done))
            }
            _ => Supply::List(Box::new(Listing::new(spec, context, (names, done))?)),
        };
        let restored = state.as_ref().map(|state| (state.counted, state.checksum));
        let found = state.map(|state| state.found).filter(|_| comm.is_root()).unwrap_or_default();
        let (metered, mut past_bytes) = (found.bytes.iter().sum(), found.bytes.clone());
        for Pending { file, at, .. } in &waiting {
            add_bytes(&mut past_bytes, file.source, file.size - at);
        }
        let least = reading.split_bytes.min(PART_MIN);
        let unread = past.as_ref().map(|past| past.unread.clone()).unwrap_or_default();
        let gather = Self {
            spec,
            context,
            memory_bytes,
            io,
            reading,
            workers,
            supply,
            batch: Batch::default(),
            todo: Ranges::default(),
            is_last: false,
            together: Together::new(context, waiting, least),
            found,
            done: Ranges::default(),
            unread: if comm.is_root() { unread } else { Ranges::default() },
            past,
            past_bytes,
            metered,
            since,
            counted: None,
            shown: 0,
        };
        if let Some(restored) = restored {
            gather.restore(&counts, restored)?;
        }
        Ok(gather)
    }

    /// Collective. How many numbers all ranks have counted, and their checksum.
    fn sums(&self) -> (u64, u64) {
        let mine = self.counted.unwrap_or_else(|| {
            self.workers.iter().fold((0, 0), |(count, checksum), worker| {
                let worker = worker.lock().expect("no thread panics with a worker");
                let histogram = &worker.histogram;
                (count + histogram.total(), checksum.wrapping_add(histogram.checksum()))
            })
        });
        let comm = &self.context.comm;
        let mut counted = [mine.0];
        comm.all_reduce(Op::Sum, &mut counted);
        (counted[0], comm.all_gather(mine.1).into_iter().fold(0, u64::wrapping_add))
    }

    /// Collective. Reads and counts, to the end or to a break; whether that was the end.
    ///
    /// # Errors
    /// When a list of names cannot be read, the counters do not fit the memory, a file changes while it is
    /// read, or what an earlier run counted is not what it was.
    pub fn go_on(&mut self) -> Result<bool> {
        let is_end = self.count();
        self.meter();
        is_end
    }

    fn count(&mut self) -> Result<bool> {
        loop {
            match self.supply {
                Supply::Template(_) => self.named(),
                Supply::List(_) => self.listed()?,
            }
            let fine = self.fine();
            self.context.look();
            self.context.comm.agree(fine)?;
            self.together.collect(&self.context.comm, &self.workers);
            if self.pauses(self.is_left()) {
                return Ok(false);
            }
            while !self.together.is_empty() {
                let read = self.together.read(self.context, &self.workers, &mut self.found);
                self.context.look();
                self.context.comm.agree(read.and(self.room()))?;
                if self.pauses(false) {
                    return Ok(false);
                }
            }
            if self.is_last {
                return Ok(true);
            }
        }
    }

    /// Local. Tells the record what was read so far.
    fn meter(&mut self) {
        let mut bytes: u64 = self.found.bytes.iter().sum();
        for worker in &self.workers {
            let mut worker = worker.lock().expect("no thread panics with a worker");
            bytes += worker.found.bytes.iter().sum::<u64>();
            self.context.meter.count_files(std::mem::take(&mut worker.opened));
        }
        self.context.meter.count_read(bytes - self.metered);
        self.metered = bytes;
    }

    /// Local. Whether this rank has more to read of its part.
    fn is_left(&self) -> bool {
        let unnamed = matches!(&self.supply, Supply::Template(indices) if !indices.is_done());
        unnamed || !self.todo.is_empty()
    }

    /// Collective. Whether it comes to a break: when one is wanted on any rank, or work is left there.
    fn pauses(&self, is_left: bool) -> bool {
        if self.context.saves.is_none() {
            return false;
        }
        let mut pauses = [u64::from(is_left || stop::wanted())];
        self.context.comm.all_reduce(Op::Max, &mut pauses);
        pauses[0] > 0
    }

    /// Local. This rank's share of a template, to its end or to a break.
    fn named(&mut self) {
        loop {
            if let (true, Supply::Template(indices)) = (self.todo.is_empty(), &mut self.supply) {
                self.is_last = indices.is_done();
                if self.is_last {
                    return;
                }
                self.batch = indices.next();
                self.todo = self.batch.places();
            }
            let files = self.todo.count() * self.context.comm.size();
            self.read(|_| ());
            self.progress(files);
            if !self.todo.is_empty() || stop::wanted() || self.room().is_err() {
                return; // told by all ranks together
            }
        }
    }

    /// Collective. What is left of this rank's part of a list's batch, or of the next batch.
    fn listed(&mut self) -> Result<()> {
        let context = self.context;
        let (mut left, mut files) = ([self.todo.count()], 0);
        if context.saves.is_some() {
            context.comm.all_reduce(Op::Max, &mut left);
        }
        if let (0, Supply::List(listing)) = (left[0], &mut self.supply) {
            (self.batch, self.is_last, files) = listing.hand_out(context)?;
            self.todo = self.batch.places();
        }
        let (start, mine) = (Instant::now(), self.todo.count());
        self.read(|supply| {
            if let Supply::List(listing) = supply {
                listing.list(&|| {
                    context.look();
                    !stop::wanted()
                });
            }
        });
        if let Supply::List(listing) = &mut self.supply {
            listing.note(start.elapsed(), mine - self.todo.count());
        }
        self.progress(files);
        Ok(())
    }

    /// Local. Reads what is to be read of the files at hand.
    fn read(&mut self, between: impl FnOnce(&mut Supply<'a>)) {
        let Self { context, workers, batch, todo, io, reading, past, supply, .. } = self;
        let work = Work { batch, todo, io: *io, reading: *reading, past: past.as_ref() };
        let threads = &context.threads;
        let left = read_batch(threads, workers, &work, || between(supply), &|| context.look());
        let read = self.todo.minus(&left);
        let groups = self.batch.groups.iter().filter(|group| !group.counted);
        self.done.join(&read.common(&groups.map(Group::places).collect()));
        self.todo = left;
    }

    /// Local. Whether all is well with this rank.
    fn fine(&self) -> Result<()> {
        if let Supply::List(listing) = &self.supply {
            listing.listed()?;
        }
        for worker in &self.workers {
            let worker = worker.lock().expect("no thread panics with a worker");
            if let Some(changed) = &worker.changed {
                return Err(Error::usage(format!(
                    "--resume: {}; go on with the same files, or start anew with --force",
                    changed.text()
                )));
            }
            if let (Some(piece), Some(_)) = (&worker.found.spoilt, &self.context.saves) {
                return Err(Error::bad_input(piece.text())); // no checkpoint may tell of it
            }
        }
        self.room()
    }

    /// Whether the counters of all threads still fit.
    fn room(&self) -> Result<()> {
        self.workers.iter().try_for_each(|worker| {
            let worker = worker.lock().expect("no thread panics with a worker");
            room(&worker.histogram, self.memory_bytes)
        })
    }

    fn progress(&mut self, files: u64) {
        self.shown += files;
        self.context.progress.count(self.shown, "files");
    }

    /// Collective. Adds up the threads, after the last file.
    ///
    /// # Errors
    /// As [`go_on`](Self::go_on).
    pub fn finish(&mut self) -> Result<Gathered> {
        self.unchanged()?;
        let mut whole: Option<Histogram> = None;
        for worker in self.workers.drain(..) {
            let worker = worker.into_inner().expect("no thread panics with a worker");
            self.found.take(worker.found);
            self.unread.join(&singles(&worker.unread));
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
        let histogram = whole.expect("at least one thread");
        let spoilt = self.found.spoilt.take();
        let comm = &self.context.comm;
        comm.agree(spoilt.map_or(Ok(()), |piece| Err(Error::bad_input(piece.text()))))?;
        comm.agree(room(&histogram, self.memory_bytes))?;
        let (counted, checksum) = (histogram.total(), histogram.checksum());
        self.counted = Some((counted, checksum));
        Ok(Gathered { counts: histogram.into_counts(), counted, checksum })
    }

    /// The inputs, in the order of the bytes by input.
    pub fn inputs(&self) -> Vec<String> {
        inputs_of(self.spec)
    }

    /// Totals of this rank, after [`finish`](Self::finish).
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// What root could not list: how many, and the links that it did not follow.
    pub fn unlisted(&self) -> (u64, u64) {
        match &self.supply {
            Supply::Template(_) => (0, 0),
            Supply::List(listing) => (listing.unread().count, listing.links()),
        }
    }

    /// All that was refused on this rank, what could not be listed included.
    pub fn told(&self) -> Told {
        let mut told = self.found.told.clone();
        if let Supply::List(listing) = &self.supply {
            told.extend(listing.unread().told);
        }
        told
    }
}

fn inputs_of(spec: &Spec) -> Vec<String> {
    let mut inputs = spec.input.clone();
    if let (Some((template, ..)), true) = (&spec.name, inputs.is_empty()) {
        inputs.push(template.to_string());
    }
    inputs.extend(spec.files_from.clone());
    inputs
}

/// A counter for each thread.
fn workers(spec: &Spec, context: &Context, memory_bytes: u64) -> Result<Vec<Mutex<Worker>>> {
    let threads = context.threads.count();
    let kind = match spec.histogram {
        Counters::Auto => Kind::Auto,
        Counters::Dense => Kind::Dense,
        Counters::Sparse => Kind::Sparse,
    };
    let limits = Limits { min: spec.min_int, max: spec.max_int };
    // Half for what combining the ranks' counts needs.
    let each = memory_bytes / 2 / to_u64(threads);
    let made = (0..threads).map(|_| {
        let histogram = Histogram::new(kind, limits, each).map_err(|too_big| {
            Error::usage(format!(
                "--histogram dense: a table from {} to {} needs {} MiB a thread, --memory allows {}; give \
                 --min-int and --max-int, more memory, or --histogram auto",
                spec.min_int,
                spec.max_int,
                too_big.needed_bytes >> 20,
                each >> 20
            ))
        })?;
        Ok(Mutex::new(Worker::new(histogram)))
    });
    made.collect()
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
