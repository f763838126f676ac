//! Datasets of one dimension that hold nothing but numbers: made empty, and read.
//!
//! A dataset is made contiguous, so that ranks fill it with positioned writes. One that is read may have
//! any layout: where its bytes lie in the file as they are wanted, [`Numbers::place`] tells the offset and
//! nothing need go through the library; else the library converts and decompresses, one thread at a time.

use std::path::{Path, PathBuf};

use ::hdf5::dataset::Layout;
use ::hdf5::types::{FloatSize, IntSize, TypeDescriptor};
use ::hdf5::{Dataset, Datatype, File, H5Type};
use ndarray::s;

use super::{
    ALIGNMENT, DataExtent, Hdf5Error, Value, by_system, context, contiguous, describe, grow_to,
    has, set_attribute,
};
use crate::num::{to_u64, to_usize};

/// Numbers that are read through the library at a time, unless a chunk has more.
const PIECE: u64 = 1 << 17;

/// What is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// Unsigned, four bytes.
    U32,
    /// Unsigned, eight bytes.
    U64,
    /// Signed, four bytes.
    I32,
    /// Signed, eight bytes.
    I64,
    /// Floating point, four bytes.
    F32,
    /// Floating point, eight bytes.
    F64,
}

/// Runs the same code for each type of number.
macro_rules! by_number {
    ($number:expr, $T:ident => $work:expr) => {{
        macro_rules! of {
            ($t:ty) => {{
                type $T = $t;
                $work
            }};
        }
        match $number {
            Number::U32 => of!(u32),
            Number::U64 => of!(u64),
            Number::I32 => of!(i32),
            Number::I64 => of!(i64),
            Number::F32 => of!(f32),
            Number::F64 => of!(f64),
        }
    }};
}

impl Number {
    /// Bytes of one.
    pub fn bytes(self) -> u64 {
        by_number!(self, T => to_u64(size_of::<T>()))
    }

    fn of(kind: &TypeDescriptor) -> Option<Self> {
        match kind {
            TypeDescriptor::Unsigned(IntSize::U4) => Some(Self::U32),
            TypeDescriptor::Unsigned(IntSize::U8) => Some(Self::U64),
            TypeDescriptor::Integer(IntSize::U4) => Some(Self::I32),
            TypeDescriptor::Integer(IntSize::U8) => Some(Self::I64),
            TypeDescriptor::Float(FloatSize::U4) => Some(Self::F32),
            TypeDescriptor::Float(FloatSize::U8) => Some(Self::F64),
            _ => None,
        }
    }
}

/// A dataset that is to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewNumbers<'a> {
    /// Its path in the file; groups on the way are made.
    pub path: &'a str,
    /// What it holds.
    pub number: Number,
    /// How many.
    pub count: u64,
    /// What they are, for readers.
    pub meaning: &'a str,
}

/// Makes a file with one dataset and everything but its numbers, and returns their place; see
/// [`create`](super::create).
///
/// # Errors
/// When HDF5 or the file system refuses.
pub fn create_numbers(
    path: &Path,
    new: &NewNumbers<'_>,
    attributes: &[(&str, Value)],
) -> Result<Vec<DataExtent>, Hdf5Error> {
    let write = || -> ::hdf5::Result<DataExtent> {
        let file = File::with_options()
            .with_fapl(|access| access.alignment(ALIGNMENT, ALIGNMENT))
            .create(path)?;
        for (name, value) in attributes {
            set_attribute(&file, name, value)?;
        }
        let (name, count) = (new.path, to_usize(new.count));
        let dataset = by_number!(new.number, T => contiguous::<T>(&file, name, count))?;
        describe(&dataset, new.meaning)?;
        let offset = match dataset.offset() {
            Some(offset) => offset,
            // Nothing has no place.
            None if new.count == 0 => 0,
            None => return Err("HDF5 gave a contiguous dataset no place".into()),
        };
        file.flush()?; // dropping a dataset tells no error
        drop(dataset);
        file.close()?;
        Ok(DataExtent { name: "numbers", offset, bytes: new.number.bytes() * new.count })
    };
    let extents = vec![context(path, "create the file", write())?];
    grow_to(path, &extents)?;
    Ok(extents)
}

/// A dataset of one dimension, open for reading.
pub struct Numbers {
    path: PathBuf,
    name: String,
    dataset: Dataset,
    number: Number,
    count: u64,
}

impl Numbers {
    /// Opens a dataset by its path in the file.
    ///
    /// # Errors
    /// When there is no such dataset, or it is not one dimension of numbers that are known here.
    pub fn open(path: &Path, name: &str) -> Result<Self, Hdf5Error> {
        let file = super::reader::open(path)?;
        let fail = |problem: String| Hdf5Error::Content { path: path.to_owned(), problem };
        if !exists(path, &file, name)? {
            let problem = format!("has no dataset {name}; `h5ls -r` lists what it has");
            return Err(fail(problem));
        }
        let dataset = match file.dataset(name) {
            Err(cause) if by_system(&cause) => context(path, &format!("open {name}"), Err(cause)),
            opened => opened.map_err(|_| {
                fail(format!("{name} is no dataset; `h5ls -r` lists what the file has"))
            }),
        }?;
        let kind = dataset.dtype().and_then(|datatype| datatype.to_descriptor());
        let number = kind.as_ref().ok().and_then(Number::of).ok_or_else(|| {
            let held = kind.map_or("another type".to_owned(), |kind| kind.to_string());
            fail(format!(
                "dataset {name} holds {held}; integers and floating-point numbers of 4 or 8 bytes \
                 can be read"
            ))
        })?;
        let &[count] = dataset.shape().as_slice() else {
            let dimensions = dataset.ndim();
            return Err(fail(format!(
                "dataset {name} has {dimensions} dimensions; it must have 1"
            )));
        };
        // No file reaches further; a header may say so all the same.
        if to_u64(count) > i64::MAX.cast_unsigned() / number.bytes() {
            return Err(fail(format!(
                "dataset {name} tells of {count} numbers, more than files hold"
            )));
        }
        let (path, name) = (path.to_owned(), name.to_owned());
        Ok(Self { path, name, dataset, number, count: to_u64(count) })
    }

    /// What it holds.
    pub fn number(&self) -> Number {
        self.number
    }

    /// How many.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The byte of the file where the numbers begin, when they lie there one after the other,
    /// little-endian, as in memory.
    pub fn place(&self) -> Option<u64> {
        let stored = self.dataset.dtype().ok()?;
        let wanted = by_number!(self.number, T => Datatype::from_type::<T>()).ok()?;
        let plain = self.dataset.layout() == Layout::Contiguous && stored == wanted;
        let offset = self.dataset.offset().filter(|_| plain)?;
        // The data of some contiguous datasets lie in other files or were never written.
        let end = self.number.bytes().checked_mul(self.count)?.checked_add(offset)?;
        let length = std::fs::metadata(&self.path).ok()?.len();
        (end <= length && cfg!(target_endian = "little")).then_some(offset)
    }

    /// The numbers from `first` on, as many as `out` has room for, in bytes as in memory.
    ///
    /// # Errors
    /// When the library cannot read them, such as for want of a filter.
    ///
    /// # Panics
    /// When there are no such numbers.
    pub fn read(&self, first: u64, out: &mut [u8]) -> Result<(), Hdf5Error> {
        let count = to_u64(out.len()) / self.number.bytes();
        assert!(first + count <= self.count, "{count} numbers from {first} of {}", self.count);
        // Whole chunks at a time: each is decompressed once.
        let chunk = self.dataset.chunk().map_or(1, |chunk| to_u64(chunk[0]).max(1));
        let piece = chunk * (PIECE / chunk).max(1);
        let mut at = first;
        while at < first + count {
            let end = ((at / piece + 1) * piece).min(first + count);
            let bytes = |index: u64| to_usize((index - first) * self.number.bytes());
            let piece = &mut out[bytes(at)..bytes(end)];
            by_number!(self.number, T => self.read_piece::<T>(at..end, piece))?;
            at = end;
        }
        Ok(())
    }

    fn read_piece<T: H5Type + bytemuck::NoUninit>(
        &self,
        numbers: std::ops::Range<u64>,
        out: &mut [u8],
    ) -> Result<(), Hdf5Error> {
        let action = format!("read numbers {numbers:?} of dataset {}", self.name);
        let selection = s![to_usize(numbers.start)..to_usize(numbers.end)];
        let read = self.dataset.read_slice_1d::<T, _>(selection);
        let numbers = context(&self.path, &action, read)?.into_raw_vec_and_offset().0;
        out.copy_from_slice(bytemuck::cast_slice(&numbers));
        Ok(())
    }
}

/// Whether something is called like this, and all groups on the way to it are there.
fn exists(path: &Path, file: &File, name: &str) -> Result<bool, Hdf5Error> {
    if name.trim_matches('/').is_empty() {
        return Ok(false);
    }
    let ends = name.match_indices('/').map(|(at, _)| at).chain([name.len()]);
    for prefix in ends.map(|end| &name[..end]).filter(|prefix| !prefix.is_empty()) {
        if !has(path, file, prefix)? {
            return Ok(false);
        }
    }
    Ok(true)
}
