//! Ends all ranks when one of them cannot go on.
//!
//! A panicking rank would otherwise run `MPI_Finalize` while unwinding and wait there for ranks
//! that wait for it. The hook prints who and where, then calls `MPI_Abort`, on which the launcher
//! ends every other rank. Where that call itself hangs, the process ends without it a moment later,
//! on which the launcher ends the others too.
#![allow(unsafe_code)]

use std::io::Write;
use std::time::Duration;

use mpi::ffi;

use super::watchdog;
use crate::error::{Error, Kind};
use crate::measure::last_words;
use crate::store::cleanup;

/// What `MPI_Abort` may take.
pub(super) const SOON: Duration = Duration::from_secs(2);

/// What removing half-made files may take: a directory may hold a million.
pub(super) const SLOW: Duration = Duration::from_secs(30);

/// After this, a panic on any thread ends every rank with the exit code for internal errors.
pub(super) fn end_all_ranks_on_panic(rank: mpi::Rank) {
    end_on_panic(format!("on rank {rank} ({})", host_name()), |code| end_all_ranks(code));
}

/// After this, a panic on any thread ends this process with the exit code for internal errors, and
/// takes half-made files along. For the time before MPI, and without it.
pub fn end_process_on_panic() {
    end_on_panic(format!("({})", host_name()), |code| std::process::exit(code));
}

fn end_on_panic(place: String, end: impl Fn(i32) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |info| {
        let message = format!(
            "internal error {place}: {info}; the run ends now. This is a bug in dcomp: \
             please report it with the command line"
        );
        say(&message);
        end_within(SLOW, Kind::Internal.exit_code());
        cleanup::end();
        if watchdog::claim() {
            last_words::write(&Error { kind: Kind::Internal, message });
        }
        end(Kind::Internal.exit_code().into());
    }));
}

/// A line on stderr. A lost stderr must not panic while a panic is told.
pub(super) fn say(message: &str) {
    writeln!(std::io::stderr(), "dcomp: {message}").ok();
}

/// This machine's name, for messages and the record.
pub fn host_name() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "unknown host".into(), |name| name.to_string_lossy().into_owned())
}

/// Asks the launcher to end all ranks with this code, and ends this one whatever comes of it.
pub(super) fn end_all_ranks(code: i32) -> ! {
    end_within(SOON, u8::try_from(code).unwrap_or(1));
    // SAFETY: called after MPI_Init and before MPI_Finalize: the hook and the watchdog's stage are set after
    // the first and leave before the second. MPI_Abort may come from another thread than the main one, which
    // FUNNELED does not promise; the process ends right after either way.
    unsafe {
        ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code);
    }
    std::process::abort();
}

/// From another thread, ends this process after so long, if it is still there.
pub(super) fn end_within(limit: Duration, code: u8) {
    let wait = move || {
        std::thread::sleep(limit);
        end_now(code)
    };
    // Where the system grants no thread, there is no second way.
    std::thread::Builder::new().name("last-resort".into()).spawn(wait).ok();
}

/// Ends this process without what the libraries do at an exit, which may wait for other ranks.
pub(super) fn end_now(code: u8) -> ! {
    // SAFETY: ends the process; nothing runs after it.
    unsafe { nix::libc::_exit(code.into()) }
}
