//! Where a run's record lies, and how it gets there.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::record;
use crate::error::{Error, Result};
use crate::store::{target, whole_file};

/// Where the record of a run goes: where `--record` says, else beside the output. When a run failed and an
/// output is there all the same (an older one, or that of a faster run), the record of that one stays too,
/// and the failure is told in a file of its own.
pub fn place(said: Option<&Path>, output: Option<&Path>, failed: bool) -> Option<PathBuf> {
    let path =
        said.map_or_else(|| output.map(target::record_of), |path| Some(path.to_path_buf()))?;
    let stays = output.is_some_and(target::exists);
    let beside = said.is_none() || target::exists(&path);
    Some(if failed && stays && beside { failed_beside(&path) } else { path })
}

/// Where a failure is told when the record's own place is taken.
fn failed_beside(path: &Path) -> PathBuf {
    let beside = path.with_extension("failed.json");
    if target::exists(&beside) && !record::is_ours(&beside) {
        return path.with_extension(format!("failed-{}.json", std::process::id()));
    }
    beside
}

/// Writes a record, whole or not at all. Local.
///
/// # Errors
/// When the system refuses.
pub fn write(path: &Path, record: &Value) -> Result<()> {
    let mut text = serde_json::to_string_pretty(record)
        .map_err(|cause| Error::internal(format!("the record does not serialise: {cause}")))?;
    text.push('\n');
    whole_file::write(path, text.as_bytes())
        .map_err(|cause| Error::io("write the record", path, &cause))
}
