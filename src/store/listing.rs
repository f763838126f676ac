//! What lies in a directory. Not by the standard library's iterator, which panics when a directory cannot be
//! closed, as a broken disk or a network's file system may say.

use std::ffi::{OsStr, OsString};
use std::io::{Error, ErrorKind, Result};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::Dir;
use nix::fcntl::{AT_FDCWD, OFlag};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::again;

/// The first names in a directory, at most so many, in no order.
///
/// # Errors
/// When it cannot be read.
pub fn names(directory: &Path, most: usize) -> Result<Vec<OsString>> {
    names_in(&mut again(|| Dir::open(directory, LISTED, Mode::empty()))?, most)
}

const LISTED: OFlag = OFlag::O_DIRECTORY.union(OFlag::O_CLOEXEC);

fn names_in(directory: &mut Dir, most: usize) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in directory.iter() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsStr::from_bytes(name).to_owned());
        }
        if names.len() == most {
            break;
        }
    }
    Ok(names)
}

/// Removes a directory with all that is in it, or a file; what is gone already is no error. No link is
/// followed, not even one that is put there meanwhile.
///
/// # Errors
/// When anything cannot be removed.
pub fn remove(path: &Path) -> Result<()> {
    remove_at(AT_FDCWD, path)
}

fn remove_at(place: BorrowedFd<'_>, name: &Path) -> Result<()> {
    match unlinkat(place, name, UnlinkatFlags::NoRemoveDir).map_err(Error::from) {
        Err(cause) if cause.kind() == ErrorKind::IsADirectory => {}
        removed => return absent(removed),
    }
    let flags = LISTED | OFlag::O_NOFOLLOW;
    let mut directory = again(|| Dir::openat(place, name, flags, Mode::empty()))?;
    for inner in names_in(&mut directory, usize::MAX)? {
        remove_at(directory.as_fd(), Path::new(&inner))?;
    }
    absent(unlinkat(place, name, UnlinkatFlags::RemoveDir).map_err(Error::from))
}

/// What is not there needs no removal.
///
/// # Errors
/// Any other.
pub fn absent(removed: Result<()>) -> Result<()> {
    removed.or_else(|cause| if cause.kind() == ErrorKind::NotFound { Ok(()) } else { Err(cause) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_are_listed_and_everything_goes() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("folder");
        std::fs::create_dir_all(path.join("deep/er")).unwrap();
        std::fs::write(path.join("deep/er/file"), "x").unwrap();
        std::fs::write(place.path().join("outside"), "x").unwrap();
        std::os::unix::fs::symlink(place.path().join("outside"), path.join("link")).unwrap();
        let mut all = names(&path, 10).unwrap();
        all.sort();
        assert_eq!(all, ["deep", "link"]);
        assert_eq!(names(&path, 1).unwrap().len(), 1);
        assert!(names(&path.join("nowhere"), 1).is_err());
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(names(place.path(), 10).unwrap(), ["outside"], "a link is not followed");
    }
}
