//! Files: written beside their target, checked, then published.
//!
//! A file comes into being in four steps (`part.rs`): root makes a part file beside the target and
//! reserves its size; every rank writes its own ranges with `pwrite`; checksums of what was meant
//! are compared with what is read back; fsync and rename. No collective I/O library stands between
//! the bytes and the error code of the system call, because those were seen to lose data in
//! silence on a full disk. The price is that layouts must be known as byte offsets: `png.rs` and
//! `hdf5.rs` provide them.

#![allow(unsafe_code)]

pub mod checkpoint;
pub mod cleanup;
pub mod columns_file;
pub mod crc;
mod disk;
pub mod files;
pub mod grid_file;
pub mod hdf5;
mod kept;
mod leftovers;
pub mod listing;
pub mod part;
pub mod part_dir;
pub mod part_files;
pub mod pieces;
pub mod png;
pub mod png_file;
mod publish;
pub mod target;
pub mod whole_file;

pub use disk::reserve;

/// Repeats a system call as long as signals interrupt it.
///
/// # Errors
/// What else the call fails with.
#[inline]
pub fn again<T>(mut call: impl FnMut() -> nix::Result<T>) -> nix::Result<T> {
    loop {
        match call() {
            Err(nix::errno::Errno::EINTR) => {}
            other => return other,
        }
    }
}

pub use disk::unless_stopped;

/// HDF5 locks the files that it makes, unless the user decided. dcomp holds its own locks on them, which are
/// the same ones on a network file system, and HDF5 would find its file locked. Called once, before any
/// thread starts.
pub fn keep_locks_apart() {
    const VARIABLE: &str = "HDF5_USE_FILE_LOCKING";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: no thread has been started yet, so nobody reads the environment now.
        unsafe { std::env::set_var(VARIABLE, "FALSE") };
    }
}

/// Makes a write beyond `ulimit -f` an error that names the file, instead of the process's death.
pub fn report_file_size_limit() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: ignoring a signal installs no handler that could run.
    let ignored = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
    debug_assert!(ignored.is_ok(), "SIGXFSZ can be ignored");
}
