//! What the fitted models say where nothing was measured, and how far to believe it.
//!
//! A refit per point left out is the price of honest errors; all of it is below a millisecond.

use super::data::Data;
use super::fit::equal_weights;
use super::goodness::{aicc, smape};
use super::{amdahl, gustafson, pmnf, usl};
use crate::num::{floor_u64, len_f64};
use crate::scaling::report::{Band, Curve, Holdout, Metric, Mode};

/// Models whose `AICc` is at most this much above the best are not ruled out: "should rarely be
/// dismissed" up to there (Burnham, Anderson & Huyvaert, Behavioral Ecology and
/// Sociobiology 65, 2011).
pub const NEAR_TIE: f64 = 7.0;

/// Relative residuals below this are rounding: times repeat to nine digits nowhere.
const RESOLUTION: f64 = 1e-9;

/// Whether a parameter that adds `share` of the time at the greatest p is more than rounding; its
/// inverse is no limit if not.
pub fn matters(share: f64) -> bool {
    share > RESOLUTION
}

/// A fitted model of times per unit of work.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Law {
    /// Of strong series.
    Amdahl(amdahl::Amdahl),
    /// Of weak series.
    Gustafson(gustafson::Gustafson),
    /// Of both.
    Usl(usl::Usl),
    /// Of both: a model of the cost, time times p, which ideal scaling keeps constant.
    Pmnf(pmnf::Candidate),
}

impl Law {
    /// As the report names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Amdahl(_) => "Amdahl",
            Self::Gustafson(_) => "Gustafson",
            Self::Usl(_) => "USL",
            Self::Pmnf(_) => "PMNF",
        }
    }

    /// The time per unit of work on p ranks.
    pub fn time(self, p: f64) -> f64 {
        match self {
            Self::Amdahl(law) => law.time(p),
            Self::Gustafson(law) => law.time(p),
            Self::Usl(law) => 1.0 / law.rate(p),
            Self::Pmnf(law) => law.at(p) / p,
        }
    }

    fn parameters(self) -> usize {
        match self {
            Self::Amdahl(_) | Self::Gustafson(_) => 2,
            Self::Usl(_) => 3,
            Self::Pmnf(law) => law.parameters(),
        }
    }

    /// `AICc` on relative residuals of the times, repeats as weights: comparable among all laws.
    pub fn aicc(self, data: &Data) -> Option<f64> {
        let count = data.p.len();
        let floor = len_f64(count) * RESOLUTION * RESOLUTION;
        aicc(data.points().rss(|p| self.time(p)).max(floor), count, self.parameters())
    }
}

/// The best fit of every law that applies: the mode's own first, then USL, then PMNF.
pub fn laws(data: &Data, mode: Mode) -> Vec<Law> {
    let first = match mode {
        Mode::Strong => amdahl::estimate(data.points()).map(Law::Amdahl),
        Mode::Weak => gustafson::estimate(data.points()).map(Law::Gustafson),
    };
    let bent = usl_law(data).map(Law::Usl);
    let found = cost_candidates(data).unwrap_or_default();
    let term = pmnf::least_smape(&found, None).map(|index| Law::Pmnf(found[index]));
    first.into_iter().chain(bent).chain(term).collect()
}

/// USL, from four points on.
fn usl_law(data: &Data) -> Option<usl::Usl> {
    let [alpha, beta, gamma] = usl_fit(data)?.fit.value;
    Some(usl::Usl { alpha, beta, gamma })
}

/// USL's fit on times, from four points on.
pub fn usl_fit(data: &Data) -> Option<super::fit::Bounded<3>> {
    if data.p.len() < 4 {
        return None;
    }
    // Rates without repeats have no known spread, so their residuals are taken as they are, which is how
    // the law's published fits were made. With repeats residuals are relative, and relative residuals of
    // rates and of their times are the same to first order.
    if data.metric == Metric::Throughput && data.repeats.iter().all(|one| one.len() == 1) {
        let rates: Vec<f64> = data.time.iter().map(|time| 1.0 / time).collect();
        let weight = equal_weights(rates.len());
        let points = super::fit::Points { p: &data.p, y: &rates, weight: &weight };
        return usl::fit(points, usl::Scale::Rate);
    }
    usl::fit(data.points(), usl::Scale::Time)
}

/// The models of the cost p T(p): constant under ideal strong scaling, and of proportional weak
/// scaling the time itself. Relative residuals are the same for the cost as for the time.
pub fn cost_candidates(data: &Data) -> Option<Vec<pmnf::Candidate>> {
    let cost: Vec<f64> = data.p.iter().zip(&data.time).map(|(p, time)| p * time).collect();
    let weight = data.weights_for(&cost);
    pmnf::candidates(super::fit::Points { p: &data.p, y: &cost, weight: &weight })
}

/// The law with the least `AICc`; `None` where none has one.
pub fn best(data: &Data, laws: &[Law]) -> Option<Law> {
    let scored = laws.iter().filter_map(|&law| Some((law, law.aicc(data)?)));
    scored.min_by(|(_, one), (_, other)| one.total_cmp(other)).map(|(law, _)| law)
}

/// Leave-one-out SMAPE of each kind of law in `laws`, refitted without each point, in percent;
/// `None` where too few points are left for a refit.
pub fn leave_one_out(data: &Data, mode: Mode, fitted: &[Law]) -> Vec<Option<f64>> {
    // Each refit searches as long as the fit, so the cost grows with the cube of the points.
    const MOST: usize = 40;
    if data.p.len() > MOST {
        return vec![None; fitted.len()];
    }
    let refits: Vec<Vec<Law>> =
        (0..data.p.len()).map(|out| laws(&data.without(out), mode)).collect();
    let error = |law: &Law| {
        let at = |(out, refit): (usize, &Vec<Law>)| {
            let same = refit.iter().find(|other| other.name() == law.name())?;
            Some((same.time(data.p[out]), data.time[out]))
        };
        let pairs: Option<Vec<(f64, f64)>> = refits.iter().enumerate().map(at).collect();
        pairs.map(smape).filter(|error| error.is_finite())
    };
    fitted.iter().map(error).collect()
}

/// The largest point predicted from the others, by the law that has the least `AICc` among them, or
/// by the mode's own where none has one; `None` with fewer than four points.
pub fn holdout(data: &Data, mode: Mode) -> Option<Holdout> {
    let last = data.p.len().checked_sub(1).filter(|&last| last >= 3)?;
    let others = data.head(last);
    let laws = laws(&others, mode);
    let law = best(&others, &laws).or(laws.first().copied())?;
    // The work at the largest point is known, so it is not predicted.
    let predicted = data.value(data.p[last], law.time(data.p[last]));
    let measured = data.median[last];
    let error = predicted / measured - 1.0;
    (error.is_finite() && predicted > 0.0).then(|| Holdout {
        model: law.name().to_owned(),
        ranks: floor_u64(data.p[last]),
        measured_s: measured,
        predicted_s: predicted,
        error,
    })
}

/// Four steps per doubling from the least p to `reach` times the greatest, and every measured p.
pub fn grid(data: &Data, reach: f64) -> Vec<f64> {
    let (Some(&least), Some(&greatest)) = (data.p.first(), data.p.last()) else { return vec![] };
    let end = greatest * reach.clamp(1.0, 1024.0);
    let steps = (0_u32..400).map(|step| least * (f64::from(step) / 4.0).exp2());
    let mut grid: Vec<f64> = steps.take_while(|p| *p < end * (1.0 - 1e-9)).collect();
    grid.extend(&data.p);
    grid.push(end);
    grid.sort_unstable_by(f64::total_cmp);
    // Rounded powers of two lie beside the measured ones.
    grid.dedup_by(|later, earlier| *later / *earlier - 1.0 < 1e-9);
    grid
}

/// The values of each law over the grid; where a law says nothing positive, no point.
pub fn curves(data: &Data, laws: &[Law], grid: &[f64]) -> Vec<Curve> {
    let curve = |law: &Law| {
        let at = |&p: &f64| [p, data.value(p, law.time(p))];
        let points = grid.iter().map(at).filter(|[_, y]| y.is_finite() && *y > 0.0).collect();
        Curve { model: law.name().to_owned(), points }
    };
    laws.iter().map(curve).collect()
}

/// The laws and the PMNF candidates that are not ruled out: `AICc` within [`NEAR_TIE`] of the least,
/// or none at all because there are too few points to rule anything out.
pub fn near_tied(data: &Data, laws: &[Law], candidates: &[pmnf::Candidate]) -> Vec<Law> {
    let mut all = laws.to_vec();
    all.extend(pmnf_near_ties(data, candidates).into_iter().map(Law::Pmnf));
    let least = best(data, &all).and_then(|law| law.aicc(data));
    let stays = |law: &Law| match (law.aicc(data), least) {
        (Some(own), Some(least)) => own <= least + NEAR_TIE,
        _ => true,
    };
    all.retain(stays);
    all
}

/// The PMNF models that are near-tied with the chosen one or the closest one. Models with equally
/// many parameters compare even with too few points for an `AICc`, as its penalty cancels.
pub fn pmnf_near_ties(data: &Data, candidates: &[pmnf::Candidate]) -> Vec<pmnf::Candidate> {
    let count = len_f64(data.p.len());
    let floor = count * RESOLUTION * RESOLUTION;
    let chosen = pmnf::least_smape(candidates, None);
    let score = |law: pmnf::Candidate| {
        let rss = data.points().rss(|p| Law::Pmnf(law).time(p)).max(floor);
        count * rss.ln()
    };
    // Both kinds on one scale where AICc exists, else the constant apart.
    let penalty = |law: pmnf::Candidate| {
        aicc(count, data.p.len(), law.parameters()).unwrap_or(if law.term.is_some() {
            0.0
        } else {
            f64::INFINITY
        })
    };
    let scores: Vec<f64> = candidates.iter().map(|&law| score(law) + penalty(law)).collect();
    let least = scores.iter().copied().fold(f64::INFINITY, f64::min);
    let near = |index: &usize| scores[*index] <= least + NEAR_TIE || Some(*index) == chosen;
    (0..candidates.len()).filter(near).map(|index| candidates[index]).collect()
}

/// Least and greatest value of the near-tied laws over the grid; empty without any.
pub fn band(data: &Data, near: &[Law], grid: &[f64]) -> Vec<Band> {
    let at = |&p: &f64| {
        let values = near.iter().map(|law| data.value(p, law.time(p)));
        let (lo, hi) = values
            .filter(|value| value.is_finite() && *value > 0.0)
            .fold((f64::INFINITY, 0.0_f64), |(lo, hi), value| (lo.min(value), hi.max(value)));
        (lo <= hi).then_some(Band { p, lo, hi })
    };
    grid.iter().filter_map(at).collect()
}

/// What a cost of 1 stands for, so that the formula is in the study's own unit: rank-seconds per
/// run where the work is constant, seconds per run where it is proportional to p, else rank-seconds
/// per unit of work.
pub fn cost_unit(data: &Data) -> f64 {
    let one = data.work.first().copied().unwrap_or(1.0);
    match data.metric {
        Metric::Time if data.constant_work() => data.unit * one,
        Metric::Time if data.proportional() => data.unit * one / data.p[0],
        _ => data.unit,
    }
}

/// The formula of the study's values from a model of the cost.
pub fn formula(data: &Data, candidate: pmnf::Candidate) -> String {
    let cost = candidate.formula(cost_unit(data));
    match data.metric {
        Metric::Throughput => format!("X(p) = p / ({cost})"),
        Metric::Time if data.constant_work() => format!("T(p) = ({cost}) / p"),
        Metric::Time if data.proportional() => format!("T(p) = {cost}"),
        Metric::Time => format!("T(p) = ({cost}) * W(p) / p"),
    }
}
