//! From flags to an [`Order`]: what sort(1) calls -n -r -u -k -t -z -s, checked and resolved.
//!
//! Options without a key of their own are handed to the keys here, once, by the rule of sort(1): a
//! key that has n, r or b of its own takes none of the global ones. What is refused is refused with
//! the flag, the piece and the next step; that includes the options d f g h i M R V of sort(1), and
//! spellings that sort(1) lets pass by accident of `strtoumax` (a sign or blanks before a number).

use serde::{Deserialize, Serialize};

use super::order::{Key, Order, Position};
use crate::error::{Error, Result};

/// The flags as typed; the names are those of sort(1) and of the deck.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "they are switches of a command line")]
pub struct Flags {
    /// Compare by the number at the beginning of the key.
    pub numeric: bool,
    /// Greatest first.
    pub reverse: bool,
    /// Only the first of lines that compare equal.
    pub unique: bool,
    /// `F[.C][OPTS][,G[.C][OPTS]]`, the most significant first.
    pub key: Vec<String>,
    /// One byte between fields; without it, fields begin where blanks follow other bytes.
    pub separator: Option<String>,
    /// Lines end with NUL instead of LF.
    pub zero_terminated: bool,
    /// Lines with equal keys stay in the order of the input.
    pub stable: bool,
}

impl Order {
    /// The order that `flags` describe.
    ///
    /// # Errors
    /// A usage error with a sentence for each flag that sort(1) would refuse or dcomp does not know.
    pub fn parse(flags: &Flags) -> Result<Self> {
        let mut keys = Vec::with_capacity(flags.key.len());
        for typed in &flags.key {
            keys.push(Parser { typed, rest: typed }.key(flags)?);
        }
        if keys.is_empty() && flags.numeric {
            let start = Position { fields: 0, bytes: 0, skip_blanks: false };
            keys.push(Key { start, end: None, numeric: true, reverse: flags.reverse });
        }
        Ok(Self {
            keys,
            separator: flags.separator.as_deref().map(separator).transpose()?,
            terminator: if flags.zero_terminated { 0 } else { b'\n' },
            reverse: flags.reverse,
            unique: flags.unique,
            stable: flags.stable,
        })
    }
}

fn separator(typed: &str) -> Result<u8> {
    match typed.as_bytes() {
        [byte] => Ok(*byte),
        [b'\\', b'0'] => Ok(0),
        [] => Err(Error::usage(
            "--separator '' is empty; give one byte, such as ',', or leave the flag out for blanks",
        )),
        more => Err(Error::usage(format!(
            "--separator '{typed}' is {} bytes long; give one byte, such as ',', or \\0 for NUL",
            more.len()
        ))),
    }
}

/// Reads one value of `--key` from left to right.
struct Parser<'a> {
    typed: &'a str,
    rest: &'a str,
}

/// The letters behind a position.
#[derive(Clone, Copy, Default)]
struct Letters {
    numeric: bool,
    reverse: bool,
    blanks: bool,
}

impl Parser<'_> {
    fn key(mut self, flags: &Flags) -> Result<Key> {
        let (fields, bytes) = self.start()?;
        let first = self.letters()?;
        let start = Position { fields, bytes, skip_blanks: first.blanks };
        let (mut end, mut second) = (None, Letters::default());
        if self.accept(',') {
            let (fields, bytes) = self.end()?;
            second = self.letters()?;
            end = Some(Position { fields, bytes, skip_blanks: second.blanks });
        }
        if !self.rest.is_empty() {
            return Err(self.refuse(&format!(
                "'{}' is left over; the form is F[.C][nrb][,G[.C][nrb]]",
                self.rest
            )));
        }
        let numeric = first.numeric || second.numeric;
        let reverse = first.reverse || second.reverse;
        let own = numeric || reverse || first.blanks || second.blanks;
        Ok(Key {
            start,
            end,
            numeric: numeric || (!own && flags.numeric),
            reverse: reverse || (!own && flags.reverse),
        })
    }

    /// Fields and bytes in front of the key.
    fn start(&mut self) -> Result<(usize, usize)> {
        let field = self.field()?;
        if !self.accept('.') {
            return Ok((field - 1, 0));
        }
        match self.count("byte number behind the '.'")? {
            0 => Err(self.refuse("bytes are counted from 1; write .1 for the first of the field")),
            byte => Ok((field - 1, byte - 1)),
        }
    }

    /// Fields in front of the last one, and how many bytes of that belong to the key; 0 for all.
    fn end(&mut self) -> Result<(usize, usize)> {
        let field = self.field()?;
        let bytes = if self.accept('.') { self.count("byte number behind the '.'")? } else { 0 };
        Ok((field - 1, bytes))
    }

    fn field(&mut self) -> Result<usize> {
        match self.count("field number")? {
            0 => Err(self.refuse("fields are counted from 1; write 1 for the first")),
            field => Ok(field),
        }
    }

    /// A number in decimal digits; one that is too large stands for the end of any line.
    fn count(&mut self, name: &str) -> Result<usize> {
        let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if length == 0 {
            return Err(self.refuse(&format!(
                "a {name} is missing before '{}'; the form is F[.C][nrb][,G[.C][nrb]], as in 2,2n",
                self.rest
            )));
        }
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(digits.parse().unwrap_or(usize::MAX))
    }

    fn letters(&mut self) -> Result<Letters> {
        let mut letters = Letters::default();
        while let Some(letter) = self.rest.chars().next().filter(char::is_ascii_alphabetic) {
            match letter {
                'n' => letters.numeric = true,
                'r' => letters.reverse = true,
                'b' => letters.blanks = true,
                other => return Err(self.unknown(other)),
            }
            self.rest = &self.rest[1..];
        }
        Ok(letters)
    }

    fn accept(&mut self, sign: char) -> bool {
        self.rest.strip_prefix(sign).inspect(|rest| self.rest = rest).is_some()
    }

    fn unknown(&self, letter: char) -> Error {
        let meaning = match letter {
            'd' => "dictionary order",
            'f' => "upper case as lower case",
            'g' => "floating-point numbers",
            'h' => "sizes such as 2K and 1G",
            'i' => "printable bytes only",
            'M' => "months",
            'R' => "random order",
            'V' => "version numbers",
            _ => {
                return self
                    .refuse(&format!("there is no option '{letter}'; n, r and b are known"));
            }
        };
        self.refuse(&format!(
            "option '{letter}' ({meaning}) is not offered; use n, r or b, or sort(1) for this order"
        ))
    }

    fn refuse(&self, why: &str) -> Error {
        Error::usage(format!("--key '{}': {why}", self.typed))
    }
}
