//! What every step of a job works with: the ranks, this rank's threads, the clocks, its checkpoints.

use crate::comm::Comm;
use crate::fault::Fault;
use crate::measure::Meter;
use crate::measure::progress::Progress;
use crate::num::to_u64;
use crate::stop::Breaks;
use crate::store::checkpoint::Checkpoints;
use crate::threads::Threads;

/// The surroundings of a run, the same for every job.
pub struct Context {
    /// All ranks.
    pub comm: Comm,
    /// This rank's threads.
    pub threads: Threads,
    /// Clocks and counters.
    pub meter: Meter,
    /// Where progress is shown.
    pub progress: Progress,
    /// A fault that a test asked for.
    pub fault: Fault,
    /// Where the run keeps what it needs to go on, if it does.
    pub saves: Option<Saves>,
}

/// Checkpoints and the moments for them.
pub struct Saves {
    /// The directory.
    pub checkpoints: Checkpoints,
    /// The moments.
    pub breaks: Breaks,
}

impl Context {
    /// The number of threads of all ranks together, and of this node; ranks have equally many.
    pub fn workers(&self) -> (u64, u64) {
        let mine = to_u64(self.threads.count());
        (mine * self.comm.size(), mine * self.comm.place().local_size)
    }

    /// Local, on the main thread, between two pieces of work of a run that can be interrupted.
    pub fn look(&self) {
        if let Some(saves) = &self.saves {
            saves.breaks.look(&self.comm);
        }
    }
}
