//! Reports of planted runs and of published ones.

use serde_json::json;

use super::*;
use crate::scaling::input;
use crate::scaling::sample::Record;

fn table(text: &str) -> Vec<Sample> {
    input::csv(text, "t.csv").unwrap().samples
}

fn report_of(samples: Vec<Sample>) -> Report {
    analyse(samples, &[], &Options::default()).unwrap()
}

fn strong(times: &[(u64, f64)]) -> Vec<Sample> {
    let rows: Vec<String> = times.iter().map(|(p, t)| format!("strong,{p},{t}")).collect();
    table(&format!("mode,ranks,wall_s\n{}", rows.join("\n")))
}

/// A run record of a job whose rank r worked `useful[r]` seconds of `runtime`.
fn record(runtime: f64, useful: &[f64], io: &[f64], result: &serde_json::Value) -> Sample {
    let mpi: Vec<f64> = useful.iter().zip(io).map(|(u, io)| runtime - u - io).collect();
    let value = json!({
        "schema": "dcomp-run/1", "job": "j", "outcome": "ok", "result": result,
        "ranks": useful.len(), "nodes": 1, "threads_per_rank": 1, "cores": 64,
        "hosts": [{"name": "h", "ranks": useful.len(), "cpu_model": "c"}],
        "runtime_s": runtime, "wall_s": runtime + 1.0,
        "per_rank": {"useful_s": useful, "mpi_s": mpi, "io_s": io},
    });
    let record: Record = serde_json::from_value(value).unwrap();
    record.into_sample("j".into(), None)
}

/// PIERNIK, as the PRACE form has it (notes on scaling, T9): the published speedups come out.
#[test]
fn published_speedups_come_out() {
    let times = [
        (64, 12816.5),
        (128, 6862.0),
        (256, 3665.0),
        (512, 1980.0),
        (1024, 1060.0),
        (2048, 616.0),
        (4096, 440.0),
    ];
    let report = report_of(strong(&times));
    let rows = &report.series[0].rows;
    let speedups: Vec<String> =
        rows[1..].iter().map(|row| format!("{:.3}", row.speedup.unwrap())).collect();
    for (ours, published) in speedups.iter().zip([1.87, 3.50, 6.47, 12.1, 20.8, 29.1]) {
        let ours: f64 = ours.parse().unwrap();
        assert!((ours - published).abs() <= 0.0051 * published, "{ours} {published}");
    }
    // 75 %: 12.09 of 16 at 1024 is 0.756, 20.8 of 32 at 2048 is 0.65.
    let text = report.series[0].sentences.join("\n");
    assert!(
        text.contains("at least 75 % parallel efficiency is 1024 ranks: speedup 12.1"),
        "{text}"
    );
    assert!(text.contains("at least 80 % parallel efficiency is 512 ranks"), "{text}");
    assert_eq!(report.series[0].baseline.ranks, 64);
}

/// Karp and Flatt's fraction on the pi series of `DiRAC` (T3): 3.30, 2.53, 5.36, 2.66 %.
#[test]
fn published_serial_fractions_come_out() {
    let times = [(1, 3.99667), (2, 2.064_242), (4, 1.075_068), (8, 0.687_097), (16, 0.349_366)];
    let report = report_of(strong(&times));
    let fractions: Vec<String> = report.series[0].rows[1..]
        .iter()
        .map(|row| format!("{:.2}", row.karp_flatt.unwrap() * 100.0))
        .collect();
    assert_eq!(fractions, ["3.30", "2.53", "5.36", "2.66"]);
}

/// A form with only times: weak efficiency is T(1)/T(p), 1.26 s on 1 core and 3.8475 s on 4096.
#[test]
fn weak_efficiencies_compare_times() {
    let text = "mode,ranks,wall_s\nweak,1,1.26\nweak,64,3.3725\nweak,4096,3.8475\n";
    let report = report_of(table(text));
    let rows = &report.series[0].rows;
    assert!((rows[2].efficiency.unwrap() - 1.26 / 3.8475).abs() < 1e-12);
    assert!((rows[2].speedup.unwrap() - 4096.0 * 1.26 / 3.8475).abs() < 1e-9);
    assert_eq!(rows[2].karp_flatt, None);
    // Work that grew less than the ranks counts against it.
    let text = "mode,ranks,wall_s,work\nweak,1,1.0,10\nweak,2,1.0,18\nweak,4,1.0,40\n";
    let report = report_of(table(text));
    assert!((report.series[0].rows[1].efficiency.unwrap() - 0.9).abs() < 1e-12);
}

/// Rank r works r + 1 units, on 1, 4 and 64 ranks; both identities of the tree hold.
#[test]
fn the_tree_of_planted_ranks_is_found() {
    let result = json!({"iterations_total": 4096});
    let samples: Vec<Sample> = [1_u32, 4, 64]
        .map(|p| {
            let unit = 4096.0 / f64::from(p * (p + 1) / 2);
            let useful: Vec<f64> = (1..=p).map(|r| f64::from(r) * unit).collect();
            let longest = f64::from(p) * unit;
            record(longest + 0.5, &useful, &vec![0.25; useful.len()], &result)
        })
        .into();
    let report = report_of(samples);
    let rows = &report.series[0].rows;
    assert_eq!(report.series[0].mode, Mode::Strong);
    assert!((rows[1].load_balance.unwrap() - 0.625).abs() < 1e-12);
    assert!((rows[2].load_balance.unwrap() - 0.507_812_5).abs() < 1e-12);
    for row in rows {
        let product = row.load_balance.unwrap() * row.communication_efficiency.unwrap();
        assert!((row.parallel_efficiency.unwrap() / product - 1.0).abs() < 1e-12);
        // GE(p) / GE(ref) = T(ref) p(ref) / (T(p) p).
        let global = row.global_efficiency.unwrap() / rows[0].global_efficiency.unwrap();
        assert!((global / row.efficiency.unwrap() - 1.0).abs() < 1e-12, "{row:?}");
    }
    let text = report.series[0].sentences.join("\n");
    assert!(text.contains("At 64 ranks scaling is limited first by imbalance"), "{text}");
}

#[test]
fn records_of_other_work_are_no_strong_series() {
    let one = |p: usize, work: u64| {
        record(1.0, &vec![0.9; p], &vec![0.0; p], &json!({"iterations_total": work}))
    };
    let report = report_of(vec![one(1, 100), one(2, 210), one(4, 400)]);
    assert_eq!(report.series[0].mode, Mode::Weak);
    assert!(report.warnings.iter().any(|w| w.contains("taken for a weak series")), "{report:?}");
    let error = analyse(vec![one(1, 100), one(2, 150)], &[], &Options::default()).unwrap_err();
    assert!(error.message.contains("--mode strong or --mode weak"), "{error}");
    let told = Options { mode: Some(Mode::Strong), ..Options::default() };
    let report = analyse(vec![one(1, 100), one(2, 150), one(4, 150)], &[], &told).unwrap();
    assert!(report.warnings.iter().any(|w| w.contains("different inputs")), "{report:?}");
}

#[test]
fn what_speaks_against_a_report_is_told_and_refuses_it() {
    let warns = |samples: Vec<Sample>, expected: &str| {
        let report = report_of(samples);
        assert!(!report.publishable);
        assert!(report.warnings.iter().any(|w| w.contains(expected)), "{:?}", report.warnings);
    };
    let good = [(1, 100.0), (2, 51.0), (4, 26.0)];
    let report = report_of(strong(&good));
    assert!(report.publishable && report.warnings.is_empty(), "{:?}", report.warnings);
    warns(strong(&good[..2]), "2 sizes measured");
    warns(strong(&[(1, 1.0), (2, 0.6), (4, 0.3)]), "too short");
    let mut over = strong(&good);
    over[2].oversubscribed = true;
    warns(over, "more ranks than cores at 4 ranks");
    let mut failed = strong(&good);
    failed.push(Sample {
        outcome: Outcome::Failed,
        value: None,
        message: "it exited with 3".into(),
        repeat: 2,
        ..failed[0].clone()
    });
    warns(failed, "1 run failed (at 1 ranks; the first: it exited with 3)");
    let mut missing = strong(&good);
    missing[0].baseline = Some(8);
    warns(missing, "the baseline of 8 ranks is missing");
    let text = "mode,ranks,wall_s,work\nstrong,1,9,1\nstrong,2,5,1\nstrong,4,3,2\n";
    warns(table(text), "different inputs");
}

#[test]
fn baselines_are_as_asked_for() {
    let options = Options { baseline: Some(2), ..Options::default() };
    let report = analyse(strong(&[(1, 100.0), (2, 51.0), (4, 26.0)]), &[], &options).unwrap();
    let series = &report.series[0];
    assert_eq!((series.baseline.ranks, series.baseline.why.as_str()), (2, "asked for"));
    let efficiencies: Vec<String> =
        series.rows.iter().map(|row| format!("{:.4}", row.efficiency.unwrap())).collect();
    assert_eq!(efficiencies, ["1.0200", "1.0000", "0.9808"]);
}

#[test]
fn rates_are_compared_as_rates() {
    let text = "mode,ranks,throughput\nstrong,1,20\nstrong,4,78\nstrong,8,130\nstrong,12,170\n";
    let report = report_of(table(text));
    let row = &report.series[0].rows[1];
    assert_eq!((row.median_s, row.throughput, row.speedup), (None, Some(20.0 * 3.9), Some(3.9)));
    assert!((row.efficiency.unwrap() - 0.975).abs() < 1e-12);
}

#[test]
fn no_run_at_all_is_bad_input() {
    let mut samples = strong(&[(1, 1.0)]);
    samples[0].outcome = Outcome::Timeout;
    samples[0].message = "longer than 1s".into();
    let error = analyse(samples, &[], &Options::default()).unwrap_err();
    assert_eq!(error.kind.exit_code(), 65);
    assert!(error.message.contains("longer than 1s"), "{error}");
}

/// The same runs in any order give the same report.
#[test]
fn the_order_of_runs_does_not_matter() {
    let text =
        "mode,ranks,wall_s\nstrong,1,9\nstrong,2,5\nstrong,2,5.5\nstrong,4,3\nstrong,1,9.5\n";
    let samples = table(text);
    let mut turned = samples.clone();
    turned.reverse();
    let text = |samples| serde_json::to_string(&report_of(samples)).unwrap();
    assert_eq!(text(samples), text(turned));
}

/// Efficiencies of 1, 0.71, 0.89, 0.89: the largest size is the last one, and the dip is told.
#[test]
fn a_dip_does_not_hide_a_larger_size() {
    let report = report_of(strong(&[(1, 100.0), (2, 70.0), (4, 28.0), (8, 14.0)]));
    let text = report.series[0].sentences.join("\n");
    assert!(text.contains("efficiency is 8 ranks: speedup 7.14"), "{text}");
    assert!(text.contains("it is lower at 2 ranks"), "{text}");
}

#[test]
fn what_is_warned_about_is_not_recommended() {
    let mut samples = table("mode,ranks,wall_s,nodes\nweak,1,9,1\nweak,2,9,1\nweak,4,9,1\n");
    samples[2].oversubscribed = true;
    let text = report_of(samples).series[0].sentences.join("\n");
    assert!(text.contains("Recommended job size: 2 ranks"), "{text}");
}

/// Amdahl with noise: no peak is told, because none is shown.
#[test]
fn a_peak_is_told_only_where_the_data_show_one() {
    let rows = [1_u32, 2, 4, 8, 16, 32, 64].map(|p| {
        let time = 100.0
            * (0.02 + 0.98 / f64::from(p))
            * (1.0 + 0.02 * (f64::from(p * 7 % 5) - 2.0) / 2.0);
        (u64::from(p), time)
    });
    let text = report_of(strong(&rows)).series[0].sentences.join("\n");
    assert!(text.contains("No peak is shown"), "{text}");
    let rows = [1_u32, 2, 4, 8, 16, 32, 64, 128]
        .map(|p| (u64::from(p), 100.0 / f64::from(p) + 0.05 * f64::from(p)));
    let text = report_of(strong(&rows)).series[0].sentences.join("\n");
    assert!(text.contains("throughput peaks near"), "{text}");
}

/// Two ranks that write at the same time lose that time once.
#[test]
fn files_written_side_by_side_count_once() {
    let sample = record(4.0, &[2.0, 2.0], &[1.0, 1.0], &json!({}));
    let report = report_of(vec![sample]);
    let row = &report.series[0].rows[0];
    assert!((row.io_efficiency.unwrap() - 0.75).abs() < 1e-12, "{row:?}");
}

fn rates(values: &[(u64, f64)]) -> Report {
    let rows: Vec<String> = values.iter().map(|(p, x)| format!("strong,{p},{x}")).collect();
    report_of(table(&format!("mode,ranks,throughput\n{}", rows.join("\n"))))
}

/// The published fits of throughputs (T6, T7) come out of a table, peak and boundary included.
#[test]
fn published_throughputs_give_the_published_law() {
    let sdm = rates(&[
        (1, 64.9),
        (18, 995.9),
        (36, 1652.4),
        (72, 1853.2),
        (108, 1828.9),
        (144, 1775.0),
        (216, 1702.2),
    ]);
    let usl = sdm.series[0].models.usl.clone().unwrap();
    let got = [usl.alpha, usl.beta, usl.gamma, usl.peak_ranks.unwrap(), usl.roof.unwrap()];
    // With half a unit of the last digit that was published.
    let published = [
        (0.027_728_5, 5e-8),
        (1.044e-4, 5e-8),
        (89.9952, 5e-5),
        (96.519_56, 5e-6),
        (3245.589, 5e-4),
    ];
    for (got, (published, half)) in got.iter().zip(published) {
        assert!((got - published).abs() <= 1.2 * half, "{got} {published}");
    }
    let ray = rates(&[
        (1, 20.0),
        (4, 78.0),
        (8, 130.0),
        (12, 170.0),
        (16, 190.0),
        (20, 200.0),
        (24, 210.0),
        (28, 230.0),
        (32, 260.0),
        (48, 280.0),
        (64, 310.0),
    ]);
    let usl = ray.series[0].models.usl.clone().unwrap();
    assert!((usl.alpha / 0.057_771 - 1.0).abs() < 1e-4, "{usl:?}");
    assert!((usl.gamma / 21.848_843 - 1.0).abs() < 1e-4, "{usl:?}");
    assert_eq!((usl.beta.to_bits(), usl.peak_ranks), (0, None), "{usl:?}");
}
