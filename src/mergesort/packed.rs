//! Words and byte strings of a checkpoint's parts. Pure.
//!
//! A word is 8 bytes, little-endian; a byte string has its length before it. What is read may be anything:
//! it is told, never trusted.

use crate::num::{to_u64, to_usize};

/// Bytes that grow.
#[derive(Debug, Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    /// Appends a word.
    pub fn word(&mut self, word: u64) {
        self.0.extend(word.to_le_bytes());
    }

    /// Appends words.
    pub fn words(&mut self, words: &[u64]) {
        for word in words {
            self.word(*word);
        }
    }

    /// Appends two words.
    pub fn wide(&mut self, number: u128) {
        self.0.extend(number.to_le_bytes());
    }

    /// Appends a byte string.
    pub fn text(&mut self, bytes: &[u8]) {
        self.word(to_u64(bytes.len()));
        self.0.extend_from_slice(bytes);
    }
}

/// Bytes that are read.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next word, unless the bytes end.
    pub fn word(&mut self) -> Option<u64> {
        let (word, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*word))
    }

    /// The next words.
    pub fn words<const N: usize>(&mut self) -> Option<[u64; N]> {
        let mut words = [0; N];
        for word in &mut words {
            *word = self.word()?;
        }
        Some(words)
    }

    /// The next two words as one number.
    pub fn wide(&mut self) -> Option<u128> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u128::from_le_bytes(*number))
    }

    /// The next byte string.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let length = self.word()?;
        if length > to_u64(self.0.len()) {
            return None;
        }
        let (text, rest) = self.0.split_at(to_usize(length));
        self.0 = rest;
        Some(text)
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::default();
        writer.word(7);
        writer.text(b"abc");
        writer.wide(u128::MAX - 1);
        let mut reader = Reader(&writer.0);
        assert_eq!((reader.word(), reader.text()), (Some(7), Some(&b"abc"[..])));
        assert_eq!((reader.wide(), reader.is_empty()), (Some(u128::MAX - 1), true));
        assert_eq!((reader.word(), reader.wide(), reader.text()), (None, None, None));
        let long = u64::MAX.to_le_bytes();
        assert_eq!(Reader(&long).text(), None);
    }
}
