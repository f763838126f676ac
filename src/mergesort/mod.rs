//! The job `mergesort`: sort(1) for a cluster.
//!
//! Every rank reads and sorts its part, exact cuts through all sorted parts are searched, what lies
//! between two of them moves to its rank, and each rank merges what it has into one range of the output.
//! All ranks end with as many items, within one; the sort is stable; so the bytes are the same for every
//! number of ranks and threads. Every run checks order, number and a checksum that does not depend on the
//! order, in the passes that are made anyway.

mod audit;
pub mod buffer;
mod central;
pub mod dataset;
mod destination;
pub mod digest;
mod external;
pub mod form;
mod gather;
pub mod input;
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
use self::external::{External, Slice};
use self::form::Form;
use self::gather::{Costs, Gathered};
use self::input::Files;
use self::local::{Sorted, Source};
use self::memory::Budget;
use self::output::Written;
use self::pour::Pour;
use self::spec::Spec;
use self::totals::Totals;
use crate::comm::{Comm, Op};
use crate::context::Context;
use crate::error::Result;
use crate::job::{Job, Request, Step};
use crate::measure::Phase;
use crate::measure::record::Findings;
use crate::num::{to_f64, to_u64, to_usize};
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
    sorted: Sorted,
    way: Way<'a>,
    /// Where this rank writes next.
    at: u64,
    /// What this rank wrote.
    written: Written,
    merge_s: f64,
}

/// How it is done.
enum Way<'a> {
    /// All in memory.
    Memory(Gathered, Costs),
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
        let way = if needed <= budget.bytes {
            Way::Memory(Gathered::default(), Costs::default())
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
            sorted,
            way,
            at: 0,
            written,
            merge_s: 0.0,
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
                (*gathered, *costs) = gather::gather(&self.context.comm, form, sequences)?;
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
        let (needed, runs, details) = self.details(&totals);
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
            io_bytes_needed: self.source.bytes_on_disk() + 2 * outputs[0].bytes + runs,
            outputs,
            comm_bytes_needed: needed,
            details,
        })
    }

    fn publish(self) -> Result<()> {
        self.output.sync()?;
        self.output.publish()
    }
}

impl Mergesort<'_> {
    /// Collective. Bytes that had to change ranks, bytes through runs, and what else the run cost.
    fn details(&self, totals: &Totals) -> (u64, u64, serde_json::Value) {
        let comm = &self.context.comm;
        let (rounds, slices, splitters_s, exchange_s, merge_s, moved, runs) = match &self.way {
            Way::Memory(_, costs) => {
                let Costs { rounds, splitters_s, exchange_s, bytes_moved } = *costs;
                (rounds, 1, splitters_s, exchange_s, self.merge_s, bytes_moved, 0)
            }
            Way::Disk(disk) => {
                let costs = disk.external.costs;
                let merge_s = self.merge_s + costs.merge_s;
                let (rounds, slices, moved) = (costs.rounds, costs.slices, costs.bytes_moved);
                let runs = costs.run_bytes;
                (rounds, slices, costs.splitters_s, costs.exchange_s, merge_s, moved, runs)
            }
        };
        let mut times = [self.sorted.sort_s, splitters_s, exchange_s, merge_s];
        let mut slowest = [times.iter().sum()];
        comm.all_reduce(Op::Max, &mut times);
        comm.all_reduce(Op::Max, &mut slowest);
        let mut sums = [moved, runs];
        comm.all_reduce(Op::Sum, &mut sums);
        let mut most = [self.written.merged.items];
        let mut least = most;
        comm.all_reduce(Op::Max, &mut most);
        comm.all_reduce(Op::Min, &mut least);
        let details = json!({
            "external": runs > 0,
            "memory_bytes": self.budget.bytes,
            "run_bytes": sums[1],
            "slices": slices,
            "splitter_rounds": rounds,
            "imbalance_records": most[0] - least[0],
            "sort_s": slowest[0],
            "local_sort_s": times[0],
            "splitters_s": times[1],
            "exchange_s": times[2],
            "merge_s": times[3],
            "records_per_s": to_f64(totals.read.items) / f64::max(slowest[0], 1e-9),
        });
        (sums[0], 2 * sums[1], details)
    }
}

/// Collective. The last item of the ranks before this one, as far as they have any.
fn last_before(comm: &Comm, form: &dyn Form, runs: &[form::Run<'_>]) -> Option<Vec<u8>> {
    let lasts = runs.iter().map(|run| run.item(run.len() - 1));
    let last = lasts.max_by(|a, b| form.compare(a, b)).unwrap_or_default();
    let all = comm.all_gather_bytes(last);
    all.into_iter().take(to_usize(comm.rank())).rfind(|last| !last.is_empty())
}
