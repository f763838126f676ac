//! The efficiency tree of the POP centre of excellence, with file I/O as a factor of its own. Pure.
//!
//! Per rank: u seconds of useful work, m in MPI, i in files; T seconds of the region.
//! LB = mean(u)/max(u), `CommE` = max(u)/T, PE = LB * `CommE` = mean(u)/T. The time that is lost to
//! files, i* = min(max(i), T - max(u)), splits `CommE` = `IoE` * `MpiE`: `IoE` = 1 - i*/T,
//! `MpiE` = max(u)/(T - i*). The slowest rank's I/O is charged, because the others wait for it.

use super::super::sample::Record;
use crate::num::len_f64;

/// The factors of one run; each is 1 when nothing is lost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tree {
    /// LB.
    pub load_balance: f64,
    /// `CommE`.
    pub communication: f64,
    /// `IoE`.
    pub io: f64,
    /// `MpiE`.
    pub mpi: f64,
    /// PE.
    pub parallel: f64,
    /// Sum of useful seconds over ranks, for computation scaling.
    pub useful_sum_s: f64,
    /// Mean share of the ranks' time in files.
    pub io_share: f64,
    /// Mean share of the ranks' time in MPI.
    pub mpi_share: f64,
}

/// The tree of a run; none without times of ranks.
pub fn of(record: &Record, runtime_s: f64) -> Option<Tree> {
    let per_rank = &record.per_rank;
    tree(&per_rank.useful_s, &per_rank.mpi_s, &per_rank.io_s, runtime_s)
}

/// The tree of ranks' seconds within a region of `runtime_s` seconds.
pub fn tree(useful_s: &[f64], mpi_s: &[f64], io_s: &[f64], runtime_s: f64) -> Option<Tree> {
    let ranks = len_f64(useful_s.len());
    let sum = |values: &[f64]| values.iter().sum::<f64>();
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    let useful = most(useful_s);
    if useful_s.is_empty() || useful <= 0.0 || runtime_s <= 0.0 {
        return None;
    }
    // Clocks of ranks and of the region differ by microseconds; no rank works longer than it lasts.
    let runtime_s = runtime_s.max(useful);
    let load_balance = sum(useful_s) / ranks / useful;
    let communication = useful / runtime_s;
    let lost_to_files = most(io_s).min(runtime_s - useful);
    Some(Tree {
        load_balance,
        communication,
        io: 1.0 - lost_to_files / runtime_s,
        mpi: useful / (runtime_s - lost_to_files),
        parallel: load_balance * communication,
        useful_sum_s: sum(useful_s),
        io_share: sum(io_s) / ranks / runtime_s,
        mpi_share: sum(mpi_s) / ranks / runtime_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::num::{mix64, to_f64, to_u64};

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-12 * a.abs().max(b.abs())
    }

    /// Rank r works r + 1 units in a region that a barrier ends: LB = (P + 1)/(2P).
    #[test]
    fn a_planted_imbalance_is_found() {
        for (ranks, expected) in [(4_usize, 0.625), (64, 0.507_812_5)] {
            let useful: Vec<f64> = (1..=ranks).map(len_f64).collect();
            let mpi: Vec<f64> = useful.iter().map(|u| len_f64(ranks) - u).collect();
            let tree = tree(&useful, &mpi, &vec![0.0; ranks], len_f64(ranks)).unwrap();
            assert!(close(tree.load_balance, expected), "{tree:?}");
            assert!(close(tree.communication, 1.0) && close(tree.parallel, expected));
            assert!(close(tree.mpi_share, 1.0 - expected));
        }
    }

    #[test]
    fn the_identities_hold_for_any_numbers() {
        let mut state = 7;
        let mut draw = || {
            state = mix64(state);
            to_f64(state >> 11) / to_f64(1 << 53)
        };
        for round in 0..1000_usize {
            let ranks = 1 + round % 17;
            let mut part = || (0..ranks).map(|_| draw()).collect::<Vec<f64>>();
            let (useful, mpi, io) = (part(), part(), part());
            let runtime_s = 3.0 * draw();
            let tree = tree(&useful, &mpi, &io, runtime_s).unwrap();
            let runtime_s = runtime_s.max(useful.iter().copied().fold(0.0, f64::max));
            assert!(close(tree.parallel, tree.load_balance * tree.communication));
            assert!(close(tree.communication, tree.io * tree.mpi), "{tree:?}");
            let mean = useful.iter().sum::<f64>() / len_f64(ranks);
            assert!(close(tree.parallel, mean / runtime_s));
            for factor in [tree.load_balance, tree.communication, tree.io, tree.mpi] {
                assert!((0.0..=1.0 + 1e-12).contains(&factor), "{tree:?}");
            }
            assert!(to_u64(ranks) > 0);
        }
    }

    #[test]
    fn one_rank_that_writes_is_a_loss_to_files() {
        // Rank 0 works 2 s and writes 2 s; rank 1 works 2 s and waits 2 s.
        let tree = tree(&[2.0, 2.0], &[0.0, 2.0], &[2.0, 0.0], 4.0).unwrap();
        assert!(close(tree.io, 0.5) && close(tree.mpi, 1.0) && close(tree.parallel, 0.5));
        assert_eq!((tree.io_share, tree.mpi_share), (0.25, 0.25));
    }

    #[test]
    fn nothing_known_gives_nothing() {
        assert_eq!(tree(&[], &[], &[], 1.0), None);
        assert_eq!(tree(&[0.0], &[1.0], &[0.0], 1.0), None);
        assert_eq!(tree(&[1.0], &[], &[], 0.0), None);
    }
}
