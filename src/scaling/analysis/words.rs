//! Numbers and lists as sentences have them. Pure.

/// Three significant digits, without an exponent where eyes can do without.
pub(super) fn number(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return if value == 0.0 { "0".into() } else { "unknown".into() };
    }
    let size = value.abs();
    match size {
        _ if !(1e-4..1e7).contains(&size) => format!("{value:.2e}"),
        _ if size >= 100.0 => format!("{value:.0}"),
        _ if size >= 10.0 => format!("{value:.1}"),
        _ if size >= 1.0 => format!("{value:.2}"),
        _ if size >= 0.1 => format!("{value:.3}"),
        _ if size >= 0.01 => format!("{value:.4}"),
        _ => format!("{value:.2e}"),
    }
}

/// Seconds with a unit that fits.
pub(super) fn seconds(value: f64) -> String {
    match value {
        _ if value >= 7200.0 => format!("{} h", number(value / 3600.0)),
        _ if value >= 120.0 => format!("{} min", number(value / 60.0)),
        _ if value >= 0.1 => format!("{} s", number(value)),
        _ if value >= 1e-4 => format!("{} ms", number(value * 1e3)),
        _ => format!("{} us", number(value * 1e6)),
    }
}

/// A part in percent.
pub(super) fn percent(part: f64) -> String {
    format!("{:.1} %", part * 100.0)
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list<T: AsRef<str>>(items: &[T]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().into(),
        [all @ .., last] => {
            let head: Vec<&str> = all.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", head.join(", "), last.as_ref())
        }
    }
}

/// Each item once, in order of first sight.
pub(super) fn distinct<'a>(items: &[&'a str]) -> Vec<&'a str> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(item) {
            seen.push(*item);
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_a_fitting_unit() {
        for (value, text) in [
            (0.0, "0"),
            (123_456.0, "123456"),
            (12.345, "12.3"),
            (1.5, "1.50"),
            (0.123_4, "0.123"),
            (0.012_34, "0.0123"),
            (1.2e-5, "1.20e-5"),
            (1.23e9, "1.23e9"),
        ] {
            assert_eq!(number(value), text);
        }
        for (value, text) in [
            (8000.0, "2.22 h"),
            (150.0, "2.50 min"),
            (1.5, "1.50 s"),
            (0.05, "50.0 ms"),
            (2e-5, "20.0 us"),
        ] {
            assert_eq!(seconds(value), text);
        }
        assert_eq!(list(&["a", "b", "c"]), "a, b and c");
        assert_eq!(list::<&str>(&[]), "");
    }
}
