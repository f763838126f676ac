//! `dcomp mergesort` on its way to a run.

use std::path::PathBuf;

use super::generate::new_directory;
use super::launch::{Keys, Launch, Named, Size};
use crate::context::Context;
use crate::deck::Merged;
use crate::error::Result;
use crate::measure::record::Findings;
use crate::mergesort::Mergesort as Job;
use crate::mergesort::input::{dataset_type, look_at};
use crate::mergesort::spec::{self, Kind, Spec};
use crate::units::size;

pub(super) struct Mergesort;

impl Launch for Mergesort {
    type Spec = Spec;
    type Job<'a> = Job<'a>;
    const KEYS: Keys = Keys {
        defaults: spec::DEFAULTS,
        optional: &spec::OPTIONAL_KEYS,
        texts: &spec::TEXT_KEYS,
        exclusive: &[spec::SOURCE_KEYS],
    };

    fn spec(merged: &Merged) -> Result<Spec> {
        Spec::from_deck(merged)
    }

    fn output(spec: &Spec) -> PathBuf {
        spec.output.clone()
    }

    fn outputs(spec: &Spec, merged: &Merged) -> Vec<Named> {
        let file = (merged.name("output"), spec.output.clone());
        if spec.parts { Vec::new() } else { vec![file] }
    }

    fn check(spec: &Spec, merged: &Merged, _written: &[Named]) -> Result<()> {
        if spec.parts { new_directory(&spec.output, &merged.name("output")) } else { Ok(()) }
    }

    fn complete(spec: &mut Spec) {
        if let (Kind::Dataset, Some(input)) = (spec.kind, spec.input.first()) {
            spec.kind = dataset_type(input).map_or(spec.kind, Kind::Key);
        }
    }

    fn describe(spec: &Spec, of_run: &Size) -> Result<Vec<String>> {
        let Size { ranks, threads, .. } = *of_run;
        let files: Option<Vec<u64>> =
            spec.input.iter().map(|name| Some(look_at(name, spec.kind).ok()?.bytes)).collect();
        let bytes: Option<u64> = files.map(|files| files.iter().sum());
        let known = |bytes: Option<u64>| bytes.map_or("not known".into(), size);
        Ok(vec![
            format!("ranks {ranks} x threads {threads}"),
            format!("memory per rank: {}", known(bytes.map(|bytes| 2 * bytes / ranks.max(1)))),
            format!("{}: {}", spec.output.display(), known(bytes)),
        ])
    }

    fn seed(spec: &Spec) -> u64 {
        spec.seed
    }

    fn lines(_spec: &Spec, _context: &Context, findings: &Findings) -> Vec<String> {
        let (result, details) = (&findings.result, &findings.details);
        let second = |key: &str| details[key].as_f64().unwrap_or(0.0);
        vec![
            format!(
                "{} records, {} with the key of the one before, checksum {}",
                result["records"],
                result["duplicates"],
                result["checksum"].as_str().unwrap_or("")
            ),
            format!(
                "sorted in {:.3} s ({:.3} local sort, {:.3} splitters, {:.3} exchange, {:.3} merge), \
                 {:.3e} records/s",
                second("sort_s"),
                second("local_sort_s"),
                second("splitters_s"),
                second("exchange_s"),
                second("merge_s"),
                second("records_per_s")
            ),
        ]
    }
}
