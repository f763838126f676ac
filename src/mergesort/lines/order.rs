//! The order of lines: how two of them compare.
//!
//! This is the plain definition, which allocates nothing and finds the keys of both lines anew each
//! time. `encode.rs` has the same order as byte strings, for everything that compares a line more than
//! once or twice.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::fields::extent;
use super::number::Number;

/// How lines are cut, found equal and put in order. Made by [`Order::parse`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The most significant first; empty for the line as a whole.
    pub(super) keys: Vec<Key>,
    /// The byte between fields; `None` for runs of blanks, which then belong to the field behind.
    pub(super) separator: Option<u8>,
    /// The byte that ends a line.
    pub(super) terminator: u8,
    /// Lines as a whole compare the other way round. Keys say it for themselves.
    pub(super) reverse: bool,
    /// Only the first of lines with equal keys is wanted.
    pub(super) unique: bool,
    /// Lines with equal keys stay in the order of the input.
    pub(super) stable: bool,
}

/// A part of the line by which it is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Key {
    /// Where it begins.
    pub(super) start: Position,
    /// Where it ends; `None` for the line's end.
    pub(super) end: Option<Position>,
    /// Compared as a number.
    pub(super) numeric: bool,
    /// Greatest first.
    pub(super) reverse: bool,
}

/// A place in any line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Fields in front of it.
    pub(super) fields: usize,
    /// Bytes between the field's begin and the place. As an end, 0 stands for the field's end.
    pub(super) bytes: usize,
    /// Blanks at the field's begin do not count as bytes.
    pub(super) skip_blanks: bool,
}

/// `order`, turned round if `reverse`.
#[inline]
pub(super) fn turned(order: Ordering, reverse: bool) -> Ordering {
    if reverse { order.reverse() } else { order }
}

impl Order {
    /// The byte that ends a line.
    pub fn terminator(&self) -> u8 {
        self.terminator
    }

    /// Only the first of lines that compare equal is wanted.
    pub fn is_unique(&self) -> bool {
        self.unique
    }

    /// The order is that of the lines' bytes, and [`Order::key`] gives back the line.
    pub fn is_plain(&self) -> bool {
        self.keys.is_empty() && !self.reverse
    }

    /// Lines with equal keys are told apart by their bytes.
    pub(super) fn has_last_resort(&self) -> bool {
        !self.keys.is_empty() && !self.stable && !self.unique
    }

    /// How the line `a` stands to the line `b`, both without terminator. `Equal` leaves them in the
    /// order of the input.
    #[inline]
    pub fn cmp_lines(&self, a: &[u8], b: &[u8]) -> Ordering {
        let order = self.cmp_keys(a, b);
        if order.is_eq() && self.has_last_resort() {
            return turned(a.cmp(b), self.reverse);
        }
        order
    }

    /// The lines are one and the same to `--unique`: their keys are equal, or all of their bytes
    /// where there are no keys.
    #[inline]
    pub fn equal_for_unique(&self, a: &[u8], b: &[u8]) -> bool {
        self.cmp_keys(a, b).is_eq()
    }

    /// [`Order::cmp_lines`] without the last resort.
    #[inline]
    pub(super) fn cmp_keys(&self, a: &[u8], b: &[u8]) -> Ordering {
        if self.keys.is_empty() {
            return turned(a.cmp(b), self.reverse);
        }
        for key in &self.keys {
            let order = self.cmp_key(key, a, b);
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }

    fn cmp_key(&self, key: &Key, a: &[u8], b: &[u8]) -> Ordering {
        let (a, b) = (extent(key, self.separator, a), extent(key, self.separator, b));
        let order = if key.numeric { Number::read(a).cmp(&Number::read(b)) } else { a.cmp(b) };
        turned(order, key.reverse)
    }
}
