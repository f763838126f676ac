//! What a rank takes of memory before its job takes any, for `--dry-run`.
//!
//! The program's own part is what this process takes while it tells. What MPI adds was measured: Open MPI
//! 4.1 takes 9 MiB, some more where ranks share cores and meet in memory, and little for each further rank of
//! the machine. Other MPI libraries may take some MiB more or less.

use super::tune::num_cores;
use crate::measure::peak_rss_bytes;

const MIB: u64 = 1 << 20;

/// What a run touches of the program beyond a dry run.
const MORE: u64 = 3 * MIB;

/// What MPI takes.
const MPI: u64 = 9 * MIB;

/// What a crowd's meeting place and its messages take.
const CROWD: u64 = 9 * MIB / 2;

/// For each rank of the machine.
const EACH: u64 = MIB / 32;

/// Bytes of a rank of a machine that has so many.
pub fn rank_bytes(launched: bool, local_ranks: u64) -> u64 {
    let crowd = if local_ranks > num_cores() { CROWD } else { 0 };
    let mpi = if launched { MPI + crowd + EACH * local_ranks } else { 0 };
    peak_rss_bytes() + MORE + mpi
}
