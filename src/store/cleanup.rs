//! Takes half-made files away when the process is ended from outside or by a panic.
//!
//! An error that all ranks agree on drops their files in order. A signal does not unwind: when a
//! user interrupts, a batch system ends the job, or a launcher ends all ranks because one died, a
//! thread of each rank removes them and then lets the signal do what it does. Every rank does it,
//! because launchers kill soon after they warn. Only when all ranks are killed without a warning
//! does a part file stay, which names its job. A run that writes checkpoints is asked to stop instead
//! (`stop.rs`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag::register_conditional_shutdown;
use signal_hook::iterator::Signals;
use signal_hook::low_level::{emulate_default_handler, exit};

use crate::comm::tell_if_a_rank_is_gone;
use crate::stop;
use crate::store::listing;

/// Set when the process is being ended: nothing new is made from then on.
static ENDING: AtomicBool = AtomicBool::new(false);

/// Called before a file is made in a part directory: does not return once the process is being ended, or
/// the directory would fill as fast as it is emptied.
pub(super) fn wait_if_ending() {
    while ENDING.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(50));
    }
}

struct HalfMade {
    paths: BTreeSet<PathBuf>,
    /// The threads that end the process; only they make files from then on, such as a record.
    enders: Vec<ThreadId>,
}

static HALF_MADE: Mutex<HalfMade> =
    Mutex::new(HalfMade { paths: BTreeSet::new(), enders: Vec::new() });

/// Makes a file that is removed when the process is ended: it can not be made after all others are gone. Does
/// not return once the process is being ended.
pub(super) fn make<T>(path: &Path, make: impl FnOnce() -> T) -> T {
    heed_signals();
    loop {
        let mut half_made = lock();
        if half_made.enders.is_empty() || half_made.enders.contains(&thread::current().id()) {
            half_made.paths.insert(path.to_path_buf());
            return make();
        }
        drop(half_made);
        thread::sleep(Duration::from_millis(50));
    }
}

/// From now on `path` is removed when the process is ended.
pub(super) fn watch(path: &Path) {
    heed_signals();
    lock().paths.insert(path.to_path_buf());
}

/// From now on a signal ends this process in order, or asks a run that writes checkpoints to stop. Before MPI
/// starts, which may take longer than a batch system waits.
pub fn heed_signals() {
    static WATCH: Once = Once::new();
    WATCH.call_once(|| {
        // Without the thread files stay behind after a signal, which is no reason to fail.
        let all = [SIGINT, SIGTERM, SIGHUP, SIGUSR1];
        let heeded = all.into_iter().filter(|signal| !is_ignored(*signal));
        if let Ok(mut signals) = Signals::new(heeded) {
            let thread = thread::Builder::new().name("cleanup".into());
            let wait = move || {
                if let Some(signal) = signals.forever().find(|&signal| !stop::take(signal)) {
                    end();
                    tell_if_a_rank_is_gone();
                    if let Ok(code) = u8::try_from(END_WITH.load(Ordering::SeqCst)) {
                        exit(code.into());
                    }
                    emulate_default_handler(signal).ok();
                }
            };
            thread.spawn(wait).ok();
        }
    });
}

/// The exit code that a signal gives this process instead of its own; none below 0.
static END_WITH: AtomicI32 = AtomicI32::new(-1);

/// From now on SIGTERM ends this process with `code`. For a rank that has failed and waits for its
/// launcher: srun's own exit code is the greatest of its ranks', and that of a signal would hide
/// the run's.
pub fn end_with(code: u8) {
    END_WITH.store(code.into(), Ordering::SeqCst);
    // The thread above may not run: nothing was half made yet. Where it does, either may come first.
    let always = Arc::new(AtomicBool::new(true));
    register_conditional_shutdown(SIGTERM, code.into(), always).ok();
}

/// The file is published or removed.
pub(super) fn forget(path: &Path) {
    lock().paths.remove(path);
}

/// Removes everything that is half made, because this thread is about to end the process. Other threads make
/// nothing more.
pub fn end() {
    ENDING.store(true, Ordering::Relaxed);
    let mut half_made = lock();
    half_made.enders.push(thread::current().id());
    for path in std::mem::take(&mut half_made.paths) {
        remove(&path);
    }
}

/// Removes a part file, or a part directory with what is in it. Other threads and ranks may still make
/// files in one until they are ended too, and a system call may fail: it is tried for a second.
pub(super) fn remove(path: &Path) {
    for _ in 0..200 {
        if listing::remove(path).is_ok() {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the process was started with this signal ignored, as `nohup` does.
fn is_ignored(signal: i32) -> bool {
    use nix::libc;
    // SAFETY: a null new action only reads; `old` is plain data that the call fills.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &raw mut old) == 0
            && old.sa_sigaction == libc::SIG_IGN
    }
}

fn lock() -> std::sync::MutexGuard<'static, HalfMade> {
    HALF_MADE.lock().unwrap_or_else(PoisonError::into_inner)
}
