//! The job `counter-sort`: the integers of many text files, sorted into one file by counting.
//!
//! Root lists files (or a template names them), all ranks read and count, the counts are combined, and
//! every rank writes an equal part of the sorted file, which follows from the counts alone. Every run
//! checks that what was parsed is what was written: by number, by order, and by a checksum that does
//! not depend on the order, read back from the file.

pub mod batch;
pub mod combine;
mod counts_file;
pub mod emit;
mod gather;
pub mod grammar;
pub mod histogram;
pub mod large;
mod list;
mod marks;
mod output;
mod past;
mod read;
pub mod refused;
pub mod saved;
pub mod spec;
pub mod stats;
mod supply;
pub mod template;
mod together;
pub mod verify;

use combine::{Combined, combine};
use counts_file::CountsFile;
use gather::{Gather, Gathered};
use histogram::stored;
use output::{Seen, SortedFile};
use refused::{Refused, TOLD, at_most, sentence};
use serde_json::{Value, json};
use spec::{OnError, Spec};

use crate::comm::Op;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::job::{Job, Request, Step};
use crate::measure::Phase;
use crate::measure::record::{FileSum, Findings};
use crate::num::{to_u64, to_usize};
use crate::stop;
use crate::store::checkpoint::{Found, Saved};

/// The part of a rank's memory that counters may use, when the user did not say: half of what is free.
pub fn memory_bytes(spec: &Spec, local_ranks: u64) -> u64 {
    /// Where the system does not tell.
    const UNKNOWN: u64 = 2 << 30;
    let free = crate::measure::available_memory_bytes().unwrap_or(UNKNOWN);
    spec.memory.unwrap_or(free / 2 / local_ranks.max(1)).max(1 << 20)
}

/// The sort while it is made.
pub struct CountSort<'a> {
    spec: &'a Spec,
    context: &'a Context,
    force: bool,
    memory_bytes: u64,
    gather: Gather<'a>,
    gathered: Option<Gathered>,
    combined: Option<Combined>,
    sorted: Option<SortedFile<'a>>,
    counts: Option<CountsFile<'a>>,
    totals: Totals,
    told: Vec<Refused>,
}

/// Sums over all ranks.
#[derive(Clone, Copy, Debug, Default)]
struct Totals {
    files: u64,
    files_refused: u64,
    accepted: u64,
    refused: u64,
    blank_lines: u64,
    counted: u64,
    checksum: u64,
    links: u64,
}

impl<'a> Job<'a> for CountSort<'a> {
    const NAME: &'static str = "counter-sort";
    type Spec = Spec;

    fn plan(
        request: &'a Request<Spec>,
        context: &'a Context,
        found: Option<&Found>,
    ) -> Result<Self> {
        let Request { spec, force } = request;
        let memory_bytes = memory_bytes(spec, context.comm.place().local_size);
        Ok(Self {
            spec,
            context,
            force: *force,
            memory_bytes,
            gather: Gather::new(spec, context, memory_bytes, found)?,
            gathered: None,
            combined: None,
            sorted: None,
            counts: None,
            totals: Totals::default(),
            told: Vec::new(),
        })
    }

    fn compute(&mut self, _round: u64) -> Result<Step> {
        if !self.gather.go_on()? {
            return Ok(Step::Paused);
        }
        let gathered = self.gather.finish()?;
        self.totals = totals(self.context, &self.gather, &gathered);
        self.gathered = Some(gathered);
        Ok(Step::Done)
    }

    fn exchange(&mut self, _round: u64) -> Result<()> {
        self.told = self.gather.told().gathered(&self.context.comm);
        let Totals { refused, files_refused, .. } = self.totals;
        if self.spec.on_error == OnError::Fail && refused + files_refused > 0 {
            return Err(Error::bad_input(sentence(&self.told, refused, files_refused)));
        }
        self.unless_stopped()?;
        let counts = self.gathered.take().expect("computed before").counts;
        let form = output::form(self.spec.output_format);
        let wish = self.spec.combine;
        let mut combined = combine(self.context, counts, wish, form, self.memory_bytes)?;
        if self.context.fault.flips(Phase::Exchange) {
            combined.flip();
        }
        self.combined = Some(combined);
        self.unless_stopped()
    }

    fn verify(&mut self, _round: u64) -> Result<()> {
        let Totals { accepted, counted, .. } = self.totals;
        let combined = self.combined().summary.count;
        if accepted != counted || counted != combined {
            return Err(Error::verification(format!(
                "numbers do not add up: {accepted} lines were accepted, {counted} counted, {combined} \
                 are left after the ranks' counts were combined"
            )));
        }
        Ok(())
    }

    fn write(&mut self, _round: u64) -> Result<()> {
        let (spec, context, combined) = (self.spec, self.context, self.combined());
        let format = spec.output_format;
        let sorted = SortedFile::create(context, &spec.output, self.force, format, combined)?;
        let written = sorted.write(combined);
        context.comm.agree(written)?;
        let counts = spec
            .counts
            .as_ref()
            .map(|path| CountsFile::create(context, path, self.force, combined))
            .transpose()?;
        self.sorted = Some(sorted);
        self.counts = counts;
        Ok(())
    }

    fn save(&mut self) -> Result<Saved> {
        let mut counts = None;
        if let Some(combined) = &self.combined {
            let entries = combined.share().iter().copied();
            stored::encode(entries, counts.get_or_insert_default());
        } else if let Some(gathered) = &self.gathered {
            stored::encode(gathered.counts.entries(), counts.get_or_insert_default());
        }
        self.gather.save(counts)
    }

    fn conclude(&mut self) -> Result<Findings> {
        let sorted = self.sorted.as_ref().expect("written before");
        let (file, seen) = sorted.verify()?;
        self.check(&seen, &file)?;
        let mut outputs = vec![file];
        if let Some(counts) = &self.counts {
            outputs.push(counts.verify()?);
        }
        let result = self.result(&seen)?;
        let inputs = self.gather.inputs();
        let mut bytes = self.gather.found().bytes.clone();
        bytes.resize(inputs.len(), 0);
        self.context.comm.all_reduce(Op::Sum, &mut bytes);
        let mut moved = [self.combined().moved_bytes];
        self.context.comm.all_reduce(Op::Sum, &mut moved);
        let input: Vec<FileSum> = inputs
            .into_iter()
            .zip(&bytes)
            .take(TOLD)
            .map(|(path, &bytes)| FileSum { path, bytes, crc64: String::new() })
            .collect();
        let written: u64 = outputs.iter().map(|file| file.bytes).sum();
        Ok(Findings {
            input,
            result,
            outputs,
            comm_bytes_needed: moved[0],
            io_bytes_needed: bytes.iter().sum::<u64>() + 2 * written,
            details: Value::Null,
        })
    }

    fn publish(self) -> Result<()> {
        // What can fail for want of room fails before the first file has its name.
        let sorted = self.sorted.expect("written before");
        if let Some(counts) = &self.counts {
            counts.sync()?;
        }
        sorted.sync()?;
        let counts = self.counts.map(CountsFile::publish).transpose()?;
        let published = sorted.publish();
        if let (Err(_), Some(counts)) = (&published, counts) {
            counts.withdraw();
        }
        published.map(|_| ())
    }
}

impl CountSort<'_> {
    /// Collective. After counting, which is most of the work, a run that is to end has a checkpoint of all
    /// counts; what follows is done again.
    fn unless_stopped(&self) -> Result<()> {
        if self.context.saves.is_none() {
            return Ok(());
        }
        self.context.look();
        let mut ends = [u64::from(stop::must_end())];
        self.context.comm.all_reduce(Op::Max, &mut ends);
        if ends[0] == 0 {
            Ok(())
        } else {
            Err(Error::stopped("asked to stop when all was counted"))
        }
    }

    fn combined(&self) -> &Combined {
        self.combined.as_ref().expect("combined before")
    }

    /// What was parsed is what is in the file.
    fn check(&self, seen: &Seen, file: &FileSum) -> Result<()> {
        let Totals { counted, checksum, .. } = self.totals;
        let summary = &self.combined().summary;
        let ends = summary.min.zip(summary.max);
        let good = seen.count == counted
            && seen.checksum == checksum
            && seen.unordered == 0
            && seen.rubbish == 0
            && seen.ends == ends;
        if good {
            return Ok(());
        }
        Err(Error::verification(format!(
            "{}: read back {} numbers with checksum {:016x}, {} out of order and {} lines that are no \
             number; parsed were {counted} numbers with checksum {checksum:016x}",
            file.path, seen.count, seen.checksum, seen.unordered, seen.rubbish
        )))
    }

    /// Collective. The job's own part of the record.
    fn result(&self, seen: &Seen) -> Result<Value> {
        let (totals, combined) = (&self.totals, self.combined());
        let summary = &combined.summary;
        let numbers_in = totals.accepted + totals.refused;
        if numbers_in != seen.count + totals.refused {
            return Err(Error::verification(format!(
                "{numbers_in} numbers went in, {} came out and {} were rejected",
                seen.count, totals.refused
            )));
        }
        let told = at_most(to_u64(TOLD), &self.told);
        let mut result = json!({
            "files": totals.files,
            "files_refused": totals.files_refused,
            "links_not_followed": totals.links,
            "numbers_in": numbers_in,
            "numbers_out": seen.count,
            "rejected": totals.refused,
            "blank_lines": totals.blank_lines,
            "distinct": summary.distinct,
            "min": summary.min,
            "max": summary.max,
            "checksum": format!("{:016x}", seen.checksum),
            "refused": told.iter().map(Refused::text).collect::<Vec<_>>(),
        });
        if let Value::Object(fields) = statistics(self.context, combined, to_usize(self.spec.top))?
        {
            result.as_object_mut().expect("made above").extend(fields);
        }
        Ok(result)
    }
}

/// The quantiles that are told.
const QUANTILES: [(&str, f64); 9] = [
    ("0.01", 0.01),
    ("0.05", 0.05),
    ("0.1", 0.1),
    ("0.25", 0.25),
    ("0.5", 0.5),
    ("0.75", 0.75),
    ("0.9", 0.9),
    ("0.95", 0.95),
    ("0.99", 0.99),
];

/// What a rank tells: the quantiles in its share, and its most frequent values.
type Parts = (Vec<(usize, i64)>, Vec<(i64, u64)>);

/// Collective. Sum, mean, quantiles and the most frequent values.
fn statistics(context: &Context, combined: &Combined, top: usize) -> Result<Value> {
    let (comm, summary) = (&context.comm, &combined.summary);
    let share = combined.share().iter().copied();
    let mine: u64 = share.clone().map(|entry| entry.count).sum();
    let before = comm.exclusive_scan(mine);
    let wanted = stats::quantile_positions(summary.count, &QUANTILES.map(|(_, quantile)| quantile));
    let found: Vec<(usize, i64)> = stats::at_positions(share.clone(), before + 1, &wanted);
    let most: Vec<(i64, u64)> =
        stats::top(share, top).iter().map(|entry| (entry.value, entry.count)).collect();
    let words = serde_json::to_vec(&(found, most)).expect("plain numbers");
    let parts = comm.gather_bytes(&words);
    comm.decide(|| {
        let mut quantiles = serde_json::Map::new();
        let mut tops = Vec::new();
        for part in &parts {
            let (found, most): Parts = serde_json::from_slice(part)
                .map_err(|cause| Error::internal(format!("statistics: {cause}")))?;
            for (index, value) in found {
                quantiles.insert(QUANTILES[index].0.into(), json!(value));
            }
            let entry = |(value, count)| emit::Entry { value, count };
            tops.push(most.into_iter().map(entry).collect());
        }
        let most: Vec<Value> = stats::merge_top(&tops, top)
            .iter()
            .map(|entry| json!({ "value": entry.value, "count": entry.count }))
            .collect();
        Ok(json!({
            "sum": summary.sum.to_string(),
            "mean": summary.mean(),
            "quantiles": quantiles,
            "most_frequent": most,
        }))
    })
}

/// Collective. Sums over all ranks.
fn totals(context: &Context, gather: &Gather<'_>, gathered: &Gathered) -> Totals {
    let (found, (unlisted, links)) = (gather.found(), gather.unlisted());
    let mut sums = [
        found.files,
        found.files_refused + unlisted,
        found.accepted,
        found.refused,
        found.blank_lines,
        gathered.counted,
        links,
    ];
    context.comm.all_reduce(Op::Sum, &mut sums);
    // Checksums add up with wrapping, which a sum of the ranks' halves does too.
    let checksum = context
        .comm
        .all_gather(gathered.checksum)
        .iter()
        .fold(0_u64, |sum, c| sum.wrapping_add(*c));
    let [files, files_refused, accepted, refused, blank_lines, counted, links] = sums;
    Totals { files, files_refused, accepted, refused, blank_lines, counted, checksum, links }
}
