//! The decks that come with the program.

use std::path::{Path, PathBuf};

use crate::util::Dir;

fn decks(folder: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut decks: Vec<_> =
        entries.filter(|path| path.extension() == Some("toml".as_ref())).collect();
    decks.sort();
    assert!(!decks.is_empty(), "decks in {folder}");
    decks
}

#[test]
fn every_deck_is_accepted() {
    let dir = Dir::new("accepted");
    for deck in decks("jobs").into_iter().chain(decks("jobs/smoke")) {
        let mut words = vec!["run", deck.to_str().unwrap(), "--dry-run"];
        // The templates for one's own decks have nothing to read.
        if deck.ends_with("jobs/counter-sort.toml") || deck.ends_with("jobs/mergesort.toml") {
            words.push("elsewhere");
        }
        let said = dir.dcomp(&words).ok().stdout;
        assert!(said.contains("memory per rank"), "{}: {said}", deck.display());
    }
}

#[test]
fn smoke_decks_run() {
    let dir = Dir::new("smoke");
    for deck in decks("jobs/smoke") {
        for ranks in [None, Some(3)] {
            let words = ["run", deck.to_str().unwrap(), "--force"];
            let done = dir.dcomp(&words).ranks_or_alone(ranks).ok();
            assert!(done.stdout.contains("verified in"), "{}: {done:#?}", deck.display());
        }
    }
}
