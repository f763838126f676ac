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
use crate::mergesort::memory::{self, Budget};
use crate::mergesort::spec::{self, Kind, Spec};
use crate::num::to_u64;
use crate::store::target::{directory, free_bytes};
use crate::units::{size, verdict};

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
            // Twice: an error that lasts is told by the job, one that passes is made good here.
            let held = dataset_type(input).or_else(|_| dataset_type(input));
            spec.kind = held.map_or(spec.kind, Kind::Key);
        }
    }

    fn describe(spec: &Spec, of_run: &Size) -> Result<Vec<String>> {
        let Size { ranks, local_ranks, threads } = *of_run;
        let mut lines = vec![format!("ranks {ranks} x threads {threads}")];
        let Some(bytes) = input_bytes(spec)? else {
            lines.push("memory per rank: not known, an input cannot be looked at".into());
            return Ok(lines);
        };
        let needed = Budget::needed(&*spec.form(), bytes.div_ceil(ranks.max(1)));
        let memory = spec.memory.unwrap_or_else(|| memory::share(local_ranks));
        let on_disk = needed > memory;
        lines.push(format!(
            "memory per rank: {} of {}, some 30 MiB beside",
            size(needed.min(memory)),
            size(memory)
        ));
        let output = &spec.output;
        let scratch = spec.scratch.clone().unwrap_or_else(|| directory(output));
        if on_disk {
            lines.push(format!(
                "{}: {} of sorted runs, as {} exceed memory{}",
                scratch.display(),
                size(bytes),
                size(needed),
                verdict(bytes, free_bytes(&scratch), "free there")
            ));
        }
        let free = free_bytes(output);
        lines.push(format!(
            "{}: {}{}",
            output.display(),
            size(bytes),
            verdict(bytes, free, "free there")
        ));
        Ok(lines)
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

/// Bytes of all inputs, as far as a look at them tells.
fn input_bytes(spec: &Spec) -> Result<Option<u64>> {
    if let Some(keys) = spec.made().transpose()? {
        return Ok(Some(keys.count() * to_u64(keys.key_type().bytes())));
    }
    let sizes = spec.input.iter().map(|name| Some(look_at(name, spec.kind).ok()?.bytes));
    Ok(sizes.sum())
}
