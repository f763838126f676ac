//! `dcomp recolor`: flags only, no deck.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::launch::{Settings, all_apart, check_record, context, identity};
use super::tell::{AGREED, on_one_rank, report, say, say_on_root};
use crate::cli::RecolorArgs;
use crate::comm::{Comm, launcher};
use crate::error::Result;
use crate::job::{self, Job, Request, Run};
use crate::mandelbrot::recolor::{Recolor, RecolorSpec};
use crate::measure::Meter;
use crate::store::target;

/// Collective, unless it is a dry run.
pub(super) fn recolor(args: &RecolorArgs, meter: Meter) -> Result<()> {
    launcher::detect_from_environment()?;
    let settings = Settings {
        record: args.how.record.clone().map(PathBuf::from),
        threads: args.how.threads.map(usize::from),
        force: args.how.force,
        quiet: args.how.quiet,
        ..Settings::default()
    };
    let spec = RecolorSpec::from_arguments(args)?;
    let output = spec.output.clone();
    let check = || {
        target::check(&output, "--output", settings.force)?;
        let record = check_record(&settings, "--record", &output)?;
        all_apart(&[
            ("--output".into(), output.clone()),
            ("the record (--record)".into(), record),
            ("the input".into(), spec.input.clone()),
        ])
    };
    if args.how.dry_run {
        return on_one_rank(|| {
            say(&spec.describe()?)?;
            check()
        });
    }
    let comm = Comm::start()?;
    AGREED.store(true, Ordering::SeqCst);
    comm.decide(check)?;
    let run = Run {
        output: Some(output.clone()),
        record: settings.record.clone(),
        identity: identity(Recolor::NAME, &spec, 0),
    };
    let request = Request { spec, force: settings.force };
    let context = context(Recolor::NAME, comm, meter, &settings)?;
    let findings = job::run::<Recolor<'_>>(&request, &context, None, &run)?;
    say_on_root(&context, &report(&context, &run, &findings))
}
