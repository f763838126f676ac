//! `dcomp verify` of sorted numbers and of how often each occurs, against the record or alone.
//!
//! Sorted numbers are read by the pass that the job's own check uses, in pieces by all threads, a few at a
//! time; counts are few and read by one. What a number looks like is checked too: `7` and `007` are equal,
//! but only one of them is written by dcomp. Costs one reading of a plain file, two of HDF5.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::ops::Range;
use std::path::Path;

use serde_json::json;

use super::emit::{Entry, Form};
use super::grammar::{Refusal, Sink};
use super::histogram::mix;
use super::output::{Seen, form, read_back};
use super::spec::{OutputFormat, Spec};
use crate::error::{Error, Result};
use crate::measure::record::FileSum;
use crate::num::{to_u64, to_usize};
use crate::store::crc;
use crate::store::hdf5::{Hdf5Error, Number, Numbers, Value};
use crate::threads::Threads;
use crate::verify::{Look, Recorded, Summing, Verified, changed, not_as_made, open};

/// Bytes of a piece, a whole number of numbers of eight bytes.
const PIECE_BYTES: u64 = 4 << 20;

/// The longest line of digits: `-9223372036854775808` and its end, or a value and a count.
const LINE_MAX: u64 = 48;

/// Checks sorted numbers, or the counts beside them, against their record. Local.
///
/// # Errors
/// A verification error that names what differs, and the first place that is wrong.
pub fn verify(threads: &Threads, file: &Path, recorded: &Recorded) -> Result<Verified> {
    let spec: Spec = recorded.spec()?;
    match recorded.at {
        0 if spec.output_format == OutputFormat::Hdf5 => {
            // What was changed is not handed to the HDF5 library, which damaged files may end.
            let sum = recorded.compare(file)?.sum;
            let (found, problems) = dataset(threads, file).map_err(not_as_made)?;
            sorted(file, recorded, &found, problems, Some(sum))
        }
        0 => {
            let (found, problems, sum) = plain(threads, file, form(spec.output_format))?;
            sorted(file, recorded, &found, problems, Some(sum))
        }
        1 => {
            let csv = spec.counts.is_some_and(|path| path.extension().is_some_and(|e| e == "csv"));
            if csv {
                return counts(file, recorded, csv_counts(file)?);
            }
            let sum = Some(recorded.compare(file)?.sum);
            let looked = hdf5_counts(file).map_err(not_as_made)?;
            counts(file, recorded, Tally { sum, ..looked })
        }
        _ => recorded.compare(file),
    }
}

/// Checks an HDF5 file of numbers or counts that no record tells of. Local. What was found, and what that
/// leaves open.
///
/// # Errors
/// A verification error when it is not sound.
pub fn alone(threads: &Threads, file: &Path, counts: bool) -> Result<Vec<String>> {
    let (lines, problems) = if counts {
        let tally = hdf5_counts(file)?;
        (vec![tally.told()], tally.problems)
    } else {
        let (found, problems) = dataset(threads, file)?;
        (vec![found.told()], problems)
    };
    if !problems.is_empty() {
        return Err(changed(file, &problems));
    }
    let open =
        "no record: that these are the numbers of the inputs is not known; name it with --record";
    Ok([lines, vec![open.to_owned()]].concat())
}

fn bad(cause: &Hdf5Error) -> Error {
    match cause {
        Hdf5Error::Io { path, source } => Error::io("read", path, source),
        _ => Error::bad_input(cause.to_string()),
    }
}

/// What was found in a stretch of sorted numbers.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    seen: Seen,
    distinct: u64,
    /// The first number, from 0, that is below the one before it.
    fall: Option<u64>,
    /// Bytes of these numbers as lines.
    line_bytes: u64,
}

impl Sink for Found {
    fn number(&mut self, value: i64) -> bool {
        let last = self.seen.ends.map(|(_, last)| last);
        self.distinct += u64::from(last != Some(value));
        if last.is_some_and(|last| value < last) {
            self.fall.get_or_insert(self.seen.count);
        }
        self.line_bytes += Form::Text.len(value);
        self.seen.number(value)
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.seen.refuse(refusal);
    }
}

impl Found {
    /// With what follows.
    fn then(self, next: Self) -> Self {
        let border = self.seen.ends.zip(next.seen.ends);
        let (mut shared, mut fall) = (0, None);
        if let Some(((_, last), (first, _))) = border {
            shared = u64::from(last == first);
            fall = (first < last).then_some(0);
        }
        Self {
            seen: self.seen.then(next.seen),
            distinct: self.distinct + next.distinct - shared,
            fall: self.fall.or(fall.or(next.fall).map(|at| self.seen.count + at)),
            line_bytes: self.line_bytes + next.line_bytes,
        }
    }

    fn told(&self) -> String {
        let Seen { count, checksum, .. } = self.seen;
        format!("{count} numbers in order, {} distinct, checksum {checksum:016x}", self.distinct)
    }

    fn unordered(&self) -> Option<String> {
        let Seen { count, unordered, .. } = self.seen;
        self.fall.map(|at| {
            format!(
                "number {}, counted from 1, is below the one before it ({unordered} of {count} are out of \
                 order)",
                at + 1
            )
        })
    }
}

fn sorted(
    file: &Path,
    recorded: &Recorded,
    found: &Found,
    mut problems: Vec<String>,
    sum: Option<FileSum>,
) -> Result<Verified> {
    let Seen { count, checksum, ends, .. } = found.seen;
    problems.extend(recorded.differing(&[
        ("numbers_out", json!(count)),
        ("distinct", json!(found.distinct)),
        ("min", json!(ends.map(|(min, _)| min))),
        ("max", json!(ends.map(|(_, max)| max))),
        ("checksum", json!(format!("{checksum:016x}"))),
    ])?);
    recorded.judge(file, Look { sum, lines: vec![found.told()], problems })
}

/// Looks at the numbers in a range of a file, and sums its bytes up.
fn look(
    threads: &Threads,
    path: &Path,
    file: &File,
    (data, form): (&Range<u64>, Form),
) -> Result<(Found, u64)> {
    let batch = to_usize(PIECE_BYTES * 4 * to_u64(threads.count()));
    let (mut all, mut crc64) = (Found::default(), crc::checksum(&[]));
    for start in data.clone().step_by(batch) {
        let end = data.end.min(start + to_u64(batch));
        let piece = |from: u64| from..end.min(from + PIECE_BYTES);
        let cuts: Vec<Range<u64>> =
            (start..end).step_by(to_usize(PIECE_BYTES)).map(piece).collect();
        let read = |cut: &Range<u64>| {
            let mut found = Found::default();
            read_back(file, data, form, cut, &mut found).map(|sum| (sum, found))
        };
        for (cut, looked) in cuts.iter().zip(threads.map(&cuts, read)) {
            let (sum, found) = looked.map_err(|cause| Error::io("read", path, &cause))?;
            crc64 = crc::combine(crc64, sum, cut.end - cut.start);
            all = all.then(found);
        }
    }
    Ok((all, crc64))
}

/// A file that is nothing but numbers.
fn plain(threads: &Threads, path: &Path, form: Form) -> Result<(Found, Vec<String>, FileSum)> {
    let (file, bytes) = open(path)?;
    let (found, crc64) = look(threads, path, &file, (&(0..bytes), form))?;
    let mut problems: Vec<String> = found.unordered().into_iter().collect();
    match form {
        Form::Text if found.line_bytes != bytes || found.seen.rubbish > 0 => {
            problems.insert(0, odd_line(path, &file)?);
        }
        Form::I64 if !bytes.is_multiple_of(8) => {
            problems.push(format!("{} bytes are left over behind the last number", bytes % 8));
        }
        _ => {}
    }
    let sum = FileSum { path: path.display().to_string(), bytes, crc64: crc::hex(crc64) };
    Ok((found, problems, sum))
}

/// The first line that is not as dcomp writes numbers.
fn odd_line(path: &Path, file: &File) -> Result<String> {
    use std::io::Seek;
    let failed = |cause| Error::io("read", path, &cause);
    let mut file = file;
    file.rewind().map_err(failed)?;
    let mut lines = Lines::new(BufReader::with_capacity(1 << 20, file));
    while let Some(line) = lines.next().map_err(failed)? {
        let text = line.strip_suffix(b"\n").and_then(|text| std::str::from_utf8(text).ok());
        let value = text.and_then(|text| Some((text, text.parse::<i64>().ok()?)));
        if value.is_none_or(|(text, value)| text != itoa::Buffer::new().format(value)) {
            return Ok(lines.wrong("is no number as dcomp writes it"));
        }
    }
    Ok("its lines are other ones than a moment ago".into())
}

/// Lines of bounded length.
struct Lines<R> {
    file: R,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn new(file: R) -> Self {
        Self { file, line: Vec::new(), number: 0 }
    }

    /// The next line with its end; cut where it is longer than any of ours.
    fn next(&mut self) -> std::io::Result<Option<&[u8]>> {
        self.line.clear();
        let read = self.file.by_ref().take(LINE_MAX).read_until(b'\n', &mut self.line)?;
        self.number += 1;
        Ok((read > 0).then_some(self.line.as_slice()))
    }

    fn wrong(&self, how: &str) -> String {
        let line = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        format!("line {}: \"{}\" {how}", self.number, line.escape_ascii())
    }
}

/// The dataset of sorted numbers.
fn dataset(threads: &Threads, path: &Path) -> Result<(Found, Vec<String>)> {
    let numbers = Numbers::open(path, "numbers").map_err(|cause| bad(&cause))?;
    if numbers.number() != Number::I64 {
        let what = "its numbers are not signed integers of 8 bytes";
        return Err(Error::bad_input(format!("{}: {what}", path.display())));
    }
    let (file, _) = open(path)?;
    let found = match numbers.place() {
        Some(start) => {
            let data = start..start + 8 * numbers.count();
            look(threads, path, &file, (&data, Form::I64))?.0
        }
        // Stored anew by another program: the numbers may be the same.
        None => in_order(&numbers)?,
    };
    Ok((found, found.unordered().into_iter().collect()))
}

fn in_order(numbers: &Numbers) -> Result<Found> {
    let mut found = Found::default();
    each_piece(numbers.count(), |range| {
        for value in words(numbers, range)? {
            found.number(i64::from_ne_bytes(value));
        }
        Ok(())
    })?;
    Ok(found)
}

/// Does `work` for ranges that together are so many numbers.
fn each_piece(count: u64, mut work: impl FnMut(Range<u64>) -> Result<()>) -> Result<()> {
    const NUMBERS: u64 = 1 << 17;
    let mut at = 0;
    while at < count {
        let end = count.min(at + NUMBERS);
        work(at..end)?;
        at = end;
    }
    Ok(())
}

/// Numbers of eight bytes, as in memory.
fn words(numbers: &Numbers, range: Range<u64>) -> Result<Vec<[u8; 8]>> {
    let mut bytes = vec![0; to_usize(8 * (range.end - range.start))];
    numbers.read(range.start, &mut bytes).map_err(|cause| bad(&cause))?;
    Ok(bytes.as_chunks::<8>().0.to_vec())
}

/// Values and how often they occur, one after the other.
#[derive(Clone, Debug, Default)]
struct Tally {
    rows: u64,
    numbers: u128,
    checksum: u64,
    ends: Option<(i64, i64)>,
    /// The first that is wrong, only.
    problems: Vec<String>,
    sum: Option<FileSum>,
}

impl Tally {
    fn add(&mut self, Entry { value, count }: Entry) {
        self.rows += 1;
        let (first, last) = self.ends.unwrap_or((value, value));
        let row = self.rows;
        if self.rows > 1 && value <= last {
            self.problem(|| format!("row {row}: the value {value} does not belong behind {last}"));
        }
        if count == 0 {
            self.problem(|| format!("row {row}: the value {value} does not occur"));
        }
        self.ends = Some((first, value));
        self.numbers += u128::from(count);
        self.checksum = self.checksum.wrapping_add(mix(value).wrapping_mul(count));
    }

    fn problem(&mut self, what: impl FnOnce() -> String) {
        if self.problems.is_empty() {
            self.problems.push(what());
        }
    }

    fn told(&self) -> String {
        format!("{} values in order, together {} numbers", self.rows, self.numbers)
    }
}

fn counts(file: &Path, recorded: &Recorded, tally: Tally) -> Result<Verified> {
    let mut problems = tally.problems.clone();
    problems.extend(recorded.differing(&[
        ("distinct", json!(tally.rows)),
        ("numbers_out", u64::try_from(tally.numbers).map_or(json!(null), |numbers| json!(numbers))),
        ("min", json!(tally.ends.map(|(min, _)| min))),
        ("max", json!(tally.ends.map(|(_, max)| max))),
        ("checksum", json!(format!("{:016x}", tally.checksum))),
    ])?);
    recorded.judge(file, Look { lines: vec![tally.told()], sum: tally.sum, problems })
}

fn csv_counts(path: &Path) -> Result<Tally> {
    let failed = |cause| Error::io("read", path, &cause);
    let mut summing = Summing::new(open(path)?.0);
    let mut lines = Lines::new(BufReader::with_capacity(1 << 20, &mut summing));
    let mut tally = Tally::default();
    if lines.next().map_err(failed)? != Some(super::counts_file::HEADER.as_bytes()) {
        tally.problems.push(lines.wrong("is not the heading of counts"));
    }
    while let Some(line) = lines.next().map_err(failed)? {
        let Some(entry) = entry(line) else {
            tally.problem(|| lines.wrong("is no value and count as dcomp writes them"));
            break;
        };
        tally.add(entry);
    }
    drop(lines);
    tally.sum = Some(summing.finish(path)?);
    Ok(tally)
}

/// A line of counts, if it is written as dcomp does.
fn entry(line: &[u8]) -> Option<Entry> {
    let (value, count) = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?.split_once(',')?;
    let entry = Entry { value: value.parse().ok()?, count: count.parse().ok()? };
    (value == entry.value.to_string() && count == entry.count.to_string()).then_some(entry)
}

fn hdf5_counts(path: &Path) -> Result<Tally> {
    let open = |name| Numbers::open(path, name).map_err(|cause| bad(&cause));
    let (values, counts) = (open("value")?, open("count")?);
    let types = (values.number(), counts.number());
    if types != (Number::I64, Number::U64) || values.count() != counts.count() {
        let what = "its columns value and count are not as dcomp writes them";
        return Err(Error::bad_input(format!("{}: {what}", path.display())));
    }
    let mut tally = Tally::default();
    each_piece(values.count(), |range| {
        let pairs = words(&values, range.clone())?.into_iter().zip(words(&counts, range)?);
        for (value, count) in pairs {
            let (value, count) = (i64::from_ne_bytes(value), u64::from_ne_bytes(count));
            tally.add(Entry { value, count });
        }
        Ok(())
    })?;
    Ok(tally)
}

/// The kind of job and program that an HDF5 file names, and whether it holds counts.
pub fn is_counts(attributes: &[(String, Value)]) -> bool {
    let title = attributes.iter().find(|(name, _)| name == "title");
    title.is_some_and(|(_, title)| *title == Value::Text(super::counts_file::TITLE.into()))
}
