//! When and where the window changes.
//!
//! The rule wants evidence before it spends memory: a window may have so many slots per distinct
//! value seen in it, may take half of the memory and, with everything else, no more than all.
//! A file of a few values spread over a wide range therefore stays in runs, at their price per
//! value; a file that is dense but far larger than one buffer gets its table only after several
//! buffers went into runs.

use super::dense::{SLOT_BYTES, Window};
use super::{Histogram, Limits, sparse};
use crate::counter_sort::emit::Entry;
use crate::num::to_u64;

/// Slots that may be scanned per outlier to find out whether the window should change: about as
/// long as the outlier itself took.
const SCAN_PER_OUTLIER: u64 = 32;

/// The window may be given up for another place when it got less than one value in this many.
const RARE: u64 = 4;

impl Histogram {
    /// Changes the window if `run`, the outliers of the last buffer, and those before it say so.
    pub(super) fn reconsider(&mut self, run: &[Entry]) {
        if self.missed.saturating_mul(SCAN_PER_OUTLIER) < self.window.len() {
            return; // looking costs a scan of the window: let more outliers pay for it
        }
        let hits = self.total - self.total_then - self.missed;
        let rare = hits < self.missed / RARE;
        (self.missed, self.total_then) = (0, self.total);
        if let Some(range) = self.better_range(run, rare) {
            self.move_window(range);
        }
    }

    /// Widens the window over `other` too, if that pays.
    pub(super) fn cover(&mut self, other: &Window) {
        let Some(theirs) = other.used() else { return };
        let Some(own) = self.window.range() else { return };
        if own.hull(theirs) == own {
            return;
        }
        let range = self.window.used().map_or(theirs, |used| used.hull(theirs));
        let distinct = self.window.distinct() + other.distinct() + self.runs.entries_in(range);
        if self.pays(range, distinct) {
            self.move_window(range);
        }
    }

    /// The first of these that pays: everything seen; the window and most of the outliers; most of
    /// the outliers alone, if the window is rarely hit.
    fn better_range(&self, run: &[Entry], rare: bool) -> Option<Limits> {
        let used = self.window.used();
        let held = self.window.distinct();
        let core = sparse::core(run)?;
        let with_window = |range: Limits| used.map_or(range, |used| used.hull(range));
        let all = sparse::hull(run).into_iter().chain(self.runs.hull()).reduce(Limits::hull)?;
        let wide = [with_window(all), with_window(core)].map(|range| (range, held));
        // How many of the old window's values lie in the new place is not worth a second scan.
        let moved = rare.then_some((core, 0));
        wide.into_iter().chain(moved).find_map(|(range, held)| {
            let new = to_u64(sparse::bounds(run, range).len()) + self.runs.entries_in(range);
            self.pays(range, held + new).then(|| self.with_room(range))
        })
    }

    /// Whether a table for `range`, in which that many distinct values occur, is worth its memory.
    fn pays(&self, range: Limits, distinct: u64) -> bool {
        let dense = u128::from(self.tuning.slots_per_value) * u128::from(distinct);
        range.slots() <= dense && range.slots() <= u128::from(self.most_slots())
    }

    /// The longest window that may be made while the present one still exists.
    fn most_slots(&self) -> u64 {
        let free = self.memory.saturating_sub(self.memory_bytes());
        free.min(self.memory / 2) / SLOT_BYTES
    }

    /// Twice the range, as far as memory and limits allow, on the side where the window grew: so
    /// rising values make the window grow a few times and not once per buffer.
    fn with_room(&self, range: Limits) -> Limits {
        let slots = u64::try_from(range.slots()).expect("a range that pays fits the memory");
        let room = self.most_slots().saturating_sub(slots).min(slots);
        let own = self.window.range();
        let below = own.is_none_or(|own| range.min < own.min);
        let above = own.is_none_or(|own| range.max > own.max);
        let room = if below && above { room / 2 } else { room };
        let min = if below { range.min.saturating_sub_unsigned(room) } else { range.min };
        let max = if above { range.max.saturating_add_unsigned(room) } else { range.max };
        Limits { min: min.max(self.limits.min), max: max.min(self.limits.max) }
    }

    /// Makes `range` the window; what the old one counted elsewhere becomes a run, what runs hold
    /// of the new range goes into it.
    fn move_window(&mut self, range: Limits) {
        let mut window = Window::new(range);
        self.runs.thin(|run| window.absorb(run));
        let old = std::mem::replace(&mut self.window, window);
        self.take_window(&old);
    }
}
