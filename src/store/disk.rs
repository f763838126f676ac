//! What is done to one open file of an output: reserve its bytes, read it back, put it on the disk.
//!
//! The disk takes what was written while it is read back, in a thread of its own.

use std::fs::File;
use std::io::ErrorKind;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::posix_fallocate;

use super::{again, crc};
use crate::error::Error;
use crate::measure::Meter;
use crate::num::{to_u64, to_usize};
use crate::stop;

/// Read-back goes in pieces of this size: large enough for the disk, small beside the outputs.
const READ_BYTES: usize = 1 << 20;

/// Reserves the first `bytes`, so that a full disk is found before the work. File systems that cannot
/// reserve (some NFS) go on; their writes are checked like all others.
///
/// # Errors
/// When there is no room, or the system refuses.
pub fn reserve(file: &File, bytes: i64) -> std::io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    match again(|| posix_fallocate(file.as_fd(), 0, bytes)) {
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::ENOSYS) => Ok(()),
        Err(cause) => Err(cause.into()),
    }
}

/// What ends a read-back that nothing is wrong with: the run is to stop, and has a checkpoint.
#[derive(Debug, thiserror::Error)]
#[error("asked to stop")]
struct Stop;

/// The error of a read-back, given what it is when the system refuses.
pub(super) fn read_back_error(cause: &std::io::Error, refused: impl FnOnce() -> Error) -> Error {
    if cause.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Stop>) {
        return Error::stopped("asked to stop while the output was read back");
    }
    refused()
}

/// For who reads back, between two pieces: an error when the run is to end, for the next run can read again.
///
/// # Errors
/// One that a part file's `read_error` tells from the disk's.
pub fn unless_stopped() -> std::io::Result<()> {
    if stop::must_end() { Err(std::io::Error::new(ErrorKind::Interrupted, Stop)) } else { Ok(()) }
}

/// The CRC-64 of bytes that lie in the file, read for the run's check, which ends when the run is to stop; an
/// error with the place that could not be read.
pub(super) fn read_back(
    meter: &Meter,
    file: &File,
    offset: u64,
    bytes: u64,
) -> Result<u64, (u64, std::io::Error)> {
    checksum_while(meter, file, offset, bytes, || !stop::must_end())
}

/// The same of bytes that the run needs to begin.
pub(super) fn checksum(
    meter: &Meter,
    file: &File,
    offset: u64,
    bytes: u64,
) -> Result<u64, (u64, std::io::Error)> {
    checksum_while(meter, file, offset, bytes, || true)
}

fn checksum_while(
    meter: &Meter,
    file: &File,
    offset: u64,
    bytes: u64,
    goes_on: impl Fn() -> bool,
) -> Result<u64, (u64, std::io::Error)> {
    let mut buffer = vec![0_u8; READ_BYTES.min(to_usize(bytes))];
    let (mut at, end, mut sum) = (offset, offset + bytes, crc::checksum(&[]));
    while at < end {
        if !goes_on() {
            return Err((at, std::io::Error::new(ErrorKind::Interrupted, Stop)));
        }
        let piece = &mut buffer[..READ_BYTES.min(to_usize(end - at))];
        meter
            .reading(piece.len(), || file.read_exact_at(piece, at))
            .map_err(|cause| (at, cause))?;
        sum = crc::combine(sum, crc::checksum(piece), to_u64(piece.len()));
        at += to_u64(piece.len());
    }
    Ok(sum)
}

/// Does `work`, which takes the processor, while the disk takes what was written; how that ended, unless
/// there was no thread for it.
pub(super) fn while_syncing<R>(
    file: &File,
    work: impl FnOnce() -> R,
) -> (R, Option<std::io::Result<()>>) {
    std::thread::scope(|scope| {
        // Where no thread is to be had, the disk waits until the end.
        let thread = std::thread::Builder::new().spawn_scoped(scope, || file.sync_all()).ok();
        let value = work();
        (value, thread.map(|thread| thread.join().expect("one system call")))
    })
}

/// Syncs what was not synced by `before`, whose error counts: the system tells it once.
pub(super) fn sync(file: &File, before: Option<std::io::Result<()>>) -> std::io::Result<()> {
    before.unwrap_or(Ok(())).and_then(|()| file.sync_all())
}
