//! A PNG that all ranks write side by side, in strips of rows.
//!
//! Strips are encoded apart (`png.rs`), their sizes are shared, and each rank writes its own at
//! their offsets. No rank ever holds the picture, and the bytes depend on the picture alone: strips
//! are cut by its size and joined in order. The cost beside one writer's PNG is a flush per strip.

use std::ops::Range;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::checkpoint::Kept;
use super::crc::Extent;
use super::part::{PartFile, Published};
use super::png::{EncodedStrip, Layout, combine_adler};
use crate::comm::Op;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::measure::record::FileSum;
use crate::num::{to_u64, to_usize};
use crate::partition::displacements;

/// How far a file has grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    end: u64,
    adler: u32,
}

/// The file while it grows.
pub struct PngFile<'a> {
    context: &'a Context,
    part: PartFile<'a>,
    layout: Layout,
    /// Where the next band's strips begin; the same on all ranks.
    end: u64,
    adler: u32,
}

impl<'a> PngFile<'a> {
    /// Collective. Makes the part file and writes the header with `texts` (keyword, text).
    ///
    /// # Errors
    /// When the file cannot be made or written.
    pub fn create(
        context: &'a Context,
        target: &Path,
        force: bool,
        layout: Layout,
        texts: &[(&str, &str)],
    ) -> Result<Self> {
        let part = PartFile::create(context, target, force, |_| Ok(()))?;
        let header = layout.header(texts);
        let end = to_u64(header.len());
        let written = if context.comm.is_root() { part.write_at(0, &header) } else { Ok(()) };
        context.comm.agree(written)?;
        Ok(Self { context, part, layout, end, adler: 1 })
    }

    /// Collective. Goes on with a file whose first strips are there, and its end if it is complete; `state`
    /// as [`keep`](Self::keep) told it.
    ///
    /// # Errors
    /// As [`PartFile::resume`], and when what was written is not what `state` tells of.
    pub fn resume(
        context: &'a Context,
        target: &Path,
        force: bool,
        layout: Layout,
        (state, extents, is_complete): (State, Vec<Extent>, bool),
    ) -> Result<Self> {
        let trailer = if is_complete { to_u64(layout.trailer(state.adler).len()) } else { 0 };
        let mut bytes = [extents.iter().map(|extent| extent.bytes).sum()];
        context.comm.all_reduce(Op::Sum, &mut bytes);
        if state.end.checked_add(trailer) != Some(bytes[0]) {
            return Err(Error::bad_input(format!(
                "--resume: {} bytes of {} were written, the checkpoint's state tells of {}; start anew with \
                 --force",
                bytes[0],
                target.display(),
                state.end
            )));
        }
        let part = PartFile::resume(context, target, force, extents)?;
        Ok(Self { context, part, layout, end: state.end, adler: state.adler })
    }

    /// Collective. Puts what was written on the disk; what a later run needs to go on.
    ///
    /// # Errors
    /// When any rank cannot sync.
    pub fn keep(&self) -> Result<(State, Kept)> {
        Ok((State { end: self.end, adler: self.adler }, self.part.keep()?))
    }

    /// Collective. Encodes and writes the strips of `band`, of which `mine` are this rank's.
    /// `pixels` gives the raw bytes of a strip. Every strip of the band is one rank's, and bands
    /// follow each other.
    ///
    /// # Errors
    /// When any rank cannot write.
    pub fn write_band(
        &mut self,
        band: Range<u64>,
        mine: impl Iterator<Item = u64>,
        pixels: impl Fn(u64) -> Vec<u8> + Sync,
    ) -> Result<()> {
        let (comm, threads) = (&self.context.comm, &self.context.threads);
        let mine: Vec<u64> = mine.collect();
        // Sizes are known only after encoding, so a rank's encoded strips wait for the scan.
        let encode = |&strip: &u64| self.layout.encode_strip(strip, &pixels(strip));
        let encoded: Vec<EncodedStrip> = threads.map(&mine, encode);
        // Each strip is one rank's, zero elsewhere: sums gather. Size and Adler-32 of each.
        let count = to_usize(band.end - band.start);
        let mut table = vec![0_u64; 3 * count];
        for (&strip, encoded) in mine.iter().zip(&encoded) {
            let at = 3 * to_usize(strip - band.start);
            let entry = [to_u64(encoded.idat.len()), encoded.adler.into(), encoded.raw_bytes];
            table[at..at + 3].copy_from_slice(&entry);
        }
        comm.all_reduce(Op::Sum, &mut table);
        let sizes: Vec<u64> = table.chunks_exact(3).map(|entry| entry[0]).collect();
        assert!(sizes.iter().all(|&size| size > 0), "every strip of a band is some rank's");
        let begins = displacements(&sizes);
        let end = self.end + sizes.iter().sum::<u64>();
        self.part.reserve(end)?;
        let mut written = Ok(());
        for (&strip, encoded) in mine.iter().zip(&encoded) {
            let at = self.end + begins[to_usize(strip - band.start)];
            written = written.and_then(|()| self.part.write_at(at, &encoded.idat));
        }
        comm.agree(written)?;
        for entry in table.chunks_exact(3) {
            let adler = u32::try_from(entry[1]).expect("the sum of one Adler-32 and zeros");
            self.adler = combine_adler(self.adler, adler, entry[2]);
        }
        self.end = end;
        Ok(())
    }

    /// Collective. Writes the end of the file.
    ///
    /// # Errors
    /// When root cannot write.
    pub fn complete(&self) -> Result<()> {
        let trailer = self.layout.trailer(self.adler);
        let root = self.context.comm.is_root();
        let written = if root { self.part.write_at(self.end, &trailer) } else { Ok(()) };
        self.context.comm.agree(written)
    }

    /// Collective. Reads the file back; see [`PartFile::verify`].
    ///
    /// # Errors
    /// A verification error when it differs from what was written.
    pub fn verify(&self) -> Result<FileSum> {
        self.part.verify()
    }

    /// Collective. Puts what was written on the disk.
    ///
    /// # Errors
    /// When any rank cannot sync.
    pub fn sync(&self) -> Result<()> {
        self.part.sync()
    }

    /// Collective. Gives the synced file its name.
    ///
    /// # Errors
    /// When root cannot rename.
    pub fn publish(self) -> Result<Published> {
        self.part.publish()
    }

    /// The cuts of the picture.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}
