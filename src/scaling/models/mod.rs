//! Models of how a program scales, fitted to repeated measurements, with their uncertainty.
//!
//! [`analyse`] fills the report's model types from one series; the parts can be used alone, on any
//! times or rates with any weights. Residuals are relative throughout: the spread of repeats is
//! taken as the same share of the time at all p, which a series with steady noise shows.

pub mod amdahl;
mod data;
pub mod fit;
pub mod goodness;
pub mod gustafson;
pub mod laws;
pub mod pmnf;
mod predict;
pub mod usl;

use crate::scaling::report;
use crate::scaling::report::{Band, Curve, Holdout, Metric, Mode, Models, Score};
use crate::scaling::stats::{Bootstrap, bootstrap};
use data::Data;

/// All runs at one p.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Ranks, or cores where the series counts those.
    pub p: u64,
    /// Seconds or units of work per second of each repeat; what is not positive does not count.
    pub values: Vec<f64>,
    /// The work of one run in any unit, the same for all points; `None`: the same work at all p of
    /// a strong series, p of a weak one. Rates contain it already.
    pub work: Option<f64>,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Study {
    /// What stays the same.
    pub mode: Mode,
    /// What the values are.
    pub metric: Metric,
    /// In any order.
    pub points: Vec<Point>,
}

/// How to analyse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// For the intervals by resampling.
    pub bootstrap: Bootstrap,
    /// Curves, band and spread go to this multiple of the greatest p.
    pub reach: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { bootstrap: Bootstrap::default(), reach: 4.0 }
    }
}

/// What the models say of one series.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// Every model that applies to the mode and has enough points.
    pub models: Models,
    /// The largest point predicted from the others.
    pub holdout: Option<Holdout>,
    /// One per fitted model, over the grid.
    pub curves: Vec<Curve>,
    /// Least and greatest of the near-tied models, over the same grid.
    pub band: Vec<Band>,
}

/// Fits and judges all models of one series. Never fails: what too few or too odd points do not
/// determine is `None`. Amdahl and Gustafson need three points, USL four, PMNF five.
pub fn analyse(study: &Study, settings: &Settings) -> Analysis {
    let data = Data::of(study);
    let mode = study.mode;
    let laws = if data.p.len() >= 3 { predict::laws(&data, mode) } else { vec![] };
    let candidates = predict::cost_candidates(&data).unwrap_or_default();
    let grid = if laws.is_empty() { vec![] } else { predict::grid(&data, settings.reach) };
    let errors = predict::leave_one_out(&data, mode, &laws);
    let score = |(law, leave_one_out): (&predict::Law, &Option<f64>)| Score {
        model: law.name().to_owned(),
        aicc: law.aicc(&data),
        leave_one_out: *leave_one_out,
    };
    let scores: Vec<Score> = laws.iter().zip(&errors).map(score).collect();
    let aicc_of = |name: &str| scores.iter().find(|score| score.model == name)?.aicc;
    let usl_aicc = aicc_of("USL");
    let models = Models {
        amdahl: (mode == Mode::Strong).then(|| amdahl_report(&data, settings)).flatten(),
        gustafson: (mode == Mode::Weak).then(|| gustafson_report(&data, settings)).flatten(),
        usl: usl_report(&data, usl_aicc),
        pmnf: pmnf_report(&data, &candidates, settings.reach),
        best: predict::best(&data, &laws).map(|law| law.name().to_owned()),
        scores,
    };
    Analysis {
        models,
        holdout: predict::holdout(&data, mode),
        curves: predict::curves(&data, &laws, &grid),
        band: predict::band(&data, &predict::near_tied(&data, &laws, &candidates), &grid),
    }
}

/// The bootstrap interval of a serial fraction, refitted to resampled medians.
fn resampled(
    data: &Data,
    settings: &Settings,
    fraction: impl Fn(fit::Points<'_>) -> Option<f64>,
) -> Option<[f64; 2]> {
    let statistic = |times: &[f64]| {
        let weight = data.weights_for(times);
        fraction(fit::Points { p: &data.p, y: times, weight: &weight }).unwrap_or(f64::NAN)
    };
    let interval = bootstrap(&data.repeats, settings.bootstrap, statistic)?;
    Some([interval.lo, interval.hi])
}

fn amdahl_report(data: &Data, settings: &Settings) -> Option<report::Amdahl> {
    let fitted = amdahl::fit(data.points())?;
    let [serial_fraction, t1] = fitted.fit.value;
    let law = amdahl::Amdahl { serial_fraction, t1 };
    let at_one = data.unit * t1 * data.work.first()?;
    let matters = predict::matters(serial_fraction * data.p.last()?);
    Some(report::Amdahl {
        serial_fraction,
        ci95: fitted.ci95(0)?,
        ci95_bootstrap: resampled(data, settings, |points| {
            amdahl::estimate(points).map(|law| law.serial_fraction)
        }),
        t1_s: (data.metric == Metric::Time && at_one.is_finite()).then_some(at_one),
        aicc: predict::Law::Amdahl(law).aicc(data),
        max_speedup: matters.then(|| 1.0 / serial_fraction),
    })
}

fn gustafson_report(data: &Data, settings: &Settings) -> Option<report::Gustafson> {
    let fitted = gustafson::fit(data.points())?;
    let [serial_fraction, rate] = fitted.fit.value;
    let law = gustafson::Gustafson { serial_fraction, rate };
    Some(report::Gustafson {
        serial_fraction,
        ci95: fitted.ci95(0)?,
        ci95_bootstrap: resampled(data, settings, |points| {
            gustafson::estimate(points).map(|law| law.serial_fraction)
        }),
        aicc: predict::Law::Gustafson(law).aicc(data),
    })
}

fn usl_report(data: &Data, aicc: Option<f64>) -> Option<report::Usl> {
    let fitted = predict::usl_fit(data)?;
    let [alpha, beta, gamma] = fitted.fit.value;
    let law = usl::Usl { alpha, beta, gamma };
    let greatest = data.p.last()?;
    let peak = law.peak().filter(|_| predict::matters(beta * greatest * greatest));
    let roof = law.roof().filter(|_| predict::matters(alpha * greatest));
    let rate = |relative: f64| Some(relative / data.unit).filter(|rate| rate.is_finite());
    Some(report::Usl {
        alpha,
        beta,
        gamma: rate(gamma)?,
        alpha_ci95: fitted.ci95(0)?,
        beta_ci95: fitted.ci95(1)?,
        peak_ranks: peak,
        peak_throughput: peak.and_then(|peak| rate(law.rate(peak))),
        roof: roof.and_then(rate),
        aicc,
    })
}

fn pmnf_report(data: &Data, candidates: &[pmnf::Candidate], reach: f64) -> Option<report::Pmnf> {
    let chosen = pmnf::least_smape(candidates, None)?;
    let second = pmnf::least_smape(candidates, Some(chosen));
    let spread_at = data.p.last()? * reach.clamp(1.0, 1024.0);
    let near = predict::pmnf_near_ties(data, candidates);
    let far = near.iter().map(|law| law.at(spread_at)).filter(|value| *value > 0.0);
    let (lo, hi) = far.fold((f64::INFINITY, 0.0_f64), |(lo, hi), x| (lo.min(x), hi.max(x)));
    let terms = |law: pmnf::Candidate| {
        let unit = predict::cost_unit(data);
        let flat =
            report::Term { coefficient: law.constant * unit, exponent: 0.0, log_exponent: 0.0 };
        let term = law.term.map(|(factor, exponents)| report::Term {
            coefficient: factor * unit,
            exponent: exponents.exponent(),
            log_exponent: f64::from(exponents.log),
        });
        std::iter::once(flat).chain(term).collect()
    };
    let law = candidates[chosen];
    Some(report::Pmnf {
        terms: terms(law),
        formula: predict::formula(data, law),
        smape: law.smape,
        aicc: predict::Law::Pmnf(law).aicc(data),
        runner_up: second.map(|index| report::RunnerUp {
            formula: predict::formula(data, candidates[index]),
            terms: terms(candidates[index]),
            smape: candidates[index].smape,
        }),
        spread: if lo < hi { hi / lo - 1.0 } else { 0.0 },
        spread_at,
    })
}

#[cfg(test)]
mod tests;
