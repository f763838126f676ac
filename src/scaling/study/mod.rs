//! A study: what to run at which sizes, how often, and what to take as its time. Pure.
//!
//! Its keys are flags of `dcomp scaling run` too. The environment is no source of them: `DCOMP_*`
//! belongs to the jobs that are measured.

pub mod launcher;
pub mod order;
pub mod points;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::expand::{self, Growth};
use super::report::Mode;
use crate::deck::{Deck, Layer, Source, merge, parse};
use crate::error::{Error, Result};

/// The default of every key that has one.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Keys without a default.
const OPTIONAL: [&str; 14] = [
    "name",
    "command",
    "prepare",
    "ranks",
    "ranks_per_node",
    "until",
    "baseline",
    "extract",
    "rate",
    "work",
    "work_unit",
    "grow",
    "launcher",
    "time_per_run",
];

/// What the clock is around.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// `run` for jobs of dcomp, `process` for other programs.
    #[default]
    Auto,
    /// The phases of a dcomp job after its setup.
    Run,
    /// The whole command.
    Process,
}

/// A checked study.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Study {
    /// The series' name.
    #[serde(default)]
    pub name: String,
    /// Strong or weak.
    pub mode: Mode,
    /// The command's words, with placeholders. A first word `dcomp` is this program.
    #[serde(deserialize_with = "words")]
    pub command: Vec<String>,
    /// A command that makes a size's input, once, before it is timed.
    #[serde(default, deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub prepare: Vec<String>,
    /// Rank counts, rising.
    #[serde(deserialize_with = "counts")]
    pub ranks: Vec<u64>,
    /// How many ranks go to a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranks_per_node: Option<u64>,
    /// Threads per rank.
    pub threads: u64,
    /// Runs of each size, the warm-up aside.
    pub repeats: u64,
    /// The half width of the median's 95 % interval, relative to it, that ends the repeats.
    #[serde(default, with = "percent", skip_serializing_if = "Option::is_none")]
    pub until: Option<f64>,
    /// The most runs of one size.
    pub max_repeats: u64,
    /// Runs of each size that are not counted.
    pub warmup: u64,
    /// The rank count that speedups are relative to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<u64>,
    /// Draws the order of the runs.
    pub seed: u64,
    /// A run that takes longer is ended.
    #[serde(with = "humantime_text")]
    pub timeout: Duration,
    /// What the clock is around.
    pub timing: Clock,
    /// A regular expression whose first group, or whole match, is the time in what is printed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extract: Option<String>,
    /// Whether what is extracted is a rate, not a time.
    #[serde(default)]
    pub rate: bool,
    /// The work of a run of another program, growing or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<String>,
    /// What `work` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_unit: Option<String>,
    /// Placeholders that grow with the ranks.
    #[serde(default, deserialize_with = "growths", skip_serializing_if = "BTreeMap::is_empty")]
    pub grow: BTreeMap<String, String>,
    /// The words that start ranks; by default `srun` inside an allocation, else `mpirun`.
    #[serde(default, deserialize_with = "words", skip_serializing_if = "Vec::is_empty")]
    pub launcher: Vec<String>,
    /// How long a run takes about, for plans and for the time limits of jobs.
    #[serde(default, with = "humantime_option", skip_serializing_if = "Option::is_none")]
    pub time_per_run: Option<Duration>,
}

/// Reads a study from its file's text, if there is one, and from flags.
///
/// # Errors
/// Usage errors that name the key and where it was set.
pub fn resolve(file: Option<(&str, &str)>, flags: Layer) -> Result<Study> {
    let defaults = Layer { source: Source::Default, ..parse(DEFAULTS, "")?.layer };
    let optional = OPTIONAL.iter().map(ToString::to_string);
    let known: Vec<String> = defaults.values.keys().cloned().chain(optional).collect();
    let mut layers = vec![defaults];
    if let Some((text, name)) = file {
        let Deck { job, layer } = parse(text, name)?;
        if let Some(job) = job.filter(|job| job != "scaling") {
            return Err(Error::usage(format!(
                "{name} is a deck for the job {job}, not a study; start it with dcomp run, or \
                 name it in a study: command = [\"dcomp\", \"run\", \"{name}\"]"
            )));
        }
        layers.push(layer);
    }
    layers.push(flags);
    let merged = merge(&layers, &known, &[])?;
    for key in ["command", "ranks"] {
        if !merged.is_set(key) {
            let what = if key == "ranks" {
                "the rank counts: --ranks 1,2,4"
            } else {
                "what to run: -- COMMAND..., for example -- dcomp mandelbrot"
            };
            return Err(Error::usage(format!("a study needs {what}")));
        }
    }
    let mut study: Study = merged.read()?;
    let stem = file.and_then(|(_, name)| std::path::Path::new(name).file_stem()?.to_str());
    if study.name.is_empty() {
        study.name = stem.map_or_else(|| study.default_name(), ToOwned::to_owned);
    }
    study.check(|key| merged.name(key))?;
    Ok(study)
}

impl Study {
    /// Whether the command is a job of this program.
    pub fn is_job(&self) -> bool {
        self.command.first().is_some_and(|word| word == "dcomp")
    }

    /// Whether the time is that of the record's phases.
    pub fn times_run(&self) -> bool {
        self.extract.is_none()
            && match self.timing {
                Clock::Auto => self.is_job(),
                Clock::Run => true,
                Clock::Process => false,
            }
    }

    /// The job's name, or the program's: the first word that is no option after one that places ranks.
    fn default_name(&self) -> String {
        let after = |mark: &dyn Fn(&String) -> bool| {
            self.command.iter().position(mark).map_or(0, |at| at + 1)
        };
        let from = if self.is_job() { 1 } else { after(&|word| expand::mentions(word, "ranks")) };
        let word = self.command[from..].iter().find(|word| !word.starts_with('-'));
        let word = word.or(self.command.first()).map_or("study", String::as_str);
        word.rsplit('/').next().unwrap_or(word).to_owned()
    }

    fn check(&self, name: impl Fn(&str) -> String) -> Result<()> {
        let wrong = |key: &str, why: &str| Error::usage(format!("{}: {why}", name(key)));
        if self.command.is_empty() {
            return Err(wrong("command", "it is empty; give the program and its arguments"));
        }
        if self.ranks.is_empty() || self.ranks.contains(&0) {
            return Err(wrong("ranks", "give one or more rank counts of at least 1"));
        }
        for (key, value, most) in [
            ("threads", self.threads, 1024),
            ("repeats", self.repeats, 10_000),
            ("max_repeats", self.max_repeats, 10_000),
            ("ranks_per_node", self.ranks_per_node.unwrap_or(1), 1 << 20),
        ] {
            if !(1..=most).contains(&value) {
                return Err(wrong(key, &format!("{value}; give 1 to {most}")));
            }
        }
        if self.warmup > 100 {
            return Err(wrong("warmup", &format!("{}; give 0 to 100", self.warmup)));
        }
        if let Some(baseline) = self.baseline.filter(|baseline| !self.ranks.contains(baseline)) {
            return Err(wrong(
                "baseline",
                &format!("{baseline} is none of the rank counts; add it to ranks"),
            ));
        }
        if self.until.is_some_and(|until| !(0.0001..=1.0).contains(&until)) {
            return Err(wrong("until", "give a percentage from 0.01% to 100%"));
        }
        if self.timeout.is_zero() {
            return Err(wrong("timeout", "give a time such as 10m"));
        }
        if self.timing == Clock::Run && !self.is_job() {
            return Err(wrong(
                "timing",
                "only jobs of dcomp tell the time of their run; use process",
            ));
        }
        if self.rate && self.extract.is_none() {
            return Err(wrong(
                "rate",
                "a rate is read from what the program prints; give extract too",
            ));
        }
        if let Some(pattern) = &self.extract {
            regex::Regex::new(pattern).map_err(|cause| {
                Error::usage(format!("{}: {cause}; quote it for the shell", name("extract")))
            })?;
        }
        for (key, growth) in &self.grow {
            if !expand::is_name(key) || points::RESERVED.contains(&key.as_str()) {
                return Err(wrong(
                    "grow",
                    &format!(
                        "`{key}` cannot be a name; use lower case letters, and none of {}",
                        points::RESERVED.join(" ")
                    ),
                ));
            }
            growth.parse::<Growth>().map_err(|why| wrong("grow", &why))?;
        }
        if let Some(work) = &self.work {
            work.parse::<Growth>().map_err(|why| wrong("work", &why))?;
        }
        // Every word must expand at every size: found now, not after the first hour.
        for point in points::of(self, points::Place::default()) {
            for (key, words) in [
                ("command", &self.command),
                ("prepare", &self.prepare),
                ("launcher", &self.launcher),
            ] {
                for word in words {
                    let values = point.values(self, 1, "scratch");
                    expand::word(word, &values).map_err(|why| wrong(key, &why))?;
                }
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected a command, as text or as a list of words")]
enum Words {
    Line(String),
    List(Vec<String>),
}

/// A list of words, or a line that is split as a shell would, without running one.
fn words<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vec<String>, D::Error> {
    match Words::deserialize(from)? {
        Words::List(list) => Ok(list),
        Words::Line(line) => shlex::split(&line)
            .ok_or_else(|| serde::de::Error::custom(format!("a quote does not end in `{line}`"))),
    }
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected rank counts, as \"1,2,4\" or a list of numbers")]
enum Counts {
    One(u64),
    Text(String),
    List(Vec<u64>),
}

fn counts<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Vec<u64>, D::Error> {
    let mut list = match Counts::deserialize(from)? {
        Counts::One(count) => vec![count],
        Counts::List(list) => list,
        Counts::Text(text) => text
            .split(',')
            .map(|part| part.trim().parse())
            .collect::<std::result::Result<_, _>>()
            .map_err(|_| {
                serde::de::Error::custom(format!("`{text}` is no list of rank counts; write 1,2,4"))
            })?,
    };
    list.sort_unstable();
    list.dedup();
    Ok(list)
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "expected names with their growth, as { files = \"1000*ranks\" }")]
enum Growths {
    Table(BTreeMap<String, String>),
    Flags(Vec<String>),
}

fn growths<'de, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<BTreeMap<String, String>, D::Error> {
    match Growths::deserialize(from)? {
        Growths::Table(table) => Ok(table),
        Growths::Flags(flags) => flags
            .iter()
            .map(|flag| {
                let (name, growth) = flag.split_once('=').ok_or_else(|| {
                    serde::de::Error::custom(format!("`{flag}` has no =; write files=1000*ranks"))
                })?;
                Ok((name.trim().to_owned(), growth.trim().to_owned()))
            })
            .collect(),
    }
}

/// `2%` or `0.02`.
mod percent {
    use super::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a percentage, as \"2%\"")]
    enum Given {
        Number(f64),
        Text(String),
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<f64>, D::Error> {
        match Given::deserialize(from)? {
            Given::Number(number) => Ok(Some(number)),
            Given::Text(text) => {
                crate::units::parse_percent(&text).map(Some).map_err(serde::de::Error::custom)
            }
        }
    }

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(value: &Option<f64>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(part) => to.serialize_str(&format!("{}%", part * 100.0)),
            None => to.serialize_none(),
        }
    }
}

mod humantime_text {
    use super::{Deserialize, Deserializer, Duration, Serializer};

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let text = String::deserialize(from)?;
        humantime::parse_duration(&text).map_err(|cause| {
            serde::de::Error::custom(format!("`{text}` is no time: {cause}; write 30s, 10m or 2h"))
        })
    }

    pub fn serialize<S: Serializer>(value: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&humantime::format_duration(*value))
    }
}

mod humantime_option {
    use super::{Deserializer, Duration, Serializer, humantime_text};

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        humantime_text::deserialize(from).map(Some)
    }

    #[expect(clippy::ref_option, reason = "serde's signature")]
    pub fn serialize<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(time) => humantime_text::serialize(time, to),
            None => to.serialize_none(),
        }
    }
}

#[cfg(test)]
mod tests;
