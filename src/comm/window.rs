//! Memory that ranks share: the one small module that calls MPI's one-sided functions, which
//! rsmpi does not wrap.
//!
//! Two kinds: words in memory that all ranks of a node map (plain atomics, 0.1 us an access, from
//! any thread), and one word on world rank 0 that any rank's main thread reaches by
//! `MPI_Fetch_and_op`. Both allocate once per job; allocating and freeing are collective.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::AtomicU64;

use mpi::collective::SystemOperation;
use mpi::ffi;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{AsRaw, CommunicatorCollectives};

/// 64-bit words in memory shared by the ranks of a node.
pub(super) struct NodeWords {
    window: ffi::MPI_Win,
    base: *const AtomicU64,
    count: usize,
}

// SAFETY: (1) the words are only ever touched as atomics; (2) `base` stays mapped until `Drop`,
// which needs exclusive access; (3) the window handle is used by the owner's `Drop` alone.
unsafe impl Sync for NodeWords {}
// SAFETY: as above; whoever lets another thread have it takes it back before the owner's thread drops it.
unsafe impl Send for NodeWords {}

impl NodeWords {
    /// Collective over `node`. The first `zeroed` of the words are 0.
    pub(super) fn allocate(
        node: &SimpleCommunicator,
        leader: bool,
        count: usize,
        zeroed: usize,
    ) -> Self {
        let mine = if leader { count * size_of::<AtomicU64>() } else { 0 };
        let mut local: *mut c_void = null_mut();
        let mut base: *mut c_void = null_mut();
        let (mut bytes, mut unit) = (0, 0);
        // SAFETY: (1) `node` is a live communicator of ranks that share memory; (2) every out
        // pointer is to a live local; (3) node rank 0, the leader, allocated all the words, so the
        // queried base covers `count` of them; MPI aligns windows to at least 8 bytes, asserted.
        let window = unsafe {
            let mut window = ffi::RSMPI_WIN_NULL;
            ffi::MPI_Win_allocate_shared(
                ffi::MPI_Aint::try_from(mine).expect("a few words"),
                8,
                ffi::RSMPI_INFO_NULL,
                node.as_raw(),
                (&raw mut local).cast(),
                &raw mut window,
            );
            ffi::MPI_Win_shared_query(
                window,
                0,
                &raw mut bytes,
                &raw mut unit,
                (&raw mut base).cast(),
            );
            window
        };
        assert!(!base.is_null() && base.cast::<AtomicU64>().is_aligned(), "usable shared memory");
        let words = Self { window, base: base.cast(), count };
        if leader {
            words
                .words()
                .iter()
                .take(zeroed)
                .for_each(|word| word.store(0, std::sync::atomic::Ordering::SeqCst));
        }
        words
    }

    pub(super) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the window holds `count` aligned words for as long as `self` lives, initialised
        // by the operating system (shared memory starts zeroed), shared only as atomics.
        unsafe { std::slice::from_raw_parts(self.base, self.count) }
    }
}

impl Drop for NodeWords {
    fn drop(&mut self) {
        // SAFETY: the window was made by `allocate` and is freed once; all ranks drop together.
        unsafe { ffi::MPI_Win_free(&raw mut self.window) };
    }
}

/// One 64-bit word on rank 0 of `world`, which any rank may add to. Main thread only.
///
/// Over a network the target must enter MPI now and then for an access to progress; the counter's
/// main threads do so between pieces of work.
pub(super) struct WorldWord {
    window: ffi::MPI_Win,
}

impl WorldWord {
    /// Collective over `world`. None, on all ranks, when this MPI cannot do it: a component for one-sided
    /// access may be missing for the network at hand (Debian's Open MPI forbids the one for plain TCP).
    pub(super) fn allocate(world: &SimpleCommunicator, holder: bool) -> Option<Self> {
        let bytes = if holder { 8 } else { 0 };
        let mut base: *mut u64 = null_mut();
        // SAFETY: (1) `world` is live; (2) out pointers are to live locals; (3) the holder writes
        // its own fresh memory before any rank starts an access epoch, which `lock_all` opens; (4) the
        // handler for errors is the predefined one, and the former comes back before anything else.
        unsafe {
            let mut window = ffi::RSMPI_WIN_NULL;
            let mut handler = std::mem::zeroed();
            ffi::MPI_Comm_get_errhandler(world.as_raw(), &raw mut handler);
            ffi::MPI_Comm_set_errhandler(world.as_raw(), ffi::RSMPI_ERRORS_RETURN);
            let code = ffi::MPI_Win_allocate(
                bytes,
                8,
                ffi::RSMPI_INFO_NULL,
                world.as_raw(),
                (&raw mut base).cast(),
                &raw mut window,
            );
            ffi::MPI_Comm_set_errhandler(world.as_raw(), handler);
            ffi::MPI_Errhandler_free(&raw mut handler);
            if !everywhere(world, code == 0) {
                return None;
            }
            if holder {
                base.write(0);
            }
            ffi::MPI_Barrier(world.as_raw());
            ffi::MPI_Win_lock_all(0, window);
            Some(Self { window })
        }
    }

    /// Adds `value` (wrapping) and returns what was there.
    pub(super) fn fetch_add(&self, value: u64) -> u64 {
        let mut before = 0_u64;
        // SAFETY: an access epoch is open since `allocate`; both buffers live until the flush.
        unsafe {
            ffi::MPI_Fetch_and_op(
                (&raw const value).cast(),
                (&raw mut before).cast(),
                ffi::RSMPI_UINT64_T,
                0,
                0,
                ffi::RSMPI_SUM,
                self.window,
            );
            ffi::MPI_Win_flush(0, self.window);
        }
        before
    }
}

impl Drop for WorldWord {
    fn drop(&mut self) {
        // SAFETY: closes the epoch that `allocate` opened, then frees once; all ranks together.
        unsafe {
            ffi::MPI_Win_unlock_all(self.window);
            ffi::MPI_Win_free(&raw mut self.window);
        }
    }
}

/// Collective. Whether it is so on all ranks.
fn everywhere(world: &SimpleCommunicator, so: bool) -> bool {
    let mut all = 0;
    world.all_reduce_into(&i32::from(so), &mut all, SystemOperation::min());
    all == 1
}

/// Enters MPI without waiting, so that one-sided accesses to this rank make progress.
pub(super) fn poll(world: &SimpleCommunicator) {
    let mut flag = 0;
    // SAFETY: `world` is live; a probe that ignores its status changes nothing.
    unsafe {
        ffi::MPI_Iprobe(
            ffi::RSMPI_ANY_SOURCE,
            ffi::RSMPI_ANY_TAG,
            world.as_raw(),
            &raw mut flag,
            ffi::RSMPI_STATUS_IGNORE,
        );
    }
}
