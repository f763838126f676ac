//! A sorted run, on the disk or in memory: looked up by item, read by bytes.

use super::disk_run::DiskRun;
use super::form::Form;
use super::local::Sequence;
use crate::error::Result;
use crate::measure::Meter;
use crate::num::{to_u64, to_usize};

/// A sorted run.
pub enum SortedRun {
    /// On the disk.
    Stored(DiskRun),
    /// In memory, where it was sorted.
    Held(Sequence),
}

impl SortedRun {
    /// What lies on the disk.
    pub fn stored(&self) -> Option<&DiskRun> {
        match self {
            Self::Stored(run) => Some(run),
            Self::Held(_) => None,
        }
    }

    /// Its items.
    pub fn items(&self) -> u64 {
        match self {
            Self::Stored(run) => run.items(),
            Self::Held(sequence) => sequence.len(),
        }
    }

    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Stored(run) => run.bytes(),
            Self::Held(sequence) => to_u64(sequence.items.len()),
        }
    }

    /// Every how many items a key is in memory, about: a power of two.
    pub fn coarse(&self) -> u64 {
        self.stored().map_or(1, DiskRun::coarse)
    }

    /// Appends the key of an item.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn key(&self, form: &dyn Form, item: u64, out: &mut Vec<u8>) -> Result<()> {
        match self {
            Self::Stored(run) => run.key(form, item, out)?,
            Self::Held(sequence) => sequence.key(form, item, out),
        }
        Ok(())
    }

    /// The bytes of an item.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn item(&self, form: &dyn Form, item: u64) -> Result<Vec<u8>> {
        match self {
            Self::Stored(run) => run.item(form, item),
            Self::Held(sequence) => {
                let item = to_usize(item);
                Ok(sequence.items[sequence.index.bytes(item..item + 1)].to_vec())
            }
        }
    }

    /// Where an item begins among the run's bytes; the end of all for the number of items.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn offset(&self, form: &dyn Form, item: u64) -> Result<u64> {
        match self {
            Self::Stored(run) => run.offset(form, item),
            Self::Held(sequence) => Ok(to_u64(sequence.index.start(to_usize(item)))),
        }
    }

    /// Fills `out` with the run's bytes from an offset on.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(&self, form: &dyn Form, meter: &Meter, from: u64, out: &mut [u8]) -> Result<()> {
        match self {
            Self::Stored(run) => run.read(form, meter, from, out)?,
            Self::Held(sequence) => {
                out.copy_from_slice(&sequence.items[to_usize(from)..][..out.len()]);
            }
        }
        Ok(())
    }
}
