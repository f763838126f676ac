//! The personalised all-to-all exchange of plain data, of any size.
//!
//! Counts travel first (one small all-to-all), then the payload: in one call, from where it lies to
//! where it stays, when counts and displacements fit C `int`s; else in rounds of bounded pieces per
//! destination, staged through one buffer, which costs a copy of the payload. What is received lies
//! in rank order, as if the exchange had been one call.

use std::ops::Range;

use bytemuck::Pod;
use mpi::collective::CommunicatorCollectives;
use mpi::datatype::{Partition, PartitionMut};

use super::{Comm, Op, WHOLE_BYTES, count, index};
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

/// Which bytes travel: how many to or from each rank, and where in the buffer each rank's begin.
struct Cuts {
    counts: Vec<u64>,
    displs: Vec<u64>,
}

impl Cuts {
    fn of(counts: Vec<u64>) -> Self {
        let displs = displacements(&counts);
        Self { counts, displs }
    }

    fn at(ranges: &[Range<usize>]) -> Self {
        Self {
            counts: ranges.iter().map(|range| to_u64(range.len())).collect(),
            displs: ranges.iter().map(|range| to_u64(range.start)).collect(),
        }
    }

    /// Whether all of it lies in a buffer.
    fn fit(&self, bytes: usize) -> bool {
        self.counts.iter().zip(&self.displs).all(|(len, at)| at + len <= to_u64(bytes))
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
        if self.mpi.is_none() {
            return Received { bytes: send.to_vec(), counts: send_counts.to_vec() };
        }
        let (bytes, counts) = self.exchange_cuts(send, &Cuts::of(send_counts.to_vec()));
        Received { bytes, counts }
    }

    /// Collective. Sends `send[ranges[r]]` to rank `r`. Ranges may leave out items, as what a rank
    /// keeps, and may overlap. What came, in rank order, and how many items came from each rank.
    ///
    /// # Panics
    /// When there are not as many ranges as ranks, or one leaves `send`.
    pub fn exchange_ranges<T: Pod>(
        &self,
        send: &[T],
        ranges: &[Range<usize>],
    ) -> (Vec<T>, Vec<usize>) {
        assert_eq!(to_u64(ranges.len()), self.size(), "one range per rank");
        if self.mpi.is_none() {
            return (send[ranges[0].clone()].to_vec(), vec![ranges[0].len()]);
        }
        let item = to_u64(size_of::<T>());
        let counts = ranges.iter().map(|range| item * to_u64(send[range.clone()].len())).collect();
        let displs = ranges.iter().map(|range| item * to_u64(range.start)).collect();
        let (items, counts) = self.exchange_cuts(send, &Cuts { counts, displs });
        (items, counts.iter().map(|bytes| to_usize(bytes / item)).collect())
    }

    /// Collective. How many items every rank will send to this one, of how many go to each.
    ///
    /// # Panics
    /// When there are not as many counts as ranks.
    pub fn exchange_counts(&self, send_counts: &[u64]) -> Vec<u64> {
        assert_eq!(to_u64(send_counts.len()), self.size(), "one count per rank");
        let Some(mpi) = &self.mpi else { return send_counts.to_vec() };
        let (mine, ranks) = (index(self.rank()), send_counts.len());
        let to_me = |brought: &dyn Fn(usize) -> Vec<u8>| {
            let of_rank = |rank| bytemuck::pod_collect_to_vec::<u8, u64>(&brought(rank))[mine];
            (0..ranks).map(of_rank).collect()
        };
        if let Some(counts) = self.share(bytemuck::cast_slice(send_counts), to_me) {
            return counts;
        }
        let mut counts = vec![0_u64; send_counts.len()];
        self.timed(1, 0, || mpi.all.all_to_all_into(send_counts, &mut counts[..]));
        counts
    }

    /// Collective. Sends the bytes `send[leaving[r]]` to rank `r`, and puts what comes from rank `r` into
    /// `recv[coming[r]]`, exactly as many bytes as that rank sends. What is in no range stays.
    ///
    /// # Panics
    /// When there are not as many ranges as ranks, or they leave the buffers.
    pub fn exchange_into(
        &self,
        send: &[u8],
        leaving: &[Range<usize>],
        recv: &mut [u8],
        coming: &[Range<usize>],
    ) {
        assert_eq!(to_u64(leaving.len()), self.size(), "one range per rank");
        assert_eq!(to_u64(coming.len()), self.size(), "one range per rank");
        if self.mpi.is_none() {
            return recv[coming[0].clone()].copy_from_slice(&send[leaving[0].clone()]);
        }
        self.exchange_payload(send, &Cuts::at(leaving), recv, &Cuts::at(coming));
    }

    /// Collective. As [`exchange`](Self::exchange), for messages whose sizes both sides know and that
    /// are small: one call of MPI.
    ///
    /// # Panics
    /// As [`exchange_into`](Self::exchange_into), and beyond 2 GiB a rank.
    pub fn exchange_small(&self, send: &[u8], send_counts: &[u64], recv_counts: &[u64]) -> Vec<u8> {
        assert_eq!(send_counts.iter().sum::<u64>(), to_u64(send.len()), "counts cover the payload");
        if self.mpi.is_none() {
            return send.to_vec();
        }
        let (cuts, received) = (Cuts::of(send_counts.to_vec()), Cuts::of(recv_counts.to_vec()));
        let mut bytes = vec![0; to_usize(recv_counts.iter().sum())];
        if self.whole_bytes < WHOLE_BYTES {
            self.exchange_payload(send, &cuts, &mut bytes, &received);
        } else {
            self.count_payload(&cuts.counts);
            self.exchange_round(send, &cuts, &mut bytes, &received);
        }
        bytes
    }

    /// What came, and how many bytes of it from each rank.
    fn exchange_cuts<T: Pod>(&self, send: &[T], cuts: &Cuts) -> (Vec<T>, Vec<u64>) {
        let received = Cuts::of(self.exchange_counts(&cuts.counts));
        let total: u64 = received.counts.iter().sum();
        let mut items = bytemuck::zeroed_vec(to_usize(total) / size_of::<T>());
        let (send, bytes) = (bytemuck::cast_slice(send), bytemuck::cast_slice_mut(&mut items));
        self.exchange_payload(send, cuts, bytes, &received);
        (items, received.counts)
    }

    fn exchange_payload(&self, send: &[u8], cuts: &Cuts, bytes: &mut [u8], received: &Cuts) {
        self.count_payload(&cuts.counts);
        // One decision for all ranks: does the fullest of them fit one call?
        let largest_pair = cuts.counts.iter().copied().max().unwrap_or(0);
        let mut largest = [to_u64(send.len()).max(to_u64(bytes.len())), largest_pair];
        self.all_reduce(Op::Max, &mut largest);
        if largest[0] <= to_u64(self.whole_bytes) {
            self.exchange_round(send, cuts, bytes, received);
        } else {
            self.exchange_in_rounds(send, cuts, bytes, received, largest[1]);
        }
    }

    /// Rounds of at most `piece` bytes per pair of ranks, staged so that displacements stay small.
    fn exchange_in_rounds(
        &self,
        send: &[u8],
        cuts: &Cuts,
        bytes: &mut [u8],
        received: &Cuts,
        largest_pair: u64,
    ) {
        let piece = to_u64(self.round_bytes).div_ceil(self.size()).max(1);
        let mut staging = Vec::new();
        for done in (0..largest_pair).step_by(to_usize(piece)) {
            let part = |whole: &u64| whole.saturating_sub(done).min(piece);
            let send_part = Cuts::of(cuts.counts.iter().map(part).collect());
            let recv_part = Cuts::of(received.counts.iter().map(part).collect());
            staging.clear();
            let leaving = cuts.displs.iter().zip(&send_part.counts);
            for (&displ, &len) in leaving.filter(|(_, len)| **len > 0) {
                let from = to_usize(displ + done);
                staging.extend_from_slice(&send[from..from + to_usize(len)]);
            }
            let mut arrived = vec![0_u8; to_usize(recv_part.counts.iter().sum())];
            self.exchange_round(&staging, &send_part, &mut arrived, &recv_part);
            let mut rest = &arrived[..];
            let came = received.displs.iter().zip(&recv_part.counts);
            for (&displ, &len) in came.filter(|(_, len)| **len > 0) {
                let (piece, tail) = rest.split_at(to_usize(len));
                let to = to_usize(displ + done);
                bytes[to..to + piece.len()].copy_from_slice(piece);
                rest = tail;
            }
        }
    }

    /// One `MPI_Alltoallv` whose counts and displacements fit a C `int`.
    fn exchange_round(&self, send: &[u8], cuts: &Cuts, bytes: &mut [u8], received: &Cuts) {
        let mpi = self.mpi.as_ref().expect("only called with MPI");
        assert_eq!(
            cuts.counts.len(),
            received.counts.len(),
            "rsmpi reads as many counts as ranks unchecked"
        );
        assert!(cuts.fit(send.len()), "what leaves lies in its buffer");
        assert!(received.fit(bytes.len()), "room for what arrives");
        let ints = |values: &[u64]| -> Vec<mpi::Count> {
            values.iter().map(|&value| count(index(value))).collect()
        };
        // A real address even for nothing: 0x1, an empty Vec's, means MPI_IN_PLACE to Open MPI.
        let (nothing, mut nowhere) = ([0_u8; 8], [0_u8; 8]);
        let (send, send_displs) = if send.is_empty() {
            (&nothing[..], vec![0; cuts.displs.len()])
        } else {
            (send, ints(&cuts.displs))
        };
        let bytes = if bytes.is_empty() { &mut nowhere[..] } else { bytes };
        let send = Partition::new(send, ints(&cuts.counts), send_displs);
        let mut recv = PartitionMut::new(bytes, ints(&received.counts), ints(&received.displs));
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
