//! The file of runs: appended to, one line a run, each on the disk before the next begins.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Settings;
use crate::error::{Error, Result};
use crate::scaling::input;
use crate::scaling::sample::Sample;
use crate::scaling::sources;
use crate::scaling::study::{self, Study};

/// An open file of runs.
pub(super) struct RunsFile {
    pub path: PathBuf,
    file: File,
}

impl RunsFile {
    /// Opens the file of this study, new or with what earlier starts left in it.
    ///
    /// # Errors
    /// When the directory holds another study, or the system refuses.
    pub fn open(study: &Study, settings: &Settings) -> Result<(Self, Vec<Sample>)> {
        lay_out(study, settings)?;
        let path = settings.file();
        let earlier = if path.exists() { mend(&path)? } else { Vec::new() };
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|cause| Error::io("open", &path, &cause))?;
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

/// Makes the directory with its logs and `study.toml`, or finds those of the same study.
///
/// # Errors
/// When another study is there, or the system refuses.
pub(super) fn lay_out(study: &Study, settings: &Settings) -> Result<()> {
    let directory = &settings.directory;
    let (runs, told) = (settings.file(), directory.join("study.toml"));
    std::fs::create_dir_all(directory.join("logs"))
        .map_err(|cause| Error::io("create", &directory.join("logs"), &cause))?;
    if settings.force {
        let mut old = vec![runs.clone()];
        if settings.nodes.is_none() {
            // The whole study begins anew, those parts too that jobs of their own carried out.
            old.extend(sources::runs_in(directory)?);
            old.push(told.clone());
        }
        for path in old.iter().filter(|path| path.exists()) {
            std::fs::remove_file(path).map_err(|cause| Error::io("remove", path, &cause))?;
        }
    }
    match std::fs::read_to_string(&told) {
        Ok(text) => same_study(study, &text, &told),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && runs.exists() => {
            Err(Error::usage(format!(
                "{} is there but {} is not, so its runs may be of another study; choose another \
                 directory with -o, or --force to begin anew",
                runs.display(),
                told.display()
            )))
        }
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
            write_new(&told, &study_text(study)?)
        }
        Err(cause) => Err(Error::io("read", &told, &cause)),
    }
}

/// Reads earlier runs; a line that a kill cut off is taken away, so that the next begins on its own.
fn mend(path: &Path) -> Result<Vec<Sample>> {
    let text = std::fs::read_to_string(path).map_err(|cause| Error::io("read", path, &cause))?;
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    if whole < text.len() {
        let cut = OpenOptions::new().write(true).open(path);
        cut.and_then(|file| file.set_len(crate::num::to_u64(whole)))
            .map_err(|cause| Error::io("mend", path, &cause))?;
    }
    let text = &text[..whole];
    // Warm-ups and failures alone are no runs yet.
    if text.lines().all(|line| !line.contains("\"outcome\":\"ok\"")) {
        return Ok(Vec::new());
    }
    match input::json(text, &path.display().to_string()) {
        Ok(read) => Ok(read.samples),
        Err(error) if error.message.contains("holds no runs") => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The study as its file in the directory.
///
/// # Errors
/// Never for a checked study.
pub fn study_text(study: &Study) -> Result<String> {
    toml::to_string(study)
        .map_err(|cause| Error::internal(format!("a study does not serialise: {cause}")))
}

pub(super) fn write_new(path: &Path, text: &str) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(|cause| Error::io("write", path, &cause))
}

/// Runs may be added to a study, not mixed with those of another: what is run, how it is timed and
/// started must be equal; sizes, repeats and limits may differ.
fn same_study(study: &Study, text: &str, path: &Path) -> Result<()> {
    let name = path.display().to_string();
    let flags =
        crate::deck::Layer { source: crate::deck::Source::Flag, values: toml::Table::new() };
    let earlier = study::resolve(Some((text, &name)), flags)?;
    let parts = |study: &Study| {
        [
            ("name", study.name.clone()),
            ("mode", format!("{:?}", study.mode)),
            ("command", super::line_of(&study.command)),
            ("prepare", super::line_of(&study.prepare)),
            ("threads", study.threads.to_string()),
            ("ranks_per_node", format!("{:?}", study.ranks_per_node)),
            ("launcher", super::line_of(&study.launcher)),
            ("extract", format!("{:?}", study.extract)),
            ("rate", study.rate.to_string()),
            ("timing", format!("{:?}", study.timing)),
            ("grow", format!("{:?}", study.grow)),
            ("work", format!("{:?}", study.work)),
        ]
    };
    let pairs = parts(study).into_iter().zip(parts(&earlier));
    let differs = pairs.into_iter().find(|(now, then)| now != then);
    if let Some(((key, now), (_, then))) = differs {
        return Err(Error::usage(format!(
            "{name} is of another study: its {key} is {then}, not {now}; choose another directory with \
             -o, or --force to begin anew"
        )));
    }
    Ok(())
}
