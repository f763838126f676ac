//! The list of files, made by root a batch at a time.
//!
//! Directories are walked depth first and links in them are not followed; what is read of a
//! directory goes out with the next batch, so root never holds more than a batch and the
//! directories still to be read. The price: one rank reads all directories, at some millions of
//! names a second on a warm disk, which a few hundred ranks that read files would outrun. While the
//! others read a batch, root lists the next one.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::dir::{Dir, OwningIter, Type};
use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use super::batch::{Batch, Group};
use super::refused::{Refused, Unread};
use super::spec::Spec;
use crate::error::{Error, Result};
use crate::num::to_u64;
use crate::store::again;
use crate::store::files::{Names, Trust};

/// Where names still come from.
enum Source {
    /// A directory, the number of the input that it belongs to, and whether it may be a link.
    Directory(PathBuf, u32, bool),
    /// A file that the user named.
    File(Vec<u8>, u32),
    /// A list of names, ended by this byte.
    List(Box<dyn BufRead>, PathBuf, u8, u32),
}

/// A directory that is being read, and the directories found in it.
struct Open {
    entries: OwningIter,
    path: PathBuf,
    source: u32,
    below: Vec<PathBuf>,
}

/// Lists the inputs.
pub struct Lister {
    sources: VecDeque<Source>,
    open: Option<Open>,
    /// Device and inode of outputs that exist and will be replaced: no input may be one of them.
    replaced: Vec<(u64, u64)>,
    /// Links that were not followed.
    pub links: u64,
    /// What could not be read or is no file.
    pub unread: Unread,
}

/// Names that are listed before it is asked again whether more are wanted.
const AT_ONCE: usize = 4096;

/// Longest path that Linux takes, and so the longest name in a list.
const NAME_MAX: u64 = 4096;

impl Lister {
    /// Looks at the inputs, without reading directories. Templates are not its business.
    ///
    /// # Errors
    /// When a list cannot be opened.
    pub fn new(spec: &Spec) -> Result<Self> {
        let outputs = [Some(&spec.output), spec.counts.as_ref()];
        let identity =
            |path: &PathBuf| std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
        let mut lister = Self {
            sources: VecDeque::new(),
            open: None,
            replaced: outputs.into_iter().flatten().filter_map(identity).collect(),
            links: 0,
            unread: Unread::default(),
        };
        if spec.name.is_none() {
            for (source, word) in (0..).zip(&spec.input) {
                lister.add(word, source);
            }
        }
        if let Some(list) = &spec.files_from {
            let source = u32::try_from(spec.input.len()).unwrap_or(u32::MAX);
            lister.sources.push_back(open_list(list, source)?);
        }
        Ok(lister)
    }

    fn add(&mut self, word: &str, source: u32) {
        let path = Path::new(word);
        match std::fs::metadata(path) {
            Ok(meta) if meta.is_dir() => {
                self.sources.push_back(Source::Directory(path.into(), source, true));
            }
            // What is no regular file is found when it is opened.
            Ok(_) => self.sources.push_back(Source::File(word.into(), source)),
            Err(cause) => self.unread.push(Refused::file(word.into(), &cause)),
        }
    }

    /// Whether everything has been listed.
    pub fn is_done(&self) -> bool {
        self.open.is_none() && self.sources.is_empty()
    }

    /// The next files, at most `most`; fewer only at the end, or when it does not go on any more, which is
    /// asked now and then.
    ///
    /// # Errors
    /// When a list of names cannot be read.
    pub fn next(&mut self, most: usize, goes_on: &dyn Fn() -> bool) -> Result<Batch> {
        let mut batch = Batch::default();
        let mut room = most;
        while room > 0 {
            if self.open.is_some() {
                self.walk(&mut room, &mut batch);
                if !goes_on() {
                    break;
                }
                continue;
            }
            match self.sources.pop_front() {
                None => break,
                Some(Source::Directory(path, source, follow)) => self.enter(path, source, follow),
                Some(Source::File(name, source)) => {
                    given(&mut batch, &name, source)?;
                    room -= 1;
                }
                Some(Source::List(mut list, path, end, source)) => {
                    let before = batch.groups.len().saturating_sub(1);
                    let some = room.min(AT_ONCE);
                    let taken = take(&mut list, &path, end, (source, some), &mut batch)?;
                    self.spare_inputs(&batch.groups[before..])?;
                    if taken == some {
                        self.sources.push_front(Source::List(list, path, end, source));
                    }
                    room -= taken;
                    if !goes_on() {
                        break;
                    }
                }
            }
        }
        Ok(batch)
    }

    /// Reads on in the open directory. Those below come after all its files, however it is cut into batches:
    /// the order of the list must not depend on the number of ranks.
    fn walk(&mut self, room: &mut usize, batch: &mut Batch) {
        let Some(open) = &mut self.open else { return };
        let mut names = Names::new();
        let is_end =
            walk(open, (*room).min(AT_ONCE), &mut names, &mut self.links, &mut self.unread);
        *room -= names.len();
        if !names.is_empty() {
            let directory = open.path.as_os_str().as_bytes().to_vec();
            batch.groups.push(Group::new(directory, Trust::Listed, open.source, names));
        }
        if is_end && let Some(Open { below, source, .. }) = self.open.take() {
            for path in below.into_iter().rev() {
                self.sources.push_front(Source::Directory(path, source, false));
            }
        }
    }

    /// Refuses names of a list that are outputs. They are looked at only when an output exists.
    fn spare_inputs(&self, groups: &[Group]) -> Result<()> {
        if self.replaced.is_empty() {
            return Ok(());
        }
        for (group, index) in groups.iter().flat_map(|g| (0..g.names.len()).map(move |i| (g, i))) {
            let path = PathBuf::from(OsStr::from_bytes(&group.path(index)));
            let meta = std::fs::metadata(&path).ok();
            if meta.is_some_and(|meta| self.replaced.contains(&(meta.dev(), meta.ino()))) {
                return Err(Error::usage(format!(
                    "{} is in the list and is an output too; write the output elsewhere",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    fn enter(&mut self, path: PathBuf, source: u32, follow: bool) {
        // A link that the user named is followed, as `find -H` does. Below, names that are links do not
        // come here, and one that has taken a directory's place since is refused.
        let mut flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        flags.set(OFlag::O_NOFOLLOW, !follow);
        match again(|| Dir::open(&path, flags, Mode::empty())) {
            Ok(dir) => {
                let (entries, below) = (dir.into_iter(), Vec::new());
                self.open = Some(Open { entries, path, source, below });
            }
            Err(cause) => {
                let name = path.as_os_str().as_bytes().to_vec();
                self.unread.push(Refused::file(name, &cause.into()));
            }
        }
    }
}

/// Takes at most `room` names from a list; returns how many.
fn take(
    list: &mut Box<dyn BufRead>,
    path: &Path,
    end: u8,
    (source, room): (u32, usize),
    batch: &mut Batch,
) -> Result<usize> {
    let mut taken = 0;
    let mut name = Vec::new();
    while taken < room {
        name.clear();
        let read = list.take(NAME_MAX + 1).read_until(end, &mut name);
        let bytes = read.map_err(|cause| Error::io("read the list", path, &cause))?;
        if bytes == 0 {
            break;
        }
        if name.last() == Some(&end) {
            name.pop();
        } else if name.len() > 4096 {
            return Err(Error::bad_input(format!(
                "{}: a name of more than {NAME_MAX} bytes; is it a list of names, one a line or \
                 each ended by NUL?",
                path.display()
            )));
        }
        if name.is_empty() {
            continue;
        }
        given(batch, &name, source)?;
        taken += 1;
    }
    Ok(taken)
}

/// Adds a file that a user named to the last group, when that is of the same kind.
fn given(batch: &mut Batch, name: &[u8], source: u32) -> Result<()> {
    let fits = |group: &Group| {
        group.trust == Trust::Given && group.directory.is_empty() && group.source == source
    };
    if !batch.groups.last().is_some_and(fits) {
        let names = Names::new();
        batch.groups.push(Group::new(Vec::new(), Trust::Given, source, names));
    }
    let group = batch.groups.last_mut().expect("pushed if there was none");
    group.names.push(name).map_err(|_| {
        Error::bad_input(format!(
            "{}: a NUL inside a name; end all names of a list by NUL, or all by line feeds",
            name.escape_ascii()
        ))
    })
}

/// Reads at most `room` files of a directory; whether that was its end.
fn walk(
    Open { entries, path, below, .. }: &mut Open,
    room: usize,
    names: &mut Names,
    links: &mut u64,
    unread: &mut Unread,
) -> bool {
    while names.len() < room {
        let entry = match entries.next() {
            None => return true,
            Some(Ok(entry)) => entry,
            Some(Err(cause)) => {
                unread.push(Refused::file(path.as_os_str().as_bytes().to_vec(), &cause.into()));
                return true;
            }
        };
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        let full = || path.join(OsStr::from_bytes(name));
        match entry.file_type().or_else(|| type_of(&full())) {
            Some(Type::File) => names.push(name).expect("the system's names have no NUL"),
            Some(Type::Directory) => below.push(full()),
            Some(Type::Symlink) => *links += 1,
            other => {
                let kind = match other {
                    Some(Type::Fifo) => "a FIFO",
                    Some(Type::Socket) => "a socket",
                    Some(Type::CharacterDevice) => "a character device",
                    Some(Type::BlockDevice) => "a block device",
                    _ => "of an unknown kind",
                };
                let name = full().into_os_string().as_bytes().to_vec();
                unread.push(Refused::not_regular(name, kind));
            }
        }
    }
    false
}

/// For file systems that do not tell the type with the name.
fn type_of(path: &Path) -> Option<Type> {
    use std::os::unix::fs::FileTypeExt;
    let kind = std::fs::symlink_metadata(path).ok()?.file_type();
    Some(match kind {
        _ if kind.is_file() => Type::File,
        _ if kind.is_dir() => Type::Directory,
        _ if kind.is_symlink() => Type::Symlink,
        _ if kind.is_fifo() => Type::Fifo,
        _ if kind.is_socket() => Type::Socket,
        _ if kind.is_char_device() => Type::CharacterDevice,
        _ => Type::BlockDevice,
    })
}

/// Opens a list and looks whether its names end with NUL: no name contains one, and a name is shorter
/// than the buffer.
fn open_list(list: &str, source: u32) -> Result<Source> {
    let path = PathBuf::from(if list == "-" { "standard input" } else { list });
    let from: Box<dyn Read> = if list == "-" {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(list).map_err(|cause| Error::io("open the list", &path, &cause))?)
    };
    // A pipe may bring a part of the first name: look until its end is seen.
    let (mut head, mut from) = (Vec::new(), from);
    let ended = |head: &[u8]| head.iter().any(|&byte| byte == 0 || byte == b'\n');
    while !ended(&head) && to_u64(head.len()) <= NAME_MAX {
        let mut piece = [0; 4096];
        match from.read(&mut piece) {
            Ok(0) => break,
            Ok(bytes) => head.extend_from_slice(&piece[..bytes]),
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) => return Err(Error::io("read the list", &path, &cause)),
        }
    }
    // Whichever comes first ends the names: in a list ended by NUL a name may hold a line feed, but a
    // name of a list of lines never holds a NUL.
    let end = if head.contains(&0) { 0 } else { b'\n' };
    let reader = Box::new(BufReader::with_capacity(1 << 16, Cursor::new(head).chain(from)));
    Ok(Source::List(reader, path, end, source))
}
