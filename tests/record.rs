//! The run record: every field of schema `dcomp-run/1`, and the verdict that it carries.

use serde_json::Value;

use crate::util::Dir;

/// Every field of the contract, as JSON pointers.
const FIELDS: [&str; 52] = [
    "/schema",
    "/job",
    "/outcome",
    "/exit_code",
    "/message",
    "/spec",
    "/input",
    "/seed",
    "/result",
    "/result/width",
    "/result/height",
    "/result/max_iterations",
    "/result/iterations_total",
    "/result/interior_pixels",
    "/outputs/0/path",
    "/outputs/0/bytes",
    "/outputs/0/crc64",
    "/program/version",
    "/program/git",
    "/program/dirty",
    "/program/rustc",
    "/mpi/library",
    "/mpi/standard",
    "/command",
    "/started",
    "/ended",
    "/ranks",
    "/nodes",
    "/threads_per_rank",
    "/cores",
    "/oversubscribed",
    "/hosts/0/name",
    "/hosts/0/ranks",
    "/hosts/0/cpu_model",
    "/wall_s",
    "/phases/0/name",
    "/phases/0/min_s",
    "/phases/0/mean_s",
    "/phases/0/max_s",
    "/per_rank/useful_s",
    "/per_rank/mpi_s",
    "/per_rank/io_s",
    "/comm/messages",
    "/comm/bytes_sent",
    "/comm/bytes_needed",
    "/io/bytes_read",
    "/io/bytes_written",
    "/io/bytes_needed",
    "/io/files_opened",
    "/peak_rss_bytes/min",
    "/peak_rss_bytes/mean",
    "/peak_rss_bytes/max",
];

#[test]
fn every_field_is_there() {
    let dir = Dir::new("record");
    for ranks in [None, Some(3)] {
        dir.dcomp(&["mandelbrot", "--force", "--hdf5", "raw.h5"]).ranks_or_alone(ranks).ok();
        let record = dir.json("mandelbrot.png.json");
        for field in FIELDS {
            assert!(record.pointer(field).is_some(), "{field} in {record:#}");
        }
        for field in ["load_balance", "communication", "parallel"] {
            let share = record["efficiency"][field].as_f64().unwrap();
            assert!(share > 0.0 && share <= 1.0 + 1e-9, "{field} {share}");
        }
        let names: Vec<&str> = record["phases"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["setup", "plan", "compute", "exchange", "verify", "write"]);
        let count = u64::from(ranks.unwrap_or(1));
        assert_eq!(record["ranks"], count);
        assert_eq!(record["per_rank"]["useful_s"].as_array().unwrap().len() as u64, count);
        assert_eq!(record["schema"], "dcomp-run/1");
        assert_eq!((&record["outcome"], &record["exit_code"]), (&"ok".into(), &0.into()));
        // Bytes on disk are the files' sizes, written once and read back once.
        let written: u64 = record["outputs"]
            .as_array()
            .unwrap()
            .iter()
            .map(|output| {
                let path = output["path"].as_str().unwrap();
                assert_eq!(output["bytes"], dir.read(path).len());
                output["bytes"].as_u64().unwrap()
            })
            .sum();
        let header = written - record["outputs"][0]["bytes"].as_u64().unwrap();
        assert_eq!(record["io"]["bytes_needed"], 2 * written);
        assert!(record["io"]["bytes_written"].as_u64().unwrap() <= written);
        assert!(record["io"]["bytes_written"].as_u64().unwrap() + header > written);
    }
}

/// `crc64` is CRC-64/NVME of the file: a bit-by-bit implementation of the published parameters.
#[test]
fn checksums_are_those_of_the_files() {
    let dir = Dir::new("crc");
    dir.dcomp(&["mandelbrot"]).ranks(2).ok();
    let mut crc = !0_u64;
    for byte in dir.read("mandelbrot.png") {
        crc ^= u64::from(byte);
        for _ in 0..8 {
            // Reflected polynomial 0xAD93D23594C93659.
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0x9A6C_9329_AC4B_C9B5 } else { crc >> 1 };
        }
    }
    let record = dir.json("mandelbrot.png.json");
    assert_eq!(record["outputs"][0]["crc64"], format!("{:016x}", !crc));
}

/// The half before `program` does not know how the run was carried out.
#[test]
fn the_deterministic_half_is_the_same_for_every_rank_count() {
    let dir = Dir::new("deterministic");
    let half = |ranks| {
        dir.dcomp(&["mandelbrot", "--force"]).ranks_or_alone(ranks).ok();
        let text = String::from_utf8(dir.read("mandelbrot.png.json")).unwrap();
        text.split("\"program\"").next().unwrap().to_owned()
    };
    let alone = half(None);
    assert!(alone.contains("\"outputs\"") && alone.len() > 500, "{alone}");
    for ranks in [1, 2, 5] {
        assert_eq!(alone, half(Some(ranks)));
    }
}

#[test]
fn verify_finds_any_change() {
    let dir = Dir::new("verify");
    dir.dcomp(&["mandelbrot", "-W", "64", "-H", "48", "--hdf5", "raw.h5"]).ok();
    dir.dcomp(&["verify", "mandelbrot.png"]).ok();
    dir.dcomp(&["verify", "raw.h5", "--record", "mandelbrot.png.json"]).ok();
    let whole = dir.read("mandelbrot.png");
    for at in [0, whole.len() / 2, whole.len() - 1] {
        let mut spoiled = whole.clone();
        spoiled[at] ^= 1 << (at % 8);
        std::fs::write(dir.path("mandelbrot.png"), spoiled).unwrap();
        dir.dcomp(&["verify", "mandelbrot.png"]).fails(1).says("was changed after the run");
    }
    let told = dir.dcomp(&["verify", "raw.h5"]).ok().stdout;
    assert!(told.contains("no record"), "{told}");
    dir.write("raw.h5.json", "{}");
    dir.dcomp(&["verify", "raw.h5"]).fails(65).says("dcomp-run/1");
}

#[test]
fn a_failed_run_leaves_its_record_where_no_output_was() {
    let dir = Dir::new("failed");
    dir.dcomp(&["mandelbrot"]).ranks(2).env("DCOMP_FAULT", "io:1:write").fails(74);
    assert_eq!(dir.names(), ["mandelbrot.png.json"]);
    let record: Value = dir.json("mandelbrot.png.json");
    assert_eq!(record["outcome"], "io");
    // Nothing stands in the way of the next try.
    dir.dcomp(&["mandelbrot"]).ok();
    assert_eq!(dir.json("mandelbrot.png.json")["outcome"], "ok");
}
