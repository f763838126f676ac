//! What a counting sort's checkpoint holds, and the bytes of a rank's part.
//!
//! Sums of all ranks and the first refusals stand in the head. A rank's part has the places of the files
//! that it counted and its counters; root's has also what earlier runs counted, the hashes of the list and
//! the large files that wait. Outputs are not kept: they follow from the counts, and writing them takes
//! less than reading.

use serde::{Deserialize, Serialize};

use super::marks::Marks;
use super::read::Found;
use super::together::Pending;
use crate::num::{to_u64, to_usize};
use crate::partition::Ranges;
use crate::store::checkpoint::Moment;

/// What the ranks share.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct State {
    /// When the run began.
    pub since: Moment,
    /// Totals of all ranks and runs, without what root could not list.
    pub found: Found,
    /// Numbers counted.
    pub counted: u64,
    /// Their checksum.
    pub checksum: u64,
}

impl State {
    /// Whether a run with so many inputs can have found this: sums that no files have are refused.
    pub fn fits(&self, inputs: usize) -> bool {
        let Found { files, files_refused, bytes, accepted, refused, blank_lines, .. } = &self.found;
        let sums = [files, files_refused, accepted, refused, blank_lines, &self.counted];
        bytes.len() <= inputs && sums.into_iter().chain(bytes).all(|sum| *sum < MOST)
    }
}

/// More than there are bytes on any cluster's disks; some of it can be added up.
const MOST: u64 = 1 << 58;

/// A rank's own part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Own {
    /// Places of files that this run has counted, or that wait among the large ones.
    pub done: Ranges,
    /// When earlier runs began, and what each of them had done; of root.
    pub runs: Vec<(Moment, Ranges)>,
    /// Places of those that could not be read.
    pub unread: Ranges,
    /// The list, as far as it was handed out; of root.
    pub names: Marks,
    /// Large files that wait; of root.
    pub waiting: Vec<Pending>,
    /// The counters, as `histogram::stored` wrote them.
    pub counts: Vec<u8>,
}

impl Own {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.counts.len() + (1 << 12));
        self.done.encode(&mut out);
        encode_runs(&self.runs, &mut out);
        self.unread.encode(&mut out);
        self.names.encode(&mut out);
        let waiting = serde_json::to_vec(&self.waiting).expect("plain data");
        out.extend(to_u64(waiting.len()).to_le_bytes());
        out.extend(waiting);
        out.extend_from_slice(&self.counts);
        out
    }

    /// What [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// A sentence, when the bytes are something else.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        Self::decoded(bytes)
            .ok_or_else(|| "a part of the checkpoint is not a counting sort's".to_owned())
    }

    fn decoded(bytes: &[u8]) -> Option<Self> {
        let rest = &mut &bytes[..];
        let (done, runs, unread) =
            (Ranges::decode(rest)?, decode_runs(rest)?, Ranges::decode(rest)?);
        let names = Marks::decode(rest)?;
        let (length, tail) = rest.split_first_chunk::<8>()?;
        let (waiting, counts) = tail.split_at_checked(to_usize(u64::from_le_bytes(*length)))?;
        let waiting: Vec<Pending> = serde_json::from_slice(waiting).ok()?;
        let ends = waiting.iter().map(|pending| pending.file.size.max(pending.lines));
        let is_sound = waiting.iter().all(|pending| pending.at <= pending.file.size)
            && ends.max().is_none_or(|most| most < MOST);
        is_sound.then_some(Self { done, runs, unread, names, waiting, counts: counts.to_vec() })
    }
}

/// How many runs, then of each its moment and its places.
pub fn encode_runs(runs: &[(Moment, Ranges)], out: &mut Vec<u8>) {
    out.extend(to_u64(runs.len()).to_le_bytes());
    for ((seconds, nanoseconds), places) in runs {
        out.extend(seconds.to_le_bytes());
        out.extend(nanoseconds.to_le_bytes());
        places.encode(out);
    }
}

/// Takes what [`encode_runs`] wrote from the front of `bytes`; `None` when it is something else.
pub fn decode_runs(bytes: &mut &[u8]) -> Option<Vec<(Moment, Ranges)>> {
    let take = |bytes: &mut &[u8]| {
        let (word, rest) = bytes.split_first_chunk::<8>()?;
        *bytes = rest;
        Some(*word)
    };
    let mut runs = Vec::new();
    for _ in 0..u64::from_le_bytes(take(bytes)?) {
        let moment = (i64::from_le_bytes(take(bytes)?), i64::from_le_bytes(take(bytes)?));
        runs.push((moment, Ranges::decode(bytes)?));
    }
    Some(runs)
}

#[cfg(test)]
mod tests {
    use super::super::large::Large;
    use super::*;

    #[test]
    fn bytes_give_the_same_part() {
        let mut names = Marks::default();
        names.add(1, b"a");
        let file = Large { path: b"a\xff".to_vec(), source: 3, size: 9, follow: true };
        let own = Own {
            done: [3..9, 11..12].into_iter().collect(),
            runs: vec![((-5, 999), (20..30).into()), ((1 << 40, 0), Ranges::default())],
            unread: (4..5).into(),
            names,
            waiting: vec![Pending { file, at: 4, lines: 2 }],
            counts: vec![1, 2, 3],
        };
        let bytes = own.encode();
        assert_eq!(Own::decode(&bytes), Ok(own.clone()));
        for cut in 0..bytes.len() - 3 {
            assert!(Own::decode(&bytes[..cut]).is_err(), "{cut}");
        }
        let past_its_end = Own {
            waiting: own.waiting.into_iter().map(|pending| Pending { at: 10, ..pending }).collect(),
            ..Own::default()
        };
        assert!(Own::decode(&past_its_end.encode()).is_err());
        assert_eq!(Own::decode(&Own::default().encode()), Ok(Own::default()));
    }

    #[test]
    fn sums_that_no_files_have_are_refused() {
        let state = |files, bytes: &[u64]| State {
            since: (0, 0),
            found: Found { files, bytes: bytes.to_vec(), ..Found::default() },
            counted: 9,
            checksum: u64::MAX,
        };
        assert!(state(3, &[1 << 50, 0]).fits(2));
        assert!(!state(3, &[1, 0, 0]).fits(2));
        assert!(!state(u64::MAX, &[1]).fits(2));
        assert!(!state(3, &[1 << 63]).fits(2));
    }
}
