//! Ends all ranks when one of them cannot go on.
//!
//! A panicking rank would otherwise run `MPI_Finalize` while unwinding and wait there for ranks
//! that wait for it. The hook prints who and where, then calls `MPI_Abort`, on which the launcher
//! ends every other rank.
#![allow(unsafe_code)]

use std::io::Write;

use mpi::ffi;

use crate::error::Kind;
use crate::store::cleanup;

/// After this, a panic on any thread ends every rank with the exit code for internal errors.
pub(super) fn end_all_ranks_on_panic(rank: mpi::Rank) {
    end_on_panic(format!("on rank {rank} ({})", host_name()), |code| abort_world(code));
}

/// After this, a panic on any thread ends this process with the exit code for internal errors, and
/// takes half-made files along. For the time before MPI, and without it.
pub fn end_process_on_panic() {
    end_on_panic(format!("({})", host_name()), |code| std::process::exit(code));
}

fn end_on_panic(place: String, end: impl Fn(i32) + Send + Sync + 'static) {
    std::panic::set_hook(Box::new(move |info| {
        // A lost stderr must not panic again in here.
        let said = writeln!(
            std::io::stderr(),
            "dcomp: internal error {place}: {info}; the run ends now. This is a bug in dcomp: \
             please report it with the command line"
        );
        said.ok();
        cleanup::remove_all();
        end(Kind::Internal.exit_code().into());
    }));
}

/// This machine's name, for messages and the record.
pub fn host_name() -> String {
    nix::unistd::gethostname()
        .map_or_else(|_| "unknown host".into(), |name| name.to_string_lossy().into_owned())
}

fn abort_world(code: i32) -> ! {
    // SAFETY: called after MPI_Init and before MPI_Finalize: the hook is set after the first, and
    // the second is reached only by a main thread that is not panicking. MPI_Abort may come from a
    // worker thread, which FUNNELED does not promise; the process ends right after either way.
    unsafe {
        ffi::MPI_Abort(ffi::RSMPI_COMM_WORLD, code);
    }
    std::process::abort();
}
