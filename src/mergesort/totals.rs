//! What all ranks read and wrote, and whether it adds up.

use serde::{Deserialize, Serialize};

use super::form::{Checked, Digest, Form};
use super::local::Made;
use super::output::{Piece, Written};
use super::packed::{Reader, Writer};
use super::resume::{put_digest, put_piece, take_digest, take_piece};
use crate::comm::Comm;
use crate::error::{Error, Result};

/// What all ranks read and wrote.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Totals {
    /// What was read.
    pub read: Digest,
    /// What was left of it when ranks had sorted their parts.
    kept: Digest,
    /// What came together.
    merged: Digest,
    /// What was written.
    pub written: Digest,
    /// Its bytes.
    pub bytes: u64,
    /// What was found between neighbours.
    pub checked: Checked,
}

impl Totals {
    /// Collective. From what each rank read and what it wrote.
    ///
    /// # Errors
    /// A verification error when the pieces of the output leave a gap or overlap.
    pub fn of_all(comm: &Comm, form: &dyn Form, made: &[&Made], pieces: &[&Piece]) -> Result<Self> {
        let both =
            |all: (Digest, Digest), made: &&Made| (all.0.and(made.read), all.1.and(made.kept));
        let (read, kept) = made.iter().fold(Default::default(), both);
        let mut mine = Writer::default();
        put_digest(&mut mine, read);
        put_digest(&mut mine, kept);
        for piece in pieces {
            put_piece(&mut mine, piece);
        }
        let parts = comm.gather_bytes(&mine.0);
        comm.decide(|| {
            let (mut all, mut pieces) = (Self::default(), Vec::new());
            for part in &parts {
                let more = all.take(&mut Reader(part));
                pieces.extend(more.ok_or_else(|| Error::internal("a rank's totals end early"))?);
            }
            let Written { merged, items, bytes, checked, .. } = joined(form, pieces)?;
            Ok(Self { merged, written: items, bytes, checked, ..all })
        })
    }

    /// Adds what a rank read; what it wrote.
    fn take(&mut self, part: &mut Reader<'_>) -> Option<Vec<Piece>> {
        self.read = self.read.and(take_digest(part)?);
        self.kept = self.kept.and(take_digest(part)?);
        let mut pieces = Vec::new();
        while !part.is_empty() {
            pieces.push(take_piece(part)?);
        }
        Some(pieces)
    }

    /// Everything that was read came out, in order.
    ///
    /// # Errors
    /// A verification error when not.
    pub fn verify(&self, form: &dyn Form) -> Result<()> {
        if self.checked.unordered > 0 {
            return Err(Error::verification(format!(
                "{} of {} records stand behind a greater one",
                self.checked.unordered, self.written.items
            )));
        }
        if self.kept != self.merged {
            return Err(Error::verification(format!(
                "{} records with checksum {} were sorted, {} with checksum {} came out",
                self.kept.items,
                form.checksum(self.kept),
                self.merged.items,
                form.checksum(self.merged)
            )));
        }
        Ok(())
    }
}

/// All pieces in the order of the output.
fn joined(form: &dyn Form, mut pieces: Vec<Piece>) -> Result<Written> {
    pieces.retain(|piece| {
        piece.span != Piece::at(piece.span.items.start, piece.span.bytes.start).span
    });
    pieces.sort_by_key(|piece| piece.span.items.start);
    let mut whole = Piece::default();
    for piece in pieces {
        let follows = piece.span.items.start == whole.span.items.end
            && piece.span.bytes.start == whole.span.bytes.end;
        if !follows {
            return Err(Error::verification(format!(
                "what was written leaves a gap or overlaps: records {:?} at bytes {:?} stand behind {} \
                 records with {} bytes",
                piece.span.items, piece.span.bytes, whole.span.items.end, whole.span.bytes.end
            )));
        }
        whole.grow(form, piece.written);
    }
    Ok(whole.written)
}
