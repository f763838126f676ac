//! The parameters of a counting sort: what was typed, what it means, and what is refused.
//!
//! Pure: a merged deck in, a checked [`Spec`] out. Every refusal names the flag or key.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::template::Template;
use crate::deck::Merged;
use crate::error::{Error, Result};
use crate::units::deserialize_size;

/// The built-in deck.
pub const DEFAULTS: &str = include_str!("../../jobs/counter-sort.toml");

/// Keys besides those of the built-in deck.
pub const OPTIONAL_KEYS: [&str; 8] =
    ["input", "name", "count", "files_from", "min_int", "max_int", "memory", "counts"];

/// Keys whose values are text whatever they look like.
pub const TEXT_KEYS: [&str; 9] = [
    "output",
    "name",
    "files_from",
    "on_error",
    "io",
    "histogram",
    "combine",
    "output_format",
    "counts",
];

/// Names come from a template or from a list.
pub const NAME_KEYS: (&[&str], &[&str]) = (&["name", "count"], &["files_from"]);

/// What a piece that is no number does to the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// The run fails once everything is read and the first pieces are named.
    Fail,
    /// It is counted and listed.
    Skip,
}

/// How small files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Io {
    /// One after the other.
    Openat,
    /// Many on their way, by `io_uring` where the kernel has it.
    Uring,
}

/// How a thread counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counters {
    /// As the values suggest.
    Auto,
    /// A table from the least to the greatest value.
    Dense,
    /// Sorted runs of values and counts.
    Sparse,
}

/// How the counts of all ranks become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// By their size.
    Auto,
    /// Every rank gets the whole table.
    AllReduce,
    /// Every rank gets one slab of the table.
    ReduceScatter,
    /// Values and counts travel to the rank of their range.
    Exchange,
}

/// What the sorted file looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// Decimal, a number a line.
    Text,
    /// 8 bytes each, little-endian.
    I64,
    /// The dataset `numbers` of an HDF5 file.
    Hdf5,
}

/// Inputs as one word or several.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, expecting = "expected a path, or several as [\"a\", \"b\"]")]
enum Words {
    One(String),
    Many(Vec<String>),
}

/// What was typed, with the types of the keys.
#[derive(Clone, Debug, Deserialize)]
struct Options {
    input: Option<Words>,
    name: Option<String>,
    count: Option<u64>,
    first: u64,
    files_from: Option<String>,
    output: PathBuf,
    output_format: OutputFormat,
    on_error: OnError,
    min_int: Option<i64>,
    max_int: Option<i64>,
    io: Io,
    histogram: Counters,
    combine: Combine,
    #[serde(default, deserialize_with = "deserialize_size")]
    memory: Option<u64>,
    counts: Option<PathBuf>,
    stats: bool,
    top: u64,
}

/// A checked counting sort.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// Directories and files, as typed.
    pub input: Vec<String>,
    /// A template for names, with the first index and how many there are.
    pub name: Option<(Template, u64, u64)>,
    /// A list of names, `-` for standard input.
    pub files_from: Option<String>,
    /// The sorted file.
    pub output: PathBuf,
    /// Its form.
    pub output_format: OutputFormat,
    /// What rubbish does.
    pub on_error: OnError,
    /// The least accepted value.
    pub min_int: i64,
    /// The greatest accepted value.
    pub max_int: i64,
    /// How small files are read.
    pub io: Io,
    /// How a thread counts.
    pub histogram: Counters,
    /// How ranks combine.
    pub combine: Combine,
    /// Bytes for counters per rank, when the user said so.
    pub memory: Option<u64>,
    /// Where the counts go.
    pub counts: Option<PathBuf>,
    /// Whether statistics are printed.
    pub stats: bool,
    /// How many of the most frequent values are told.
    pub top: u64,
}

/// The least `--memory`: below, buffers alone would exceed it.
const MEMORY_MIN: u64 = 1 << 20;

impl Spec {
    /// Checks a merged deck.
    ///
    /// # Errors
    /// A usage error that names the flag or key.
    pub fn from_deck(merged: &Merged) -> Result<Self> {
        let options: Options = merged.read()?;
        let named =
            |key: &str, problem: String| Error::usage(format!("{}: {problem}", merged.name(key)));
        let input = match options.input {
            None => Vec::new(),
            Some(Words::One(word)) => vec![word],
            Some(Words::Many(words)) => words,
        };
        if input.iter().any(String::is_empty) {
            return Err(Error::usage("an empty name among the inputs; remove it"));
        }
        let name = match (&options.name, options.count) {
            (Some(text), Some(count)) => {
                let template = text.parse().map_err(|problem| named("name", problem))?;
                if options.first.checked_add(count).is_none() {
                    return Err(named("count", format!("{count} names from {}", options.first)));
                }
                Some((template, options.first, count))
            }
            (Some(_), None) => {
                return Err(named("name", "how many? add --count N".into()));
            }
            (None, Some(_)) => {
                return Err(named("count", "of what? add --name 'numbers_{}.txt'".into()));
            }
            (None, None) => None,
        };
        if name.is_some() && input.len() > 1 {
            let count = input.len();
            return Err(named("name", format!("names files in one directory, {count} are given")));
        }
        if input.is_empty() && name.is_none() && options.files_from.is_none() {
            return Err(Error::usage(
                "nothing to read: give directories or files, or --name with --count, or --files-from",
            ));
        }
        if options.files_from.as_deref() == Some("-") && merged.is_set("checkpoint") {
            let problem = "- is standard input, whose names a run that goes on from a checkpoint cannot read \
                           again; put them into a file, or leave --checkpoint out";
            return Err(named("files_from", problem.into()));
        }
        let min_int = options.min_int.unwrap_or(i64::MIN);
        let max_int = options.max_int.unwrap_or(i64::MAX);
        if min_int > max_int {
            let other = merged.name("min_int");
            return Err(named("max_int", format!("{max_int} is below {other} {min_int}")));
        }
        if let Some(memory) = options.memory.filter(|memory| *memory < MEMORY_MIN) {
            return Err(named("memory", format!("{memory} bytes; give 1M or more")));
        }
        if let Some(counts) = &options.counts {
            let ending = counts.extension().and_then(|ending| ending.to_str());
            if !matches!(ending, Some("csv" | "h5" | "hdf5")) {
                let shown = counts.display();
                return Err(named("counts", format!("{shown}: end it with .csv or .h5")));
            }
        }
        Ok(Self {
            input,
            name,
            files_from: options.files_from,
            output: options.output,
            output_format: options.output_format,
            on_error: options.on_error,
            min_int,
            max_int,
            io: options.io,
            histogram: options.histogram,
            combine: options.combine,
            memory: options.memory,
            counts: options.counts,
            stats: options.stats,
            top: options.top,
        })
    }
}
