//! The parameters of generated keys: what was typed, what it means, and what is refused. Pure.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{KeySource, KeyType, Pattern};
use crate::deck::Merged;
use crate::error::{Error, Result};

/// The built-in deck.
pub const DEFAULTS: &str = include_str!("../../../jobs/generate-keys.toml");

/// Keys of the deck whose values are text whatever they look like.
pub const TEXT_KEYS: [&str; 3] = ["output", "pattern", "type"];

/// Parameters, in the types of their keys.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The file to make.
    pub output: PathBuf,
    /// How many keys.
    pub count: u64,
    /// The pattern's name.
    pub pattern: String,
    /// The name of the keys' type.
    #[serde(rename = "type")]
    pub key_type: String,
    /// Blocks that stand for the processors of a published pattern.
    pub blocks: u64,
    /// Chooses the keys.
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
    /// The key of the deck at fault and a sentence about it.
    pub fn source(&self) -> std::result::Result<KeySource, (&'static str, String)> {
        let pattern: Pattern = self.pattern.parse().map_err(|problem| ("pattern", problem))?;
        let key_type: KeyType = self.key_type.parse().map_err(|problem| ("type", problem))?;
        KeySource::typed(key_type, pattern, self.count, self.blocks, self.seed)
    }
}
