//! Before and after, or two machines: the same sizes of two sets of runs, with a test. Pure.
//!
//! A size differs when the rank-sum test of its values says so at 5 % after Holm's correction for the
//! number of sizes (Scandinavian Journal of Statistics 6, 1979); a ratio alone never decides.

use std::collections::BTreeMap;

use serde::Serialize;

use super::report::{Metric, Mode};
use super::sample::{Outcome, Sample};
use super::stats::{self, Bootstrap};
use super::text_table;
use crate::error::{Error, Result};
use crate::num::{len_f64, to_u64};

/// The schema's name and version.
pub const SCHEMA: &str = "dcomp-scaling-compare/1";

/// Below this corrected probability a difference is shown.
const LEVEL: f64 = 0.05;

/// What is shown of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// B takes longer, or has the lower rate.
    Slower,
    /// B takes less.
    Faster,
    /// The runs do not tell them apart.
    NotShown,
    /// So few runs that no test could show anything.
    TooFew,
}

/// One size of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The curve.
    pub series: String,
    /// Strong or weak.
    pub mode: Option<Mode>,
    /// Number of ranks.
    pub ranks: u64,
    /// Threads per rank.
    pub threads: u64,
    /// Runs of A and of B.
    pub runs: [u64; 2],
    /// Medians of A and of B.
    pub medians: [f64; 2],
    /// How many times longer B takes than A.
    pub slowdown: f64,
    /// Its 95 % interval, by bootstrap.
    pub slowdown_ci95: Option<[f64; 2]>,
    /// Two-sided probability of such a difference by chance, Mann and Whitney.
    pub p_value: f64,
    /// The same after Holm's correction over all sizes.
    pub p_corrected: f64,
    /// What it shows.
    pub verdict: Verdict,
}

/// All sizes of both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// [`SCHEMA`].
    pub schema: String,
    /// Sizes that both have.
    pub pairs: Vec<Pair>,
    /// Sizes that only A or only B has, as `series at N ranks`.
    pub only: [Vec<String>; 2],
}

type Key = (String, Option<Mode>, u64, u64, bool);

fn values(samples: &[Sample]) -> BTreeMap<Key, Vec<f64>> {
    let mut values: BTreeMap<Key, Vec<f64>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| sample.outcome == Outcome::Ok) {
        let rate = sample.metric == Metric::Throughput;
        let key = (sample.series.clone(), sample.mode, sample.ranks, sample.threads, rate);
        values.entry(key).or_default().extend(sample.value);
    }
    values
}

/// Compares B to A.
///
/// # Errors
/// Bad input, when no size is in both.
pub fn compare(a: &[Sample], b: &[Sample]) -> Result<Comparison> {
    let (a, b) = (values(a), values(b));
    let only = |these: &BTreeMap<Key, Vec<f64>>, others: &BTreeMap<Key, Vec<f64>>| -> Vec<String> {
        let lone = these.keys().filter(|key| !others.contains_key(*key));
        lone.map(|(series, _, ranks, ..)| format!("{series} at {ranks} ranks")).collect()
    };
    let only = [only(&a, &b), only(&b, &a)];
    let mut pairs: Vec<Pair> =
        a.iter().filter_map(|(key, before)| pair(key, before, b.get(key)?)).collect();
    if pairs.is_empty() {
        return Err(Error::bad_input(format!(
            "no size of the same series is in both; the first has {}, the second {}",
            only[0].join(", "),
            only[1].join(", ")
        )));
    }
    correct(&mut pairs);
    Ok(Comparison { schema: SCHEMA.into(), pairs, only })
}

fn pair(key: &Key, before: &[f64], after: &[f64]) -> Option<Pair> {
    let (series, mode, ranks, threads, rate) = key.clone();
    // Of rates the lower one is the slower.
    let (slow, fast) = if rate { (before, after) } else { (after, before) };
    let compared = stats::compare(fast, slow, Bootstrap::default())?;
    let slowdown = compared.ratio?;
    Some(Pair {
        series,
        mode,
        ranks,
        threads,
        runs: [to_u64(before.len()), to_u64(after.len())],
        medians: [stats::median(before)?, stats::median(after)?],
        slowdown,
        slowdown_ci95: compared.ratio_ci95,
        p_value: compared.test.p_value,
        p_corrected: 1.0,
        verdict: if smallest_p(before.len(), after.len()) > LEVEL {
            Verdict::TooFew
        } else {
            Verdict::NotShown
        },
    })
}

/// The least two-sided probability that so many runs can give: 2 / C(m + n, m).
fn smallest_p(m: usize, n: usize) -> f64 {
    let ways: f64 = (1..=m).map(|k| len_f64(n + k) / len_f64(k)).product();
    2.0 / ways
}

/// Holm's correction and the verdicts.
fn correct(pairs: &mut [Pair]) {
    let testable = |pair: &Pair| pair.verdict != Verdict::TooFew;
    let mut order: Vec<usize> = (0..pairs.len()).filter(|at| testable(&pairs[*at])).collect();
    order.sort_by(|a, b| pairs[*a].p_value.total_cmp(&pairs[*b].p_value));
    let mut least = 0.0_f64;
    for (rank, at) in order.iter().enumerate() {
        let pair = &mut pairs[*at];
        least = least.max((pair.p_value * len_f64(order.len() - rank)).min(1.0));
        pair.p_corrected = least;
        if least < LEVEL && pair.slowdown > 1.0 {
            pair.verdict = Verdict::Slower;
        } else if least < LEVEL && pair.slowdown < 1.0 {
            pair.verdict = Verdict::Faster;
        }
    }
}

impl Comparison {
    /// Sizes that are shown to be slower by more than a part.
    pub fn slower_than(&self, part: f64) -> Vec<&Pair> {
        let slower = |pair: &&Pair| pair.verdict == Verdict::Slower && pair.slowdown > 1.0 + part;
        self.pairs.iter().filter(slower).collect()
    }

    /// A table for eyes.
    pub fn lines(&self) -> Vec<String> {
        let heading = ["series", "ranks", "runs", "A", "B", "B/A", "95 % interval", "p", "verdict"];
        let mut rows = Vec::new();
        for pair in &self.pairs {
            let [before, after] = pair.medians;
            let interval = pair
                .slowdown_ci95
                .map_or_else(|| "-".to_owned(), |[lo, hi]| format!("{lo:.3} to {hi:.3}"));
            let verdict = match pair.verdict {
                Verdict::Slower => "slower",
                Verdict::Faster => "faster",
                Verdict::NotShown => "no difference shown",
                Verdict::TooFew => "too few runs to tell (4 and 4 at least)",
            };
            rows.push(vec![
                pair.series.clone(),
                pair.ranks.to_string(),
                format!("{}+{}", pair.runs[0], pair.runs[1]),
                format!("{before:.4}"),
                format!("{after:.4}"),
                format!("{:.3}", pair.slowdown),
                interval,
                format!("{:.4}", pair.p_corrected),
                verdict.to_owned(),
            ]);
        }
        let mut lines = text_table::lines(&heading, &rows);
        for (name, only) in ["A", "B"].iter().zip(&self.only) {
            if !only.is_empty() {
                lines.push(format!("only in {name}: {}", only.join(", ")));
            }
        }
        lines.push(
            "B/A above 1: B takes longer. p by Mann and Whitney's test, corrected by Holm's method."
                .into(),
        );
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::input;

    fn samples(rows: &[(u64, &[f64])], column: &str) -> Vec<Sample> {
        let lines = rows.iter().flat_map(|(ranks, values)| {
            values.iter().map(move |value| format!("strong,{ranks},{value}"))
        });
        let text = format!("mode,ranks,{column}\n{}", lines.collect::<Vec<_>>().join("\n"));
        input::csv(&text, "t").unwrap().samples
    }

    const BASE: [f64; 6] = [10.0, 10.1, 10.2, 10.3, 10.4, 10.5];

    #[test]
    fn a_slower_size_is_shown_and_an_equal_one_is_not() {
        let slow = BASE.map(|value| value * 1.2);
        let near = BASE.map(|value| value + 0.01);
        let a = samples(&[(1, &BASE), (2, &BASE), (4, &BASE)], "wall_s");
        let b = samples(&[(1, &slow), (2, &near), (8, &BASE)], "wall_s");
        let compared = compare(&a, &b).unwrap();
        let verdicts: Vec<_> =
            compared.pairs.iter().map(|pair| (pair.ranks, pair.verdict)).collect();
        assert_eq!(verdicts, [(1, Verdict::Slower), (2, Verdict::NotShown)]);
        // 2 / C(12, 6) = 0.00216 each way apart, doubled by Holm for two sizes.
        assert!((compared.pairs[0].p_value - 2.0 / 924.0).abs() < 1e-12);
        assert!((compared.pairs[0].p_corrected - 4.0 / 924.0).abs() < 1e-12);
        assert_eq!(compared.only, [vec!["table at 4 ranks"], vec!["table at 8 ranks"]]);
        assert_eq!(compared.slower_than(0.1).len(), 1);
        assert_eq!(compared.slower_than(0.3).len(), 0);
    }

    #[test]
    fn a_lower_rate_is_slower() {
        let slow = BASE.map(|value| value / 1.5);
        let compared =
            compare(&samples(&[(1, &BASE)], "throughput"), &samples(&[(1, &slow)], "throughput"));
        let pair = compared.unwrap().pairs.remove(0);
        assert_eq!(pair.verdict, Verdict::Slower);
        assert!((pair.slowdown - 1.5).abs() < 1e-12, "{pair:?}");
    }

    #[test]
    fn three_runs_show_nothing() {
        let a = samples(&[(1, &[1.0, 1.1, 1.2])], "wall_s");
        let b = samples(&[(1, &[9.0, 9.1, 9.2])], "wall_s");
        assert_eq!(compare(&a, &b).unwrap().pairs[0].verdict, Verdict::TooFew);
        assert!(
            (smallest_p(3, 3) - 0.1).abs() < 1e-12 && (smallest_p(4, 4) - 2.0 / 70.0).abs() < 1e-12
        );
    }

    #[test]
    fn nothing_in_common_is_bad_input() {
        let error = compare(&samples(&[(1, &[1.0])], "wall_s"), &samples(&[(2, &[1.0])], "wall_s"));
        assert!(error.unwrap_err().message.contains("no size of the same series"));
    }
}
