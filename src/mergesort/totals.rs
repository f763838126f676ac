//! What all ranks read and wrote, and whether it adds up.

use serde::{Deserialize, Serialize};

use super::form::{Checked, Digest, Form};
use super::local::Sorted;
use super::output::Written;
use crate::comm::Comm;
use crate::error::{Error, Result};
use crate::num::{to_u64, to_usize};

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
    /// Collective.
    ///
    /// # Errors
    /// None that is not a bug.
    pub fn of_all(
        comm: &Comm,
        form: &dyn Form,
        sorted: &Sorted,
        written: &Written,
    ) -> Result<Self> {
        let mine = Self {
            read: sorted.read,
            kept: sorted.kept,
            merged: written.merged,
            written: written.items,
            bytes: written.bytes,
            checked: written.checked,
        };
        let parts = comm.gather_bytes(&pack(mine, written.edges.as_ref()));
        comm.decide(|| {
            let mut all = Self::default();
            let mut whole = Written::default();
            for part in &parts {
                let (totals, edges) = unpack(part)?;
                all.read = all.read.and(totals.read);
                all.kept = all.kept.and(totals.kept);
                let Self { merged, written: items, bytes, checked, .. } = totals;
                let next = Written { merged, items, bytes, checked, edges, ..Written::default() };
                whole = whole.then(form, next);
            }
            let Written { merged, items, bytes, checked, .. } = whole;
            Ok(Self { merged, written: items, bytes, checked, ..all })
        })
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

type Edges = (Vec<u8>, Vec<u8>);

/// Numbers as JSON, items as they are: they may be long.
fn pack(totals: Totals, edges: Option<&Edges>) -> Vec<u8> {
    let head = (totals, edges.map(|(first, _)| to_u64(first.len())));
    let head = serde_json::to_vec(&head).expect("plain data");
    let mut bytes = to_u64(head.len()).to_le_bytes().to_vec();
    bytes.extend(head);
    if let Some((first, last)) = edges {
        bytes.extend_from_slice(first);
        bytes.extend_from_slice(last);
    }
    bytes
}

fn unpack(bytes: &[u8]) -> Result<(Totals, Option<Edges>)> {
    let (length, rest) = bytes.split_first_chunk::<8>().expect("as it was packed");
    let (head, items) = rest.split_at(to_usize(u64::from_le_bytes(*length)));
    let (totals, first): (Totals, Option<u64>) = serde_json::from_slice(head)
        .map_err(|cause| Error::internal(format!("a rank's totals: {cause}")))?;
    let edges = first.map(|first| {
        let (first, last) = items.split_at(to_usize(first));
        (first.to_vec(), last.to_vec())
    });
    Ok((totals, edges))
}
