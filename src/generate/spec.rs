//! The parameters of generated numbers: what was typed, what it means, and what is refused. Pure.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::numbers::{NumbersSpec, Pattern};
use crate::deck::Merged;
use crate::error::{Error, Result};

/// The built-in deck.
pub const DEFAULTS: &str = include_str!("../../jobs/generate-numbers.toml");

/// Keys whose values are text whatever they look like.
pub const TEXT_KEYS: [&str; 2] = ["output", "pattern"];

/// Most integers in a file: with the longest ones, 1 GiB of text.
const PER_FILE_MAX: u64 = 1 << 25;

/// What was typed, with the types of the keys.
#[derive(Clone, Debug, Deserialize)]
struct Options {
    output: PathBuf,
    packed: bool,
    files: u64,
    per_file: u64,
    min: i64,
    max: i64,
    pattern: String,
    dirty: f64,
    seed: u64,
}

/// Checked parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The directory, or the file when packed.
    pub output: PathBuf,
    /// One file instead of many.
    pub packed: bool,
    /// How many files.
    pub files: u64,
    /// Integers in each.
    pub per_file: u64,
    /// The least.
    pub min: i64,
    /// The greatest.
    pub max: i64,
    /// The pattern's name.
    pub pattern: String,
    /// The part of lines that are unusual or rubbish.
    pub dirty: f64,
    /// Chooses the numbers.
    pub seed: u64,
}

impl Spec {
    /// Checks a merged deck.
    ///
    /// # Errors
    /// A usage error that names the flag or key.
    pub fn from_deck(merged: &Merged) -> Result<Self> {
        let Options { output, packed, files, per_file, min, max, pattern, dirty, seed } =
            merged.read()?;
        let spec = Self { output, packed, files, per_file, min, max, pattern, dirty, seed };
        let named =
            |key: &str, problem: String| Error::usage(format!("{}: {problem}", merged.name(key)));
        spec.check().map_err(|(key, problem)| named(key, problem))?;
        Ok(spec)
    }

    /// Whether this can be generated: parameters may come from a record that somebody edited.
    ///
    /// # Errors
    /// The key at fault and a sentence about it.
    pub fn check(&self) -> std::result::Result<(), (&'static str, String)> {
        self.pattern.parse::<Pattern>().map_err(|problem| ("pattern", problem))?;
        let per_file = self.per_file;
        if per_file > PER_FILE_MAX {
            let problem = format!("{per_file}; a file is made in memory: at most {PER_FILE_MAX}");
            return Err(("per_file", problem));
        }
        self.numbers().check()
    }

    /// As the generator takes them.
    ///
    /// # Panics
    /// When the pattern has no such name, which [`check`](Self::check) tells.
    pub fn numbers(&self) -> NumbersSpec {
        NumbersSpec {
            files: self.files,
            per_file: self.per_file,
            min: self.min,
            max: self.max,
            pattern: self.pattern.parse().expect("checked before"),
            seed: self.seed,
            dirty: self.dirty,
        }
    }

    /// Where the planted lines are listed, when there are any.
    pub fn planted(&self) -> Option<PathBuf> {
        let mut name = self.output.clone().into_os_string();
        name.push(".planted.csv");
        (self.dirty > 0.0).then(|| name.into())
    }
}
