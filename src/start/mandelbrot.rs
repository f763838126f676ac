//! `dcomp mandelbrot` on its way to a run.

use std::path::PathBuf;

use serde_json::Value;

use super::launch::{Keys, Launch, Named, Size, decisive};
use crate::context::Context;
use crate::deck::Merged;
use crate::error::Result;
use crate::mandelbrot::estimate::{self, Ranks};
use crate::mandelbrot::spec::{self, Spec};
use crate::mandelbrot::{Render, fits};
use crate::measure::Phase;
use crate::measure::record::Findings;
use crate::num::to_f64;

pub(super) struct Mandelbrot;

impl Launch for Mandelbrot {
    type Spec = Spec;
    type Job<'a> = Render<'a>;
    const KEYS: Keys = Keys {
        defaults: spec::DEFAULTS,
        optional: &spec::OPTIONAL_KEYS,
        texts: &spec::TEXT_KEYS,
        exclusive: &[spec::VIEW_KEYS],
    };

    const CHECKPOINTS: bool = true;

    fn spec(merged: &Merged) -> Result<Spec> {
        Spec::from_deck(merged)
    }

    fn output(spec: &Spec) -> PathBuf {
        spec.output.clone()
    }

    fn outputs(spec: &Spec, merged: &Merged) -> Vec<Named> {
        let hdf5 = spec.hdf5.iter().map(|path| (merged.name("hdf5"), path.clone()));
        [(merged.name("output"), spec.output.clone())].into_iter().chain(hdf5).collect()
    }

    fn describe(spec: &Spec, size: &Size) -> Result<Vec<String>> {
        let Size { ranks: all, local_ranks: local, threads, rank_bytes: bytes, .. } = *size;
        Ok(estimate::describe(spec, Ranks { all, local, threads, bytes }))
    }

    fn identity(spec: &Spec) -> Result<Value> {
        decisive(spec, &["schedule", "kernel"])
    }

    fn seed(spec: &Spec) -> u64 {
        spec.seed
    }

    fn fits(spec: &Spec, context: &Context) -> Result<()> {
        context.comm.agree(spec.kernel_available())?;
        fits(spec, context)
    }

    fn lines(_spec: &Spec, context: &Context, findings: &Findings) -> Vec<String> {
        let iterations = findings.result["iterations_total"].as_u64().unwrap_or(0);
        let compute_s = context.meter.phase_s(Phase::Compute);
        // A run that went on with another's work computed only a part of them.
        let resumed =
            context.saves.as_ref().and_then(|saves| saves.checkpoints.stats().resumed_from);
        let rate = to_f64(iterations) / 1e9 / compute_s.max(1e-9);
        let speed = match resumed {
            None => format!(", {rate:.2} Giter/s in compute"),
            Some(_) => String::new(),
        };
        let interior = &findings.result["interior_pixels"];
        vec![format!("iterations {iterations}, interior pixels {interior}{speed}")]
    }
}
