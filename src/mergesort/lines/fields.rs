//! Where a key lies in a line.
//!
//! With a separator, field k stands between separators k - 1 and k. Without one, a field is a run of
//! blanks and the run of other bytes behind it, so its blanks belong to it. Blank is what sort(1)
//! calls so in the C locale: space, tab and, in lines that end with NUL, LF. Fields that the line
//! does not have are empty and lie at its end; a key that ends before it begins is empty.

use memchr::memchr;

use super::order::{Key, Position};

/// Space, tab or LF.
#[inline]
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n')
}

/// The bytes of `line` that make up `key`.
#[inline]
pub(super) fn extent<'a>(key: &Key, separator: Option<u8>, line: &'a [u8]) -> &'a [u8] {
    let field = skip(line, separator, 0, key.start.fields, true);
    let start = inside(&key.start, line, field);
    let Some(end) = &key.end else { return &line[start..] };
    let whole = end.bytes == 0;
    let fields = end.fields.saturating_add(usize::from(whole));
    // Fields are looked for once: the end goes on where the start was found, if it lies behind it.
    let (from, fields) = match fields.checked_sub(key.start.fields) {
        Some(more) if more > 0 => (field, more),
        _ => (0, fields),
    };
    let field = skip(line, separator, from, fields, !whole);
    let end = if whole { field } else { inside(end, line, field) };
    &line[start..end.max(start)]
}

/// Behind `fields` more fields from `at` on; with separators, that is the begin of the next field,
/// or, unless `past_last`, the separator before it.
#[inline]
fn skip(line: &[u8], separator: Option<u8>, at: usize, fields: usize, past_last: bool) -> usize {
    match separator {
        _ if fields == 0 => at,
        Some(separator) => skip_separated(line, separator, at, fields, past_last),
        None => skip_blank_led(line, at, fields),
    }
}

/// The place in the field that begins at `field`.
#[inline]
fn inside(position: &Position, line: &[u8], field: usize) -> usize {
    let blanks = if position.skip_blanks { run(&line[field..], is_blank) } else { 0 };
    (field + blanks).saturating_add(position.bytes).min(line.len())
}

fn skip_separated(
    line: &[u8],
    separator: u8,
    mut at: usize,
    fields: usize,
    past_last: bool,
) -> usize {
    for left in (0..fields).rev() {
        let Some(found) = memchr(separator, &line[at..]) else { return line.len() };
        at += found + usize::from(left > 0 || past_last);
    }
    at
}

fn skip_blank_led(line: &[u8], mut at: usize, fields: usize) -> usize {
    for _ in 0..fields {
        if at == line.len() {
            break;
        }
        at += run(&line[at..], is_blank);
        at += run(&line[at..], |byte| !is_blank(byte));
    }
    at
}

/// How many bytes at the begin of `bytes` are `of_kind`.
#[inline]
pub(super) fn run(bytes: &[u8], of_kind: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|&byte| !of_kind(byte)).unwrap_or(bytes.len())
}
