//! An HDF5 grid that all ranks fill, row by row.
//!
//! Root makes the whole file but the data (`hdf5.rs`); then every rank writes its rows of each
//! dataset at their byte offsets, like any other output.

use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checkpoint::Kept;
use super::columns_file::create_part;
use super::crc::Extent;
use super::hdf5::{COUNTS, DataExtent, FRACTIONS, GridSpec, Hdf5Error, create};
use super::part::{PartFile, Published};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::measure::record::FileSum;
use crate::num::{to_u64, to_usize};

/// The file while it is filled.
pub struct GridFile<'a> {
    context: &'a Context,
    part: PartFile<'a>,
    counts: Dataset,
    fractions: Option<Dataset>,
    columns: u64,
}

/// What making the file gives.
pub type Created = std::result::Result<Vec<DataExtent>, Hdf5Error>;

/// Makes the file from its description; a job calls it once it has built that.
pub type CreateGrid<'f> = dyn Fn(&GridSpec<'_>) -> Created + 'f;

/// Where the datasets of a file lie.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct State {
    counts: Dataset,
    fractions: Option<Dataset>,
}

impl State {
    /// Whether it is the place of so many pixels' counts, with or without their fractions.
    pub fn fits(&self, pixels: u64, has_fractions: bool) -> bool {
        let fits = |&Dataset { offset, bytes }: &Dataset| {
            let end = offset.checked_add(bytes).map(i64::try_from);
            pixels.checked_mul(4) == Some(bytes) && end.is_some_and(|end| end.is_ok())
        };
        fits(&self.counts)
            && self.fractions.is_some() == has_fractions
            && self.fractions.as_ref().is_none_or(fits)
    }
}

/// A dataset's place.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Dataset {
    offset: u64,
    bytes: u64,
}

impl<'a> GridFile<'a> {
    /// Collective. Makes the file with its header and reserves its size. `grid` is called on root.
    ///
    /// # Errors
    /// When the file cannot be made or the disk has no room.
    pub fn create(
        context: &'a Context,
        target: &Path,
        force: bool,
        columns: u32,
        grid: impl FnOnce(&CreateGrid<'_>) -> Created,
    ) -> Result<Self> {
        let make = |path: &Path| grid(&|spec: &GridSpec<'_>| create(path, spec));
        let (part, places) = create_part(context, target, force, make)?;
        let find = |name: &str| {
            let place = places.iter().find(|(known, ..)| known == name);
            place.map(|&(_, offset, bytes)| Dataset { offset, bytes })
        };
        let counts = find(COUNTS).ok_or_else(|| Error::internal("no counts in the grid"))?;
        let fractions = find(FRACTIONS);
        Ok(Self { context, part, counts, fractions, columns: columns.into() })
    }

    /// Collective. Goes on with a file that an earlier run began, `state` as [`keep`](Self::keep) told it.
    ///
    /// # Errors
    /// As [`PartFile::resume`].
    pub fn resume(
        context: &'a Context,
        target: &Path,
        force: bool,
        columns: u32,
        (state, extents): (State, Vec<Extent>),
    ) -> Result<Self> {
        let part = PartFile::resume(context, target, force, extents)?;
        let State { counts, fractions } = state;
        Ok(Self { context, part, counts, fractions, columns: columns.into() })
    }

    /// Collective. Puts what was written on the disk; what a later run needs to go on.
    ///
    /// # Errors
    /// When any rank cannot sync.
    pub fn keep(&self) -> Result<(State, Kept)> {
        let Self { counts, fractions, .. } = *self;
        Ok((State { counts, fractions }, self.part.keep()?))
    }

    /// Collective. Writes runs of rows of each dataset: `counts` and `fractions` hold those of
    /// `runs`, one after the other.
    ///
    /// # Errors
    /// When any rank cannot write.
    pub fn write_rows(
        &self,
        runs: impl Iterator<Item = Range<u32>>,
        counts: &[u32],
        fractions: &[f32],
    ) -> Result<()> {
        let write = |dataset: Dataset, row: u32, bytes: &[u8]| {
            let before = u64::from(row) * self.columns * 4;
            assert!(before + to_u64(bytes.len()) <= dataset.bytes, "rows of the dataset");
            self.part.write_at(dataset.offset + before, bytes)
        };
        let (mut written, mut at) = (Ok(()), 0);
        for rows in runs {
            let pixels = at..at + rows.len() * to_usize(self.columns);
            at = pixels.end;
            let bytes = bytemuck::cast_slice(&counts[pixels.clone()]);
            written = written.and_then(|()| write(self.counts, rows.start, bytes));
            if let Some(dataset) = self.fractions {
                let bytes = bytemuck::cast_slice(&fractions[pixels]);
                written = written.and_then(|()| write(dataset, rows.start, bytes));
            }
        }
        self.context.comm.agree(written)
    }

    /// Collective. Reads the file back; see [`PartFile::verify`].
    ///
    /// # Errors
    /// A verification error when it differs from what was written.
    pub fn verify(&self) -> Result<FileSum> {
        self.part.verify()
    }

    /// Collective. Puts what was written on the disk.
    ///
    /// # Errors
    /// When any rank cannot sync.
    pub fn sync(&self) -> Result<()> {
        self.part.sync()
    }

    /// Collective. Gives the synced file its name.
    ///
    /// # Errors
    /// When root cannot rename.
    pub fn publish(self) -> Result<Published> {
        self.part.publish()
    }
}
