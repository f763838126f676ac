//! Collectives on slices of any length.
//!
//! MPI's verbs for exactly those. Each is cut into rounds of at most `round_bytes`, so a count
//! never exceeds a C `int`. An empty slice never reaches MPI: the address of an empty `Vec<u8>` is
//! 0x1, which Open MPI reads as `MPI_IN_PLACE`.

use bytemuck::Pod;
use mpi::collective::{CommunicatorCollectives, Root, SystemOperation};
use mpi::topology::Communicator;
use mpi::traits::Equivalence;

use super::crowd::SLOT_BYTES;
use super::{Comm, byte_len, count, index};

/// What may travel: plain numbers with an MPI datatype.
pub trait Element: Equivalence + Pod + Default + PartialOrd {
    /// The sum; of integers what fits.
    #[must_use]
    fn plus(self, other: Self) -> Self;
}

impl Element for u8 {
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
}

impl Element for u32 {
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
}

impl Element for u64 {
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
}

impl Element for f64 {
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

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
    fn combine<T: Element>(self, one: T, other: T) -> T {
        match self {
            Self::Sum => one.plus(other),
            Self::Min => {
                if other < one {
                    other
                } else {
                    one
                }
            }
            Self::Max => {
                if other > one {
                    other
                } else {
                    one
                }
            }
        }
    }

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
        match (&self.crowd, &self.mpi) {
            (Some(crowd), _) => self.timed(1, 0, || crowd.meet(|| self.idle())),
            (None, Some(mpi)) => self.timed(1, 0, || mpi.all.barrier()),
            (None, None) => {}
        }
    }

    /// Collective. The bytes of `root` on every rank; what the others pass is dropped.
    pub fn broadcast_bytes(&self, root: u64, mut bytes: Vec<u8>) -> Vec<u8> {
        let Some(mpi) = &self.mpi else { return bytes };
        let mine = if self.rank() == root { &bytes[..] } else { &[] };
        if let Some(shared) = self.share(mine, |brought| brought(index(root))) {
            return shared;
        }
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
        if self.reduce_in_memory(op, values) {
            return;
        }
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
        if let Some(all) = self.share_values(&[value]) {
            return all.concat();
        }
        let mut all = vec![T::default(); index(self.size())];
        self.timed(1, byte_len(&[value]), || {
            mpi.all.all_gather_into(&[value][..], &mut all[..]);
        });
        all
    }

    /// Collective. The sum of `value` over the ranks before this one; 0 on rank 0.
    pub fn exclusive_scan(&self, value: u64) -> u64 {
        let Some(mpi) = &self.mpi else { return 0 };
        if let Some(all) = self.share_values(&[value]) {
            return all[..index(self.rank())].iter().map(|value| value[0]).sum();
        }
        let mut before = [0_u64];
        self.timed(1, 8, || {
            mpi.all.exclusive_scan_into(&[value][..], &mut before[..], SystemOperation::sum());
        });
        // MPI leaves rank 0's result undefined.
        if self.rank() == 0 { 0 } else { before[0] }
    }

    /// Collective. What a closure makes of all ranks' bytes, by rank; none, on all ranks, when they do not
    /// meet in memory or one brings too many.
    pub(super) fn share<T>(
        &self,
        mine: &[u8],
        look: impl FnOnce(&dyn Fn(usize) -> Vec<u8>) -> T,
    ) -> Option<T> {
        let crowd = self.crowd.as_ref()?;
        self.timed(1, byte_len(mine), || crowd.share(mine, || self.idle(), look))
    }

    /// Collective. As `share`, the values of all ranks.
    fn share_values<T: Element>(&self, mine: &[T]) -> Option<Vec<Vec<T>>> {
        let size = index(self.size());
        self.share(bytemuck::cast_slice(mine), |brought| {
            (0..size).map(|rank| bytemuck::pod_collect_to_vec(&brought(rank))).collect()
        })
    }

    /// Collective. As `all_reduce`, where ranks meet in memory and it fits; whether it did, on all ranks.
    fn reduce_in_memory<T: Element>(&self, op: Op, values: &mut [T]) -> bool {
        // All have as many, so nobody needs to be asked.
        if self.crowd.is_none() || size_of_val(values) > SLOT_BYTES {
            return false;
        }
        let Some(all) = self.share_values(values) else { return false };
        for (at, value) in values.iter_mut().enumerate() {
            let column = all.iter().map(|of_rank| of_rank[at]);
            *value = column.reduce(|one, other| op.combine(one, other)).expect("a rank");
        }
        true
    }
}
