//! The real binary under the real launcher.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::cast_precision_loss, reason = "small test data")]
#![allow(clippy::similar_names, reason = "zr and zi are the field's names")]
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "dcomp's own names")]

mod balance;
mod bytes;
mod counter;
mod counter_edges;
mod decks;
mod disk;
mod faults;
mod generate;
mod hangs;
mod memory;
mod mergesort;
mod mergesort_edges;
mod mergesort_external;
mod mergesort_files;
mod oracles;
mod readers;
mod record;
mod scaling;
mod scaling_edges;
mod sorting;
mod storm;
mod survive;
mod survive_sort;
mod tidy;
mod usage;
mod util;
