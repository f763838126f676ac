//! Names of datasets in HDF5 files: `FILE.h5:/path`.
//!
//! Only what ends in .h5 or .hdf5 before the colon is taken for one, so that other names may have colons.

use std::path::Path;

use super::form::KeyType;
use crate::store::hdf5::Number;

/// The endings of HDF5 files.
const ENDINGS: [&str; 2] = [".h5", ".hdf5"];

/// A dataset that was not named.
pub const DEFAULT: &str = "/keys";

/// The file, and the path of the dataset in it.
pub fn split(name: &str) -> (&str, Option<&str>) {
    let end = |ending: &&str| Some(name.find(&format!("{ending}:/"))? + ending.len());
    match ENDINGS.iter().filter_map(end).min() {
        Some(end) => (&name[..end], Some(&name[end + 1..])),
        None => (name, None),
    }
}

/// Whether a file of this name is taken for HDF5.
pub fn is_hdf5(file: &str) -> bool {
    let name = Path::new(file).file_name().and_then(|name| name.to_str()).unwrap_or("");
    ENDINGS.iter().any(|ending| name.strip_suffix(ending).is_some_and(|stem| !stem.is_empty()))
}

/// Whether something can be called like this in an HDF5 file.
pub fn is_path(path: &str) -> bool {
    path.strip_prefix('/').is_some_and(|path| {
        path.split('/').all(|part| !part.is_empty() && part != "." && !part.contains('\0'))
    })
}

/// What HDF5 calls keys of this type.
pub fn number(kind: KeyType) -> Number {
    match kind {
        KeyType::U32 => Number::U32,
        KeyType::U64 => Number::U64,
        KeyType::I32 => Number::I32,
        KeyType::I64 => Number::I64,
        KeyType::F32 => Number::F32,
        KeyType::F64 => Number::F64,
    }
}

/// The type of keys that these numbers are.
pub fn key_type(held: Number) -> KeyType {
    KeyType::ALL.into_iter().find(|kind| number(*kind) == held).expect("there are no others")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_at_the_ending_of_hdf5() {
        assert_eq!(split("a.h5:/keys"), ("a.h5", Some("/keys")));
        assert_eq!(split("d.h5/b.hdf5:/g/x.h5:/y"), ("d.h5/b.hdf5", Some("/g/x.h5:/y")));
        for plain in ["a.h5", "a.bin:/keys", "a.h5:keys", "a:/b.h5"] {
            assert_eq!(split(plain), (plain, None));
        }
        assert!(is_hdf5("d/a.h5") && is_hdf5("a.b.hdf5"));
        assert!(!is_hdf5(".h5") && !is_hdf5("a.h5.txt") && !is_hdf5("ah5"));
        assert!(is_path("/keys") && is_path("/g/x"));
        assert!(["/", "", "x", "/a//b", "/a/", "/./a"].iter().all(|path| !is_path(path)));
    }
}
