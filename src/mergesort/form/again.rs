//! Whether sorted runs of bare keys are merged through a tree or sorted again, whichever should be faster.
//!
//! Both give the same bytes. What they take was measured on random keys: a tree
//! grows with the logarithm of the runs, and with the runs themselves once its buffers get small; a vector
//! sort does not care about runs. On other machines the choice may be off by some, never the result.

use crate::mergesort::vector::Isa;
use crate::num::len_f64;

/// A tree: nanoseconds a key and level, ...
const LEVEL_NS: f64 = 0.9;

/// ... for each run, as its share of the buffers gets smaller, ...
const RUN_NS: f64 = 0.0125;

/// ... and for all keys together, to make the buffers.
const BUFFERS_NS: f64 = 15_000.0;

/// A sort: nanoseconds a key and doubling of their number.
fn doubling_ns(isa: Isa, key_bytes: usize) -> f64 {
    match (isa, key_bytes) {
        (Isa::Avx512, 4) => 0.17,
        (Isa::Avx512, _) => 0.28,
        (Isa::Avx2, 4) => 0.25,
        (Isa::Avx2, _) => 0.61,
        (Isa::Portable, _) => 0.8,
    }
}

/// Whether to sort so many keys again instead of merging so many runs of them.
pub(super) fn sorts_again(isa: Isa, key_bytes: usize, runs: usize, keys: usize) -> bool {
    // One run is copied, and two are merged without buffers.
    if runs <= 2 {
        return false;
    }
    let tree = LEVEL_NS * len_f64(runs).log2()
        + RUN_NS * len_f64(runs)
        + BUFFERS_NS / len_f64(keys.max(1));
    doubling_ns(isa, key_bytes) * len_f64(keys.max(2)).log2() < tree
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::keys::KeyType;
    use crate::mergesort::buffer::Buffer;
    use crate::mergesort::form::{Form, Keys, Way};
    use crate::num::{mix64, to_u64};

    #[test]
    fn many_runs_or_few_keys_are_sorted_again() {
        let mega = 1 << 17;
        for (isa, bytes, tree, sort) in [
            (Isa::Avx512, 8, 16, 64),
            (Isa::Avx512, 4, 4, 32),
            (Isa::Avx2, 8, 128, 512),
            (Isa::Portable, 8, 256, 1024),
        ] {
            assert!(!sorts_again(isa, bytes, tree, mega), "{isa} {bytes}");
            assert!(sorts_again(isa, bytes, sort, mega), "{isa} {bytes}");
        }
        assert!(sorts_again(Isa::Avx2, 8, 4, 1000));
        assert!(!sorts_again(Isa::Avx512, 8, 2, 1000));
    }

    /// A copy that begins where a number may.
    fn aligned(bytes: &[u8]) -> Buffer {
        let mut copy = Buffer::zeroed(to_u64(bytes.len())).unwrap();
        copy.copy_from_slice(bytes);
        copy
    }

    /// The bytes do not tell which way they came.
    #[test]
    fn both_ways_give_the_same_bytes() {
        for (kind, reverse) in [(KeyType::U64, false), (KeyType::F64, true), (KeyType::I32, false)]
        {
            let keys = Keys::new(kind, reverse, false);
            for (runs, mask) in [(3, u64::MAX), (40, 15), (200, u64::MAX), (2000, 255)] {
                let key = |at: u64| (mix64(at) & mask).to_le_bytes();
                let mut all: Vec<u8> = (0..30_000).flat_map(key).collect();
                let (expected, _) = keys.sort(aligned(&all)).unwrap();
                let length = (all.len() / 8).div_ceil(runs) * 8;
                for run in all.chunks_mut(length) {
                    let (sorted, _) = keys.sort(aligned(run)).unwrap();
                    run.copy_from_slice(&sorted);
                }
                let all = aligned(&all);
                let slices: Vec<&[u8]> = all.chunks(length).collect();
                let mut out = aligned(&all);
                for way in [Way::Tree, Way::Sort] {
                    out.fill(0);
                    keys.merge_by(way, &slices, &mut out);
                    assert!(out[..] == expected[..], "{kind} {runs} runs by {way:?}");
                }
                let way = keys.merge(&slices, &mut out);
                assert!(runs < 2000 || way == Way::Sort, "{kind}: {way:?}");
                assert!(out[..] == expected[..], "{kind} {runs} runs");
            }
        }
    }
}
