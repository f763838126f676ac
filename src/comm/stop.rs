//! One rank's word to all others that the run is to stop.
//!
//! A collective call would need all ranks to come, which is what the word is about. So it is a message of one
//! byte to each, with a tag of its own, that the others look for between pieces of work. Messages
//! that nobody looked for any more are dropped when MPI ends.

use mpi::point_to_point::{Destination, Source};
use mpi::topology::Communicator;

use super::{Comm, count, index};

/// Told apart from the byte strings of `rooted.rs`.
const TAG: mpi::Tag = 2;

impl Comm {
    /// Tells all other ranks that the run is to stop. Local: nobody waits.
    pub fn tell_stop(&self) {
        let Some(mpi) = &self.mpi else { return };
        for rank in (0..self.size()).filter(|&rank| rank != self.rank()) {
            let process = mpi.all.process_at_rank(count(index(rank)));
            self.timed(1, 1, || process.send_with_tag(&[1_u8][..], TAG));
        }
    }

    /// Whether another rank has told to stop. Local, from the main thread.
    pub fn was_told_stop(&self) -> bool {
        let Some(mpi) = &self.mpi else { return false };
        let any = mpi.all.any_process();
        if any.immediate_probe_with_tag(TAG).is_none() {
            return false;
        }
        self.timed(0, 0, || any.receive_vec_with_tag::<u8>(TAG));
        true
    }
}
