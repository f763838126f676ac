//! Twelve rules for reporting performance of parallel programs (Hoefler and Belli, SC'15), as checks of a
//! curve; the wording is ours. Pure.

use super::groups::Group;
use super::report::Lint;
use super::words::{list, percent};
use super::{Metric, Series, Timing, Verdict, rows};

/// Fewest repeats whose range covers the median with 95 %.
const REPEATS: u64 = 6;

/// The verdicts on one curve. `cut` tells that a line of the input was dropped.
pub(super) fn of(series: &Series, group: &Group, cut: bool) -> Vec<Lint> {
    let mut lint = Vec::new();
    let mut rule = |rule: &str, verdict: Verdict, why: String| {
        lint.push(Lint { rule: rule.into(), verdict, why });
    };
    let rows = &series.rows;
    let base = &series.baseline;
    rule(
        "1 the base case is named with its absolute value",
        Verdict::Pass,
        format!("{} ranks, {}", base.ranks, base.why),
    );
    let (verdict, why) = match (group.failed.len(), cut) {
        (0, false) => (Verdict::Pass, "every run that was made is in the table".to_owned()),
        (0, true) => (Verdict::Warn, "a cut line was dropped".into()),
        (failed, _) => (Verdict::Fail, format!("{failed} runs gave no value")),
    };
    rule("2 nothing is left out", verdict, why);
    rule("3 costs and rates are summed up rightly", Verdict::Pass, "medians of each".into());
    rule("4 ratios are not averaged", Verdict::Pass, "speedups are ratios of medians".into());
    let few: Vec<String> =
        rows.iter().filter(|row| row.repeats < REPEATS).map(|row| row.ranks.to_string()).collect();
    let single = rows.iter().any(|row| row.repeats == 1);
    let (verdict, why) = if few.is_empty() {
        let widest = rows::widest(rows);
        let text =
            widest.map_or_else(String::new, |half| format!(", at most +- {}", percent(half)));
        (Verdict::Pass, format!("95 % intervals of the medians{text}"))
    } else {
        let verdict = if single { Verdict::Fail } else { Verdict::Warn };
        let ranks = list(&few);
        (
            verdict,
            format!(
                "fewer than {REPEATS} runs at {ranks} ranks: their range covers less than 95 %"
            ),
        )
    };
    rule("5 intervals are given", verdict, why);
    rule(
        "6 no distribution is assumed",
        Verdict::Pass,
        "order statistics and bootstrap; only intervals of model parameters use Student's t".into(),
    );
    let (verdict, why) = overlaps(series);
    rule("7 comparisons rest on intervals", verdict, why);
    let outliers: u64 = rows.iter().map(|row| row.outliers).sum();
    let (verdict, why) = if outliers == 0 {
        (Verdict::Pass, "no outliers; least and greatest are in the table".to_owned())
    } else {
        (Verdict::Warn, format!("{outliers} outliers, kept; look at the greatest times"))
    };
    rule("8 tails are shown", verdict, why);
    let known = group.runs().all(|run| run.machine.is_some());
    let (verdict, why) = if known {
        (Verdict::Pass, "machine, program and command are in this report".to_owned())
    } else {
        (Verdict::Warn, "the table tells no machine; describe it beside".into())
    };
    rule("9 the set-up is recorded", verdict, why);
    let verdict = if group.timing == Timing::Told { Verdict::Warn } else { Verdict::Pass };
    rule("10 what was timed is said", verdict, series.timing.clone());
    rule("11 a bound is shown", Verdict::Pass, "the ideal line through the baseline".into());
    let points = rows.len();
    let verdict = match points {
        0..=2 => Verdict::Fail,
        3 | 4 => Verdict::Warn,
        _ => Verdict::Pass,
    };
    rule("12 there is enough to plot", verdict, format!("{points} sizes"));
    lint
}

/// Neighbours whose intervals overlap do not show a gain.
fn overlaps(series: &Series) -> (Verdict, String) {
    if series.metric == Metric::Throughput {
        return (Verdict::Pass, "intervals of the rates are in the table".into());
    }
    let overlap = |pair: &[super::Row]| -> Option<String> {
        let (before, after) = (pair[0].ci95_s?, pair[1].ci95_s?);
        let apart = after[1] < before[0] || before[1] < after[0];
        (!apart).then(|| format!("{} and {}", pair[0].ranks, pair[1].ranks))
    };
    let unclear: Vec<String> = series.rows.windows(2).filter_map(overlap).collect();
    if unclear.is_empty() {
        (Verdict::Pass, "the intervals of neighbouring sizes do not overlap".into())
    } else if series.mode == super::Mode::Weak {
        (Verdict::Pass, format!("no difference is shown between {} ranks", unclear.join(", ")))
    } else {
        (Verdict::Warn, format!("no gain is shown between {} ranks", unclear.join(", ")))
    }
}
