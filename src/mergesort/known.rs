//! Keys that came from other ranks, put in order.

use super::select::aim::Known;

/// A key that came: its first eight bytes, and where all of them are.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    prefix: u64,
    start: usize,
    bytes: usize,
}

/// All keys that came.
#[derive(Default)]
pub struct Came(Vec<u8>);

impl Came {
    /// Adds one.
    pub fn take(&mut self, key: &[u8]) -> Key {
        let start = self.0.len();
        self.0.extend_from_slice(key);
        let mut first = [0; 8];
        let bytes = key.len().min(8);
        first[..bytes].copy_from_slice(&key[..bytes]);
        Key { prefix: u64::from_be_bytes(first), start, bytes: key.len() }
    }

    /// All of a key.
    pub fn bytes(&self, key: &Key) -> &[u8] {
        &self.0[key.start..key.start + key.bytes]
    }

    /// In the order (key, sequence, place).
    pub fn sort(&self, known: &mut [Known<Key>]) {
        known.sort_unstable_by(|a, b| {
            let keys = a.key.prefix.cmp(&b.key.prefix);
            let keys = keys.then_with(|| self.bytes(&a.key).cmp(self.bytes(&b.key)));
            keys.then_with(|| (a.sequence, a.place).cmp(&(b.sequence, b.place)))
        });
    }
}
