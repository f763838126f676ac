//! `dcomp verify FILE`: an output against its run record.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::measure::record::{FileSum, SCHEMA};
use crate::num::to_u64;
use crate::store::{crc, target};

/// Compares the size and checksum of `file` with what its record says; returns them.
///
/// # Errors
/// A verification error when they differ; a usage error when the record is not about this file.
pub fn verify(file: &Path, record: Option<&Path>) -> Result<FileSum> {
    let record_path = record.map_or_else(|| target::record_of(file), PathBuf::from);
    let text = std::fs::read_to_string(&record_path).map_err(|cause| {
        Error::usage(format!(
            "cannot read the record {}: {cause}; name it with --record",
            record_path.display()
        ))
    })?;
    let record: Value = serde_json::from_str(&text).map_err(|cause| {
        Error::bad_input(format!("{} is not JSON: {cause}", record_path.display()))
    })?;
    if record["schema"] != SCHEMA {
        return Err(Error::bad_input(format!(
            "{} is not a run record of schema {SCHEMA}",
            record_path.display()
        )));
    }
    let outputs: Vec<FileSum> =
        serde_json::from_value(record["outputs"].clone()).map_err(|cause| {
            Error::bad_input(format!("outputs in {}: {cause}", record_path.display()))
        })?;
    // The path as recorded, when it is; else the name, for files that were moved with their record.
    let same_path = |sum: &&FileSum| Path::new(&sum.path) == file;
    let same_name = |sum: &&FileSum| Path::new(&sum.path).file_name() == file.file_name();
    let found = outputs.iter().find(same_path).or_else(|| outputs.iter().find(same_name));
    let expected = found.ok_or_else(|| {
        Error::usage(format!(
            "{} tells of no output named {}; name the right record with --record",
            record_path.display(),
            file.display()
        ))
    })?;
    let found = sum(file)?;
    if (found.bytes, &found.crc64) == (expected.bytes, &expected.crc64) {
        return Ok(found);
    }
    Err(Error::verification(format!(
        "{} has {} bytes with crc64 {}, its record says {} bytes with crc64 {}; it was changed \
         after the run, make it again",
        file.display(),
        found.bytes,
        found.crc64,
        expected.bytes,
        expected.crc64
    )))
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
            let count = file.read(&mut buffer)?;
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
