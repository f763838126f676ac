//! The personalised all-to-all exchange of byte strings, of any size.
//!
//! Counts travel first (one small all-to-all), then the payload: in one call when everything fits
//! the round, else in rounds of bounded pieces per destination, staged through one buffer. The
//! rounds cost a copy of the payload; they are what keeps C `int` counts and displacements from
//! overflowing. Received bytes lie in rank order, as if the exchange had been one call.

use mpi::collective::CommunicatorCollectives;
use mpi::datatype::{Partition, PartitionMut};

use super::{Comm, Op, count, index};
use crate::num::{to_u64, to_usize};
use crate::partition::displacements;

/// What an exchange brought: the bytes of every rank, one after the other.
#[derive(Clone, Debug, Default)]
pub struct Received {
    /// All bytes, in rank order.
    pub bytes: Vec<u8>,
    /// How many bytes came from each rank.
    pub counts: Vec<u64>,
}

impl Received {
    /// One byte string per rank.
    pub fn into_parts(self) -> Vec<Vec<u8>> {
        let mut rest = &self.bytes[..];
        let mut parts = Vec::with_capacity(self.counts.len());
        for &bytes in &self.counts {
            let (part, tail) = rest.split_at(to_usize(bytes));
            parts.push(part.to_vec());
            rest = tail;
        }
        parts
    }
}

impl Comm {
    /// Collective. Sends `send_counts[r]` bytes of `send`, which lie in rank order, to rank `r`.
    ///
    /// # Panics
    /// When there are not as many counts as ranks, or they do not sum to the length of `send`.
    pub fn exchange(&self, send: &[u8], send_counts: &[u64]) -> Received {
        assert_eq!(to_u64(send_counts.len()), self.size(), "one count per rank");
        assert_eq!(send_counts.iter().sum::<u64>(), to_u64(send.len()), "counts cover the payload");
        let Some(mpi) = &self.mpi else {
            return Received { bytes: send.to_vec(), counts: send_counts.to_vec() };
        };
        let mut counts = vec![0_u64; send_counts.len()];
        self.timed(1, 0, || mpi.all.all_to_all_into(send_counts, &mut counts[..]));
        let total = to_usize(counts.iter().sum());
        let mut bytes = vec![0_u8; total];
        self.count_payload(send_counts);

        // One decision for all ranks: does the fullest of them fit one round?
        let largest_pair = send_counts.iter().copied().max().unwrap_or(0);
        let mut largest = [to_u64(send.len().max(total)), largest_pair];
        self.all_reduce(Op::Max, &mut largest);
        if largest[0] <= to_u64(self.round_bytes) {
            self.exchange_round(send, send_counts, &mut bytes, &counts);
        } else {
            self.exchange_in_rounds(send, send_counts, &mut bytes, &counts, largest[1]);
        }
        Received { bytes, counts }
    }

    /// Rounds of at most `piece` bytes per pair of ranks, staged so that displacements stay small.
    fn exchange_in_rounds(
        &self,
        send: &[u8],
        send_counts: &[u64],
        bytes: &mut [u8],
        counts: &[u64],
        largest_pair: u64,
    ) {
        let piece = to_u64(self.round_bytes).div_ceil(self.size()).max(1);
        let (send_displs, recv_displs) = (displacements(send_counts), displacements(counts));
        let mut staging = Vec::new();
        for done in (0..largest_pair).step_by(to_usize(piece)) {
            let part = |whole: &u64| whole.saturating_sub(done).min(piece);
            let send_part: Vec<u64> = send_counts.iter().map(part).collect();
            let recv_part: Vec<u64> = counts.iter().map(part).collect();
            staging.clear();
            for (&displ, &len) in send_displs.iter().zip(&send_part).filter(|(_, len)| **len > 0) {
                let from = to_usize(displ + done);
                staging.extend_from_slice(&send[from..from + to_usize(len)]);
            }
            let mut arrived = vec![0_u8; to_usize(recv_part.iter().sum())];
            self.exchange_round(&staging, &send_part, &mut arrived, &recv_part);
            let mut rest = &arrived[..];
            for (&displ, &len) in recv_displs.iter().zip(&recv_part).filter(|(_, len)| **len > 0) {
                let (piece, tail) = rest.split_at(to_usize(len));
                let to = to_usize(displ + done);
                bytes[to..to + piece.len()].copy_from_slice(piece);
                rest = tail;
            }
        }
    }

    /// One `MPI_Alltoallv` whose counts and displacements fit a C `int`.
    fn exchange_round(&self, send: &[u8], send_counts: &[u64], bytes: &mut [u8], counts: &[u64]) {
        let mpi = self.mpi.as_ref().expect("only called with MPI");
        assert_eq!(
            send_counts.len(),
            counts.len(),
            "rsmpi reads as many counts as ranks unchecked"
        );
        assert_eq!(counts.iter().sum::<u64>(), to_u64(bytes.len()), "room for what arrives");
        let ints = |values: &[u64]| -> Vec<mpi::Count> {
            values.iter().map(|&value| count(index(value))).collect()
        };
        let (send_ints, recv_ints) = (ints(send_counts), ints(counts));
        let (send_displs, recv_displs) =
            (ints(&displacements(send_counts)), ints(&displacements(counts)));
        // A real address even for nothing: 0x1, an empty Vec's, means MPI_IN_PLACE to Open MPI.
        let (nothing, mut nowhere) = ([0_u8; 8], [0_u8; 8]);
        let send = if send.is_empty() { &nothing[..] } else { send };
        let bytes = if bytes.is_empty() { &mut nowhere[..] } else { bytes };
        let send = Partition::new(send, send_ints, &send_displs[..]);
        let mut recv = PartitionMut::new(bytes, recv_ints, &recv_displs[..]);
        self.timed(0, 0, || mpi.all.all_to_all_varcount_into(&send, &mut recv));
    }

    fn count_payload(&self, send_counts: &[u64]) {
        let others = send_counts.iter().enumerate().filter(|(r, _)| to_u64(*r) != self.rank());
        let (messages, bytes) = others
            .filter(|(_, bytes)| **bytes > 0)
            .fold((0, 0), |(messages, sum), (_, bytes)| (messages + 1, sum + bytes));
        self.timed(messages, bytes, || ());
    }
}
