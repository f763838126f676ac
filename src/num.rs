//! Number conversions that say what they do.
//!
//! `as` on numbers is denied by the lints because it truncates in silence. The few conversions
//! that are needed everywhere stand here once, each with the reason why it cannot lose.

/// `u64` to `usize`; lossless on the 64-bit machines that dcomp supports.
///
/// # Panics
/// When the value does not fit, which a 64-bit machine cannot show.
#[inline]
pub fn to_usize(value: u64) -> usize {
    usize::try_from(value).expect("a 64-bit machine")
}

/// `usize` to `u64`; lossless wherever Rust runs today.
#[inline]
pub fn to_u64(value: usize) -> u64 {
    u64::try_from(value).expect("usize of at most 64 bits")
}

/// The nearest `f64`: exact up to 2^53, rounded above. For times, rates and predictions.
#[expect(clippy::cast_precision_loss, reason = "rounding is the documented meaning")]
#[inline]
pub fn to_f64(value: u64) -> f64 {
    value as f64
}

/// The nearest `f64` of a count in memory.
#[inline]
pub fn len_f64(value: usize) -> f64 {
    to_f64(to_u64(value))
}

/// Towards zero, clamped to `0..=u64::MAX`, NaN to 0: the meaning of `as`, under a name.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturation is the documented meaning"
)]
#[inline]
pub fn floor_u64(value: f64) -> u64 {
    value as u64
}

/// The nearest `f32`. For fractions that are stored in four bytes.
#[expect(clippy::cast_possible_truncation, reason = "rounding is the documented meaning")]
#[inline]
pub fn to_f32(value: f64) -> f32 {
    value as f32
}

/// The nearest `i32`, clamped to its range, NaN to 0: positions in a drawing.
#[expect(clippy::cast_possible_truncation, reason = "saturation is the documented meaning")]
#[inline]
pub fn round_i32(value: f64) -> i32 {
    value.round() as i32
}

/// splitmix64's finalizer (Steele, Lea & Flood, OOPSLA 2014): a bijection on 64 bits that is used
/// as a counter-based generator, so that a random choice depends on its index alone and never on
/// the rank that makes it.
#[inline]
pub fn mix64(counter: u64) -> u64 {
    let mut z = counter.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A key's share of a checksum that does not depend on the order: a bijection of the 64-bit patterns,
/// so that no two keys look alike, by one multiplication and one shift. The constant keeps 0 from counting
/// nothing; the shift makes it non-linear, so that (1, 4) and (2, 3) differ although their sums agree.
#[inline]
pub fn share64(bits: u64) -> u64 {
    let z = bits.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0xD1B5_4A32_D192_ED03);
    z ^ (z >> 32)
}
