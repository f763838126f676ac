//! The job `generate`: input data for the other jobs, the same bytes for every number of ranks.
//!
//! Each file depends on its index and the seed alone. A directory of small files is filled by all
//! ranks and gets its name at the end; a packed file is made twice in memory, once for the lengths that
//! say where each rank's part begins, once to be written. What was planted on purpose is listed.

pub mod numbers;
pub mod spec;

use std::fmt::Write;
use std::ops::Range;

use numbers::{FileTally, Generator, Planted};
use serde_json::json;
use spec::Spec;

use crate::context::Context;
use crate::error::{Error, Result};
use crate::job::{Job, Request};
use crate::measure::record::{FileSum, Findings};
use crate::num::{to_u64, to_usize};
use crate::partition::block;
use crate::store::crc;
use crate::store::files::{Names, Openat, Problem, Trust, Visitor};
use crate::store::part::PartFile;
use crate::store::part_dir::PartDir;

/// Bytes of text made before they are written to a packed file.
const PIECE: usize = 1 << 20;

/// Files that a thread makes at once.
const FILES: u64 = 64;

/// The data while they are made.
pub struct Numbers<'a> {
    spec: &'a Spec,
    context: &'a Context,
    generator: Generator,
    place: Place<'a>,
    planted_file: Option<PartFile<'a>>,
    made: Made,
    /// What is in each rank's files, read back.
    total: Total,
}

enum Place<'a> {
    Directory(PartDir<'a>),
    File(PartFile<'a>),
}

/// What a thread or a rank has made; in the order of the files, it adds up.
#[derive(Clone, Debug, Default)]
struct Made {
    numbers: u64,
    rubbish: u64,
    blank: u64,
    sum: i128,
    bytes: u64,
    crc64: u64,
    planted: Vec<Planted>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Total {
    numbers: u64,
    rubbish: u64,
    blank: u64,
    sum: i128,
    bytes: u64,
    crc64: u64,
}

impl Made {
    fn add(&mut self, tally: FileTally, text: &[u8]) {
        self.numbers += tally.numbers;
        self.rubbish += tally.rubbish;
        self.blank += tally.blank;
        self.sum += tally.sum;
        let sum = crc::checksum(text);
        self.crc64 = crc::combine(self.crc64, sum, to_u64(text.len()));
        self.bytes += to_u64(text.len());
    }

    fn then(&mut self, next: Self) {
        self.numbers += next.numbers;
        self.rubbish += next.rubbish;
        self.blank += next.blank;
        self.sum += next.sum;
        self.crc64 = crc::combine(self.crc64, next.crc64, next.bytes);
        self.bytes += next.bytes;
        self.planted.extend(next.planted);
    }

    fn new() -> Self {
        Self { crc64: crc::checksum(&[]), ..Self::default() }
    }
}

impl<'a> Job<'a> for Numbers<'a> {
    const NAME: &'static str = "generate-numbers";
    type Spec = Spec;

    fn plan(request: &'a Request<Spec>, context: &'a Context) -> Result<Self> {
        let Request { spec, force } = request;
        let (comm, meter) = (&context.comm, &context.meter);
        let place = if spec.packed {
            Place::File(PartFile::create(comm, meter, &spec.output, *force, |_| Ok(()))?)
        } else {
            Place::Directory(PartDir::create(comm, &spec.output)?)
        };
        let planted_file = spec
            .planted()
            .map(|path| PartFile::create(comm, meter, &path, *force, |_| Ok(())))
            .transpose()?;
        let generator = Generator::new(spec.numbers());
        let (made, total) = (Made::new(), Total::default());
        Ok(Self { spec, context, generator, place, planted_file, made, total })
    }

    fn rounds(&self) -> u64 {
        1
    }

    fn compute(&mut self, _round: u64) -> Result<()> {
        // Lengths first: they say where in the file this rank's part begins.
        if matches!(self.place, Place::File(_)) {
            self.made = self.each(|_, _| Ok(()))?;
        }
        Ok(())
    }

    fn exchange(&mut self, _round: u64) -> Result<()> {
        Ok(())
    }

    fn verify(&mut self, _round: u64) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, _round: u64) -> Result<()> {
        let comm = &self.context.comm;
        let made = match &self.place {
            Place::Directory(directory) => {
                let (at, target) = (directory.as_fd(), &self.spec.output);
                let mut made =
                    self.each(|file, text| PartDir::write(at, target, &name(file), text))?;
                self.context.meter.count_files(self.mine().end - self.mine().start);
                self.context.meter.count_written(made.bytes);
                made.planted.shrink_to_fit();
                made
            }
            Place::File(file) => {
                file.reserve(comm.all_gather(self.made.bytes).iter().sum())?;
                let written = self.packed(file, comm.exclusive_scan(self.made.bytes));
                comm.agree(written)?
            }
        };
        self.made = made;
        if let Some(file) = &self.planted_file {
            self.list(file)?;
        }
        Ok(())
    }

    fn complete(&mut self) -> Result<()> {
        let comm = &self.context.comm;
        let Made { numbers, rubbish, blank, sum, bytes, crc64, .. } = self.made;
        let words = serde_json::to_vec(&(numbers, rubbish, blank, sum, bytes, crc64));
        let parts = comm.gather_bytes(&words.expect("plain numbers"));
        let all = comm.decide(|| {
            let mut all = (0_u64, 0_u64, 0_u64, 0_i128, 0_u64, crc::checksum(&[]));
            for part in &parts {
                let next: (u64, u64, u64, i128, u64, u64) = serde_json::from_slice(part)
                    .map_err(|cause| Error::internal(format!("a rank's totals: {cause}")))?;
                all = (
                    all.0 + next.0,
                    all.1 + next.1,
                    all.2 + next.2,
                    all.3 + next.3,
                    all.4 + next.4,
                    crc::combine(all.5, next.5, next.4),
                );
            }
            Ok(all)
        })?;
        let (numbers, rubbish, blank, sum, bytes, crc64) = all;
        self.total = Total { numbers, rubbish, blank, sum, bytes, crc64 };
        Ok(())
    }

    fn conclude(&mut self) -> Result<Findings> {
        let Total { numbers, rubbish, blank, sum, bytes, crc64 } = self.total;
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
            result: json!({
                "files": if spec.packed { 1 } else { spec.files },
                "numbers": numbers,
                "rubbish": rubbish,
                "blank_lines": blank,
                "sum": sum.to_string(),
                "bytes": bytes,
            }),
            outputs,
            comm_bytes_needed: 0,
            io_bytes_needed: 2 * written,
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

impl Numbers<'_> {
    /// The files that this rank makes.
    fn mine(&self) -> Range<u64> {
        block(self.spec.files, self.context.comm.size(), self.context.comm.rank())
    }

    /// Collective. Makes this rank's files, with all threads, and gives each to `take`.
    fn each(&self, take: impl Fn(u64, &[u8]) -> Result<()> + Sync) -> Result<Made> {
        let Range { start, end } = self.mine();
        let pieces: Vec<u64> = (start..end).step_by(to_usize(FILES)).collect();
        let (generator, packed, files) = (&self.generator, self.spec.packed, self.spec.files);
        let made = self.context.threads.map(&pieces, |&first| {
            let (mut made, mut text) = (Made::new(), Vec::new());
            for file in first..(first + FILES).min(end) {
                text.clear();
                let tally = generator.file(file, &mut text, &mut made.planted);
                self_contained(&mut text, packed && file + 1 < files);
                made.add(tally, &text);
                take(file, &text)?;
            }
            Ok(made)
        });
        let mut all = Ok(Made::new());
        for piece in made {
            all = all.and_then(|mut all: Made| {
                all.then(piece?);
                Ok(all)
            });
        }
        self.context.comm.agree(all)
    }

    /// Writes this rank's part of the packed file, which begins at byte `at`.
    fn packed(&self, file: &PartFile<'_>, mut at: u64) -> Result<Made> {
        let (mut made, mut text, mut pending) = (Made::new(), Vec::new(), Vec::new());
        for index in self.mine() {
            text.clear();
            let tally = self.generator.file(index, &mut text, &mut made.planted);
            self_contained(&mut text, index + 1 < self.spec.files);
            made.add(tally, &text);
            pending.extend_from_slice(&text);
            if pending.len() >= PIECE {
                file.write_at(at, &pending)?;
                at += to_u64(pending.len());
                pending.clear();
            }
        }
        file.write_at(at, &pending)?;
        Ok(made)
    }

    /// Collective. Lists what was planted, in the order of the files.
    fn list(&self, file: &PartFile<'_>) -> Result<()> {
        let comm = &self.context.comm;
        let mut text = String::new();
        if comm.is_root() {
            text.push_str("file,line,kind,verdict\n");
        }
        for Planted { file, line, kind } in &self.made.planted {
            // Packed, every file has so many lines, in the order of the files.
            let (file, line) = if self.spec.packed {
                (String::new(), file * self.spec.per_file + line)
            } else {
                (name(*file), *line)
            };
            let verdict = format!("{:?}", kind.verdict()).to_lowercase();
            writeln!(text, "{file},{line},{kind},{verdict}").expect("a string takes all");
        }
        let at = comm.exclusive_scan(to_u64(text.len()));
        comm.agree(file.write_at(at, text.as_bytes()))
    }

    /// Collective. Reads back the files that the next rank has made.
    fn read_back(&self, directory: &PartDir<'_>, bytes: u64, crc64: u64) -> Result<FileSum> {
        let comm = &self.context.comm;
        let range = block(self.spec.files, comm.size(), (comm.rank() + 1) % comm.size());
        let pieces: Vec<u64> = (range.start..range.end).step_by(to_usize(FILES)).collect();
        let at = directory.as_fd();
        let longest = to_usize(self.spec.per_file.saturating_mul(32)).clamp(4096, 1 << 30);
        let read = self.context.threads.map(&pieces, |&first| {
            let mut names = Names::new();
            for file in first..(first + FILES).min(range.end) {
                names.push(name(file).as_bytes()).expect("no NUL");
            }
            let mut back = Back { sum: Ok((crc::checksum(&[]), 0)), names: &names, next: 0 };
            let all = 0..names.len();
            Openat::new(longest).read_all(at, &names, all, Trust::Listed, &mut back);
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

/// Ends the last line, where another file's text follows in the same file.
fn self_contained(text: &mut Vec<u8>, followed: bool) {
    if followed && text.last().is_some_and(|&last| last != b'\n') {
        text.push(b'\n');
    }
}

/// Checksums files in the order of their names.
struct Back<'a> {
    sum: Result<(u64, u64)>,
    names: &'a Names,
    next: usize,
}

impl Visitor for Back<'_> {
    fn small(&mut self, index: usize, buffer: &[u8], from: usize) {
        debug_assert_eq!(index, self.next, "the plain reader keeps the order");
        self.next += 1;
        let bytes = &buffer[from..];
        if let Ok((sum, total)) = &mut self.sum {
            *sum = crc::combine(*sum, crc::checksum(bytes), to_u64(bytes.len()));
            *total += to_u64(bytes.len());
        }
    }

    fn large(&mut self, index: usize, size: u64) {
        let name = self.names.get(index).to_string_lossy().into_owned();
        self.sum =
            Err(Error::verification(format!("{name}: {size} bytes were read back, too many")));
    }

    fn failed(&mut self, index: usize, problem: Problem) {
        let name = self.names.get(index).to_string_lossy().into_owned();
        self.sum = Err(Error::verification(format!("{name}: cannot be read back: {problem}")));
    }
}
