//! The record of a run that ends without its main threads: one of them panicked, or a rank is lost.
//!
//! Such an end cannot ask the other ranks for their numbers. What this rank knows of the run is laid down
//! while all is well; whoever notices the end adds what happened, and writes it.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};

use super::record::{Identity, SCHEMA, now, program};
use super::{Phase, record_file};
use crate::comm::{Comm, host_name};
use crate::error::Error;

/// What is known before the end.
struct Known {
    started: Instant,
    said: Option<PathBuf>,
    output: Option<PathBuf>,
    record: Value,
}

static KNOWN: Mutex<Option<Known>> = Mutex::new(None);

/// As long as it lives, a run that is ended from another thread has a record.
pub struct Prepared(());

/// Lays down what is known: where the record goes, and whose it is. Local.
pub fn prepare(
    comm: &Comm,
    identity: &Identity,
    said: Option<PathBuf>,
    output: Option<PathBuf>,
) -> Prepared {
    let record = json!({
        "schema": SCHEMA,
        "job": identity.job,
        "outcome": Value::Null,
        "exit_code": Value::Null,
        "message": Value::Null,
        "spec": identity.spec,
        "input": [],
        "seed": identity.seed,
        "result": Value::Null,
        "outputs": [],
        "program": program(),
        "command": identity.command,
        "started": identity.started,
        "ended": Value::Null,
        "ranks": comm.size(),
        "nodes": comm.place().node_count,
        "told_by": {
            "rank": comm.rank(),
            "host": host_name(),
            "process": std::process::id(),
            "phase": Value::Null,
        },
    });
    let known = Known { started: Instant::now(), said, output, record };
    *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(known);
    Prepared(())
}

impl Drop for Prepared {
    fn drop(&mut self) {
        *KNOWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Writes the record of this end, if a run is under way. From any thread, also while it panics: a record
/// that cannot be written is told on stderr with the rest.
pub fn write(error: &Error) {
    let Ok(mut known) = KNOWN.try_lock() else { return };
    let Some(Known { started, said, output, mut record }) = known.take() else { return };
    record["outcome"] = error.kind.outcome().into();
    record["exit_code"] = error.kind.exit_code().into();
    record["message"] = error.message.clone().into();
    record["ended"] = now().into();
    record["wall_s"] = started.elapsed().as_secs_f64().into();
    record["told_by"]["phase"] = Phase::current().name().into();
    let Some(path) = record_file::place(said.as_deref(), output.as_deref(), true) else { return };
    if let Err(error) = record_file::write(&path, &record) {
        use std::io::Write;
        writeln!(std::io::stderr(), "dcomp: {}", error.message).ok();
    }
}
