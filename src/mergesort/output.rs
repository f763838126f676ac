//! From sorted pieces to this rank's range of the output, looked at and summed up on the way.

use super::form::{Checked, Digest, Form};
use super::pour::{Chunk, Pour, Sizes};
use super::spans::Span;
use crate::context::Context;
use crate::error::Result;
use crate::measure::clock::Stopwatch;
use crate::num::to_u64;
use crate::stop;
use crate::store::crc::Extent;
use crate::store::pieces::Writer;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// What came in, equal items included.
    pub merged: Digest,
    /// What was written.
    pub items: Digest,
    /// Its bytes.
    pub bytes: u64,
    /// Seconds of writing, of all threads together.
    pub write_s: f64,
    /// What was found between neighbours.
    pub checked: Checked,
    /// The first and the last item, in sorting form.
    pub edges: Option<(Vec<u8>, Vec<u8>)>,
    /// Where in the file it lies.
    pub extents: Vec<Extent>,
}

impl Written {
    /// With what follows in the output.
    #[must_use]
    pub fn then(mut self, form: &dyn Form, next: Self) -> Self {
        self.checked = self.checked.and(next.checked);
        self.edges = match (self.edges, next.edges) {
            (Some((first, last)), Some((second, end))) => {
                self.checked = self.checked.and(Checked::pair(form.check_pair(&last, &second)));
                Some((first, end))
            }
            (one, other) => one.or(other),
        };
        self.merged = self.merged.and(next.merged);
        self.items = self.items.and(next.items);
        self.bytes += next.bytes;
        self.write_s += next.write_s;
        self.extents.extend(next.extents);
        self
    }
}

/// A range of the output that one rank wrote.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Piece {
    /// The range.
    pub span: Span,
    /// What was found of it.
    pub written: Written,
}

impl Piece {
    /// One that begins with this item at this byte, and of which nothing is written yet.
    pub fn at(item: u64, byte: u64) -> Self {
        let span = Span { items: item..item, bytes: byte..byte };
        Self { span, written: Written::default() }
    }

    /// With what was written behind it.
    pub fn grow(&mut self, form: &dyn Form, next: Written) {
        self.span.items.end += next.merged.items;
        self.span.bytes.end += next.bytes;
        self.written = std::mem::take(&mut self.written).then(form, next);
    }
}

/// Merges and writes from offset `at` of the file on; also the seconds of merging. Local.
///
/// # Errors
/// When the system refuses a write, or there is no memory for a chunk, or the run is to end.
pub fn write(
    context: &Context,
    form: &dyn Form,
    pour: &Pour<'_>,
    sizes: &Sizes,
    writer: Writer<'_>,
    at: u64,
) -> Result<(Written, f64)> {
    let (parts, merge_s) = pour.pour(context, sizes, |chunk| take(form, chunk, writer, at))?;
    let written = parts.into_iter().fold(Written::default(), |all, next| all.then(form, next));
    Ok((written, merge_s))
}

fn take(form: &dyn Form, chunk: Chunk<'_>, writer: Writer<'_>, at: u64) -> Result<Written> {
    stop::heed("the output was written")?;
    let Chunk { offset, items, merged } = chunk;
    let (checked, edges, bytes) = (form.check(&items), edges(form, &items), to_u64(items.len()));
    let mut write_s = 0.0;
    let (digest, extent) = items.in_file_form(form, |items| {
        let clock = Stopwatch::start();
        let extent = (bytes > 0).then(|| writer.write_at(at + offset, items));
        write_s = clock.seconds();
        (form.digest(items), extent)
    })?;
    let extents = extent.transpose()?.into_iter().collect();
    let merged = merged.unwrap_or(digest);
    Ok(Written { merged, items: digest, bytes, write_s, checked, edges, extents })
}

/// The first and the last item.
fn edges(form: &dyn Form, items: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let body = ..items.len().checked_sub(1)?;
    let (first, last) = match (form.item_bytes(), form.terminator()) {
        (Some(bytes), _) => (bytes, items.len() - bytes),
        (None, None) => return None,
        (None, Some(end)) => (
            memchr::memchr(end, items).map_or(items.len(), |at| at + 1),
            memchr::memrchr(end, &items[body]).map_or(0, |at| at + 1),
        ),
    };
    Some((items[..first].to_vec(), items[last..].to_vec()))
}
