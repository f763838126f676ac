//! Text lines for `mergesort --type lines`: the order of sort(1), and what a sorter needs of it.
//!
//! An [`Order`] is what the flags mean. It compares two lines ([`Order::cmp_lines`]), and it gives a
//! line a key, a byte string whose order by `memcmp` is the order of the lines ([`Order::key`]), so
//! that all the rest of the program sorts, splits and merges bytes. The order is exactly that of
//! GNU sort in the C locale, and so are the bytes that come out; the tests ask the real one.
//!
//! Everything here is pure: no threads, no files, no clock. Text of a rank is one slice; a line is
//! named by its place in it. [`sort()`] needs 16 bytes a line beside the text and its output, and 4
//! for the [`Lines`] it returns (8 from 4 GiB of text on); keys other than the line need more only
//! for lines that the first eight bytes of their keys do not tell apart (`keyed.rs`).

mod check;
mod cursor;
mod digest;
mod emit;
mod encode;
mod entry;
mod fields;
pub mod fuzz;
mod keyed;
mod multikey;
mod number;
mod order;
mod places;
mod sort;
mod spec;
mod split;
#[cfg(test)]
mod tests;
mod unique;

pub use check::Checked;
pub use cursor::Cursor;
pub use digest::Digest;
pub use encode::prefix;
pub use order::Order;
pub use places::Lines;
pub use sort::sort;
pub use spec::Flags;
pub use split::{line_start_at, line_starts_in, owned};
pub use unique::unique;
