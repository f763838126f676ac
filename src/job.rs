//! The one sequence of phases that every job goes through.
//!
//! A job says what to plan, compute, exchange, verify and write; [`run`] times these, makes errors
//! common to all ranks, and writes the record, so that none of it can differ between jobs. Work
//! goes in rounds (bands of a picture, runs of a sort) so that memory has a bound whatever the
//! size of the problem. Between rounds, and where a job takes breaks inside one, checkpoints are
//! written when they are due, and a run that is asked to stop ends with one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::measure::Phase;
use crate::measure::record::{self, Ending, Findings, Identity};
use crate::measure::record_file;
use crate::stop::Wish;
use crate::store::checkpoint::{Found, Saved};

/// What a job is asked for.
#[derive(Clone, Debug)]
pub struct Request<S> {
    /// The effective parameters.
    pub spec: S,
    /// Whether outputs that exist are replaced.
    pub force: bool,
}

/// How far a step of a round has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// To its end.
    Done,
    /// To a break, because one was wanted (`stop::wanted`); the same call goes on.
    Paused,
}

/// A computation in rounds; what a job does not say is one round, or nothing to do. All methods are
/// collective, and what they return is the same error or `Ok` on every rank.
pub trait Job<'a>: Sized {
    /// The name on the command line and in the record.
    const NAME: &'static str;
    /// The effective parameters; also the record's `spec`.
    type Spec: Serialize + 'a;

    /// Decides who does what and creates the outputs, or goes on from a checkpoint that [`save`](Self::save)
    /// wrote on any number of ranks.
    ///
    /// # Errors
    /// When an output cannot be made or the work cannot fit.
    fn plan(
        request: &'a Request<Self::Spec>,
        context: &'a Context,
        found: Option<&Found>,
    ) -> Result<Self>;
    /// How many rounds there are, as far as it is known; asked before each.
    fn rounds(&self) -> u64 {
        1
    }

    /// The kernel, on this rank's share of a round. [`Step::Paused`] on all ranks or on none.
    ///
    /// # Errors
    /// When any rank fails.
    fn compute(&mut self, round: u64) -> Result<Step>;
    /// Puts on the disk what is done, and says what a run needs to go on from here: after a pause, before a
    /// round, when the outputs are complete, or after a step that ended with [`Kind::Stopped`]. Runs without
    /// checkpoints do not call it.
    ///
    /// # Errors
    /// When any rank fails.
    fn save(&mut self) -> Result<Saved> {
        Ok(Saved::default())
    }
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

/// What is told beside an error that came after the outputs.
pub const ALL_THE_SAME: &str = "the output itself is complete and verified";

/// How a run is told apart from its job: where the record goes and what is said about it.
pub struct Run {
    /// The main output, when the job has one.
    pub output: Option<PathBuf>,
    /// Where `--record` sends the record.
    pub record: Option<PathBuf>,
    /// The identity that the record carries.
    pub identity: Identity,
}

/// Collective. Runs a job from plan to record, from the beginning or from a checkpoint. The findings are
/// there when it went well.
///
/// # Errors
/// The job's error, or that of writing the record.
pub fn run<'a, J: Job<'a>>(
    request: &'a Request<J::Spec>,
    context: &'a Context,
    found: Option<&Found>,
    run: &Run,
) -> Result<Findings> {
    let done = phases::<J>(request, context, found);
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
            message: format!("{}; {ALL_THE_SAME}", error.message),
            ..error
        }),
        // The first error is the one to tell; that the record failed too follows from it, mostly.
        (Err(error), _) => Err(error),
    }
}

fn phases<'a, J: Job<'a>>(
    request: &'a Request<J::Spec>,
    context: &'a Context,
    found: Option<&Found>,
) -> Result<Findings> {
    let meter = &context.meter;
    let mut job = meter.phase(Phase::Plan, || J::plan(request, context, found))?;
    let findings = match work(context, &mut job) {
        Err(error) if error.kind == Kind::Stopped => {
            // What the ranks agree on says more than what one was doing.
            let wish = context.saves.as_ref().map(|saves| saves.breaks.agreed(&context.comm));
            save(context, &mut job)?.map_err(|error| with_older(context, error))?;
            let doing = error.message.strip_prefix("asked to stop").unwrap_or("");
            let why = match wish {
                Some(Wish::Stop(why)) if doing.starts_with(" while") => why + doing,
                Some(Wish::Stop(why)) => why,
                _ => error.message,
            };
            return Err(stopped(context, &why));
        }
        ended => ended?,
    };
    meter.phase(Phase::Write, || job.publish())?;
    Ok(findings)
}

/// From the first round to findings, or to the wish to stop, for which there is no checkpoint yet.
fn work<'a, J: Job<'a>>(context: &Context, job: &mut J) -> Result<Findings> {
    let meter = &context.meter;
    let mut round = 0;
    loop {
        pause(context, job)?;
        if round >= job.rounds() {
            break;
        }
        while step(context, Phase::Compute, || job.compute(round))? == Step::Paused {
            pause(context, job)?;
        }
        step(context, Phase::Exchange, || job.exchange(round))?;
        step(context, Phase::Verify, || job.verify(round))?;
        step(context, Phase::Write, || job.write(round))?;
        round += 1;
    }
    meter.phase(Phase::Write, || job.complete())?;
    meter.phase(Phase::Verify, || job.conclude())
}

/// Collective. A break between two pieces of work: writes a checkpoint when one is due.
///
/// # Errors
/// [`Kind::Stopped`] when the run is to stop.
fn pause<'a, J: Job<'a>>(context: &Context, job: &mut J) -> Result<()> {
    let Some(saves) = &context.saves else { return Ok(()) };
    match saves.breaks.agreed(&context.comm) {
        Wish::GoOn => Ok(()),
        Wish::Save => {
            let begin = context.meter.elapsed_s();
            if let Err(error) = save(context, job)? {
                // The work is worth more than its copy; the next one may succeed.
                context.progress.warn(&format!("no checkpoint this time: {}", error.message));
            }
            let took = Duration::from_secs_f64((context.meter.elapsed_s() - begin).max(0.0));
            saves.breaks.saved(&context.comm, took);
            Ok(())
        }
        Wish::Stop(why) => Err(Error::stopped(why)),
    }
}

/// Collective. Whether a checkpoint could be written.
///
/// # Errors
/// When what the job has on the disk cannot be synced: then the system may have lost it, and tells only once.
fn save<'a, J: Job<'a>>(context: &Context, job: &mut J) -> Result<Result<()>> {
    let Some(saves) = &context.saves else { return Ok(Ok(())) };
    context.meter.phase(Phase::Write, || {
        let what = job.save()?;
        Ok(saves.checkpoints.save(&context.comm, what, || context.meter.elapsed_s()))
    })
}

/// Tells of an older checkpoint, when the last one could not be written.
fn with_older(context: &Context, error: Error) -> Error {
    match context.saves.as_ref().map(|saves| &saves.checkpoints).filter(|saves| saves.any()) {
        Some(saves) => {
            let directory = saves.directory().display();
            let older = format!(
                "the same command with --resume goes on from an older checkpoint in {directory}"
            );
            Error { message: format!("{}; {older}", error.message), ..error }
        }
        None => error,
    }
}

fn stopped(context: &Context, why: &str) -> Error {
    let directory = context.saves.as_ref().map(|saves| saves.checkpoints.directory());
    Error::stopped(format!(
        "{why}: stopped with a checkpoint in {}; the same command with --resume goes on",
        directory.unwrap_or(Path::new("")).display()
    ))
}

/// One phase of one round, timed, with an end that all ranks agree on.
fn step<R>(context: &Context, phase: Phase, work: impl FnOnce() -> Result<R>) -> Result<R> {
    context.meter.phase(phase, || {
        let done = work()?;
        context.comm.agree(context.fault.after(phase))?;
        Ok(done)
    })
}

/// Collective. Root writes the record, of a failure too.
fn write_record(context: &Context, run: &Run, ending: &Ending, findings: &Findings) -> Result<()> {
    let record = assemble(context, run, ending, findings);
    let failed = ending.exit_code != 0;
    let path = record_file::place(run.record.as_deref(), run.output.as_deref(), failed);
    let written = match (record, path) {
        (Some(record), Some(path)) => record_file::write(&path, &record),
        _ => Ok(()),
    };
    context.comm.agree(written)
}

/// Collective. The record, with what checkpoints cost where there are any; on root.
fn assemble(context: &Context, run: &Run, ending: &Ending, findings: &Findings) -> Option<Value> {
    let Context { comm, meter, threads, saves, .. } = context;
    let mut record = record::assemble(comm, meter, threads, &run.identity, ending, findings)?;
    if let Some(saves) = saves {
        let stats = saves.checkpoints.stats();
        record["checkpoints"] = serde_json::json!({
            "written": stats.written,
            "bytes": stats.bytes,
            "seconds": stats.seconds,
            "resumed_from": stats.resumed_from,
            "identity": saves.checkpoints.identity(),
        });
    }
    Some(record)
}
