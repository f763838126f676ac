//! A study's directory: whose it is, who works in it, what it holds.
//!
//! Everything in it is ours: `study.toml` with its first line says so. A directory with other
//! files and without that line is never written to, so nothing of a user's is ever removed.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{FcntlArg, FdFlag, Flock, FlockArg, OFlag, fcntl};

use super::Settings;
use crate::error::{Error, Result};
use crate::scaling::sources;
use crate::scaling::study::{self, Study};

/// The first line of every `study.toml` that we write.
const MARK: &str = "# Made by dcomp scaling: everything in this directory belongs to it.\n";

/// Makes the directory with its logs and `study.toml`, or finds those of the same study.
///
/// # Errors
/// When it is not ours, another study is there, or the system refuses.
pub(super) fn lay_out(study: &Study, settings: &Settings) -> Result<()> {
    let directory = &settings.directory;
    let told = directory.join("study.toml");
    let earlier = ours(directory)?;
    let logs = directory.join("logs");
    std::fs::create_dir_all(&logs).map_err(|cause| Error::io("create", &logs, &cause))?;
    if settings.force && earlier.is_some() {
        nobody_works(directory)?;
        begin_anew(settings)?;
    }
    let text = format!("{MARK}{}", study_text(study)?);
    let Some(earlier) = earlier.filter(|_| !settings.force || settings.nodes.is_some()) else {
        return replace(&told, &text);
    };
    let has_runs = sources::runs_in(directory)?
        .iter()
        .any(|runs| std::fs::metadata(runs).is_ok_and(|meta| meta.len() > 0));
    match same_study(study, &earlier, &told) {
        Err(error) if has_runs => Err(error),
        // Sizes and limits may have changed; the jobs of a submitted study all read one file.
        _ if settings.nodes.is_none() && earlier != text => replace(&told, &text),
        _ => Ok(()),
    }
}

/// The text of `study.toml`, when the directory is ours; none when it is new or empty.
fn ours(directory: &Path) -> Result<Option<String>> {
    let told = directory.join("study.toml");
    match std::fs::read_to_string(&told) {
        Ok(text) if text.starts_with(MARK) => return Ok(Some(text)),
        Ok(_) => {}
        Err(cause) if cause.kind() == ErrorKind::NotFound => {}
        Err(cause) => return Err(Error::io("read", &told, &cause)),
    }
    let entries = match std::fs::read_dir(directory) {
        Ok(mut entries) => entries.next(),
        Err(cause) if cause.kind() == ErrorKind::NotFound => None,
        Err(cause) => return Err(Error::io("list", directory, &cause)),
    };
    match entries {
        None => Ok(None),
        Some(_) => Err(Error::usage(format!(
            "{} holds other files and no study of dcomp; choose another directory with -o",
            directory.display()
        ))),
    }
}

/// Refuses to begin anew while another dcomp, of any part of the study, adds to its runs.
fn nobody_works(directory: &Path) -> Result<()> {
    for path in sources::list(directory)? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == "lock" || name.starts_with("lock-") {
            lock_file(directory, &path)?;
        }
    }
    Ok(())
}

/// Takes the runs away; those too that jobs of their own made, unless one of these begins anew.
fn begin_anew(settings: &Settings) -> Result<()> {
    let mut old = vec![settings.file()];
    if settings.nodes.is_none() {
        old.extend(sources::runs_in(&settings.directory)?);
    }
    for path in old.iter().filter(|path| path.symlink_metadata().is_ok()) {
        std::fs::remove_file(path).map_err(|cause| Error::io("remove", path, &cause))?;
    }
    match std::fs::remove_dir_all(settings.scratch()) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => {
            Err(Error::io("remove", &settings.scratch(), &cause))
        }
        _ => Ok(()),
    }
}

/// Nobody else may work on these runs while this is held, nor while something lives that a run
/// started: the lock's descriptor is handed down, so that no run is measured beside an orphan.
pub(super) fn lock(settings: &Settings) -> Result<Flock<File>> {
    let path = settings.lock();
    let lock = lock_file(&settings.directory, &path)?;
    fcntl(&*lock, FcntlArg::F_SETFD(FdFlag::empty()))
        .map_err(|cause| Error::io("lock", &path, &cause.into()))?;
    Ok(lock)
}

fn lock_file(directory: &Path, path: &Path) -> Result<Flock<File>> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).custom_flags(OFlag::O_NOFOLLOW.bits());
    let file = options.open(path).map_err(|cause| Error::io("open", path, &cause))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, cause)| {
        if cause == nix::errno::Errno::EWOULDBLOCK {
            Error::usage(format!(
                "another dcomp works in {}, or something that a run of it started is still there; wait \
                 for it or end it (fuser {} tells which)",
                directory.display(),
                path.display()
            ))
        } else {
            Error::io("lock", path, &cause.into())
        }
    })
}

/// The study as its file in the directory.
fn study_text(study: &Study) -> Result<String> {
    toml::to_string(study)
        .map_err(|cause| Error::internal(format!("a study does not serialise: {cause}")))
}

/// Writes a file that appears whole, over an older one.
fn replace(path: &Path, text: &str) -> Result<()> {
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&part, path)
    };
    write().map_err(|cause| {
        std::fs::remove_file(&part).ok();
        Error::io("write", path, &cause)
    })
}

/// Writes a file that must not be there yet.
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

impl Settings {
    /// The file of runs. Jobs that share a directory have one each.
    pub(super) fn file(&self) -> PathBuf {
        self.directory.join(self.own("runs", ".jsonl"))
    }

    /// Where jobs write what nobody keeps.
    pub(super) fn scratch(&self) -> PathBuf {
        self.directory.join(self.own("work", ""))
    }

    fn lock(&self) -> PathBuf {
        self.directory.join(self.own("lock", ""))
    }

    fn own(&self, stem: &str, ending: &str) -> String {
        match self.nodes {
            None => format!("{stem}{ending}"),
            Some(nodes) => format!("{stem}-{nodes}{ending}"),
        }
    }
}
