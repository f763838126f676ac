//! More data than memory: sorted runs on the disk.
//!
//! Every rank sorts its stretch of the source in rounds of what fits into memory and keeps the runs on its
//! scratch disk; `slices.rs` merges them. Each item is written to the disk once and read back once, however
//! many runs there are, but for those that were sorted last: they stay in memory, as many as leave room to
//! merge beside them, where items have one size. With checkpoints runs on the disk outlive their program: a
//! later one deals them to its ranks, in the order of the source, sorts what is left, and keeps nothing in
//! memory, so that it loses nothing when it is stopped in its turn.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::calibrate::Sample;
use super::details::{Merged, Moved};
use super::disk_run::DiskRun;
use super::form::{Digest, Form};
use super::local::{self, Made, Sequence, Sorted, Source};
use super::memory::Budget;
use super::packed::Reader;
use super::pour::Pour;
use super::resume::{self, Packed};
use super::scratch::{Chunks, Layout, RunFile, Scratch};
use super::shares;
use super::slices::Merge;
use super::sorted_run::SortedRun;
use crate::comm::{Comm, Op};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::num::{to_u64, to_usize};
use crate::stop;
use crate::store::checkpoint::Kept;
use crate::store::crc;

/// What a rank keeps on its disk, and how far the job is.
pub struct External<'a> {
    pub(super) context: &'a Context,
    pub(super) budget: Budget,
    /// Where this rank writes runs, if it has any to sort.
    scratch: Option<Scratch<'a>>,
    /// What this rank has yet to sort, in rounds; what is sorted stays in the list.
    todo: Vec<Range<u64>>,
    /// How many of these stay on the disk; the others stay in memory.
    stored: usize,
    /// Rounds of sorting, of all ranks.
    pub sort_rounds: u64,
    /// This rank's runs in the order of the source.
    pub(super) runs: Vec<SortedRun>,
    /// What they were made of; of what stays in memory several were made at once, the last ones.
    pub made: Vec<Made>,
    pub(super) merge: Option<Merge>,
    /// Seconds so far.
    pub costs: Costs,
}

/// What it cost this rank.
#[derive(Clone, Copy, Debug, Default)]
pub struct Costs {
    /// Rounds of the search for cuts.
    pub rounds: u64,
    /// Slices of the result.
    pub slices: u64,
    /// Seconds of the search.
    pub splitters_s: f64,
    /// Seconds of reading runs and moving items.
    pub exchange_s: f64,
    /// Seconds of merging.
    pub merge_s: f64,
    /// Items that left this rank.
    pub wire: Moved,
    /// How runs were made of what the threads sorted.
    pub merged: Merged,
    /// Seconds of the thread that read longest.
    pub read_s: f64,
    /// What was sorted apart.
    pub sample: Option<Sample>,
    /// Bytes of the source that were read, and items of it.
    pub bytes: u64,
    /// Items.
    pub items: u64,
}

/// Where runs go.
#[derive(Clone, Copy)]
pub struct Place<'p> {
    /// The directory, unless there are checkpoints.
    pub directory: &'p Path,
    /// Whether they are compressed.
    pub compress: bool,
}

impl<'a> External<'a> {
    /// Collective. Decides which rank sorts what, given the runs of an earlier program that each rank has
    /// read of, and makes room on the scratch disk.
    ///
    /// # Errors
    /// When there is none on any rank, or the runs cannot be those of this source.
    pub fn plan(
        context: &'a Context,
        form: &dyn Form,
        source: &Source,
        budget: Budget,
        place: Place<'_>,
        found: &[Packed],
    ) -> Result<Self> {
        let comm = &context.comm;
        let item = form.item_bytes().map_or(1, to_u64);
        let (starts, found) = deal(comm, source.bytes(), item, found)?;
        let opened = comm.agree(open(context, form, found))?;
        let (made, runs): (Vec<_>, Vec<_>) = opened.into_iter().unzip();
        shorten(comm, &runs)?;
        let done: Vec<Range<u64>> = made.iter().map(|made: &Made| made.source.clone()).collect();
        let rank = to_usize(comm.rank());
        let stretch = starts[rank]..starts[rank + 1];
        let layout = Layout::new(form, stretch.end - stretch.start, budget.bytes);
        // Looks into compressed runs are too dear for many small slices.
        let held = if place.compress {
            Vec::new()
        } else {
            budget.held(form, stretch.end - stretch.start, comm.size(), layout.key_bytes)
        };
        let mut end = stretch.end - held.iter().sum::<u64>();
        let mut todo = shares::left(stretch.start..end, item, &done, budget.run_bytes);
        let (stored, bytes) = (todo.len(), bytes_of(&todo));
        for piece in held {
            todo.push(end..end + piece);
            end += piece;
        }
        let mut of_all = [to_u64(todo.len()), bytes_of(&todo[stored..]) + layout.key_bytes];
        comm.all_reduce(Op::Max, &mut of_all);
        let [sort_rounds, held] = of_all;
        let budget = budget.beside(held);
        // A line may begin in this rank's part and end far behind it.
        let slack = if form.terminator().is_some() { 1 << 20 } else { 0 };
        let Place { directory, compress } = place;
        let scratch = if stored == 0 {
            Ok(None)
        } else {
            Scratch::create(context, directory, bytes + slack, layout, compress).map(Some)
        };
        let scratch = comm.agree(scratch)?;
        context.meter.count_files(u64::from(scratch.is_some()));
        let runs = runs.into_iter().map(SortedRun::Stored).collect();
        Ok(Self {
            context,
            budget,
            scratch,
            todo,
            stored,
            sort_rounds,
            runs,
            made,
            merge: None,
            costs: Costs::default(),
        })
    }

    /// Takes what the threads sorted in a round: merged into a run on the disk, or as it is. Local.
    ///
    /// # Errors
    /// When the disk refuses, or the run is to end.
    pub fn keep(&mut self, form: &dyn Form, round: u64, fresh: Sorted) -> Result<f64> {
        let round = to_usize(round);
        let Some(source) = self.todo.get(round).cloned() else { return Ok(0.0) };
        self.costs.read_s += fresh.read_s;
        self.costs.sample = self.costs.sample.or(fresh.sample);
        self.costs.bytes += fresh.bytes;
        self.costs.items += fresh.read.items;
        let Sorted { sequences, sort_s, read, mut kept, sums, .. } = fresh;
        if round >= self.stored {
            self.runs.extend(sequences.into_iter().map(SortedRun::Held));
            self.made.push(Made { source, read, kept, sums });
            return Ok(sort_s);
        }
        let (run, left) = self.store(form, &sequences)?;
        if form.is_unique() {
            kept = left;
        }
        let at = self.made.partition_point(|other| other.source.start < source.start);
        self.made.insert(at, Made { source, read, kept, sums });
        self.runs.insert(at, SortedRun::Stored(run));
        Ok(sort_s)
    }

    /// Merges what the threads sorted into a run on the disk; the digest of what is left, where equal items
    /// are taken out. Local.
    fn store(&mut self, form: &dyn Form, sequences: &[Sequence]) -> Result<(DiskRun, Digest)> {
        let scratch = self.scratch.as_ref().expect("made where there are runs to write");
        let bytes: usize = sequences.iter().map(|sequence| sequence.items.len()).sum();
        let items: u64 = sequences.iter().map(Sequence::len).sum();
        let each = scratch.layout.chunk_items(to_u64(bytes), items);
        let runs = sequences.iter().map(|one| one.run(0..to_usize(one.len()))).collect();
        let pour = Pour::every(self.context, form, runs, to_usize(each));
        let sizes = pour.sizes(self.context)?;
        let chunks = Chunks::at(scratch, scratch.place(sizes.bytes));
        let taken = pour.pour(self.context, &sizes, |chunk| {
            stop::heed("a run was written")?;
            let stored = chunks.store(form, chunk.offset, &chunk.items)?;
            let kept = form.is_unique().then(|| chunk.items.in_file_form(form, |i| form.digest(i)));
            Ok((stored, kept.transpose()?))
        });
        let (chunks, merge_s) = taken?;
        self.costs.merge_s += merge_s;
        self.costs.merged = self.costs.merged.and(pour.merged());
        let (chunks, kept): (Vec<_>, Vec<_>) = chunks.into_iter().unzip();
        let kept = kept.into_iter().flatten().fold(Digest::default(), Digest::and);
        let run = DiskRun::new(Arc::clone(scratch.file()), scratch.layout.grain, chunks);
        self.context.meter.count_written(run.bytes());
        Ok((run, kept))
    }

    /// Sorts this rank's piece of a round. Local.
    ///
    /// # Errors
    /// When it cannot be read, or there is no memory, or the run is to end.
    pub fn sort_round(&self, form: &dyn Form, source: &Source, round: u64) -> Result<Sorted> {
        let Some(piece) = self.todo.get(to_usize(round)) else { return Ok(Sorted::default()) };
        let threads = to_u64(self.context.threads.count());
        let count = self.budget.pieces(piece.end - piece.start, threads);
        let item = form.item_bytes().map_or(1, to_u64);
        let parts = shares::cut(piece.clone(), item, count);
        local::sort(self.context, form, source, &parts, self.budget.bytes)
    }

    /// What the disk gave and was given, looks for cuts included. Local.
    pub fn traffic(&self) -> (Moved, Moved) {
        let mut files: Vec<&Arc<RunFile>> = self.scratch.iter().map(Scratch::file).collect();
        for run in self.stored_runs() {
            if !files.iter().any(|file| Arc::ptr_eq(file, run.file())) {
                files.push(run.file());
            }
        }
        let sum = |of: fn(&RunFile) -> Moved| {
            files.iter().fold(Moved::default(), |all, file| all.and(of(file)))
        };
        (sum(RunFile::read_so_far), sum(RunFile::written))
    }

    fn stored_runs(&self) -> impl Iterator<Item = &DiskRun> {
        self.runs.iter().filter_map(SortedRun::stored)
    }

    /// Bytes of this rank's runs on the disk.
    pub fn run_bytes(&self) -> u64 {
        self.stored_runs().map(DiskRun::bytes).sum()
    }

    /// Collective. What a checkpoint keeps of the runs: syncs those on the disk and names them. What stays in
    /// memory was sorted last, and is to be sorted again.
    ///
    /// # Errors
    /// When any rank cannot sync.
    pub fn save(&self) -> Result<(Vec<Packed>, Vec<Kept>)> {
        let synced = self.scratch.as_ref().map_or(Ok(()), Scratch::keep);
        self.context.comm.agree(synced)?;
        let mut files: BTreeMap<PathBuf, Vec<crc::Extent>> = BTreeMap::new();
        for run in self.stored_runs() {
            let name = run.name().unwrap_or(Path::new("")).to_owned();
            files.entry(name).or_default().extend(run.extents());
        }
        let kept = files.into_iter().map(|(path, mut pieces)| {
            pieces.sort_unstable();
            let mut extents = Vec::new();
            for piece in pieces {
                crc::note(&mut extents, piece);
            }
            Kept { path, extents }
        });
        let packed =
            self.made.iter().zip(self.stored_runs()).map(|(made, run)| Packed::of(made, Some(run)));
        Ok((packed.collect(), kept.collect()))
    }

    /// Looks for chunks that the disk changed, once the whole does not add up. Local.
    ///
    /// # Errors
    /// A verification error that names the first.
    pub fn verify(&self) -> Result<()> {
        self.stored_runs().try_for_each(DiskRun::verify)
    }
}

fn bytes_of(pieces: &[Range<u64>]) -> u64 {
    pieces.iter().map(|piece| piece.end - piece.start).sum()
}

/// Collective. Where each rank's stretch of the source begins, and the runs that lie in this one's, in order.
fn deal(comm: &Comm, total: u64, item: u64, found: &[Packed]) -> Result<(Vec<u64>, Vec<Packed>)> {
    let ends = found.iter().flat_map(|run| [run.made.source.start, run.made.source.end]);
    let words: Vec<u8> = ends.flat_map(u64::to_le_bytes).collect();
    let mut done = Vec::new();
    for words in comm.all_gather_bytes(&words) {
        let mut words = Reader(&words);
        while let Some([start, end]) = words.words() {
            done.push(start..end);
        }
    }
    done.sort_unstable_by_key(|piece| piece.start);
    let whole = |at: u64| at.is_multiple_of(item);
    if !shares::are_apart(total, &done)
        || !done.iter().all(|piece| whole(piece.start) && whole(piece.end))
    {
        return Err(Error::bad_input(
            "--resume: the checkpoint's runs are not pieces of the input",
        ));
    }
    let starts = shares::starts(total, item, &done, comm.size());
    let mut leaving = vec![Vec::new(); to_usize(comm.size())];
    for run in found {
        leaving[shares::rank_of(&starts, run.made.source.start)].push(run);
    }
    let leaving: Vec<Vec<u8>> = leaving.into_iter().map(resume::pack_runs).collect();
    let counts: Vec<u64> = leaving.iter().map(|runs| to_u64(runs.len())).collect();
    let came = comm.exchange(&leaving.concat(), &counts).into_parts();
    let mut mine = Vec::new();
    for runs in &came {
        mine.extend(resume::unpack_runs(&mut Reader(runs)).expect("as another rank packed them"));
    }
    mine.sort_unstable_by_key(|run| run.made.source.start);
    Ok((starts, mine))
}

/// Opens runs that an earlier program left. Local.
fn open(context: &Context, form: &dyn Form, found: Vec<Packed>) -> Result<Vec<(Made, DiskRun)>> {
    let mut files: BTreeMap<PathBuf, Arc<RunFile>> = BTreeMap::new();
    let mut open = |name: &Path, compress: bool| {
        if let Some(file) = files.get(name) {
            return Ok(Arc::clone(file));
        }
        let saves =
            context.saves.as_ref().ok_or_else(|| Error::internal("runs without checkpoints"))?;
        context.meter.count_files(1);
        let file = Arc::new(RunFile::open(&saves.checkpoints, name, compress)?);
        files.insert(name.to_owned(), Arc::clone(&file));
        Ok(file)
    };
    let each = |Packed { made, run }: Packed| {
        let run = DiskRun::decode(&mut Reader(&run), &mut open)?;
        let run = run.filter(|run| made.kept.items == run.items() && run.fits(form));
        Ok((made, run.ok_or_else(|| Error::bad_input("a part of the checkpoint is not a sort's"))?))
    };
    found.into_iter().map(each).collect()
}

/// Collective. Gives back what earlier programs had reserved behind their last runs.
fn shorten(comm: &Comm, runs: &[DiskRun]) -> Result<()> {
    let mut mine: BTreeMap<String, (u64, &DiskRun)> = BTreeMap::new();
    for run in runs {
        let name = run.name().map(|name| name.display().to_string()).unwrap_or_default();
        let end = mine.entry(name).or_insert((0, run));
        end.0 = end.0.max(run.end());
    }
    let ends: BTreeMap<&String, u64> = mine.iter().map(|(name, (end, _))| (name, *end)).collect();
    let ends = serde_json::to_vec(&ends).map_err(|cause| Error::internal(cause.to_string()));
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    for ends in comm.all_gather_bytes(&comm.agree(ends)?) {
        let ends: BTreeMap<String, u64> = serde_json::from_slice(&ends).unwrap_or_default();
        for (name, end) in ends {
            let most = all.entry(name).or_default();
            *most = end.max(*most);
        }
    }
    for (name, (_, run)) in &mine {
        run.shorten(all[name]);
    }
    Ok(())
}
