//! The real binary under the real launcher.
#![expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "small test data")]

mod balance;
mod bytes;
mod decks;
mod disk;
mod faults;
mod memory;
mod oracles;
mod readers;
mod record;
mod tidy;
mod usage;
mod util;
