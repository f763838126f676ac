//! What was refused: the first pieces by name, all of them by number.
//!
//! Ranks meet rubbish in any order. The pieces that are told are those with the least path and line,
//! so that the same input gives the same words for every number of ranks; each rank keeps only so
//! many, whatever comes.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::grammar::{Refusal, Why};
use crate::comm::Comm;
use crate::num::to_usize;

/// How many pieces are told in the record.
pub const TOLD: usize = 1000;

/// How many stand in the error message.
pub const NAMED: usize = 10;

/// A piece of the input that is no accepted number, or a file that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refused {
    /// The path, as bytes: names need not be text.
    pub path: Vec<u8>,
    /// The line, from 1; 0 for the file as a whole.
    pub line: u64,
    /// What is wrong.
    pub problem: String,
}

impl Refused {
    /// A file that the system refused.
    pub fn file(path: Vec<u8>, cause: &std::io::Error) -> Self {
        Self { path, line: 0, problem: cause.to_string() }
    }

    /// Something under a file's name that is no file.
    pub fn not_regular(path: Vec<u8>, kind: &str) -> Self {
        Self { path, line: 0, problem: format!("it is {kind}, not a regular file") }
    }

    /// A line, `before` lines of whose file were parsed elsewhere.
    pub fn line(path: Vec<u8>, refusal: &Refusal, before: u64) -> Self {
        let shown = refusal.piece.escape_ascii();
        let problem = match refusal.why {
            Why::NotANumber => format!("\"{shown}\" is no integer"),
            Why::TooLarge => format!("{shown} does not fit 64 bits"),
            Why::OutOfLimits => format!("{shown} is outside --min-int and --max-int"),
        };
        Self { path, line: before + refusal.line, problem }
    }

    /// The words for it, `path:line: problem`.
    pub fn text(&self) -> String {
        let path = match std::str::from_utf8(&self.path) {
            Ok(path) if !path.chars().any(char::is_control) => path.to_owned(),
            _ => self.path.escape_ascii().to_string(),
        };
        match self.line {
            0 => format!("{path}: {}", self.problem),
            line => format!("{path}:{line}: {}", self.problem),
        }
    }
}

/// The least refusals of a thread, a rank or the world.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Told {
    pieces: Vec<Refused>,
}

impl Told {
    /// These.
    pub fn of(pieces: Vec<Refused>) -> Self {
        Self { pieces }
    }

    /// Takes one more.
    pub fn push(&mut self, refused: Refused) {
        self.pieces.push(refused);
        if self.pieces.len() >= 4 * TOLD {
            self.settle();
        }
    }

    /// Takes those of another.
    pub fn extend(&mut self, other: Self) {
        for piece in other.pieces {
            self.push(piece);
        }
    }

    /// The least one.
    pub fn first(&self) -> Option<&Refused> {
        self.pieces.iter().min()
    }

    fn settle(&mut self) {
        self.pieces.sort_unstable();
        self.pieces.truncate(TOLD);
    }

    /// Collective. The least of all ranks, on all ranks.
    pub fn gathered(mut self, comm: &Comm) -> Vec<Refused> {
        self.settle();
        let mine = serde_json::to_vec(&self.pieces).expect("plain data");
        let parts = comm.all_gather_bytes(&mine);
        let mut all = Self::default();
        for part in parts {
            let pieces: Vec<Refused> = serde_json::from_slice(&part).expect("as it was sent");
            for piece in pieces {
                all.push(piece);
            }
        }
        all.settle();
        all.pieces
    }
}

/// What a lister could not read: all counted, the first told.
#[derive(Clone, Debug, Default)]
pub struct Unread {
    /// How many.
    pub count: u64,
    /// The first of them.
    pub told: Told,
}

impl Unread {
    /// Takes one more.
    pub fn push(&mut self, refused: Refused) {
        self.count += 1;
        self.told.push(refused);
    }
}

/// The error that names the first pieces and the total.
pub fn sentence(told: &[Refused], pieces: u64, files: u64) -> String {
    let count = |count: u64, one: &str, more: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {more}"),
    };
    let lines = count(
        pieces,
        "piece of the input is no accepted number",
        "pieces of the input are no accepted numbers",
    );
    let unread = count(files, "input cannot be read", "inputs cannot be read");
    let mut text = match (pieces, files) {
        (_, 0) => lines,
        (0, _) => unread,
        _ => format!("{lines}, {unread}"),
    };
    text.push_str("; mend them, or count without them by --on-error skip:");
    for piece in told.iter().take(NAMED) {
        text.push_str("\n  ");
        text.push_str(&piece.text());
    }
    let more = (pieces + files).saturating_sub(told.len().min(NAMED).try_into().unwrap_or(0));
    if more > 0 {
        write!(text, "\n  and {more} more").expect("a string takes all");
    }
    text
}

/// For a list whose length came as a `u64`.
pub fn at_most(limit: u64, pieces: &[Refused]) -> &[Refused] {
    &pieces[..pieces.len().min(to_usize(limit))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(path: &str, line: u64) -> Refused {
        Refused { path: path.into(), line, problem: "is wrong".into() }
    }

    #[test]
    fn the_least_are_kept() {
        let mut told = Told::default();
        for line in (1..=10_000).rev() {
            told.push(piece("a", line));
        }
        let all = told.gathered(&Comm::alone());
        assert_eq!(all.len(), TOLD);
        assert_eq!((all[0].line, all[TOLD - 1].line), (1, 1000));
    }

    #[test]
    fn the_sentence_names_ten_and_counts_all() {
        let told: Vec<Refused> = (1..=12).map(|line| piece("a", line)).collect();
        let text = sentence(&told, 12, 1);
        assert!(
            text.starts_with("12 pieces of the input are no accepted numbers, 1 input cannot be")
        );
        assert!(text.contains("\n  a:10: is wrong\n  and 3 more"), "{text}");
        assert!(!sentence(&told[..2], 2, 0).contains("more"));
        let odd = Refused { path: b"a\nb\xff".to_vec(), line: 0, problem: "x".into() };
        assert_eq!(odd.text(), "a\\nb\\xff: x");
    }
}
