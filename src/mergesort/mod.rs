//! The job `mergesort`: sort(1) for a cluster.
//!
//! Every rank reads and sorts its part, exact cuts through all sorted parts are searched, what lies
//! between two of them moves to its rank, and each rank merges what it has into one range of the output.
//! All ranks end with as many items, within one; the sort is stable; so the bytes are the same for every
//! number of ranks and threads. Every run checks order, number and a checksum that does not depend on the
//! order, in the passes that are made anyway.

mod audit;
pub mod buffer;
mod by_runs;
mod calibrate;
mod central;
pub mod dataset;
mod destination;
mod details;
pub mod digest;
mod direct;
pub mod disk_run;
mod external;
pub mod form;
mod gather;
pub mod input;
mod known;
pub mod lines;
mod local;
pub mod memory;
pub mod merge;
mod output;
pub mod packed;
mod pour;
pub mod records;
pub mod resume;
mod scratch;
pub mod select;
mod shares;
mod slices;
mod sorted_run;
mod spans;
pub mod spec;
mod splitters;
mod totals;
pub mod vector;
pub mod verify;
mod wire;

use serde_json::json;

use self::by_runs::ByRuns;
use self::destination::Destination;
use self::details::{Costs, Merged, Moved, Plan, Told};
use self::external::{External, Place};
use self::form::Form;
use self::gather::Gathered;
use self::input::{Files, Seen};
use self::local::{Made, Sorted, Source};
use self::memory::{Appetite, Budget};
use self::output::Piece;
use self::pour::Pour;
use self::resume::{Own, Packed, State};
use self::spec::Spec;
use self::totals::Totals;
use crate::comm::{Comm, Neighbours, Op};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::job::{Job, Request, Step};
use crate::measure::Phase;
use crate::measure::record::Findings;
use crate::num::{to_u64, to_usize};
use crate::stop;
use crate::store::checkpoint::{Found, Kept, Saved};
use crate::store::target;

/// The least `--memory`: below, buffers alone would exceed it.
pub const MEMORY_MIN: u64 = 1 << 20;

/// A sort on its way.
pub struct Mergesort<'a> {
    context: &'a Context,
    form: Box<dyn Form>,
    inputs: Vec<Seen>,
    source: Source,
    output: Destination<'a>,
    budget: Budget,
    /// The other ranks' memory, where it can be read and is.
    neighbours: Option<Neighbours<'a>>,
    way: Way<'a>,
}

/// How it is done.
enum Way<'a> {
    /// All in memory.
    Memory(Box<InMemory>),
    /// By runs on the disk.
    Disk(Box<ByRuns<'a>>),
    /// It was done by an earlier program.
    Done(Box<Done>),
}

/// What an earlier program did.
struct Done {
    /// What was read.
    made: Vec<Made>,
    /// What was written.
    pieces: Vec<Piece>,
    /// Bytes of the output.
    bytes: u64,
    /// Bytes of all runs on a disk.
    run_bytes: u64,
}

/// The state of a sort in memory.
#[derive(Default)]
struct InMemory {
    sorted: Sorted,
    gathered: Gathered,
    costs: gather::Costs,
    merge_s: f64,
    /// How its chunks were merged.
    merged: Merged,
    /// What was read, and what was written of the output of so many bytes, at the end.
    done: Option<(Made, Piece, u64)>,
}

impl<'a> Job<'a> for Mergesort<'a> {
    const NAME: &'static str = "mergesort";
    type Spec = Spec;

    fn plan(
        request: &'a Request<Spec>,
        context: &'a Context,
        found: Option<&Found>,
    ) -> Result<Self> {
        let Request { spec, force } = request;
        let (comm, meter) = (&context.comm, &context.meter);
        let (inputs, line_bytes) =
            comm.decide(|| Ok((input::look(spec)?, input::line_bytes(spec))))?;
        let form = spec.form();
        let source = if let Some(keys) = spec.made() {
            Source::Made(keys?)
        } else {
            meter.count_files(to_u64(inputs.len()));
            Source::Files(comm.agree(Files::open(inputs.clone()))?)
        };
        let (state, own, kept) = found_of(comm, found)?;
        if state.as_ref().is_some_and(|state| state.inputs != inputs) {
            return Err(Error::bad_input(
                "an input was changed while the checkpoint was read; try again",
            ));
        }
        let is_ours = state.as_ref().is_none_or(|state| state.fits(spec, source.bytes()));
        comm.agree(if is_ours && own.suits(&*form) {
            Ok(())
        } else {
            Err(Error::bad_input(
                "--resume: the checkpoint's state is not that of this sort; start anew with --force",
            ))
        })?;
        let written = state.as_ref().and_then(|state| state.output);
        let output = match written {
            Some(state) => {
                let extents = Kept::pieces(comm, &spec.output, kept.iter())?;
                Destination::resume(context, spec, *force, (state, extents))?
            }
            None => Destination::create(context, spec, *force)?,
        };
        if written.is_none() && !form.is_unique() {
            output.reserve(source.bytes())?;
        }
        let appetite = Appetite::of(&*form, line_bytes);
        let mut budget = Budget::new(comm, appetite, spec.memory, to_u64(context.threads.count()));
        if let Some(saves) = &context.saves {
            let held = memory::held_bytes_max(saves.breaks.every(), found.is_some());
            budget = budget.with_breaks(&*form, held);
        }
        let mut runs = [to_u64(own.runs.len())];
        comm.all_reduce(Op::Sum, &mut runs);
        let needed = appetite.needed(source.bytes().div_ceil(comm.size()));
        let mut neighbours = None;
        let way = if let Some(state) = state.filter(|state| state.is_complete) {
            let made = own.runs.into_iter().map(|run| run.made).collect();
            let bytes = written.map_or(0, |output| output.bytes);
            let (pieces, run_bytes) = (own.pieces, state.run_bytes);
            Way::Done(Box::new(Done { made, pieces, bytes, run_bytes }))
        } else if needed <= budget.bytes && runs[0] == 0 && written.is_none() {
            neighbours = direct::neighbours(comm, &*form);
            Way::Memory(Box::default())
        } else {
            let scratch = spec.scratch.clone().unwrap_or_else(|| target::directory(&spec.output));
            let place = Place { directory: &scratch, compress: spec.compress_temp };
            let external = External::plan(context, &*form, &source, budget, place, &own.runs)?;
            let bytes = written.map(|state| state.bytes);
            Way::Disk(Box::new(ByRuns::new(context, external, own.pieces, bytes)))
        };
        Ok(Self { context, form, inputs, source, output, budget, neighbours, way })
    }

    fn rounds(&self) -> u64 {
        match &self.way {
            Way::Memory(_) => 1,
            Way::Disk(disk) if !disk.is_done() => u64::MAX,
            Way::Disk(_) | Way::Done(..) => 0,
        }
    }

    fn compute(&mut self, round: u64) -> Result<Step> {
        let Context { comm, threads, .. } = self.context;
        let form = &*self.form;
        match &mut self.way {
            Way::Memory(memory) => {
                let bytes = self.source.bytes().div_ceil(comm.size());
                let count = self.budget.pieces(bytes, to_u64(threads.count()));
                let parts = self.source.parts(form, (comm.size(), comm.rank()), count);
                let longest = self.budget.bytes;
                let sorted = local::sort(self.context, form, &self.source, &parts, longest);
                memory.sorted = comm.agree(sorted)?;
            }
            Way::Disk(disk) => disk.compute(form, &self.source, round)?,
            Way::Done(..) => {}
        }
        Ok(Step::Done)
    }

    fn exchange(&mut self, _round: u64) -> Result<()> {
        let (comm, form) = (&self.context.comm, &*self.form);
        match &mut self.way {
            Way::Memory(memory) => {
                let mut sequences = std::mem::take(&mut memory.sorted.sequences);
                if self.context.fault.flips(Phase::Exchange) {
                    local::spoil(&mut sequences);
                }
                // The exchange itself is not interrupted.
                self.context.look();
                comm.agree(stop::heed("records were about to change ranks"))?;
                (memory.gathered, memory.costs) =
                    gather::gather(comm, self.neighbours.as_ref(), form, sequences)?;
            }
            Way::Disk(disk) => disk.exchange(form, &self.output)?,
            Way::Done(..) => {}
        }
        Ok(())
    }

    fn write(&mut self, round: u64) -> Result<()> {
        let form = &*self.form;
        match &mut self.way {
            Way::Memory(memory) => memory.write(self.context, form, &self.output),
            Way::Disk(disk) => disk.write(form, &self.output, round),
            Way::Done(..) => Ok(()),
        }
    }

    fn save(&mut self) -> Result<Saved> {
        let (made, pieces) = (self.made(), self.pieces());
        let (bytes, is_complete) = match &self.way {
            Way::Memory(memory) => {
                let bytes = memory.done.as_ref().map(|(_, _, bytes)| *bytes);
                (bytes, bytes.is_some())
            }
            Way::Disk(disk) => (disk.bytes, disk.is_done()),
            Way::Done(done) => (Some(done.bytes), true),
        };
        let kept = bytes.map_or(Ok(None), |bytes| self.output.keep(bytes))?;
        // What cannot be gone on with is not told: then all is merged again.
        let is_complete = is_complete && kept.is_some();
        let (output, mut files) = match kept {
            Some((state, file)) => (Some(state), vec![file]),
            None => (None, Vec::new()),
        };
        let mut runs: Vec<Packed> = Vec::new();
        if is_complete {
            runs.extend(made.into_iter().map(|made| Packed::of(made, None)));
        } else if let Way::Disk(disk) = &self.way {
            let (packed, more) = disk.external.save()?;
            runs = packed;
            files.extend(more);
        }
        let pieces = pieces.into_iter().filter(|_| output.is_some()).cloned().collect();
        let part = Own { runs, pieces }.encode();
        let run_bytes = self.run_bytes();
        let inputs = self.inputs.clone();
        let head = serde_json::to_value(State { inputs, output, is_complete, run_bytes });
        let head =
            head.map_err(|cause| Error::internal(format!("a checkpoint's state: {cause}")))?;
        Ok(Saved { head, part, kept: files })
    }

    fn conclude(&mut self) -> Result<Findings> {
        let (comm, form) = (&self.context.comm, &*self.form);
        let (made, pieces) = (self.made(), self.pieces());
        let totals = Totals::of_all(comm, form, &made, &pieces)?;
        let verdict = totals.verify(form);
        if let (Err(_), Way::Disk(disk)) = (&verdict, &self.way) {
            comm.agree(disk.external.verify())?;
        }
        verdict?;
        let outputs = self.output.verify()?;
        let sums: Vec<_> = made.iter().flat_map(|made| made.sums.iter().copied()).collect();
        let input = self.source.sums(comm, &sums)?;
        let Told { wire_bytes, run_bytes, details } = self.details(&totals);
        Ok(Findings {
            input,
            result: json!({
                "records": totals.written.items,
                "bytes": totals.bytes,
                "checksum": form.checksum(totals.written),
                "duplicates": totals.checked.duplicates,
                "unordered": totals.checked.unordered,
                "records_in": totals.read.items,
            }),
            io_bytes_needed: self.source.bytes_on_disk() + 2 * outputs[0].bytes + run_bytes,
            outputs,
            comm_bytes_needed: wire_bytes,
            details,
        })
    }

    fn publish(self) -> Result<()> {
        self.output.sync()?;
        self.output.publish()
    }
}

impl InMemory {
    /// Collective. Merges what came and writes it.
    fn write(
        &mut self,
        context: &Context,
        form: &dyn Form,
        output: &Destination<'_>,
    ) -> Result<()> {
        let comm = &context.comm;
        let runs = self.gathered.runs();
        let previous = if form.is_unique() { last_before(comm, form, &runs) } else { None };
        let pour = Pour::new(context, form, runs).behind(previous);
        let sizes = comm.agree(pour.sizes(context))?;
        let mut total = [sizes.bytes];
        comm.all_reduce(Op::Sum, &mut total);
        if form.is_unique() {
            output.reserve(total[0])?;
        }
        let first = comm.exclusive_scan(sizes.bytes);
        let at = output.begin(first..first + sizes.bytes)?;
        let written = output::write(context, form, &pour, &sizes, output.writer(), at);
        let (mut written, merge_s) = comm.agree(written)?;
        output.note_all(std::mem::take(&mut written.extents));
        (self.merge_s, self.merged) = (merge_s, pour.merged());
        let mut piece = Piece::at(comm.exclusive_scan(written.merged.items), first);
        piece.grow(form, written);
        let Sorted { read, kept, ref sums, .. } = self.sorted;
        let sums = sums.clone();
        self.done = Some((Made { source: 0..0, read, kept, sums }, piece, total[0]));
        Ok(())
    }
}

impl Mergesort<'_> {
    /// What this rank answers for of what was read.
    fn made(&self) -> Vec<&Made> {
        match &self.way {
            Way::Memory(memory) => memory.done.iter().map(|(made, ..)| made).collect(),
            Way::Disk(disk) => disk.external.made.iter().collect(),
            Way::Done(done) => done.made.iter().collect(),
        }
    }

    /// What this rank answers for of what is written.
    fn pieces(&self) -> Vec<&Piece> {
        match &self.way {
            Way::Memory(memory) => memory.done.iter().map(|(_, piece, _)| piece).collect(),
            Way::Disk(disk) => disk.earlier.iter().chain(&disk.pieces).collect(),
            Way::Done(done) => done.pieces.iter().collect(),
        }
    }

    /// Collective. Bytes of all runs that lie on a disk.
    fn run_bytes(&self) -> u64 {
        match &self.way {
            Way::Memory(_) => 0,
            Way::Disk(disk) => {
                let mut bytes = [disk.external.run_bytes()];
                self.context.comm.all_reduce(Op::Sum, &mut bytes);
                bytes[0]
            }
            Way::Done(done) => done.run_bytes,
        }
    }

    /// Collective. What the run cost, on root.
    fn details(&self, totals: &Totals) -> Told {
        let Context { comm, threads, meter, saves, .. } = self.context;
        let threads = threads.count();
        let mut mine = Costs {
            taken_s: meter.elapsed_s() - meter.phase_s(Phase::Setup),
            sequences: to_u64(threads),
            threads: to_u64(threads),
            bytes_sent: comm.stats().bytes_sent,
            ..Costs::default()
        };
        let from_files = |bytes| if self.source.bytes_on_disk() > 0 { bytes } else { 0 };
        let wrote = |pieces: &mut dyn Iterator<Item = &Piece>| {
            pieces.fold((Moved::default(), 0), |(moved, items), Piece { written, .. }| {
                let next = Moved { bytes: written.bytes, seconds: written.write_s };
                (moved.and(next), items + written.merged.items)
            })
        };
        let run_bytes = self.run_bytes();
        let (rounds, slices) = match &self.way {
            Way::Memory(memory) => {
                let InMemory { sorted, costs, merge_s, merged, done, .. } = &**memory;
                let (written, part) = wrote(&mut done.iter().map(|(_, piece, _)| piece));
                mine.times_s = [sorted.sort_s, costs.splitters_s, costs.exchange_s, *merge_s];
                mine.read = Moved { bytes: from_files(sorted.bytes), seconds: sorted.read_s };
                (mine.written, mine.part) = (written.shared(threads), part);
                (mine.items, mine.sample) = (sorted.read.items, sorted.sample);
                (mine.wire, mine.merged) = (costs.wire, *merged);
                (costs.rounds, 1)
            }
            Way::Disk(disk) => {
                let costs = &disk.external.costs;
                let (back, there) = disk.external.traffic();
                let (written, part) = wrote(&mut disk.pieces.iter());
                let merge_s = disk.merge_s + costs.merge_s;
                mine.times_s = [disk.sort_s, costs.splitters_s, costs.exchange_s, merge_s];
                mine.read =
                    Moved { bytes: from_files(costs.bytes), seconds: costs.read_s }.and(back);
                (mine.written, mine.part) = (written.and(there).shared(threads), part);
                (mine.items, mine.sample) = (costs.items, costs.sample);
                mine.sequences *= disk.external.sort_rounds.max(1);
                (mine.wire, mine.merged) = (costs.wire, disk.merged.and(costs.merged));
                (costs.rounds, costs.slices)
            }
            Way::Done(..) => (0, 0),
        };
        let resumed = saves.as_ref().and_then(|saves| saves.checkpoints.stats().resumed_from);
        let by = if self.neighbours.is_some() { "memory" } else { "messages" };
        let plan = Plan {
            rounds,
            slices,
            memory_bytes: self.budget.bytes,
            exchange: (comm.size() > 1).then_some(by),
            bytes_in: self.source.bytes(),
            bytes_out: totals.bytes,
            bytes_from_files: self.source.bytes_on_disk(),
            run_bytes,
            by_runs: run_bytes > 0 || matches!(self.way, Way::Disk(_)),
            is_whole: resumed.is_none(),
        };
        details::tell(comm, &plan, &mine)
    }
}

/// Collective. What a checkpoint holds, if there is one: what all ranks share, and what this rank has read.
fn found_of(comm: &Comm, found: Option<&Found>) -> Result<(Option<State>, Own, Vec<Kept>)> {
    let Some(found) = found else { return Ok(Default::default()) };
    let parts = comm.agree(found.mine(comm))?;
    let mut own = Own::default();
    let whole = parts.iter().all(|(data, _)| own.add(data).is_some());
    let refused = || Error::bad_input("a part of the checkpoint is not a sort's");
    comm.agree(if whole { Ok(()) } else { Err(refused()) })?;
    Ok((Some(found.state()?), own, parts.into_iter().flat_map(|(_, kept)| kept).collect()))
}

/// Collective. The last item of the ranks before this one, as far as they have any.
fn last_before(comm: &Comm, form: &dyn Form, runs: &[form::Run<'_>]) -> Option<Vec<u8>> {
    let lasts = runs.iter().map(|run| run.item(run.len() - 1));
    let last = lasts.max_by(|a, b| form.compare(a, b)).unwrap_or_default();
    let all = comm.all_gather_bytes(last);
    all.into_iter().take(to_usize(comm.rank())).rfind(|last| !last.is_empty())
}
