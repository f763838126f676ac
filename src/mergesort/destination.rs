//! Where sorted items go: one file, or a file a rank.
//!
//! All are filled alike: [`create`](Destination::create), [`reserve`](Destination::reserve) once the bytes
//! of all ranks are known, [`begin`](Destination::begin) once this rank's are, then positioned writes by any
//! thread from the offset that `begin` told, [`note_all`](Destination::note_all) of what was written, and
//! `verify`, `sync`, `publish`. Only `begin` knows whether ranks share a file.

use super::spec::Spec;
use crate::comm::Op;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::measure::record::FileSum;
use crate::store::crc::Extent;
use crate::store::part::{PartFile, Writer};
use crate::store::part_files::PartFiles;
use crate::store::target::free_bytes;

/// An output while it is made.
pub struct Destination<'a> {
    context: &'a Context,
    spec: &'a Spec,
    place: Place<'a>,
}

enum Place<'a> {
    /// One file, which all ranks fill.
    File(PartFile<'a>),
    /// A directory, in which each rank fills a file.
    Parts(PartFiles<'a>),
}

impl<'a> Destination<'a> {
    /// Collective. Makes what the parameters ask for, under another name.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(context: &'a Context, spec: &'a Spec, force: bool) -> Result<Self> {
        let (comm, meter) = (&context.comm, &context.meter);
        let place = if spec.parts {
            Place::Parts(PartFiles::create(comm, meter, &spec.output)?)
        } else {
            Place::File(PartFile::create(comm, meter, &spec.output, force, |_| Ok(()))?)
        };
        Ok(Self { context, spec, place })
    }

    /// Collective. Finds room for the bytes of all ranks together, so that a full disk is found before the
    /// work. Once, before [`begin`](Self::begin).
    ///
    /// # Errors
    /// When there is none.
    pub fn reserve(&self, bytes: u64) -> Result<()> {
        match &self.place {
            Place::File(file) => file.reserve(bytes),
            Place::Parts(_) => self.context.comm.decide(|| self.has_room(bytes)),
        }
    }

    /// Which rank will have how many of the bytes is not known yet, so none are reserved.
    fn has_room(&self, bytes: u64) -> Result<()> {
        let output = &self.spec.output;
        if free_bytes(output).is_none_or(|free| bytes <= free) {
            return Ok(());
        }
        let full = nix::errno::Errno::ENOSPC.into();
        Err(Error::io(format!("reserve {bytes} bytes for"), output, &full))
    }

    /// Collective. Where this rank's bytes begin for its [`writer`](Self::writer), given how many they are.
    ///
    /// # Errors
    /// When there is no room for them.
    pub fn begin(&self, bytes: u64) -> Result<u64> {
        match &self.place {
            Place::File(_) => Ok(self.context.comm.exclusive_scan(bytes)),
            Place::Parts(files) => files.reserve(bytes).map(|()| 0),
        }
    }

    /// What any thread may write with.
    pub fn writer(&self) -> Writer<'_> {
        match &self.place {
            Place::File(file) => file.writer(),
            Place::Parts(files) => files.writer(),
        }
    }

    /// Remembers what was written. Local.
    pub fn note_all(&self, extents: impl IntoIterator<Item = Extent>) {
        match &self.place {
            Place::File(file) => file.note_all(extents),
            Place::Parts(files) => files.note_all(extents),
        }
    }

    /// Collective. Reads everything back; the whole output, and then the files it consists of if they are
    /// several.
    ///
    /// # Errors
    /// A verification error when anything differs from what was written.
    pub fn verify(&self) -> Result<Vec<FileSum>> {
        match &self.place {
            Place::File(file) => Ok(vec![file.verify()?]),
            Place::Parts(files) => files.verify(),
        }
    }

    /// Collective. Puts everything on the disk.
    ///
    /// # Errors
    /// When any rank cannot sync.
    pub fn sync(&self) -> Result<()> {
        match &self.place {
            Place::File(file) => file.sync(),
            Place::Parts(files) => files.sync(),
        }
    }

    /// Collective. Gives the output its name.
    ///
    /// # Errors
    /// When root cannot rename.
    pub fn publish(self) -> Result<()> {
        match self.place {
            Place::File(file) => file.publish().map(|_| ()),
            Place::Parts(files) => files.publish(),
        }
    }
}

/// Collective. The sum over all ranks.
pub fn total(context: &Context, bytes: u64) -> u64 {
    let mut sum = [bytes];
    context.comm.all_reduce(Op::Sum, &mut sum);
    sum[0]
}
