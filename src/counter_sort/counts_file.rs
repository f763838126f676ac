//! `--counts`: each value and how often it occurs, as CSV or HDF5, by all ranks.

use std::io::Write;
use std::path::Path;

use super::combine::Combined;
use super::emit::Entry;
use super::output::{provenance, unless_stopped};
use crate::context::Context;
use crate::error::Result;
use crate::measure::record::FileSum;
use crate::num::to_u64;
use crate::store::columns_file::{Column, ColumnsFile};
use crate::store::part::{PartFile, Published};

/// Entries turned into bytes at a time.
const ENTRIES: usize = 1 << 15;

/// What HDF5 calls it.
pub(super) const TITLE: &str = "values and how often they occur";

/// The first line of the CSV.
pub(super) const HEADER: &str = "value,count\n";

/// The file while it is made.
pub enum CountsFile<'a> {
    /// Lines of text.
    Csv(PartFile<'a>),
    /// Two columns, the counts along the values.
    Columns(ColumnsFile<'a>),
}

impl<'a> CountsFile<'a> {
    /// Collective. Makes and fills the file.
    ///
    /// # Errors
    /// When any rank cannot write.
    pub fn create(
        context: &'a Context,
        target: &Path,
        force: bool,
        combined: &Combined,
    ) -> Result<Self> {
        let csv = target.extension().is_some_and(|ending| ending == "csv");
        if csv {
            Self::csv(context, target, force, combined.share())
        } else {
            Self::columns(context, target, force, combined)
        }
    }

    fn csv(context: &'a Context, target: &Path, force: bool, share: &[Entry]) -> Result<Self> {
        let comm = &context.comm;
        let part = PartFile::create(context, target, force, |_| Ok(()))?;
        let header = to_u64(HEADER.len());
        let lines = |entries: &[Entry]| {
            let mut text = Vec::new();
            for entry in entries {
                writeln!(text, "{},{}", entry.value, entry.count).expect("a vector takes all");
            }
            text
        };
        // Made twice rather than kept: the first time for its length.
        let mine: u64 = share.chunks(ENTRIES).map(|entries| to_u64(lines(entries).len())).sum();
        let mut at = header + comm.exclusive_scan(mine);
        let total: u64 = header + comm.all_gather(mine).iter().sum::<u64>();
        part.reserve(total)?;
        let mut write = || {
            if comm.is_root() {
                part.write_at(0, HEADER.as_bytes())?;
            }
            for entries in share.chunks(ENTRIES) {
                unless_stopped()?;
                let text = lines(entries);
                part.write_at(at, &text)?;
                at += to_u64(text.len());
            }
            Ok(())
        };
        comm.agree(write())?;
        Ok(Self::Csv(part))
    }

    fn columns(
        context: &'a Context,
        target: &Path,
        force: bool,
        combined: &Combined,
    ) -> Result<Self> {
        let comm = &context.comm;
        let columns = [
            Column { name: "value", meaning: "a value of the input", signed: true, scales: true },
            Column { name: "count", meaning: "how often it occurs", signed: false, scales: false },
        ];
        let texts = provenance(TITLE);
        let rows = combined.summary.distinct;
        let file = ColumnsFile::create(context, target, force, rows, &columns, &texts)?;
        let share = combined.share();
        let mut at = 8 * comm.exclusive_scan(to_u64(share.len()));
        let mut write = || {
            for entries in share.chunks(ENTRIES) {
                unless_stopped()?;
                let values: Vec<i64> = entries.iter().map(|entry| entry.value).collect();
                let counts: Vec<u64> = entries.iter().map(|entry| entry.count).collect();
                file.part().write_at(file.offset(0) + at, bytemuck::cast_slice(&values))?;
                file.part().write_at(file.offset(1) + at, bytemuck::cast_slice(&counts))?;
                at += 8 * to_u64(entries.len());
            }
            Ok(())
        };
        comm.agree(write())?;
        Ok(Self::Columns(file))
    }

    fn part(&self) -> &PartFile<'a> {
        match self {
            Self::Csv(part) => part,
            Self::Columns(file) => file.part(),
        }
    }

    /// Collective. Reads the file back.
    ///
    /// # Errors
    /// A verification error when it differs from what was written.
    pub fn verify(&self) -> Result<FileSum> {
        self.part().verify()
    }

    /// Collective. Puts the file on the disk.
    ///
    /// # Errors
    /// When any rank cannot sync.
    pub fn sync(&self) -> Result<()> {
        self.part().sync()
    }

    /// Collective. Gives the file its name.
    ///
    /// # Errors
    /// When root cannot rename.
    pub fn publish(self) -> Result<Published> {
        match self {
            Self::Csv(part) => part.publish(),
            Self::Columns(file) => file.publish(),
        }
    }
}
