//! Inputs from files: what a user names is read as what it is.

use std::path::{Path, PathBuf};

use super::input::{self, Read};
use crate::error::{Error, Result};
use crate::measure::record;

/// Reads files of runs, run records, and directories with either.
///
/// # Errors
/// When one cannot be read or holds something else.
pub fn read(inputs: &[PathBuf], tables: &[PathBuf]) -> Result<Read> {
    let mut all = Read::default();
    let mut add = |read: Read| {
        all.samples.extend(read.samples);
        all.notes.extend(read.notes);
    };
    let mut seen = std::collections::BTreeSet::new();
    let mut is_new = |path: &Path| seen.insert(path.canonicalize().unwrap_or_else(|_| path.into()));
    for path in inputs {
        for file in files(path)?.into_iter().filter(|file| is_new(file)) {
            add(input::json(&text(&file)?, &file.display().to_string())?);
        }
    }
    for path in tables.iter().filter(|path| is_new(path)) {
        add(input::csv(&text(path)?, &path.display().to_string())?);
    }
    Ok(all)
}

fn text(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|cause| match cause.kind() {
        std::io::ErrorKind::InvalidData => {
            Error::bad_input(format!("{} is not text", path.display()))
        }
        _ => Error::io("read", path, &cause),
    })
}

/// A file itself; of a directory its `runs*.jsonl`, else its run records.
fn files(path: &Path) -> Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let runs = runs_in(path)?;
    if !runs.is_empty() {
        return Ok(runs);
    }
    let records: Vec<PathBuf> =
        list(path)?.into_iter().filter(|file| record::is_ours(file)).collect();
    if records.is_empty() {
        return Err(Error::bad_input(format!(
            "{} holds neither runs.jsonl nor run records; give the directory of dcomp scaling run",
            path.display()
        )));
    }
    Ok(records)
}

/// The `runs*.jsonl` of a study's directory, by name.
///
/// # Errors
/// When it cannot be listed.
pub fn runs_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let is_runs = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("runs") && file.extension().is_some_and(|ending| ending == "jsonl")
    };
    Ok(list(directory)?.into_iter().filter(is_runs).collect())
}

/// What is in a directory, by name.
///
/// # Errors
/// When it cannot be listed.
pub fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let failed = |cause| Error::io("list", directory, &cause);
    let entries = std::fs::read_dir(directory).map_err(failed)?;
    let names: std::io::Result<Vec<PathBuf>> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut names = names.map_err(failed)?;
    names.sort();
    Ok(names)
}
