//! The part file of a run that writes checkpoints: it stays until the run is complete.
//!
//! Its name, `.<name>.checkpoint.part`, is known to the next run. It is published by a second name rather
//! than renamed, so that a run that is killed between this and its end finds it again and ends in the same
//! way; the part's own name goes last, with the checkpoints. Where a file system has no second names, it is
//! renamed.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::part::part_path;
use super::publish::{Published, Undo, rename_to_new, replace};
use super::{cleanup, leftovers, target};
use crate::error::{Error, Result};

/// Where the part file of `target` lies.
pub(super) fn path(target: &Path) -> PathBuf {
    part_path(target, "checkpoint")
}

/// Local, on root. Before a new part file is made: removes one that no checkpoint tells of. Whether the
/// target may be replaced.
///
/// A target that an earlier run published just before it ended goes first: once the part file has gone,
/// nothing would tell a third run that it is not somebody else's.
pub(super) fn make_way(target: &Path, force: bool) -> Result<bool> {
    let part = path(target);
    may_replace(target, force)?;
    let ours = same_file(target, &part);
    let removed = if ours { std::fs::remove_file(target) } else { Ok(()) };
    match removed.and_then(|()| std::fs::remove_file(&part)) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io("remove the old", &part, &cause))
        }
        _ => Ok(force),
    }
}

/// Local, on root. Whether the target may be replaced: with `force`, or when it is the part file itself,
/// which an earlier run published just before it ended.
///
/// # Errors
/// When something else is there, or another run is about to make it.
pub(super) fn may_replace(target: &Path, force: bool) -> Result<bool> {
    if leftovers::is_held(&path(target)) {
        return Err(Error::usage(format!(
            "{} is being made by another run with checkpoints; wait for its end or choose another name",
            target.display()
        )));
    }
    let ours = same_file(target, &path(target));
    if target::exists(target) && !force && !ours {
        return Err(Error::usage(format!(
            "{} exists; --force replaces it, or choose another name",
            target.display()
        )));
    }
    Ok(force || ours)
}

/// Removes the part file's name when it is the target's second one.
pub(super) fn forget(target: &Path) {
    leftovers::clear(target);
    let part = path(target);
    if same_file(target, &part) {
        cleanup::remove(&part);
        // A run that was killed at its end may have left the older target there.
        cleanup::remove(&between(&part));
    }
}

fn same_file(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| {
        let meta = std::fs::symlink_metadata(path).ok()?;
        meta.is_file().then(|| (meta.dev(), meta.ino()))
    };
    identity(one).is_some_and(|file| Some(file) == identity(other))
}

/// Local, on root. Gives the part file its second name.
pub(super) fn publish(
    file: &File,
    part: &Path,
    target: &Path,
    force: bool,
) -> std::io::Result<Published> {
    let (mine, there) = (file.metadata()?, std::fs::symlink_metadata(part)?);
    if (mine.dev(), mine.ino()) != (there.dev(), there.ino()) {
        return Err(std::io::Error::other("another run has taken the place of its part file"));
    }
    if same_file(part, target) {
        return Ok(Published::of(part, target, Undo::Nothing));
    }
    if !force {
        let undo = match std::fs::hard_link(part, target) {
            Err(cause) if has_no_links(&cause) => rename_to_new(part, target)?,
            linked => linked.map(|()| Undo::Remove)?,
        };
        return Ok(Published::of(part, target, undo));
    }
    let between = between(part);
    std::fs::remove_file(&between).ok();
    match std::fs::hard_link(part, &between) {
        Err(cause) if has_no_links(&cause) => {
            Ok(Published::of(part, target, replace(part, target)?))
        }
        linked => {
            linked?;
            let replaced = replace(&between, target).inspect_err(|_| cleanup::remove(&between));
            Ok(Published::of(&between, target, replaced?))
        }
    }
}

/// The name that changes places with an older target's.
fn between(part: &Path) -> PathBuf {
    part.with_extension("link")
}

fn has_no_links(cause: &std::io::Error) -> bool {
    let known = [Errno::EPERM, Errno::EOPNOTSUPP, Errno::ENOSYS, Errno::EMLINK];
    cause.raw_os_error().is_some_and(|code| known.contains(&Errno::from_raw(code)))
}
