//! Faults on request, so that tests can show how the real binary ends when a rank goes wrong.
//!
//! `DCOMP_FAULT=KIND:RANK:PHASE` makes that rank fail at the end of that phase's first round. Kinds:
//! `panic`, `exit` (leave without a word), `kill` (as the kernel does when memory runs out), `stop` (as
//! SIGSTOP does), `stall` (never come back; a test then kills it), `nap` (come back after three
//! seconds), `io` (an error that only this rank sees), `flip` (spoil one result, for the run's check to
//! find). Without the variable this costs one look at the environment per run.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use crate::error::{Error, Result};
use crate::measure::Phase;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Panic,
    Exit,
    Kill,
    Stop,
    Stall,
    Nap,
    Io,
    Flip,
}

/// A fault that waits for its phase on this rank.
#[derive(Debug, Default)]
pub struct Fault {
    planned: Cell<Option<(Kind, Phase)>>,
}

impl Fault {
    /// The fault that the environment plans for `rank`.
    pub fn for_rank(rank: u64) -> Self {
        let planned = std::env::var("DCOMP_FAULT").ok().and_then(|text| parse(&text, rank));
        Self { planned: Cell::new(planned) }
    }

    /// Fails if `phase` is the one planned.
    ///
    /// # Errors
    /// For the `io` fault.
    ///
    /// # Panics
    /// For the `panic` fault.
    pub fn after(&self, phase: Phase) -> Result<()> {
        let Some((kind, _)) = self.planned.get().filter(|(_, planned)| *planned == phase) else {
            return Ok(());
        };
        if kind != Kind::Flip {
            self.planned.set(None);
        }
        match kind {
            Kind::Panic => panic!("fault on request in phase {}", phase.name()),
            Kind::Exit => std::process::exit(3),
            Kind::Stall => loop {
                std::thread::park();
            },
            Kind::Kill => send_self(Signal::SIGKILL),
            Kind::Stop => send_self(Signal::SIGSTOP),
            Kind::Nap => std::thread::sleep(Duration::from_secs(3)),
            Kind::Io => {
                let cause = std::io::Error::from_raw_os_error(5);
                let path = Path::new("a file, by fault on request,");
                return Err(Error::io("use", path, &cause));
            }
            Kind::Flip => {}
        }
        Ok(())
    }

    /// Whether to spoil a result now; true once.
    pub fn flips(&self, phase: Phase) -> bool {
        let flips = self.planned.get() == Some((Kind::Flip, phase));
        if flips {
            self.planned.set(None);
        }
        flips
    }
}

/// A signal that no process can refuse.
fn send_self(signal: Signal) {
    signal::kill(Pid::this(), signal).expect("a process may signal itself");
}

fn parse(text: &str, rank: u64) -> Option<(Kind, Phase)> {
    let mut parts = text.split(':');
    let kind = match parts.next()? {
        "panic" => Kind::Panic,
        "exit" => Kind::Exit,
        "kill" => Kind::Kill,
        "stop" => Kind::Stop,
        "stall" => Kind::Stall,
        "nap" => Kind::Nap,
        "io" => Kind::Io,
        "flip" => Kind::Flip,
        _ => return None,
    };
    let mine = parts.next()?.parse() == Ok(rank);
    let name = parts.next()?;
    let phase = Phase::ALL.into_iter().find(|phase| phase.name() == name)?;
    mine.then_some((kind, phase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_waits_for_its_rank_and_phase() {
        assert_eq!(parse("io:2:write", 2), Some((Kind::Io, Phase::Write)));
        assert_eq!(parse("io:2:write", 1), None);
        assert_eq!(parse("io:2:nowhere", 2), None);
        let fault = Fault { planned: Cell::new(Some((Kind::Io, Phase::Write))) };
        assert!(fault.after(Phase::Compute).is_ok());
        assert!(fault.after(Phase::Write).is_err());
        assert!(fault.after(Phase::Write).is_ok());
    }
}
