//! The file of runs: appended to, one line a run, each on the disk before the next begins.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde_json::Value;

use super::Settings;
use crate::error::{Error, Result};
use crate::num::to_u64;
use crate::scaling::input;
use crate::scaling::sample::Sample;

/// An open file of runs.
pub(super) struct RunsFile {
    pub path: PathBuf,
    file: File,
}

impl RunsFile {
    /// Opens the file of a study whose directory is laid out, with what earlier starts left in it.
    ///
    /// # Errors
    /// When it holds something else, or the system refuses.
    pub fn open(settings: &Settings) -> Result<(Self, Vec<Sample>)> {
        let path = settings.file();
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .read(true)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(&path)
            .map_err(|cause| Error::io("open", &path, &cause))?;
        let earlier = mend(&path, &mut file)?;
        Ok((Self { path, file }, earlier))
    }

    /// Adds a run and waits until it is on the disk.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn append(&mut self, sample: &Sample<Value>) -> Result<()> {
        let mut line = serde_json::to_string(sample)
            .map_err(|cause| Error::internal(format!("a run does not serialise: {cause}")))?;
        line.push('\n');
        let written = self.file.write_all(line.as_bytes()).and_then(|()| self.file.sync_data());
        written.map_err(|cause| Error::io("append to", &self.path, &cause))
    }
}

/// Reads earlier runs. A last line that a kill cut off is taken away, so that the next begins on its
/// own; one that only lacks its end gets it.
fn mend(path: &Path, file: &mut File) -> Result<Vec<Sample>> {
    let failed = |cause| Error::io("read", path, &cause);
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        let mended = if serde_json::from_str::<Value>(&text[whole..]).is_ok() {
            text.push('\n');
            file.write_all(b"\n")
        } else {
            text.truncate(whole);
            file.set_len(to_u64(whole))
        };
        mended.map_err(|cause| Error::io("mend", path, &cause))?;
    }
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    input::lines(&text, &path.display().to_string()).map(|read| read.samples)
}
