//! `dcomp verify FILE`: an output against its run record.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::measure::record::{FileSum, SCHEMA};
use crate::num::to_u64;
use crate::store::{crc, target};

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

/// Finds the record of `file`, beside it unless it is named.
///
/// # Errors
/// A usage error when the record is not there or not about this file.
pub fn recorded(file: &Path, record: Option<&Path>) -> Result<Recorded> {
    let path = record.map_or_else(|| target::record_of(file), PathBuf::from);
    let text = std::fs::read_to_string(&path).map_err(|cause| {
        Error::usage(format!(
            "cannot read the record {}: {cause}; name it with --record",
            path.display()
        ))
    })?;
    let record: Value = serde_json::from_str(&text)
        .map_err(|cause| Error::bad_input(format!("{} is not JSON: {cause}", path.display())))?;
    if record["schema"] != SCHEMA {
        return Err(Error::bad_input(format!(
            "{} is not a run record of schema {SCHEMA}",
            path.display()
        )));
    }
    let outputs: Vec<FileSum> = serde_json::from_value(record["outputs"].clone())
        .map_err(|cause| Error::bad_input(format!("outputs in {}: {cause}", path.display())))?;
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
    Ok(Recorded { path, record, outputs, at })
}

impl Recorded {
    /// The file as it was made.
    pub fn expected(&self) -> &FileSum {
        &self.outputs[self.at]
    }

    /// Compares the size and checksum of `file` with what the record says; returns them.
    ///
    /// # Errors
    /// A verification error when they differ.
    pub fn compare(&self, file: &Path) -> Result<FileSum> {
        let found = sum(file)?;
        match differs(&found, self.expected()) {
            None => Ok(found),
            Some(how) => Err(Error::verification(format!(
                "{how}; it was changed after the run, make it again"
            ))),
        }
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

/// Length and checksum of a file, read in pieces.
///
/// # Errors
/// When it cannot be read.
pub fn sum(path: &Path) -> Result<FileSum> {
    let read = || -> std::io::Result<(u64, u64)> {
        let mut file = File::open(path)?;
        let mut buffer = vec![0; 1 << 20];
        let (mut bytes, mut crc64) = (0, crc::checksum(&[]));
        loop {
            let count = match file.read(&mut buffer) {
                Err(cause) if cause.kind() == ErrorKind::Interrupted => continue,
                count => count?,
            };
            if count == 0 {
                return Ok((bytes, crc64));
            }
            crc64 = crc::combine(crc64, crc::checksum(&buffer[..count]), to_u64(count));
            bytes += to_u64(count);
        }
    };
    let (bytes, crc64) = read().map_err(|cause| Error::io("read", path, &cause))?;
    Ok(FileSum { path: path.display().to_string(), bytes, crc64: crc::hex(crc64) })
}
