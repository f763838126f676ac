//! A small file that one rank writes whole, such as a record.
//!
//! As a part file (`part.rs`): made beside its place under another name, synced, renamed, so that a reader
//! finds the old one or the new one. A link in its place is replaced, never followed. It costs a sync.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::part::{job_id, part_path};
use super::publish::umask;
use super::target::directory;
use super::{cleanup, leftovers};

/// Writes `bytes` to `path`, over what was there. Local.
///
/// # Errors
/// What the system refuses; then nothing half-made stays.
pub fn write(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let part = part_path(path, &job_id());
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.custom_flags(nix::fcntl::OFlag::O_NOFOLLOW.bits());
    let mut file =
        cleanup::make(&part, || options.open(&part)).inspect_err(|_| cleanup::forget(&part))?;
    leftovers::lock(&file);
    let mut publish = || -> std::io::Result<()> {
        file.write_all(bytes)?;
        file.set_permissions(Permissions::from_mode(0o666 & !umask()))?;
        file.sync_all()?;
        let parent = File::open(directory(path))?;
        std::fs::rename(&part, path)?;
        parent.sync_all()
    };
    let published = publish();
    if published.is_err() {
        cleanup::remove(&part);
    }
    cleanup::forget(&part);
    published
}
