//! The memory of the other ranks of a machine, read without their doing anything.
//!
//! A message takes a turn on a core from both sides, and where many ranks share few cores these turns are
//! what takes the time. Linux copies out of another process's memory for half a microsecond and what the
//! bytes take. What is read must be there and stay as it is until all ranks have come to a later
//! collective call; nobody checks that. For ranks of one machine that may look into each other: processes
//! of one user, unless the system forbids it, which is tried out at the start. Where its rule is
//! that only descendants may be looked into (Yama), each rank allows it to all processes of this user until
//! it ends, as Open MPI does too.
#![allow(unsafe_code)]

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::IoSliceMut;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use nix::unistd::Pid;

use super::{Comm, Op, index};
use crate::error::{Error, Result};
use crate::num::{to_u64, to_usize};

/// All ranks, as processes of this machine.
pub struct Neighbours<'a> {
    comm: &'a Comm,
    processes: Vec<Pid>,
}

/// Where bytes begin in this rank's memory, for others to read them there.
pub fn address(bytes: &[u8]) -> u64 {
    to_u64(bytes.as_ptr().expose_provenance())
}

impl Comm {
    /// Collective. The ranks' memory, when there are several on one node and each may read that of the
    /// next; else none, on all ranks.
    pub fn neighbours(&self) -> Option<Neighbours<'_>> {
        if self.size() == 1 || self.place().node_count > 1 {
            return None;
        }
        allow_reading();
        // A number that no other process has at that place, in case that process numbers are not of one kind.
        let secret = RandomState::new().build_hasher().finish().to_le_bytes();
        let process = u64::from(std::process::id());
        let words = [process, address(&secret), u64::from_le_bytes(secret)];
        let told = self.gather_bytes(&words.map(u64::to_le_bytes).concat());
        let told = self.hand_out_bytes(&told.concat());
        let (words, _) = told.as_chunks::<8>();
        let words: Vec<u64> = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let process = |rank: &[u64]| i32::try_from(rank[0]).map_or(0, |process| process);
        let processes = words.chunks_exact(3).map(|rank| Pid::from_raw(process(rank))).collect();
        let found = Neighbours { comm: self, processes };
        let next = (self.rank() + 1) % self.size();
        let [_, place, expected] = words[3 * index(next)..][..3] else {
            unreachable!("three words")
        };
        let mut seen = [0; 8];
        let read = found.read(next, place, &mut seen);
        let mut all = [u64::from(read.is_ok() && seen == expected.to_le_bytes())];
        self.all_reduce(Op::Min, &mut all);
        // It must be there until all have looked.
        std::hint::black_box(&secret);
        (all[0] == 1).then_some(found)
    }
}

impl Neighbours<'_> {
    /// This rank, and how many there are.
    pub fn place(&self) -> (u64, u64) {
        (self.comm.rank(), self.comm.size())
    }

    /// Copies what begins at an address of a rank's memory. Local. Counts as sent, by the rank that reads.
    ///
    /// # Errors
    /// When there is no such rank any more, or no such memory.
    pub fn read(&self, rank: u64, address: u64, out: &mut [u8]) -> Result<()> {
        let process = self.processes[index(rank)];
        self.comm.timed(1, to_u64(out.len()), || {
            let mut done = 0;
            while done < out.len() {
                let rest = &mut out[done..];
                let there = RemoteIoVec { base: to_usize(address) + done, len: rest.len() };
                match process_vm_readv(process, &mut [IoSliceMut::new(rest)], &[there]) {
                    Ok(bytes) if bytes > 0 => done += bytes,
                    other => {
                        let cause = other.err().unwrap_or(nix::errno::Errno::EFAULT);
                        return Err(Error::internal(format!(
                            "cannot read the memory of rank {rank} (process {process}): {cause}"
                        )));
                    }
                }
            }
            Ok(())
        })
    }
}

/// Where only descendants may be looked into, lets all processes of this user do so.
fn allow_reading() {
    let rule = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    if rule.trim() == "1" {
        // SAFETY: changes who may trace this process, nothing else, and takes no pointer.
        unsafe { nix::libc::prctl(nix::libc::PR_SET_PTRACER, nix::libc::PR_SET_PTRACER_ANY) };
    }
}
