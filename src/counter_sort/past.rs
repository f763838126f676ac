//! What an earlier run counted must be as it was then, for it is not read again.
//!
//! A file has not changed when its size adds up and its times lie before the moment at which the run that
//! counted it began, by the clock of the checkpoints' file system. That costs a look at each file, a small
//! part of reading it. A file whose times were set back after a change of equal size would still show its
//! change by the time of its inode, which cannot be set. Where clocks of file systems differ, a file that was
//! made just before the run can be refused, and a change just after it began can go unseen.

use std::ffi::CStr;
use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::fcntl::AtFlags;
use nix::sys::stat::{FileStat, SFlag, fstatat};

use crate::partition::Ranges;
use crate::store::again;
use crate::store::checkpoint::Moment;
use crate::store::files::Trust;

/// What is known of the files that earlier runs had.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// When each run began, and the places of the files that it counted.
    pub runs: Vec<(Moment, Ranges)>,
    /// Places of those of them that could not be read.
    pub unread: Ranges,
}

impl Past {
    /// The places of all.
    pub fn places(&self) -> Ranges {
        self.runs.iter().flat_map(|(_, places)| places.iter()).collect()
    }

    /// The bytes of a file that was counted, or why it is not what it was.
    ///
    /// # Errors
    /// Words that follow the file's name.
    pub fn look(
        &self,
        at: BorrowedFd<'_>,
        name: &CStr,
        trust: Trust,
        place: u64,
    ) -> Result<u64, String> {
        let mut flags = AtFlags::empty();
        flags.set(AtFlags::AT_SYMLINK_NOFOLLOW, trust == Trust::Listed);
        let regular = |meta: &FileStat| {
            SFlag::from_bits_truncate(meta.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
        };
        match (again(|| fstatat(at, name, flags)), self.unread.contains(place)) {
            (Ok(meta), was_unread) if regular(&meta) => {
                let changed = (meta.st_mtime, meta.st_mtime_nsec);
                let run = self.runs.iter().find(|(_, places)| places.contains(place));
                let last = changed.max((meta.st_ctime, meta.st_ctime_nsec));
                if run.is_none_or(|(since, _)| last > *since) {
                    return Err("it has changed since it was counted".into());
                }
                Ok(if was_unread { 0 } else { u64::try_from(meta.st_size).unwrap_or(0) })
            }
            (_, true) => Ok(0),
            (Ok(_), false) => Err("it is no regular file any more".into()),
            (Err(Errno::ENOENT), false) => Err("it is gone".into()),
            (Err(cause), false) => {
                Err(format!("it cannot be looked at: {}", std::io::Error::from(cause)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_changed_file_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let other = dir.path().join("clock");
        let now = || {
            use std::os::unix::fs::MetadataExt;
            std::fs::write(&other, "").unwrap();
            let meta = std::fs::metadata(&other).unwrap();
            (meta.ctime(), meta.ctime_nsec())
        };
        let open = std::fs::File::open(dir.path()).unwrap();
        let look = |since, unread: Ranges| {
            let runs = vec![((0, 0), (0..7).into()), (since, (7..9).into())];
            Past { runs, unread }.look(open.as_fd(), c"a", Trust::Listed, 7)
        };
        std::fs::write(&path, "123").unwrap();
        let since = now();
        assert_eq!(look(since, Ranges::default()), Ok(3));
        assert_eq!(look(since, (7..8).into()), Ok(0), "what was not read counts nothing");
        let tick = Duration::from_millis(30);
        std::thread::sleep(tick);
        let told = Err("it has changed since it was counted".to_owned());
        // Of equal size, and its time set back.
        std::fs::write(&path, "456").unwrap();
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(look(since, Ranges::default()), told);
        assert_eq!(look(since, (7..8).into()), told, "it can be read now, perhaps");
        assert_eq!(look(now(), Ranges::default()), Ok(3));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(look(since, Ranges::default()), Err("it is gone".into()));
        assert_eq!(look(since, (0..9).into()), Ok(0));
        std::fs::create_dir(&path).unwrap();
        assert_eq!(look(since, Ranges::default()), Err("it is no regular file any more".into()));
    }
}
