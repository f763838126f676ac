//! The parameters of generated records: what was typed, what it means, and what is refused. Pure.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Form, RecordSource};
use crate::deck::Merged;
use crate::error::{Error, Result};

/// The built-in deck.
pub const DEFAULTS: &str = include_str!("../../../jobs/generate-records.toml");

/// Keys whose values are text whatever they look like.
pub const TEXT_KEYS: [&str; 1] = ["output"];

/// Parameters, in the types of their keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The file to make.
    pub output: PathBuf,
    /// How many records.
    pub count: u64,
    /// The number of the first.
    pub start: u64,
    /// Printable records.
    pub ascii: bool,
    /// Keys of which many begin alike.
    pub skewed: bool,
    /// Chooses the records; 0 are gensort's.
    pub seed: u64,
}

impl Spec {
    /// Checks a merged deck.
    ///
    /// # Errors
    /// A usage error that names the flag or key.
    pub fn from_deck(merged: &Merged) -> Result<Self> {
        let spec: Self = merged.read()?;
        spec.source()
            .map_err(|(key, problem)| Error::usage(format!("{}: {problem}", merged.name(key))))?;
        Ok(spec)
    }

    /// Makes them.
    ///
    /// # Errors
    /// As [`RecordSource::new`].
    pub fn source(&self) -> std::result::Result<RecordSource, (&'static str, String)> {
        let form = if self.ascii { Form::Ascii } else { Form::Binary };
        RecordSource::new(form, self.skewed, self.start, self.count, self.seed)
    }
}
