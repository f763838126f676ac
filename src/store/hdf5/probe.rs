//! A first look at an HDF5 file by a process of its own, which may die of it.
//!
//! A damaged or hostile header makes the C library loop without end or end the process: with 1.10.8 in
//! 43 of 2946 runs on files of which a few bytes were changed. So a child opens the file first, reads its
//! attributes and describes its datasets; what the parent then does is the same once more. Costs a fork and
//! a millisecond for each file of a process. Data in chunks are read without such a guard, so HDF5 input
//! stays something for files that one trusts.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ::hdf5::{File, Group};
use nix::libc;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

use super::Hdf5Error;
use super::reader::attributes_of;

/// Processor time that describing a file may take; a sound one takes a thousandth.
const CPU: Duration = Duration::from_millis(250);

/// Time on the clock, for a disk that is asleep.
const WALL: Duration = Duration::from_secs(60);

/// What the child's new memory is full of. The library frees what it never set after some errors, which goes
/// well or not as memory happens to be; here it never does.
const GARBAGE: libc::c_int = 0xA5;

/// Groups that are opened, one in the other.
const DEPTH_MAX: u32 = 16;

/// Datasets that are described: those of our files, and of most others.
const DATASETS_MAX: u32 = 1000;

/// A file: path, inode, length, and the time of its last change in seconds and nanoseconds.
type Version = (PathBuf, u64, u64, i64, i64);

/// Lets a child open a file, once for each version of it. Files that HDF5 refuses in good order pass:
/// the caller gets its words.
///
/// # Errors
/// When the child died or did not come to an end.
pub(super) fn survives(path: &Path) -> Result<(), Hdf5Error> {
    static SEEN: Mutex<BTreeSet<Version>> = Mutex::new(BTreeSet::new());
    let meta = std::fs::metadata(path)
        .map_err(|source| Hdf5Error::Io { path: path.to_owned(), source })?;
    let version: Version =
        (path.to_owned(), meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec());
    let mut seen = SEEN.lock().expect("no panic while it is held");
    if seen.contains(&version) {
        return Ok(());
    }
    let problem = match try_out(path) {
        Some(WaitStatus::Signaled(_, Signal::SIGPROF | Signal::SIGKILL, _)) => {
            "the HDF5 library comes to no end with it; the file is damaged".to_owned()
        }
        Some(WaitStatus::Signaled(_, signal, _)) => {
            format!("the HDF5 library dies of it ({signal}); the file is damaged")
        }
        // Looked at, or no process to be had for it.
        _ => {
            seen.insert(version);
            return Ok(());
        }
    };
    Err(Hdf5Error::Content { path: path.to_owned(), problem })
}

/// How a child ends that describes a file; `None` when there is none.
fn try_out(path: &Path) -> Option<WaitStatus> {
    // SAFETY: the child uses the heap and HDF5's lock, which no other thread holds: this thread alone
    // calls HDF5, and the C library makes its heap usable after a fork. It never returns from here.
    match unsafe { fork() }.ok()? {
        ForkResult::Child => describe_and_exit(path),
        ForkResult::Parent { child } => wait(child),
    }
}

fn describe_and_exit(path: &Path) -> ! {
    // The parent's hook would end all ranks.
    std::panic::set_hook(Box::new(|_| leave()));
    setrlimit(Resource::RLIMIT_CORE, 0, 0).ok();
    let micros = libc::suseconds_t::from(i32::try_from(CPU.as_micros()).unwrap_or(i32::MAX));
    let interval = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let value = libc::timeval { tv_sec: 0, tv_usec: micros };
    let timer = libc::itimerval { it_interval: interval, it_value: value };
    // SAFETY: calls on this process alone, which has one thread; the structures outlive them. What dying
    // of a damaged heap prints is nobody's concern.
    unsafe {
        for signal in [libc::SIGPROF, libc::SIGABRT, libc::SIGSEGV, libc::SIGBUS] {
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::mallopt(libc::M_PERTURB, GARBAGE);
        libc::setitimer(libc::ITIMER_PROF, &raw const timer, std::ptr::null_mut());
        let null = libc::open(c"/dev/null".as_ptr(), libc::O_WRONLY);
        libc::dup2(null, 1);
        libc::dup2(null, 2);
    }
    describe(path).ok();
    leave()
}

/// Without the parent's handlers at exit.
fn leave() -> ! {
    // SAFETY: ends the process, whatever state it is in.
    unsafe { libc::_exit(0) }
}

/// Everything that readers of a file ask for but its numbers.
fn describe(path: &Path) -> ::hdf5::Result<()> {
    let file = File::open(path)?;
    attributes_of(path, &file).ok();
    let mut left = DATASETS_MAX;
    describe_group(&file, DEPTH_MAX, &mut left)
}

fn describe_group(group: &Group, depth: u32, left: &mut u32) -> ::hdf5::Result<()> {
    for name in group.member_names()? {
        if *left == 0 {
            break;
        }
        *left -= 1;
        if let Ok(dataset) = group.dataset(&name) {
            dataset.dtype().and_then(|kind| kind.to_descriptor()).ok();
            let _ = (dataset.shape(), dataset.layout(), dataset.offset(), dataset.chunk());
        } else if let (Ok(inner), 1..) = (group.group(&name), depth) {
            describe_group(&inner, depth - 1, left).ok();
        }
    }
    Ok(())
}

fn wait(child: Pid) -> Option<WaitStatus> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(100);
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) if start.elapsed() > WALL => {
                kill(child, Signal::SIGKILL).ok();
                return waitpid(child, None).ok();
            }
            Ok(WaitStatus::StillAlive) => {
                std::thread::sleep(pause);
                pause = (2 * pause).min(Duration::from_millis(20));
            }
            Err(nix::errno::Errno::EINTR) => {}
            ended => return ended.ok(),
        }
    }
}
