//! Whether two outputs are the same bytes, and what may be the reason if they are not.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::source::Making;
use crate::error::{Error, Result};
use crate::measure::record::FileSum;
use crate::num::to_u64;
use crate::verify::read_record;

/// Bytes that are compared at a time.
const PIECE: usize = 1 << 20;

/// How the new output differs from the old one, if it does; directories file by file, or, with
/// `joined`, as the sequence of all their files.
pub(super) fn first_difference(old: &Path, new: &Path, joined: bool) -> Result<Option<String>> {
    match (old.is_dir(), new.is_dir()) {
        (false, false) => of_sequences(&[old.to_path_buf()], &[new.to_path_buf()]),
        (true, true) if joined => of_sequences(&paths(old)?, &paths(new)?),
        (true, true) => of_directories(old, new),
        _ => Ok(Some("one is a directory, the other is none".into())),
    }
}

fn names(directory: &Path) -> Result<BTreeSet<std::ffi::OsString>> {
    let failed = |cause| Error::io("read", directory, &cause);
    let entries = std::fs::read_dir(directory).map_err(failed)?;
    entries.map(|entry| Ok(entry.map_err(failed)?.file_name())).collect()
}

fn paths(directory: &Path) -> Result<Vec<PathBuf>> {
    Ok(names(directory)?.iter().map(|name| directory.join(name)).collect())
}

fn of_directories(old: &Path, new: &Path) -> Result<Option<String>> {
    let (before, after) = (names(old)?, names(new)?);
    if let Some(name) = before.symmetric_difference(&after).next() {
        let directory = if before.contains(name) { new } else { old };
        let (name, directory) = (Path::new(name).display(), directory.display());
        return Ok(Some(format!("{name} is not in {directory}")));
    }
    for name in &before {
        if let Some(how) = of_sequences(&[old.join(name)], &[new.join(name)])? {
            return Ok(Some(format!("{}: {how}", Path::new(name).display())));
        }
    }
    Ok(None)
}

/// Files one behind the other.
struct Sequence<'a> {
    paths: std::slice::Iter<'a, PathBuf>,
    file: Option<(&'a Path, BufReader<File>)>,
}

impl<'a> Sequence<'a> {
    fn new(paths: &'a [PathBuf]) -> Self {
        Self { paths: paths.iter(), file: None }
    }

    /// Fills as much of `bytes` as there is; how much that is.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while filled < bytes.len() {
            let Some((path, file)) = &mut self.file else {
                let Some(path) = self.paths.next() else { break };
                let file = File::open(path).map_err(|cause| Error::io("read", path, &cause))?;
                self.file = Some((path, BufReader::with_capacity(PIECE, file)));
                continue;
            };
            match file.read(&mut bytes[filled..]) {
                Ok(0) => self.file = None,
                Ok(count) => filled += count,
                Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
                Err(cause) => return Err(Error::io("read", path, &cause)),
            }
        }
        Ok(filled)
    }
}

fn of_sequences(old: &[PathBuf], new: &[PathBuf]) -> Result<Option<String>> {
    let (mut old, mut new) = (Sequence::new(old), Sequence::new(new));
    let (mut before, mut after) = (vec![0; PIECE], vec![0; PIECE]);
    let mut at = 0;
    loop {
        let (was, is) = (old.fill(&mut before)?, new.fill(&mut after)?);
        let common = was.min(is);
        if let Some(place) = (0..common).find(|&place| before[place] != after[place]) {
            let byte = at + to_u64(place);
            let (was, is) = (before[place], after[place]);
            return Ok(Some(format!("byte {byte} is {is:#04x}, it was {was:#04x}")));
        }
        if was != is {
            let (what, end) = if was < is { ("more", was) } else { ("fewer", is) };
            return Ok(Some(format!("it has {what} than {} bytes", at + to_u64(end))));
        }
        if was == 0 {
            return Ok(None);
        }
        at += to_u64(common);
    }
}

/// What may have made the difference, as the end of a sentence.
pub(super) fn reasons(making: &Making, record: &Path) -> String {
    let mut reasons = String::new();
    let ours = env!("CARGO_PKG_VERSION");
    if making.version != ours {
        reasons.push_str("; dcomp ");
        reasons.push_str(&making.version);
        reasons.push_str(" made it, and this is ");
        reasons.push_str(ours);
    }
    if let Some(input) = changed_input(making, record) {
        reasons.push_str("; since then its input was changed: ");
        reasons.push_str(&input);
    }
    reasons
}

/// The first input that is not what it was.
fn changed_input(making: &Making, record: &Path) -> Option<String> {
    let then: Vec<FileSum> = making.record.as_ref()?.read("input").ok()?;
    let now: Vec<FileSum> = read_record(record, "").ok()?.read("input").ok()?;
    let pairs = then.iter().zip(&now);
    let changed = pairs.into_iter().find(|(then, now)| then != now)?;
    Some(changed.0.path.clone())
}
