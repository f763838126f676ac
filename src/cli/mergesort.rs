//! The arguments of `dcomp mergesort`, named as in sort(1) where it has them.

use clap::Args;

use super::{Common, Flags, Saving};
use crate::deck::Layer;

/// Parameters of a sort.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches")]
pub struct MergesortArgs {
    /// Files and datasets (`FILE.h5:/path`), one sequence together.
    #[arg(value_name = "INPUT")]
    pub input: Vec<String>,
    /// The sorted file to write; keys also go to `FILE.h5` or `FILE.h5:/path` [default: sorted.out].
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<String>,
    /// u32, u64, i32, i64, f32, f64, record:LEN:KEYLEN or lines [default: a dataset's, else lines].
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// From the greatest to the least.
    #[arg(short, long)]
    pub reverse: bool,
    /// The first of equal items only.
    #[arg(short, long)]
    pub unique: bool,
    /// Lines: compare by the number at the beginning.
    #[arg(short, long)]
    pub numeric: bool,
    /// Lines: compare by these fields, `F[.C][nrb][,G[.C][nrb]]`; may be repeated.
    #[arg(short, long, value_name = "F[,G]")]
    pub key: Vec<String>,
    /// Lines: the byte between fields, instead of blanks.
    #[arg(short = 't', long, value_name = "C", allow_hyphen_values = true)]
    pub separator: Option<String>,
    /// Lines end with NUL instead of LF.
    #[arg(short, long)]
    pub zero_terminated: bool,
    /// Lines with equal keys stay in the order of the input.
    #[arg(short, long)]
    pub stable: bool,
    /// Sort keys that are made on the way instead of files; `dcomp generate keys --help` names patterns.
    #[arg(long, value_name = "PATTERN")]
    pub generate: Option<String>,
    /// How many keys are made.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub count: Option<i64>,
    /// Blocks of patterns that speak of ranks [default: 64].
    #[arg(long, value_name = "B", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    pub blocks: Option<i64>,
    /// Chooses the keys that are made [default: 1].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(i64).range(0..))]
    pub seed: Option<i64>,
    /// Output is a directory with one file a rank.
    #[arg(long)]
    pub parts: bool,
    /// Memory per rank, such as 512M; what exceeds it is sorted on the disk.
    #[arg(long, value_name = "SIZE")]
    pub memory: Option<String>,
    /// Where sorted runs lie that exceed memory [default: beside the output].
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<String>,
    /// Compress what lies there.
    #[arg(long)]
    pub compress_temp: bool,
    #[command(flatten)]
    /// How the run survives its end.
    pub saving: Saving,
    #[command(flatten)]
    /// What all jobs share.
    pub common: Common,
}

impl MergesortArgs {
    /// The flags as a deck layer.
    pub fn layer(&self) -> Layer {
        let several = |words: &Vec<String>| (!words.is_empty()).then(|| words.clone());
        Flags::default()
            .set("input", several(&self.input))
            .set("output", self.output.clone())
            .set("type", self.kind.clone())
            .set("reverse", self.reverse.then_some(true))
            .set("unique", self.unique.then_some(true))
            .set("numeric", self.numeric.then_some(true))
            .set("key", several(&self.key))
            .set("separator", self.separator.clone())
            .set("zero_terminated", self.zero_terminated.then_some(true))
            .set("stable", self.stable.then_some(true))
            .set("generate", self.generate.clone())
            .set("count", self.count)
            .set("blocks", self.blocks)
            .set("seed", self.seed)
            .set("parts", self.parts.then_some(true))
            .set("memory", self.memory.clone())
            .set("scratch", self.scratch.clone())
            .set("compress_temp", self.compress_temp.then_some(true))
            .saving(&self.saving)
            .how(&self.common.how)
            .layer()
    }
}
