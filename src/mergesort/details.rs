//! What a run cost, and how near it came to its limit, for the record.
//!
//! The limit is what the run would have taken if its dearest part had been all of it: the disk at the rates
//! that it reached, the exchange at that of the fastest rank, or the local sort at the rate that was
//! calibrated. Costs one message from each rank to root, which alone knows the result.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::calibrate::Sample;
use crate::comm::{Comm, host_name};
use crate::measure::record::allowed_cpus;
use crate::num::{len_f64, to_f64, to_u64};

/// Runs that took less are not held against a limit: what they take is starting and waiting.
const LEAST_S: f64 = 0.02;

/// Bytes that were moved, and how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moved {
    /// Bytes.
    pub bytes: u64,
    /// Seconds.
    pub seconds: f64,
}

impl Moved {
    /// From counters of bytes and nanoseconds.
    pub fn of(bytes: &AtomicU64, nanoseconds: &AtomicU64) -> Self {
        let seconds = to_f64(nanoseconds.load(Ordering::Relaxed)) / 1e9;
        Self { bytes: bytes.load(Ordering::Relaxed), seconds }
    }

    /// Both, one after the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { bytes: self.bytes + other.bytes, seconds: self.seconds + other.seconds }
    }

    /// By so many threads at once.
    #[must_use]
    pub fn shared(self, threads: usize) -> Self {
        Self { seconds: self.seconds / len_f64(threads), ..self }
    }

    /// Bytes a second; none of nothing.
    fn rate(self) -> Option<f64> {
        (self.bytes > 0 && self.seconds > 0.0).then(|| to_f64(self.bytes) / self.seconds)
    }
}

/// Chunks that came out of several sorted pieces, by how.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Merged {
    /// Through a tree.
    pub by_tree: u64,
    /// Sorted again.
    pub by_sort: u64,
}

impl Merged {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { by_tree: self.by_tree + other.by_tree, by_sort: self.by_sort + other.by_sort }
    }

    /// In a word.
    fn name(self) -> Option<&'static str> {
        match (self.by_tree, self.by_sort) {
            (0, 0) => None,
            (_, 0) => Some("tree"),
            (0, _) => Some("sort"),
            _ => Some("tree and sort"),
        }
    }
}

/// What a rank tells.
#[derive(Debug, Serialize, Deserialize)]
pub struct Costs {
    /// Seconds of the local sort, the search for cuts, the exchange and the merge.
    pub times_s: [f64; 4],
    /// Seconds of everything since the start of the work.
    pub taken_s: f64,
    /// Items that were read.
    pub items: u64,
    /// Items of this rank's part.
    pub part: u64,
    /// Sequences in which they were sorted, and how many at once.
    pub sequences: u64,
    /// Threads.
    pub threads: u64,
    /// What was sorted apart.
    pub sample: Option<Sample>,
    /// Bytes that came from files, and those that went there; runs on the disk are files.
    pub read: Moved,
    /// The other way.
    pub written: Moved,
    /// Items that changed ranks, on the side where they were counted.
    pub wire: Moved,
    /// All that was sent.
    pub bytes_sent: u64,
    /// How pieces were merged.
    pub merged: Merged,
    /// This machine.
    pub host: String,
    /// Those of its cores that this rank may use.
    pub cpus: Vec<usize>,
}

impl Default for Costs {
    fn default() -> Self {
        Self {
            times_s: [0.0; 4],
            taken_s: 0.0,
            items: 0,
            part: 0,
            sequences: 1,
            threads: 1,
            sample: None,
            read: Moved::default(),
            written: Moved::default(),
            wire: Moved::default(),
            bytes_sent: 0,
            merged: Merged::default(),
            host: host_name(),
            cpus: allowed_cpus(),
        }
    }
}

/// The same on all ranks.
pub struct Plan {
    /// Rounds of the search for cuts.
    pub rounds: u64,
    /// Slices of the result.
    pub slices: u64,
    /// What each rank may use.
    pub memory_bytes: u64,
    /// How items change ranks.
    pub exchange: Option<&'static str>,
    /// Bytes of all items as they come and as they go, and how many of the first come from files.
    pub bytes_in: u64,
    /// As they go.
    pub bytes_out: u64,
    /// From files.
    pub bytes_from_files: u64,
    /// Bytes of all runs on a disk, of earlier programs too.
    pub run_bytes: u64,
    /// Whether it was sorted in rounds, by runs.
    pub by_runs: bool,
    /// Whether this program did all of it.
    pub is_whole: bool,
}

/// What root makes of it.
#[derive(Default)]
pub struct Told {
    /// Bytes that had to change ranks.
    pub wire_bytes: u64,
    /// Bytes that went through runs, there and back.
    pub run_bytes: u64,
    /// The record's part.
    pub details: Value,
}

/// Collective. On root the whole, elsewhere nothing.
pub fn tell(comm: &Comm, plan: &Plan, mine: &Costs) -> Told {
    let parts = comm.gather_bytes(&serde_json::to_vec(mine).expect("plain numbers"));
    let ranks: Vec<Costs> = parts
        .iter()
        .map(|part| serde_json::from_slice(part).expect("the same type on every rank"))
        .collect();
    if ranks.is_empty() { Told::default() } else { sum_up(plan, &ranks) }
}

fn sum_up(plan: &Plan, ranks: &[Costs]) -> Told {
    let most = |pick: &dyn Fn(&Costs) -> f64| ranks.iter().map(pick).fold(0.0, f64::max);
    let sum = |pick: fn(&Costs) -> u64| ranks.iter().map(pick).sum::<u64>();
    let rate = |bytes: u64, seconds: f64| Moved { bytes, seconds }.rate();
    let (run_bytes, wire_bytes) = (plan.run_bytes, sum(|rank| rank.wire.bytes));
    let (read, written) = (sum(|rank| rank.read.bytes), sum(|rank| rank.written.bytes));
    let sort_s = most(&|rank| rank.times_s.iter().sum());
    let slowest = [0, 1, 2, 3].map(|at| most(&|rank: &Costs| rank.times_s[at]));
    let parts = ranks.iter().map(|rank| rank.part);
    let external = plan.by_runs;
    let memory = plan.memory_bytes.saturating_mul(to_u64(ranks.len()));
    let beyond = if external { plan.bytes_in.saturating_sub(memory) } else { 0 };
    let disk_least = plan.bytes_from_files + plan.bytes_out + 2 * beyond;
    let ratio = |part: u64, whole: u64| (whole > 0).then(|| to_f64(part) / to_f64(whole));
    let records = sum(|rank| rank.items);
    let calibrated_s = calibrated_s(ranks);
    // What a part of the work took is not held against the limit of the whole.
    let whole = |value: f64| plan.is_whole.then_some(value);
    let limit = limit(ranks, calibrated_s).filter(|_| plan.is_whole);
    let merged = ranks.iter().fold(Merged::default(), |all, rank| all.and(rank.merged));
    let details = json!({
        "external": external,
        "memory_bytes": plan.memory_bytes,
        "run_bytes": run_bytes,
        "slices": plan.slices,
        "splitter_rounds": plan.rounds,
        "imbalance_records": parts.clone().max().unwrap_or(0) - parts.min().unwrap_or(0),
        "sort_s": sort_s,
        "local_sort_s": slowest[0],
        "splitters_s": slowest[1],
        "exchange_s": slowest[2],
        "merge_s": slowest[3],
        "records_per_s": whole(to_f64(records) / f64::max(sort_s, 1e-9)),
        "exchange": plan.exchange,
        "merge": merged.name(),
        "wire_ratio": ratio(sum(|rank| rank.bytes_sent), wire_bytes),
        "disk_ratio": ratio(read + written, disk_least).and_then(whole),
        "disk_bytes": read + written,
        "check_bytes": plan.bytes_out,
        "rates": {
            "sort_calibrated_records_per_s": calibrated_s.map(|s| to_f64(records) / s),
            "sort_records_per_s": rate(records, slowest[0]),
            "wire_bytes_per_s": fastest(ranks),
            "read_bytes_per_s": rate(read, most(&|rank| rank.read.seconds)),
            "write_bytes_per_s": rate(written, most(&|rank| rank.written.seconds)),
        },
        "limit_s": limit.map(|(limit_s, _)| limit_s),
        "limit_by": limit.map(|(_, by)| by),
        "limit_share": limit.map(|(limit_s, _)| limit_s / most(&|rank| rank.taken_s)),
    });
    Told { wire_bytes, run_bytes: 2 * run_bytes, details }
}

/// Bytes a second of the rank that moved items fastest.
fn fastest(ranks: &[Costs]) -> Option<f64> {
    ranks.iter().filter_map(|rank| rank.wire.rate()).max_by(f64::total_cmp)
}

/// Seconds of the local sort at the rate of the fastest sample, where each thread has a core while there
/// are any.
fn calibrated_s(ranks: &[Costs]) -> Option<f64> {
    let sample = ranks.iter().filter_map(|rank| rank.sample).reduce(Sample::faster)?;
    let cores: BTreeSet<(&str, usize)> =
        ranks.iter().flat_map(|rank| rank.cpus.iter().map(|&cpu| (&rank.host[..], cpu))).collect();
    let threads: u64 = ranks.iter().map(|rank| rank.threads).sum();
    let crowd = (to_f64(threads) / len_f64(cores.len().max(1))).max(1.0);
    let seconds = |rank: &Costs| {
        let rounds = rank.sequences.div_ceil(rank.threads);
        to_f64(rounds) * sample.seconds(rank.items.div_ceil(rank.sequences))
    };
    // Where threads share cores all of them have as much to do, on the average.
    let (most, sum) =
        ranks.iter().map(seconds).fold((0.0, 0.0), |(m, s), x| (f64::max(m, x), s + x));
    Some(f64::max(most, sum / len_f64(ranks.len()) * crowd)).filter(|&seconds| seconds > 0.0)
}

/// The least that the run could have taken, and what would have taken it.
fn limit(ranks: &[Costs], calibrated_s: Option<f64>) -> Option<(f64, &'static str)> {
    let taken_s = ranks.iter().map(|rank| rank.taken_s).fold(0.0, f64::max);
    let sort_s = calibrated_s.filter(|_| taken_s >= LEAST_S)?;
    let disk_s = ranks.iter().map(|rank| rank.read.seconds + rank.written.seconds);
    let most = ranks.iter().map(|rank| to_f64(rank.wire.bytes)).fold(0.0, f64::max);
    let wire_s = fastest(ranks).map_or(0.0, |rate| most / rate);
    let all = [(sort_s, "sort"), (disk_s.fold(0.0, f64::max), "disk"), (wire_s, "wire")];
    all.into_iter().max_by(|a, b| a.0.total_cmp(&b.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rank(cpus: &[usize]) -> Costs {
        Costs {
            times_s: [1.0, 0.5, 0.25, 0.25],
            taken_s: 4.0,
            items: 1 << 20,
            part: 1 << 20,
            sample: Some(Sample { items: 1 << 10, seconds: 0.5 / 1024.0 }),
            read: Moved { bytes: 8 << 20, seconds: 0.5 },
            written: Moved { bytes: 8 << 20, seconds: 1.0 },
            wire: Moved { bytes: 4 << 20, seconds: 0.25 },
            bytes_sent: 5 << 20,
            merged: Merged { by_tree: 3, by_sort: 0 },
            host: "here".into(),
            cpus: cpus.to_vec(),
            ..Costs::default()
        }
    }

    fn plan() -> Plan {
        Plan {
            rounds: 1,
            slices: 1,
            memory_bytes: 1 << 20,
            exchange: Some("memory"),
            bytes_in: 16 << 20,
            bytes_out: 16 << 20,
            bytes_from_files: 16 << 20,
            run_bytes: 0,
            by_runs: false,
            is_whole: true,
        }
    }

    #[test]
    fn ratios_rates_and_the_limit_are_those_of_the_parts() {
        let told = sum_up(&plan(), &[rank(&[0]), rank(&[1])]);
        let details = told.details;
        assert_eq!((told.wire_bytes, told.run_bytes), (8 << 20, 0));
        assert_eq!(details["wire_ratio"], 1.25);
        assert_eq!(details["disk_ratio"], 1.0);
        assert_eq!(details["merge"], "tree");
        assert_eq!(details["rates"]["write_bytes_per_s"], to_f64(16 << 20));
        // The sort at the sample's rate takes 2 x 1024 x its time: one second; the disk takes longer.
        let calibrated = details["rates"]["sort_calibrated_records_per_s"].as_f64().unwrap();
        assert!((calibrated - to_f64(2 << 20)).abs() < 1.0, "{calibrated}");
        assert_eq!((&details["limit_s"], &details["limit_by"]), (&json!(1.5), &json!("disk")));
        assert_eq!(details["limit_share"], 1.5 / 4.0);
        // Two ranks on one core: the sort takes twice as long.
        let crowded = sum_up(&plan(), &[rank(&[0]), rank(&[0])]).details;
        assert_eq!((&crowded["limit_s"], &crowded["limit_by"]), (&json!(2.0), &json!("sort")));
    }

    #[test]
    fn runs_are_needed_for_what_exceeds_memory_alone() {
        let runs = |rank: Costs| Costs {
            read: Moved { bytes: 16 << 20, ..rank.read },
            written: Moved { bytes: 16 << 20, ..rank.written },
            ..rank
        };
        let details = sum_up(
            &Plan { run_bytes: 16 << 20, by_runs: true, ..plan() },
            &[runs(rank(&[0])), runs(rank(&[1]))],
        )
        .details;
        assert_eq!(details["disk_ratio"], 64.0 / (32.0 + 2.0 * 14.0));
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        let nothing = Plan { bytes_in: 0, bytes_out: 0, bytes_from_files: 0, ..plan() };
        let details = sum_up(&nothing, &[Costs::default()]).details;
        for field in ["merge", "wire_ratio", "disk_ratio", "limit_s", "limit_by", "limit_share"] {
            assert!(details[field].is_null(), "{field}: {}", details[field]);
        }
    }
}
