//! A directory with one file a rank, that get their name together.
//!
//! As a part file (`part.rs`), but each rank writes a file of its own in a part directory: reserved,
//! written, read back by the rank before it, synced, and published by one rename of the directory. No two
//! ranks write to one file, which some network file systems reward; what it costs is that the number of
//! files is that of the ranks.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::path::{Path, PathBuf};

use super::crc::{self, Extent};
use super::disk;
use super::part_dir::PartDir;
use super::pieces::Writer;
use crate::comm::Comm;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::measure::Meter;
use crate::measure::record::FileSum;
use crate::num::to_usize;

/// The fewest digits of a part's number.
const DIGITS: usize = 5;

/// The directory and this rank's file while they are filled.
pub struct PartFiles<'a> {
    comm: &'a Comm,
    meter: &'a Meter,
    directory: PartDir<'a>,
    target: PathBuf,
    /// This rank's file as it will be called.
    path: PathBuf,
    file: File,
    /// What this rank has written, adjacent pieces joined.
    extents: RefCell<Vec<Extent>>,
    /// How the sync ended that went on beside the read-back.
    synced: Cell<Option<std::io::Result<()>>>,
}

/// The name of part `part` of `parts`; names sort as the parts do.
pub fn name(part: u64, parts: u64) -> String {
    let digits = parts.saturating_sub(1).to_string().len().max(DIGITS);
    format!("part-{part:0digits$}")
}

impl<'a> PartFiles<'a> {
    /// Collective. Root makes the directory, every rank its file.
    ///
    /// # Errors
    /// When root cannot make the directory or any rank its file.
    pub fn create(context: &'a Context, target: &Path) -> Result<Self> {
        let Context { comm, meter, .. } = context;
        let directory = match context.saves {
            None => PartDir::create(comm, target)?,
            Some(_) => PartDir::create_anew(comm, target)?,
        };
        let name = name(comm.rank(), comm.size());
        let file = comm.agree(meter.opening(|| directory.make(&name)))?;
        Ok(Self {
            comm,
            meter,
            directory,
            target: target.to_path_buf(),
            path: target.join(name),
            file,
            extents: RefCell::default(),
            synced: Cell::default(),
        })
    }

    /// Collective. Every rank reserves the bytes of its file.
    ///
    /// # Errors
    /// When there is no room.
    pub fn reserve(&self, bytes: u64) -> Result<()> {
        let reserved = match i64::try_from(bytes) {
            Ok(end) => self.meter.filing(|| disk::reserve(&self.file, end)),
            Err(_) => Err(nix::errno::Errno::EFBIG.into()),
        };
        self.comm.agree(
            reserved.map_err(|cause| {
                Error::io(format!("reserve {bytes} bytes for"), &self.path, &cause)
            }),
        )
    }

    /// What several threads may write with at once, from 0 on; tell the file by
    /// [`note_all`](Self::note_all).
    pub fn writer(&self) -> Writer<'_> {
        Writer::new(&self.file, &self.path)
    }

    /// Remembers what a [`Writer`] wrote. Local.
    pub fn note_all(&self, extents: impl IntoIterator<Item = Extent>) {
        for extent in extents {
            self.meter.writing(to_usize(extent.bytes), || ());
            crc::note(&mut self.extents.borrow_mut(), extent);
        }
    }

    /// Collective. Each rank reads the next one's file back and compares it with what that one meant to
    /// write. Returns the whole, as if the files were one, and then each file.
    ///
    /// # Errors
    /// A verification error when pieces leave a gap or bytes differ.
    pub fn verify(&self) -> Result<Vec<FileSum>> {
        let (comm, size) = (self.comm, self.comm.size());
        let meant = comm.agree(self.meant())?;
        let (lengths, sums) = (comm.all_gather(meant.bytes), comm.all_gather(meant.crc64));
        let next = to_usize((comm.rank() + 1) % size);
        let read = || self.read_back((comm.rank() + 1) % size, lengths[next], sums[next]);
        let (same, synced) = disk::while_syncing(&self.file, read);
        self.synced.set(synced);
        comm.agree(same)?;
        let mut whole = Extent::of(0, &[]);
        let mut all = Vec::new();
        for (rank, (bytes, crc64)) in (0..size).zip(lengths.into_iter().zip(sums)) {
            let part = Extent { offset: whole.bytes, bytes, crc64 };
            whole = whole.joined(part).expect("one follows the other");
            all.push(sum(&self.target.join(name(rank, size)), part));
        }
        all.insert(0, sum(&self.target, whole));
        Ok(all)
    }

    /// This rank's file as it was meant.
    fn meant(&self) -> Result<Extent> {
        let extents = self.extents.borrow().clone();
        let bytes = extents.iter().map(|extent| extent.bytes).sum();
        let crc64 = crc::cover(extents, bytes).map_err(|offset| {
            Error::verification(format!(
                "{}: the pieces leave a gap or overlap at byte {offset}",
                self.path.display()
            ))
        })?;
        Ok(Extent { offset: 0, bytes, crc64 })
    }

    fn read_back(&self, rank: u64, bytes: u64, crc64: u64) -> Result<()> {
        let name = name(rank, self.comm.size());
        let path = self.target.join(&name);
        let failed = |cause: &std::io::Error| Error::io("read back", &path, cause);
        let file = self.meter.opening(|| self.directory.open(&name))?;
        let length = file.metadata().map_err(|cause| failed(&cause))?.len();
        let found = disk::read_back(self.meter, &file, 0, length.min(bytes))
            .map_err(|(_, cause)| disk::read_back_error(&cause, || failed(&cause)))?;
        if (length, found) == (bytes, crc64) {
            return Ok(());
        }
        Err(Error::verification(format!(
            "{}: read back {length} bytes with crc64 {}, written were {bytes} bytes with crc64 {}; \
             the disk or the network file system returned other bytes than it was given",
            path.display(),
            crc::hex(found),
            crc::hex(crc64)
        )))
    }

    /// Collective. Puts the files and their names on the disk.
    ///
    /// # Errors
    /// When any rank cannot sync.
    pub fn sync(&self) -> Result<()> {
        let synced = self.meter.filing(|| disk::sync(&self.file, self.synced.take()));
        self.comm.agree(synced.map_err(|cause| Error::io("sync", &self.path, &cause)))?;
        self.directory.sync()
    }

    /// Collective. Gives the synced directory its name.
    ///
    /// # Errors
    /// When root cannot rename.
    pub fn publish(self) -> Result<()> {
        self.directory.publish()
    }
}

fn sum(path: &Path, extent: Extent) -> FileSum {
    let path = path.display().to_string();
    FileSum { path, bytes: extent.bytes, crc64: crc::hex(extent.crc64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_the_parts_do() {
        assert_eq!((name(0, 1).as_str(), name(7, 100_000).as_str()), ("part-00000", "part-00007"));
        for parts in [1, 11, 100_000, 100_001] {
            let names: Vec<String> = (0..parts).map(|part| name(part, parts)).collect();
            assert!(names.is_sorted() && names.iter().all(|name| name.len() == names[0].len()));
        }
    }
}
