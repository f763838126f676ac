//! One run, from its words to its line: start, wait, read the record or what was printed.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::child::{self, Ended};
use super::surroundings::Surroundings;
use super::{Settings, line_of, metric, usage};
use crate::error::{Error, Result};
use crate::measure::record::now;
use crate::scaling::sample::{Outcome, Record, SCHEMA, Sample, Timing};
use crate::scaling::study::Study;
use crate::scaling::study::points::Point;
use crate::store::crc;

/// What all runs of a study share.
pub(super) struct Bench<'a> {
    pub study: &'a Study,
    settings: &'a Settings,
    surroundings: Surroundings,
    program: String,
    pattern: Option<regex::Regex>,
}

/// What a finished run says.
struct Seen {
    value: Option<f64>,
    outcome: Outcome,
    message: String,
    record: Option<Value>,
}

impl<'a> Bench<'a> {
    /// Gets a directory ready.
    ///
    /// # Errors
    /// When the scratch directory cannot be made.
    pub fn new(
        study: &'a Study,
        settings: &'a Settings,
        surroundings: Surroundings,
    ) -> Result<Self> {
        let work = settings.scratch();
        if settings.force && work.exists() {
            std::fs::remove_dir_all(&work).map_err(|cause| Error::io("remove", &work, &cause))?;
        }
        std::fs::create_dir_all(&work).map_err(|cause| Error::io("create", &work, &cause))?;
        let program = std::env::current_exe()
            .map_err(|cause| Error::io("find", Path::new("/proc/self/exe"), &cause))?;
        let pattern = study.extract.as_deref().map(regex::Regex::new).transpose();
        Ok(Self {
            study,
            settings,
            surroundings,
            program: program.display().to_string(),
            pattern: pattern.map_err(|cause| usage(format!("--extract: {cause}")))?,
        })
    }

    fn values(&self, point: &Point, repeat: u64) -> crate::scaling::expand::Values {
        point.values(self.study, repeat, &self.settings.scratch().display().to_string())
    }

    /// Where a job of dcomp writes: output and record.
    fn files(&self) -> (PathBuf, PathBuf) {
        let work = self.settings.scratch();
        (work.join("output"), work.join("record.json"))
    }

    /// The words that a job of dcomp gets besides its own.
    fn job_words(&self, force: bool) -> Vec<String> {
        let (output, record) = self.files();
        let mut words = vec![
            "--output".to_owned(),
            output.display().to_string(),
            "--record".into(),
            record.display().to_string(),
            "--quiet".into(),
        ];
        words.extend(force.then(|| "--force".to_owned()));
        words
    }

    /// A dry run of a job at each size: what is wrong with its words is found before the first
    /// hour, and when nothing was run yet, so are files that would be replaced.
    ///
    /// # Errors
    /// What the job says of its words.
    pub fn rehearse(&self, points: &[Point], fresh: bool) -> Result<()> {
        if !self.study.is_job() {
            return Ok(());
        }
        for point in points {
            let values = self.values(point, 1);
            let mut words = point.command(self.study, &self.study.command, &self.program, &values);
            words.extend(self.job_words(!fresh));
            words.push("--dry-run".into());
            let log = self.log(&format!("p{}-dry", point.ranks));
            let ended = child::run(&words, &log, self.study.timeout)?;
            if !ended.is_ok() {
                let why = last_words(&log);
                let why = why.strip_prefix("dcomp: ").unwrap_or(&why);
                return Err(usage(format!(
                    "at {} ranks: {why} ({})",
                    point.ranks,
                    line_of(&words)
                )));
            }
        }
        Ok(())
    }

    /// Makes the input of a size, once.
    ///
    /// # Errors
    /// When the command fails.
    pub fn prepare(&self, point: &Point) -> Result<()> {
        if self.study.prepare.is_empty() {
            return Ok(());
        }
        let values = self.values(point, 0);
        let words = point.command(self.study, &self.study.prepare, &self.program, &values);
        // Sizes whose words are the same share their input.
        let sum = crc::checksum(line_of(&words).as_bytes());
        let marker = self.settings.scratch().join(format!("prepared-{sum:016x}"));
        if marker.exists() {
            return Ok(());
        }
        let log = self.log(&format!("p{}-prepare", point.ranks));
        let ended = child::run(&words, &log, self.study.timeout)?;
        if !ended.is_ok() {
            return Err(Error::bad_input(format!(
                "the preparation for {} ranks failed: {}: {}; its log is {}",
                point.ranks,
                ended.what(),
                last_words(&log),
                log.display()
            )));
        }
        super::runs_file::write_new(&marker, "")
    }

    /// One run; repeat 0 is a warm-up. A run that fails is a sample too.
    ///
    /// # Errors
    /// When it cannot be started or this process is stopped.
    pub fn run(&self, point: &Point, repeat: u64) -> Result<Sample<Value>> {
        let study = self.study;
        let values = self.values(point, repeat);
        let mut words = point.words(study, &self.surroundings.launcher, &self.program, &values);
        if study.is_job() {
            self.remove_output()?;
            words.extend(self.job_words(true));
        }
        let log = self.log(&format!("p{}-t{}-r{repeat}", point.ranks, point.threads));
        let started = now();
        let ended = child::run(&words, &log, study.timeout)?;
        let seen = self.seen(&ended, &log);
        let read = |value: Value| serde_json::from_value::<Record>(value).ok();
        let record = seen.record.clone().and_then(read);
        let told = record.as_ref().and_then(Record::work);
        let machine = record.as_ref().and_then(Record::machine);
        Ok(Sample {
            schema: SCHEMA.into(),
            series: study.name.clone(),
            mode: Some(study.mode),
            ranks: point.ranks,
            nodes: Some(record.as_ref().map_or(point.nodes(), |record| record.nodes)),
            threads: point.threads,
            repeat,
            outcome: seen.outcome,
            message: seen.message,
            metric: metric(study),
            value: seen.value,
            timing: self.timing(),
            process_s: Some(ended.seconds),
            work: point.work(study).or(told.map(|(work, _)| work)),
            work_unit: study.work_unit.clone().or(told.map(|(_, unit)| unit.to_owned())),
            baseline: study.baseline,
            oversubscribed: record
                .as_ref()
                .map_or(point.cores() > self.surroundings.cores(), |record| record.oversubscribed),
            command: words,
            started,
            machine: Some(machine.unwrap_or_else(|| self.surroundings.machine())),
            record: seen.record,
        })
    }

    fn timing(&self) -> Timing {
        if self.pattern.is_some() {
            Timing::Printed
        } else if self.study.times_run() {
            Timing::Run
        } else {
            Timing::Process
        }
    }

    fn seen(&self, ended: &Ended, log: &Path) -> Seen {
        let record = self.study.is_job().then(|| self.record()).flatten();
        let fail = |outcome, message: String| Seen { value: None, outcome, message, record: None };
        if ended.status.is_none() {
            let limit = humantime::format_duration(self.study.timeout);
            return fail(Outcome::Timeout, format!("longer than {limit}; see {}", log.display()));
        }
        if !ended.is_ok() {
            let told = record.as_ref().and_then(|record| record["message"].as_str());
            let told = told.filter(|text| !text.is_empty()).map(ToOwned::to_owned);
            let why = told.unwrap_or_else(|| last_words(log));
            return fail(
                Outcome::Failed,
                format!("{}: {why}; see {}", ended.what(), log.display()),
            );
        }
        if self.study.is_job() && record.as_ref().is_none_or(|record| record["outcome"] != "ok") {
            return fail(Outcome::Failed, "the run left no record of a verified result".into());
        }
        let value = match (&self.pattern, self.study.times_run()) {
            (Some(pattern), _) => match printed(pattern, log) {
                Ok(value) => value,
                Err(why) => return fail(Outcome::NoMatch, format!("{why}; see {}", log.display())),
            },
            (None, true) => {
                let parsed = record.clone().map(serde_json::from_value::<Record>);
                match parsed {
                    Some(Ok(record)) => record.seconds(),
                    _ => return fail(Outcome::Failed, "its record cannot be read".into()),
                }
            }
            (None, false) => ended.seconds,
        };
        if !(value.is_finite() && value > 0.0) {
            return fail(Outcome::NoMatch, format!("the value is {value}, not above zero"));
        }
        Seen { value: Some(value), outcome: Outcome::Ok, message: String::new(), record }
    }

    fn record(&self) -> Option<Value> {
        let (_, record) = self.files();
        let text = std::fs::read(record).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// So that no run finds what another left.
    fn remove_output(&self) -> Result<()> {
        let (output, record) = self.files();
        for path in [output, record] {
            let gone = match path.symlink_metadata() {
                Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(&path),
                Ok(_) => std::fs::remove_file(&path),
                Err(_) => Ok(()),
            };
            gone.map_err(|cause| Error::io("remove", &path, &cause))?;
        }
        Ok(())
    }

    fn log(&self, name: &str) -> PathBuf {
        self.settings.directory.join("logs").join(format!("{name}.log"))
    }

    /// Takes the scratch files away; the runs are elsewhere.
    pub fn clear(&self) {
        std::fs::remove_dir_all(self.settings.scratch()).ok();
    }
}

/// The last match of the pattern in a log, as a number.
fn printed(pattern: &regex::Regex, log: &Path) -> std::result::Result<f64, String> {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let found = pattern.captures_iter(&text).last();
    let found = found.ok_or_else(|| format!("nothing it printed matches {pattern}"))?;
    let part = found.get(1).or_else(|| found.get(0)).map_or("", |part| part.as_str());
    part.trim().parse().map_err(|_| format!("`{part}`, which {pattern} found, is no number"))
}

/// The last line of a log that says something.
fn last_words(log: &Path) -> String {
    const MOST: usize = 300;
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let telling = |line: &&str| line.chars().any(char::is_alphabetic);
    // A launcher's comment comes after what the program said.
    let own = text.lines().rev().filter(telling).find(|line| line.starts_with("dcomp: "));
    let line = own.or_else(|| text.lines().rev().find(telling)).unwrap_or("it printed nothing");
    line.chars().take(MOST).collect::<String>().trim().to_owned()
}
