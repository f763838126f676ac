//! Names by a template: `numbers_{}.txt` with an index in the place of the braces.
//!
//! Naming is planning: a million names need no directory to be read and no message to be sent, every
//! rank makes its own. Only [`Template::names`] looks at the file system.

use std::fmt;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name with one place for an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    before: String,
    after: String,
    /// Least number of digits.
    width: usize,
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            Err(format!("`{text}` {why}; write {{}} or {{:06}} once, as in numbers_{{}}.txt"))
        };
        let Some((before, rest)) = text.split_once('{') else {
            return wrong("has no place for the index");
        };
        let Some((form, after)) = rest.split_once('}') else {
            return wrong("has no closing brace");
        };
        if before.contains('}') || after.contains(['{', '}']) {
            return wrong("has more than one place for the index");
        }
        let width = match form {
            "" => 0,
            _ => match form.strip_prefix(":0").map(str::parse::<usize>) {
                Some(Ok(width @ 1..=64)) => width,
                _ => return wrong("has braces that are no place for an index"),
            },
        };
        if text.contains('\0') {
            return wrong("has a NUL, which no name has");
        }
        Ok(Self { before: before.into(), after: after.into(), width })
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.to_string()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, after, width } = self;
        match width {
            0 => write!(f, "{before}{{}}{after}"),
            _ => write!(f, "{before}{{:0{width}}}{after}"),
        }
    }
}

impl Template {
    /// Writes the name of an index over `name`.
    pub fn write(&self, index: u64, name: &mut Vec<u8>) {
        let width = self.width;
        name.clear();
        write!(name, "{}{index:0width$}{}", self.before, self.after).expect("a vector takes all");
    }

    /// Whether one of these indices, in this directory, names the file at `path`, by whatever way.
    pub fn names(&self, directory: &Path, path: &Path, indices: Range<u64>) -> bool {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
        // Of a template with slashes behind the index, every directory would have to be looked at.
        let (below, before) = self.before.rsplit_once('/').unwrap_or(("", &self.before));
        let digits = name.strip_prefix(before).and_then(|rest| rest.strip_suffix(&self.after));
        let Some(index) = digits.and_then(|digits| digits.parse().ok()) else { return false };
        let mut made = Vec::new();
        self.write(index, &mut made);
        let made = String::from_utf8_lossy(&made);
        let same_name = made.rsplit('/').next() == Some(name);
        let place = directory.join(below);
        let place = if place.as_os_str().is_empty() { Path::new(".") } else { &place };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let there = parent.unwrap_or(Path::new(".")).canonicalize();
        let same_place = matches!((there, place.canonicalize()), (Ok(a), Ok(b)) if a == b);
        same_name && same_place && indices.contains(&index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(template: &str, index: u64) -> String {
        let mut name = b"old".to_vec();
        template.parse::<Template>().unwrap().write(index, &mut name);
        String::from_utf8(name).unwrap()
    }

    #[test]
    fn indices_take_the_place_of_braces() {
        assert_eq!(name("numbers_{}.txt", 7), "numbers_7.txt");
        assert_eq!(name("{:06}", 1234), "001234");
        assert_eq!(name("sub/n{:02}x", 1234), "sub/n1234x");
        let template: Template = "a{:03}b".parse().unwrap();
        assert_eq!(template.to_string().parse(), Ok(template));
    }

    #[test]
    fn other_braces_are_refused() {
        for text in ["", "a", "{", "}", "{}{}", "{:3}", "{:0}", "{:099}", "{x}", "a}b{}", "\0{}"] {
            assert!(text.parse::<Template>().is_err(), "{text}");
        }
    }
}
