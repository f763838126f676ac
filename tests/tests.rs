//! The real binary under the real launcher.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(clippy::cast_precision_loss, reason = "small test data")]
#![allow(clippy::similar_names, reason = "zr and zi are the field's names")]
#![allow(clippy::case_sensitive_file_extension_comparisons, reason = "dcomp's own names")]

mod balance;
mod bytes;
mod campaign;
mod chance;
mod collective;
mod counter;
mod counter_edges;
mod decks;
mod disk;
mod estimate;
mod faults;
mod full_disks;
mod generate;
mod hangs;
mod hostile;
mod iofail;
mod malformed;
mod man;
mod memory;
mod mergesort;
mod mergesort_edges;
mod mergesort_external;
mod mergesort_files;
mod mergesort_splitters;
mod oracles;
mod outputs;
mod parsers;
mod readers;
mod record;
mod rerun;
mod scaling;
mod scaling_edges;
mod sorting;
mod storm;
mod survive;
mod survive_counter;
mod survive_sort;
mod tidy;
mod touch;
mod usage;
mod util;
