//! `dcomp scaling`: what was typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Flags;
use crate::deck::Layer;

/// Steps of a scaling study.
#[derive(Debug, Subcommand)]
pub enum ScalingCommand {
    /// Run a series: each size several times, in random order; resumable.
    ///
    /// STUDY.toml, flags, or both say what: `dcomp scaling run --ranks 1,2,4 -- dcomp mandelbrot`, or
    /// `dcomp scaling run --ranks 1,2,4 -- mpirun -n {ranks} ./any_program`. A command without {ranks}
    /// gets srun (inside an allocation) or mpirun in front. The same command again goes on where it
    /// stopped.
    #[command(after_help = PLACEHOLDERS)]
    Run(StudyArgs),
    /// Show what a series would run: commands, cores, node-hours. Runs nothing.
    Plan(PlanArgs),
    /// Submit a series to Slurm: a job per node count, and a report after them.
    Submit(SubmitArgs),
    /// Make a report of runs: HTML, Markdown, LaTeX, CSV, JSON and figures.
    Report(ReportArgs),
    /// Compare two sets of runs, size by size, with a test.
    Compare(CompareArgs),
}

const PLACEHOLDERS: &str = "\
In the command {ranks} {nodes} {ranks_per_node} {threads} {cores} {repeat} {seed} {scratch} {name}
and the names of --grow are replaced; {scratch} is a directory that is removed at the end.
Exit codes: 0 every size was measured, 1 a size gave no value, 2 usage, 65 its input could not be
made, 74 I/O, 75 stopped by a signal (run again to go on).";

/// What to run.
#[derive(Debug, Args)]
pub struct StudyFlags {
    /// A study's file; flags override its keys.
    #[arg(value_name = "STUDY.toml")]
    pub study: Option<PathBuf>,
    /// Rank counts.
    #[arg(long, value_name = "N,N,...")]
    pub ranks: Option<String>,
    /// strong: the problem stays; weak: the work per rank stays [default: strong].
    #[arg(long, value_name = "MODE")]
    pub mode: Option<String>,
    /// The series' name [default: the study's file or the command].
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Threads per rank [default: 1].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub threads: Option<i64>,
    /// Ranks on each node [default: as many as fit].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub ranks_per_node: Option<i64>,
    /// Runs of each size [default: 6, the fewest whose range covers the median with 95 %].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub repeats: Option<i64>,
    /// Repeat until the median's 95 % interval is this narrow, as `2%` of it to either side.
    #[arg(long, value_name = "PART")]
    pub until: Option<String>,
    /// The most runs of each size under --until [default: 30].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub max_repeats: Option<i64>,
    /// Runs of each size that are not counted [default: 1].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub warmup: Option<i64>,
    /// The rank count that speedups are relative to [default: the smallest].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub baseline: Option<i64>,
    /// Draws the order of the runs [default: 1].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<i64>,
    /// A run that takes longer is ended and counts as failed [default: 1h].
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<String>,
    /// run: a dcomp job's phases after setup; process: the whole command [default: run for dcomp].
    #[arg(long, value_name = "CLOCK")]
    pub timing: Option<String>,
    /// Take the time from what is printed: first group, or match, of the last match.
    #[arg(long, value_name = "REGEX")]
    pub extract: Option<String>,
    /// What --extract finds is a rate, not a time.
    #[arg(long)]
    pub rate: bool,
    /// A placeholder that grows: files=1000*ranks, width=2048*sqrt(ranks).
    #[arg(long, value_name = "NAME=GROWTH")]
    pub grow: Vec<String>,
    /// The work of a run of another program: 1e9, 1000*ranks.
    #[arg(long, value_name = "GROWTH")]
    pub work: Option<String>,
    /// What --work counts.
    #[arg(long, value_name = "UNIT")]
    pub work_unit: Option<String>,
    /// A command that makes a size's input, once, before it is timed.
    #[arg(long, value_name = "COMMAND")]
    pub prepare: Option<String>,
    /// What starts ranks: 'mpiexec -n {ranks}', or none [default: srun in an allocation, else mpirun].
    #[arg(long, value_name = "WORDS", allow_hyphen_values = true)]
    pub launcher: Option<String>,
    /// How long a run takes about, for plans and time limits.
    #[arg(long, value_name = "TIME")]
    pub time_per_run: Option<String>,
    /// The command. A first word dcomp is this program.
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Parameters of `scaling run`.
#[derive(Debug, Args)]
pub struct StudyArgs {
    #[command(flatten)]
    /// What to run.
    pub study: StudyFlags,
    /// Where the runs go [default: scaling-NAME].
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Only the sizes that need so many nodes; the runs go to runs-N.jsonl.
    #[arg(long, value_name = "N")]
    pub nodes: Option<u64>,
    /// Throw away the runs that are there and begin anew.
    #[arg(long)]
    pub force: bool,
    /// No progress on stderr.
    #[arg(short, long)]
    pub quiet: bool,
}

/// Parameters of `scaling plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    /// What would run.
    pub study: StudyFlags,
    /// Where the runs would go [default: scaling-NAME].
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
}

/// Parameters of `scaling submit`.
#[derive(Debug, Args)]
pub struct SubmitArgs {
    #[command(flatten)]
    /// What to run.
    pub study: StudyFlags,
    /// Where scripts, runs and the report go; all nodes must see it [default: scaling-NAME].
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// What the site wants: partition, account, modules, mpi, ... (docs/scaling.md).
    #[arg(long, value_name = "SITE.toml")]
    pub site: Option<PathBuf>,
    /// One job of the largest size that runs all sizes: the same nodes for all, but idle ones are billed.
    #[arg(long)]
    pub one_allocation: bool,
    /// Print the scripts and commands; write and submit nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Replace scripts of an earlier submission, and begin anew.
    #[arg(long)]
    pub force: bool,
}

/// Parameters of `scaling report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// runs.jsonl, run records, or directories with either.
    #[arg(value_name = "INPUT", required_unless_present = "from_csv")]
    pub input: Vec<PathBuf>,
    /// A table: mode, ranks, `wall_s` or throughput; optional nodes, threads, work, series, repeat.
    #[arg(long, value_name = "FILE")]
    pub from_csv: Vec<PathBuf>,
    /// The folder to make.
    #[arg(short, long, value_name = "DIR", default_value = "report")]
    pub output: PathBuf,
    /// The heading.
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// The rank count that speedups are relative to [default: the study's, else the smallest].
    #[arg(long, value_name = "N")]
    pub baseline: Option<u64>,
    /// strong or weak, for run records, which do not tell [default: found out from their work].
    #[arg(long, value_enum)]
    pub mode: Option<ModeArg>,
    /// The table that a programme asks for.
    #[arg(long, value_enum, default_value_t = PresetArg::Full)]
    pub preset: PresetArg,
    /// Tell node-hours for so many runs.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub runs: u64,
    /// Refuse to write a report that has warnings.
    #[arg(long)]
    pub publish: bool,
    /// Replace an older report.
    #[arg(long)]
    pub force: bool,
}

/// Strong or weak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// The problem stays.
    Strong,
    /// The work per rank stays.
    Weak,
}

/// Tables that programmes ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PresetArg {
    /// All columns.
    Full,
    /// Forms of PRACE and its followers.
    Prace,
    /// CSC's large partition.
    Csc,
    /// ARCHER and ARCHER2.
    Archer,
}

/// Parameters of `scaling compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// Before: runs.jsonl, a table (.csv), a run record, or a directory.
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// After.
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// Exit with 1 when a size is shown to be slower by more than this, as 5%.
    #[arg(long, value_name = "PART")]
    pub fail_if_slower: Option<String>,
    /// Write the comparison as JSON too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Replace that file.
    #[arg(long)]
    pub force: bool,
}

impl StudyFlags {
    /// The flags as a study's layer.
    pub fn layer(&self) -> Layer {
        let list = |values: &Vec<String>| (!values.is_empty()).then(|| values.clone());
        Flags::default()
            .set("ranks", self.ranks.clone())
            .set("mode", self.mode.clone())
            .set("name", self.name.clone())
            .set("threads", self.threads)
            .set("ranks_per_node", self.ranks_per_node)
            .set("repeats", self.repeats)
            .set("until", self.until.clone())
            .set("max_repeats", self.max_repeats)
            .set("warmup", self.warmup)
            .set("baseline", self.baseline)
            .set("seed", self.seed)
            .set("timeout", self.timeout.clone())
            .set("timing", self.timing.clone())
            .set("extract", self.extract.clone())
            .set("rate", self.rate.then_some(true))
            .set("grow", list(&self.grow))
            .set("work", self.work.clone())
            .set("work_unit", self.work_unit.clone())
            .set("prepare", self.prepare.clone())
            .set("launcher", self.launcher.clone())
            .set("time_per_run", self.time_per_run.clone())
            .set("command", list(&self.command))
            .layer()
    }
}
