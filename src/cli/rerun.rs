//! The arguments of `dcomp rerun`.

use clap::Args;

use super::{Flags, How};
use crate::deck::Layer;

/// Parameters of `rerun`.
#[derive(Debug, Args)]
pub struct RerunArgs {
    /// The output to make again. Pictures and grids tell how they were made, others have a record.
    #[arg(value_name = "FILE")]
    pub file: String,
    /// The file to write [default: FILE with `.rerun` before its ending].
    #[arg(short, long, value_name = "NEW")]
    pub output: Option<String>,
    /// Take the parameters from this run record [default: from FILE itself, else FILE.json].
    #[arg(long, value_name = "FILE.json")]
    pub from: Option<String>,
    #[command(flatten)]
    /// How the run is carried out.
    pub how: How,
}

impl RerunArgs {
    /// The flags as a deck layer; `outputs` are the keys of files to write, with their names.
    pub fn layer(&self, outputs: &[(&str, String)]) -> Layer {
        let named = outputs
            .iter()
            .fold(Flags::default(), |flags, (key, name)| flags.set(key, Some(name.clone())));
        named.how(&self.how).layer()
    }
}
