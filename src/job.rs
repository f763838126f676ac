//! The one sequence of phases that every job goes through.
//!
//! A job says what to plan, compute, exchange, verify and write; [`run`] times these, makes errors
//! common to all ranks, and writes the record, so that none of it can differ between jobs. Work
//! goes in rounds (bands of a picture, runs of a sort) so that memory has a bound whatever the
//! size of the problem.

use std::path::PathBuf;

use serde::Serialize;

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::measure::Phase;
use crate::measure::record::{self, Ending, Findings, Identity};
use crate::measure::record_file;

/// What a job is asked for.
#[derive(Clone, Debug)]
pub struct Request<S> {
    /// The effective parameters.
    pub spec: S,
    /// Whether outputs that exist are replaced.
    pub force: bool,
}

/// A computation in rounds; what a job does not say is one round, or nothing to do. All methods are
/// collective, and what they return is the same error or `Ok` on every rank.
pub trait Job<'a>: Sized {
    /// The name on the command line and in the record.
    const NAME: &'static str;
    /// The effective parameters; also the record's `spec`.
    type Spec: Serialize + 'a;

    /// Decides who does what and creates the outputs.
    ///
    /// # Errors
    /// When an output cannot be made or the work cannot fit.
    fn plan(request: &'a Request<Self::Spec>, context: &'a Context) -> Result<Self>;
    /// How many rounds there are, as far as it is known; asked before each.
    fn rounds(&self) -> u64 {
        1
    }

    /// The kernel, on this rank's share of a round.
    ///
    /// # Errors
    /// When any rank fails.
    fn compute(&mut self, round: u64) -> Result<()>;
    /// Moves results to the ranks that write them.
    ///
    /// # Errors
    /// When any rank fails.
    fn exchange(&mut self, _round: u64) -> Result<()> {
        Ok(())
    }

    /// Checks the round's results.
    ///
    /// # Errors
    /// A verification error when any rank finds a wrong one.
    fn verify(&mut self, _round: u64) -> Result<()> {
        Ok(())
    }

    /// Writes the round's results.
    ///
    /// # Errors
    /// When any rank fails.
    fn write(&mut self, round: u64) -> Result<()>;
    /// Completes the outputs once all rounds are written.
    ///
    /// # Errors
    /// When any rank fails.
    fn complete(&mut self) -> Result<()> {
        Ok(())
    }

    /// Checks the totals and reads the outputs back.
    ///
    /// # Errors
    /// A verification error when anything differs.
    fn conclude(&mut self) -> Result<Findings>;
    /// Gives the outputs their names.
    ///
    /// # Errors
    /// When any rank fails.
    fn publish(self) -> Result<()>;
}

/// How a run is told apart from its job: where the record goes and what is said about it.
pub struct Run {
    /// The main output, when the job has one.
    pub output: Option<PathBuf>,
    /// Where `--record` sends the record.
    pub record: Option<PathBuf>,
    /// The identity that the record carries.
    pub identity: Identity,
}

/// Collective. Runs a job from plan to record. The findings are there when it went well.
///
/// # Errors
/// The job's error, or that of writing the record.
pub fn run<'a, J: Job<'a>>(
    request: &'a Request<J::Spec>,
    context: &'a Context,
    run: &Run,
) -> Result<Findings> {
    let done = phases::<J>(request, context);
    context.progress.finish();
    let ending = match &done {
        Ok(_) => Ending { outcome: "ok".into(), exit_code: 0, message: String::new() },
        Err(error) => Ending {
            outcome: error.kind.outcome().into(),
            exit_code: error.kind.exit_code(),
            message: error.message.clone(),
        },
    };
    if done.as_ref().is_err_and(|error| error.kind == Kind::Usage) {
        return done; // nothing ran that a record could tell of
    }
    let nothing = Findings::default();
    let findings = done.as_ref().unwrap_or(&nothing);
    let written = write_record(context, run, &ending, findings);
    match (done, written) {
        (Ok(findings), written) => written.map(|()| findings).map_err(|error| Error {
            message: format!("{}; the output itself is complete and verified", error.message),
            ..error
        }),
        // The first error is the one to tell; that the record failed too follows from it, mostly.
        (Err(error), _) => Err(error),
    }
}

fn phases<'a, J: Job<'a>>(request: &'a Request<J::Spec>, context: &'a Context) -> Result<Findings> {
    let meter = &context.meter;
    let mut job = meter.phase(Phase::Plan, || J::plan(request, context))?;
    let mut round = 0;
    while round < job.rounds() {
        step(context, Phase::Compute, || job.compute(round))?;
        step(context, Phase::Exchange, || job.exchange(round))?;
        step(context, Phase::Verify, || job.verify(round))?;
        step(context, Phase::Write, || job.write(round))?;
        round += 1;
    }
    meter.phase(Phase::Write, || job.complete())?;
    let findings = meter.phase(Phase::Verify, || job.conclude())?;
    meter.phase(Phase::Write, || job.publish())?;
    Ok(findings)
}

/// One phase of one round, timed, with an end that all ranks agree on.
fn step(context: &Context, phase: Phase, work: impl FnOnce() -> Result<()>) -> Result<()> {
    context.meter.phase(phase, || {
        work()?;
        context.comm.agree(context.fault.after(phase))
    })
}

/// Collective. Root writes the record, of a failure too.
fn write_record(context: &Context, run: &Run, ending: &Ending, findings: &Findings) -> Result<()> {
    let Context { comm, meter, threads, .. } = context;
    let record = record::assemble(comm, meter, threads, &run.identity, ending, findings);
    let failed = ending.exit_code != 0;
    let path = record_file::place(run.record.as_deref(), run.output.as_deref(), failed);
    let written = match (record, path) {
        (Some(record), Some(path)) => record_file::write(&path, &record),
        _ => Ok(()),
    };
    comm.agree(written)
}
