//! Where an output goes: checked before anything is computed.

use std::fs::Metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// Refuses what cannot become an output: no directory, a directory in its place, an existing file.
/// `named` is the flag or deck key that gave the path.
///
/// # Errors
/// A usage error for what another flag or path mends; an I/O error for what the system refuses.
pub fn check(path: &Path, named: &str, force: bool) -> Result<()> {
    if path == Path::new("-") {
        return Err(Error::usage(format!(
            "{named} -: ranks write at offsets, which standard output has not; give a file name, or \
             ./- for a file of that name"
        )));
    }
    if path.file_name().is_none() || path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Err(Error::usage(format!(
            "{named} {} names no file; give a file name",
            path.display()
        )));
    }
    let parent = parent(path, named)?;
    match look(path)? {
        Some(meta) if meta.is_dir() => Err(Error::usage(format!(
            "{named} {} is a directory; give a file name in it",
            path.display()
        ))),
        // Renaming over a device or a pipe would replace it.
        Some(meta) if !meta.is_file() && !meta.is_symlink() => Err(Error::usage(format!(
            "{named} {} is not a regular file; give a file name",
            path.display()
        ))),
        Some(_) if !force => Err(Error::usage(format!(
            "{named} {} exists; --force replaces it, or choose another name",
            path.display()
        ))),
        _ => writable(path, &parent),
    }
}

/// The directory in which `path` is to be made.
///
/// # Errors
/// A usage error when it is not there, an I/O error when the system does not tell.
pub fn parent(path: &Path, named: &str) -> Result<PathBuf> {
    let parent = directory(path);
    match std::fs::metadata(&parent) {
        Ok(meta) if meta.is_dir() => Ok(parent),
        Err(cause) if !is_missing(&cause) => {
            Err(Error::io(format!("make {} in", path.display()), &parent, &cause))
        }
        _ => Err(Error::usage(format!(
            "{named} {}: the directory {} is not there; make it or choose another",
            path.display(),
            parent.display()
        ))),
    }
}

/// What is at `path`, a dangling link included, if anything is.
///
/// # Errors
/// When the system does not tell.
pub fn look(path: &Path) -> Result<Option<Metadata>> {
    match std::fs::symlink_metadata(path) {
        Ok(meta) => Ok(Some(meta)),
        Err(cause) if is_missing(&cause) => Ok(None),
        Err(cause) => Err(Error::io("look at", path, &cause)),
    }
}

/// Whether the system says that nothing is there, rather than that it cannot tell.
fn is_missing(cause: &std::io::Error) -> bool {
    matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Finds out early what would be refused after the work.
fn writable(path: &Path, parent: &Path) -> Result<()> {
    use nix::unistd::{AccessFlags, access};
    access(parent, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|cause| Error::io("create", path, &cause.into()))
}

/// Whether two paths name one file: the same file, or the same name in the same directory.
pub fn same(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let place = |path: &Path| {
        let parent = directory(path).canonicalize().ok()?;
        path.file_name().map(|name| parent.join(name))
    };
    let file = |path: &Path| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    one == other
        || place(one).is_some_and(|place_one| Some(place_one) == place(other))
        || file(one).is_some_and(|file_one| Some(file_one) == file(other))
}

/// The directory that holds `path`.
pub fn directory(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// The path with `.json` appended: where the record of an output lies.
pub fn record_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".json");
    PathBuf::from(name)
}

/// Free bytes in the file system that holds `path`'s directory, for unprivileged users.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let stats = nix::sys::statvfs::statvfs(&directory(path)).ok()?;
    Some(stats.blocks_available() * stats.fragment_size())
}

/// Whether something is at `path`, a dangling link included; also when the system cannot tell.
pub fn exists(path: &Path) -> bool {
    !matches!(look(path), Ok(None))
}
