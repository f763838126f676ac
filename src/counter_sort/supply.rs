//! Where a rank's files come from: a template, or root's list, a batch at a time.
//!
//! A template is cut into blocks of indices and needs no message. Otherwise root lists a batch, every rank
//! gets its part as bytes, and while all read it, root lists the next one; root reads less by what that
//! costs it. Batches begin small, so that nobody waits long for the first, and double. Every file has a
//! place, its index or its number in the list. Files that an earlier run counted are handed out too, apart
//! from the others and evenly, to be looked at.

use std::time::{Duration, Instant};

use super::batch::{Batch, Group, parts};
use super::list::Lister;
use super::marks::{Marks, directory_hash};
use super::refused::Unread;
use super::spec::Spec;
use super::template::Template;
use crate::context::Context;
use crate::error::{Error, Kind, Result};
use crate::num::{len_f64, to_u64, to_usize};
use crate::partition::{Ranges, block};
use crate::store::files::{Names, Trust};

/// Files per rank of the first batch, and the most of any.
const FIRST: usize = 2048;
const PER_RANK: usize = 1 << 16;

/// Files of a batch altogether: some 20 MB of names on root, twice.
const BATCH_MAX: usize = 1 << 20;

/// The files of a template that are this rank's.
pub struct Indices<'a> {
    directory: &'a str,
    template: &'a Template,
    first: u64,
    /// Those that an earlier run counted, and those that are to be read.
    counted: Ranges,
    rest: Ranges,
}

impl<'a> Indices<'a> {
    /// This rank's share of `count` indices from `first` on, of which earlier runs counted some.
    pub fn new(
        spec: &'a Spec,
        context: &Context,
        (template, first, count): &'a (Template, u64, u64),
        counted: &Ranges,
    ) -> Self {
        let (size, rank) = (context.comm.size(), context.comm.rank());
        let share = |all: &Ranges| all.cut(block(all.count(), size, rank));
        let all = Ranges::from(0..*count);
        Self {
            directory: spec.input.first().map_or("", String::as_str),
            template,
            first: *first,
            counted: share(&all.common(counted)),
            rest: share(&all.minus(counted)),
        }
    }

    /// Whether no more are to come.
    pub fn is_done(&self) -> bool {
        self.counted.is_empty() && self.rest.is_empty()
    }

    /// The next ones.
    pub fn next(&mut self) -> Batch {
        let is_counted = !self.counted.is_empty();
        let from = if is_counted { &mut self.counted } else { &mut self.rest };
        let taken = from.cut(0..to_u64(PER_RANK));
        *from = from.minus(&taken);
        let mut name = Vec::new();
        let groups = taken.iter().map(|places| {
            let mut names = Names::new();
            for place in places.clone() {
                self.template.write(self.first + place, &mut name);
                names.push(&name).expect("a template has no NUL");
            }
            let directory = self.directory.as_bytes().to_vec();
            let group = Group::new(directory, Trust::Given, 0, names);
            Group { first: places.start, counted: is_counted, ..group }
        });
        Batch { groups: groups.collect() }
    }
}

/// What root's two kinds of work take, as measured on this disk.
#[derive(Clone, Copy, Debug)]
struct Pace {
    listing_s: f64,
    reading_s: f64,
}

impl Pace {
    /// Before the first file is read: five times the listing of its name, as on a warm disk.
    fn new(listed: Duration, files: usize) -> Self {
        let listing_s = listed.as_secs_f64() / len_f64(files.max(1));
        Self { listing_s, reading_s: 5.0 * listing_s }
    }

    /// Listing so many names, in files read.
    fn in_files(&self, names: usize) -> f64 {
        len_f64(names) * self.listing_s / self.reading_s.max(1e-9)
    }
}

/// Root's list on its way to the ranks.
pub struct Listing {
    /// On root.
    lister: Option<Lister>,
    /// What is listed and not yet handed out.
    next: Batch,
    failed: Option<Error>,
    /// What was handed out, where it is to be remembered.
    names: Option<Marks>,
    /// What an earlier run handed out, and what it counted of that; on root.
    earlier: (Marks, Ranges),
    handed_out: u64,
    most: usize,
    pace: Pace,
    spent: Duration,
}

impl Listing {
    /// Collective. Opens the inputs and lists the first batch.
    ///
    /// # Errors
    /// When a list of names cannot be read.
    pub fn new(spec: &Spec, context: &Context, earlier: (Marks, Ranges)) -> Result<Self> {
        let comm = &context.comm;
        let lister = comm.is_root().then(|| Lister::new(spec)).transpose();
        let most = (FIRST * to_usize(comm.size())).min(BATCH_MAX);
        let mut listing = Self {
            lister: comm.agree(lister)?,
            next: Batch::default(),
            failed: None,
            names: context.saves.as_ref().map(|_| Marks::default()),
            earlier,
            handed_out: 0,
            most,
            pace: Pace::new(Duration::ZERO, 1),
            spent: Duration::ZERO,
        };
        listing.list(&|| true);
        listing.pace = Pace::new(listing.spent, listing.next.len());
        comm.agree(listing.listed())?;
        Ok(listing)
    }

    /// On root, while the others read: lists the next batch, unless there is one.
    pub fn list(&mut self, goes_on: &dyn Fn() -> bool) {
        self.spent = Duration::ZERO;
        let Some(lister) = self.lister.as_mut().filter(|lister| !lister.is_done()) else { return };
        if !self.next.is_empty() {
            return;
        }
        let start = Instant::now();
        match lister.next(self.most, goes_on) {
            Ok(batch) => self.next = batch,
            Err(error) => self.failed = Some(error),
        }
        self.spent = start.elapsed();
        self.pace.listing_s = self.spent.as_secs_f64() / len_f64(self.next.len().max(1));
    }

    /// How listing went. Local.
    ///
    /// # Errors
    /// When a list of names cannot be read.
    pub fn listed(&self) -> Result<()> {
        self.failed.clone().map_or(Ok(()), Err)
    }

    /// After a batch: how long reading so many files and listing took together.
    pub fn note(&mut self, took: Duration, files: u64) {
        if files > 0 {
            let read = took.saturating_sub(self.spent);
            self.pace.reading_s = read.as_secs_f64() / crate::num::to_f64(files);
        }
    }

    /// Collective. This rank's part of what root has listed, whether it is the last one, and how many files
    /// all ranks get.
    ///
    /// # Errors
    /// When the list is not the one that an earlier run had.
    pub fn hand_out(&mut self, context: &Context) -> Result<(Batch, bool, u64)> {
        let comm = &context.comm;
        let more = self.lister.as_ref().is_some_and(|lister| !lister.is_done());
        let mut batch = std::mem::take(&mut self.next);
        batch.number(self.handed_out);
        let (count, is_last) = comm.decide(|| {
            self.recognise(&batch, more)?;
            Ok((to_u64(batch.len()), !more))
        })?;
        self.handed_out += count;
        self.most = (2 * self.most).min(PER_RANK * to_usize(comm.size())).min(BATCH_MAX);
        let listing = if more { self.pace.in_files(self.most) } else { 0.0 };
        let (mut bytes, mut send_counts) = (Vec::new(), vec![0; to_usize(comm.size())]);
        if comm.is_root() {
            let places = batch.places();
            let (counted, rest) = (places.common(&self.earlier.1), places.minus(&self.earlier.1));
            let shares = parts(to_usize(rest.count()), comm.size(), listing);
            for ((rank, share), sent) in (0..).zip(shares).zip(&mut send_counts) {
                let before = bytes.len();
                let known = counted.cut(block(counted.count(), comm.size(), rank));
                batch.encode(&known, true, &mut bytes);
                let share = to_u64(share.start)..to_u64(share.end);
                batch.encode(&rest.cut(share), false, &mut bytes);
                *sent = to_u64(bytes.len() - before);
            }
        }
        let received = comm.exchange(&bytes, &send_counts);
        let mine = Batch::decode(&received.bytes).map_err(Error::internal);
        Ok((comm.agree(mine)?, is_last, count))
    }

    /// On root. Remembers the names, and compares them with those of an earlier run.
    fn recognise(&mut self, batch: &Batch, more: bool) -> Result<()> {
        self.compare(batch, more).map_err(|what| {
            // Names that are missed may be those that could not be listed.
            match self.unread().told.first() {
                Some(unread) => Error {
                    kind: Kind::Io,
                    message: format!(
                        "--resume: the list of the inputs cannot be read as it was: {}; {what}",
                        unread.text()
                    ),
                },
                None => other_list(&what),
            }
        })
    }

    /// What is different, in words.
    fn compare(&mut self, batch: &Batch, more: bool) -> std::result::Result<(), String> {
        let Some(names) = &mut self.names else { return Ok(()) };
        let (earlier, _) = &self.earlier;
        for group in &batch.groups {
            let directory = directory_hash(&group.directory);
            for (index, name) in (0..).zip(group.names.walk(0)) {
                names.add(directory, name.to_bytes());
                if !earlier.agree_with(names) {
                    let path = String::from_utf8_lossy(&group.path(index)).into_owned();
                    return Err(format!(
                        "{path} stands in the place of another name, as number {}",
                        names.count()
                    ));
                }
            }
        }
        if !more && names.count() < earlier.count() {
            let (now, then) = (names.count(), earlier.count());
            return Err(format!("{now} files are left of at least {then}"));
        }
        Ok(())
    }

    /// What is to be remembered of the list.
    pub fn names(&self) -> Marks {
        let (earlier, _) = &self.earlier;
        match &self.names {
            Some(names) if names.count() > earlier.count() => names.clone(),
            _ => earlier.clone(),
        }
    }

    /// What root could not read of the list.
    pub fn unread(&self) -> Unread {
        self.lister.as_ref().map(|lister| lister.unread.clone()).unwrap_or_default()
    }

    /// Links that were not followed; root's.
    pub fn links(&self) -> u64 {
        self.lister.as_ref().map_or(0, |lister| lister.links)
    }
}

fn other_list(what: &str) -> Error {
    Error::usage(format!(
        "--resume: the list of the inputs is not the one that the checkpoint tells of: {what}; go on with \
         the same files, or start anew with --force"
    ))
}
