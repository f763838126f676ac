//! An HDF5 grid that all ranks fill, row by row.
//!
//! Root makes the whole file but the data (`hdf5.rs`); then every rank writes its rows of each
//! dataset at their byte offsets, like any other output.

use std::ops::Range;
use std::path::Path;

use super::hdf5::{COUNTS, DataExtent, FRACTIONS, GridSpec, Hdf5Error, create};
use super::part::{PartFile, Published};
use crate::context::Context;
use crate::error::{Error, Kind, Result};
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

/// A dataset's place, as ranks share it.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
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
        let comm = &context.comm;
        let mut extents = Vec::new();
        let part = PartFile::create(comm, &context.meter, target, force, |path| {
            let create_here = |spec: &GridSpec<'_>| create(path, spec);
            let made = context.meter.filing(|| grid(&create_here));
            extents = made.map_err(|cause| {
                let message = cause.to_string();
                // HDF5 knows the part file; the user knows the target.
                let message =
                    message.replace(&path.display().to_string(), &target.display().to_string());
                Error { kind: Kind::Io, message }
            })?;
            Ok(())
        })?;
        let find = |name: &str| {
            let extent = extents.iter().find(|extent| extent.name == name);
            extent.map(|extent| Dataset { offset: extent.offset, bytes: extent.bytes })
        };
        let (counts, fractions, end) = comm.decide(|| {
            let counts = find(COUNTS).ok_or_else(|| Error::internal("no counts in the grid"))?;
            Ok((counts, find(FRACTIONS), part.file_bytes()?))
        })?;
        part.reserve(end)?;
        let file = Self { context, part, counts, fractions, columns: columns.into() };
        // What HDF5 wrote is part of the file's checksum, and so are the holes between datasets.
        let adopted = if comm.is_root() { file.adopt_header(end) } else { Ok(()) };
        comm.agree(adopted)?;
        Ok(file)
    }

    fn adopt_header(&self, end: u64) -> Result<()> {
        let mut datasets: Vec<Dataset> =
            [Some(self.counts), self.fractions].into_iter().flatten().collect();
        datasets.sort_by_key(|dataset| dataset.offset);
        let mut at = 0;
        for dataset in datasets {
            self.part.adopt(at, dataset.offset - at)?;
            at = dataset.offset + dataset.bytes;
        }
        self.part.adopt(at, end - at)
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
