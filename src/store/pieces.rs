//! Pieces of one file that many ranks and threads write: positioned writes, and the checksum of the whole.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::crc::{self, Extent};
use crate::comm::Comm;
use crate::error::{Error, Result};

/// Writes ranges of a part file from any thread.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    file: &'a File,
    target: &'a Path,
}

impl<'a> Writer<'a> {
    /// For a file of the store, which errors name as `target`.
    pub(super) fn new(file: &'a File, target: &'a Path) -> Self {
        Self { file, target }
    }

    /// Writes `data` at `offset`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_at(&self, offset: u64, data: &[u8]) -> Result<Extent> {
        self.file.write_all_at(data, offset).map_err(|cause| {
            Error::io(format!("write {} bytes at {offset} of", data.len()), self.target, &cause)
        })?;
        start_writeback(self.file, offset, data.len());
        Ok(Extent::of(offset, data))
    }
}

/// Lets the disk begin with what was written, while the next bytes are made and read back: the sync at
/// the end then waits for little. A hint, whose failure changes nothing.
pub fn start_writeback(file: &File, offset: u64, bytes: usize) {
    use std::os::fd::AsRawFd;
    let (Ok(offset), Ok(bytes)) = (i64::try_from(offset), i64::try_from(bytes)) else { return };
    // SAFETY: a system call on an open file; no memory is touched.
    unsafe {
        nix::libc::sync_file_range(
            file.as_raw_fd(),
            offset,
            bytes,
            nix::libc::SYNC_FILE_RANGE_WRITE,
        );
    }
}

/// Collective. The checksum of `0..total` from the pieces of all ranks.
///
/// # Errors
/// A verification error when the pieces leave a gap or overlap.
pub fn joined(comm: &Comm, extents: &[Extent], total: u64) -> Result<u64> {
    let words: Vec<u8> = extents
        .iter()
        .flat_map(|extent| [extent.offset, extent.bytes, extent.crc64])
        .flat_map(u64::to_le_bytes)
        .collect();
    let parts = comm.gather_bytes(&words);
    comm.decide(|| {
        let all: Vec<Extent> = parts.iter().flat_map(|part| parse_extents(part)).collect();
        crc::cover(all, total).map_err(|offset| {
            Error::verification(format!(
                "the ranks' pieces leave a gap or overlap at byte {offset}"
            ))
        })
    })
}

fn parse_extents(words: &[u8]) -> Vec<Extent> {
    let mut numbers =
        words.chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes")));
    let mut extents = Vec::new();
    while let (Some(offset), Some(bytes), Some(crc64)) =
        (numbers.next(), numbers.next(), numbers.next())
    {
        extents.push(Extent { offset, bytes, crc64 });
    }
    extents
}
