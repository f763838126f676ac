//! Sizes and times as people write and read them. Pure.

use std::time::Duration;

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// Bytes for eyes.
pub fn size(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match units.into_iter().find(|(_, shift)| bytes >> shift > 9) {
        Some((unit, shift)) => format!("{} {unit}", bytes >> shift),
        None => format!("{bytes} B"),
    }
}

/// Bytes that are known to the last one, for eyes and for scripts.
pub fn exactly(bytes: u64) -> String {
    if bytes < 10 << 10 {
        format!("{bytes} bytes")
    } else {
        format!("{} ({bytes} bytes)", size(bytes))
    }
}

/// Whether `needed` bytes fit what is `available` at a `place`, as the end of a line.
pub fn verdict(needed: u64, available: Option<u64>, place: &str) -> String {
    match available {
        Some(available) if needed <= available => format!(", fits: {} {place}", size(available)),
        Some(available) => format!(", DOES NOT FIT: {} {place}", size(available)),
        None => String::new(),
    }
}

/// Bytes from `4096`, `512K`, `64M`, `4G` or `1T`, in powers of 1024; an ending `B` or `iB` is allowed.
///
/// # Errors
/// A sentence, when the text is not a size or exceeds 2^63 bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let digits = trimmed.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match trimmed[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 0,
        "K" | "KB" | "KIB" => 10,
        "M" | "MB" | "MIB" => 20,
        "G" | "GB" | "GIB" => 30,
        "T" | "TB" | "TIB" => 40,
        _ => return Err(format!("`{text}` is not a size; write 4096, 512K, 64M or 4G")),
    };
    let number: u64 = digits
        .trim_end()
        .parse()
        .map_err(|_| format!("`{text}` is not a size; write 4096, 512K, 64M or 4G"))?;
    let bytes = number.checked_mul(1 << shift).filter(|bytes| *bytes <= 1 << 63);
    bytes.ok_or_else(|| format!("`{text}` is more than 2^63 bytes"))
}

/// A time from `30s`, `10m`, `2h`, `1h 30m` or a number of seconds.
///
/// # Errors
/// A sentence, when the text is not a time.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let trimmed = text.trim();
    if let Ok(seconds) = trimmed.parse() {
        return Ok(Duration::from_secs(seconds));
    }
    humantime::parse_duration(trimmed)
        .map_err(|cause| format!("`{text}` is no time: {cause}; write 30s, 10m or 2h"))
}

/// A time in a deck: a number of seconds, or text as [`parse_duration`] reads it.
pub mod duration_text {
    use super::{Deserialize, Deserializer, Duration, Error, parse_duration};
    use serde::Serializer;

    /// # Errors
    /// As [`parse_duration`].
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "expected a time, as \"30s\" or a number of seconds")]
        enum Given {
            Seconds(u64),
            Text(String),
        }
        match Option::<Given>::deserialize(from)? {
            None => Ok(None),
            Some(Given::Seconds(seconds)) => Ok(Some(Duration::from_secs(seconds))),
            Some(Given::Text(text)) => parse_duration(&text).map(Some).map_err(D::Error::custom),
        }
    }

    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(value: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(time) => to.collect_str(&humantime::format_duration(*time)),
            None => to.serialize_none(),
        }
    }
}

/// A part from `2%` or `0.02`.
///
/// # Errors
/// A sentence, when the text is neither.
pub fn parse_percent(text: &str) -> Result<f64, String> {
    let trimmed = text.trim();
    let number = trimmed.strip_suffix('%');
    let part = number.unwrap_or(trimmed).trim().parse::<f64>().ok().filter(|part| part.is_finite());
    let part = part.ok_or_else(|| format!("`{text}` is no percentage; write 2% or 0.02"))?;
    Ok(if number.is_some() { part / 100.0 } else { part })
}

/// A size in a deck: a number of bytes, or text as [`parse_size`] reads it.
///
/// # Errors
/// As [`parse_size`].
pub fn deserialize_size<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a size, as \"512M\" or a number of bytes")]
    enum Given {
        Bytes(u64),
        Text(String),
    }
    match Option::<Given>::deserialize(from)? {
        None => Ok(None),
        Some(Given::Bytes(bytes)) => Ok(Some(bytes)),
        Some(Given::Text(text)) => parse_size(&text).map(Some).map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, bytes) in
            [("0", 0), ("4096", 4096), ("512K", 512 << 10), ("64M", 64 << 20), ("4 GiB", 4 << 30)]
        {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for text in ["", "K", "1.5G", "-1", "12X", "99999999T", "1e9"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
        for (text, seconds) in [("0", 0), ("90", 90), ("30s", 30), ("10m", 600), ("1h 30m", 5400)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "s", "-1s", "1.5", "ten"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert_eq!((parse_percent("2%"), parse_percent(" 0.5 ")), (Ok(0.02), Ok(0.5)));
        for text in ["", "%", "x%", "nan", "inf%"] {
            assert!(parse_percent(text).is_err(), "{text}");
        }
        assert_eq!(size(10 << 30), "10 GiB");
        assert_eq!(exactly(8_000_000), "7812 KiB (8000000 bytes)");
        assert_eq!(exactly(8), "8 bytes");
        assert_eq!(verdict(5, Some(4), "free"), ", DOES NOT FIT: 4 B free");
    }
}
