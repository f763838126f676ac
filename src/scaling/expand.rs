//! Words with placeholders: `{ranks}`, `{nodes}`, `{threads}`, `{cores}`, `{repeat}`, `{seed}`,
//! `{scratch}` and the names that grow with the ranks. Pure.
//!
//! Values are put into words, never into a line that a shell reads, so nothing needs quoting.

use std::collections::BTreeMap;

use crate::num::{floor_u64, to_f64};

/// What the ranks do to a growing quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Power {
    None,
    Linear,
    Square,
    Cube,
}

/// A quantity that grows with the ranks: `1000*ranks`, `2048*sqrt(ranks)`, `64*cbrt(ranks)`, `7`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Growth {
    base: f64,
    power: Power,
}

impl std::str::FromStr for Growth {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no growth; write NUMBER*ranks, NUMBER*sqrt(ranks), \
                 NUMBER*cbrt(ranks) or a number"
            )
        };
        let (number, power) = match text.split_once('*') {
            None => (text, Power::None),
            Some((number, by)) => {
                let by: String = by.chars().filter(|c| !c.is_whitespace()).collect();
                let power = match by.as_str() {
                    "ranks" => Power::Linear,
                    "sqrt(ranks)" => Power::Square,
                    "cbrt(ranks)" => Power::Cube,
                    _ => return Err(wrong()),
                };
                (number, power)
            }
        };
        let base: f64 = number.trim().parse().map_err(|_| wrong())?;
        if base.is_finite() && base > 0.0 && base <= 9e15 {
            Ok(Self { base, power })
        } else {
            Err(wrong())
        }
    }
}

impl Growth {
    /// The value at so many ranks, rounded to a whole number.
    pub fn at(&self, ranks: u64) -> u64 {
        let ranks = to_f64(ranks);
        let factor = match self.power {
            Power::None => 1.0,
            Power::Linear => ranks,
            Power::Square => ranks.sqrt(),
            Power::Cube => ranks.cbrt(),
        };
        floor_u64((self.base * factor).round())
    }
}

/// The values of the placeholders at one run.
pub type Values = BTreeMap<String, String>;

/// Puts values into a word. `{{` and `}}` are braces; braces around what is no name stay.
///
/// # Errors
/// A sentence, for a name that is not known.
pub fn word(word: &str, values: &Values) -> Result<String, String> {
    let mut out = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        if tail.starts_with("{{") || tail.starts_with("}}") {
            out.push_str(&tail[..1]);
            rest = &tail[2..];
            continue;
        }
        let name = tail[1..]
            .split('}')
            .next()
            .filter(|name| tail.starts_with('{') && tail.len() > name.len() + 1 && is_name(name));
        let Some(name) = name else {
            out.push_str(&tail[..1]);
            rest = &tail[1..];
            continue;
        };
        let value = values.get(name).ok_or_else(|| unknown(name, values))?;
        out.push_str(value);
        rest = &tail[name.len() + 2..];
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether a word holds this placeholder.
pub fn mentions(text: &str, name: &str) -> bool {
    text.replace("{{", "").contains(&format!("{{{name}}}"))
}

/// Whether this can be the name of a placeholder.
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn unknown(name: &str, values: &Values) -> String {
    let known: Vec<String> = values.keys().map(|key| format!("{{{key}}}")).collect();
    format!(
        "{{{name}}} is not known; known are {}; write {{{{{name}}}}} for these letters themselves",
        known.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        [("ranks", "4"), ("dir", "a b")].map(|(k, v)| (k.to_owned(), v.to_owned())).into()
    }

    #[test]
    fn placeholders_are_replaced_and_other_braces_stay() {
        for (text, expected) in [
            ("{ranks}", "4"),
            ("-n{ranks}x{ranks}", "-n4x4"),
            ("{dir}/x", "a b/x"),
            ("{{ranks}}", "{ranks}"),
            ("{print $1}", "{print $1}"),
            ("{", "{"),
            ("}{", "}{"),
            ("a{}b", "a{}b"),
            ("{Ranks}", "{Ranks}"),
            ("ä{ranks}ö", "ä4ö"),
            ("{ranks", "{ranks"),
            ("${ranks}", "$4"),
        ] {
            assert_eq!(word(text, &values()).as_deref(), Ok(expected), "{text}");
        }
        let error = word("{rank}", &values()).unwrap_err();
        assert_eq!(
            error,
            "{rank} is not known; known are {dir} {ranks}; write {{rank}} for these letters themselves"
        );
        assert!(mentions("-n {ranks}", "ranks") && !mentions("{{ranks}}", "ranks"));
    }

    #[test]
    fn growths_are_rounded() {
        let at = |text: &str, ranks| text.parse::<Growth>().unwrap().at(ranks);
        assert_eq!(at("2048*sqrt(ranks)", 1), 2048);
        assert_eq!(at("2048*sqrt(ranks)", 2), 2896); // 2896.31
        assert_eq!(at("2048 * sqrt( ranks )", 4), 4096);
        assert_eq!(at("1000*ranks", 7), 7000);
        assert_eq!(at("64*cbrt(ranks)", 8), 128);
        assert_eq!(at("12", 8), 12);
        for text in ["", "x", "3*rank", "-1*ranks", "0*ranks", "inf*ranks", "nan", "1e30*ranks"] {
            assert!(text.parse::<Growth>().is_err(), "{text}");
        }
    }
}
