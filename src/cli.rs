//! The command line: what was typed, and nothing more. No files, no MPI.
//!
//! Each job's arguments become a deck layer, so that flags and deck keys are one thing. Paths that
//! go into decks and records are text, so clap refuses those that are not UTF-8.

pub mod generate;
pub mod mergesort;
pub mod rerun;
pub mod scaling;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use toml::{Table, Value};

use crate::deck::{Layer, Source};
use crate::mandelbrot::palette::Palette;
use crate::mandelbrot::spec::Schedule;

/// Exact, verified, parallel: computations for MPI clusters.
///
/// Start it plainly to use all cores of this machine, or under mpirun or srun to use many.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done and verified, 1 verification failed, 2 usage or deck, 65 bad input data,
70 internal, 74 I/O, 75 stopped early. Every run writes a record (--record) that says the same.";

/// The jobs and tools.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Render the Mandelbrot set, exactly, at any size.
    Mandelbrot(MandelbrotArgs),
    /// Sort the integers of many text files into one file, by counting.
    CounterSort(CounterSortArgs),
    /// Sort keys, records or lines: sort(1) for a cluster.
    Mergesort(mergesort::MergesortArgs),
    /// Make input data: the same bytes for every number of ranks.
    #[command(subcommand)]
    Generate(generate::GenerateCommand),
    /// Colour the raw counts of `mandelbrot --hdf5` again, without computing them.
    Recolor(RecolorArgs),
    /// Measure how a program scales and report it: for dcomp's jobs and for any other command.
    #[command(subcommand)]
    Scaling(scaling::ScalingCommand),
    /// Run the job that a deck names.
    Run(RunArgs),
    /// Check an output against its run record, or whether a file is sorted.
    Verify(VerifyArgs),
    /// Run again what made an output, and compare the bytes.
    Rerun(rerun::RerunArgs),
}

/// What all jobs share.
#[derive(Debug, Args)]
pub struct Common {
    /// Take parameters from this TOML file; flags override it.
    #[arg(long, value_name = "FILE")]
    pub deck: Option<PathBuf>,
    #[command(flatten)]
    /// What also goes without a deck.
    pub how: How,
}

/// How a run is carried out, rather than what it computes.
#[derive(Clone, Debug, Args)]
pub struct How {
    /// Where to write the run record [default: OUTPUT.json].
    #[arg(long, value_name = "FILE.json")]
    pub record: Option<String>,
    /// Threads per rank [default: all allowed cores; under a launcher 1 or `SLURM_CPUS_PER_TASK`].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// End the run when a rank has been stopped for so long, such as 10m; 0 for never [default: 60s].
    #[arg(long, value_name = "TIME")]
    pub hang_timeout: Option<String>,
    /// Print the effective parameters with their sources, memory and bytes; compute nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Replace outputs that exist.
    #[arg(long)]
    pub force: bool,
    /// No progress on stderr.
    #[arg(short, long)]
    pub quiet: bool,
}

/// How a run survives its end.
#[derive(Debug, Args)]
pub struct Saving {
    /// Keep what is done in this directory, so that a run that is stopped or killed can go on.
    #[arg(long, value_name = "DIR")]
    pub checkpoint: Option<String>,
    /// Go on from the checkpoint, if there is one; ranks and threads may be others.
    #[arg(long)]
    pub resume: bool,
    /// Write a checkpoint at most this often [default: 10m].
    #[arg(long, value_name = "TIME")]
    pub checkpoint_every: Option<String>,
    /// Stop with a checkpoint (exit 75) after this time, such as 90s, 30m or 12h.
    #[arg(long, value_name = "TIME")]
    pub max_time: Option<String>,
}

/// Parameters of a picture.
#[derive(Debug, Args)]
pub struct MandelbrotArgs {
    /// Pixels in a row [default: 640].
    #[arg(short = 'W', long, allow_negative_numbers = true, value_name = "PIXELS")]
    pub width: Option<u32>,
    /// Rows [default: 480].
    #[arg(short = 'H', long, allow_negative_numbers = true, value_name = "PIXELS")]
    pub height: Option<u32>,
    /// Steps after which a point counts as never escaping [default: 1000].
    #[arg(short = 'n', long, allow_negative_numbers = true, value_name = "STEPS")]
    pub max_iterations: Option<u32>,
    /// The PNG to write [default: mandelbrot.png].
    #[arg(short, long, value_name = "FILE.png")]
    pub output: Option<String>,
    /// The view, by its edges [default: -2.5,1,-1,1].
    #[arg(long, value_name = "RE0,RE1,IM0,IM1", allow_hyphen_values = true)]
    pub region: Option<String>,
    /// The view, by its centre; square pixels.
    #[arg(long, value_name = "RE,IM", allow_hyphen_values = true)]
    pub center: Option<String>,
    /// Magnification around the centre; 1 shows im -2..2.
    #[arg(long, value_name = "Z", allow_hyphen_values = true)]
    pub zoom: Option<f64>,
    /// Who computes what [default: dynamic] [possible values: block, cyclic, dynamic].
    #[arg(long, value_name = "NAME")]
    pub schedule: Option<Schedule>,
    #[command(flatten)]
    /// How counts become colours.
    pub paint: Paint,
    /// Also write the raw channels: steps `N` and their smooth part `NF`.
    #[arg(long, value_name = "FILE.h5")]
    pub hdf5: Option<String>,
    /// Instruction set [default: auto] [possible values: auto, reference, portable, avx2, avx512].
    #[arg(long, value_name = "NAME")]
    pub kernel: Option<String>,
    /// Chooses the pixels that the run's check recomputes [default: 1].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub seed: Option<i64>,
    #[command(flatten)]
    /// How the run survives its end.
    pub saving: Saving,
    #[command(flatten)]
    /// What all jobs share.
    pub common: Common,
}

/// Parameters of a counting sort.
#[derive(Debug, Args)]
pub struct CounterSortArgs {
    /// Directories (with all below them, links not followed) and files of integers, one a line.
    #[arg(value_name = "DIR|FILE")]
    pub input: Vec<String>,
    /// The sorted file to write [default: sorted.txt].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
    /// Names by a template instead of reading a directory: `{}` is the index, `{:06}` with zeros.
    #[arg(long, value_name = "TEMPLATE")]
    pub name: Option<String>,
    /// How many names the template makes.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub count: Option<i64>,
    /// The first index of the template [default: 0].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub first: Option<i64>,
    /// Take names from this file, or `-` for standard input: one a line, or each ended by NUL.
    #[arg(long, value_name = "LIST")]
    pub files_from: Option<String>,
    /// What rubbish does: `fail` (exit 65 after naming it) or `skip` (counted) [default: fail].
    #[arg(long, value_name = "WHAT")]
    pub on_error: Option<String>,
    /// Refuse integers below this.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub min_int: Option<i64>,
    /// Refuse integers above this.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub max_int: Option<i64>,
    /// How files are read: `openat`, or `uring` to have many on their way [default: openat].
    #[arg(long, value_name = "HOW")]
    pub io: Option<String>,
    /// Counters: `auto`, `dense` (a table from least to greatest) or `sparse` [default: auto].
    #[arg(long, value_name = "KIND")]
    pub histogram: Option<String>,
    /// How ranks combine: `auto`, `all-reduce`, `reduce-scatter` or `exchange` [default: auto].
    #[arg(long, value_name = "HOW")]
    pub combine: Option<String>,
    /// Memory for counters, per rank, such as 512M [default: half of what is free, shared out].
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// `text` (a number a line), `i64` (8 bytes each, little-endian) or `hdf5` [default: text].
    #[arg(long, value_name = "FORMAT")]
    pub output_format: Option<String>,
    /// Also write how often each value occurs, as CSV or HDF5.
    #[arg(long, value_name = "FILE.csv|.h5")]
    pub counts: Option<String>,
    /// Print count, distinct values, least, greatest, mean, quantiles and the most frequent values.
    #[arg(long)]
    pub stats: bool,
    /// How many of the most frequent values to tell [default: 10].
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..=10_000))]
    pub top: Option<i64>,
    #[command(flatten)]
    /// How the run survives its end.
    pub saving: Saving,
    #[command(flatten)]
    /// What all jobs share.
    pub common: Common,
}

/// How counts become colours.
#[derive(Debug, Args)]
pub struct Paint {
    /// Colours [default: classic]. Known: see the end of this help.
    #[arg(long, value_name = "NAME", help = palette_help())]
    pub palette: Option<Palette>,
    /// Bits per colour channel, 8 or 16 [default: 8].
    #[arg(long, allow_negative_numbers = true, value_name = "BITS")]
    pub depth: Option<u8>,
}

fn palette_help() -> String {
    let names: Vec<String> = Palette::ALL.iter().map(ToString::to_string).collect();
    format!("Colours [default: classic] [possible values: {}]", names.join(", "))
}

/// Parameters of `recolor`.
#[derive(Debug, Args)]
pub struct RecolorArgs {
    /// What `dcomp mandelbrot --hdf5` wrote.
    #[arg(value_name = "FILE.h5")]
    pub input: String,
    /// The PNG to write.
    #[arg(short, long, value_name = "FILE.png")]
    pub output: String,
    #[command(flatten)]
    /// How counts become colours.
    pub paint: Paint,
    #[command(flatten)]
    /// How the run is carried out.
    pub how: How,
}

/// Parameters of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The deck; its key `job` names the job.
    #[arg(value_name = "DECK.toml")]
    pub deck: PathBuf,
    /// Flags of that job, which override the deck.
    #[arg(value_name = "FLAGS", trailing_var_arg = true, allow_hyphen_values = true)]
    pub flags: Vec<OsString>,
}

/// Parameters of `verify`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches")]
pub struct VerifyArgs {
    /// The output to check: size and checksum, and what is in it. Pictures and HDF5 files also go without a
    /// record, as far as they tell.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Its record [default: FILE.json].
    #[arg(long, value_name = "FILE.json")]
    pub record: Option<PathBuf>,
    /// Ask no record: count these items, sum them up and find whether they are sorted.
    #[arg(long = "type", value_name = "TYPE", conflicts_with = "record")]
    pub kind: Option<String>,
    /// Sorted from the greatest to the least.
    #[arg(short, long, requires = "kind")]
    pub reverse: bool,
    /// Lines: sorted by the number at the beginning.
    #[arg(short, long, requires = "kind")]
    pub numeric: bool,
    /// Lines: sorted by these fields, as `mergesort --key`; may be repeated.
    #[arg(short, long, value_name = "F[,G]", requires = "kind")]
    pub key: Vec<String>,
    /// Lines: the byte between fields, instead of blanks.
    #[arg(short = 't', long, value_name = "C", allow_hyphen_values = true, requires = "kind")]
    pub separator: Option<String>,
    /// Lines end with NUL instead of LF.
    #[arg(short, long, requires = "kind")]
    pub zero_terminated: bool,
    /// Lines with equal keys need not be in the order of their bytes.
    #[arg(short, long, requires = "kind")]
    pub stable: bool,
}

/// Collects the flags that were given.
#[derive(Default)]
struct Flags(Table);

impl Flags {
    fn set(mut self, key: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.0.insert(key.into(), value.into());
        }
        self
    }

    fn how(self, how: &How) -> Self {
        self.set("record", how.record.clone())
            .set("threads", how.threads.map(i64::from))
            .set("hang_timeout", how.hang_timeout.clone())
            .set("force", how.force.then_some(true))
            .set("quiet", how.quiet.then_some(true))
    }

    fn saving(self, saving: &Saving) -> Self {
        self.set("checkpoint", saving.checkpoint.clone())
            .set("resume", saving.resume.then_some(true))
            .set("checkpoint_every", saving.checkpoint_every.clone())
            .set("max_time", saving.max_time.clone())
    }

    fn layer(self) -> Layer {
        Layer { source: Source::Flag, values: self.0 }
    }
}

impl MandelbrotArgs {
    /// The flags as a deck layer.
    pub fn layer(&self) -> Layer {
        Flags::default()
            .set("width", self.width.map(i64::from))
            .set("height", self.height.map(i64::from))
            .set("max_iterations", self.max_iterations.map(i64::from))
            .set("output", self.output.clone())
            .set("region", self.region.clone())
            .set("center", self.center.clone())
            .set("zoom", self.zoom)
            .set("schedule", self.schedule.map(|schedule| schedule.to_string()))
            .set("palette", self.paint.palette.map(|palette| palette.to_string()))
            .set("depth", self.paint.depth.map(i64::from))
            .set("hdf5", self.hdf5.clone())
            .set("kernel", self.kernel.clone())
            .set("seed", self.seed)
            .saving(&self.saving)
            .how(&self.common.how)
            .layer()
    }
}

impl CounterSortArgs {
    /// The flags as a deck layer.
    pub fn layer(&self) -> Layer {
        let inputs = (!self.input.is_empty()).then(|| self.input.clone());
        Flags::default()
            .set("input", inputs)
            .set("output", self.output.clone())
            .set("name", self.name.clone())
            .set("count", self.count)
            .set("first", self.first)
            .set("files_from", self.files_from.clone())
            .set("on_error", self.on_error.clone())
            .set("min_int", self.min_int)
            .set("max_int", self.max_int)
            .set("io", self.io.clone())
            .set("histogram", self.histogram.clone())
            .set("combine", self.combine.clone())
            .set("memory", self.memory.clone())
            .set("output_format", self.output_format.clone())
            .set("counts", self.counts.clone())
            .set("stats", self.stats.then_some(true))
            .set("top", self.top)
            .saving(&self.saving)
            .how(&self.common.how)
            .layer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mandelbrot::spec::Numbers;
    use clap::CommandFactory;

    #[test]
    fn clap_accepts_its_own_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn negative_regions_are_values() {
        let cli = Cli::try_parse_from(["dcomp", "mandelbrot", "--region", "-2,1,-1,1"]).unwrap();
        let Command::Mandelbrot(args) = cli.command else { panic!("mandelbrot was typed") };
        assert_eq!(args.layer().values["region"], Value::String("-2,1,-1,1".into()));
        let numbers: Numbers<4> = args.region.unwrap().parse().unwrap();
        assert_eq!(numbers, Numbers([-2.0, 1.0, -1.0, 1.0]));
    }
}
