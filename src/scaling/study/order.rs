//! The order of the runs: rounds, each a random permutation of the sizes. Pure.
//!
//! A machine that slows down in the middle of a series then slows all sizes alike instead of one
//! (hyperfine's issue 21 tells what happens else). The order is a function of the seed and the round.

use crate::num::{mix64, to_u64, to_usize};

/// A permutation of `0..count` for a round (Fisher and Yates).
pub fn permutation(count: usize, seed: u64, round: u64) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    let mut state = mix64(seed ^ mix64(round));
    for last in (1..count).rev() {
        state = mix64(state);
        order.swap(last, to_usize(state % to_u64(last + 1)));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_is_a_permutation_and_rounds_differ() {
        for count in [0, 1, 2, 7, 64] {
            for round in 0..20 {
                let mut order = permutation(count, 1, round);
                assert_eq!(order, permutation(count, 1, round));
                order.sort_unstable();
                assert_eq!(order, (0..count).collect::<Vec<_>>());
            }
        }
        assert_ne!(permutation(7, 1, 0), permutation(7, 1, 1));
        assert_ne!(permutation(7, 1, 0), permutation(7, 2, 0));
    }

    /// Each size is first about equally often: 4000 rounds of 4, 1000 +- 5 standard deviations.
    #[test]
    fn no_size_is_favoured() {
        let mut first = [0_u32; 4];
        for round in 0..4000 {
            first[permutation(4, 9, round)[0]] += 1;
        }
        assert!(first.iter().all(|count| (863..=1137).contains(count)), "{first:?}");
    }
}
