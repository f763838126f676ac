//! What can be typed after `dcomp generate`.

use clap::{Args, Subcommand};

use super::{Common, Flags};
use crate::deck::Layer;
use crate::generate::keys::Pattern;

/// Kinds of input data.
#[derive(Debug, Subcommand)]
pub enum GenerateCommand {
    /// Text files of integers, for `counter-sort`.
    Numbers(NumbersArgs),
    /// A file of keys in a pattern of the literature on sorting.
    Keys(KeysArgs),
    /// The sort benchmark's records, as gensort makes them.
    Records(RecordsArgs),
}

/// Parameters of generated keys.
#[derive(Debug, Args)]
pub struct KeysArgs {
    /// How many keys [default: 1000000].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub count: Option<i64>,
    /// How keys follow one another [default: uniform].
    #[arg(long, value_name = "NAME", help = pattern_help())]
    pub pattern: Option<String>,
    /// u32, u64, i32, i64, f32 or f64, little-endian [default: u64].
    #[arg(long = "type", value_name = "TYPE")]
    pub key_type: Option<String>,
    /// Blocks that stand for the processors of a published pattern; not the ranks [default: 64].
    #[arg(long, value_name = "B", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub blocks: Option<i64>,
    /// Chooses the keys [default: 1].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub seed: Option<i64>,
    /// The file to make [default: keys.bin].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
    #[command(flatten)]
    /// What all jobs share.
    pub common: Common,
}

fn pattern_help() -> String {
    let names = Pattern::ALL.map(Pattern::name).join(", ");
    format!("How keys follow one another [default: uniform] [possible values: {names}]")
}

/// Parameters of generated records.
#[derive(Debug, Args)]
pub struct RecordsArgs {
    /// How many records of 100 bytes [default: 1000000].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub count: Option<i64>,
    /// Printable lines that end in CR LF, as gensort -a.
    #[arg(long)]
    pub ascii: bool,
    /// Three of four keys begin like many others, as gensort -s.
    #[arg(long)]
    pub skewed: bool,
    /// The number of the first record, as gensort -b [default: 0].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub start: Option<i64>,
    /// Chooses the records; 0 makes gensort's own [default: 0].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub seed: Option<i64>,
    /// The file to make [default: records.dat].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
    #[command(flatten)]
    /// What all jobs share.
    pub common: Common,
}

/// Parameters of generated numbers.
#[derive(Debug, Args)]
pub struct NumbersArgs {
    /// How many files [default: 1000].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub files: Option<i64>,
    /// Integers in each file [default: 100].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub per_file: Option<i64>,
    /// The least integer [default: 1].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub min: Option<i64>,
    /// The greatest integer [default: 10000].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub max: Option<i64>,
    /// uniform, zipf, one (all are the greatest) or sorted [default: uniform].
    #[arg(long, value_name = "NAME")]
    pub pattern: Option<String>,
    /// The part of lines that are unusual or rubbish, listed in OUTPUT.planted.csv [default: 0].
    #[arg(long, value_name = "RATE", allow_negative_numbers = true)]
    pub dirty: Option<f64>,
    /// One big file instead of a directory of small ones.
    #[arg(long)]
    pub packed: bool,
    /// Chooses the numbers [default: 1].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub seed: Option<i64>,
    /// The directory to make, or the file with --packed [default: numbers].
    #[arg(short, long, value_name = "DIR|FILE")]
    pub output: Option<String>,
    #[command(flatten)]
    /// What all jobs share.
    pub common: Common,
}

impl NumbersArgs {
    /// The flags as a deck layer.
    pub fn layer(&self) -> Layer {
        Flags::default()
            .set("files", self.files)
            .set("per_file", self.per_file)
            .set("min", self.min)
            .set("max", self.max)
            .set("pattern", self.pattern.clone())
            .set("dirty", self.dirty)
            .set("packed", self.packed.then_some(true))
            .set("seed", self.seed)
            .set("output", self.output.clone())
            .how(&self.common.how)
            .layer()
    }
}

impl KeysArgs {
    /// The flags as a deck layer.
    pub fn layer(&self) -> Layer {
        Flags::default()
            .set("count", self.count)
            .set("pattern", self.pattern.clone())
            .set("type", self.key_type.clone())
            .set("blocks", self.blocks)
            .set("seed", self.seed)
            .set("output", self.output.clone())
            .how(&self.common.how)
            .layer()
    }
}

impl RecordsArgs {
    /// The flags as a deck layer.
    pub fn layer(&self) -> Layer {
        Flags::default()
            .set("count", self.count)
            .set("ascii", self.ascii.then_some(true))
            .set("skewed", self.skewed.then_some(true))
            .set("start", self.start)
            .set("seed", self.seed)
            .set("output", self.output.clone())
            .how(&self.common.how)
            .layer()
    }
}
