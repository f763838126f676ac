//! Asking for memory before it is read.
//!
//! Where the next places are known but lie anywhere, a processor waits for each of them in turn; a
//! hint that costs one instruction lets it fetch many at once. The only file here with `unsafe` in
//! it; on other processors than x86-64 nothing is asked for.
#![allow(unsafe_code)]

/// Bytes that a cache fetches together.
pub const LINE: usize = 64;

/// Most lines asked for at once: a longer range is one that the processor notices by itself.
const LINES_MAX: usize = 4;

/// Hints that the beginning of `items[from..from + count]` will be read soon; what is beyond the end
/// of `items` is left out.
#[inline]
pub fn prefetch<T>(items: &[T], from: usize, count: usize) {
    let lines = (count * size_of::<T>()).div_ceil(LINE).min(LINES_MAX);
    for line in 0..lines {
        hint(items, from + line * LINE / size_of::<T>());
    }
}

#[inline]
fn hint<T>(items: &[T], index: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(item) = items.get(index) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: SSE is part of x86-64, and a hint reads nothing.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(item).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (items, index);
}
