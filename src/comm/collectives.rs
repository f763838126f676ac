//! Collectives on slices of any length.
//!
//! MPI's verbs for exactly those. Each is cut into rounds of at most `round_bytes`, so a count
//! never exceeds a C `int`. An empty slice never reaches MPI: the address of an empty `Vec<u8>` is
//! 0x1, which Open MPI reads as `MPI_IN_PLACE`.

use mpi::collective::{CommunicatorCollectives, Root, SystemOperation};
use mpi::topology::Communicator;
use mpi::traits::Equivalence;

use super::{Comm, byte_len, count, index};

/// What may travel: plain numbers with an MPI datatype.
pub trait Element: Equivalence + Copy + Default + PartialOrd + 'static {}
impl Element for u8 {}
impl Element for u32 {}
impl Element for u64 {}
impl Element for f64 {}

/// How a reduction combines two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Sum. On integers the caller has made sure that it fits.
    Sum,
    /// The smaller one.
    Min,
    /// The larger one.
    Max,
}

impl Op {
    fn system(self) -> SystemOperation {
        match self {
            Self::Sum => SystemOperation::sum(),
            Self::Min => SystemOperation::min(),
            Self::Max => SystemOperation::max(),
        }
    }
}

impl Comm {
    /// Collective. Returns when all ranks have come here.
    pub fn barrier(&self) {
        if let Some(mpi) = &self.mpi {
            self.timed(1, 0, || mpi.all.barrier());
        }
    }

    /// Collective. The bytes of `root` on every rank; what the others pass is dropped.
    pub fn broadcast_bytes(&self, root: u64, mut bytes: Vec<u8>) -> Vec<u8> {
        let Some(mpi) = &self.mpi else { return bytes };
        let root = mpi.all.process_at_rank(count(index(root)));
        let mut length = [crate::num::to_u64(bytes.len())];
        self.timed(1, 8, || root.broadcast_into(&mut length[..]));
        bytes.resize(index(length[0]), 0);
        for round in bytes.chunks_mut(self.round_bytes) {
            self.timed(1, byte_len(round), || root.broadcast_into(round));
        }
        bytes
    }

    /// Collective. Combines `values` element by element over all ranks, on all ranks.
    pub fn all_reduce<T: Element>(&self, op: Op, values: &mut [T]) {
        let Some(mpi) = &self.mpi else { return };
        let per_round = (self.round_bytes / size_of::<T>()).max(1);
        let mut combined = vec![T::default(); values.len().min(per_round)];
        for round in values.chunks_mut(per_round) {
            let combined = &mut combined[..round.len()];
            self.timed(1, byte_len(round), || {
                mpi.all.all_reduce_into(&*round, combined, op.system());
            });
            round.copy_from_slice(combined);
        }
    }

    /// Collective. One value of every rank, in rank order, on every rank.
    pub fn all_gather<T: Element>(&self, value: T) -> Vec<T> {
        let Some(mpi) = &self.mpi else { return vec![value] };
        let mut all = vec![T::default(); index(self.size())];
        self.timed(1, byte_len(&[value]), || {
            mpi.all.all_gather_into(&[value][..], &mut all[..]);
        });
        all
    }

    /// Collective. The sum of `value` over the ranks before this one; 0 on rank 0.
    pub fn exclusive_scan(&self, value: u64) -> u64 {
        let Some(mpi) = &self.mpi else { return 0 };
        let mut before = [0_u64];
        self.timed(1, 8, || {
            mpi.all.exclusive_scan_into(&[value][..], &mut before[..], SystemOperation::sum());
        });
        // MPI leaves rank 0's result undefined.
        if self.rank() == 0 { 0 } else { before[0] }
    }
}
