//! A batch of files: what one rank lists and all ranks read.
//!
//! Files are grouped by directory, so that a name is opened relative to its directory and a path
//! is stored once. A batch is cut into the ranks' parts and travels as bytes; a million names are
//! some twenty megabytes, and no message carries a single one. Pure.

use std::ops::Range;

use crate::num::{floor_u64, len_f64, to_f64, to_u64, to_usize};
use crate::partition::{Ranges, block};
use crate::store::files::{Names, Trust};

/// Files of one directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The directory; empty for the working directory.
    pub directory: Vec<u8>,
    /// How far the names are to be trusted.
    pub trust: Trust,
    /// Which of the inputs the files came from, for its bytes in the record.
    pub source: u32,
    /// The place of the first name in the list of all inputs; the others follow it.
    pub first: u64,
    /// Whether an earlier run counted the files, so that this one only looks whether they have changed.
    pub counted: bool,
    /// The names.
    pub names: Names,
}

impl Group {
    /// Files to be read, whose places are still to be given.
    pub fn new(directory: Vec<u8>, trust: Trust, source: u32, names: Names) -> Self {
        Self { directory, trust, source, first: 0, counted: false, names }
    }

    /// The places of the names.
    pub fn places(&self) -> Range<u64> {
        self.first..self.first + to_u64(self.names.len())
    }

    /// The path of a name, as a user would write it.
    pub fn path(&self, index: usize) -> Vec<u8> {
        let name = self.names.get(index).to_bytes();
        if self.directory.is_empty() || name.first() == Some(&b'/') {
            return name.to_vec();
        }
        let mut path = self.directory.clone();
        if path.last() != Some(&b'/') {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        path
    }
}

/// Files to read, in groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// The groups.
    pub groups: Vec<Group>,
}

impl Batch {
    /// How many files.
    pub fn len(&self) -> usize {
        self.groups.iter().map(|group| group.names.len()).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.groups.iter().all(|group| group.names.is_empty())
    }

    /// Gives the files their places in the list of all inputs, from `first` on.
    pub fn number(&mut self, mut first: u64) {
        for group in &mut self.groups {
            group.first = first;
            first = group.places().end;
        }
    }

    /// The places of all names.
    pub fn places(&self) -> Ranges {
        self.groups.iter().map(Group::places).collect()
    }

    /// The groups that a range of places touches, each with the range of its names.
    pub fn cut(&self, range: Range<u64>) -> impl Iterator<Item = (&Group, Range<usize>)> {
        self.groups.iter().filter_map(move |group| {
            let places = group.places();
            let (from, to) = (range.start.max(places.start), range.end.min(places.end));
            let name = |place| to_usize(place - places.start);
            (from < to).then(|| (group, name(from)..name(to)))
        })
    }

    /// The files of these places, as bytes; `counted` goes with them.
    pub fn encode(&self, places: &Ranges, counted: bool, out: &mut Vec<u8>) {
        for (group, names) in places.iter().flat_map(|range| self.cut(range)) {
            out.push(u8::from(group.trust == Trust::Given));
            out.push(u8::from(counted));
            out.extend((group.first + to_u64(names.start)).to_le_bytes());
            out.extend(group.source.to_le_bytes());
            put(out, &group.directory);
            put(out, group.names.slice(names));
        }
    }

    /// What [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// A sentence, when the bytes are cut short.
    pub fn decode(mut bytes: &[u8]) -> Result<Self, String> {
        let mut groups = Vec::new();
        while !bytes.is_empty() {
            let flags = take(&mut bytes, 2)?;
            let trust = if flags[0] == 1 { Trust::Given } else { Trust::Listed };
            let counted = flags[1] == 1;
            let first = take(&mut bytes, 8)?.try_into().expect("eight bytes");
            let source = take(&mut bytes, 4)?.try_into().expect("four bytes");
            let directory = get(&mut bytes)?.to_vec();
            let names = Names::from_bytes(get(&mut bytes)?.to_vec())
                .map_err(|problem| problem.to_string())?;
            let (first, source) = (u64::from_le_bytes(first), u32::from_le_bytes(source));
            groups.push(Group { directory, trust, source, first, counted, names });
        }
        Ok(Self { groups })
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(to_u64(bytes.len()).to_le_bytes());
    out.extend_from_slice(bytes);
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8], String> {
    let (head, rest) = bytes.split_at_checked(count).ok_or("a batch that is cut short")?;
    *bytes = rest;
    Ok(head)
}

fn get<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], String> {
    let length = take(bytes, 8)?.try_into().expect("eight bytes");
    take(bytes, to_usize(u64::from_le_bytes(length)))
}

/// Each rank's part of a batch of `count` files. Root, which lists the next batch meanwhile, reads less
/// by what that costs it, `listing` in files read, so that all end together.
pub fn parts(count: usize, ranks: u64, listing: f64) -> Vec<Range<usize>> {
    let (files, others) = (len_f64(count), to_f64(ranks) - 1.0);
    // Root's x files and the listing take as long as the others' (files - x) / others.
    let fair = ((files - listing * others) / (others + 1.0)).max(0.0);
    let of_root = if ranks == 1 { count } else { to_usize(floor_u64(fair.round())).min(count) };
    let rest = to_u64(count - of_root);
    let others = (0..ranks - 1).map(|other| {
        let block = block(rest, ranks - 1, other);
        of_root + to_usize(block.start)..of_root + to_usize(block.end)
    });
    std::iter::once(0..of_root).chain(others).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn group(directory: &str, names: &[&str], trust: Trust) -> Group {
        let mut list = Names::new();
        for name in names {
            list.push(name.as_bytes()).unwrap();
        }
        Group::new(directory.into(), trust, 3, list)
    }

    #[test]
    fn parts_of_a_batch_are_the_batch() {
        let mut batch = Batch {
            groups: vec![
                group("a", &["1", "2", "3"], Trust::Listed),
                group("", &[], Trust::Given),
                group("b/c", &["x y", "z\n"], Trust::Given),
            ],
        };
        assert_eq!(batch.len(), 5);
        batch.number(70);
        for cut in 0..=5 {
            let (mut low, mut high) = (Vec::new(), Vec::new());
            let middle = 70 + to_u64(cut);
            batch.encode(&(70..middle).into(), false, &mut low);
            batch.encode(&(middle..75).into(), true, &mut high);
            let parts = [Batch::decode(&low).unwrap(), Batch::decode(&high).unwrap()];
            assert_eq!((parts[0].len(), parts[1].len()), (cut, 5 - cut));
            assert_eq!(
                (parts[0].places(), parts[1].places()),
                ((70..middle).into(), (middle..75).into())
            );
            assert!(parts[0].groups.iter().all(|group| !group.counted));
            assert!(parts[1].groups.iter().all(|group| group.counted));
            let paths = |batch: &Batch| -> Vec<Vec<u8>> {
                let groups = batch.groups.iter();
                groups
                    .flat_map(|g| (0..g.names.len()).map(|i| g.path(i)).collect::<Vec<_>>())
                    .collect()
            };
            assert_eq!([paths(&parts[0]), paths(&parts[1])].concat(), paths(&batch));
            if !low.is_empty() {
                assert!(Batch::decode(&low[..low.len() - 1]).is_err());
            }
        }
        assert_eq!(batch.groups[2].path(0), b"b/c/x y");
    }

    proptest! {
        #[test]
        fn ranks_share_all_files(count in 0_usize..5000, ranks in 1_u64..70, listing in 0.0..9e3) {
            let parts = parts(count, ranks, listing);
            prop_assert_eq!(to_u64(parts.len()), ranks);
            prop_assert!(parts.iter().cloned().flatten().eq(0..count));
            if ranks > 1 {
                prop_assert!(parts[0].len() <= parts[1].len() + 1);
            }
        }
    }
}
