//! The job `mergesort`: sort(1) for a cluster.
//!
//! Every rank reads and sorts its part, exact cuts through all sorted parts are searched, what lies
//! between two of them moves to its rank, and each rank merges what it has into one range of the output.
//! All ranks end with as many items, within one; the sort is stable; so the bytes are the same for every
//! number of ranks and threads. Every run checks order, number and a checksum that does not depend on the
//! order, in the passes that are made anyway.

mod audit;
pub mod buffer;
mod calibrate;
mod central;
pub mod dataset;
mod destination;
mod details;
pub mod digest;
mod direct;
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
mod pour;
pub mod records;
mod scratch;
pub mod select;
pub mod spec;
mod splitters;
mod totals;
pub mod vector;
pub mod verify;
mod wire;

use serde_json::json;

use self::destination::Destination;
use self::details::{Costs, Merged, Moved, Plan, Told};
use self::external::{External, Slice};
use self::form::Form;
use self::gather::Gathered;
use self::input::Files;
use self::local::{Sorted, Source};
use self::memory::Budget;
use self::output::Written;
use self::pour::Pour;
use self::spec::Spec;
use self::totals::Totals;
use crate::comm::{Comm, Neighbours};
use crate::context::Context;
use crate::error::Result;
use crate::job::{Job, Request, Step};
use crate::measure::Phase;
use crate::measure::record::Findings;
use crate::num::{to_u64, to_usize};
use crate::store::checkpoint::Found;
use crate::store::target;

/// The least `--memory`: below, buffers alone would exceed it.
pub const MEMORY_MIN: u64 = 1 << 20;

/// A sort on its way.
pub struct Mergesort<'a> {
    context: &'a Context,
    form: Box<dyn Form>,
    source: Source,
    output: Destination<'a>,
    budget: Budget,
    /// The other ranks' memory, where it can be read and is.
    neighbours: Option<Neighbours<'a>>,
    sorted: Sorted,
    way: Way<'a>,
    /// Where this rank writes next.
    at: u64,
    /// What this rank wrote.
    written: Written,
    merge_s: f64,
    /// How its chunks were merged.
    merged: Merged,
}

/// How it is done.
enum Way<'a> {
    /// All in memory.
    Memory(Gathered, gather::Costs),
    /// By runs on the disk.
    Disk(Box<OnDisk<'a>>),
}

/// The state of a sort by runs on the disk.
struct OnDisk<'a> {
    external: External<'a>,
    fresh: Option<Sorted>,
    slice: Option<Slice>,
    stage: Stage,
    /// Bytes of this rank's part, as far as they are counted.
    counted: u64,
}

/// What a round of the merge does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing yet: runs are sorted.
    Sort,
    /// It counts what will be left of equal items.
    Count,
    /// It writes.
    Write,
    /// All is written.
    Done,
}

impl<'a> Job<'a> for Mergesort<'a> {
    const NAME: &'static str = "mergesort";
    type Spec = Spec;

    fn plan(
        request: &'a Request<Spec>,
        context: &'a Context,
        _found: Option<&Found>,
    ) -> Result<Self> {
        let Request { spec, force } = request;
        let (comm, meter) = (&context.comm, &context.meter);
        let seen = comm.decide(|| input::look(spec))?;
        let form = spec.form();
        let source = if let Some(keys) = spec.made() {
            Source::Made(keys?)
        } else {
            meter.count_files(to_u64(seen.len()));
            Source::Files(comm.agree(Files::open(seen))?)
        };
        let output = Destination::create(context, spec, *force)?;
        if !form.is_unique() {
            output.reserve(source.bytes())?;
        }
        let threads = to_u64(context.threads.count());
        let budget = Budget::new(comm, &*form, spec.memory, threads);
        let needed = Budget::needed(&*form, source.bytes().div_ceil(comm.size()));
        let mut neighbours = None;
        let way = if needed <= budget.bytes {
            neighbours = direct::neighbours(comm, &*form);
            Way::Memory(Gathered::default(), gather::Costs::default())
        } else {
            let scratch = spec.scratch.clone().unwrap_or_else(|| target::directory(&spec.output));
            let packed = spec.compress_temp;
            let external = External::plan(context, &*form, &source, budget, &scratch, packed)?;
            Way::Disk(Box::new(OnDisk {
                external,
                fresh: None,
                slice: None,
                stage: Stage::Sort,
                counted: 0,
            }))
        };
        let (sorted, written) = Default::default();
        Ok(Self {
            context,
            form,
            source,
            output,
            budget,
            neighbours,
            sorted,
            way,
            at: 0,
            written,
            merge_s: 0.0,
            merged: Merged::default(),
        })
    }

    fn rounds(&self) -> u64 {
        match &self.way {
            Way::Memory(..) => 1,
            Way::Disk(disk) if disk.stage == Stage::Done => 0,
            Way::Disk(_) => u64::MAX,
        }
    }

    fn compute(&mut self, round: u64) -> Result<Step> {
        let Context { comm, threads, .. } = self.context;
        let (form, count) = (&*self.form, to_u64(threads.count()));
        match &mut self.way {
            Way::Memory(..) => {
                let parts = self.source.parts(form, (comm.size(), comm.rank()), count);
                let memory = self.budget.bytes;
                let sorted = local::sort(self.context, form, &self.source, &parts, memory);
                self.sorted = comm.agree(sorted)?;
            }
            Way::Disk(disk) if round < disk.external.sort_rounds => {
                let fresh = external::sort_round(&disk.external, form, &self.source, round);
                disk.fresh = Some(comm.agree(fresh)?);
            }
            Way::Disk(_) => {}
        }
        Ok(Step::Done)
    }

    fn exchange(&mut self, _round: u64) -> Result<()> {
        let form = &*self.form;
        match &mut self.way {
            Way::Memory(gathered, costs) => {
                let mut sequences = std::mem::take(&mut self.sorted.sequences);
                if self.context.fault.flips(Phase::Exchange) {
                    local::spoil(&mut sequences);
                }
                let comm = &self.context.comm;
                (*gathered, *costs) = match &self.neighbours {
                    Some(neighbours) => direct::gather(comm, neighbours, form, sequences)?,
                    None => gather::gather(comm, form, sequences)?,
                };
            }
            Way::Disk(disk) if disk.fresh.is_none() => {
                if disk.stage == Stage::Sort {
                    let bytes = disk.external.split(form)?;
                    disk.stage = if form.is_unique() { Stage::Count } else { Stage::Write };
                    if disk.stage == Stage::Write {
                        self.at = self.output.begin(bytes)?;
                    }
                }
                disk.slice = Some(disk.external.next_slice(form)?);
            }
            Way::Disk(_) => {}
        }
        Ok(())
    }

    fn write(&mut self, _round: u64) -> Result<()> {
        let (context, comm, form) = (self.context, &self.context.comm, &*self.form);
        match &mut self.way {
            Way::Memory(gathered, _) => {
                let runs = gathered.runs();
                let previous = if form.is_unique() { last_before(comm, form, &runs) } else { None };
                let pour = Pour::new(context, form, runs).behind(previous);
                let sizes = comm.agree(pour.sizes(context))?;
                if form.is_unique() {
                    self.output.reserve(destination::total(context, sizes.bytes))?;
                }
                self.at = self.output.begin(sizes.bytes)?;
                let written =
                    output::write(context, form, &pour, &sizes, self.output.writer(), self.at);
                (self.written, self.merge_s) = comm.agree(written)?;
                self.merged = pour.merged();
                self.output.note_all(std::mem::take(&mut self.written.extents));
            }
            Way::Disk(disk) => {
                if let Some(fresh) = disk.fresh.take() {
                    return comm.agree(disk.external.keep(form, &mut self.sorted, fresh));
                }
                let slice = disk.slice.take().expect("fetched in this round");
                let pour = disk.external.pour(form, &slice);
                let sizes = comm.agree(pour.sizes(context))?;
                if disk.stage == Stage::Count {
                    disk.counted += sizes.bytes;
                    if disk.external.is_done() {
                        self.output.reserve(destination::total(context, disk.counted))?;
                        self.at = self.output.begin(disk.counted)?;
                        disk.external.rewind();
                        disk.stage = Stage::Write;
                    }
                    return Ok(());
                }
                let written =
                    output::write(context, form, &pour, &sizes, self.output.writer(), self.at);
                let (mut next, merge_s) = comm.agree(written)?;
                self.at += sizes.bytes;
                self.merge_s += merge_s;
                self.merged = self.merged.and(pour.merged());
                self.output.note_all(std::mem::take(&mut next.extents));
                self.written = std::mem::take(&mut self.written).then(form, next);
                if disk.external.is_done() {
                    disk.stage = Stage::Done;
                }
            }
        }
        Ok(())
    }

    fn conclude(&mut self) -> Result<Findings> {
        let (comm, form) = (&self.context.comm, &*self.form);
        let totals = Totals::of_all(comm, form, &self.sorted, &self.written)?;
        let verdict = totals.verify(form);
        if let (Err(_), Way::Disk(disk)) = (&verdict, &self.way) {
            comm.agree(disk.external.verify())?;
        }
        verdict?;
        let outputs = self.output.verify()?;
        let input = self.source.sums(comm, &self.sorted.sums)?;
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

impl Mergesort<'_> {
    /// Collective. What the run cost, on root.
    fn details(&self, totals: &Totals) -> Told {
        let Context { comm, threads, meter, .. } = self.context;
        let (sorted, written) = (&self.sorted, &self.written);
        let from_files = if self.source.bytes_on_disk() > 0 { sorted.bytes } else { 0 };
        let read = Moved { bytes: from_files, seconds: sorted.read_s };
        let wrote = Moved { bytes: written.bytes, seconds: written.write_s };
        let threads = threads.count();
        let mut mine = Costs {
            taken_s: meter.elapsed_s() - meter.phase_s(Phase::Setup),
            items: sorted.read.items,
            part: written.merged.items,
            sequences: to_u64(threads),
            threads: to_u64(threads),
            sample: sorted.sample,
            read,
            written: wrote.shared(threads),
            bytes_sent: comm.stats().bytes_sent,
            merged: self.merged,
            ..Costs::default()
        };
        let (rounds, slices, splitters_s, exchange_s, merge_s) = match &self.way {
            Way::Memory(_, costs) => {
                mine.wire = costs.wire;
                (costs.rounds, 1, costs.splitters_s, costs.exchange_s, self.merge_s)
            }
            Way::Disk(disk) => {
                let costs = &disk.external.costs;
                let (back, there) = disk.external.traffic();
                mine.read = read.and(back);
                mine.written = wrote.and(there).shared(threads);
                mine.sequences *= disk.external.sort_rounds;
                (mine.wire, mine.run_bytes) = (costs.wire, costs.run_bytes);
                mine.merged = mine.merged.and(costs.merged);
                let merge_s = self.merge_s + costs.merge_s;
                (costs.rounds, costs.slices, costs.splitters_s, costs.exchange_s, merge_s)
            }
        };
        mine.times_s = [sorted.sort_s, splitters_s, exchange_s, merge_s];
        let by = if self.neighbours.is_some() { "memory" } else { "messages" };
        let plan = Plan {
            rounds,
            slices,
            memory_bytes: self.budget.bytes,
            exchange: (comm.size() > 1).then_some(by),
            bytes_in: self.source.bytes(),
            bytes_out: totals.bytes,
            bytes_from_files: self.source.bytes_on_disk(),
        };
        details::tell(comm, &plan, &mine)
    }
}

/// Collective. The last item of the ranks before this one, as far as they have any.
fn last_before(comm: &Comm, form: &dyn Form, runs: &[form::Run<'_>]) -> Option<Vec<u8>> {
    let lasts = runs.iter().map(|run| run.item(run.len() - 1));
    let last = lasts.max_by(|a, b| form.compare(a, b)).unwrap_or_default();
    let all = comm.all_gather_bytes(last);
    all.into_iter().take(to_usize(comm.rank())).rfind(|last| !last.is_empty())
}
