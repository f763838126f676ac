//! Stopwatches, and what they cost: every one is counted, and a run measures the price of one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::num::to_f64;

static STARTED: AtomicU64 = AtomicU64::new(0);

/// A running clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts it.
    pub fn start() -> Self {
        STARTED.fetch_add(1, Ordering::Relaxed);
        Self(Instant::now())
    }

    /// Since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    /// Seconds since the start.
    pub fn seconds(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }
}

/// How many stopwatches all threads of this process have started.
pub fn started() -> u64 {
    STARTED.load(Ordering::Relaxed)
}

/// Seconds that starting and reading one costs, measured now: some 50 microseconds.
pub fn price_s() -> f64 {
    const COUNT: u64 = 500;
    let batch = || {
        let start = Instant::now();
        for _ in 0..COUNT {
            std::hint::black_box(Stopwatch::start().seconds());
        }
        start.elapsed().as_secs_f64() / to_f64(COUNT)
    };
    (0..3).map(|_| batch()).fold(f64::INFINITY, f64::min)
}
