//! A counting sort that goes on from a checkpoint, and what it saves for the next one.
//!
//! Parts of the checkpoint are dealt to the ranks in turn, whatever their number was; each takes the counters
//! of its parts. Every file that was counted is looked at again, by all ranks, and its bytes must add up.

use std::sync::Mutex;

use super::super::histogram::stored;
use super::super::marks::Marks;
use super::super::past::Past;
use super::super::read::{Found, Worker};
use super::super::refused::Told;
use super::super::saved::{Own, State, decode_runs, encode_runs};
use super::super::together::Pending;
use super::{Gather, Supply};
use crate::comm::{Op, ROOT};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::num::to_usize;
use crate::partition::Ranges;
use crate::store::checkpoint::{self, Saved};

/// What a run begins with.
#[derive(Default)]
pub(super) struct Begin {
    /// On all ranks.
    pub waiting: Vec<Pending>,
    /// On root.
    pub names: Marks,
    /// Counters of parts that this rank takes.
    pub counts: Vec<Vec<u8>>,
    pub past: Option<Past>,
    pub state: Option<State>,
}

impl Begin {
    /// Collective. What a checkpoint tells.
    ///
    /// # Errors
    /// When its parts cannot be read, or are none of a counting sort.
    pub fn from(context: &Context, earlier: &checkpoint::Found, inputs: usize) -> Result<Self> {
        let comm = &context.comm;
        let state: State = earlier.state()?;
        let stranger = || {
            Error::bad_input(
                "--resume: the checkpoint's state is not that of these inputs; start anew with --force",
            )
        };
        if !state.fits(inputs) {
            return Err(stranger());
        }
        let parts = comm.agree(earlier.mine(comm))?;
        let parts = parts.iter().map(|(data, _)| Own::decode(data));
        let parts = parts.collect::<std::result::Result<Vec<Own>, _>>();
        let mut mine = Own::default();
        let mut counts = Vec::new();
        // Root has the part of the root that wrote it, which is the first.
        for (index, part) in (0..).zip(comm.agree(parts.map_err(Error::bad_input))?) {
            mine.done.join(&part.done);
            mine.unread.join(&part.unread);
            if index == 0 && comm.is_root() {
                (mine.names, mine.waiting, mine.runs) = (part.names, part.waiting, part.runs);
            }
            counts.push(part.counts);
        }
        let (done, unread) = (everywhere(context, &mine.done)?, everywhere(context, &mine.unread)?);
        let ours = |pending: &Pending| to_usize(pending.file.source.into()) < inputs;
        let are_ours = mine.waiting.iter().all(ours);
        let waiting = comm.decide(|| if are_ours { Ok(mine.waiting) } else { Err(stranger()) })?;
        let mut bytes = Vec::new();
        encode_runs(&mine.runs, &mut bytes);
        let runs = comm.broadcast_bytes(ROOT, bytes);
        let runs = decode_runs(&mut &runs[..]).ok_or_else(|| Error::internal("earlier runs"))?;
        let runs = runs.into_iter().chain([(state.since, done)]).collect();
        let past = Some(Past { runs, unread });
        Ok(Self { waiting, names: mine.names, counts, past, state: Some(state) })
    }
}

/// Collective. The places of all ranks, on all ranks.
fn everywhere(context: &Context, mine: &Ranges) -> Result<Ranges> {
    let mut bytes = Vec::new();
    mine.encode(&mut bytes);
    let mut all = Ranges::default();
    for part in context.comm.all_gather_bytes(&bytes) {
        let places = Ranges::decode(&mut &part[..]);
        all.join(&places.ok_or_else(|| Error::internal("places of files"))?);
    }
    Ok(all)
}

/// Places that came one by one.
pub(super) fn singles(places: &[u64]) -> Ranges {
    places.iter().map(|&place| place..place + 1).collect()
}

impl Gather<'_> {
    /// Collective. Counts what an earlier run had counted.
    pub(super) fn restore(
        &self,
        counts: &[Vec<u8>],
        (counted, checksum): (u64, u64),
    ) -> Result<()> {
        let mut runs = 0;
        let restored = counts.iter().try_for_each(|counts| {
            stored::decode(counts, |run| {
                // In turn, so that all threads' memory takes what all threads' memory held.
                let worker = &self.workers[runs % self.workers.len()];
                worker.lock().expect("no thread panics with a worker").histogram.take(run);
                runs += 1;
            })
        });
        let comm = &self.context.comm;
        let damaged = || Error::bad_input("the counters of the checkpoint are none");
        comm.agree(restored.ok_or_else(damaged).and_then(|()| self.room()))?;
        let sums = self.sums();
        if sums == (counted, checksum) {
            return Ok(());
        }
        Err(Error::verification(format!(
            "the checkpoint says that {counted} numbers with checksum {checksum:016x} were counted, its \
             counters have {} with checksum {:016x}",
            sums.0, sums.1
        )))
    }

    /// Collective. The files that earlier runs counted have as many bytes as they counted.
    pub(super) fn unchanged(&self) -> Result<()> {
        if self.past.is_none() {
            return Ok(());
        }
        let (comm, inputs) = (&self.context.comm, self.inputs());
        let mut bytes = vec![0; inputs.len()];
        for worker in &self.workers {
            let worker = worker.lock().expect("no thread panics with a worker");
            bytes.iter_mut().zip(&worker.looked_at).for_each(|(sum, more)| *sum += more);
        }
        comm.all_reduce(Op::Sum, &mut bytes);
        comm.decide(|| {
            let then = self.past_bytes.iter().copied().chain(std::iter::repeat(0));
            match inputs.iter().zip(then).zip(bytes).find(|((_, then), now)| then != now) {
                None => Ok(()),
                Some(((input, then), now)) => Err(Error::usage(format!(
                    "--resume: the files of {input} that were counted had {then} bytes, now they have {now}; \
                     go on with the same files, or start anew with --force"
                ))),
            }
        })
    }

    /// Collective. What another run needs to go on; `counts` are the counters once they have left the
    /// threads.
    ///
    /// # Errors
    /// When the state is no JSON, which cannot be.
    pub fn save(&mut self, counts: Option<Vec<u8>>) -> Result<Saved> {
        let comm = &self.context.comm;
        let mut found = self.found.clone();
        let mut unread = self.unread.clone();
        for worker in &self.workers {
            let worker = worker.lock().expect("no thread panics with a worker");
            found.take(worker.found.clone());
            unread.join(&singles(&worker.unread));
        }
        let (counted, checksum) = self.sums();
        let state = State { since: self.since, found: self.reduced(found), counted, checksum };
        let head = serde_json::to_value(state)
            .map_err(|cause| Error::internal(format!("a checkpoint's state: {cause}")))?;
        let store = |worker: &Mutex<Worker>| {
            let mut bytes = Vec::new();
            worker.lock().expect("no thread panics with a worker").histogram.store(&mut bytes);
            bytes
        };
        let counts =
            counts.unwrap_or_else(|| self.context.threads.map(&self.workers, store).concat());
        let (names, waiting) = match (&self.supply, comm.is_root()) {
            (_, false) => (Marks::default(), Vec::new()),
            (Supply::Template(_), true) => {
                (Marks::default(), self.together.waiting().cloned().collect())
            }
            (Supply::List(listing), true) => {
                (listing.names(), self.together.waiting().cloned().collect())
            }
        };
        let runs = self.past.as_ref().filter(|_| comm.is_root()).map(|past| past.runs.clone());
        let (done, runs) = (self.done.clone(), runs.unwrap_or_default());
        let own = Own { done, runs, unread, names, waiting, counts };
        Ok(Saved { head, part: own.encode(), kept: Vec::new() })
    }

    /// Collective. Totals of all ranks.
    fn reduced(&self, mut found: Found) -> Found {
        let comm = &self.context.comm;
        found.bytes.resize(self.inputs().len(), 0);
        let Found { files, files_refused, accepted, refused, blank_lines, .. } = found;
        let mut sums = [files, files_refused, accepted, refused, blank_lines];
        comm.all_reduce(Op::Sum, &mut sums);
        comm.all_reduce(Op::Sum, &mut found.bytes);
        let [files, files_refused, accepted, refused, blank_lines] = sums;
        let told = Told::of(found.told.gathered(comm));
        let bytes = found.bytes;
        Found { files, files_refused, bytes, accepted, refused, blank_lines, told, spoilt: None }
    }
}
