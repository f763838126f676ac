//! One measured run: a line of `runs.jsonl`, or what a run record or a CSV row says of one.
//!
//! A line keeps the whole record of a dcomp job, so that a report can be made again from the lines
//! alone; a reader takes of it what [`Record`] names and leaves the rest.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::report::{Metric, Mode};

/// The schema's name and version.
pub const SCHEMA: &str = "dcomp-scaling-run/1";

/// How a run ended, for a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It gave a value.
    Ok,
    /// It ended with another code than 0, or its own check failed.
    Failed,
    /// It was ended at its time limit.
    Timeout,
    /// It ended well but did not print what `extract` looks for.
    NoMatch,
}

/// What the clock was around.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Timing {
    /// The work of a dcomp job: all phases after MPI and the parameters were set up.
    Run,
    /// The whole command, launcher and start-up included.
    Process,
    /// What the program printed.
    Printed,
    /// What a table says; how it was measured is not known.
    Told,
}

/// Where a run took place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Names of the hosts, as far as known.
    pub hosts: Vec<String>,
    /// The processor's name.
    pub cpu_model: String,
    /// CPUs that the ranks could use together.
    pub cores: u64,
}

/// One measured run. `R` is the record: [`Record`] for reading, a JSON value for writing.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample<R = Record> {
    /// [`SCHEMA`].
    pub schema: String,
    /// The curve it belongs to.
    pub series: String,
    /// None where a record alone does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Number of ranks.
    pub ranks: u64,
    /// Number of nodes, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<u64>,
    /// Threads per rank.
    #[serde(default = "one")]
    pub threads: u64,
    /// 1, 2, ...; 0 is a warm-up, which no report counts.
    pub repeat: u64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it gave no value; empty else.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What `value` is.
    pub metric: Metric,
    /// Seconds, or a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
    /// What the clock was around.
    pub timing: Timing,
    /// Seconds of the whole command.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_s: Option<f64>,
    /// The amount of work of this run, all ranks together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work: Option<f64>,
    /// What `work` counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub work_unit: Option<String>,
    /// The baseline that the study asks for, in ranks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<u64>,
    /// Whether more threads ran than there were cores.
    #[serde(default)]
    pub oversubscribed: bool,
    /// The command line.
    #[serde(default)]
    pub command: Vec<String>,
    /// When it started, RFC 3339.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub started: String,
    /// Where it ran.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// The run record of a dcomp job.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub record: Option<R>,
}

fn one() -> u64 {
    1
}

fn none<R>() -> Option<R> {
    None
}

/// What a study reads of a run record (`docs/record.md`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// `dcomp-run/1`.
    pub schema: String,
    /// The job's name.
    pub job: String,
    /// `ok` or what went wrong.
    pub outcome: String,
    /// The error's sentence.
    pub message: String,
    /// What was found: the same for every rank count, so it tells whether two runs did the same.
    pub result: Value,
    /// The effective parameters.
    pub spec: Value,
    /// Files read.
    pub input: Vec<FileBytes>,
    /// The seed.
    pub seed: u64,
    /// The program that ran.
    pub program: Program,
    /// The MPI library.
    pub mpi: Mpi,
    /// The command line.
    pub command: Vec<String>,
    /// RFC 3339.
    pub started: String,
    /// Number of ranks.
    pub ranks: u64,
    /// Number of nodes.
    pub nodes: u64,
    /// Threads per rank.
    pub threads_per_rank: u64,
    /// CPUs the ranks could use.
    pub cores: u64,
    /// More threads than cores.
    pub oversubscribed: bool,
    /// Where the ranks ran.
    pub hosts: Vec<Host>,
    /// From the start of root's process to the record, seconds.
    pub wall_s: f64,
    /// The same from the end of the setup phase; absent in the oldest records.
    pub runtime_s: Option<f64>,
    /// Seconds of each phase.
    pub phases: Vec<Phase>,
    /// Seconds of each rank.
    pub per_rank: PerRank,
    /// Traffic between ranks.
    pub comm: Comm,
    /// File traffic.
    pub io: Io,
    /// Peak memory of a rank.
    pub peak_rss_bytes: Peak,
    /// What measuring cost.
    pub instruments: Instruments,
}

macro_rules! part {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default)]
        pub struct $name { $($(#[$field_doc])* pub $field: $kind),* }
    };
}

part! {
    /// An input file.
    FileBytes {
        /// Length.
        bytes: u64,
    }
}
part! {
    /// The program that ran.
    Program {
        /// Of the package.
        version: String,
        /// Revision.
        git: String,
        /// Whether the tree had changes.
        dirty: bool,
        /// Compiler.
        rustc: String,
    }
}
part! {
    /// The MPI library.
    Mpi {
        /// Its name and version.
        library: String,
        /// The standard it follows.
        standard: String,
    }
}
part! {
    /// One host.
    Host {
        /// Its name.
        name: String,
        /// Ranks on it.
        ranks: u64,
        /// Its processor.
        cpu_model: String,
    }
}
part! {
    /// One phase.
    Phase {
        /// `setup plan compute exchange verify write`.
        name: String,
        /// Mean over ranks, seconds.
        mean_s: f64,
        /// Greatest over ranks, seconds.
        max_s: f64,
    }
}
part! {
    /// Seconds of each rank after setup.
    PerRank {
        /// Outside MPI and files.
        useful_s: Vec<f64>,
        /// In MPI, waiting included.
        mpi_s: Vec<f64>,
        /// In file operations.
        io_s: Vec<f64>,
    }
}
part! {
    /// Traffic between ranks.
    Comm {
        /// Bytes sent by all ranks.
        bytes_sent: u64,
    }
}
part! {
    /// File traffic of all ranks.
    Io {
        /// Bytes read.
        bytes_read: u64,
        /// Bytes written.
        bytes_written: u64,
    }
}
part! {
    /// What measuring cost.
    Instruments {
        /// Share of the run's time.
        share: f64,
    }
}
part! {
    /// Peak memory.
    Peak {
        /// Of the rank with the most.
        max: u64,
    }
}

impl Record {
    /// Seconds of the work, setup left out.
    pub fn seconds(&self) -> f64 {
        let after_setup = self.phases.iter().filter(|phase| phase.name != "setup");
        self.runtime_s.unwrap_or_else(|| after_setup.map(|phase| phase.mean_s).sum())
    }

    /// The amount of work and its unit: iterations where the job counts them, else bytes read.
    pub fn work(&self) -> Option<(f64, &'static str)> {
        if let Some(iterations) = self.result["iterations_total"].as_f64() {
            return Some((iterations, "iterations"));
        }
        let read: u64 = self.input.iter().map(|file| file.bytes).sum();
        let bytes = if read > 0 { Some(read) } else { self.result["bytes"].as_u64() };
        bytes.map(|bytes| (crate::num::to_f64(bytes), "bytes"))
    }

    /// Where it ran; none of a record without hosts.
    pub fn machine(&self) -> Option<Machine> {
        let first = self.hosts.first()?;
        Some(Machine {
            hosts: self.hosts.iter().map(|host| host.name.clone()).collect(),
            cpu_model: first.cpu_model.clone(),
            cores: self.cores,
        })
    }

    /// The run that this record tells of, as one of a series.
    pub fn into_sample(self, series: String, mode: Option<Mode>) -> Sample {
        let ok = self.outcome == "ok";
        let work = self.work();
        Sample {
            schema: SCHEMA.into(),
            series,
            mode,
            ranks: self.ranks,
            nodes: Some(self.nodes),
            threads: self.threads_per_rank,
            repeat: 1,
            outcome: if ok { Outcome::Ok } else { Outcome::Failed },
            message: self.message.clone(),
            metric: Metric::Time,
            value: ok.then(|| self.seconds()),
            timing: Timing::Run,
            process_s: None,
            work: work.map(|(amount, _)| amount),
            work_unit: work.map(|(_, unit)| unit.into()),
            baseline: None,
            oversubscribed: self.oversubscribed,
            command: self.command.clone(),
            started: self.started.clone(),
            machine: self.machine(),
            record: Some(self),
        }
    }
}
