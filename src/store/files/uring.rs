//! Reading through `io_uring`: many files in flight, three requests a file, few system calls.
//!
//! Each of `depth` places walks one file through open, read and the read that confirms the end.
//! Every entry into the kernel carries the next request of every place that is ready, so that the
//! cost of entering is shared by up to `depth` files, and cold files wait for the disk together in
//! the kernel's workers. Measured on a local ext4 disk and two cores: six times as fast as
//! [`Openat`] on cold files, a tenth faster on files in the page cache, a quarter on two threads.
//! Requests are not linked: linked ones were measured no faster, and here the outcome of each step
//! decides about the next.
//!
//! Listed files are opened into the ring's own table and take no descriptors of the process; the
//! next file that opens in a place closes the one before. Given files need their type checked
//! before they are read, which only a real descriptor allows: up to `depth` of those.
//!
//! Whatever is out of the ordinary (errors, empty files, files larger than the buffer) goes to
//! [`Openat`] at the end, which opens it again and finds the same words for it. That makes such
//! files cost twice, and the two readers agree. A FIFO that took a file's place would make the
//! kernel wait for its writer; reads are therefore cancelled when nothing at all came back for a
//! while.
//!
//! Memory: `depth` buffers of `small_max` bytes, touched only as far as files reach.
#![expect(unsafe_code, reason = "the kernel writes into buffers while this code runs")]

use super::openat::{Manner, Openat, regular_size};
use super::{Files, SLACK, Trust, Visitor};
use crate::num::{to_u64, to_usize};
use io_uring::types::{DestinationSlot, Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{IoUring, Probe, opcode, squeue};
use nix::errno::Errno;
use std::ffi::CStr;
use std::io;
use std::marker::PhantomData;
use std::mem;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// After this long without any completion, reads are suspected to wait for a FIFO's writer.
const PATIENCE: Timespec = Timespec::new().nsec(100_000_000);

/// How often in a row the kernel may say "no memory just now" before it is believed.
const STUBBORN: u32 = 1000;

/// Kernel threads that may wait for opens of cold files at the same time. The kernel's own limit
/// is four a core, which a local disk is content with; a far file system wants one for each file in
/// flight, and a node full of ranks wants an end to it. They are made when needed and sleep.
const WORKERS_MAX: u32 = 64;

/// Files in flight at most.
const DEPTH_MAX: u32 = 4096;

/// The mark of a request to cancel, among marks that are numbers of places.
const CANCEL: u64 = u64::MAX;

/// The reader that keeps many files in flight in one kernel ring. It stays in the thread that made
/// it, because the kernel serves one submitting thread faster.
pub struct Uring {
    /// None once the ring has failed in the middle of its work: then `careful` does everything.
    ring: Option<Ring>,
    careful: Openat,
    left: Vec<usize>,
    not_send: PhantomData<*const ()>,
}

struct Ring {
    io: IoUring,
    places: Vec<Place>,
    small_max: usize,
    /// Places with a request queued or in the kernel.
    busy: usize,
    /// Requests to cancel, queued or in the kernel.
    cancels: usize,
    /// Entries refused in a row.
    refused: u32,
}

/// Where one file is in flight. While `stage` is not `Free` the kernel may write to `buffer`.
struct Place {
    stage: Stage,
    index: usize,
    trust: Trust,
    filled: usize,
    /// A given file; a listed one is in the ring's table.
    file: Option<OwnedFd>,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Free,
    Opening,
    Reading,
}

/// What a completion asks for.
enum Next {
    Read,
    Done,
    /// Out of the ordinary: for [`Openat`].
    Leave,
}

impl std::fmt::Debug for Uring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let depth = self.ring.as_ref().map(|ring| ring.places.len());
        f.debug_struct("Uring").field("depth", &depth).finish_non_exhaustive()
    }
}

impl Uring {
    /// A reader that hands over files of at most `small_max` bytes and keeps up to `depth` files
    /// (1 to 4096, [`DEPTH`](super::DEPTH) is a good one) in flight; fewer where `RLIMIT_NOFILE`
    /// is lower, because the kernel bounds the ring's table by it.
    ///
    /// # Errors
    /// When the kernel is too old (before 5.15), has `io_uring` switched off, a seccomp filter
    /// refuses it or no memory may be locked for it; the error is a sentence that says so.
    pub fn new(small_max: usize, depth: u32) -> io::Result<Self> {
        let ring = Ring::new(small_max, depth.clamp(1, DEPTH_MAX))?;
        Ok(Self {
            ring: Some(ring),
            careful: Openat::new(small_max),
            left: Vec::new(),
            not_send: PhantomData,
        })
    }

    /// Reads a range of files, in any order, and calls `visitor` once for each, as long as it wants more.
    pub fn read_all(&mut self, files: Files<'_>, range: Range<usize>, visitor: &mut impl Visitor) {
        if self.ring.is_none() {
            return self.careful.read_all(files, range, visitor);
        }
        self.left.clear(); // a visitor that panicked may have left some
        let flight = Flight(&mut self.ring);
        if let Some(ring) = &mut *flight.0 {
            ring.run(files, range, visitor, &mut self.left);
        }
        drop(flight);
        let Files { dir, names, trust } = files;
        for index in self.left.drain(..) {
            let manner = Manner::suspicious(trust);
            self.careful.read_one(dir, names.get(index), manner, index, visitor);
            if !visitor.goes_on() {
                break;
            }
        }
    }
}

/// Leaves no request in flight, on every way out, a panic of the visitor included.
struct Flight<'a>(&'a mut Option<Ring>);

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let Some(ring) = self.0 else { return };
        if ring.drain().and_then(|()| ring.clear()).is_err() {
            // The kernel may still write to the buffers: they must stay where they are, for ever.
            mem::forget(self.0.take());
        }
    }
}

impl Ring {
    fn new(small_max: usize, mut depth: u32) -> io::Result<Self> {
        let io = build(2 * depth)?; // a request of each place, and one to cancel it
        let params = io.params();
        let known = params.is_feature_ext_arg()
            && params.is_feature_submit_stable()
            && params.is_feature_nodrop();
        let mut probe = Probe::new();
        let codes = [opcode::OpenAt::CODE, opcode::Read::CODE, opcode::AsyncCancel::CODE];
        io.submitter().register_probe(&mut probe).map_err(|error| said(OLD, &error))?;
        if !known || !codes.iter().all(|&code| probe.is_supported(code)) {
            return Err(said(OLD, &Errno::ENOSYS.into()));
        }
        while let Err(error) = table(&io, depth) {
            // The table may not be larger than RLIMIT_NOFILE, though it takes no descriptors.
            if error.raw_os_error() != Some(Errno::EMFILE as i32) || depth == 1 {
                return Err(said("the kernel gives no file table to its io_uring", &error));
            }
            depth /= 2;
        }
        // A kernel that does not know this (before 5.15) fails the trial below.
        let _ = io.submitter().register_iowq_max_workers(&mut [depth.min(WORKERS_MAX), 0]);
        let size = SLACK + small_max + 1;
        let places = (0..depth).map(|_| Place {
            stage: Stage::Free,
            index: 0,
            trust: Trust::Listed,
            filled: 0,
            file: None,
            buffer: vec![0; size],
        });
        let places = places.collect();
        let mut ring = Self { io, places, small_max, busy: 0, cancels: 0, refused: 0 };
        ring.trial().map_err(|error| said(OLD, &error))?;
        Ok(ring)
    }

    /// Opens the root directory into the table: whether the kernel knows direct descriptors.
    fn trial(&mut self) -> io::Result<()> {
        let slot = DestinationSlot::try_from_slot_target(0).ok();
        let flags = Manner::new(Trust::Listed).direct_flags();
        let entry = opcode::OpenAt::new(Fd(nix::libc::AT_FDCWD), c"/".as_ptr())
            .file_index(slot)
            .flags(flags)
            .build();
        // SAFETY: the path is a constant, and the request writes nowhere.
        unsafe { self.io.submission().push(&entry) }.expect("an empty queue");
        let result = loop {
            match self.io.submit_and_wait(1) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
                Ok(_) => {}
            }
            if let Some(event) = self.io.completion().next() {
                break event.result();
            }
        };
        if result < 0 {
            return Err(io::Error::from_raw_os_error(-result));
        }
        self.clear()
    }

    /// Reads everything; what is out of the ordinary, or not done when the ring fails, is `left`.
    fn run(
        &mut self,
        files: Files<'_>,
        range: Range<usize>,
        visitor: &mut impl Visitor,
        left: &mut Vec<usize>,
    ) {
        let mut todo = files.walk(range.clone());
        let mut queue = self.io.submission();
        for (at, place) in (0..).zip(&mut self.places) {
            let Some((index, name)) = begin(&mut todo, visitor) else { break };
            push(&mut queue, &place.open(at, index, name, files), at);
            self.busy += 1;
        }
        drop(queue);
        while self.busy > 0 {
            if self.enter().is_err() {
                left.extend(self.places.iter().filter_map(Place::under_way));
                left.extend(todo.map(|(index, _)| index));
                return;
            }
            let (_, mut queue, mut events) = self.io.split();
            for event in &mut events {
                if event.user_data() == CANCEL {
                    self.cancels -= 1;
                    continue;
                }
                let at = u32::try_from(event.user_data()).expect("the number of a place");
                let place = &mut self.places[to_usize(at.into())];
                self.busy -= 1;
                let entry = match place.landed(event.result(), self.small_max, visitor) {
                    Next::Read => place.read(at),
                    next => {
                        place.file = None;
                        if let Next::Leave = next {
                            left.push(place.index);
                        }
                        let Some((index, name)) = begin(&mut todo, visitor) else { continue };
                        place.open(at, index, name, files)
                    }
                };
                push(&mut queue, &entry, at);
                self.busy += 1;
            }
        }
    }

    /// Hands the queue to the kernel and waits for a completion, or for nothing to happen.
    ///
    /// # Errors
    /// When the ring is of no use any more.
    fn enter(&mut self) -> io::Result<()> {
        let patience = SubmitArgs::new().timespec(&PATIENCE);
        let Err(error) = self.io.submitter().submit_with_args(1, &patience) else {
            self.refused = 0;
            return Ok(());
        };
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EINTR) => Ok(()),
            Some(Errno::ETIME) => {
                self.cancel_reads();
                Ok(())
            }
            Some(Errno::EAGAIN | Errno::EBUSY) if self.refused < STUBBORN => {
                self.refused += 1;
                std::thread::yield_now();
                Ok(())
            }
            _ => Err(error),
        }
    }

    /// Asks the kernel to give up the reads that are under way. A read of a slow disk is not
    /// interrupted by that, one of a FIFO or a terminal is; what comes back cancelled is left to
    /// [`Openat`], so that cancelling too much costs time and nothing else.
    fn cancel_reads(&mut self) {
        if self.cancels > 0 {
            return;
        }
        let mut queue = self.io.submission();
        for (at, place) in (0_u64..).zip(&self.places) {
            if place.stage == Stage::Reading {
                let entry = opcode::AsyncCancel::new(at).build().user_data(CANCEL);
                // SAFETY: the request has no pointers.
                unsafe { queue.push(&entry) }.expect("a queue of twice the depth");
                self.cancels += 1;
            }
        }
    }

    /// Waits for all that is in flight and forgets it.
    fn drain(&mut self) -> io::Result<()> {
        while self.busy > 0 {
            self.enter()?;
            for event in self.io.completion() {
                if event.user_data() == CANCEL {
                    self.cancels -= 1;
                    continue;
                }
                self.busy -= 1;
                self.places[to_usize(event.user_data())].abandon(event.result());
            }
        }
        Ok(())
    }

    /// Closes what is open in the ring's table, and the given file of a visitor that panicked.
    fn clear(&mut self) -> io::Result<()> {
        self.places.iter_mut().for_each(|place| place.file = None);
        self.io.submitter().register_files_update(0, &vec![-1; self.places.len()]).map(drop)
    }
}

impl Place {
    /// The request that opens a file here. `at` is the number of this place.
    fn open(&mut self, at: u32, index: usize, name: &CStr, files: Files<'_>) -> squeue::Entry {
        self.stage = Stage::Opening;
        self.index = index;
        self.trust = files.trust;
        self.filled = 0;
        let manner = Manner::new(files.trust);
        let open = opcode::OpenAt::new(Fd(files.dir.as_raw_fd()), name.as_ptr());
        match files.trust {
            Trust::Given => open.flags(manner.flags().bits()).build(),
            Trust::Listed => open
                .file_index(DestinationSlot::try_from_slot_target(at).ok())
                .flags(manner.direct_flags())
                .build(),
        }
    }

    /// The request that reads on in the file that is open here.
    fn read(&mut self, at: u32) -> squeue::Entry {
        self.stage = Stage::Reading;
        let room = &mut self.buffer[SLACK + self.filled..];
        let (start, offset) = (room.as_mut_ptr(), to_u64(self.filled));
        let length = u32::try_from(room.len()).unwrap_or(u32::MAX);
        match &self.file {
            Some(file) => opcode::Read::new(Fd(file.as_raw_fd()), start, length),
            None => opcode::Read::new(Fixed(at), start, length),
        }
        .offset(offset)
        .build()
    }

    /// What to do after the request of this place came back with `result`.
    fn landed(&mut self, result: i32, small_max: usize, visitor: &mut impl Visitor) -> Next {
        let stage = mem::replace(&mut self.stage, Stage::Free);
        let Ok(size) = usize::try_from(result) else { return Next::Leave };
        if stage == Stage::Opening {
            if self.trust == Trust::Given {
                let file = take(result);
                match regular_size(&file) {
                    Err(problem) => visitor.failed(self.index, problem),
                    Ok(size) if size > to_u64(small_max) => visitor.large(self.index, size),
                    Ok(_) => {
                        self.file = Some(file);
                        return Next::Read;
                    }
                }
                return Next::Done;
            }
            return Next::Read;
        }
        self.filled += size;
        if self.filled > small_max || (self.filled == 0 && self.trust == Trust::Listed) {
            return Next::Leave;
        }
        if size > 0 {
            return Next::Read;
        }
        visitor.small(self.index, &self.buffer[..SLACK + self.filled], SLACK);
        Next::Done
    }

    /// Forgets the file of this place, whose request came back with `result`.
    fn abandon(&mut self, result: i32) {
        let stage = mem::replace(&mut self.stage, Stage::Free);
        if stage == Stage::Opening && self.trust == Trust::Given && result >= 0 {
            drop(take(result));
        }
        self.file = None;
    }

    fn under_way(&self) -> Option<usize> {
        (self.stage != Stage::Free).then_some(self.index)
    }
}

/// The next file, if there is one and the visitor wants it.
fn begin<T>(todo: &mut impl Iterator<Item = T>, visitor: &mut impl Visitor) -> Option<T> {
    let file = todo.next()?;
    visitor.goes_on().then_some(file)
}

/// Queues the request of place `at`.
fn push(queue: &mut squeue::SubmissionQueue<'_>, entry: &squeue::Entry, at: u32) {
    let entry = entry.clone().user_data(at.into());
    // SAFETY: a path points into `Names`, which the caller of `read_all` keeps; the kernel copies
    // it when it takes the entry (FEAT_SUBMIT_STABLE). A buffer belongs to its place, which is not
    // touched before the request came back, and outlives it: `Flight` drains the ring on every way
    // out of `read_all`, or forgets it together with the buffers.
    unsafe { queue.push(&entry) }.expect("a queue of twice the depth");
}

/// The descriptor that a request to open came back with.
fn take(result: RawFd) -> OwnedFd {
    // SAFETY: the kernel has just opened it for this request, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(result) }
}

const OLD: &str = "the kernel's io_uring cannot open files into its own table (5.15 can)";

fn said(sentence: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{sentence}: {error}"))
}

/// Gives the ring a table for `depth` open files, all places empty.
fn table(io: &IoUring, depth: u32) -> io::Result<()> {
    let submitter = io.submitter();
    let sparse = submitter.register_files_sparse(depth); // 5.19
    sparse.or_else(|_| submitter.register_files(&vec![-1; to_usize(depth.into())]))
}

/// A ring of `entries` places in its queue, with as many of the faster modes as the kernel knows.
fn build(entries: u32) -> io::Result<IoUring> {
    let mut result = Err(io::ErrorKind::InvalidInput.into());
    for level in (0..3).rev() {
        let mut builder = IoUring::builder();
        match level {
            2 => builder.setup_single_issuer().setup_defer_taskrun(), // 6.1
            1 => builder.setup_coop_taskrun(),                        // 5.19
            _ => &mut builder,
        };
        result = builder.build(entries);
        if !matches!(&result, Err(error) if error.kind() == io::ErrorKind::InvalidInput) {
            break;
        }
    }
    result.map_err(|error| {
        let sentence = match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOSYS) => "the kernel has no io_uring",
            Some(Errno::EPERM | Errno::EACCES) => {
                "the system forbids io_uring (kernel.io_uring_disabled, or a seccomp filter)"
            }
            Some(Errno::ENOMEM) => "no memory may be locked for an io_uring (RLIMIT_MEMLOCK)",
            Some(Errno::EMFILE | Errno::ENFILE) => "no descriptor is left for an io_uring",
            _ => "the kernel refuses an io_uring",
        };
        said(sentence, &error)
    })
}
