//! One thread's counters over any `i64`: a table for most values, sorted runs for the others.
//!
//! A wrong guess about the values costs time, never a count. What lies in the table's window costs
//! about 2 ns. What lies outside is collected and sorted buffer by buffer, which costs 20 to 75 ns
//! a value and 16 bytes a distinct value; after every buffer the window may grow over the
//! outliers or move to them. Those decisions look at a sample, so a file that changes its mind in
//! the middle is counted more slowly, not wrongly.
//!
//! The memory bound is a promise that can be broken only aloud: counting goes on correctly beyond
//! it, [`Histogram::overflow`] says that it happened, and the caller decides to stop.

mod counts;
mod dense;
mod growth;
mod sparse;
pub mod stored;
#[cfg(test)]
mod tests;

pub use counts::Counts;
pub use sparse::merge;

use crate::counter_sort::emit::Entry;
use crate::num::{share64, to_u64, to_usize};
use dense::{SLOT_BYTES, Window};
use sparse::{ENTRY_BYTES, Runs};

/// Which structure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A table where the values are dense, runs elsewhere.
    Auto,
    /// One table for everything within the limits.
    Dense,
    /// Runs only.
    Sparse,
}

/// The least and the greatest value, both included; `min <= max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The least value.
    pub min: i64,
    /// The greatest value.
    pub max: i64,
}

impl Limits {
    /// Every `i64`.
    pub const ALL: Self = Self { min: i64::MIN, max: i64::MAX };

    /// How many values there are from `min` to `max`.
    pub fn slots(self) -> u128 {
        u128::from(self.max.abs_diff(self.min)) + 1
    }

    /// Whether `value` lies within.
    pub fn contains(self, value: i64) -> bool {
        self.min <= value && value <= self.max
    }

    /// The smallest range that includes both.
    #[must_use]
    pub fn hull(self, other: Self) -> Self {
        Self { min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// The values need more memory than was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooBig {
    /// How much the values seen so far would need; more may be needed for those to come.
    /// `u64::MAX` also stands for anything greater.
    pub needed_bytes: u64,
}

impl std::fmt::Display for TooBig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the counters need {} bytes, more than allowed", self.needed_bytes)
    }
}

impl std::error::Error for TooBig {}

/// Sizes that tests make tiny, so that a few values walk through every state.
#[derive(Debug, Clone, Copy)]
struct Tuning {
    /// Slots of the first window.
    window: u64,
    /// Outliers collected before they are looked at.
    buffer: u64,
    /// A window of more slots than this many per distinct value is not worth its memory.
    slots_per_value: u64,
}

/// 2 MiB of buffer: sorted within the second-level cache; with 512 KiB, 10^7 random values took
/// 0.95 s instead of 0.75 s, as every halving adds a level of merging. 64 slots a value: 512 bytes
/// against the 16 of a run, which buys that the values to come cost 2 ns instead of 20 to 75.
const TUNING: Tuning = Tuning { window: 1 << 16, buffer: 1 << 18, slots_per_value: 64 };

/// The shortest buffer that still moves on when there is hardly any memory.
const LEAST_BUFFER: u64 = 16;

/// Counters over any `i64` within limits.
#[derive(Debug)]
pub struct Histogram {
    window: Window,
    total: u64,
    checksum: u64,
    /// Values within the limits, outside the window, not yet sorted.
    outliers: Vec<i64>,
    /// Values outside the window.
    runs: Runs,
    kind: Kind,
    limits: Limits,
    memory: u64,
    tuning: Tuning,
    /// Outliers, and the total, since the window was last thought over.
    missed: u64,
    total_then: u64,
    overflow: Option<TooBig>,
}

/// A value's share of the checksum.
#[inline]
pub fn mix(value: i64) -> u64 {
    share64(value.cast_unsigned())
}

impl Histogram {
    /// Counters for values within `limits`.
    ///
    /// # Errors
    /// [`Kind::Dense`] when the table for `limits` does not fit `memory_bytes`.
    ///
    /// # Panics
    /// When `limits.min > limits.max`.
    pub fn new(kind: Kind, limits: Limits, memory_bytes: u64) -> Result<Self, TooBig> {
        Self::with_tuning(kind, limits, memory_bytes, TUNING)
    }

    fn with_tuning(kind: Kind, limits: Limits, memory: u64, tun: Tuning) -> Result<Self, TooBig> {
        assert!(limits.min <= limits.max, "limits in ascending order");
        let affordable = memory / 4 / SLOT_BYTES;
        let window = match kind {
            Kind::Dense => {
                let bytes = limits.slots() * u128::from(SLOT_BYTES);
                let needed_bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
                if needed_bytes > memory || needed_bytes == u64::MAX {
                    return Err(TooBig { needed_bytes });
                }
                Window::new(limits)
            }
            Kind::Sparse => Window::default(),
            Kind::Auto => first_window(limits, tun.window.min(affordable)),
        };
        let buffer = tun.buffer.min((affordable / 4).max(LEAST_BUFFER));
        let tuning = Tuning { buffer, ..tun };
        // A dense window covers its limits, so that nothing is ever collected.
        let room = if kind == Kind::Dense { 0 } else { buffer };
        Ok(Self {
            window,
            total: 0,
            checksum: 0,
            outliers: Vec::with_capacity(to_usize(room)),
            runs: Runs::default(),
            kind,
            limits,
            memory,
            tuning,
            missed: 0,
            total_then: 0,
            overflow: None,
        })
    }

    /// Counts one value; false if it lies outside the limits and was not counted.
    #[inline]
    pub fn add(&mut self, value: i64) -> bool {
        // The window lies within the limits, so that what hits it needs no second comparison.
        if self.window.hit(value) {
            self.total += 1;
            self.checksum = self.checksum.wrapping_add(mix(value));
            true
        } else {
            self.add_outlier(value)
        }
    }

    /// Counts values up to the first that lies outside the limits and returns how many it counted.
    /// The checksum stays in a register, so that this is up to 2.5 times as fast as
    /// [`Histogram::add`] in a loop (not for one value alone, where increments of one counter
    /// wait for each other); for callers that hold their values in a slice anyway.
    pub fn add_all(&mut self, values: &[i64]) -> usize {
        let mut rest = values.iter();
        loop {
            let before = rest.len();
            let mut checksum = self.checksum;
            let outlier = rest.by_ref().copied().find(|&value| {
                let hit = self.window.hit(value);
                if hit {
                    checksum = checksum.wrapping_add(mix(value));
                }
                !hit
            });
            self.checksum = checksum;
            self.total += to_u64(before - rest.len() - usize::from(outlier.is_some()));
            match outlier {
                None => return values.len(),
                Some(value) if self.add_outlier(value) => {}
                Some(_) => return values.len() - rest.len() - 1,
            }
        }
    }

    #[inline(never)]
    fn add_outlier(&mut self, value: i64) -> bool {
        if !self.limits.contains(value) {
            return false;
        }
        self.total += 1;
        self.checksum = self.checksum.wrapping_add(mix(value));
        self.outliers.push(value);
        if to_u64(self.outliers.len()) >= self.tuning.buffer {
            self.settle();
        }
        true
    }

    /// How many values were counted, counted apart from the tables.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The wrapping sum of [`mix`] over all values counted, in whatever order; summed up apart
    /// from the tables, so that [`Counts::checksum`] shows whether they lost or changed any.
    pub fn checksum(&self) -> u64 {
        self.checksum
    }

    /// Lets the counters take more memory than before.
    pub fn allow(&mut self, memory_bytes: u64) {
        self.memory = self.memory.max(memory_bytes);
    }

    /// Bytes held now.
    pub fn memory_bytes(&self) -> u64 {
        self.fixed_bytes() + self.runs.bytes()
    }

    /// Whether the distinct values no longer fit the memory. Counting goes on being right, with
    /// more memory than allowed; ask after each block of input and stop if that must not be.
    pub fn overflow(&self) -> Option<TooBig> {
        self.overflow
    }

    /// Adds what another histogram counted. Windows become one where that pays; otherwise the
    /// longer one stays and the rest of the other becomes a run.
    ///
    /// # Panics
    /// When the limits differ: counters of one sort are made alike.
    pub fn merge(&mut self, mut other: Self) {
        assert_eq!(self.limits, other.limits, "histograms of one sort have one set of limits");
        self.empty_buffer();
        other.empty_buffer();
        if self.kind == Kind::Auto {
            if other.window.len() > self.window.len() {
                std::mem::swap(&mut self.window, &mut other.window);
            }
            self.cover(&other.window);
        }
        // Values of either side that a run held may now lie within the window.
        let window = &mut self.window;
        self.runs.thin(|run| window.absorb(run));
        self.take_window(&other.window);
        for run in other.runs.into_runs() {
            self.keep(run);
        }
        self.total += other.total;
        self.checksum = self.checksum.wrapping_add(other.checksum);
        (self.missed, self.total_then) = (0, self.total);
        self.check_memory();
    }

    /// Ends the counting.
    pub fn into_counts(mut self) -> Counts {
        self.empty_buffer();
        let (base, slots) = self.window.into_parts();
        Counts::new(base, slots, self.runs.into_sorted())
    }

    /// Looks at a full buffer: the window may change, the values become a run.
    #[cold]
    fn settle(&mut self) {
        self.missed += to_u64(self.outliers.len());
        let run = sparse::encode(&mut self.outliers);
        self.outliers.clear();
        if self.kind == Kind::Auto {
            self.reconsider(&run);
        }
        self.keep(run);
        self.check_memory();
    }

    /// Makes a run of whatever was collected.
    fn empty_buffer(&mut self) {
        let run = sparse::encode(&mut self.outliers);
        self.outliers.clear();
        self.keep(run);
    }

    /// Counts a run, in the window where that covers it.
    fn keep(&mut self, mut run: Vec<Entry>) {
        self.window.absorb(&mut run);
        self.runs.push(run);
    }

    /// Adds all of a window: the common part as a table, the rest as a run.
    fn take_window(&mut self, window: &Window) {
        self.window.add_common(window);
        let own = self.window.range();
        let outside = |entry: &Entry| own.is_none_or(|own| !own.contains(entry.value));
        self.runs.push(window.entries().filter(outside).collect());
    }

    /// Bytes of what does not depend on the sparse values.
    fn fixed_bytes(&self) -> u64 {
        self.window.bytes() + to_u64(self.outliers.capacity()) * SLOT_BYTES
    }

    /// Compares the memory that the next merge of runs could take with the bound. Repeated values
    /// of different runs are merged first. That must free a fifth, or values that nearly fill the
    /// memory would be merged again for every buffer.
    fn check_memory(&mut self) {
        let fixed = self.fixed_bytes();
        if self.overflow.is_some() || fixed + 2 * ENTRY_BYTES * self.runs.entries() <= self.memory {
            return;
        }
        self.runs.compact();
        let needed_bytes = fixed + 2 * ENTRY_BYTES * self.runs.entries() / 4 * 5;
        if needed_bytes > self.memory {
            self.overflow = Some(TooBig { needed_bytes });
        }
    }
}

/// The window before anything is known: non-negative values if the limits allow, as most files
/// hold small ones.
fn first_window(limits: Limits, slots: u64) -> Window {
    if limits.slots() <= u128::from(slots) {
        return Window::new(limits);
    }
    let Some(last) = slots.checked_sub(1) else { return Window::default() };
    let min = 0.clamp(limits.min, limits.max.wrapping_sub_unsigned(last));
    Window::new(Limits { min, max: min.wrapping_add_unsigned(last) })
}
