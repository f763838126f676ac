//! One process with a log, a time limit and a signal's end.
//!
//! It gets a process group of its own, so that a launcher and its ranks end together and a key press
//! reaches them once, through us.

use std::fs::File;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use crate::error::{Error, Kind, Result};

/// How long a process group has between the request to end and the end.
const GRACE: Duration = Duration::from_secs(5);

/// How a process ended.
pub(super) struct Ended {
    pub seconds: f64,
    /// None when it was ended at the limit.
    pub status: Option<ExitStatus>,
}

impl Ended {
    pub fn is_ok(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// What happened, as the middle of a sentence.
    pub fn what(&self) -> String {
        match self.status {
            None => "it was ended at its time limit".into(),
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("it exited with {code}"),
                (None, Some(signal)) => format!("signal {signal} ended it"),
                (None, None) => "it ended in an unknown way".into(),
            },
        }
    }
}

/// Set by the signals that stop a study.
fn stopped() -> &'static Arc<AtomicBool> {
    static STOPPED: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    STOPPED.get_or_init(|| {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] {
            // Without a handler the signal ends this process at once, which loses no run either.
            signal_hook::flag::register(signal, Arc::clone(&flag)).ok();
        }
        flag
    })
}

/// Runs a command with its output in `log`, for at most `limit`.
///
/// # Errors
/// When it cannot be started, or a signal asks this process to stop: the command is ended first.
pub(super) fn run(words: &[String], log: &Path, limit: Duration) -> Result<Ended> {
    let stop = stopped();
    let output = File::create(log).map_err(|cause| Error::io("create", log, &cause))?;
    let both = output.try_clone().map_err(|cause| Error::io("create", log, &cause))?;
    let start = Instant::now();
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(both)
        .process_group(0)
        .spawn()
        .map_err(|cause| {
            Error::usage(format!(
                "cannot start {}: {cause}; check the command and PATH",
                super::line_of(&words[..1])
            ))
        })?;
    let group = Pid::from_raw(i32::try_from(child.id()).unwrap_or(i32::MAX));
    let (send, receive) = mpsc::channel();
    let waiter = std::thread::spawn(move || {
        let status = child.wait();
        send.send((status, start.elapsed())).ok();
    });
    let mut outcome = None;
    let mut asked: Option<Instant> = None;
    let mut stopping = false;
    while outcome.is_none() {
        match receive.recv_timeout(Duration::from_millis(100)) {
            Ok((status, elapsed)) => outcome = Some((status, elapsed)),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
            Err(mpsc::RecvTimeoutError::Timeout) => {}
        }
        stopping |= stop.load(Ordering::Relaxed);
        let late = start.elapsed() >= limit;
        match asked {
            None if outcome.is_none() && (stopping || late) => {
                killpg(group, Signal::SIGTERM).ok();
                asked = Some(Instant::now());
            }
            Some(since) if since.elapsed() >= GRACE => {
                killpg(group, Signal::SIGKILL).ok();
            }
            _ => {}
        }
    }
    waiter.join().ok();
    if asked.is_some() {
        // What the launcher left behind of its group.
        killpg(group, Signal::SIGKILL).ok();
    }
    if stopping {
        return Err(Error {
            kind: Kind::Stopped,
            message: "stopped by a signal; the runs so far are kept, and the same command again \
                      goes on from there"
                .into(),
        });
    }
    let (status, elapsed) =
        outcome.ok_or_else(|| Error::internal("the thread that waits for a command is gone"))?;
    let status = status.map_err(|cause| Error::io("wait for", Path::new(&words[0]), &cause))?;
    let status = if asked.is_some() { None } else { Some(status) };
    Ok(Ended { seconds: elapsed.as_secs_f64(), status })
}
