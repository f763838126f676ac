//! A PNG that all ranks write side by side, in strips of rows.
//!
//! Strips are encoded apart (`png.rs`), their sizes are scanned, and each rank writes its own at
//! its offset. No rank ever holds the picture, and the bytes depend on the picture alone: strips
//! are cut by its size and joined in order. The cost beside one writer's PNG is a flush per strip.

use std::ops::Range;
use std::path::Path;

use super::part::PartFile;
use super::png::{EncodedStrip, Layout, combine_adler};
use crate::comm::Op;
use crate::context::Context;
use crate::error::Result;
use crate::measure::record::FileSum;
use crate::num::to_u64;

/// Encoded strips held at a time by one thread: bounds memory when a rank owns many strips.
const STRIPS_PER_THREAD: usize = 4;

/// The file while it grows.
pub struct PngFile<'a> {
    context: &'a Context,
    part: PartFile<'a>,
    layout: Layout,
    /// Where the next band's strips begin; the same on all ranks.
    end: u64,
    adler: u32,
    raw_bytes: u64,
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
        let part = PartFile::create(&context.comm, &context.meter, target, force, |_| Ok(()))?;
        let header = layout.header(texts);
        let end = to_u64(header.len());
        let written = if context.comm.is_root() { part.write_at(0, &header) } else { Ok(()) };
        context.comm.agree(written)?;
        Ok(Self { context, part, layout, end, adler: 1, raw_bytes: 0 })
    }

    /// Collective. Encodes and writes a band: this rank's `strips`, which follow those of the ranks
    /// before it. `pixels` gives the raw bytes of a strip.
    ///
    /// # Errors
    /// When any rank cannot write.
    pub fn write_band(
        &mut self,
        strips: Range<u64>,
        pixels: impl Fn(u64) -> Vec<u8> + Sync,
    ) -> Result<()> {
        let comm = &self.context.comm;
        let indices: Vec<u64> = strips.collect();
        // Sizes are known only after encoding, so a rank's encoded strips wait for the scan.
        let mut encoded: Vec<EncodedStrip> = Vec::with_capacity(indices.len());
        for group in indices.chunks(STRIPS_PER_THREAD * self.context.threads.count()) {
            encoded.extend(
                self.context
                    .threads
                    .map(group, |&strip| self.layout.encode_strip(strip, &pixels(strip))),
            );
        }
        let mine: u64 = encoded.iter().map(|strip| to_u64(strip.idat.len())).sum();
        let mut at = self.end + comm.exclusive_scan(mine);
        let mut total = [mine];
        comm.all_reduce(Op::Sum, &mut total);
        self.part.reserve(self.end + total[0])?;
        let mut written = Ok(());
        for strip in &encoded {
            written = written.and_then(|()| self.part.write_at(at, &strip.idat));
            at += to_u64(strip.idat.len());
        }
        comm.agree(written)?;
        self.end += total[0];
        self.combine_adlers(&encoded);
        Ok(())
    }

    /// Collective. Appends the band's checksum of raw bytes, in rank order.
    fn combine_adlers(&mut self, encoded: &[EncodedStrip]) {
        let comm = &self.context.comm;
        let (mut adler, mut raw_bytes) = (1, 0);
        for strip in encoded {
            adler = combine_adler(adler, strip.adler, strip.raw_bytes);
            raw_bytes += strip.raw_bytes;
        }
        for (adler, raw_bytes) in comm.all_gather(adler).iter().zip(comm.all_gather(raw_bytes)) {
            self.adler = combine_adler(self.adler, *adler, raw_bytes);
            self.raw_bytes += raw_bytes;
        }
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

    /// Collective. Gives the file its name.
    ///
    /// # Errors
    /// When any rank cannot sync or root cannot rename.
    pub fn publish(self) -> Result<()> {
        self.part.publish()
    }

    /// The cuts of the picture.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }
}
