//! The jobs `generate`: input data for the other jobs, the same bytes for every number of ranks. Here the
//! text files of numbers; `items` makes the binary files of keys and records.
//!
//! Each file depends on its index and the seed alone. A directory of small files is filled by all
//! ranks and gets its name at the end; a packed file is made twice in memory, once for the lengths that
//! say where each piece begins, once to be written. What was planted on purpose is listed.

pub mod items;
pub mod keys;
pub mod numbers;
mod random;
pub mod records;
pub mod spec;
pub mod verify;
mod zipf;

use std::fmt::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};

use numbers::{FileTally, Generator, Planted};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spec::Spec;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::job::{Job, Request, Step};
use crate::measure::record::{FileSum, Findings};
use crate::num::{to_u64, to_usize};
use crate::partition::{block, displacements};
use crate::store::checkpoint::Found;
use crate::store::crc::{self, Extent};
use crate::store::files::{Files, Names, Openat, Problem, Trust, Visitor};
use crate::store::part::PartFile;
use crate::store::part_dir::PartDir;

/// Bytes of text made before they are written to a packed file.
const PIECE: usize = 1 << 20;

/// Lines of a piece, which a thread makes at once: 200 to 600 KB.
const LINES: u64 = 1 << 15;

/// The data while they are made.
pub struct Numbers<'a> {
    spec: &'a Spec,
    context: &'a Context,
    maker: Maker<'a>,
    place: Place<'a>,
    planted_file: Option<PartFile<'a>>,
    /// By this rank.
    made: Made,
    /// How long the pieces of this rank's part of a packed file are.
    lengths: Vec<u64>,
    /// By all ranks.
    total: Total,
}

enum Place<'a> {
    Directory(PartDir<'a>),
    File(PartFile<'a>),
}

/// What is in some files; in their order, it adds up.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Total {
    numbers: u64,
    rubbish: u64,
    blank: u64,
    sum: i128,
    bytes: u64,
    crc64: u64,
}

impl Total {
    fn of(tally: FileTally, text: &[u8]) -> Self {
        let FileTally { numbers, rubbish, blank, sum, .. } = tally;
        let (bytes, crc64) = (to_u64(text.len()), crc::checksum(text));
        Self { numbers, rubbish, blank, sum, bytes, crc64 }
    }

    /// The record's `result`.
    fn result(&self, spec: &Spec) -> Value {
        json!({
            "files": if spec.packed { 1 } else { spec.files },
            "numbers": self.numbers,
            "rubbish": self.rubbish,
            "blank_lines": self.blank,
            "sum": self.sum.to_string(),
            "bytes": self.bytes,
        })
    }

    fn then(self, next: Self) -> Self {
        Self {
            numbers: self.numbers + next.numbers,
            rubbish: self.rubbish + next.rubbish,
            blank: self.blank + next.blank,
            sum: self.sum + next.sum,
            bytes: self.bytes + next.bytes,
            crc64: crc::combine(self.crc64, next.crc64, next.bytes),
        }
    }
}

/// What was made, and what of it was planted on purpose.
#[derive(Clone, Debug, Default)]
struct Made {
    total: Total,
    planted: Vec<Planted>,
}

impl Made {
    fn then(mut self, next: Self) -> Self {
        self.total = self.total.then(next.total);
        self.planted.extend(next.planted);
        self
    }
}

impl<'a> Job<'a> for Numbers<'a> {
    const NAME: &'static str = "generate-numbers";
    type Spec = Spec;

    fn plan(
        request: &'a Request<Spec>,
        context: &'a Context,
        _found: Option<&Found>,
    ) -> Result<Self> {
        let Request { spec, force } = request;
        let comm = &context.comm;
        let place = if spec.packed {
            Place::File(PartFile::create(context, &spec.output, *force, |_| Ok(()))?)
        } else {
            Place::Directory(PartDir::create(comm, &spec.output)?)
        };
        let planted_file = spec
            .planted()
            .map(|path| PartFile::create(context, &path, *force, |_| Ok(())))
            .transpose()?;
        let mine = block(spec.files, comm.size(), comm.rank());
        let maker = Maker::new(spec, mine);
        let (made, lengths, total) = Default::default();
        Ok(Self { spec, context, maker, place, planted_file, made, lengths, total })
    }

    fn compute(&mut self, _round: u64) -> Result<Step> {
        // Lengths first: they say where in a packed file each piece begins.
        if matches!(self.place, Place::File(_)) {
            let maker = &self.maker;
            let lengths = |_, first| Ok(maker.piece(first, |_, _| Ok(()))?.total.bytes);
            self.lengths = self.each(lengths)?;
        }
        Ok(Step::Done)
    }

    fn write(&mut self, _round: u64) -> Result<()> {
        let made = match &self.place {
            Place::Directory(directory) => self.files(directory)?,
            Place::File(file) => self.packed(file)?,
        };
        self.made = made.into_iter().fold(Made::default(), Made::then);
        if let Some(file) = &self.planted_file {
            self.list(file)?;
        }
        Ok(())
    }

    fn complete(&mut self) -> Result<()> {
        let comm = &self.context.comm;
        let parts =
            comm.gather_bytes(&serde_json::to_vec(&self.made.total).expect("plain numbers"));
        self.total = comm.decide(|| {
            parts.iter().try_fold(Total::default(), |all, part| {
                let next = serde_json::from_slice(part)
                    .map_err(|cause| Error::internal(format!("a rank's totals: {cause}")))?;
                Ok(all.then(next))
            })
        })?;
        Ok(())
    }

    fn conclude(&mut self) -> Result<Findings> {
        let Total { numbers, rubbish, blank, bytes, crc64, .. } = self.total;
        let spec = self.spec;
        if numbers + rubbish + blank != spec.files * spec.per_file {
            return Err(Error::verification(format!(
                "{numbers} numbers, {rubbish} rubbish and {blank} blank lines were made, {} asked for",
                spec.files * spec.per_file
            )));
        }
        let mut outputs = vec![match &self.place {
            Place::File(file) => file.verify()?,
            Place::Directory(directory) => self.read_back(directory, bytes, crc64)?,
        }];
        if let Some(file) = &self.planted_file {
            outputs.push(file.verify()?);
        }
        let written: u64 = outputs.iter().map(|file| file.bytes).sum();
        Ok(Findings {
            input: Vec::new(),
            result: self.total.result(spec),
            outputs,
            comm_bytes_needed: 0,
            io_bytes_needed: 2 * written,
            details: Value::Null,
        })
    }

    fn publish(self) -> Result<()> {
        if let Some(file) = &self.planted_file {
            file.sync()?;
        }
        if let Place::File(file) = &self.place {
            file.sync()?;
        }
        let planted = self.planted_file.map(PartFile::publish).transpose()?;
        let published = match self.place {
            Place::Directory(directory) => directory.publish(),
            Place::File(file) => file.publish().map(|_| ()),
        };
        if let (Err(_), Some(planted)) = (&published, planted) {
            planted.withdraw();
        }
        published
    }
}

/// The name of a file of the set.
fn name(file: u64) -> String {
    format!("numbers_{file}.txt")
}

/// The first line of the list of planted lines.
const PLANTED_HEADING: &str = "file,line,kind,verdict\n";

/// Appends the line about a planted line.
fn list_planted(spec: &Spec, planted: &Planted, text: &mut String) {
    let Planted { file, line, kind } = planted;
    // Packed, every file has so many lines, in the order of the files.
    let (file, line) = if spec.packed {
        (String::new(), file * spec.per_file + line)
    } else {
        (name(*file), *line)
    };
    let verdict = format!("{:?}", kind.verdict()).to_lowercase();
    writeln!(text, "{file},{line},{kind},{verdict}").expect("a string takes all");
}

/// What threads share.
struct Maker<'a> {
    generator: Generator,
    spec: &'a Spec,
    /// The files of this rank.
    mine: Range<u64>,
    /// Files of a piece.
    step: u64,
}

impl<'a> Maker<'a> {
    /// For some of the files; the parameters have been checked.
    fn new(spec: &'a Spec, mine: Range<u64>) -> Self {
        let step = (LINES / spec.per_file.max(1)).max(1);
        Self { generator: Generator::new(spec.numbers()), spec, mine, step }
    }

    /// Makes a piece, and gives each file of it to `take`.
    fn piece(&self, first: u64, mut take: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<Made> {
        let (mut made, mut text) = (Made::default(), Vec::new());
        for file in first..(first + self.step).min(self.mine.end) {
            text.clear();
            let tally = self.generator.file(file, &mut text, &mut made.planted);
            // Another file's text follows in the same file.
            let followed = self.spec.packed && file + 1 < self.spec.files;
            if followed && text.last().is_some_and(|&last| last != b'\n') {
                text.push(b'\n');
            }
            made.total = made.total.then(Total::of(tally, &text));
            take(file, &text)?;
        }
        Ok(made)
    }
}

impl Numbers<'_> {
    /// Collective. Does `work` for each piece of this rank's files, given its number and its first
    /// file, with all threads.
    fn each<T: Send>(&self, work: impl Fn(usize, u64) -> Result<T> + Sync) -> Result<Vec<T>> {
        let Range { start, end } = self.maker.mine;
        let pieces: Vec<(usize, u64)> =
            (start..end).step_by(to_usize(self.maker.step)).enumerate().collect();
        let done = self.context.threads.map(&pieces, |&(index, first)| work(index, first));
        self.context.comm.agree(done.into_iter().collect())
    }

    /// Collective. Makes this rank's files in the directory.
    fn files(&self, directory: &PartDir<'_>) -> Result<Vec<Made>> {
        let (at, target, meter) = (directory.as_fd(), &self.spec.output, &self.context.meter);
        let maker = &self.maker;
        let made = self.each(|_, first| {
            maker.piece(first, |file, text| PartDir::write(at, target, &name(file), text))
        })?;
        meter.count_files(maker.mine.end - maker.mine.start);
        meter.count_written(made.iter().map(|made| made.total.bytes).sum());
        Ok(made)
    }

    /// Collective. Writes this rank's part of the packed file.
    fn packed(&self, file: &PartFile<'_>) -> Result<Vec<Made>> {
        let (comm, mine) = (&self.context.comm, self.lengths.iter().sum());
        file.reserve(comm.all_gather(mine).iter().sum())?;
        let before = comm.exclusive_scan(mine);
        let starts = displacements(&self.lengths);
        let (maker, writer) = (&self.maker, file.writer());
        let written = self.each(|index, first| {
            let (mut at, mut pending) = (before + starts[index], Vec::new());
            let mut extents = Vec::new();
            let mut write = |pending: &mut Vec<u8>| {
                extents.push(writer.write_at(at, pending)?);
                at += to_u64(pending.len());
                pending.clear();
                Ok(())
            };
            let made = maker.piece(first, |_, text| {
                pending.extend_from_slice(text);
                if pending.len() < PIECE { Ok(()) } else { write(&mut pending) }
            })?;
            write(&mut pending)?;
            Ok((made, extents))
        })?;
        let (made, extents): (Vec<Made>, Vec<Vec<Extent>>) = written.into_iter().unzip();
        file.note_all(extents.into_iter().flatten());
        Ok(made)
    }

    /// Collective. Lists what was planted, in the order of the files.
    fn list(&self, file: &PartFile<'_>) -> Result<()> {
        let comm = &self.context.comm;
        let mut text = String::new();
        if comm.is_root() {
            text.push_str(PLANTED_HEADING);
        }
        for planted in &self.made.planted {
            list_planted(self.spec, planted, &mut text);
        }
        let at = comm.exclusive_scan(to_u64(text.len()));
        comm.agree(file.write_at(at, text.as_bytes()))
    }

    /// Collective. Reads back the files that the next rank has made.
    fn read_back(&self, directory: &PartDir<'_>, bytes: u64, crc64: u64) -> Result<FileSum> {
        let comm = &self.context.comm;
        let range = block(self.spec.files, comm.size(), (comm.rank() + 1) % comm.size());
        let pieces: Vec<u64> =
            (range.start..range.end).step_by(to_usize(self.maker.step)).collect();
        let (at, step) = (directory.as_fd(), self.maker.step);
        let longest = to_usize(self.spec.per_file.saturating_mul(32)).clamp(4096, 1 << 30);
        let read = self.context.threads.map(&pieces, |&first| {
            let mut names = Names::new();
            for file in first..(first + step).min(range.end) {
                names.push(name(file).as_bytes()).expect("no NUL");
            }
            let (directory, sum) = (self.spec.output.as_path(), Ok((crc::checksum(&[]), 0)));
            let mut back = Back { sum, directory, names: &names, next: 0 };
            let all = 0..names.len();
            let files = Files { dir: at, names: &names, trust: Trust::Listed };
            Openat::new(longest).read_all(files, all, &mut back);
            back.sum
        });
        let mut mine = Ok((crc::checksum(&[]), 0));
        for part in read {
            mine = mine.and_then(|(sum, bytes)| {
                let (next, more) = part?;
                Ok((crc::combine(sum, next, more), bytes + more))
            });
        }
        let (sum, read) = comm.agree(mine)?;
        self.context.meter.count_read(read);
        let (sums, lengths) = (comm.all_gather(sum), comm.all_gather(read));
        let found = (0..comm.size()).fold((crc::checksum(&[]), 0), |(whole, total), rank| {
            let reader = to_usize((rank + comm.size() - 1) % comm.size());
            (crc::combine(whole, sums[reader], lengths[reader]), total + lengths[reader])
        });
        let path = self.spec.output.display().to_string();
        if found != (crc64, bytes) {
            return Err(Error::verification(format!(
                "{path}: read back {} bytes with crc64 {}, written were {bytes} with {}",
                found.1,
                crc::hex(found.0),
                crc::hex(crc64)
            )));
        }
        Ok(FileSum { path, bytes, crc64: crc::hex(crc64) })
    }
}

/// Checksums files in the order of their names, up to the first that is not as it should be.
struct Back<'a> {
    sum: Result<(u64, u64)>,
    directory: &'a Path,
    names: &'a Names,
    next: usize,
}

impl Back<'_> {
    /// The file's path. Every file comes here once.
    fn path(&mut self, index: usize) -> PathBuf {
        debug_assert_eq!(index, self.next, "the plain reader keeps the order");
        self.next += 1;
        self.directory.join(&*self.names.get(index).to_string_lossy())
    }

    fn fail(&mut self, error: Error) {
        if self.sum.is_ok() {
            self.sum = Err(error);
        }
    }
}

impl Visitor for Back<'_> {
    fn small(&mut self, index: usize, buffer: &[u8], from: usize) {
        self.path(index);
        let bytes = &buffer[from..];
        if let Ok((sum, total)) = &mut self.sum {
            *sum = crc::combine(*sum, crc::checksum(bytes), to_u64(bytes.len()));
            *total += to_u64(bytes.len());
        }
    }

    fn large(&mut self, index: usize, size: u64) {
        let path = self.path(index);
        let problem = format!("{}: {size} bytes were read back, too many", path.display());
        self.fail(Error::verification(problem));
    }

    fn failed(&mut self, index: usize, problem: Problem) {
        let path = self.path(index);
        self.fail(match problem {
            Problem::Io(cause) => Error::io("read back", &path, &cause),
            Problem::NotRegular(_) => Error::verification(format!("{}: {problem}", path.display())),
        });
    }
}
