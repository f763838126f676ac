//! Where sorted items go: one file, a dataset in an HDF5 file, or a file a rank.
//!
//! All are filled alike: [`create`](Destination::create), [`reserve`](Destination::reserve) once the bytes
//! of all ranks are known, [`begin`](Destination::begin) once this rank's are, then positioned writes by any
//! thread from the offset that `begin` told, [`note_all`](Destination::note_all) of what was written, and
//! `verify`, `sync`, `publish`. Only `begin` knows whether ranks share a file.

use std::cell::OnceCell;
use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::dataset;
use super::spec::{Kind, Spec};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::measure::record::FileSum;
use crate::store::checkpoint::Kept;
use crate::store::columns_file::create_part;
use crate::store::crc::Extent;
use crate::store::hdf5::{NewNumbers, Value, create_numbers};
use crate::store::part::PartFile;
use crate::store::part_files::PartFiles;
use crate::store::pieces::Writer;
use crate::store::target::free_bytes;

/// An output of which some is written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct State {
    /// Bytes of its items.
    pub bytes: u64,
    /// Where they begin in an HDF5 file.
    first: Option<u64>,
}

impl State {
    /// Whether an output of at most so many bytes can be like this.
    pub fn fits(&self, spec: &Spec, most: u64) -> bool {
        let end = self.first.unwrap_or(0).checked_add(self.bytes);
        self.bytes <= most
            && self.first.is_some() == spec.dataset.is_some()
            && end.is_some_and(|end| i64::try_from(end).is_ok())
    }
}

/// An output while it is made.
pub struct Destination<'a> {
    context: &'a Context,
    spec: &'a Spec,
    force: bool,
    place: Place<'a>,
}

enum Place<'a> {
    /// One file, which all ranks fill.
    File(PartFile<'a>),
    /// An HDF5 file, which all ranks fill from this byte on; made when the number of keys is known.
    Hdf5(OnceCell<(PartFile<'a>, u64)>),
    /// A directory, in which each rank fills a file.
    Parts(PartFiles<'a>),
}

impl<'a> Destination<'a> {
    /// Collective. Makes what the parameters ask for, under another name.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(context: &'a Context, spec: &'a Spec, force: bool) -> Result<Self> {
        let place = if spec.parts {
            Place::Parts(PartFiles::create(context, &spec.output)?)
        } else if spec.dataset.is_some() {
            Place::Hdf5(OnceCell::new())
        } else {
            Place::File(PartFile::create(context, &spec.output, force, |_| Ok(()))?)
        };
        Ok(Self { context, spec, force, place })
    }

    /// Collective. Goes on with what an earlier run wrote, `extents` being the pieces of it that this rank
    /// answers for.
    ///
    /// # Errors
    /// As [`PartFile::resume`].
    pub fn resume(
        context: &'a Context,
        spec: &'a Spec,
        force: bool,
        (state, extents): (State, Vec<Extent>),
    ) -> Result<Self> {
        let part = PartFile::resume(context, &spec.output, force, extents)?;
        let place = match state.first {
            None => Place::File(part),
            Some(first) => Place::Hdf5(OnceCell::from((part, first))),
        };
        Ok(Self { context, spec, force, place })
    }

    /// Collective. Puts what was written on the disk; what a later run needs to go on with an output of so
    /// many bytes, if it can be gone on with: not with a file a rank, as ranks may be others then.
    ///
    /// # Errors
    /// When any rank cannot sync.
    pub fn keep(&self, bytes: u64) -> Result<Option<(State, Kept)>> {
        let (part, first) = match &self.place {
            Place::File(part) => (part, None),
            Place::Hdf5(made) => {
                let (part, first) = made.get().expect("reserved before");
                (part, Some(*first))
            }
            Place::Parts(_) => return Ok(None),
        };
        Ok(Some((State { bytes, first }, part.keep()?)))
    }

    /// Collective. Finds room for the bytes of all ranks together, so that a full disk is found before the
    /// work. Once, before [`begin`](Self::begin).
    ///
    /// # Errors
    /// When there is none.
    pub fn reserve(&self, bytes: u64) -> Result<()> {
        match &self.place {
            Place::File(file) => file.reserve(bytes),
            Place::Hdf5(made) => {
                let twice = made.set(self.make_dataset(bytes)?);
                assert!(twice.is_ok(), "reserved once");
                Ok(())
            }
            Place::Parts(_) => self.context.comm.decide(|| self.has_room(bytes)),
        }
    }

    /// Collective. An HDF5 file with everything but its keys, and where they begin.
    fn make_dataset(&self, bytes: u64) -> Result<(PartFile<'a>, u64)> {
        let Spec { output, dataset, kind, reverse, .. } = self.spec;
        let (Some(path), Kind::Key(key)) = (dataset, kind) else {
            return Err(Error::internal(format!("{kind} for {}", output.display())));
        };
        let number = dataset::number(*key);
        let order = if *reverse { "greatest to the least" } else { "least to the greatest" };
        let meaning = &format!("keys from the {order}");
        let source = format!("dcomp {} mergesort", env!("CARGO_PKG_VERSION"));
        let texts = [("title", Value::Text(meaning.clone())), ("source", Value::Text(source))];
        let new = NewNumbers { path, number, count: bytes / number.bytes(), meaning };
        let make = |file: &Path| create_numbers(file, &new, &texts);
        let (part, places) = create_part(self.context, output, self.force, make)?;
        Ok((part, places[0].1))
    }

    /// The file that all ranks fill, else the directory in which each has its own.
    fn shared(&self) -> std::result::Result<&PartFile<'a>, &PartFiles<'a>> {
        match &self.place {
            Place::File(file) => Ok(file),
            Place::Hdf5(made) => Ok(&made.get().expect("reserved before").0),
            Place::Parts(files) => Err(files),
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

    /// Collective. Where `bytes` of the whole output, this rank's own, begin for its
    /// [`writer`](Self::writer).
    ///
    /// # Errors
    /// When there is no room for them.
    pub fn begin(&self, bytes: Range<u64>) -> Result<u64> {
        match &self.place {
            Place::File(_) => Ok(bytes.start),
            Place::Hdf5(made) => Ok(made.get().expect("reserved before").1 + bytes.start),
            Place::Parts(files) => files.reserve(bytes.end - bytes.start).map(|()| 0),
        }
    }

    /// What any thread may write with.
    pub fn writer(&self) -> Writer<'_> {
        self.shared().map_or_else(PartFiles::writer, PartFile::writer)
    }

    /// Remembers what was written. Local.
    pub fn note_all(&self, extents: impl IntoIterator<Item = Extent>) {
        match self.shared() {
            Ok(file) => file.note_all(extents),
            Err(files) => files.note_all(extents),
        }
    }

    /// Collective. Reads everything back; the whole output, and then the files it consists of if they are
    /// several.
    ///
    /// # Errors
    /// A verification error when anything differs from what was written.
    pub fn verify(&self) -> Result<Vec<FileSum>> {
        match self.shared() {
            Ok(file) => Ok(vec![file.verify()?]),
            Err(files) => files.verify(),
        }
    }

    /// Collective. Puts everything on the disk.
    ///
    /// # Errors
    /// When any rank cannot sync.
    pub fn sync(&self) -> Result<()> {
        self.shared().map_or_else(PartFiles::sync, PartFile::sync)
    }

    /// Collective. Gives the output its name.
    ///
    /// # Errors
    /// When root cannot rename.
    pub fn publish(self) -> Result<()> {
        match self.place {
            Place::File(file) => file.publish().map(|_| ()),
            Place::Hdf5(made) => {
                let (file, _) = made.into_inner().expect("reserved before");
                file.publish().map(|_| ())
            }
            Place::Parts(files) => files.publish(),
        }
    }
}
