//! Threads inside one rank: how many, and the two ways they are used.
//!
//! Workers never call MPI; the main thread works beside them and talks for them. A pool is made
//! only when a rank has more than one thread, so 64 single-threaded ranks cost no extra thread.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rayon::ThreadPool;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::comm::launcher::{self, Launch};
use crate::error::{Error, Result};
use crate::measure::clock::Stopwatch;
use crate::num::len_f64;

/// The threads of this rank.
pub struct Threads {
    count: usize,
    pool: Option<ThreadPool>,
    times: Cell<RegionTimes>,
}

/// Seconds spent in parallel regions of this rank.
#[derive(Clone, Copy, Debug, Default)]
pub struct RegionTimes {
    /// Wall time of the regions on the main thread.
    pub wall_s: f64,
    /// Time that the threads worked, summed over threads and divided by their number.
    pub busy_s: f64,
}

/// How many threads a rank uses: what it was told, else what Slurm granted, else one under a
/// launcher (which placed one rank a core), else all cores that the affinity mask allows.
pub fn default_count() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let granted = std::env::var("SLURM_CPUS_PER_TASK").ok().and_then(|text| text.parse().ok());
    match (granted, launcher::detect_from_environment()) {
        (Some(granted), _) => usize::clamp(granted, 1, allowed),
        (None, Ok(Launch::Mpi { .. })) => 1,
        (None, _) => allowed,
    }
}

impl Threads {
    /// `count` threads, the calling one included.
    ///
    /// # Errors
    /// When the operating system grants fewer.
    pub fn new(count: usize) -> Result<Self> {
        let build = || {
            rayon::ThreadPoolBuilder::new()
                .num_threads(count)
                .thread_name(|index| format!("dcomp-{index}"))
                .build()
        };
        let pool = (count > 1).then(build).transpose().map_err(|cause| {
            Error::usage(format!(
                "--threads {count}: the system grants fewer ({cause}); ask for less"
            ))
        })?;
        Ok(Self { count: count.max(1), pool, times: Cell::default() })
    }

    /// The number of threads.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Seconds in parallel regions so far.
    pub fn times(&self) -> RegionTimes {
        self.times.get()
    }

    /// Runs `main` here and `worker` on every other thread; returns all values, main's first.
    pub fn crew<R: Send>(&self, main: impl FnOnce() -> R, worker: impl Fn() -> R + Sync) -> Vec<R> {
        self.region(|busy| {
            let others = Mutex::new(Vec::new());
            let first = if self.count == 1 {
                clocked(busy, main)
            } else {
                self.pool().in_place_scope(|scope| {
                    for _ in 1..self.count {
                        scope.spawn(|_| {
                            let value = clocked(busy, &worker);
                            others.lock().expect("no panic while pushing").push(value);
                        });
                    }
                    clocked(busy, main)
                })
            };
            let mut all = vec![first];
            all.append(&mut others.into_inner().expect("all workers have ended"));
            all
        })
    }

    /// Applies `work` to each item, in parallel; the values keep the items' order.
    pub fn map<T: Sync, R: Send>(&self, items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
        self.region(|busy| {
            let timed = |item| clocked(busy, || work(item));
            if self.count == 1 || items.len() < 2 {
                items.iter().map(timed).collect()
            } else {
                self.pool().install(|| items.par_iter().map(timed).collect())
            }
        })
    }

    fn region<R>(&self, work: impl FnOnce(&AtomicU64) -> R) -> R {
        let (start, busy_ns) = (Stopwatch::start(), AtomicU64::new(0));
        let value = work(&busy_ns);
        let mut times = self.times.get();
        times.wall_s += start.seconds();
        let busy = Duration::from_nanos(busy_ns.load(Ordering::Relaxed)).as_secs_f64();
        times.busy_s += busy / len_f64(self.count);
        self.times.set(times);
        value
    }

    fn pool(&self) -> &ThreadPool {
        self.pool.as_ref().expect("made for more than one thread")
    }
}

fn clocked<R>(busy_ns: &AtomicU64, work: impl FnOnce() -> R) -> R {
    let start = Stopwatch::start();
    let value = work();
    let spent = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    busy_ns.fetch_add(spent, Ordering::Relaxed);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_keeps_order_and_crew_runs_everybody() {
        for count in [1, 2, 5] {
            let threads = Threads::new(count).unwrap();
            let squares = threads.map(&[1, 2, 3, 4, 5, 6, 7], |n| n * n);
            assert_eq!(squares, [1, 4, 9, 16, 25, 36, 49]);
            let mut values = threads.crew(|| 0, || 1);
            values.sort_unstable();
            assert_eq!(values.len(), count);
            assert_eq!(values.iter().sum::<usize>(), count - 1);
        }
    }
}
