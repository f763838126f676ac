//! The job `mergesort`: sort(1) for a cluster.
//!
//! Every rank reads and sorts its part, exact cuts through all sorted parts are searched, what lies
//! between two of them moves to its rank, and each rank merges what it has into one range of the output.
//! All ranks end with as many items, within one; the sort is stable; so the bytes are the same for every
//! number of ranks and threads. Every run checks order, number and a checksum that does not depend on the
//! order, in the passes that are made anyway.

mod audit;
pub mod buffer;
pub mod dataset;
mod destination;
pub mod digest;
pub mod form;
mod gather;
pub mod input;
pub mod lines;
mod local;
pub mod merge;
mod output;
mod pour;
pub mod records;
pub mod select;
pub mod spec;
mod splitters;
pub mod vector;
pub mod verify;

use serde_json::json;

use self::destination::Destination;
use self::form::{Checked, Digest, Form};
use self::gather::{Costs, Gathered};
use self::input::Files;
use self::local::{Sorted, Source};
use self::output::Written;
use self::pour::Pour;
use self::spec::Spec;
use crate::comm::{Comm, Op};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::job::{Job, Request};
use crate::measure::record::Findings;
use crate::num::{to_f64, to_u64, to_usize};

/// The least `--memory`: below, buffers alone would exceed it.
pub const MEMORY_MIN: u64 = 1 << 20;

/// A sort on its way.
pub struct Mergesort<'a> {
    context: &'a Context,
    form: Box<dyn Form>,
    source: Source,
    output: Destination<'a>,
    sorted: Sorted,
    gathered: Gathered,
    costs: Costs,
    /// What this rank wrote.
    written: Written,
    merge_s: f64,
}

impl<'a> Job<'a> for Mergesort<'a> {
    const NAME: &'static str = "mergesort";
    type Spec = Spec;

    fn plan(request: &'a Request<Spec>, context: &'a Context) -> Result<Self> {
        let Request { spec, force } = request;
        let (comm, meter) = (&context.comm, &context.meter);
        let seen = comm.decide(|| input::look(spec))?;
        let form = spec.form();
        meter.count_files(to_u64(seen.len()));
        let source = Source::Files(comm.agree(Files::open(seen))?);
        let output = Destination::create(context, spec, *force)?;
        if !form.is_unique() {
            output.reserve(source.bytes())?;
        }
        Ok(Self {
            context,
            form,
            source,
            output,
            sorted: Sorted::default(),
            gathered: Gathered::default(),
            costs: Costs::default(),
            written: Written::default(),
            merge_s: 0.0,
        })
    }

    fn compute(&mut self, _round: u64) -> Result<()> {
        let Context { comm, threads, .. } = self.context;
        let (form, count) = (&*self.form, to_u64(threads.count()));
        let parts: Vec<_> = (0..count)
            .map(|part| self.source.part(form, comm.size() * count, comm.rank() * count + part))
            .collect();
        self.sorted = comm.agree(local::sort(self.context, form, &self.source, &parts))?;
        Ok(())
    }

    fn exchange(&mut self, _round: u64) -> Result<()> {
        let sequences = std::mem::take(&mut self.sorted.sequences);
        (self.gathered, self.costs) = gather::gather(&self.context.comm, &*self.form, sequences)?;
        Ok(())
    }

    fn write(&mut self, _round: u64) -> Result<()> {
        let (context, comm, form) = (self.context, &self.context.comm, &*self.form);
        let runs = self.gathered.runs();
        let previous = if form.is_unique() { last_before(comm, form, &runs) } else { None };
        let pour = Pour::new(context, form, runs).behind(previous);
        let sizes = comm.agree(pour.sizes(context))?;
        if form.is_unique() {
            self.output.reserve(destination::total(context, sizes.bytes))?;
        }
        let at = self.output.begin(sizes.bytes)?;
        let written = output::write(context, form, &pour, &sizes, self.output.writer(), at);
        (self.written, self.merge_s) = comm.agree(written)?;
        self.output.note_all(std::mem::take(&mut self.written.extents));
        Ok(())
    }

    fn conclude(&mut self) -> Result<Findings> {
        let (comm, form) = (&self.context.comm, &*self.form);
        let totals = Totals::of_all(comm, form, &self.sorted, &self.written)?;
        totals.verify(form)?;
        let outputs = self.output.verify()?;
        let Source::Files(files) = &self.source;
        let input = files.sums(comm, &self.sorted.sums)?;
        let (needed, details) = self.details(&totals);
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
            io_bytes_needed: self.source.bytes() + outputs[0].bytes,
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
    /// Collective. What the run cost, and the bytes that had to change ranks.
    fn details(&self, totals: &Totals) -> (u64, serde_json::Value) {
        let comm = &self.context.comm;
        let Costs { rounds, splitters_s, exchange_s, bytes_moved } = self.costs;
        let mut times = [self.sorted.sort_s, splitters_s, exchange_s, self.merge_s];
        let sort_s: f64 = times.iter().sum();
        comm.all_reduce(Op::Max, &mut times);
        let (mut slowest, mut moved) = ([sort_s], [bytes_moved]);
        comm.all_reduce(Op::Max, &mut slowest);
        comm.all_reduce(Op::Sum, &mut moved);
        let mut most = [self.written.merged.items];
        let mut least = most;
        comm.all_reduce(Op::Max, &mut most);
        comm.all_reduce(Op::Min, &mut least);
        let details = json!({
            "splitter_rounds": rounds,
            "imbalance_records": most[0] - least[0],
            "sort_s": slowest[0],
            "local_sort_s": times[0],
            "splitters_s": times[1],
            "exchange_s": times[2],
            "merge_s": times[3],
            "records_per_s": to_f64(totals.read.items) / slowest[0].max(1e-9),
        });
        (moved[0], details)
    }
}

/// Collective. The last item of the ranks before this one, as far as they have any.
fn last_before(comm: &Comm, form: &dyn Form, runs: &[form::Run<'_>]) -> Option<Vec<u8>> {
    let lasts = runs.iter().map(|run| run.item(run.len() - 1));
    let last = lasts.max_by(|a, b| form.compare(a, b)).unwrap_or_default();
    let all = comm.all_gather_bytes(last);
    all.into_iter().take(to_usize(comm.rank())).rfind(|last| !last.is_empty())
}

/// What all ranks read and wrote.
struct Totals {
    read: Digest,
    kept: Digest,
    merged: Digest,
    written: Digest,
    bytes: u64,
    checked: Checked,
}

impl Totals {
    /// Collective.
    fn of_all(comm: &Comm, form: &dyn Form, sorted: &Sorted, written: &Written) -> Result<Self> {
        let numbers = (sorted.read, sorted.kept, written.merged, written.items);
        let mine = (numbers, written.bytes, written.checked, written.edges.clone());
        let parts = comm.gather_bytes(&serde_json::to_vec(&mine).expect("plain data"));
        let all = comm.decide(|| {
            let mut sums = (Digest::default(), Digest::default());
            let mut whole = Written::default();
            for part in &parts {
                let ((read, kept, merged, items), bytes, checked, edges) =
                    serde_json::from_slice(part)
                        .map_err(|cause| Error::internal(format!("a rank's totals: {cause}")))?;
                sums = (sums.0.and(read), sums.1.and(kept));
                let next = Written { merged, items, bytes, checked, edges, extents: Vec::new() };
                whole = whole.then(form, next);
            }
            Ok((sums, whole.merged, whole.items, whole.bytes, whole.checked))
        })?;
        let ((read, kept), merged, written, bytes, checked) = all;
        Ok(Self { read, kept, merged, written, bytes, checked })
    }

    fn verify(&self, form: &dyn Form) -> Result<()> {
        if self.checked.unordered > 0 {
            return Err(Error::verification(format!(
                "{} of {} records stand behind a greater one",
                self.checked.unordered, self.written.items
            )));
        }
        if self.kept != self.merged {
            return Err(Error::verification(format!(
                "{} records with checksum {} were sorted, {} with checksum {} came out",
                self.kept.items,
                form.checksum(self.kept),
                self.merged.items,
                form.checksum(self.merged)
            )));
        }
        Ok(())
    }
}
