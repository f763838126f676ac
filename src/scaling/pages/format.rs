//! Numbers for readers: as many digits as a measurement can carry, units that need no counting of
//! zeros. Full digits are in the CSV and JSON files.

use crate::num::{floor_u64, round_i32, to_f64};

/// What stands where nothing is known.
pub const UNKNOWN: &str = "-";

/// Decimals that show `value` with so many significant digits; integers are never cut.
fn decimals(value: f64, digits: i32) -> usize {
    if value == 0.0 {
        return 1;
    }
    let exponent = round_i32(libm::floor(libm::log10(value.abs())));
    usize::try_from((digits - 1 - exponent).clamp(0, 12)).unwrap_or(0)
}

fn fixed(value: f64, places: usize) -> String {
    let text = format!("{value:.places$}");
    // A small negative number rounds to "-0.00".
    let zero = text.starts_with('-') && text.chars().all(|c| matches!(c, '-' | '0' | '.'));
    if zero { text[1..].to_owned() } else { text }
}

fn extreme(value: f64) -> bool {
    value != 0.0 && !(1e-5..1e9).contains(&value.abs())
}

/// A number with so many significant digits; [`UNKNOWN`] if it is none.
pub fn number(value: f64, digits: i32) -> String {
    if !value.is_finite() {
        return UNKNOWN.into();
    }
    if extreme(value) {
        let places = usize::try_from(digits - 1).unwrap_or(0);
        return format!("{value:.places$e}");
    }
    fixed(value, decimals(value, digits))
}

/// A number and its interval, all with the decimals of the number.
pub fn with_interval(value: f64, ends: [f64; 2], digits: i32) -> String {
    if !value.is_finite() || !ends.iter().all(|end| end.is_finite()) {
        return number(value, digits);
    }
    format!("{} {}", number(value, digits), interval_like(value, ends, digits))
}

/// `[low, high]` with the decimals that `value` would have.
pub fn interval_like(value: f64, ends: [f64; 2], digits: i32) -> String {
    if !ends.iter().all(|end| end.is_finite()) {
        return UNKNOWN.into();
    }
    if extreme(value) {
        return format!("[{}, {}]", number(ends[0], digits), number(ends[1], digits));
    }
    let places = decimals(value, digits);
    format!("[{}, {}]", fixed(ends[0], places), fixed(ends[1], places))
}

/// A ratio near one with three decimals, and its interval if there is one.
pub fn ratio(value: f64, ends: Option<[f64; 2]>) -> String {
    match ends {
        _ if !value.is_finite() => UNKNOWN.into(),
        Some([low, high]) => format!("{} [{}, {}]", fixed(value, 3), fixed(low, 3), fixed(high, 3)),
        None => fixed(value, 3),
    }
}

/// Percent with one decimal.
pub fn percent(share: f64) -> String {
    if share.is_finite() { format!("{} %", fixed(100.0 * share, 1)) } else { UNKNOWN.into() }
}

/// Seconds as a person would say them.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return UNKNOWN.into();
    }
    let whole = floor_u64(seconds.round());
    let (days, hours) = (whole / 86_400, whole / 3600 % 24);
    let (minutes, rest) = (whole / 60 % 60, whole % 60);
    match seconds {
        s if s < 1e-3 => format!("{} us", number(s * 1e6, 3)),
        s if s < 1.0 => format!("{} ms", number(s * 1e3, 3)),
        s if s < 119.5 => format!("{} s", number(s, 3)),
        _ if whole < 7200 => format!("{} min {rest} s", whole / 60),
        _ if whole < 172_800 => format!("{} h {minutes} min", whole / 3600),
        _ => format!("{days} d {hours} h"),
    }
}

/// Bytes in units of 1024.
pub fn bytes(count: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if count < 1024 {
        return format!("{count} B");
    }
    let mut value = to_f64(count) / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{} {}", number(value, 3), units[unit])
}
