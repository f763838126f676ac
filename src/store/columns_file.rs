//! An HDF5 file of columns, each a dataset of one dimension, that all ranks fill.
//!
//! Root makes the whole file but the data; then every rank writes its part of each column at its byte
//! offset, like any other output.

use std::path::Path;

pub use super::hdf5::Column;
use super::hdf5::{DataExtent, Hdf5Error, Value, create_columns};
use super::part::{PartFile, Published};
use crate::context::Context;
use crate::error::{Error, Kind, Result};

/// The file while it is filled.
pub struct ColumnsFile<'a> {
    part: PartFile<'a>,
    offsets: Vec<u64>,
}

/// A dataset's name, first byte and bytes.
pub type Place = (String, u64, u64);

/// Collective. Makes a part file by `make` on root, reserves its size and takes what HDF5 wrote, and
/// the holes between datasets, into its checksum. Returns the datasets' places.
///
/// # Errors
/// When the file cannot be made or the disk has no room.
pub fn create_part<'a>(
    context: &'a Context,
    target: &Path,
    force: bool,
    make: impl FnOnce(&Path) -> std::result::Result<Vec<DataExtent>, Hdf5Error>,
) -> Result<(PartFile<'a>, Vec<Place>)> {
    let comm = &context.comm;
    let mut extents = Vec::new();
    let part = PartFile::create(context, target, force, |path| {
        extents = context.meter.filing(|| make(path)).map_err(|cause| {
            // HDF5 knows the part file; the user knows the target.
            let message = cause
                .to_string()
                .replace(&path.display().to_string(), &target.display().to_string());
            Error { kind: Kind::Io, message }
        })?;
        Ok(())
    })?;
    let (places, end) = comm.decide(|| {
        let places: Vec<Place> = extents
            .iter()
            .map(|extent| (extent.name.to_owned(), extent.offset, extent.bytes))
            .collect();
        Ok((places, part.file_bytes()?))
    })?;
    part.reserve(end)?;
    let adopted = if comm.is_root() { adopt_rest(&part, &places, end) } else { Ok(()) };
    comm.agree(adopted)?;
    Ok((part, places))
}

fn adopt_rest(part: &PartFile<'_>, places: &[Place], end: u64) -> Result<()> {
    let mut sorted: Vec<(u64, u64)> =
        places.iter().map(|&(_, offset, bytes)| (offset, bytes)).filter(|(_, b)| *b > 0).collect();
    sorted.sort_unstable();
    let mut at = 0;
    for (offset, bytes) in sorted {
        part.adopt(at, offset - at)?;
        at = offset + bytes;
    }
    part.adopt(at, end - at)
}

impl<'a> ColumnsFile<'a> {
    /// Collective. Makes the file with `rows` rows and reserves its size.
    ///
    /// # Errors
    /// When the file cannot be made or the disk has no room.
    pub fn create(
        context: &'a Context,
        target: &Path,
        force: bool,
        rows: u64,
        columns: &[Column],
        attributes: &[(&str, Value)],
    ) -> Result<Self> {
        let make = |path: &Path| create_columns(path, rows, columns, attributes);
        let (part, places) = create_part(context, target, force, make)?;
        Ok(Self { part, offsets: places.iter().map(|&(_, offset, _)| offset).collect() })
    }

    /// The part file, for writing at [`offset`](Self::offset).
    pub fn part(&self) -> &PartFile<'a> {
        &self.part
    }

    /// Where column `index` begins.
    pub fn offset(&self, index: usize) -> u64 {
        self.offsets[index]
    }

    /// Collective. Gives the file its name.
    ///
    /// # Errors
    /// When root cannot rename.
    pub fn publish(self) -> Result<Published> {
        self.part.publish()
    }
}
