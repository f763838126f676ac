//! Hands scripts to Slurm.

use std::path::Path;
use std::process::Command;

use super::{line_of, runs_file, usage};
use crate::error::{Error, Result};
use crate::scaling::scripts::Script;

/// The words that submit a script; `after` are the jobs whose end it waits for.
pub fn sbatch(script: &Script, directory: &Path, after: &[String]) -> Vec<String> {
    // In a file's name Slurm takes % for its own letters.
    let log = directory.join("logs").display().to_string().replace('%', "%%");
    let mut words =
        vec!["sbatch".to_owned(), "--parsable".into(), format!("--output={log}/slurm-%j.log")];
    if !after.is_empty() {
        words.push(format!("--dependency=afterany:{}", after.join(":")));
        words.push("--kill-on-invalid-dep=yes".into());
    }
    words.push(directory.join("submit").join(&script.name).display().to_string());
    words
}

/// Writes the scripts and submits them, the last one after all others; lines that tell the job numbers.
///
/// # Errors
/// When a file cannot be written or sbatch refuses: jobs submitted before stay, and are named.
pub fn submit(scripts: &[Script], directory: &Path, force: bool) -> Result<Vec<String>> {
    let folder = directory.join("submit");
    std::fs::create_dir_all(&folder).map_err(|cause| Error::io("create", &folder, &cause))?;
    for script in scripts {
        let path = folder.join(&script.name);
        if force {
            std::fs::remove_file(&path).ok();
        }
        if path.exists() {
            return Err(usage(format!(
                "{} is there, so the study was submitted before; --force replaces its scripts and runs, \
                 or choose another directory with -o",
                path.display()
            )));
        }
    }
    for script in scripts {
        runs_file::write_new(&folder.join(&script.name), &script.text)?;
    }
    let mut jobs: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for (index, script) in scripts.iter().enumerate() {
        let after = if index + 1 == scripts.len() { jobs.as_slice() } else { &[] };
        let words = sbatch(script, directory, after);
        let job = start(&words).map_err(|error| {
            let so_far = if jobs.is_empty() {
                "no job was submitted".to_owned()
            } else {
                format!("submitted before: {}; scancel ends them", jobs.join(" "))
            };
            Error { message: format!("{}; {so_far}", error.message), ..error }
        })?;
        lines.push(match script.ranks.as_slice() {
            [] => {
                format!("job {job}: report, after the others, into {}/report", directory.display())
            }
            ranks => {
                let ranks: Vec<String> = ranks.iter().map(ToString::to_string).collect();
                format!("job {job}: {} nodes, {} ranks", script.nodes, ranks.join(", "))
            }
        });
        jobs.push(job);
    }
    Ok(lines)
}

/// Runs sbatch; the job's number.
fn start(words: &[String]) -> Result<String> {
    let output = Command::new(&words[0]).args(&words[1..]).output().map_err(|cause| {
        usage(format!(
            "cannot start sbatch: {cause}; submit where Slurm is, or look with --dry-run"
        ))
    })?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let job = stdout.trim().split(';').next().unwrap_or_default().to_owned();
    if output.status.success() && !job.is_empty() {
        return Ok(job);
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let why = stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no reason given");
    Err(usage(format!("sbatch refused: {} ({})", why.trim(), line_of(words))))
}
