//! Reports for tests, made from times by the definitions, without the code that makes real ones.

use crate::num::{len_f64, mix64, to_f64, to_u64, to_usize};
use crate::scaling::report::*;

pub const HOSTILE: &str =
    "</script><b onload=\"x\"> \"&' 100% $x_1^2 \\input{y} | ~#[z](w) \u{1}\u{202E}";

/// n repeats around `middle`, within 2 %.
pub fn repeats(middle: f64, n: usize, seed: u64) -> Vec<f64> {
    let unit = |k: usize| to_f64(mix64(seed * 1000 + to_u64(k)) >> 11) / to_f64(1 << 53);
    (0..n).map(|k| middle * (0.985 + 0.03 * unit(k))).collect()
}

pub fn row(ranks: u64, values: Vec<f64>) -> Row {
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let median =
        if n == 0 { None } else { Some(f64::midpoint(sorted[(n - 1) / 2], sorted[n / 2])) };
    let ends = (n > 1).then(|| [sorted[n / 10], sorted[n - 1 - n / 10]]);
    Row {
        ranks,
        nodes: Some(ranks.div_ceil(16)),
        threads: 1,
        cores: ranks,
        repeats: to_u64(n),
        median_s: median,
        ci95_s: ends,
        min_s: sorted.first().copied(),
        max_s: sorted.last().copied(),
        values,
        outliers: 0,
        throughput: None,
        throughput_ci95: None,
        work: None,
        speedup: None,
        speedup_ci95: None,
        efficiency: None,
        efficiency_ci95: None,
        per_doubling: None,
        karp_flatt: None,
        node_hours: median.map(|median| median * to_f64(ranks.div_ceil(16)) / 3600.0),
        load_balance: None,
        communication_efficiency: None,
        io_efficiency: None,
        mpi_efficiency: None,
        parallel_efficiency: None,
        computation_scaling: None,
        global_efficiency: None,
        io_share: None,
        mpi_share: None,
        useful_share: None,
        peak_rss_bytes_per_node: None,
        bytes_read: None,
        bytes_written: None,
        bytes_sent: None,
        phases: Vec::new(),
        per_rank: None,
        oversubscribed: false,
    }
}

/// A series with what follows from its times alone.
pub fn series(name: &str, mode: Mode, metric: Metric, mut rows: Vec<Row>) -> Series {
    let value = |row: &Row| if metric == Metric::Time { row.median_s } else { row.throughput };
    let base = rows.iter().find_map(|row| Some((row.ranks, value(row)?))).unwrap_or((1, 1.0));
    let mut before: Option<(f64, f64)> = None;
    for row in &mut rows {
        let Some(here) = value(row) else { continue };
        let p = to_f64(row.ranks) / to_f64(base.0);
        let time_ratio = if metric == Metric::Time { base.1 / here } else { here / base.1 };
        let speedup =
            if mode == Mode::Weak && metric == Metric::Time { time_ratio * p } else { time_ratio };
        let around =
            |value: f64| row.ci95_s.map(|ends| [value * here / ends[1], value * here / ends[0]]);
        row.speedup = Some(speedup);
        row.speedup_ci95 = around(speedup);
        row.efficiency = Some(speedup / p);
        row.efficiency_ci95 = around(speedup / p);
        row.karp_flatt = (p > 1.0).then(|| (1.0 / speedup - 1.0 / p) / (1.0 - 1.0 / p));
        if let Some((p_before, s_before)) = before {
            row.per_doubling = Some((speedup / s_before).powf(1.0 / (p / p_before).log2()));
        }
        before = Some((p, speedup));
    }
    Series {
        name: name.into(),
        mode,
        unit: Unit::Ranks,
        metric,
        timing: "Wall time from the first to the last barrier, clock of rank 0.".into(),
        input: String::new(),
        baseline: Baseline {
            ranks: base.0,
            wall_s: (metric == Metric::Time).then_some(base.1),
            throughput: (metric == Metric::Throughput).then_some(base.1),
            why: "the smallest measured".into(),
        },
        rows,
        failed: Vec::new(),
        models: Models::default(),
        holdout: None,
        curves: Vec::new(),
        band: Vec::new(),
        sentences: vec![format!("{name}: something to say.")],
        lint: vec![Lint {
            rule: "CI given".into(),
            verdict: Verdict::Pass,
            why: "order statistics".into(),
        }],
    }
}

pub fn report(title: &str, series: Vec<Series>) -> Report {
    Report {
        schema: SCHEMA.into(),
        title: title.into(),
        warnings: Vec::new(),
        publishable: true,
        setup: vec![
            ("CPU".into(), "AMD EPYC 7763 64-Core Processor, 2 x 64 cores a node".into()),
            ("MPI".into(), "Open MPI 4.1.4, MPI 3.1".into()),
            ("program".into(), "dcomp 0.1.0, git 0123abc, rustc 1.95.0".into()),
        ],
        series,
    }
}

/// Ranks' times with rank r doing (1 + 0.4 r / p) of the least, as a record would tell them.
fn with_ranks(row: &mut Row) {
    let total = row.median_s.unwrap_or(1.0);
    let p = to_usize(row.ranks);
    let most = total * (0.93 - 0.02 * to_f64(row.ranks).log2());
    let useful: Vec<f64> =
        (0..p).map(|r| most * (1.0 + 0.4 * len_f64(r * 7 % p + 1) / len_f64(p)) / 1.4).collect();
    let io = vec![0.02 * total; p];
    let mpi: Vec<f64> = useful.iter().map(|useful| (total * 0.96 - useful).max(0.0)).collect();
    let mean = |times: &[f64]| times.iter().sum::<f64>() / len_f64(p);
    let greatest = useful.iter().copied().fold(0.0, f64::max);
    row.load_balance = Some(mean(&useful) / greatest);
    row.io_efficiency = Some(0.98);
    row.mpi_efficiency = Some(greatest / total / 0.98);
    row.communication_efficiency = Some(greatest / total);
    row.parallel_efficiency = Some(mean(&useful) / total);
    row.computation_scaling = Some(0.99);
    row.global_efficiency = row.parallel_efficiency.map(|pe| pe * 0.99);
    row.useful_share = Some(mean(&useful) / total);
    row.mpi_share = Some(mean(&mpi) / total);
    row.io_share = Some(0.02);
    row.peak_rss_bytes_per_node = Some(3_400_000_000 / row.ranks + 200_000_000);
    row.bytes_written = Some(805_306_368);
    row.bytes_sent = Some(row.ranks * 12_582_912);
    row.phases = [("setup", 0.02), ("compute", 0.7), ("exchange", 0.1), ("write", 0.15)]
        .map(|(name, part)| PhaseTime { name: name.into(), max_s: part * total })
        .to_vec();
    row.per_rank = Some(PerRank { useful_s: useful, mpi_s: mpi, io_s: io });
}

/// Amdahl and USL through the first series's points, a band between them.
fn with_models(series: &mut Series, t1: f64, s: f64) {
    let amdahl = |p: f64| t1 * (s + (1.0 - s) / p);
    let usl = |p: f64| t1 * (1.0 + s * (p - 1.0) + 2e-6 * p * (p - 1.0)) / p;
    let pmnf = |p: f64| t1 * (s * 1.8 + (1.0 - s * 1.8) / p.powf(0.99));
    let at: Vec<f64> = (0..=48).map(|k| (f64::from(k) / 4.0).exp2()).collect();
    let curve = |model: &str, f: &dyn Fn(f64) -> f64| Curve {
        model: model.into(),
        points: at.iter().map(|&p| [p, f(p)]).collect(),
    };
    series.curves = vec![curve("Amdahl", &amdahl), curve("USL", &usl), curve("PMNF", &pmnf)];
    series.band = at
        .iter()
        .map(|&p| Band {
            p,
            lo: amdahl(p).min(usl(p)).min(pmnf(p)),
            hi: amdahl(p).max(usl(p)).max(pmnf(p)),
        })
        .collect();
    series.models = Models {
        amdahl: Some(Amdahl {
            serial_fraction: s,
            ci95: [s * 0.7, s * 1.3],
            ci95_bootstrap: Some([s * 0.8, s * 1.25]),
            t1_s: Some(t1),
            aicc: Some(-41.2),
            max_speedup: Some(1.0 / s),
        }),
        gustafson: None,
        usl: Some(Usl {
            alpha: s,
            beta: 2e-6,
            gamma: 1.0 / t1,
            alpha_ci95: [s * 0.6, s * 1.4],
            beta_ci95: [-1e-6, 5e-6],
            peak_ranks: Some(704.2),
            peak_throughput: Some(1.234),
            roof: Some(1.0 / t1 / s),
            aicc: Some(-38.7),
        }),
        pmnf: Some(Pmnf {
            terms: vec![Term { coefficient: 1.3, exponent: 0.0, log_exponent: 0.0 }],
            formula: "1.31 + 411 * p^(-0.99)".into(),
            smape: 1.44,
            aicc: Some(-40.0),
            runner_up: Some(RunnerUp {
                formula: "2.2 + 409 * p^(-1) * log2(p)".into(),
                terms: Vec::new(),
                smape: 1.9,
            }),
            spread: 0.213,
            spread_at: 4096.0,
        }),
        best: Some("Amdahl".into()),
        scores: Vec::new(),
    };
    series.holdout = Some(Holdout {
        model: "Amdahl".into(),
        ranks: 256,
        measured_s: 3.4,
        predicted_s: 3.27,
        error: 3.27 / 3.4 - 1.0,
    });
}

/// A strong and a weak series with all that records tell.
pub fn study() -> Report {
    let sizes = [1_u64, 2, 4, 8, 16, 32, 48, 64, 128, 256];
    let strong = sizes.map(|p| {
        let mut row = row(p, repeats(412.0 * (0.004 + 0.996 / to_f64(p)), 10, p));
        with_ranks(&mut row);
        row
    });
    let weak = [1_u64, 2, 4, 8, 16, 32, 64, 128].map(|p| {
        let mut row = row(p, repeats(36.0 * (1.0 + 0.035 * to_f64(p).log2()), 10, 77 + p));
        row.phases = [
            ("setup", 0.4),
            ("compute", 31.0),
            ("exchange", 1.0 + to_f64(p).log2()),
            ("verify", 0.6),
            ("write", 3.0),
        ]
        .map(|(name, max_s)| PhaseTime { name: name.into(), max_s })
        .to_vec();
        row
    });
    let mut strong = series("mandelbrot 16384x12288", Mode::Strong, Metric::Time, strong.to_vec());
    with_models(&mut strong, 412.0, 0.004);
    strong.input = "16384 x 12288 pixels, at most 1000 iterations".into();
    strong.sentences = vec![
        "Parallel efficiency stays at or above 75 % up to 64 ranks on 4 nodes.".into(),
        "Recommended job size: 64 ranks on 4 nodes, 7.99 s and 0.00888 node-hours a run.".into(),
        "100 production runs of this size take 0.89 node-hours.".into(),
    ];
    strong.lint = vec![
        Lint {
            rule: "base case absolute (1)".into(),
            verdict: Verdict::Pass,
            why: "412 s on 1 rank".into(),
        },
        Lint {
            rule: "all data shown (2)".into(),
            verdict: Verdict::Pass,
            why: "100 of 100 runs".into(),
        },
        Lint {
            rule: "enough repeats (5)".into(),
            verdict: Verdict::Pass,
            why: "10 at each size".into(),
        },
        Lint {
            rule: "setup recorded (9)".into(),
            verdict: Verdict::Warn,
            why: "the governor is not known".into(),
        },
        Lint {
            rule: "runs long enough".into(),
            verdict: Verdict::Fail,
            why: "the shortest takes 3.3 s".into(),
        },
    ];
    let mut weak =
        series("counter-sort, 10^6 files a rank", Mode::Weak, Metric::Time, weak.to_vec());
    weak.failed = vec![Failed { ranks: 128, repeat: 7, why: "exit code 74: disk full".into() }];
    report("Scaling of dcomp on an example cluster", vec![strong, weak])
}

/// PIERNIK, notes T9: times alone, once each, as a CSV file would have them.
pub fn piernik() -> Report {
    let rows = |data: &[(u64, f64)]| data.iter().map(|&(p, time)| row(p, vec![time])).collect();
    let a = [
        (64, 12816.5),
        (128, 6862.0),
        (256, 3665.0),
        (512, 1980.0),
        (1024, 1060.0),
        (2048, 616.0),
        (4096, 440.0),
    ];
    let b = [
        (32, 342.0),
        (64, 173.3),
        (128, 95.8),
        (256, 50.0),
        (512, 27.9),
        (1024, 15.8),
        (2048, 11.2),
        (4096, 11.4),
    ];
    report(
        "PIERNIK",
        vec![
            series("A", Mode::Strong, Metric::Time, rows(&a)),
            series("B", Mode::Strong, Metric::Time, rows(&b)),
        ],
    )
}

/// Names and texts that try to be markup.
pub fn hostile() -> Report {
    let mut report = study();
    report.title = HOSTILE.into();
    report.setup.push((HOSTILE.into(), HOSTILE.into()));
    report.warnings = vec![HOSTILE.into()];
    report.publishable = false;
    for series in &mut report.series {
        series.name = HOSTILE.into();
        series.input = HOSTILE.into();
        series.timing = HOSTILE.into();
        series.baseline.why = HOSTILE.into();
        series.sentences = vec![HOSTILE.into()];
        series.models.best = Some(HOSTILE.into());
        for curve in &mut series.curves {
            curve.model = HOSTILE.into();
        }
        for phase in series.rows.iter_mut().flat_map(|row| &mut row.phases) {
            phase.name = format!("{} {HOSTILE}", phase.name);
        }
        series.failed = vec![Failed { ranks: 1, repeat: 1, why: HOSTILE.into() }];
        series.lint =
            vec![Lint { rule: HOSTILE.into(), verdict: Verdict::Fail, why: HOSTILE.into() }];
    }
    report
}

/// More ranks than cores from 4 on.
pub fn oversubscribed() -> Report {
    let rows = [1_u64, 2, 4, 8].map(|p| {
        let mut row = row(p, repeats(10.0 / to_f64(p.min(2)) * 1.03_f64.powf(to_f64(p)), 3, p));
        row.nodes = Some(1);
        row.oversubscribed = p > 2;
        row
    });
    let mut report =
        report("A laptop", vec![series("mandelbrot", Mode::Strong, Metric::Time, rows.to_vec())]);
    report.publishable = false;
    report.warnings = vec![
        "more ranks than cores: 4 and 8 ranks ran on 2 cores; what they measure is the scheduler."
            .into(),
        "fewer than 6 repeats".into(),
    ];
    report
}

/// SPEC SDM91, notes T6: rates, and the fit published for them.
pub fn throughput() -> Report {
    let data = [
        (1, 64.9),
        (18, 995.9),
        (36, 1652.4),
        (72, 1853.2),
        (108, 1828.9),
        (144, 1775.0),
        (216, 1702.2),
    ];
    let rows = data.map(|(p, rate)| {
        let mut row = row(p, Vec::new());
        row.values = vec![rate];
        row.repeats = 1;
        row.throughput = Some(rate);
        row
    });
    let mut series = series("SPEC SDM91", Mode::Strong, Metric::Throughput, rows.to_vec());
    let usl = |p: f64| 89.9952 * p / (1.0 + 0.027_728_5 * (p - 1.0) + 1.044e-4 * p * (p - 1.0));
    series.curves = vec![Curve {
        model: "USL".into(),
        points: (0..=40).map(|k| (f64::from(k) / 4.0).exp2()).map(|p| [p, usl(p)]).collect(),
    }];
    report("Throughput", vec![series])
}

/// Many series, for time and memory.
pub fn crowd(count: usize, points: usize, repeat: usize) -> Report {
    let one = |k: usize| {
        let rows = (0..points).map(|j| {
            let p = 1_u64 << j;
            let time = 100.0 * len_f64(k + 1) * (0.01 + 0.99 / to_f64(p));
            let mut row = row(p, repeats(time, repeat, to_u64(k * 100 + j)));
            with_ranks(&mut row);
            row
        });
        let mode = if k % 3 == 2 { Mode::Weak } else { Mode::Strong };
        let mut series = series(
            &format!("case {k} of many, with a long name"),
            mode,
            Metric::Time,
            rows.collect(),
        );
        with_models(&mut series, 100.0 * len_f64(k + 1), 0.01);
        series
    };
    report("A crowd", (0..count).map(one).collect())
}
