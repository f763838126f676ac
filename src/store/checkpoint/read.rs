//! Finding the newest checkpoint that is whole.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde_json::Value;

use super::format::{Head, Kept, Part, Unreadable};
use super::{HEAD, name, part_name, share};
use crate::comm::Comm;
use crate::error::{Error, Kind, Result};
use crate::num::{to_u64, to_usize};
use crate::stop;
use crate::store::crc::{self, Extent};
use crate::store::listing;

/// Pieces in which kept files are read.
const READ_BYTES: usize = 1 << 20;

/// More than any chain of runs numbers; what has a greater number is none of ours.
const NUMBERS: u64 = 1 << 48;

/// A checkpoint that is whole: every rank can read every part.
#[derive(Clone, Debug)]
pub struct Found {
    directory: PathBuf,
    /// Its number.
    pub number: u64,
    /// What the job said for all ranks.
    pub state: Value,
    parts: u64,
}

impl Found {
    /// How many ranks wrote it.
    pub fn parts(&self) -> u64 {
        self.parts
    }

    /// What rank `part` of those wrote, and its pieces of files outside. Local.
    ///
    /// # Errors
    /// When it cannot be read any more.
    pub fn part(&self, part: u64) -> Result<(Vec<u8>, Vec<Kept>)> {
        let path = self.directory.join(part_name(part));
        let bytes = read_file(&path, None).map_err(|cause| Error::io("read", &path, &cause))?;
        let part = Part::decode(&bytes)
            .ok_or_else(|| Error::bad_input(format!("{} changed meanwhile", path.display())))?;
        Ok((part.data, part.kept))
    }

    /// The same for all parts that are this rank's when they are dealt to the ranks in turn. Local.
    ///
    /// # Errors
    /// As [`part`](Self::part).
    pub fn mine(&self, comm: &Comm) -> Result<Vec<(Vec<u8>, Vec<Kept>)>> {
        share(to_usize(self.parts), comm).map(|part| self.part(to_u64(part))).collect()
    }

    /// The state as the job's own type.
    ///
    /// # Errors
    /// When another version of the job wrote it.
    pub fn state<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_value(self.state.clone()).map_err(|cause| {
            Error::bad_input(format!("the checkpoint {}: {cause}", self.directory.display()))
        })
    }
}

/// Numbers of the checkpoints in a directory, ascending.
pub fn numbers(directory: &Path) -> Result<Vec<u64>> {
    let list = || -> std::io::Result<Vec<u64>> {
        let number_of = |entry: OsString| {
            let number = entry.to_str()?.strip_prefix("ckpt-")?.parse().ok()?;
            (number < NUMBERS && *entry == *name(number)).then_some(number)
        };
        let names = listing::names(directory, usize::MAX)?;
        let mut numbers: Vec<u64> = names.into_iter().filter_map(number_of).collect();
        numbers.sort_unstable();
        Ok(numbers)
    };
    list().map_err(|cause| Error::io("list the checkpoints in", directory, &cause))
}

/// Collective. The newest one that is whole; remarks on those that are not.
///
/// # Errors
/// When one was made with other parameters or by a later program, or when none is whole.
pub fn newest(
    comm: &Comm,
    directory: &Path,
    identity: &Value,
    numbers: &[u64],
) -> Result<(Option<Found>, Vec<String>)> {
    let mut remarks = Vec::new();
    for &number in numbers.iter().rev() {
        let path = directory.join(name(number));
        let head = comm.decide(|| look(&path, identity))?;
        let problem = match head {
            Ok(head) => match comm.agree(whole(directory, number, &head, comm)) {
                Ok(()) => {
                    let parts = to_u64(head.parts.len());
                    let found = Found { directory: path, number, state: head.state, parts };
                    return Ok((Some(found), remarks));
                }
                Err(stopped) if stopped.kind == Kind::Stopped => return Err(stopped),
                Err(problem) => problem.message,
            },
            Err(problem) => problem,
        };
        remarks.push(format!("{} is damaged: {problem}; trying the one before", path.display()));
    }
    match remarks.pop() {
        None => Ok((None, remarks)),
        Some(last) => {
            let told = last.replace("; trying the one before", "");
            Err(Error::bad_input(format!(
                "--resume: no checkpoint in {} is whole ({told}); --force without --resume starts anew",
                directory.display()
            )))
        }
    }
}

/// On root: the head, or what is wrong with it.
fn look(path: &Path, identity: &Value) -> Result<std::result::Result<Head, String>> {
    let bytes = match read_file(&path.join(HEAD), None) {
        Ok(bytes) => bytes,
        Err(cause) => return Ok(Err(format!("its head cannot be read: {cause}"))),
    };
    let head = match Head::decode(&bytes) {
        Ok(head) => head,
        Err(Unreadable::Damaged(problem)) => return Ok(Err(problem)),
        Err(Unreadable::Newer(what)) => {
            return Err(Error::usage(format!(
                "--resume: {} has {what}; this is dcomp {}: go on with that program, or start anew with \
                 --force",
                path.display(),
                env!("CARGO_PKG_VERSION")
            )));
        }
    };
    match difference(&head.identity, identity) {
        None => Ok(Ok(head)),
        Some(what) => Err(Error::usage(format!(
            "--resume: {} was made with {what}; go on with the same parameters and inputs, or start anew \
             with --force",
            path.display()
        ))),
    }
}

/// The first thing that two runs do not have in common.
fn difference(before: &Value, now: &Value) -> Option<String> {
    if before == now {
        return None;
    }
    if let (Value::Object(before), Value::Object(now)) = (before, now) {
        let keys = before.keys().chain(now.keys().filter(|key| !before.contains_key(*key)));
        for key in keys {
            let (one, other) = (before.get(key), now.get(key));
            let both = (one.unwrap_or(&Value::Null), other.unwrap_or(&Value::Null));
            if let (Value::Object(_), Value::Object(_)) = both {
                if let Some(inner) = difference(both.0, both.1) {
                    return Some(inner);
                }
            } else if both.0 != both.1 {
                return Some(format!("{} {}, now it is {}", key.escape_debug(), both.0, both.1));
            }
        }
    }
    Some(format!("{before}, now it is {now}"))
}

/// Local. Reads this rank's share of the parts, and of the files they need; says what is wrong.
fn whole(directory: &Path, number: u64, head: &Head, comm: &Comm) -> Result<()> {
    let mut kept: Vec<Kept> = Vec::new();
    for at in share(head.parts.len(), comm) {
        let (entry, file) = (&head.parts[at], part_name(to_u64(at)));
        let path = directory.join(name(number)).join(&file);
        let bytes = match read_file(&path, Some(entry.bytes)) {
            Ok(bytes) => bytes,
            Err(cause) => return Err(damaged(format!("{file} cannot be read: {cause}"))),
        };
        let same =
            to_u64(bytes.len()) == entry.bytes && crc::hex(crc::checksum(&bytes)) == entry.crc64;
        match Part::decode(&bytes).filter(|_| same) {
            Some(part) => kept.extend(part.kept),
            None => return Err(damaged(format!("{file} has a wrong length or checksum"))),
        }
    }
    kept.iter().try_for_each(|kept| unchanged(directory, kept))
}

fn damaged(problem: String) -> Error {
    Error::bad_input(problem)
}

/// A file outside has the pieces that it had.
fn unchanged(directory: &Path, kept: &Kept) -> Result<()> {
    if kept.extents.is_empty() {
        return Ok(());
    }
    let path = directory.join(&kept.path);
    let opened = open_regular(&path);
    let path = path.display();
    let file = opened.map_err(|cause| damaged(format!("{path} cannot be opened: {cause}")))?;
    for extent in &kept.extents {
        let Extent { offset, bytes, crc64 } = *extent;
        let Some(end) = offset.checked_add(bytes) else {
            return Err(damaged(format!("{path} cannot have {bytes} bytes at {offset}")));
        };
        let found = checksum(&file, extent)
            .map_err(|cause| damaged(format!("{path} cannot be read at {offset}: {cause}")))?;
        if found != Some(crc64) {
            if found.is_none() {
                let what = "asked to stop while a checkpoint was read, which is as it was";
                return Err(Error::stopped(what));
            }
            return Err(damaged(format!("bytes {offset}..{end} of {path} changed")));
        }
    }
    Ok(())
}

/// The checksum of a piece; `None` when the run is to end meanwhile.
fn checksum(file: &File, extent: &Extent) -> std::io::Result<Option<u64>> {
    let mut buffer = vec![0; READ_BYTES.min(to_usize(extent.bytes))];
    let (mut at, end, mut sum) = (extent.offset, extent.offset + extent.bytes, crc::checksum(&[]));
    while at < end {
        if stop::must_end() {
            return Ok(None);
        }
        let piece = &mut buffer[..READ_BYTES.min(to_usize(end - at))];
        file.read_exact_at(piece, at)?;
        sum = crc::combine(sum, crc::checksum(piece), to_u64(piece.len()));
        at += to_u64(piece.len());
    }
    Ok(Some(sum))
}

/// Where the head of a checkpoint lies.
pub(super) fn head_of(directory: &Path, number: u64) -> PathBuf {
    directory.join(name(number)).join(HEAD)
}

/// The bytes of a file, unless they are more or fewer than they must be.
pub(super) fn read_file(path: &Path, length: Option<u64>) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut file = open_regular(path)?;
    let found = file.metadata()?.len();
    // What has grown beyond memory is not read to see that.
    if length.is_some_and(|length| length != found) {
        return Err(std::io::Error::other("it has a wrong length"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens a file for reading, and nothing else: a FIFO in its place would keep whoever opens it waiting.
fn open_regular(path: &Path) -> std::io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).custom_flags(flags.bits()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(std::io::Error::other("it is no file")) }
}
