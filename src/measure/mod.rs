//! What a run costs: phase timers, I/O counters, peak memory.
//!
//! Always on: a clock reading around each phase and each file operation, far under 1 % of any run.
//! The numbers become the run record in `record.rs`.

pub mod clock;
pub mod last_words;
pub mod progress;
pub mod record;
pub mod record_file;

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::num::to_u64;
use clock::Stopwatch;

/// The phases that every job goes through, under these names in every record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Starting MPI, reading the deck.
    Setup,
    /// Deciding who does what.
    Plan,
    /// The kernel.
    Compute,
    /// Moving results between ranks.
    Exchange,
    /// The run's check of itself.
    Verify,
    /// Encoding and writing files.
    Write,
}

impl Phase {
    /// In the order of a run.
    pub const ALL: [Self; 6] =
        [Self::Setup, Self::Plan, Self::Compute, Self::Exchange, Self::Verify, Self::Write];

    /// The name in the record.
    pub fn name(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Plan => "plan",
            Self::Compute => "compute",
            Self::Exchange => "exchange",
            Self::Verify => "verify",
            Self::Write => "write",
        }
    }

    /// Its place in [`ALL`](Self::ALL).
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|phase| *phase == self).expect("listed")
    }

    /// The phase that the main thread is in, or was in last. From any thread.
    pub fn current() -> Self {
        Self::ALL[CURRENT.load(Ordering::Relaxed)]
    }
}

/// The index of the phase that the main thread is in.
static CURRENT: AtomicUsize = AtomicUsize::new(0);

/// File traffic of this rank.
#[derive(Clone, Copy, Debug, Default)]
pub struct IoStats {
    /// Bytes read from files.
    pub bytes_read: u64,
    /// Bytes written to files.
    pub bytes_written: u64,
    /// Files opened or created.
    pub files_opened: u64,
    /// Seconds inside file operations on the main thread.
    pub io_s: f64,
}

/// The clocks and counters of one rank.
pub struct Meter {
    start: Instant,
    phases: [Cell<f64>; 6],
    io: Cell<IoStats>,
}

impl Meter {
    /// Starts the clocks.
    pub fn start() -> Self {
        Self { start: Instant::now(), phases: Default::default(), io: Cell::default() }
    }

    /// Seconds since the start.
    pub fn elapsed_s(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Charges what `work` takes to `phase`. Phases do not nest.
    pub fn phase<R>(&self, phase: Phase, work: impl FnOnce() -> R) -> R {
        let watch = Stopwatch::start();
        CURRENT.store(phase.index(), Ordering::Relaxed);
        let value = work();
        self.charge(phase, watch.seconds());
        value
    }

    /// Adds seconds to a phase.
    pub fn charge(&self, phase: Phase, seconds: f64) {
        let cell = &self.phases[phase.index()];
        cell.set(cell.get() + seconds);
    }

    /// Seconds of a phase so far.
    pub fn phase_s(&self, phase: Phase) -> f64 {
        self.phases[phase.index()].get()
    }

    /// File traffic so far.
    pub fn io_stats(&self) -> IoStats {
        self.io.get()
    }

    /// Times a read; the closure's value and how many bytes it brought.
    pub fn reading<R>(&self, bytes: usize, work: impl FnOnce() -> R) -> R {
        self.io(work, |io| io.bytes_read += to_u64(bytes))
    }

    /// Times a write of `bytes`.
    pub fn writing<R>(&self, bytes: usize, work: impl FnOnce() -> R) -> R {
        self.io(work, |io| io.bytes_written += to_u64(bytes))
    }

    /// Times the opening of a file.
    pub fn opening<R>(&self, work: impl FnOnce() -> R) -> R {
        self.io(work, |io| io.files_opened += 1)
    }

    /// Counts bytes that other threads have read.
    pub fn count_read(&self, bytes: u64) {
        self.io(|| (), |io| io.bytes_read += bytes);
    }

    /// Counts bytes that other threads have written.
    pub fn count_written(&self, bytes: u64) {
        self.io(|| (), |io| io.bytes_written += bytes);
    }

    /// Counts files that other threads have opened.
    pub fn count_files(&self, files: u64) {
        self.io(|| (), |io| io.files_opened += files);
    }

    /// Times another file operation: sync, rename, reserve.
    pub fn filing<R>(&self, work: impl FnOnce() -> R) -> R {
        self.io(work, |_| ())
    }

    fn io<R>(&self, work: impl FnOnce() -> R, count: impl FnOnce(&mut IoStats)) -> R {
        let watch = Stopwatch::start();
        let value = work();
        let mut io = self.io.get();
        io.io_s += watch.seconds();
        count(&mut io);
        self.io.set(io);
        value
    }
}

/// The largest resident set this process has had, in bytes.
///
/// From `/proc/self/status`, because `getrusage` inherits its maximum across `exec` and would show
/// the launcher's memory.
pub fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Memory that this machine could give to new work, in bytes, when the kernel tells.
pub fn available_memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let machine = line.trim().trim_end_matches(" kB").parse::<u64>().ok()? * 1024;
    // A container or a batch step may be given less.
    let number = |name: &str| {
        let text = std::fs::read_to_string(format!("/sys/fs/cgroup/{name}")).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let group = number("memory.max").zip(number("memory.current"));
    Some(group.map_or(machine, |(most, used)| machine.min(most.saturating_sub(used))))
}

/// The CPU's name as the kernel tells it.
pub fn cpu_model() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    text.lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or_else(|| "unknown".into(), |rest| rest.trim_matches([' ', '\t', ':']).to_owned())
}
