//! The run record, schema `dcomp-run/1`: one JSON object per run.
//!
//! Its first half (job, outcome, spec, result, outputs) is the same for every rank count, thread
//! count, schedule and instruction set; the second half tells how this run went. Fields are added,
//! never changed. `docs/record.md` describes each.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Meter, Phase, clock, cpu_model, peak_rss_bytes};
use crate::comm::{Comm, host_name};
use crate::num::{len_f64, to_f64, to_u64};
use crate::threads::Threads;

/// The schema's name and version.
pub const SCHEMA: &str = "dcomp-run/1";

/// Whether a record of ours lies at `path`. What is no ordinary file, or far too large, is not one.
pub fn is_ours(path: &Path) -> bool {
    const MOST: u64 = 64 << 20;
    let plain = path.symlink_metadata().is_ok_and(|meta| meta.is_file() && meta.len() <= MOST);
    let text = if plain { std::fs::read(path).unwrap_or_default() } else { Vec::new() };
    serde_json::from_slice::<Value>(&text).is_ok_and(|value| value["schema"] == SCHEMA)
}

/// A file that a run read or made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSum {
    /// As the user wrote it.
    pub path: String,
    /// Length in bytes.
    pub bytes: u64,
    /// CRC-64/NVME of the whole file, 16 hex digits.
    pub crc64: String,
}

/// What the job found and made; the same for every way of computing it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Findings {
    /// Files read.
    pub input: Vec<FileSum>,
    /// The job's own numbers.
    pub result: Value,
    /// Files made.
    pub outputs: Vec<FileSum>,
    /// The least number of bytes that had to change ranks.
    pub comm_bytes_needed: u64,
    /// The least number of bytes that had to be read and written.
    pub io_bytes_needed: u64,
    /// What else was measured, which may differ from run to run; null for nothing.
    pub details: Value,
}

/// How the run ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Ending {
    /// One of the contract's words.
    pub outcome: String,
    /// The process's exit code.
    pub exit_code: u8,
    /// Empty, or the error's sentence.
    pub message: String,
}

/// What one rank tells about itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct RankNumbers {
    phases_s: [f64; 6],
    useful_s: f64,
    mpi_s: f64,
    io_s: f64,
    messages: u64,
    bytes_sent: u64,
    bytes_read: u64,
    bytes_written: u64,
    files_opened: u64,
    peak_rss_bytes: u64,
    stopwatches: u64,
    host: String,
    cpu_model: String,
    /// The CPUs of the affinity mask, by number: a host's cores are the union over its ranks.
    cpus: Vec<usize>,
}

/// The identity of this run, known from its start.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The job's name.
    pub job: &'static str,
    /// The effective parameters.
    pub spec: Value,
    /// The seed of everything that was drawn at random.
    pub seed: u64,
    /// The command line.
    pub command: Vec<String>,
    /// When the process started, RFC 3339.
    pub started: String,
}

/// Now, RFC 3339 in UTC.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

/// What made a record.
pub fn program() -> Value {
    serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "git": env!("DCOMP_BUILD_GIT"),
        "dirty": env!("DCOMP_BUILD_DIRTY") == "true",
        "rustc": env!("DCOMP_BUILD_RUSTC"),
    })
}

/// Collective. Gathers every rank's numbers; the record on root, `None` elsewhere.
pub fn assemble(
    comm: &Comm,
    meter: &Meter,
    threads: &Threads,
    identity: &Identity,
    ending: &Ending,
    findings: &Findings,
) -> Option<Value> {
    let mine = serde_json::to_vec(&rank_numbers(comm, meter, threads)).expect("plain numbers");
    let parts = comm.gather_bytes(&mine);
    if !comm.is_root() {
        return None;
    }
    let ranks: Vec<RankNumbers> = parts
        .iter()
        .map(|part| serde_json::from_slice(part).expect("the same type on every rank"))
        .collect();
    Some(record(comm, meter, threads, identity, ending, findings, &ranks))
}

fn rank_numbers(comm: &Comm, meter: &Meter, threads: &Threads) -> RankNumbers {
    let (stats, io, regions) = (comm.stats(), meter.io_stats(), threads.times());
    let working: f64 = Phase::ALL[1..].iter().map(|phase| meter.phase_s(*phase)).sum();
    // Outside MPI and files; in parallel regions what the threads worked, not what they waited.
    let useful_s = working - stats.mpi_s - io.io_s - regions.wall_s + regions.busy_s;
    RankNumbers {
        phases_s: Phase::ALL.map(|phase| meter.phase_s(phase)),
        useful_s: useful_s.max(0.0),
        mpi_s: stats.mpi_s,
        io_s: io.io_s,
        messages: stats.messages,
        bytes_sent: stats.bytes_sent,
        bytes_read: io.bytes_read,
        bytes_written: io.bytes_written,
        files_opened: io.files_opened,
        peak_rss_bytes: peak_rss_bytes(),
        stopwatches: clock::started(),
        host: host_name(),
        cpu_model: cpu_model(),
        cpus: allowed_cpus(),
    }
}

fn record(
    comm: &Comm,
    meter: &Meter,
    threads: &Threads,
    identity: &Identity,
    ending: &Ending,
    findings: &Findings,
    ranks: &[RankNumbers],
) -> Value {
    let column = |pick: fn(&RankNumbers) -> f64| ranks.iter().map(pick).collect::<Vec<f64>>();
    let sum = |pick: fn(&RankNumbers) -> u64| ranks.iter().map(pick).sum::<u64>();
    let phases: Vec<Value> = Phase::ALL
        .iter()
        .enumerate()
        .map(|(index, phase)| {
            let (min, mean, max) =
                spread(&ranks.iter().map(|rank| rank.phases_s[index]).collect::<Vec<_>>());
            serde_json::json!({"name": phase.name(), "min_s": min, "mean_s": mean, "max_s": max})
        })
        .collect();
    let useful = column(|rank| rank.useful_s);
    let (_, useful_mean, useful_max) = spread(&useful);
    let runtime_s: f64 = Phase::ALL[1..].iter().map(|phase| meter.phase_s(*phase)).sum();
    let ratio = |part: f64, whole: f64| if whole > 0.0 { part / whole } else { 1.0 };
    let stopwatches = ranks.iter().map(|rank| rank.stopwatches).max().unwrap_or(0);
    let price_s = clock::price_s();
    let rss: Vec<u64> = ranks.iter().map(|rank| rank.peak_rss_bytes).collect();
    let hosts = hosts(ranks);
    let (library, standard) = comm.library().unwrap_or(("none".into(), "none".into()));
    let rank_count = to_u64(ranks.len());
    let thread_count = to_u64(threads.count());
    let mut record = serde_json::json!({
        "schema": SCHEMA,
        "job": identity.job,
        "outcome": ending.outcome,
        "exit_code": ending.exit_code,
        "message": ending.message,
        "spec": identity.spec,
        "input": findings.input,
        "seed": identity.seed,
        "result": findings.result,
        "outputs": findings.outputs,
        "program": program(),
        "mpi": {"library": library, "standard": standard},
        "command": identity.command,
        "started": identity.started,
        "ended": now(),
        "ranks": rank_count,
        "nodes": comm.place().node_count,
        "threads_per_rank": thread_count,
        "cores": hosts.iter().map(Host::cores).sum::<u64>(),
        "oversubscribed": hosts.iter().any(|host| host.ranks * thread_count > host.cores()),
        "hosts": hosts.iter().map(|host| serde_json::json!({
            "name": host.name, "ranks": host.ranks, "cpu_model": host.cpu_model,
        })).collect::<Vec<_>>(),
        "wall_s": meter.elapsed_s(),
        "runtime_s": runtime_s,
        "phases": phases,
        "per_rank": {
            "useful_s": useful,
            "mpi_s": column(|rank| rank.mpi_s),
            "io_s": column(|rank| rank.io_s),
        },
        "comm": {
            "messages": sum(|rank| rank.messages),
            "bytes_sent": sum(|rank| rank.bytes_sent),
            "bytes_needed": findings.comm_bytes_needed,
        },
        "io": {
            "bytes_read": sum(|rank| rank.bytes_read),
            "bytes_written": sum(|rank| rank.bytes_written),
            "bytes_needed": findings.io_bytes_needed,
            "files_opened": sum(|rank| rank.files_opened),
        },
        "peak_rss_bytes": {
            "min": rss.iter().min(),
            "mean": rss.iter().sum::<u64>() / rank_count.max(1),
            "max": rss.iter().max(),
        },
        "instruments": {
            "stopwatches": stopwatches,
            "price_s": price_s,
            "share": ratio(to_f64(stopwatches) * price_s, runtime_s).min(1.0),
        },
        "efficiency": {
            "load_balance": ratio(useful_mean, useful_max),
            "communication": ratio(useful_max, runtime_s),
            "parallel": ratio(useful_mean, runtime_s),
        },
    });
    if !findings.details.is_null() {
        record["details"] = findings.details.clone();
    }
    record
}

struct Host {
    name: String,
    cpu_model: String,
    ranks: u64,
    cpus: BTreeSet<usize>,
}

impl Host {
    fn cores(&self) -> u64 {
        to_u64(self.cpus.len())
    }
}

/// The hosts in order of their first rank.
fn hosts(ranks: &[RankNumbers]) -> Vec<Host> {
    let mut hosts: Vec<Host> = Vec::new();
    for rank in ranks {
        let known = hosts.iter().position(|host| host.name == rank.host);
        let at = known.unwrap_or_else(|| {
            hosts.push(Host {
                name: rank.host.clone(),
                cpu_model: rank.cpu_model.clone(),
                ranks: 0,
                cpus: BTreeSet::new(),
            });
            hosts.len() - 1
        });
        hosts[at].ranks += 1;
        hosts[at].cpus.extend(&rank.cpus);
    }
    hosts
}

/// The CPUs that this process may run on.
pub fn allowed_cpus() -> Vec<usize> {
    let this = nix::unistd::Pid::from_raw(0);
    let Ok(mask) = nix::sched::sched_getaffinity(this) else { return vec![0] };
    (0..nix::sched::CpuSet::count()).filter(|&cpu| mask.is_set(cpu).unwrap_or(false)).collect()
}

fn spread(values: &[f64]) -> (f64, f64, f64) {
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(0.0, f64::max);
    (min, values.iter().sum::<f64>() / len_f64(values.len().max(1)), max)
}
