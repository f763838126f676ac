//! What a reader wants to know, in sentences with the numbers behind them. Pure.

use super::words::{number, percent, seconds};
use super::{Metric, Mode, Row, Series, Unit, size};

/// Efficiencies that programmes ask for.
const THRESHOLDS: [f64; 2] = [0.75, 0.8];

/// The sentences of one curve. Node-hours are told for so many runs.
pub(super) fn of(series: &Series, runs: u64) -> Vec<String> {
    let mut sentences = vec![baseline(series)];
    sentences.extend(largest(series));
    sentences.extend(limit(series));
    sentences.extend(peak(series));
    sentences.extend(recommended(series, runs));
    sentences.extend(prediction(series));
    sentences
}

fn value_of(row: &Row) -> String {
    match (row.median_s, row.throughput) {
        (Some(time), _) => seconds(time),
        (None, Some(rate)) => format!("{} per unit of time", number(rate)),
        (None, None) => "unknown".into(),
    }
}

fn unit(series: &Series) -> &'static str {
    match series.unit {
        Unit::Ranks => "ranks",
        Unit::Cores => "cores",
    }
}

fn count(series: &Series, row: &Row) -> String {
    match size(row, series.unit) {
        1.0 => format!("1 {}", unit(series).trim_end_matches('s')),
        size => format!("{size:.0} {}", unit(series)),
    }
}

fn base_row(series: &Series) -> &Row {
    let found = series.rows.iter().find(|row| row.ranks == series.baseline.ranks);
    found.unwrap_or(&series.rows[0])
}

fn baseline(series: &Series) -> String {
    let row = base_row(series);
    format!(
        "Speedups and efficiencies are relative to {}, which took {} ({}).",
        count(series, row),
        value_of(row),
        series.baseline.why
    )
}

/// The last row before the efficiency falls below, seen from the baseline.
fn last_above(series: &Series, threshold: f64) -> Option<&Row> {
    let base = size(base_row(series), series.unit);
    let beyond = series.rows.iter().filter(|row| size(row, series.unit) >= base);
    beyond.take_while(|row| row.efficiency.is_some_and(|e| e >= threshold)).last()
}

fn largest(series: &Series) -> Vec<String> {
    let last = series.rows.last().map(|row| row.ranks);
    let [low, high] = THRESHOLDS.map(|threshold| last_above(series, threshold));
    let percent_of = |threshold: f64| format!("{:.0} %", threshold * 100.0);
    let tell = |asked: String, row: &Row| {
        let more = if Some(row.ranks) == last { "; no larger size was measured" } else { "" };
        let what = match series.mode {
            Mode::Strong => "speedup",
            Mode::Weak => "scaled speedup",
        };
        Some(format!(
            "The largest size with at least {asked} parallel efficiency is {}: {what} {}, efficiency \
             {}{more}.",
            count(series, row),
            number(row.speedup?),
            percent(row.efficiency?)
        ))
    };
    let [low_asked, high_asked] = THRESHOLDS.map(percent_of);
    let sentences = match (low, high) {
        (Some(low), Some(high)) if low.ranks == high.ranks && low.cores == high.cores => {
            vec![tell(format!("{low_asked}, and with at least {high_asked},"), low)]
        }
        (low, high) => vec![
            low.and_then(|row| tell(low_asked, row)),
            high.and_then(|row| tell(high_asked, row)),
        ],
    };
    sentences.into_iter().flatten().collect()
}

/// What costs most at the largest size, from the ranks' times, else from a model.
fn limit(series: &Series) -> Option<String> {
    let row = series.rows.last().filter(|_| series.rows.len() > 1)?;
    let at = count(series, row);
    let factors = [
        ("imbalance between ranks", row.load_balance, "load balance"),
        ("file input and output", row.io_efficiency, "I/O efficiency"),
        ("communication and waiting in MPI", row.mpi_efficiency, "MPI efficiency"),
        (
            "computing that takes more time in total than at the baseline",
            row.computation_scaling,
            "computation scaling",
        ),
    ];
    let known: Vec<_> = factors
        .iter()
        .filter_map(|(what, factor, name)| Some((*what, (*factor)?, *name)))
        .collect();
    if let Some((what, factor, name)) = known.iter().min_by(|a, b| a.1.total_cmp(&b.1)) {
        let all: Vec<String> =
            known.iter().map(|(_, factor, name)| format!("{name} {factor:.3}")).collect();
        if *factor > 0.98 {
            return Some(format!(
                "At {at} nothing limits scaling by more than 2 % ({}).",
                all.join(", ")
            ));
        }
        return Some(format!(
            "At {at} scaling is limited first by {what}: {name} {factor:.3} ({}).",
            all.join(", ")
        ));
    }
    let law = model_limit(series)?;
    Some(format!("Times of single ranks are not known; {law}."))
}

/// What the model that fits best says of the limit.
fn model_limit(series: &Series) -> Option<String> {
    let models = &series.models;
    let best = models.best.as_deref().unwrap_or_default();
    if let Some(usl) = models.usl.as_ref().filter(|_| best == "USL") {
        let (what, value) = if usl.peak_ranks.is_some() {
            ("coherency, which grows with the square of the size: beta", usl.beta)
        } else {
            ("contention: alpha", usl.alpha)
        };
        return Some(format!(
            "the law that fits best, USL, blames {what} = {} (alpha = {}, beta = {})",
            number(value),
            number(usl.alpha),
            number(usl.beta)
        ));
    }
    let amdahl = models.amdahl.as_ref().filter(|_| series.mode == Mode::Strong)?;
    let [lo, hi] = amdahl.ci95;
    let bound = amdahl.max_speedup.map_or_else(
        || "which bounds nothing yet".to_owned(),
        |most| format!("which bounds the speedup at {}", number(most)),
    );
    Some(format!(
        "by Amdahl's law the serial fraction is {} (95 % interval {} to {}), {bound}",
        number(amdahl.serial_fraction),
        number(lo.max(0.0)),
        number(hi)
    ))
}

fn peak(series: &Series) -> Option<String> {
    let usl = series.models.usl.as_ref()?;
    Some(match usl.peak_ranks {
        Some(peak) => format!(
            "By the universal scalability law throughput peaks near {} {}; more make it slower.",
            number(peak),
            unit(series)
        ),
        None => {
            "By the universal scalability law there is no peak: nothing measured grows with the \
                 square of the ranks."
                .into()
        }
    })
}

fn recommended(series: &Series, runs: u64) -> Option<String> {
    let row = last_above(series, THRESHOLDS[0])?;
    let hours = row.node_hours?;
    let nodes = row.nodes?;
    Some(format!(
        "Recommended job size: {} on {nodes} {} ({} a run); {runs} runs cost {} node-hours.",
        count(series, row),
        if nodes == 1 { "node" } else { "nodes" },
        value_of(row),
        number(hours * crate::num::to_f64(runs))
    ))
}

fn prediction(series: &Series) -> Option<String> {
    let holdout = series.holdout.as_ref()?;
    let what = match series.metric {
        Metric::Time => "time",
        Metric::Throughput => "rate",
    };
    let far = series.band.last().filter(|band| band.lo > 0.0 && band.hi > 1.01 * band.lo);
    let spread = far.map_or_else(String::new, |band| {
        format!(
            "; at {} {} models that fit about as well differ by {}",
            number(band.p),
            unit(series),
            percent(band.hi / band.lo - 1.0)
        )
    });
    Some(format!(
        "Fitted without it, {} predicts the {what} at {} {} to {}{spread}.",
        holdout.model,
        holdout.ranks,
        unit(series),
        percent(holdout.error.abs()),
    ))
}
