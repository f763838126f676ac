//! What keys are made of: six types, and how a pattern's 64 bits become each of them.
//!
//! A pattern speaks in 64 bits whose order is the keys' order. Integers take the upper bits, with the sign
//! bit turned for signed ones. Floats take the upper 53 or 24 bits as even steps of [-1, 1): all finite,
//! exact, in order, and only as many different ones. Patterns know how many bits count, so what differs in
//! a last bit differs in the type's.

use std::fmt;
use std::str::FromStr;

use super::pattern::named;
use crate::num::{to_f32, to_f64};

/// The type of keys, in memory and little-endian in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// 32 bits without a sign.
    U32,
    /// 64 bits without a sign.
    U64,
    /// 32 bits, two's complement.
    I32,
    /// 64 bits, two's complement.
    I64,
    /// IEEE 754 single precision.
    F32,
    /// IEEE 754 double precision.
    F64,
}

/// The sign of 64 bits.
const SIGN: u64 = 1 << 63;

/// 2^-52 and 2^-23: one step of generated floats.
const STEP_F64: f64 = f64::EPSILON;
const STEP_F32: f32 = f32::EPSILON;

impl KeyType {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::U32, Self::U64, Self::I32, Self::I64, Self::F32, Self::F64];

    /// As decks and flags have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::U32 => "u32",
            Self::U64 => "u64",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// Bytes of a key.
    pub fn bytes(self) -> usize {
        match self {
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Whether keys are floating-point numbers.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// How many of a pattern's 64 bits count.
    pub(super) fn width(self) -> u32 {
        match self {
            Self::U32 | Self::I32 => 32,
            Self::U64 | Self::I64 => 64,
            Self::F32 => f32::MANTISSA_DIGITS,
            Self::F64 => f64::MANTISSA_DIGITS,
        }
    }

    /// The last bit that counts.
    pub(super) fn unit(self) -> u64 {
        1 << (64 - self.width())
    }

    /// The bits of the type's 0.
    pub(super) fn zero(self) -> u64 {
        match self {
            Self::U32 | Self::U64 => 0,
            Self::I32 | Self::I64 | Self::F32 | Self::F64 => SIGN,
        }
    }

    /// Writes a pattern's bits as keys; `bytes` is as long as they are.
    pub(super) fn encode(self, keys: &[u64], bytes: &mut [u8]) {
        match self {
            Self::U32 => write(keys, bytes, |key| upper(key).to_le_bytes()),
            Self::U64 => write(keys, bytes, u64::to_le_bytes),
            Self::I32 => write(keys, bytes, |key| upper(key ^ SIGN).to_le_bytes()),
            Self::I64 => write(keys, bytes, |key| (key ^ SIGN).to_le_bytes()),
            Self::F32 => write(keys, bytes, |key| single(key).to_le_bytes()),
            Self::F64 => write(keys, bytes, |key| double(key).to_le_bytes()),
        }
    }

    /// The last bit of the type itself, as the total order has it.
    pub(super) fn last_bit(self) -> u64 {
        if self.bytes() == 4 { 1 << 32 } else { 1 }
    }

    /// Writes bits in the total order of IEEE 754 as floats.
    pub(super) fn encode_ordered(self, keys: &[u64], bytes: &mut [u8]) {
        let float = |key: u64| if key & SIGN == 0 { !key } else { key ^ SIGN };
        match self.bytes() {
            4 => write(keys, bytes, |key| upper(float(key)).to_le_bytes()),
            _ => write(keys, bytes, |key| float(key).to_le_bytes()),
        }
    }

    /// Bits of a special float in the total order, from two random words: NaN, infinity, zero, the least
    /// and other subnormals, the least normal and the greatest, one in [1, 2), each with both signs.
    pub(super) fn special(self, choice: u64, payload: u64) -> u64 {
        let (mantissa, width) = if self == Self::F32 { (23, 32) } else { (52, 64) };
        let fraction = payload & ((1 << mantissa) - 1);
        let infinity = ((1_u64 << (width - 1 - mantissa)) - 1) << mantissa;
        let magnitude = match choice & 7 {
            // A payload of 0 would be infinity.
            0 => infinity | fraction.max(1),
            1 => infinity,
            2 => 0,
            3 => 1,
            4 => fraction,
            5 => 1 << mantissa,
            6 => infinity - 1,
            // 1 has all bits of the exponent but the first.
            _ => (infinity >> 1) & !((1 << mantissa) - 1) | fraction,
        };
        let bits = magnitude << (64 - width);
        // The bits below a single's are the same for all keys of one float.
        if choice & 8 == 0 { bits | SIGN } else { !(bits | SIGN) }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for KeyType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        named("type", text, &Self::ALL, Self::name)
    }
}

#[inline]
fn write<const N: usize>(keys: &[u64], bytes: &mut [u8], encode: impl Fn(u64) -> [u8; N]) {
    debug_assert_eq!(keys.len() * N, bytes.len(), "room for the keys");
    for (key, place) in keys.iter().zip(bytes.chunks_exact_mut(N)) {
        place.copy_from_slice(&encode(*key));
    }
}

#[inline]
fn upper(key: u64) -> u32 {
    u32::try_from(key >> 32).expect("the upper half")
}

#[inline]
fn double(key: u64) -> f64 {
    (to_f64(key >> 11) - to_f64(1 << 52)) * STEP_F64
}

#[inline]
fn single(key: u64) -> f32 {
    to_f32(to_f64(key >> 40) - to_f64(1 << 23)) * STEP_F32
}
