//! Bytes that begin where numbers may begin, so that what is read can be sorted where it lies.

use std::ops::{Deref, DerefMut};

use crate::error::{Error, Result};
use crate::heap::prefer_huge_pages;
use crate::num::{to_u64, to_usize};
use crate::units::size;

/// A byte string of fixed length.
#[derive(Debug)]
pub struct Buffer(Store);

#[derive(Debug)]
enum Store {
    /// Aligned for `u64`.
    Words(Vec<u64>, usize),
    /// Text, which needs no alignment.
    Text(Vec<u8>),
}

impl Buffer {
    /// Zeros; a page that is not touched costs nothing.
    ///
    /// # Errors
    /// When there is no such memory.
    pub fn zeroed(bytes: u64) -> Result<Self> {
        let count = to_usize(bytes).div_ceil(size_of::<u64>());
        // Zeroed pages come without being written, but an allocation that fails would end the process.
        Vec::<u64>::new().try_reserve_exact(count).map_err(|_| too_large(bytes))?;
        let mut words = vec![0; count];
        prefer_huge_pages(&mut words);
        Ok(Self(Store::Words(words, to_usize(bytes))))
    }

    /// Text that is there already.
    pub fn text(text: Vec<u8>) -> Self {
        Self(Store::Text(text))
    }

    /// The first bytes alone.
    pub fn truncate(&mut self, bytes: u64) {
        let bytes = to_usize(bytes);
        match &mut self.0 {
            Store::Words(_, all) => *all = bytes.min(*all),
            Store::Text(text) => text.truncate(bytes),
        }
    }

    /// Its bytes as text that may grow; a copy where they are aligned.
    pub fn into_text(self) -> Vec<u8> {
        match self.0 {
            Store::Text(text) => text,
            Store::Words(..) => self.to_vec(),
        }
    }
}

fn too_large(bytes: u64) -> Error {
    Error::usage(format!(
        "there is no memory for {}; use more ranks, or --memory SIZE to sort on the disk",
        size(bytes)
    ))
}

/// Room for text, checked.
///
/// # Errors
/// When there is no such memory.
pub fn reserve(text: &mut Vec<u8>, bytes: u64) -> Result<()> {
    text.try_reserve_exact(to_usize(bytes)).map_err(|_| too_large(to_u64(text.len()) + bytes))?;
    prefer_huge_pages(text.spare_capacity_mut());
    Ok(())
}

impl Default for Buffer {
    fn default() -> Self {
        Self(Store::Words(Vec::new(), 0))
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Store::Words(words, bytes) => &bytemuck::cast_slice(words)[..*bytes],
            Store::Text(text) => text,
        }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        match &mut self.0 {
            Store::Words(words, bytes) => &mut bytemuck::cast_slice_mut(words)[..*bytes],
            Store::Text(text) => text,
        }
    }
}
