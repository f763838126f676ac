//! A sort by runs, step by step: rounds that sort, then rounds that merge.
//!
//! The result is one range to begin with; what an interrupted run has written of it leaves several, which
//! are merged one behind the other, each by all ranks.

use std::collections::VecDeque;

use super::destination::Destination;
use super::details::Merged;
use super::external::External;
use super::form::Form;
use super::local::{Sorted, Source};
use super::output::{self, Piece};
use super::packed::Reader;
use super::slices::Slice;
use super::spans::{self, Left, Span};
use crate::context::Context;
use crate::error::{Error, Result};
use crate::num::to_usize;

/// The state of a sort by runs.
pub struct ByRuns<'a> {
    context: &'a Context,
    /// The runs.
    pub external: External<'a>,
    fresh: Option<Sorted>,
    slice: Option<Slice>,
    stage: Stage,
    /// Ranges that are not written, the one at hand first.
    left: VecDeque<Left>,
    /// Bytes of this rank's part of it, as far as they are counted.
    counted: u64,
    /// Where this rank writes next.
    at: u64,
    /// What earlier programs wrote.
    pub earlier: Vec<Piece>,
    /// What this one wrote, the part at hand last.
    pub pieces: Vec<Piece>,
    /// Bytes of the output, once they are known.
    pub bytes: Option<u64>,
    /// Seconds of the thread that sorted longest, and of merging.
    pub sort_s: f64,
    /// Seconds of merging what is written.
    pub merge_s: f64,
    /// How its chunks were merged.
    pub merged: Merged,
}

/// What a round does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Runs are sorted.
    Sort,
    /// The next range is to begin.
    Next,
    /// It counts what will be left of equal items.
    Count,
    /// It writes.
    Write,
    /// All is written.
    Done,
}

impl<'a> ByRuns<'a> {
    /// With runs and an output of which `earlier` is written, of `bytes` if that is known.
    pub fn new(
        context: &'a Context,
        external: External<'a>,
        earlier: Vec<Piece>,
        bytes: Option<u64>,
    ) -> Self {
        Self {
            context,
            external,
            fresh: None,
            slice: None,
            stage: Stage::Sort,
            left: VecDeque::new(),
            counted: 0,
            at: 0,
            earlier,
            pieces: Vec::new(),
            bytes,
            sort_s: 0.0,
            merge_s: 0.0,
            merged: Merged::default(),
        }
    }

    /// Whether all is written.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Collective. Sorts, as long as there is something to sort.
    ///
    /// # Errors
    /// When any rank cannot, or the run is to end.
    pub fn compute(&mut self, form: &dyn Form, source: &Source, round: u64) -> Result<()> {
        if round < self.external.sort_rounds {
            let fresh = self.external.sort_round(form, source, round);
            self.fresh = Some(self.context.comm.agree(fresh)?);
        }
        Ok(())
    }

    /// Collective. Fetches the next slice, when everything is sorted.
    ///
    /// # Errors
    /// When any rank cannot, or the run is to end.
    pub fn exchange(&mut self, form: &dyn Form, output: &Destination<'_>) -> Result<()> {
        if self.fresh.is_some() {
            return Ok(());
        }
        if self.stage == Stage::Sort {
            self.left = self.find_left(form)?;
            self.stage = Stage::Next;
        }
        if self.stage == Stage::Next {
            let range = self.left.front().expect("else all is done").items.clone();
            let bytes = self.external.begin(form, range)?;
            if form.is_unique() {
                (self.stage, self.counted) = (Stage::Count, 0);
            } else {
                self.begin_writing(output, &bytes)?;
            }
        }
        self.slice = Some(self.external.next_slice(form)?);
        Ok(())
    }

    /// Collective. Keeps the run, or writes the slice.
    ///
    /// # Errors
    /// When any rank cannot, or the run is to end.
    pub fn write(&mut self, form: &dyn Form, output: &Destination<'_>, round: u64) -> Result<()> {
        let (context, comm) = (self.context, &self.context.comm);
        if let Some(fresh) = self.fresh.take() {
            let kept = self.external.keep(form, round, fresh);
            self.sort_s += comm.agree(kept)?;
            return Ok(());
        }
        let slice = self.slice.take().expect("fetched in this round");
        let pour = self.external.pour(form, &slice);
        let sizes = comm.agree(pour.sizes(context))?;
        if self.stage == Stage::Count {
            self.counted += sizes.bytes;
            if self.external.is_done() {
                let counted = comm.all_gather(self.counted);
                if self.bytes.is_none() {
                    let bytes = counted.iter().sum();
                    output.reserve(bytes)?;
                    self.bytes = Some(bytes);
                }
                self.external.rewind();
                self.begin_writing(output, &counted)?;
            }
            return Ok(());
        }
        let written = output::write(context, form, &pour, &sizes, output.writer(), self.at);
        let (mut next, merge_s) = comm.agree(written)?;
        self.at += sizes.bytes;
        self.merge_s += merge_s;
        self.merged = self.merged.and(pour.merged());
        output.note_all(std::mem::take(&mut next.extents));
        self.pieces.last_mut().expect("begun").grow(form, next);
        if self.external.is_done() {
            self.left.pop_front();
            self.stage = if self.left.is_empty() { Stage::Done } else { Stage::Next };
        }
        Ok(())
    }

    /// Collective. Where this rank writes its part of the range, given the bytes of all ranks' parts.
    fn begin_writing(&mut self, output: &Destination<'_>, bytes: &[u64]) -> Result<()> {
        let range = self.left.front().expect("it is at hand");
        let (total, rank) = (bytes.iter().sum::<u64>(), to_usize(self.context.comm.rank()));
        if let Some(expected) = range.bytes.filter(|expected| *expected != total) {
            return Err(Error::verification(format!(
                "records {:?} of the result are {total} bytes, {expected} when the run was interrupted; \
                 start anew with --force",
                range.items
            )));
        }
        let first = range.first_byte + bytes[..rank].iter().sum::<u64>();
        self.at = output.begin(first..first + bytes[rank])?;
        self.pieces.push(Piece::at(self.external.first_item(), first));
        self.stage = Stage::Write;
        Ok(())
    }

    /// Collective. The ranges that no rank has written.
    fn find_left(&mut self, form: &dyn Form) -> Result<VecDeque<Left>> {
        let (items, bytes) = self.external.totals();
        if self.bytes.is_none() && !form.is_unique() {
            self.bytes = Some(bytes);
        }
        let ends = self.earlier.iter().flat_map(|Piece { span, .. }| {
            [span.items.start, span.items.end, span.bytes.start, span.bytes.end]
        });
        let words: Vec<u8> = ends.flat_map(u64::to_le_bytes).collect();
        let mut done = Vec::new();
        for words in self.context.comm.all_gather_bytes(&words) {
            let mut words = Reader(&words);
            while let Some([first, last, from, to]) = words.words() {
                done.push(Span { items: first..last, bytes: from..to });
            }
        }
        let left = spans::left(items, self.bytes, done).filter(|left| !left.is_empty());
        left.map(VecDeque::from).ok_or_else(|| {
            Error::bad_input("--resume: what the checkpoint says is written does not fit its runs")
        })
    }
}
