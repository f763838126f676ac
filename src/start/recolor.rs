//! `dcomp recolor`: flags only, no deck.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::launch::{Settings, all_apart, check_record, context, identity, lay_down};
use super::tell::{AGREED, on_one_rank, report, say, say_on_root};
use crate::cli::RecolorArgs;
use crate::comm::{Comm, launcher};
use crate::error::{Error, Result};
use crate::job::{self, Job, Request, Run};
use crate::mandelbrot::recolor::{Recolor, RecolorSpec};
use crate::measure::Meter;
use crate::store::target;
use crate::units::parse_duration;

/// Collective, unless it is a dry run.
pub(super) fn recolor(args: &RecolorArgs, meter: Meter) -> Result<()> {
    launcher::detect_from_environment()?;
    let hang_timeout = args.how.hang_timeout.as_deref().map(parse_duration).transpose();
    let hang_timeout =
        hang_timeout.map_err(|told| Error::usage(format!("--hang-timeout: {told}")))?;
    let settings = Settings {
        record: args.how.record.clone().map(PathBuf::from),
        threads: args.how.threads.map(usize::from),
        hang_timeout,
        force: args.how.force,
        quiet: args.how.quiet,
        ..Settings::default()
    };
    settings.check_hang_timeout("--hang-timeout")?;
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
    settings.hang_after();
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
    let prepared = lay_down(&context, &run);
    let findings = job::run::<Recolor<'_>>(&request, &context, None, &run)?;
    drop(prepared);
    say_on_root(&context, &report(&context, &run, &findings))
}
