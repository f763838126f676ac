//! What a scaling report says, as plain data: `report.json` is this, and the pages, tables and
//! figures show nothing else.
//!
//! Times are seconds, sizes bytes. `None` (null in JSON) means not known, never zero.

use serde::{Deserialize, Serialize};

/// The schema's name and version.
pub const SCHEMA: &str = "dcomp-scaling-report/1";

/// A whole report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Its heading.
    pub title: String,
    /// What a reader must know before any number; each also marks figures and refuses `--publish`.
    pub warnings: Vec<String>,
    /// Whether nothing speaks against handing it in.
    pub publishable: bool,
    /// Where and with what was measured: (what, value), from the data.
    pub setup: Vec<(String, String)>,
    /// One entry per curve.
    pub series: Vec<Series>,
}

/// Strong: the problem stays, the ranks grow. Weak: the work per rank stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The same problem at all sizes.
    Strong,
    /// The same work per rank at all sizes.
    Weak,
}

/// What p counts in one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Ranks, where all points have the same threads per rank.
    Ranks,
    /// Ranks times threads, where threads differ.
    Cores,
}

/// What is measured in one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Seconds; less is better.
    Time,
    /// A rate; more is better.
    Throughput,
}

/// One curve.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Strong or weak.
    pub mode: Mode,
    /// What p counts.
    pub unit: Unit,
    /// What the values are.
    pub metric: Metric,
    /// What was timed and how: one sentence.
    pub timing: String,
    /// What was computed, as the user would say it; empty when not known.
    pub input: String,
    /// What speedups are relative to.
    pub baseline: Baseline,
    /// One a size, rising.
    pub rows: Vec<Row>,
    /// Runs that gave no time.
    pub failed: Vec<Failed>,
    /// What was fitted.
    pub models: Models,
    /// None with fewer than four points.
    pub holdout: Option<Holdout>,
    /// Values of each fitted model at rising p, the measured range and beyond, for the figures.
    pub curves: Vec<Curve>,
    /// Least and greatest of the near-tied models, over the same p as `curves`.
    pub band: Vec<Band>,
    /// What a reader wants to know.
    pub sentences: Vec<String>,
    /// Twelve rules for reporting, each with a verdict.
    pub lint: Vec<Lint>,
}

/// The point that speedups are relative to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Baseline {
    /// Number of ranks.
    pub ranks: u64,
    /// Its median time.
    pub wall_s: Option<f64>,
    /// The median rate; of times the work per second, where the work is known.
    pub throughput: Option<f64>,
    /// Why this point: "the smallest measured", "asked for", "one full node".
    pub why: String,
}

/// All runs of one series at one size.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Number of ranks.
    pub ranks: u64,
    /// Nodes, where known.
    pub nodes: Option<u64>,
    /// Threads per rank.
    pub threads: u64,
    /// Ranks times threads.
    pub cores: u64,
    /// How many runs gave a value.
    pub repeats: u64,
    /// The median time.
    pub median_s: Option<f64>,
    /// By order statistics; with fewer than 6 repeats it is the range, and covers less than 95 %.
    pub ci95_s: Option<[f64; 2]>,
    /// The least time.
    pub min_s: Option<f64>,
    /// The greatest time.
    pub max_s: Option<f64>,
    /// Every time (or rate, where the metric is throughput), in the order they were measured.
    pub values: Vec<f64>,
    /// How many of them are outliers (modified Z above 3.5); told, not dropped.
    pub outliers: u64,
    /// The median rate; of times the work per second, where the work is known.
    pub throughput: Option<f64>,
    /// Of the rate, by order statistics, where the metric is throughput.
    #[serde(default)]
    pub throughput_ci95: Option<[f64; 2]>,
    /// The work of one run.
    pub work: Option<f64>,
    /// Relative to the baseline; of weak series the scaled speedup.
    pub speedup: Option<f64>,
    /// By bootstrap over the runs of both sizes.
    pub speedup_ci95: Option<[f64; 2]>,
    /// Speedup over p relative to the baseline.
    pub efficiency: Option<f64>,
    /// As that of the speedup.
    pub efficiency_ci95: Option<[f64; 2]>,
    /// Speedup per doubling since the row before.
    pub per_doubling: Option<f64>,
    /// The experimentally determined serial fraction; strong series only.
    pub karp_flatt: Option<f64>,
    /// Of one run.
    pub node_hours: Option<f64>,
    /// Mean over greatest useful seconds of the ranks, of the run in the middle.
    pub load_balance: Option<f64>,
    /// Greatest useful seconds over the time = `io_efficiency` * `mpi_efficiency`.
    pub communication_efficiency: Option<f64>,
    /// What files leave of the time.
    pub io_efficiency: Option<f64>,
    /// What MPI leaves of the rest.
    pub mpi_efficiency: Option<f64>,
    /// `load_balance` * `communication_efficiency`.
    pub parallel_efficiency: Option<f64>,
    /// Useful seconds of all ranks at the baseline over those here, for the same work.
    pub computation_scaling: Option<f64>,
    /// `parallel_efficiency` * `computation_scaling`.
    pub global_efficiency: Option<f64>,
    /// Mean share of the ranks' time in files.
    pub io_share: Option<f64>,
    /// Mean share of the ranks' time in MPI.
    pub mpi_share: Option<f64>,
    /// Mean share of the ranks' time in useful work.
    pub useful_share: Option<f64>,
    /// Peak memory of the greatest rank times the ranks of a node.
    pub peak_rss_bytes_per_node: Option<u64>,
    /// From files, all ranks.
    pub bytes_read: Option<u64>,
    /// To files, all ranks.
    pub bytes_written: Option<u64>,
    /// Between ranks.
    pub bytes_sent: Option<u64>,
    /// Seconds of each phase, the slowest rank's.
    pub phases: Vec<PhaseTime>,
    /// Seconds of each rank, of the run in the middle.
    pub per_rank: Option<PerRank>,
    /// More ranks or threads than cores.
    pub oversubscribed: bool,
}

/// Seconds of one phase.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PhaseTime {
    /// Its name.
    pub name: String,
    /// The slowest rank's seconds.
    pub max_s: f64,
}

/// Seconds of each rank.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PerRank {
    /// Outside MPI and files.
    pub useful_s: Vec<f64>,
    /// In MPI.
    pub mpi_s: Vec<f64>,
    /// In files.
    pub io_s: Vec<f64>,
}

/// A run that gave no value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failed {
    /// Number of ranks.
    pub ranks: u64,
    /// Which of its runs; 0 a warm-up.
    pub repeat: u64,
    /// The reason.
    pub why: String,
}

/// Fitted models; None where there are too few points or the model does not apply.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Models {
    /// Of strong series with three sizes.
    pub amdahl: Option<Amdahl>,
    /// Of weak series with three sizes.
    pub gustafson: Option<Gustafson>,
    /// With four sizes.
    pub usl: Option<Usl>,
    /// With five sizes.
    pub pmnf: Option<Pmnf>,
    /// The model with the lowest `aicc`.
    pub best: Option<String>,
    /// How good each fitted model is.
    #[serde(default)]
    pub scores: Vec<Score>,
}

/// How good one model is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Its name.
    pub model: String,
    /// Corrected Akaike criterion on relative residuals; none with too few sizes.
    pub aicc: Option<f64>,
    /// Symmetric mean error in percent of each size predicted from the others.
    pub leave_one_out: Option<f64>,
}

/// Amdahl's law, T = T1 (s + (1 - s)/p).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Amdahl {
    /// The part that does not get faster.
    pub serial_fraction: f64,
    /// By Student's t on relative residuals, cut to 0..1.
    pub ci95: [f64; 2],
    /// By bootstrap over the runs; narrower, as it sees no misfit.
    pub ci95_bootstrap: Option<[f64; 2]>,
    /// The time of one rank by the fit.
    pub t1_s: Option<f64>,
    /// Corrected Akaike criterion on relative residuals; less is better.
    pub aicc: Option<f64>,
    /// 1/s; None when s is 0.
    pub max_speedup: Option<f64>,
}

/// Gustafson's law, S = p - s (p - 1).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Gustafson {
    /// The part that does not get faster.
    pub serial_fraction: f64,
    /// By Student's t on relative residuals, cut to 0..1.
    pub ci95: [f64; 2],
    /// By bootstrap over the runs; narrower, as it sees no misfit.
    pub ci95_bootstrap: Option<[f64; 2]>,
    /// Corrected Akaike criterion on relative residuals; less is better.
    pub aicc: Option<f64>,
}

/// The universal scalability law, X = gamma p / (1 + alpha (p - 1) + beta p (p - 1)).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Usl {
    /// Contention.
    pub alpha: f64,
    /// Coherency.
    pub beta: f64,
    /// Rate of one rank.
    pub gamma: f64,
    /// Of `alpha`.
    pub alpha_ci95: [f64; 2],
    /// Of `beta`.
    pub beta_ci95: [f64; 2],
    /// None: no peak.
    pub peak_ranks: Option<f64>,
    /// The rate there.
    pub peak_throughput: Option<f64>,
    /// gamma/alpha: the throughput no rank count exceeds, without the beta term.
    pub roof: Option<f64>,
    /// Corrected Akaike criterion on relative residuals; less is better.
    pub aicc: Option<f64>,
}

/// Performance model normal form of the cost p T.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Pmnf {
    /// The constant first: `coefficient * p^exponent * log2(p)^log_exponent`, of the cost p T.
    pub terms: Vec<Term>,
    /// As text.
    pub formula: String,
    /// Leave-one-out error in percent.
    pub smape: f64,
    /// Corrected Akaike criterion on relative residuals; less is better.
    pub aicc: Option<f64>,
    /// The next best.
    pub runner_up: Option<RunnerUp>,
    /// How far near-tied models lie apart at `spread_at`: greatest / least - 1.
    pub spread: f64,
    /// Where that is.
    pub spread_at: f64,
}

/// One term of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Term {
    /// The factor.
    pub coefficient: f64,
    /// Of p.
    pub exponent: f64,
    /// Of log2(p).
    pub log_exponent: f64,
}

/// The next best form.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunnerUp {
    /// As text.
    pub formula: String,
    /// The constant first.
    pub terms: Vec<Term>,
    /// Leave-one-out error in percent.
    pub smape: f64,
}

/// The largest point, predicted from the others by the model that fits them best.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Holdout {
    /// Its name.
    pub model: String,
    /// Number of ranks.
    pub ranks: u64,
    /// Measured and predicted time, or rate where the metric is throughput.
    pub measured_s: f64,
    /// The same, predicted.
    pub predicted_s: f64,
    /// predicted / measured - 1.
    pub error: f64,
}

/// One model, drawn.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Curve {
    /// Its name.
    pub model: String,
    /// p and the time or rate.
    pub points: Vec<[f64; 2]>,
} // (p, time or rate)

/// Near-tied models at one p.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Band {
    /// Ranks, or cores.
    pub p: f64,
    /// Least.
    pub lo: f64,
    /// Greatest.
    pub hi: f64,
}

/// One rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lint {
    /// What is asked.
    pub rule: String,
    /// Whether it holds.
    pub verdict: Verdict,
    /// The reason.
    pub why: String,
}

/// Whether a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It holds.
    Pass,
    /// It holds in part.
    Warn,
    /// It does not hold.
    Fail,
}
