//! The one font of all figures, `DejaVu Sans` from the crate of that name, embedded so that a PNG has
//! the same pixels on every machine; it costs 740 kB of the program. Texts are measured with it.
//!
//! Licence of the font: Bitstream Vera's (free to use, embed and change under another name), changes
//! by `DejaVu` in the public domain.

use std::sync::LazyLock;

use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};

/// CSS families: the embedded font, then two of nearly its widths that browsers have.
pub const FAMILIES: &str = "DejaVu Sans, Verdana, sans-serif";

/// The font's name for the rasterizer.
pub const FAMILY: &str = "DejaVu Sans";

static FONT: LazyLock<Option<FontRef<'static>>> =
    LazyLock::new(|| FontRef::new(dejavu::sans::regular()).ok());

/// Width of `text` at `size`, in the unit of `size`, without kerning (which makes texts narrower).
pub fn width(text: &str, size: f64) -> f64 {
    let Some(font) = FONT.as_ref() else { return 0.6 * size * crate::num::len_f64(text.len()) };
    let metrics = font.glyph_metrics(Size::new(1000.0), LocationRef::default());
    let charmap = font.charmap();
    let advance = |c: char| {
        let glyph = charmap.map(c).unwrap_or_default();
        f64::from(metrics.advance_width(glyph).unwrap_or(600.0)) / 1000.0
    };
    text.chars().map(advance).sum::<f64>() * size
}

/// `text` if it fits into `room`, else its beginning with an ellipsis.
pub fn shorten(text: &str, size: f64, room: f64) -> String {
    if width(text, size) <= room {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = width("…", size);
    for c in text.chars() {
        used += width(c.encode_utf8(&mut [0; 4]), size);
        if used > room {
            break;
        }
        short.push(c);
    }
    format!("{}…", short.trim_end())
}

/// `text` on one line and with no character that XML 1.0 forbids (section 2.2): such stand as U+FFFD.
/// Marks that turn the direction of what follows are taken away: they would reorder our own words.
pub fn clean(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
    text.chars()
        .filter(|&c| !turns(c))
        .map(|c| match c {
            '\n' | '\r' | '\t' => ' ',
            '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
            c if c.is_control() => '\u{FFFD}',
            c => c,
        })
        .collect()
}

/// `text` as part of a file name: at most 32 of `a-z`, `0-9` and single `-`; "series" if none is left.
pub fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            slug.push(c);
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    slug.truncate(32);
    let slug = slug.trim_matches('-');
    if slug.is_empty() { "series".into() } else { slug.into() }
}
