//! Large files that lie in the directory beside the checkpoints, such as sorted runs.
//!
//! A job makes them, fills them, and names them in its checkpoints by a path that begins in the directory. A
//! checkpoint's head lists them, so that whoever takes hold of the directory next can remove those that no
//! checkpoint needs: what a killed run had begun, or what another one left.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

use super::Checkpoints;
use super::format::{Head, Kept};
use super::read::{head_of, read_file};
use crate::comm::Comm;
use crate::error::{Error, Result};
use crate::store::listing;

/// How their names begin and end.
const RUNS: &str = "runs";
const ENDING: &str = ".data";

impl Checkpoints {
    /// Makes a file for sorted runs that checkpoints can name. Also where it lies in the directory. Local.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new_file(&self, comm: &Comm) -> Result<(File, PathBuf)> {
        // Told apart from those of earlier runs, which this one may need.
        let random = RandomState::new().build_hasher().finish();
        let name = PathBuf::from(format!("{RUNS}-{:05}-{random:016x}{ENDING}", comm.rank()));
        let path = self.directory.join(&name);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let made = options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path);
        Ok((made.map_err(|cause| Error::io("create", &path, &cause))?, name))
    }

    /// Opens a file that a checkpoint named. Local.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn open_file(&self, name: &Path) -> Result<File> {
        let path = self.directory.join(name);
        let mut options = OpenOptions::new();
        let opened =
            options.read(true).write(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path);
        opened.map_err(|cause| Error::io("open", &path, &cause))
    }

    /// Removes one that no checkpoint names. Local.
    pub fn remove_file(&self, name: &Path) {
        std::fs::remove_file(self.directory.join(name)).ok();
    }
}

/// Collective. The names of those among all ranks' kept files that lie in the directory, on root.
pub(super) fn names(comm: &Comm, kept: &[Kept]) -> Vec<String> {
    let inside = kept.iter().filter(|kept| kept.path.is_relative());
    let mine: Vec<String> = inside.map(|kept| kept.path.display().to_string()).collect();
    let all = comm.gather_bytes(mine.join("\n").as_bytes());
    let names: BTreeSet<String> = all
        .iter()
        .flat_map(|part| {
            String::from_utf8_lossy(part).lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    names.into_iter().collect()
}

/// Whether a file of such a name can be ours.
fn is_name(name: &str) -> bool {
    let inner = name.strip_prefix(RUNS).and_then(|rest| rest.strip_suffix(ENDING)).unwrap_or("");
    let mut words = inner.split('-');
    let (before, maker, random) = (words.next(), words.next(), words.next());
    let is_number = |word: &str| word.len() >= 5 && word.bytes().all(|byte| byte.is_ascii_digit());
    let is_random =
        |word: &str| word.len() == 16 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    before == Some("")
        && maker.is_some_and(is_number)
        && random.is_some_and(is_random)
        && words.next().is_none()
}

/// Removes those that none of these checkpoints needs, as far as their heads can be read. On root.
pub(super) fn remove_unneeded(directory: &Path, numbers: &[u64]) -> Result<()> {
    let heads = numbers.iter().filter_map(|&number| {
        let bytes = read_file(&head_of(directory, number), None).ok()?;
        Head::decode(&bytes).ok()
    });
    let needed: BTreeSet<String> = heads.flat_map(|head| head.files).collect();
    let remove = || -> std::io::Result<()> {
        for entry in listing::names(directory, usize::MAX)? {
            let (name, path) = (entry.to_string_lossy(), directory.join(&entry));
            // No directory of such a name is ours.
            if is_name(&name) && !needed.contains(&*name) && !path.symlink_metadata()?.is_dir() {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    };
    remove().map_err(|cause| Error::io("remove old files in", directory, &cause))
}
