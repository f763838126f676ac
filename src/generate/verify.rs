//! `dcomp verify` of generated data: every byte is made again, compared, and thrown away.
//!
//! That finds any change and names its place, and needs no trust in checksums of the record. Costs about as
//! much as making the data: all threads make pieces, and as many wait in memory as there are threads.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::items::{Items, PIECE_BYTES};
use super::spec::Spec;
use super::{Made, Maker, PLANTED_HEADING, list_planted, name};
use crate::error::{Error, Result};
use crate::measure::record::FileSum;
use crate::num::{to_u64, to_usize};
use crate::store::crc;
use crate::threads::Threads;
use crate::verify::{Look, Recorded, Verified, open};

/// Compares a file of keys or records with what its record makes. Local.
///
/// # Errors
/// A verification error that names the first item that is another one.
pub fn items<I: Items>(threads: &Threads, file: &Path, recorded: &Recorded) -> Result<Verified>
where
    I::Spec: DeserializeOwned,
{
    let spec: I::Spec = recorded.spec()?;
    let items = I::new(&spec).map_err(|problem| no_spec(recorded, &problem))?;
    if recorded.at > 0 {
        return recorded.compare(file);
    }
    let item_bytes = to_u64(items.item_bytes());
    let (opened, bytes) = open(file)?;
    let mut look = Look::default();
    let Some(made_bytes) = items.count().checked_mul(item_bytes) else {
        return Err(no_spec(recorded, &("count", format!("{} items", items.count()))));
    };
    if bytes != made_bytes {
        look.problems.push(format!("it has {bytes} bytes, made again it has {made_bytes}"));
    }
    let step = to_u64(PIECE_BYTES) / item_bytes * item_bytes;
    let make = |range: &Range<u64>| {
        let mut made = vec![0; to_usize(range.end - range.start)];
        items.fill(range.start / item_bytes, &mut made);
        let difference = difference(file, &opened, range.start, &made)?;
        Ok::<_, Error>((items.checksum(&made), crc::Extent::of(range.start, &made), difference))
    };
    let (mut checksum, mut crc64, mut at) = (0_u128, crc::checksum(&[]), 0);
    // What follows the first difference would only be made for the checksum, which then differs anyway.
    let whole = bytes.min(made_bytes) / item_bytes * item_bytes;
    while at < whole && look.problems.len() < 2 {
        let end = whole.min(at + step * to_u64(threads.count()));
        let ranges: Vec<Range<u64>> =
            (at..end).step_by(to_usize(step)).map(|from| from..end.min(from + step)).collect();
        for made in threads.map(&ranges, make) {
            let (sum, extent, difference) = made?;
            checksum = checksum.wrapping_add(sum);
            crc64 = crc::combine(crc64, extent.crc64, extent.bytes);
            if let Some(found) = difference {
                let item = found.byte / item_bytes + 1;
                look.problems.push(found.told(&format!(", in item {item} counted from 1,")));
                return recorded.judge(file, look);
            }
        }
        at = end;
    }
    if look.problems.is_empty() {
        look.sum = Some(FileSum { path: shown(file), bytes, crc64: crc::hex(crc64) });
        look.problems = differing(recorded, &items.result(&spec, checksum))?;
        look.lines.push(format!("all {} items are those that its seed makes", items.count()));
    }
    recorded.judge(file, look)
}

fn no_spec(recorded: &Recorded, (key, problem): &(&'static str, String)) -> Error {
    let shown = recorded.path.display();
    Error::bad_input(format!("spec in {shown}: {key}: {problem}; was the record edited?"))
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

/// What a run finds, against what the record says that it found.
fn differing(recorded: &Recorded, result: &Value) -> Result<Vec<String>> {
    let fields = result.as_object().into_iter().flatten();
    let found: Vec<(&str, Value)> =
        fields.map(|(key, value)| (key.as_str(), value.clone())).collect();
    recorded.differing(&found)
}

/// The first byte that is another one.
struct Difference {
    byte: u64,
    found: u8,
    expected: u8,
}

impl Difference {
    /// In words; `place` says where, beside the byte.
    fn told(&self, place: &str) -> String {
        let Self { byte, found, expected } = self;
        format!("byte {byte}{place} is {found:#04x}; made again it is {expected:#04x}")
    }
}

/// Compares bytes of a file that reaches as far.
fn difference(path: &Path, file: &File, at: u64, made: &[u8]) -> Result<Option<Difference>> {
    let mut read = vec![0; made.len()];
    file.read_exact_at(&mut read, at).map_err(|cause| Error::io("read", path, &cause))?;
    if read == made {
        return Ok(None);
    }
    let place = read.iter().zip(made).position(|(found, expected)| found != expected);
    Ok(place.map(|place| Difference {
        byte: at + to_u64(place),
        found: read[place],
        expected: made[place],
    }))
}

/// Compares text files of numbers, or the list of planted lines, with what their record makes. Local.
///
/// # Errors
/// A verification error that names the first file and byte that are other ones.
pub fn numbers(threads: &Threads, file: &Path, recorded: &Recorded) -> Result<Verified> {
    let spec: Spec = recorded.spec()?;
    spec.check().map_err(|problem| no_spec(recorded, &problem))?;
    if recorded.at > 1 || (recorded.at == 1 && spec.planted().is_none()) {
        return recorded.compare(file);
    }
    let list = recorded.at == 1;
    let mut again = Again::new(threads, &spec, file, !list && !spec.packed)?;
    let looked = if list {
        again.planted()
    } else if spec.packed {
        again.packed()
    } else {
        again.directory()
    };
    looked?;
    let Again { problems, total, .. } = again;
    let mut look = Look { problems, ..Look::default() };
    if !list && look.problems.is_empty() {
        let super::Total { bytes, crc64, .. } = total.total;
        look.sum = Some(FileSum { path: shown(file), bytes, crc64: crc::hex(crc64) });
        look.problems = differing(recorded, &total.total.result(&spec))?;
    } else if !spec.packed && !list {
        // A directory has no checksum of its own, and what is wrong has been told.
        return Err(crate::verify::changed(file, &look.problems));
    }
    look.lines.push("every line is the one that its seed makes".into());
    recorded.judge(file, look)
}

/// A data set that is made again.
struct Again<'a> {
    threads: &'a Threads,
    maker: Maker<'a>,
    file: &'a Path,
    total: Made,
    problems: Vec<String>,
}

impl<'a> Again<'a> {
    fn new(threads: &'a Threads, spec: &'a Spec, file: &'a Path, directory: bool) -> Result<Self> {
        // Files of nothing that lie one behind the other are nothing.
        let files = if spec.packed && spec.per_file == 0 { 0 } else { spec.files };
        let maker = Maker::new(spec, 0..files);
        if !directory || file.is_dir() {
            let (total, problems) = Default::default();
            return Ok(Self { threads, maker, file, total, problems });
        }
        Err(Error::verification(format!(
            "{}: no directory of files any more; it was changed after the run, make it again",
            file.display()
        )))
    }

    /// Makes all pieces, some at a time, and gives each with its text to `take`, until that finds a problem.
    fn pieces<T: Send>(
        &mut self,
        make: impl Fn(&Maker<'a>, u64) -> Result<(Made, T)> + Sync,
        mut take: impl FnMut(&Made, T) -> Result<Option<String>>,
    ) -> Result<()> {
        let (step, end) = (self.maker.step, self.maker.mine.end);
        let batch = step * to_u64(self.threads.count());
        let mut from = 0;
        while from < end {
            let until = end.min(from.saturating_add(batch));
            let firsts: Vec<u64> = (from..until).step_by(to_usize(step)).collect();
            for made in self.threads.map(&firsts, |&first| make(&self.maker, first)) {
                let (piece, text) = made?;
                if let Some(problem) = take(&piece, text)? {
                    self.problems.push(problem);
                    return Ok(());
                }
                self.total =
                    std::mem::take(&mut self.total).then(Made { planted: Vec::new(), ..piece });
            }
            from = until;
        }
        Ok(())
    }

    /// One file of all numbers.
    fn packed(&mut self) -> Result<()> {
        let make = |maker: &Maker<'_>, first| {
            let mut text = Vec::new();
            let made = maker.piece(first, |_, piece| {
                text.extend_from_slice(piece);
                Ok(())
            })?;
            Ok((made, text))
        };
        self.stream(b"", make)
    }

    /// The list of planted lines.
    fn planted(&mut self) -> Result<()> {
        let spec = self.maker.spec;
        let make = |maker: &Maker<'_>, first| {
            let made = maker.piece(first, |_, _| Ok(()))?;
            let mut text = String::new();
            made.planted.iter().for_each(|planted| list_planted(spec, planted, &mut text));
            Ok((made, text.into_bytes()))
        };
        self.stream(PLANTED_HEADING.as_bytes(), make)
    }

    /// A file that is a heading and then the pieces' texts one after the other.
    fn stream(
        &mut self,
        heading: &[u8],
        make: impl Fn(&Maker<'a>, u64) -> Result<(Made, Vec<u8>)> + Sync,
    ) -> Result<()> {
        let path = self.file;
        let (file, bytes) = open(path)?;
        let mut at = 0;
        let mut follows = |text: &[u8]| {
            let length = text.len().min(to_usize(bytes - at));
            let found = difference(path, &file, at, &text[..length])?;
            at += to_u64(length);
            let short = length < text.len();
            Ok::<_, Error>(found.map(|found| found.told("")).or_else(|| {
                short.then(|| format!("it ends after {bytes} bytes; made again it goes on"))
            }))
        };
        self.problems.extend(follows(heading)?);
        if self.problems.is_empty() {
            self.pieces(make, |_, text| follows(&text))?;
        }
        if self.problems.is_empty() && at < bytes {
            self.problems.push(format!("it has {bytes} bytes, made again it has {at}"));
        }
        Ok(())
    }

    /// A directory of a file for each stretch of numbers, and nothing else.
    fn directory(&mut self) -> Result<()> {
        if let Some(problem) = self.strange()? {
            self.problems.push(problem);
            return Ok(());
        }
        let directory = self.file;
        let make = |maker: &Maker<'_>, first| {
            let mut problem = None;
            let made = maker.piece(first, |file, text| {
                if problem.is_none() {
                    problem = other_text(directory, &name(file), text)?;
                }
                Ok(())
            })?;
            Ok((made, problem))
        };
        self.pieces(make, |_, problem| Ok(problem))
    }

    /// Something in the directory that the run did not make.
    fn strange(&self) -> Result<Option<String>> {
        let failed = |cause| Error::io("read", self.file, &cause);
        for entry in std::fs::read_dir(self.file).map_err(failed)? {
            let found = entry.map_err(failed)?.file_name();
            let index = found
                .to_str()
                .and_then(|found| {
                    found.strip_prefix("numbers_")?.strip_suffix(".txt")?.parse().ok()
                })
                .filter(|&index: &u64| index < self.maker.spec.files && *name(index) == *found);
            if index.is_none() {
                let found = found.to_string_lossy();
                return Ok(Some(format!("{found} in it was not made by the run")));
            }
        }
        Ok(None)
    }
}

/// How a file of a directory differs from its text.
fn other_text(directory: &Path, name: &str, text: &[u8]) -> Result<Option<String>> {
    let path = directory.join(name);
    if !path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
        return Ok(Some(format!("{name} is missing or no regular file")));
    }
    let (file, bytes) = open(&path)?;
    let length = text.len().min(to_usize(bytes));
    let difference = difference(&path, &file, 0, &text[..length])?;
    Ok(difference.map(|found| found.told(&format!(" of {name}"))).or_else(|| {
        let made = text.len();
        (to_u64(made) != bytes)
            .then(|| format!("{name} has {bytes} bytes, made again it has {made}"))
    }))
}
