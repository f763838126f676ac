//! `dcomp generate keys` and `dcomp generate records` on their way to a run.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::launch::{Keys as DeckKeys, Launch, Named, Size};
use crate::context::Context;
use crate::deck::Merged;
use crate::error::Result;
use crate::generate::items::ItemFile;
use crate::generate::keys::{self, KeySource, KeyType};
use crate::generate::records::{self, RECORD_BYTES, RecordSource};
use crate::measure::record::Findings;
use crate::num::to_u64;
use crate::store::target::free_bytes;
use crate::units::{exactly, size, verdict};

pub(super) struct Keys;

impl Launch for Keys {
    type Spec = keys::spec::Spec;
    type Job<'a> = ItemFile<'a, KeySource>;
    const KEYS: DeckKeys = DeckKeys {
        defaults: keys::spec::DEFAULTS,
        optional: &[],
        texts: &keys::spec::TEXT_KEYS,
        exclusive: &[],
    };

    fn spec(merged: &Merged) -> Result<Self::Spec> {
        Self::Spec::from_deck(merged)
    }

    fn output(spec: &Self::Spec) -> PathBuf {
        spec.output.clone()
    }

    fn outputs(spec: &Self::Spec, merged: &Merged) -> Vec<Named> {
        vec![(merged.name("output"), spec.output.clone())]
    }

    fn describe(spec: &Self::Spec, of_run: &Size) -> Result<Vec<String>> {
        let key_bytes = spec.key_type.parse().map_or(8, KeyType::bytes);
        Ok(described(&spec.output, spec.count * to_u64(key_bytes), of_run))
    }

    fn seed(spec: &Self::Spec) -> u64 {
        spec.seed
    }

    fn lines(spec: &Self::Spec, _context: &Context, findings: &Findings) -> Vec<String> {
        let checksum = text(&findings.result["checksum"]);
        vec![format!(
            "{} keys of type {}, pattern {}, checksum {checksum}",
            spec.count, spec.key_type, spec.pattern
        )]
    }
}

pub(super) struct Records;

impl Launch for Records {
    type Spec = records::spec::Spec;
    type Job<'a> = ItemFile<'a, RecordSource>;
    const KEYS: DeckKeys = DeckKeys {
        defaults: records::spec::DEFAULTS,
        optional: &[],
        texts: &records::spec::TEXT_KEYS,
        exclusive: &[],
    };

    fn spec(merged: &Merged) -> Result<Self::Spec> {
        Self::Spec::from_deck(merged)
    }

    fn output(spec: &Self::Spec) -> PathBuf {
        spec.output.clone()
    }

    fn outputs(spec: &Self::Spec, merged: &Merged) -> Vec<Named> {
        vec![(merged.name("output"), spec.output.clone())]
    }

    fn describe(spec: &Self::Spec, of_run: &Size) -> Result<Vec<String>> {
        Ok(described(&spec.output, spec.count * to_u64(RECORD_BYTES), of_run))
    }

    fn seed(spec: &Self::Spec) -> u64 {
        spec.seed
    }

    fn lines(spec: &Self::Spec, _context: &Context, findings: &Findings) -> Vec<String> {
        let checksum = text(&findings.result["checksum"]);
        let whose = if spec.seed == 0 { ", gensort's" } else { "" };
        vec![format!("{} records{whose}, checksum {checksum}", spec.count)]
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn described(output: &Path, bytes: u64, of_run: &Size) -> Vec<String> {
    let Size { ranks, threads, rank_bytes, .. } = *of_run;
    vec![
        format!("ranks {ranks} x threads {threads}"),
        format!("memory per rank: {}", size(rank_bytes + (threads << 20))),
        format!(
            "{}: {}{}",
            output.display(),
            exactly(bytes),
            verdict(bytes, free_bytes(output), "free there")
        ),
    ]
}
