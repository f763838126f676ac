//! `dcomp verify FILE`: an output against its run record. What is in an output is for its job to look at;
//! here is what all share: the record, sizes and checksums, and the verdict.
//!
//! A record is a file that anybody may have edited: what it lacks or what cannot be is refused by name.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::{Error, Kind, Result};
use crate::measure::record::{FileSum, SCHEMA};
use crate::num::to_u64;
use crate::store::{crc, target};

/// The longest record: the names of a thousand inputs and the numbers of a million ranks.
const RECORD_MAX: u64 = 1 << 30;

/// A record that was read.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says.
    pub record: Value,
}

/// An output and what its record tells.
pub struct Recorded {
    /// Where the record lies.
    pub path: PathBuf,
    /// The record.
    pub record: Value,
    /// Its outputs.
    pub outputs: Vec<FileSum>,
    /// Which of them the file is.
    pub at: usize,
}

/// What an output turned out to be.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The whole output.
    pub sum: FileSum,
    /// What is in it, as far as it was looked at.
    pub lines: Vec<String>,
}

/// What a look at an output found: its bytes, and what is wrong with what is in them.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Length and checksum, when they were found on the way.
    pub sum: Option<FileSum>,
    /// What is in it.
    pub lines: Vec<String>,
    /// What is wrong, the first place first.
    pub problems: Vec<String>,
}

/// Reads a run record; `next` is what to do when there is none.
///
/// # Errors
/// A usage error when it cannot be read, bad input when it is none.
pub fn read_record(path: &Path, next: &str) -> Result<Record> {
    let shown = path.display();
    let unread = |cause: &dyn std::fmt::Display| {
        Error::usage(format!("cannot read the record {shown}: {cause}; {next}"))
    };
    // Looked at first: a pipe would make this wait, a device never end.
    let meta = std::fs::metadata(path).map_err(|cause| unread(&cause))?;
    if !meta.is_file() {
        return Err(unread(&"it is no regular file"));
    }
    if meta.len() > RECORD_MAX {
        return Err(Error::bad_input(format!("{shown}: {} bytes are no run record", meta.len())));
    }
    let text = std::fs::read(path).map_err(|cause| unread(&cause))?;
    Record::parse(&text, path)
}

impl Record {
    /// From the text of the file at `path`.
    ///
    /// # Errors
    /// Bad input when it is no record of this version.
    pub fn parse(text: &[u8], path: &Path) -> Result<Self> {
        let shown = path.display();
        let record: Value = serde_json::from_slice(text)
            .map_err(|cause| Error::bad_input(format!("{shown} is not JSON: {cause}")))?;
        let path = path.to_path_buf();
        match record["schema"].as_str() {
            Some(SCHEMA) => Ok(Self { path, record }),
            Some(other) if other.starts_with("dcomp-run/") => Err(Error::bad_input(format!(
                "{shown} has schema {other}, this dcomp reads {SCHEMA}; use a newer dcomp"
            ))),
            _ => Err(Error::bad_input(format!("{shown} is not a run record of schema {SCHEMA}"))),
        }
    }

    /// A part of the record in the type that it must have.
    ///
    /// # Errors
    /// Bad input when it has another one or is missing.
    pub fn read<T: DeserializeOwned>(&self, field: &str) -> Result<T> {
        serde_json::from_value(self.record[field].clone()).map_err(|cause| {
            let shown = self.path.display();
            Error::bad_input(format!("{field} in {shown}: {cause}; was the record edited?"))
        })
    }

    /// The files that the run made, each with a checksum that is one.
    ///
    /// # Errors
    /// Bad input when it made none or the record is damaged.
    pub fn outputs(&self) -> Result<Vec<FileSum>> {
        let outputs: Vec<FileSum> = self.read("outputs")?;
        let shown = self.path.display();
        if outputs.is_empty() {
            let why = match (self.record["outcome"].as_str(), self.record["message"].as_str()) {
                (Some(outcome), Some(why)) if outcome != "ok" => format!(" ({outcome}: {why})"),
                _ => String::new(),
            };
            return Err(Error::bad_input(format!(
                "{shown} is the record of a run that made nothing{why}; name another with --record"
            )));
        }
        let hex = |text: &str| {
            text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        match outputs.iter().find(|sum| !hex(&sum.crc64)) {
            None => Ok(outputs),
            Some(sum) => Err(Error::bad_input(format!(
                "outputs in {shown}: the crc64 of {:?} is {:?}, not 16 hexadecimal digits; was the \
                 record edited?",
                sum.path, sum.crc64
            ))),
        }
    }
}

/// Finds the record of `file`, beside it unless it is named.
///
/// # Errors
/// A usage error when the record is not there or not about this file.
pub fn recorded(file: &Path, record: Option<&Path>) -> Result<Recorded> {
    let path = record.map_or_else(|| target::record_of(file), PathBuf::from);
    let record = read_record(&path, "name it with --record")?;
    let outputs = record.outputs()?;
    // The path as recorded, when it is; else the name, for files that were moved with their record.
    let same_path = |sum: &FileSum| Path::new(&sum.path) == file;
    let same_name = |sum: &FileSum| Path::new(&sum.path).file_name() == file.file_name();
    let found = outputs.iter().position(same_path).or_else(|| outputs.iter().position(same_name));
    let at = found.ok_or_else(|| {
        Error::usage(format!(
            "{} tells of no output named {}; name the right record with --record",
            path.display(),
            file.display()
        ))
    })?;
    let Record { path, record } = record;
    Ok(Recorded { path, record, outputs, at })
}

impl Recorded {
    /// The file as it was made.
    pub fn expected(&self) -> &FileSum {
        &self.outputs[self.at]
    }

    /// The parameters of the run.
    ///
    /// # Errors
    /// Bad input when they are none of this job.
    pub fn spec<T: DeserializeOwned>(&self) -> Result<T> {
        Record { path: self.path.clone(), record: self.record.clone() }.read("spec")
    }

    /// What the run found.
    ///
    /// # Errors
    /// Bad input when the record does not say.
    pub fn result(&self, key: &str) -> Result<&Value> {
        self.record["result"].get(key).ok_or_else(|| {
            let shown = self.path.display();
            Error::bad_input(format!("result in {shown} has no {key}; was the record edited?"))
        })
    }

    /// A sentence for each number that is not as the record says.
    ///
    /// # Errors
    /// Bad input when the record does not say.
    pub fn differing(&self, found: &[(&str, Value)]) -> Result<Vec<String>> {
        let mut problems = Vec::new();
        for (key, value) in found {
            let said = self.result(key)?;
            if said != value {
                problems.push(format!("{key} is {value}, its record says {said}"));
            }
        }
        Ok(problems)
    }

    /// Compares the size and checksum of `file` with what the record says; returns them.
    ///
    /// # Errors
    /// A verification error when they differ.
    pub fn compare(&self, file: &Path) -> Result<Verified> {
        self.judge(file, Look { sum: Some(sum(file)?), ..Look::default() })
    }

    /// The verdict on a file that was looked at. Its length and checksum are found out here unless the
    /// look told them.
    ///
    /// # Errors
    /// A verification error that says everything that is wrong.
    pub fn judge(&self, file: &Path, look: Look) -> Result<Verified> {
        let found = look.sum.map_or_else(|| sum(file), Ok)?;
        let mut problems = look.problems;
        problems.extend(differs(&found, self.expected()));
        if problems.is_empty() {
            return Ok(Verified { sum: found, lines: look.lines });
        }
        Err(changed(file, &problems))
    }
}

/// The error of a file that is not what a run made.
pub fn changed(file: &Path, problems: &[String]) -> Error {
    Error::verification(format!(
        "{}: {}; it was changed after the run, make it again",
        file.display(),
        problems.join("; ")
    ))
}

/// What cannot be read as what a run made it is no longer what it was: a verification error.
pub fn not_as_made(error: Error) -> Error {
    match error.kind {
        Kind::BadInput => Error { kind: Kind::Verification, ..error },
        _ => error,
    }
}

/// How a file is not as recorded, if it is not.
pub fn differs(found: &FileSum, expected: &FileSum) -> Option<String> {
    let same = (found.bytes, &found.crc64) == (expected.bytes, &expected.crc64);
    (!same).then(|| {
        format!(
            "{} has {} bytes with crc64 {}, its record says {} bytes with crc64 {}",
            found.path, found.bytes, found.crc64, expected.bytes, expected.crc64
        )
    })
}

/// Opens an output for reading: a pipe or a device would never end.
///
/// # Errors
/// When it cannot be read, or is no regular file.
pub fn open(path: &Path) -> Result<(File, u64)> {
    let failed = |cause| Error::io("read", path, &cause);
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() {
        let what = if meta.is_dir() { "a directory" } else { "no regular file" };
        return Err(Error::bad_input(format!("{} is {what}; name an output", path.display())));
    }
    Ok((File::open(path).map_err(failed)?, meta.len()))
}

/// Length and checksum of a file, read in pieces.
///
/// # Errors
/// When it cannot be read.
pub fn sum(path: &Path) -> Result<FileSum> {
    let (file, _) = open(path)?;
    Summing::new(file).finish(path)
}

/// Sums up what somebody else reads.
pub struct Summing<R> {
    file: R,
    bytes: u64,
    crc64: u64,
}

impl<R: Read> Summing<R> {
    /// From the beginning of a file.
    pub fn new(file: R) -> Self {
        Self { file, bytes: 0, crc64: crc::checksum(&[]) }
    }

    /// Reads what is left; length and checksum of everything.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn finish(mut self, path: &Path) -> Result<FileSum> {
        let mut buffer = vec![0; 1 << 20];
        loop {
            match self.read(&mut buffer) {
                Ok(0) => break,
                Ok(_) => {}
                Err(cause) if cause.kind() == std::io::ErrorKind::Interrupted => {}
                Err(cause) => return Err(Error::io("read", path, &cause)),
            }
        }
        let path = path.display().to_string();
        Ok(FileSum { path, bytes: self.bytes, crc64: crc::hex(self.crc64) })
    }
}

impl<R: Read> Read for Summing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.file.read(buffer)?;
        let piece = &buffer[..count];
        self.crc64 = crc::combine(self.crc64, crc::checksum(piece), to_u64(count));
        self.bytes += to_u64(count);
        Ok(count)
    }
}
