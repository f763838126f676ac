//! `dcomp verify` of sorted files: against the record of the sort that made them, or alone.
//!
//! A checksum of the file shows that nobody changed it; that it is sorted, and the same items, is found out
//! again from its bytes, by the order that the record names. So a record whose checksum of the file was
//! made to fit shows too.

use std::collections::BTreeSet;
use std::path::Path;

use super::audit::{Audit, audit};
use super::dataset;
use super::form::Form;
use super::input::{Seen, dataset_type, look_at};
use super::lines::Flags;
use super::spec::{Kind, Spec, form_of};
use crate::error::{Error, Result};
use crate::measure::record::FileSum;
use crate::store::listing;
use crate::threads::Threads;
use crate::verify::{Recorded, Verified, changed, differs, not_as_made, sum};

/// Checks the output of a sort: size, CRC-64, order, number, checksum and equal keys. Local.
///
/// # Errors
/// A verification error that names what differs, and the first item that is out of order.
pub fn verify(threads: &Threads, file: &Path, recorded: &Recorded) -> Result<Verified> {
    let spec: Spec = recorded.spec()?;
    let expected = recorded.expected();
    if recorded.at > 0 {
        // One of several files: what it should hold is not recorded, but its bytes are.
        return recorded.compare(file);
    }
    let no_form = |problem: Error| {
        let shown = recorded.path.display();
        Error::bad_input(format!("spec in {shown}: {}; was the record edited?", problem.message))
    };
    let form = spec.checked_form().map_err(no_form)?;
    let parts = if spec.parts { &recorded.outputs[1..] } else { &[] };
    let seen = output(&spec, file, parts)?;
    let found = audit(threads, &*form, seen)?;
    let mut problems = against_record(&*form, &found, recorded)?;
    let files = if spec.dataset.is_some() { vec![sum(file)?] } else { found.files.clone() };
    let recorded_files = if spec.parts { parts } else { std::slice::from_ref(expected) };
    problems
        .extend(files.iter().zip(recorded_files).filter_map(|(one, other)| differs(one, other)));
    if problems.is_empty() {
        let path = file.display().to_string();
        let lines = vec![told(&*form, &found)];
        return Ok(Verified { sum: FileSum { path, ..expected.clone() }, lines });
    }
    Err(changed(file, &problems))
}

/// The files, or the dataset, of an output.
fn output(spec: &Spec, file: &Path, parts: &[FileSum]) -> Result<Vec<Seen>> {
    let shown = file.display();
    let names: Vec<String> = if spec.parts {
        let expected: BTreeSet<String> = parts.iter().map(|part| file_name(&part.path)).collect();
        let found = part_names(file)?;
        if let Some(odd) = expected.symmetric_difference(&found).next() {
            let how = if found.contains(odd) { "was not made by the run" } else { "is missing" };
            return Err(Error::verification(format!("{shown}: {odd} {how}; make it again")));
        }
        found.iter().map(|name| file.join(name).display().to_string()).collect()
    } else {
        vec![spec.dataset.iter().fold(shown.to_string(), |name, path| format!("{name}:{path}"))]
    };
    let look = |name: &String| look_at(name, spec.kind);
    // What cannot be read as what it was written as is no longer what it was.
    names.iter().map(look).collect::<Result<_>>().map_err(not_as_made)
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().map_or_else(String::new, |name| name.to_string_lossy().into())
}

fn part_names(directory: &Path) -> Result<BTreeSet<String>> {
    let failed = |cause| Error::io("read", directory, &cause);
    let names = listing::names(directory, usize::MAX).map_err(failed)?;
    Ok(names.into_iter().map(|name| name.to_string_lossy().into_owned()).collect())
}

/// What is not as the record tells.
fn against_record(form: &dyn Form, found: &Audit, recorded: &Recorded) -> Result<Vec<String>> {
    let mut problems: Vec<String> = unordered(found).into_iter().collect();
    let numbers = [("records", found.items.items), ("duplicates", found.checked.duplicates)];
    for (key, number) in numbers {
        let said = recorded.result(key)?;
        if *said != number {
            problems.push(format!("{number} {key}, its record says {said}"));
        }
    }
    let (checksum, said) = (form.checksum(found.items), recorded.result("checksum")?);
    if *said != checksum {
        problems.push(format!("the records' checksum is {checksum}, its record says {said}"));
    }
    Ok(problems)
}

fn unordered(found: &Audit) -> Option<String> {
    let first = found.first_unordered?;
    Some(format!(
        "record {first}, counted from 1, must not stand behind the one before it ({} of {} are out of order)",
        found.checked.unordered, found.items.items
    ))
}

/// What is in a file.
fn told(form: &dyn Form, found: &Audit) -> String {
    format!(
        "{} records in order, {} with the key of the one before, checksum {}",
        found.items.items,
        found.checked.duplicates,
        form.checksum(found.items)
    )
}

/// Looks at a file, a dataset or a directory of parts that no record tells of. Local. Returns what was
/// found, and the error that it is not sorted.
///
/// # Errors
/// When it cannot be read as items of this kind.
pub fn alone(
    threads: &Threads,
    file: &Path,
    kind: Kind,
    flags: &Flags,
) -> Result<(Vec<String>, Option<Error>)> {
    let name = file.display().to_string();
    let kind = match kind {
        Kind::Dataset if dataset::split(&name).1.is_some() => Kind::Key(dataset_type(&name)?),
        Kind::Dataset => Kind::Lines,
        kind => kind,
    };
    let form = form_of(kind, flags)?;
    let names = if file.is_dir() {
        part_names(file)?.iter().map(|part| file.join(part).display().to_string()).collect()
    } else {
        vec![name]
    };
    let seen = names.iter().map(|name| look_at(name, kind)).collect::<Result<_>>()?;
    let found = audit(threads, &*form, seen)?;
    let lines = vec![
        format!("records    {}", found.items.items),
        format!("checksum   {}", form.checksum(found.items)),
        format!("duplicates {}", found.checked.duplicates),
        format!("unordered  {}", found.checked.unordered),
    ];
    let error = |problem| Error::verification(format!("{}: {problem}", file.display()));
    Ok((lines, unordered(&found).map(error)))
}
