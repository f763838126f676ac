//! The last step of an output: it gets its name, and there is a way back.
//!
//! A file that replaces an older one changes places with it, so that the older one can be put back while
//! the directory is not synced or another output of the run has no name yet. It costs the older file's
//! space for a moment longer. File systems that cannot exchange names (NFS) replace at once; there an
//! older file is gone with the rename.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use super::target::directory;
use super::{cleanup, kept, leftovers};

/// A file or directory that has its name. What it replaced is removed when this is dropped.
pub struct Published {
    part: PathBuf,
    target: PathBuf,
    undo: Undo,
    /// What was there before, locked: under the part's name it must not look like a dead run's.
    older: Option<File>,
}

/// How it can be taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Undo {
    /// Not by this rank, or not any more.
    Nothing,
    /// Nothing was there before.
    Remove,
    /// What was there before has the part's name.
    Exchange,
}

impl Published {
    /// For ranks that do not rename.
    pub(super) fn by_root(part: &Path, target: &Path) -> Self {
        Self::of(part, target, Undo::Nothing)
    }

    /// What `part`, renamed to `target`, needs to be taken back.
    pub(super) fn of(part: &Path, target: &Path, undo: Undo) -> Self {
        Self { part: part.into(), target: target.into(), undo, older: None }
    }

    /// Local. Gives an open part the name `target` and `mode` less the umask, and syncs the directory.
    ///
    /// # Errors
    /// When the system refuses any of it; then names are as before.
    pub(super) fn rename(
        open: &File,
        part: &Path,
        target: &Path,
        force: bool,
        mode: u32,
    ) -> std::io::Result<Self> {
        let rename = || {
            let older = force.then(|| leftovers::hold(target)).flatten();
            let undo = if force { replace(part, target)? } else { rename_to_new(part, target)? };
            let mut published = Self::of(part, target, undo);
            published.older = older;
            Ok(published)
        };
        name(open, target, mode, rename)
    }

    /// Local. As [`rename`](Self::rename), for a part that keeps its own name until the run is complete.
    ///
    /// # Errors
    /// As [`rename`](Self::rename), and when the part is not the open file any more.
    pub(super) fn link(
        open: &File,
        part: &Path,
        target: &Path,
        force: bool,
        mode: u32,
    ) -> std::io::Result<Self> {
        name(open, target, mode, || kept::publish(open, part, target, force))
    }

    /// Takes it back, when what belongs to it could not be published.
    pub fn withdraw(mut self) {
        match std::mem::replace(&mut self.undo, Undo::Nothing) {
            Undo::Nothing => {}
            Undo::Remove => cleanup::remove(&self.target),
            // Should it fail, the older file must not be removed under the part's name.
            Undo::Exchange => match exchange(&self.part, &self.target) {
                Ok(()) => cleanup::remove(&self.part),
                Err(_) => cleanup::forget(&self.part),
            },
        }
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        if self.undo == Undo::Exchange {
            cleanup::remove(&self.part);
        }
        cleanup::forget(&self.part);
        drop(self.older.take());
    }
}

/// Gives the file its mode and its name, and syncs the directory; or takes the name back.
fn name(
    open: &File,
    target: &Path,
    mode: u32,
    rename: impl FnOnce() -> std::io::Result<Published>,
) -> std::io::Result<Published> {
    // Opened first: what can fail fails before the rename.
    let parent = File::open(directory(target))?;
    open.set_permissions(Permissions::from_mode(mode & !umask()))?;
    let published = rename()?;
    match parent.sync_all() {
        Ok(()) => Ok(published),
        Err(cause) => {
            published.withdraw();
            Err(cause)
        }
    }
}

/// Renames over what is there, which keeps the part's name where the file system can do that.
pub(super) fn replace(part: &Path, target: &Path) -> std::io::Result<Undo> {
    match exchange(part, target) {
        Ok(()) if part.is_dir() && !part.is_symlink() => {
            // Somebody made a directory there meanwhile; it is not ours to remove.
            exchange(part, target)?;
            Err(Errno::EISDIR.into())
        }
        Ok(()) => Ok(Undo::Exchange),
        Err(Errno::ENOENT) => match rename_to_new(part, target) {
            // Somebody made it meanwhile, and it is to be replaced.
            Err(cause) if cause.kind() == std::io::ErrorKind::AlreadyExists => over(part, target),
            renamed => renamed,
        },
        Err(Errno::EINVAL | Errno::ENOSYS) => over(part, target),
        Err(cause) => Err(cause.into()),
    }
}

fn over(part: &Path, target: &Path) -> std::io::Result<Undo> {
    std::fs::rename(part, target).map(|()| Undo::Nothing)
}

fn exchange(part: &Path, target: &Path) -> nix::Result<()> {
    renameat2(AT_FDCWD, part, AT_FDCWD, target, RenameFlags::RENAME_EXCHANGE)
}

/// Renames, but fails when somebody made the target meanwhile. NFS does not know that kind of
/// rename; there a hard link does the same.
pub(super) fn rename_to_new(part: &Path, target: &Path) -> std::io::Result<Undo> {
    match renameat2(AT_FDCWD, part, AT_FDCWD, target, RenameFlags::RENAME_NOREPLACE) {
        Err(Errno::EINVAL | Errno::ENOSYS) => {
            std::fs::hard_link(part, target)?;
            cleanup::remove(part);
        }
        renamed => renamed?,
    }
    Ok(Undo::Remove)
}

/// The process's file mode mask. The kernel tells it since Linux 4.7; before, it can only be read by setting
/// it, for a moment in which another thread may make a file.
pub(super) fn umask() -> u32 {
    use nix::sys::stat::{Mode, umask};
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let told = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    told.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok()).unwrap_or_else(|| {
        let mask = umask(Mode::from_bits_truncate(0o077));
        umask(mask);
        mask.bits()
    })
}
