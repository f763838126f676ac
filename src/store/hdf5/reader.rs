//! Reading counts and fractions, from our own files and from others with the same names.

use std::ops::Range;
use std::path::{Path, PathBuf};

use ::hdf5::types::{FixedAscii, FixedUnicode, TypeDescriptor, VarLenAscii, VarLenUnicode};
use ::hdf5::{Attribute, Dataset, File, H5Type};
use ndarray::s;

use super::{COUNTS, FRACTIONS, Hdf5Error, MAX_ITERATIONS, Value, by_system, context, has};
use crate::num::{to_u64, to_usize};

/// Text attributes of a fixed size are read up to this many bytes.
const FIXED_TEXT_BYTES: usize = 4096;

/// The size of a grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Columns.
    pub width: u64,
    /// Rows.
    pub height: u64,
}

/// An open file of counts. Any layout, compression and byte order will do.
pub struct Reader {
    path: PathBuf,
    file: File,
    counts: Dataset,
    fractions: Option<Dataset>,
    shape: Shape,
}

impl Reader {
    /// Opens a file for reading.
    ///
    /// # Errors
    /// When it is no HDF5 file or holds no grid of counts.
    pub fn open(path: &Path) -> Result<Self, Hdf5Error> {
        let file = open(path)?;
        let fail = |problem: String| Hdf5Error::Content { path: path.to_owned(), problem };
        if !has(path, &file, COUNTS)? {
            let problem = format!(
                "has no dataset {COUNTS}; recolor reads files written by `dcomp mandelbrot --hdf5`"
            );
            return Err(fail(problem));
        }
        let counts = context(path, "open dataset N", file.dataset(COUNTS))?;
        let &[height, width] = counts.shape().as_slice() else {
            let problem =
                format!("dataset {COUNTS} has {} dimensions; it must have 2", counts.ndim());
            return Err(fail(problem));
        };
        // The library would clip wider or signed numbers to the range without a word.
        let kind = stored(path, &counts)?;
        if !matches!(kind, TypeDescriptor::Unsigned(_)) || kind.size() > size_of::<u32>() {
            let problem = format!(
                "dataset {COUNTS} holds {kind}; store the counts as unsigned integers of at most 32 bits"
            );
            return Err(fail(problem));
        }
        let fractions = if has(path, &file, FRACTIONS)? {
            let fractions = context(path, "open dataset NF", file.dataset(FRACTIONS))?;
            let kind = stored(path, &fractions)?;
            if fractions.shape() != [height, width] || !matches!(kind, TypeDescriptor::Float(_)) {
                let problem = format!(
                    "dataset {FRACTIONS} is {:?} of {kind}; it must be [{height}, {width}] of \
                     floating-point numbers like {COUNTS}, or be left out",
                    fractions.shape()
                );
                return Err(fail(problem));
            }
            Some(fractions)
        } else {
            None
        };
        let shape = Shape { width: to_u64(width), height: to_u64(height) };
        Ok(Reader { path: path.to_owned(), file, counts, fractions, shape })
    }

    /// The size of the grid.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The limit that the counts were made with.
    ///
    /// # Errors
    /// When the file does not say, or says something that is no limit.
    pub fn max_iterations(&self) -> Result<u32, Hdf5Error> {
        let fail = |problem: String| Hdf5Error::Content { path: self.path.clone(), problem };
        let value = match self.file.attr(MAX_ITERATIONS) {
            Ok(attribute) => value(&attribute),
            Err(cause) if by_system(&cause) => {
                return context(&self.path, &format!("read {MAX_ITERATIONS}"), Err(cause));
            }
            Err(_) => None,
        };
        let limit = match value {
            Some(Value::Unsigned(limit)) => u32::try_from(limit).ok(),
            Some(Value::Signed(limit)) => u32::try_from(limit).ok(),
            Some(_) => None,
            None => {
                let problem = format!(
                    "has no attribute {MAX_ITERATIONS}; add the limit that its counts were made with \
                     to the root group"
                );
                return Err(fail(problem));
            }
        };
        limit.filter(|&limit| limit < u32::MAX).ok_or_else(|| {
            fail(format!(
                "attribute {MAX_ITERATIONS} is no whole number from 0 to {}",
                u32::MAX - 1
            ))
        })
    }

    /// The root attributes that are single texts or numbers, sorted by name.
    ///
    /// # Errors
    /// When the names cannot be read.
    pub fn attributes(&self) -> Result<Vec<(String, Value)>, Hdf5Error> {
        attributes_of(&self.path, &self.file)
    }

    /// Some rows of counts.
    ///
    /// # Errors
    /// When they cannot be read.
    ///
    /// # Panics
    /// When there are no such rows.
    pub fn read_counts(&self, rows: Range<u64>) -> Result<Vec<u32>, Hdf5Error> {
        self.read(&self.counts, COUNTS, rows)
    }

    /// Some rows of fractions, if the file has them.
    ///
    /// # Errors
    /// When they cannot be read.
    ///
    /// # Panics
    /// When there are no such rows.
    pub fn read_fractions(&self, rows: Range<u64>) -> Result<Option<Vec<f32>>, Hdf5Error> {
        self.fractions.as_ref().map(|fractions| self.read(fractions, FRACTIONS, rows)).transpose()
    }

    fn read<T: H5Type>(
        &self,
        dataset: &Dataset,
        name: &str,
        rows: Range<u64>,
    ) -> Result<Vec<T>, Hdf5Error> {
        let height = self.shape.height;
        assert!(rows.start <= rows.end && rows.end <= height, "rows {rows:?} of {height}");
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let selection = s![to_usize(rows.start)..to_usize(rows.end), ..];
        let action = format!("read rows {rows:?} of dataset {name}");
        let block = context(&self.path, &action, dataset.read_slice_2d::<T, _>(selection))?;
        // A fresh array is in row order and begins at its first element.
        Ok(block.into_raw_vec_and_offset().0)
    }
}

/// Opens what is a regular file: a pipe would wait for a writer.
pub(super) fn open(path: &Path) -> Result<File, Hdf5Error> {
    let failed = |source| Hdf5Error::Io { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        let problem = "is no regular file; give an HDF5 file".to_owned();
        return Err(Hdf5Error::Content { path: path.to_owned(), problem });
    }
    std::fs::File::open(path).map_err(failed)?;
    super::probe::survives(path)?;
    context(path, "open it as HDF5", File::open(path))
}

/// The root attributes of any HDF5 file that are single texts or numbers, sorted by name.
///
/// # Errors
/// When it is no HDF5 file or their names cannot be read.
pub fn attributes(path: &Path) -> Result<Vec<(String, Value)>, Hdf5Error> {
    attributes_of(path, &open(path)?)
}

pub(super) fn attributes_of(path: &Path, file: &File) -> Result<Vec<(String, Value)>, Hdf5Error> {
    let mut names = context(path, "list the attributes", file.attr_names())?;
    names.sort_unstable();
    let read = |name: String| {
        let value = file.attr(&name).ok().and_then(|attribute| value(&attribute))?;
        Some((name, value))
    };
    Ok(names.into_iter().filter_map(read).collect())
}

fn stored(path: &Path, dataset: &Dataset) -> Result<TypeDescriptor, Hdf5Error> {
    let descriptor = dataset.dtype().and_then(|datatype| datatype.to_descriptor());
    context(path, &format!("read the type of dataset {}", dataset.name()), descriptor)
}

/// The value of an attribute, or `None` if it is neither one text nor one number.
fn value(attribute: &Attribute) -> Option<Value> {
    if attribute.size() != 1 {
        return None;
    }
    let text = |text: &str| Some(Value::Text(text.to_owned()));
    match attribute.dtype().ok()?.to_descriptor().ok()? {
        TypeDescriptor::Integer(_) => scalar(attribute).map(Value::Signed),
        TypeDescriptor::Unsigned(_) => scalar(attribute).map(Value::Unsigned),
        TypeDescriptor::Float(_) => scalar(attribute).map(Value::Float),
        TypeDescriptor::VarLenUnicode => text(scalar::<VarLenUnicode>(attribute)?.as_str()),
        TypeDescriptor::VarLenAscii => text(scalar::<VarLenAscii>(attribute)?.as_str()),
        TypeDescriptor::FixedUnicode(_) => {
            text(scalar::<FixedUnicode<FIXED_TEXT_BYTES>>(attribute)?.as_str())
        }
        TypeDescriptor::FixedAscii(_) => {
            text(scalar::<FixedAscii<FIXED_TEXT_BYTES>>(attribute)?.as_str())
        }
        _ => None,
    }
}

fn scalar<T: H5Type + Clone>(attribute: &Attribute) -> Option<T> {
    attribute.read_raw::<T>().ok()?.first().cloned()
}
