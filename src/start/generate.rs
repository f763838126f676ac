//! `dcomp generate` on its way to a run.

use std::path::{Path, PathBuf};

use super::launch::{Keys, Launch, Named, Size};
use crate::context::Context;
use crate::deck::Merged;
use crate::error::{Error, Result};
use crate::generate::Numbers as Job_;
use crate::generate::spec::{self, Spec};
use crate::measure::Phase;
use crate::measure::record::Findings;
use crate::num::to_f64;
use crate::store::target::{self, free_bytes};
use crate::units::{size, verdict};

pub(super) struct Numbers;

impl Launch for Numbers {
    type Spec = Spec;
    type Job<'a> = Job_<'a>;
    const KEYS: Keys =
        Keys { defaults: spec::DEFAULTS, optional: &[], texts: &spec::TEXT_KEYS, exclusive: &[] };

    fn spec(merged: &Merged) -> Result<Spec> {
        Spec::from_deck(merged)
    }

    fn output(spec: &Spec) -> PathBuf {
        spec.output.clone()
    }

    fn outputs(spec: &Spec, merged: &Merged) -> Vec<Named> {
        let packed = spec.packed.then(|| (merged.name("output"), spec.output.clone()));
        let planted = spec.planted().map(|path| ("the list of planted lines".into(), path));
        packed.into_iter().chain(planted).collect()
    }

    fn check(spec: &Spec, merged: &Merged, _written: &[Named]) -> Result<()> {
        if spec.packed { Ok(()) } else { new_directory(&spec.output, &merged.name("output")) }
    }

    fn describe(spec: &Spec, of_run: &Size) -> Result<Vec<String>> {
        let longest = [spec.min, spec.max].map(|value| value.to_string().len() + 1);
        let line = to_f64(crate::num::to_u64(longest[0].max(longest[1])));
        let bytes = crate::num::floor_u64(to_f64(spec.files * spec.per_file) * line);
        let blocks = spec.files * (bytes / spec.files.max(1)).next_multiple_of(4096);
        let disk = if spec.packed { bytes } else { blocks };
        let Size { ranks, threads, rank_bytes, .. } = *of_run;
        Ok(vec![
            format!("ranks {ranks} x threads {threads}"),
            format!("memory per rank: {}", size(rank_bytes + (threads << 20))),
            format!(
                "{}: at most {} of text, {} on the disk{}",
                spec.output.display(),
                size(bytes),
                size(disk),
                verdict(disk, free_bytes(&spec.output), "free there")
            ),
        ])
    }

    fn seed(spec: &Spec) -> u64 {
        spec.seed
    }

    fn lines(_spec: &Spec, context: &Context, findings: &Findings) -> Vec<String> {
        let result = &findings.result;
        let files = result["files"].as_u64().unwrap_or(0);
        let write_s = context.meter.phase_s(Phase::Write).max(1e-9);
        vec![format!(
            "{} numbers, {} lines of rubbish, {} blank lines in {files} files, {:.2} us a file",
            result["numbers"],
            result["rubbish"],
            result["blank_lines"],
            1e6 * write_s / to_f64(files.max(1))
        )]
    }
}

/// A directory of files is made new: what is in an old one could not be told from what belongs there.
pub(super) fn new_directory(path: &Path, named: &str) -> Result<()> {
    let shown = path.display();
    if path.file_name().is_none() {
        return Err(Error::usage(format!("{named} {shown} names no directory to make")));
    }
    if target::look(path)?.is_some() {
        return Err(Error::usage(format!(
            "{named} {shown} is there already; remove it or choose another (--force replaces files only)"
        )));
    }
    target::parent(path, named).map(|_| ())
}
