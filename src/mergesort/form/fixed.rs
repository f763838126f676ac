//! What bare keys and records have in common.

use crate::mergesort::buffer::Buffer;
use crate::num::to_u64;

/// Moves the items that are not `same` as the one before them, `previous` for the first, to the front.
pub(super) fn dedupe(
    mut items: Buffer,
    bytes: usize,
    previous: Option<&[u8]>,
    same: impl Fn(&[u8], &[u8]) -> bool,
) -> Buffer {
    let mut kept = 0;
    for at in (0..items.len()).step_by(bytes) {
        let item = &items[at..at + bytes];
        let before = if kept == 0 { previous } else { Some(&items[kept - bytes..kept]) };
        if before.is_none_or(|before| !same(before, item)) {
            items.copy_within(at..at + bytes, kept);
            kept += bytes;
        }
    }
    items.truncate(to_u64(kept));
    items
}
