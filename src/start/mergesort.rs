//! `dcomp mergesort` on its way to a run.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::generate::new_directory;
use super::launch::{Keys, Launch, Named, Size, decisive};
use crate::context::Context;
use crate::deck::Merged;
use crate::error::Result;
use crate::measure::record::Findings;
use crate::mergesort::Mergesort as Job;
use crate::mergesort::input::{dataset_type, line_bytes, look_at};
use crate::mergesort::memory::{self, Appetite, Budget};
use crate::mergesort::spec::{self, Kind, Spec};
use crate::num::to_u64;
use crate::store::target::{directory, free_bytes};
use crate::units::{exactly, size, verdict};

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

    const CHECKPOINTS: bool = true;

    const KEEPS_FREED: bool = false;

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
        let Size { ranks, local_ranks, threads, rank_bytes, ref saving } = *of_run;
        let mut lines = vec![format!("ranks {ranks} x threads {threads}")];
        let Some(bytes) = input_bytes(spec)? else {
            lines.push("memory per rank: not known, an input cannot be looked at".into());
            return Ok(lines);
        };
        let form = spec.form();
        let appetite = Appetite::of(&*form, line_bytes(spec));
        let mine = bytes.div_ceil(ranks.max(1));
        let beside = rank_bytes + memory::thread_bytes(threads);
        let needed = appetite.needed(mine);
        let memory = spec.memory.unwrap_or_else(|| memory::share(local_ranks));
        let for_items = memory.saturating_sub(beside).max(memory / 2);
        let on_disk = needed > for_items;
        let told = if on_disk {
            beside + for_items
        } else {
            rank_bytes + appetite.usual(&*form, mine, (ranks, threads))
        };
        lines.push(format!(
            "memory per rank: {}, of {} that it may take",
            size(told),
            size(memory)
        ));
        let goes_on = saving.as_ref().is_some_and(|saving| saving.goes_on);
        if saving.is_some() && !on_disk && !goes_on {
            let nothing = "of a sort in memory nothing is kept before its output is written";
            lines.push(format!("checkpoints: {nothing}"));
        }
        let output = &spec.output;
        let scratch = spec.scratch.clone().unwrap_or_else(|| directory(output));
        let scratch = saving.as_ref().map_or(scratch, |saving| saving.directory.clone());
        if on_disk {
            let item = form.item_bytes().map_or(1, to_u64);
            let runs = if spec.compress_temp {
                bytes
            } else {
                let mut budget = Budget::of(for_items, appetite);
                if let Some(saving) = saving {
                    let held = memory::held_bytes_max(saving.every, saving.goes_on);
                    budget = budget.with_breaks(&*form, held);
                }
                let whole = (bytes / item).div_ceil(ranks.max(1)) * item;
                let stored = memory::stored(&*form, budget, whole, ranks);
                stored.saturating_mul(ranks).min(bytes)
            };
            let needed = size(needed);
            lines.push(if runs == 0 {
                format!("{needed} exceed memory: sorted in pieces, which stay there until they are merged")
            } else {
                let beside = if saving.is_some() { " beside the checkpoints" } else { "" };
                let fits = if goes_on {
                    ", those of the checkpoint included".into()
                } else {
                    verdict(runs, free_in(&scratch), "free there")
                };
                let (place, runs) = (scratch.display(), size(runs));
                format!("{place}: {runs} of sorted runs{beside}, as {needed} exceed memory{fits}")
            });
            if saving.is_some() && !goes_on && runs < bytes {
                lines.push(format!(
                    "checkpoints: without {} that stay in memory; a run that goes on sorts them again \
                     and needs as much more on the disk",
                    size(bytes - runs)
                ));
            }
            if let (Some(_), Some(unused)) = (saving, &spec.scratch) {
                lines.push(format!(
                    "{}: not used, as runs that a later run goes on with lie beside the checkpoints",
                    unused.display()
                ));
            }
        }
        let free = free_bytes(output);
        // Lines may lack the end of their last one, and --unique drops what only reading tells.
        let told = match (spec.unique, spec.form().item_bytes()) {
            (false, Some(_)) => exactly(bytes),
            (true, _) => format!("at most {}", size(bytes)),
            (false, None) => format!("about {}", size(bytes)),
        };
        lines.push(format!("{}: {told}{}", output.display(), verdict(bytes, free, "free there")));
        Ok(lines)
    }

    fn identity(spec: &Spec) -> Result<Value> {
        // How runs are compressed is told with each; the rest says where work is done and with what.
        let mut identity = decisive(spec, &["memory", "scratch", "compress_temp"])?;
        for input in &spec.input {
            let state = look_at(input, spec.kind)?.state();
            identity[format!("the input {input}")] = Value::String(state);
        }
        Ok(identity)
    }

    fn seed(spec: &Spec) -> u64 {
        spec.seed
    }

    fn lines(_spec: &Spec, _context: &Context, findings: &Findings) -> Vec<String> {
        let (result, details) = (&findings.result, &findings.details);
        let second = |key: &str| details[key].as_f64().unwrap_or(0.0);
        let rate = details["records_per_s"].as_f64();
        vec![
            format!(
                "{} records, {} with the key of the one before, checksum {}",
                result["records"],
                result["duplicates"],
                result["checksum"].as_str().unwrap_or("")
            ),
            format!(
                "sorted in {:.3} s ({:.3} local sort, {:.3} splitters, {:.3} exchange, {:.3} merge){}",
                second("sort_s"),
                second("local_sort_s"),
                second("splitters_s"),
                second("exchange_s"),
                second("merge_s"),
                rate.map_or_else(String::new, |rate| format!(", {rate:.3e} records/s"))
            ),
        ]
    }
}

/// Free bytes of a directory, or where it will be made.
fn free_in(directory: &Path) -> Option<u64> {
    if directory.is_dir() { free_bytes(&directory.join("runs")) } else { free_bytes(directory) }
}

/// Bytes of all inputs, as far as a look at them tells.
fn input_bytes(spec: &Spec) -> Result<Option<u64>> {
    if let Some(keys) = spec.made().transpose()? {
        return Ok(Some(keys.count() * to_u64(keys.key_type().bytes())));
    }
    let sizes = spec.input.iter().map(|name| Some(look_at(name, spec.kind).ok()?.bytes));
    Ok(sizes.sum())
}
