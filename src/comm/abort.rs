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

/// Open MPI polls at full speed while waiting. With more ranks than cores a waiting rank would
/// take the core from the rank it waits for, so it is told to yield, unless the user decided.
pub(super) fn yield_when_oversubscribed() {
    const YIELD: &str = "OMPI_MCA_mpi_yield_when_idle";
    let local_size = std::env::var("OMPI_COMM_WORLD_LOCAL_SIZE").ok();
    let ranks: usize = local_size.and_then(|text| text.parse().ok()).unwrap_or(1);
    let cores = num_cores();
    if ranks > cores && std::env::var_os(YIELD).is_none() {
        // SAFETY: dcomp has started no thread before MPI, so nobody reads the environment now.
        unsafe { std::env::set_var(YIELD, "1") };
    }
}

/// Cores of this machine that any process may use; a rank's own mask may be one core.
fn num_cores() -> usize {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines().filter(|line| line.starts_with("processor")).count().max(1)
}
