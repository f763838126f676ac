//! HDF5 files that ranks fill without HDF5.
//!
//! [`create`] makes a complete, ordinary file by one process: every dataset is contiguous and has
//! its place before any pixel is known. The ranks then write their rows at [`DataExtent::offset`]
//! with plain positioned writes, whose errors are seen, unlike those of a collective HDF5 write.
//! The cost is that such data cannot be compressed.
//!
//! [`Reader`] reads these files and others with the same names, whatever their layout.
//!
//! This module and those below it are the only ones that name `hdf5::`.

mod numbers;
mod probe;
mod reader;
mod scale;
#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use ::hdf5::dataset::{AllocTime, FillTime, Layout};
use ::hdf5::types::VarLenUnicode;
use ::hdf5::{Dataset, File, H5Type, Location};
use thiserror::Error;

use crate::num::{to_u64, to_usize};
pub use numbers::{NewNumbers, Number, Numbers, create_numbers};
pub use reader::{Reader, Shape, attributes};

/// The name of the counts, as other Mandelbrot programs use it.
pub const COUNTS: &str = "N";
/// The name of the fractions that make the counts continuous.
pub const FRACTIONS: &str = "NF";
/// The root attribute that [`Reader::max_iterations`] reads.
pub const MAX_ITERATIONS: &str = "max_iterations";

/// The count of a point that never escaped.
const NOT_ESCAPED: u32 = u32::MAX;

/// Datasets of at least this many bytes begin at a multiple of it: the usual stripe of parallel
/// file systems, so that ranks whose ranges are cut at multiples share no stripe and no block.
const ALIGNMENT: u64 = 1 << 20;

/// What a user can do something about; each message names the file.
#[derive(Debug, Error)]
pub enum Hdf5Error {
    /// HDF5 itself refused.
    #[error("{}: cannot {action}: {source}", path.display())]
    Library {
        /// The file.
        path: PathBuf,
        /// What was tried.
        action: String,
        /// HDF5's own words.
        source: ::hdf5::Error,
    },
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The file is sound, but not what is asked for.
    #[error("{}: {problem}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the next step.
        problem: String,
    },
}

impl Hdf5Error {
    /// Whether the system refused, rather than that the file is not what it should be.
    pub fn is_system(&self) -> bool {
        match self {
            Self::Io { .. } => true,
            Self::Library { source, .. } => by_system(source),
            Self::Content { .. } => false,
        }
    }
}

/// Whether an error of the library has one of the system at its root, which it then tells by number.
fn by_system(error: &::hdf5::Error) -> bool {
    error.to_string().contains("errno = ")
}

/// Whether a file has a link of this name. The library's own question takes "cannot look" for "no".
fn has(path: &Path, file: &File, name: &str) -> Result<bool, Hdf5Error> {
    if file.link_exists(name) {
        return Ok(true);
    }
    match file.loc_type_by_name(name) {
        Ok(_) => Ok(true),
        Err(cause) if by_system(&cause) => context(path, &format!("look for {name}"), Err(cause)),
        Err(_) => Ok(false),
    }
}

/// An attribute's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// UTF-8 without zero bytes.
    Text(String),
    /// A whole number, such as a seed or an offset.
    Signed(i64),
    /// A whole number, such as a limit or a size.
    Unsigned(u64),
    /// Any other number.
    Float(f64),
}

/// What a file is made for: a grid of points and its provenance.
#[derive(Clone, Debug)]
pub struct GridSpec<'a> {
    /// The real part of each column.
    pub re: &'a [f64],
    /// The imaginary part of each row.
    pub im: &'a [f64],
    /// Whether fractions are stored beside the counts.
    pub has_fractions: bool,
    /// Root attributes: `title`, `source`, `history`, [`MAX_ITERATIONS`] and the like.
    pub attributes: &'a [(&'a str, Value)],
}

/// Where a dataset's rows belong: row after row, native byte order, no gaps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataExtent {
    /// The dataset, [`COUNTS`] or [`FRACTIONS`].
    pub name: &'static str,
    /// The first byte, counted from the start of the file.
    pub offset: u64,
    /// How many bytes there are.
    pub bytes: u64,
}

/// Names the file and the step in an error of the library.
fn context<T>(path: &Path, action: &str, result: ::hdf5::Result<T>) -> Result<T, Hdf5Error> {
    let wrap =
        |source| Hdf5Error::Library { path: path.to_owned(), action: action.to_owned(), source };
    result.map_err(wrap)
}

/// Makes a file with everything but the counts and fractions, whose places it returns. A file
/// that exists is emptied first and keeps its owner and mode.
///
/// The same specification gives the same bytes. The file has its final size, as a hole where the
/// data will be: reserving the space is up to the caller.
///
/// # Errors
/// When HDF5 or the file system refuses, or the grid has no point.
pub fn create(path: &Path, spec: &GridSpec) -> Result<Vec<DataExtent>, Hdf5Error> {
    if spec.re.is_empty() || spec.im.is_empty() {
        let problem = "a grid needs at least one column and one row".to_owned();
        return Err(Hdf5Error::Content { path: path.to_owned(), problem });
    }
    let extents = context(path, "create the file", write_header(path, spec))?;

    grow_to(path, &extents)?;
    Ok(extents)
}

fn write_header(path: &Path, spec: &GridSpec) -> ::hdf5::Result<Vec<DataExtent>> {
    let file = File::with_options()
        .with_fapl(|access| access.alignment(ALIGNMENT, ALIGNMENT))
        .create(path)?;
    for (name, value) in spec.attributes {
        set_attribute(&file, name, value)?;
    }
    let re = coordinate(&file, "re", spec.re, "real part of c")?;
    let im = coordinate(&file, "im", spec.im, "imaginary part of c")?;

    let counts = field::<u32>(&file, COUNTS, spec, "number of iterations until |z| reaches 2")?;
    // Not as _FillValue: readers would then turn the counts into floating-point numbers.
    counts.new_attr::<u32>().create("not_escaped")?.write_scalar(&NOT_ESCAPED)?;
    let mut fields = vec![(COUNTS, counts)];
    if spec.has_fractions {
        let meaning = "fraction that makes the number of iterations continuous: N + NF";
        fields.push((FRACTIONS, field::<f32>(&file, FRACTIONS, spec, meaning)?));
    }
    let datasets: Vec<&Dataset> = fields.iter().map(|(_, dataset)| dataset).collect();
    // The slowest dimension first: rows, hence imaginary parts.
    scale::attach(&datasets, &[&im, &re])?;

    let extents = fields.iter().map(|(name, dataset)| {
        let offset = dataset.offset().ok_or("HDF5 gave a contiguous dataset no place")?;
        let bytes = to_u64(dataset.size()) * to_u64(dataset.dtype()?.size());
        Ok(DataExtent { name, offset, bytes })
    });
    let extents = extents.collect::<::hdf5::Result<Vec<_>>>()?;
    file.flush()?; // what the library still holds goes to the disk now: dropping a dataset tells no error
    drop(fields);
    drop((re, im));
    file.close()?;
    Ok(extents)
}

/// A dataset of one dimension.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// What it holds, for readers.
    pub meaning: &'static str,
    /// `i64`, else `u64`.
    pub signed: bool,
    /// Whether it is the coordinate of the others' dimension.
    pub scales: bool,
}

/// Makes a file of columns of `rows` numbers each, with everything but the numbers, and returns their
/// places in the order of `columns`; see [`create`].
///
/// # Errors
/// When HDF5 or the file system refuses.
pub fn create_columns(
    path: &Path,
    rows: u64,
    columns: &[Column],
    attributes: &[(&str, Value)],
) -> Result<Vec<DataExtent>, Hdf5Error> {
    let write = || -> ::hdf5::Result<Vec<DataExtent>> {
        let file = File::with_options()
            .with_fapl(|access| access.alignment(ALIGNMENT, ALIGNMENT))
            .create(path)?;
        for (name, value) in attributes {
            set_attribute(&file, name, value)?;
        }
        let mut made = Vec::new();
        for column in columns {
            let dataset = if column.signed {
                contiguous::<i64>(&file, column.name, to_usize(rows))?
            } else {
                contiguous::<u64>(&file, column.name, to_usize(rows))?
            };
            describe(&dataset, column.meaning)?;
            if column.scales {
                scale::set(&dataset, column.name)?;
            }
            made.push((column, dataset));
        }
        if let Some((_, scale)) = made.iter().find(|(column, _)| column.scales) {
            let others: Vec<&Dataset> =
                made.iter().filter(|(column, _)| !column.scales).map(|(_, set)| set).collect();
            scale::attach(&others, &[scale])?;
        }
        let extents = made.iter().map(|(column, dataset)| {
            let offset = match dataset.offset() {
                Some(offset) => offset,
                // Nothing has no place.
                None if rows == 0 => 0,
                None => return Err("HDF5 gave a contiguous dataset no place".into()),
            };
            Ok(DataExtent { name: column.name, offset, bytes: 8 * rows })
        });
        let extents = extents.collect::<::hdf5::Result<Vec<_>>>()?;
        file.flush()?; // dropping a dataset tells no error
        drop(made);
        file.close()?;
        Ok(extents)
    };
    let extents = context(path, "create the file", write())?;
    grow_to(path, &extents)?;
    Ok(extents)
}

fn contiguous<T: H5Type>(file: &File, name: &str, rows: usize) -> ::hdf5::Result<Dataset> {
    file.new_dataset::<T>()
        .shape(rows)
        .layout(Layout::Contiguous)
        .alloc_time(Some(AllocTime::Early))
        .fill_time(FillTime::Never)
        .create_intermediate_group(true)
        .create(name)
}

/// The writes behind a header must find a file that a reader accepts even if they never happen.
fn grow_to(path: &Path, extents: &[DataExtent]) -> Result<(), Hdf5Error> {
    let grow = || {
        let file = OpenOptions::new().write(true).open(path)?;
        let end = extents.iter().map(|extent| extent.offset + extent.bytes).max().unwrap_or(0);
        if file.metadata()?.len() < end { file.set_len(end) } else { Ok(()) }
    };
    grow().map_err(|source| Hdf5Error::Io { path: path.to_owned(), source })
}

/// A dataset over the whole grid that HDF5 gives a place but no content.
fn field<T: H5Type>(
    file: &File,
    name: &str,
    spec: &GridSpec,
    meaning: &str,
) -> ::hdf5::Result<Dataset> {
    let dataset = file
        .new_dataset::<T>()
        .shape((spec.im.len(), spec.re.len()))
        .layout(Layout::Contiguous)
        .alloc_time(Some(AllocTime::Early))
        .fill_time(FillTime::Never)
        .create(name)?;
    describe(&dataset, meaning)?;
    Ok(dataset)
}

/// A dataset of coordinates along one dimension.
fn coordinate(file: &File, name: &str, values: &[f64], meaning: &str) -> ::hdf5::Result<Dataset> {
    let dataset = file.new_dataset_builder().with_data(values).create(name)?;
    describe(&dataset, meaning)?;
    scale::set(&dataset, name)?;
    Ok(dataset)
}

fn describe(dataset: &Dataset, meaning: &str) -> ::hdf5::Result<()> {
    set_attribute(dataset, "long_name", &Value::Text(meaning.to_owned()))?;
    set_attribute(dataset, "units", &Value::Text("1".to_owned()))
}

fn set_attribute(location: &Location, name: &str, value: &Value) -> ::hdf5::Result<()> {
    match value {
        Value::Text(text) => {
            let text: VarLenUnicode =
                text.parse().map_err(|error| format!("attribute {name}: {error}"))?;
            location.new_attr::<VarLenUnicode>().create(name)?.write_scalar(&text)
        }
        Value::Signed(number) => location.new_attr::<i64>().create(name)?.write_scalar(number),
        Value::Unsigned(number) => location.new_attr::<u64>().create(name)?.write_scalar(number),
        Value::Float(number) => location.new_attr::<f64>().create(name)?.write_scalar(number),
    }
}
