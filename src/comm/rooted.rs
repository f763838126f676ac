//! Byte strings of any length between all ranks and root: gathered there, or handed out from there; or
//! from each rank to the one before.
//!
//! The first message of a rank carries its length too, so no round goes before to learn sizes. Messages are
//! so small that MPI sends them before the other side asks: with more ranks than cores an answer takes as
//! long as it takes until every other rank has had its turn, and root would wait for each rank in turn.
//! Costs root some messages per rank: for some hundreds of ranks and for small things.

use mpi::point_to_point::{Destination, Source};
use mpi::topology::Communicator;

use super::{Comm, ROOT, World, count, index};
use crate::num::{to_u64, to_usize};

/// Nothing else is sent from one rank to one other outside collective calls.
const TAG: mpi::Tag = 1;

/// Below what MPI libraries send without a handshake inside a node, the smallest such limit: 4 KiB with
/// their own headers in Open MPI.
const PIECE_BYTES: usize = 3 << 10;

impl Comm {
    /// Collective. A byte string of every rank, in rank order, on root; empty elsewhere.
    pub fn gather_bytes(&self, mine: &[u8]) -> Vec<Vec<u8>> {
        let Some(mpi) = &self.mpi else { return vec![mine.to_vec()] };
        let ranks = if self.is_root() { index(self.size()) } else { 0 };
        if let Some(all) = self.share(mine, |brought| (0..ranks).map(brought).collect()) {
            return all;
        }
        if !self.is_root() {
            self.send_bytes(mpi, ROOT, mine);
            return Vec::new();
        }
        let others = (1..self.size()).map(|rank| self.receive_bytes(mpi, rank));
        std::iter::once(mine.to_vec()).chain(others).collect()
    }

    /// Collective. Root's byte string for this rank; the others pass nothing.
    ///
    /// # Panics
    /// When root has not as many as ranks.
    pub fn scatter_bytes(&self, mut parts: Vec<Vec<u8>>) -> Vec<u8> {
        let Some(mpi) = &self.mpi else { return parts.remove(0) };
        if self.is_root() {
            assert_eq!(to_u64(parts.len()), self.size(), "one byte string per rank");
        }
        if let Some(crowd) = &self.crowd {
            let given = self.is_root().then_some(&parts[..]);
            let bytes = parts.iter().skip(1).map(|part| to_u64(part.len())).sum();
            let mine = self.timed(1, bytes, || crowd.hand_out(given, || self.idle()));
            if let Some(mine) = mine {
                return mine;
            }
        }
        if !self.is_root() {
            return self.receive_bytes(mpi, ROOT);
        }
        for (rank, part) in (0..).zip(&parts).skip(1) {
            self.send_bytes(mpi, rank, part);
        }
        parts.swap_remove(0)
    }

    /// Collective. Root's byte string on every rank; the others pass nothing. Unlike a broadcast it
    /// takes no rank to pass it on, which with more ranks than cores waits for that rank's turn.
    pub fn hand_out_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        let mine = if self.is_root() { bytes } else { &[] };
        if let Some(shared) = self.share(mine, |brought| brought(index(ROOT))) {
            return shared;
        }
        match &self.mpi {
            Some(mpi) if !self.is_root() => self.receive_bytes(mpi, ROOT),
            Some(mpi) => {
                (1..self.size()).for_each(|rank| self.send_bytes(mpi, rank, bytes));
                bytes.to_vec()
            }
            None => bytes.to_vec(),
        }
    }

    /// Collective. A byte string of every rank, in rank order, on every rank. For small things.
    pub fn all_gather_bytes(&self, mine: &[u8]) -> Vec<Vec<u8>> {
        let ranks = index(self.size());
        if let Some(all) = self.share(mine, |brought| (0..ranks).map(brought).collect()) {
            return all;
        }
        let parts = self.gather_bytes(mine);
        let lengths = parts.iter().map(|part| to_u64(part.len()).to_le_bytes());
        let lengths: Vec<u8> = lengths.flatten().collect();
        let all = self.broadcast_bytes(ROOT, [lengths, parts.concat()].concat());
        let (lengths, mut rest) = all.split_at(8 * index(self.size()));
        let part = |length: &[u8]| {
            let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
            let (part, tail) = rest.split_at(to_usize(length));
            rest = tail;
            part.to_vec()
        };
        lengths.chunks_exact(8).map(part).collect()
    }

    fn send_bytes(&self, mpi: &World, to: u64, bytes: &[u8]) {
        let process = mpi.all.process_at_rank(count(index(to)));
        let piece = self.round_bytes.min(PIECE_BYTES);
        let (first, rest) = bytes.split_at(bytes.len().min(piece));
        let first = [&to_u64(bytes.len()).to_le_bytes()[..], first].concat();
        for round in std::iter::once(&first[..]).chain(rest.chunks(piece)) {
            self.timed(1, to_u64(round.len()), || process.send_with_tag(round, TAG));
        }
    }

    fn receive_bytes(&self, mpi: &World, from: u64) -> Vec<u8> {
        let process = mpi.all.process_at_rank(count(index(from)));
        let (mut bytes, _) = self.timed(0, 0, || process.receive_vec_with_tag::<u8>(TAG));
        let length: Vec<u8> = bytes.drain(..8).collect();
        let length = u64::from_le_bytes(length.try_into().expect("eight bytes"));
        let first = bytes.len();
        bytes.resize(to_usize(length), 0);
        for round in bytes[first..].chunks_mut(self.round_bytes.min(PIECE_BYTES)) {
            self.timed(0, 0, || process.receive_into_with_tag(round, TAG));
        }
        bytes
    }
}
