//! A folder of files that appears whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::target;

/// The name of the file that marks a folder as a report of ours.
pub const MARK: &str = "report.json";

/// Refuses a folder that cannot be made: something else is there, or an older report and no `force`.
///
/// # Errors
/// Usage errors, before any work.
pub fn check(folder: &Path, force: bool) -> Result<()> {
    let there = folder.symlink_metadata();
    let parent = target::directory(folder);
    if folder.file_name().is_none() {
        return Err(Error::usage(format!("{} names no folder; give one", folder.display())));
    }
    if there.is_err() && !parent.is_dir() {
        return Err(Error::usage(format!(
            "the directory {} is not there; make it or choose another",
            parent.display()
        )));
    }
    let Ok(there) = there else { return Ok(()) };
    let ours = there.is_dir() && folder.join(MARK).is_file();
    let empty =
        there.is_dir() && folder.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    match (ours || empty, force || empty) {
        (true, true) => Ok(()),
        (true, false) => Err(Error::usage(format!(
            "{} is an older report; --force replaces it, or choose another name with -o",
            folder.display()
        ))),
        (false, _) => Err(Error::usage(format!(
            "{} exists and is no report of dcomp; choose another name with -o",
            folder.display()
        ))),
    }
}

/// Writes the files beside, then gives the folder its name; an older report makes way.
///
/// # Errors
/// When the system refuses; then an older report is still there.
pub fn publish(folder: &Path, files: &[(String, Vec<u8>)], force: bool) -> Result<()> {
    check(folder, force)?;
    if let Some(other) = foreign(folder, files)? {
        return Err(Error::usage(format!(
            "{} is not of a report, and --force would remove it; move it away or choose another name \
             with -o",
            other.display()
        )));
    }
    let beside = |what: &str| -> PathBuf {
        let mut name = std::ffi::OsString::from(".");
        name.push(folder.file_name().unwrap_or_default());
        name.push(format!(".{}.{what}", std::process::id()));
        target::directory(folder).join(name)
    };
    let (part, old) = (beside("part"), beside("old"));
    let written = write(&part, files).and_then(|()| {
        let step = |cause: std::io::Error| Error::io("publish", folder, &cause);
        let replaces = folder.symlink_metadata().is_ok();
        if replaces {
            std::fs::rename(folder, &old).map_err(step)?;
        }
        std::fs::rename(&part, folder).map_err(step).inspect_err(|_| {
            if replaces {
                std::fs::rename(&old, folder).ok();
            }
        })?;
        File::open(target::directory(folder)).and_then(|parent| parent.sync_all()).map_err(step)
    });
    if written.is_err() {
        std::fs::remove_dir_all(&part).ok();
        return written;
    }
    if old.exists() {
        std::fs::remove_dir_all(&old).map_err(|cause| Error::io("remove", &old, &cause))?;
    }
    Ok(())
}

/// Something in an older report that no report made.
fn foreign(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<Option<PathBuf>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let listed = std::fs::read_dir(folder).map_err(|cause| Error::io("list", folder, &cause))?;
    for entry in listed {
        let entry = entry.map_err(|cause| Error::io("list", folder, &cause))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let figure = name.starts_with("figure-")
            && [".svg", ".png"].iter().any(|ending| name.ends_with(ending));
        if !figure && !files.iter().any(|(file, _)| *file == name) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

fn write(folder: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    std::fs::create_dir(folder).map_err(|cause| Error::io("create", folder, &cause))?;
    for (name, bytes) in files {
        let path = folder.join(name);
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
            file.write_all(bytes)?;
            file.sync_all()
        };
        write().map_err(|cause| Error::io("write", &path, &cause))?;
    }
    Ok(())
}
