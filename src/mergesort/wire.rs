//! Small numbers and keys in messages: seven bits of a number a byte, the lowest first (LEB128).
//!
//! A number below 128 takes one byte instead of eight; decoding costs a branch a byte.

/// Appends a number.
pub fn put(mut number: u64, out: &mut Vec<u8>) {
    loop {
        let low = number.to_le_bytes()[0] & 0x7f;
        number >>= 7;
        if number == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

/// Appends a key; its length too, unless all have the same.
pub fn put_key(key: &[u8], width: Option<usize>, out: &mut Vec<u8>) {
    if width.is_none() {
        put(crate::num::to_u64(key.len()), out);
    }
    out.extend_from_slice(key);
}

/// A message that is being read.
///
/// # Panics
/// Its methods do when it ends early.
#[derive(Clone, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    /// The next number.
    pub fn number(&mut self) -> u64 {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.bytes(1)[0];
            number |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }

    /// The next key.
    pub fn key(&mut self, width: Option<usize>) -> &'a [u8] {
        let width = width.unwrap_or_else(|| crate::num::to_usize(self.number()));
        self.bytes(width)
    }

    /// The next bytes.
    pub fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (bytes, rest) = self.0.split_at(count);
        self.0 = rest;
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_keys_come_back() {
        let numbers = [0, 1, 127, 128, 300, 1 << 14, u64::from(u32::MAX), u64::MAX];
        let mut bytes = Vec::new();
        for number in numbers {
            put(number, &mut bytes);
        }
        assert_eq!(bytes[..6], [0, 1, 127, 0x80, 1, 0xac]);
        put_key(b"abc", Some(3), &mut bytes);
        put_key(b"", None, &mut bytes);
        put_key(b"de", None, &mut bytes);
        let mut reader = Reader(&bytes);
        assert_eq!(numbers.map(|_| reader.number()), numbers);
        assert_eq!(reader.key(Some(3)), b"abc");
        assert_eq!((reader.key(None), reader.key(None)), (&b""[..], &b"de"[..]));
        assert!(reader.0.is_empty());
    }
}
