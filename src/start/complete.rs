//! `--resume` of a run that is complete: a chain of jobs that go on from each other ends here, however often
//! it is started again.

use std::path::Path;

use serde_json::Value;

use super::launch::{Launch, Named, Settings, identity_of};
use crate::error::Result;
use crate::measure::record::FileSum;
use crate::store::checkpoint;
use crate::store::target;
use crate::verify;

/// On root. What to tell when the run that is to go on has come to its end: no checkpoint is there that a
/// later one could have made, its record tells of the same parameters and inputs, and the outputs are as
/// recorded.
pub(super) fn already<L: Launch>(
    spec: &L::Spec,
    settings: &Settings,
    outputs: &[Named],
) -> Result<Option<Vec<String>>> {
    let Some(directory) = settings.checkpoint.as_ref().filter(|_| settings.resume) else {
        return Ok(None);
    };
    let output = L::output(spec);
    // A directory that is there is this run's own: none is ever replaced.
    let left = checkpoint::is_there(directory);
    if !target::exists(&output) || (left && !output.is_dir()) {
        return Ok(None);
    }
    let path = settings.record.clone().unwrap_or_else(|| target::record_of(&output));
    let Some(sums) = outputs_of(&path, &identity_of::<L>(spec)?) else { return Ok(None) };
    for sum in &sums {
        let file = Path::new(&sum.path);
        if file.is_dir() {
            continue;
        }
        if !verify::sum(file).is_ok_and(|found| verify::differs(&found, sum).is_none()) {
            return Ok(None);
        }
    }
    for (_, target) in outputs {
        checkpoint::forget_part(target);
    }
    // The run may have been killed while it took them away.
    checkpoint::discard(directory)?;
    Ok(Some(vec![format!(
        "{}: complete and as recorded in {}; nothing is left to do",
        output.display(),
        path.display()
    )]))
}

/// The outputs that a complete run of this identity recorded.
fn outputs_of(path: &Path, identity: &Value) -> Option<Vec<FileSum>> {
    let record: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let ours = record["outcome"] == "ok" && record["checkpoints"]["identity"] == *identity;
    serde_json::from_value(record["outputs"].clone()).ok().filter(|_| ours)
}
