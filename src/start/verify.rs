//! `dcomp verify`: an output against its record, or a sorted file alone.

use std::path::PathBuf;

use super::tell::say;
use crate::cli::VerifyArgs;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::mergesort::lines::Flags;
use crate::mergesort::{Mergesort, dataset, verify as sorted};
use crate::threads::{self, Threads};
use crate::verify;

pub(super) fn verify(args: &VerifyArgs) -> Result<()> {
    // Without a slash at the end, which a directory may have been given.
    let file: PathBuf = args.file.components().collect();
    let threads = Threads::new(threads::default_count())?;
    if let Some(kind) = &args.kind {
        let kind = kind.parse().map_err(|problem| Error::usage(format!("--type: {problem}")))?;
        let (lines, unsorted) = sorted::alone(&threads, &file, kind, &flags(args))?;
        say(&lines)?;
        return unsorted.map_or(Ok(()), Err);
    }
    let file =
        PathBuf::from(file.to_str().map_or(file.as_path(), |name| dataset::split(name).0.as_ref()));
    let recorded = verify::recorded(&file, args.record.as_deref())?;
    let (sum, more) = if recorded.record["job"] == <Mergesort<'static> as Job<'static>>::NAME {
        let found = sorted::verify(&threads, &file, &recorded)?;
        (found.sum, found.lines)
    } else {
        (recorded.compare(&file)?, Vec::new())
    };
    let first = format!("{}: {} bytes, crc64 {}: as recorded", sum.path, sum.bytes, sum.crc64);
    say(&[vec![first], more].concat())
}

fn flags(args: &VerifyArgs) -> Flags {
    Flags {
        numeric: args.numeric,
        reverse: args.reverse,
        unique: false,
        key: args.key.clone(),
        separator: args.separator.clone(),
        zero_terminated: args.zero_terminated,
        stable: args.stable,
    }
}
