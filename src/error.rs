//! What can go wrong, and the exit codes.
//!
//! One type for the whole program: a kind, which fixes the exit code and the record's `outcome`,
//! and a sentence that names the thing, the place and the next step. Errors cross ranks as these
//! two values (`Comm::agree`), so they stay plain data.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// The classes of failure; each has one exit code, a contract with scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The run finished, but its own check found a wrong result.
    Verification,
    /// A flag, a deck or the way of starting is wrong; nothing was computed.
    Usage,
    /// The input data break the rules of their format.
    BadInput,
    /// A bug in dcomp.
    Internal,
    /// The operating system refused a read, a write or a file.
    Io,
    /// Asked to stop; what is done is kept, and the same again goes on.
    Stopped,
}

impl Kind {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Verification => 1,
            Self::Usage => 2,
            Self::BadInput => 65,
            Self::Internal => 70,
            Self::Io => 74,
            Self::Stopped => 75,
        }
    }

    /// The word that stands in the record's `outcome`.
    pub fn outcome(self) -> &'static str {
        match self {
            Self::Verification => "verification-failed",
            Self::Usage => "usage",
            Self::BadInput => "bad-input",
            Self::Internal => "internal",
            Self::Io => "io",
            Self::Stopped => "stopped",
        }
    }
}

/// A failure with its sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The class, which fixes the exit code.
    pub kind: Kind,
    /// What happened, where, and what to do next.
    pub message: String,
}

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A wrong flag, deck or start.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, message: message.into() }
    }

    /// Input data that break their format.
    pub fn bad_input(message: impl Into<String>) -> Self {
        Self { kind: Kind::BadInput, message: message.into() }
    }

    /// A result that its own check refutes.
    pub fn verification(message: impl Into<String>) -> Self {
        Self { kind: Kind::Verification, message: message.into() }
    }

    /// Asked to stop; a checkpoint is there.
    pub fn stopped(message: impl Into<String>) -> Self {
        Self { kind: Kind::Stopped, message: message.into() }
    }

    /// A broken invariant of dcomp.
    pub fn internal(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Internal,
            message: format!("{}; this is a bug in dcomp", message.into()),
        }
    }

    /// An operating-system error while doing `action` (a verb: "write", "create") to `path`.
    pub fn io(action: impl fmt::Display, path: &Path, cause: &std::io::Error) -> Self {
        let hint = match cause.raw_os_error() {
            Some(28) => ": free space there or choose another directory",
            Some(122) => ": the quota is used up; free space there or choose another directory",
            Some(13 | 1 | 30) => ": choose a directory that you may write to",
            Some(2) => ": check the path",
            _ => "",
        };
        Self {
            kind: Kind::Io,
            message: format!("cannot {action} {}: {cause}{hint}", path.display()),
        }
    }
}
