//! File names of one directory, NUL-terminated one after the other in one buffer.
//!
//! A million names are one allocation (and a mark for every sixteenth of them), they travel
//! between processes as they lie, and `openat` takes them without a copy. The price: reaching name
//! `i` walks over up to fifteen names from the mark before it, some tens of nanoseconds, so that
//! walking a range goes through [`Names::walk`], which pays it once.

use std::ffi::CStr;
use std::fmt;

/// A mark is kept for every this-many-th name.
const STEP: usize = 16;

/// What is wrong with a name, or with a buffer of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadName {
    /// A NUL byte inside a name, which no file name can have.
    NulInside,
    /// The last name of a buffer does not end with NUL.
    Unterminated,
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NulInside => "a file name with a NUL byte inside",
            Self::Unterminated => "a list of file names whose last name does not end",
        })
    }
}

impl std::error::Error for BadName {}

/// File names of one directory: any bytes but NUL, not necessarily UTF-8.
///
/// Names may contain slashes: `openat` takes them relative to the directory, or absolute.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    bytes: Vec<u8>,
    marks: Vec<usize>,
    len: usize,
}

impl Names {
    /// No names.
    pub fn new() -> Self {
        Self::default()
    }

    /// The names that [`Names::bytes`] gave, perhaps in another process.
    ///
    /// # Errors
    /// When the last name does not end with NUL.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, BadName> {
        if bytes.last().is_some_and(|&last| last != 0) {
            return Err(BadName::Unterminated);
        }
        let (mut marks, mut len, mut at) = (Vec::new(), 0_usize, 0_usize);
        while at < bytes.len() {
            if len.is_multiple_of(STEP) {
                marks.push(at);
            }
            at += first(&bytes[at..]).count_bytes() + 1;
            len += 1;
        }
        Ok(Self { bytes, marks, len })
    }

    /// One name more, at the end.
    ///
    /// # Errors
    /// When there is a NUL in it; nothing is added then.
    pub fn push(&mut self, name: &[u8]) -> Result<(), BadName> {
        if name.contains(&0) {
            return Err(BadName::NulInside);
        }
        if self.len.is_multiple_of(STEP) {
            self.marks.push(self.bytes.len());
        }
        self.bytes.extend_from_slice(name);
        self.bytes.push(0);
        self.len += 1;
        Ok(())
    }

    /// How many names.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Name number `index`, which must be below [`Names::len`].
    pub fn get(&self, index: usize) -> &CStr {
        self.walk(index).next().expect("an index below the number of names")
    }

    /// All names from number `index` on, which may be [`Names::len`] (then there are none).
    pub fn walk(&self, index: usize) -> Walk<'_> {
        assert!(index <= self.len, "name {index} of {}", self.len);
        let start = self.marks.get(index / STEP).copied().unwrap_or(self.bytes.len());
        let mut walk = Walk { rest: &self.bytes[start..] };
        for _ in 0..index % STEP {
            walk.next();
        }
        walk
    }

    /// All names as they lie, each with its NUL.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes of a range of names, as [`Names::bytes`] gives those of all.
    ///
    /// # Panics
    /// When the range reaches beyond the names.
    pub fn slice(&self, range: std::ops::Range<usize>) -> &[u8] {
        let at = |index: usize| {
            if index == self.len {
                return self.bytes.len();
            }
            let mut at = self.marks[index / STEP];
            for _ in 0..index % STEP {
                at += first(&self.bytes[at..]).count_bytes() + 1;
            }
            at
        };
        &self.bytes[at(range.start)..at(range.end)]
    }

    /// Forgets the names and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.marks.clear();
        self.len = 0;
    }
}

/// The names from one number on; see [`Names::walk`].
#[derive(Clone, Debug)]
pub struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Walk<'a> {
    type Item = &'a CStr;

    #[inline]
    fn next(&mut self) -> Option<&'a CStr> {
        if self.rest.is_empty() {
            return None;
        }
        let name = first(self.rest);
        self.rest = &self.rest[name.count_bytes() + 1..];
        Some(name)
    }
}

/// The first name of a non-empty tail of the buffer.
#[inline]
fn first(tail: &[u8]) -> &CStr {
    CStr::from_bytes_until_nul(tail).expect("every name ends with NUL")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_what_cannot_be_a_name() {
        let mut names = Names::new();
        assert_eq!(names.push(b"a\0b"), Err(BadName::NulInside));
        assert!(names.is_empty());
        assert_eq!(Names::from_bytes(b"a\0b".to_vec()), Err(BadName::Unterminated));
        assert_eq!(Names::from_bytes(Vec::new()), Ok(Names::new()));
    }

    proptest! {
        #[test]
        fn gives_back_what_was_pushed(
            list in proptest::collection::vec(proptest::collection::vec(1_u8.., 0..20), 0..70),
        ) {
            let mut names = Names::new();
            for name in &list {
                prop_assert!(names.push(name).is_ok());
            }
            prop_assert_eq!(names.len(), list.len());
            for (index, name) in list.iter().enumerate() {
                prop_assert_eq!(names.get(index).to_bytes(), &name[..]);
            }
            prop_assert_eq!(names.walk(list.len()).count(), 0);
            prop_assert_eq!(names.walk(0).count(), list.len());
            prop_assert_eq!(Names::from_bytes(names.bytes().to_vec()), Ok(names.clone()));
            names.clear();
            prop_assert_eq!(names, Names::new());
        }
    }
}
