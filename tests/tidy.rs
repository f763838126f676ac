//! Rules of the house, checked: layers, who names which library, sizes, unsafe code.

use std::path::{Path, PathBuf};

fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = Vec::new();
    let mut folders = vec![root.join("src"), root.join("tests"), root.join("benches")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension() == Some("rs".as_ref()) {
                let name = path.strip_prefix(root).unwrap().to_path_buf();
                files.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(files.len() > 40, "{} files found", files.len());
    files
}

/// The code of a file: no comments, no tests.
fn code(text: &str) -> String {
    let before_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = before_tests.lines().map(|line| line.split("//").next().unwrap());
    lines.collect::<Vec<_>>().join("\n")
}

/// Where unsafe code may stand.
const UNSAFE: &[&str] = &[
    "src/comm/",
    "src/store/",
    "src/heap.rs",
    "src/mandelbrot/kernel/",
    "src/counter_sort/grammar/mask.rs",
    "src/mergesort/digest/wide.rs",
    "src/mergesort/merge/prefetch.rs",
    "src/mergesort/vector/",
    "src/scaling/runner/child.rs",
];

/// Which words may stand only below which paths.
const ONLY_IN: [(&str, &[&str]); 6] = [
    ("mpi::", &["src/comm/"]),
    ("hdf5::", &["src/store/hdf5"]),
    ("unsafe", UNSAFE),
    ("println!", &["benches/"]),
    ("eprintln!", &["src/comm/abort.rs"]),
    ("process::exit", &["src/fault.rs", "src/comm/abort.rs"]),
];

#[test]
fn libraries_and_unsafe_code_stay_in_their_places() {
    for (path, text) in sources() {
        let name = path.to_str().unwrap();
        if name == "tests/tidy.rs" {
            continue;
        }
        // Our own modules of the same name are not the libraries.
        let code = code(&text)
            .replace("store::hdf5::", "")
            .replace("super::hdf5::", "")
            .replace("allow(unsafe_code)", "");
        for (word, places) in ONLY_IN {
            let allowed = places.iter().any(|place| name.starts_with(place))
                || name.starts_with("tests/")
                || name.ends_with("/tests.rs")
                || name.contains("/tests/");
            assert!(allowed || !contains_word(&code, word), "{word} in {name}");
        }
    }
}

fn contains_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        !code[..at].ends_with(|before: char| before.is_alphanumeric() || before == '_')
    })
}

/// Layers from the ground up; a file imports its own layer or lower ones.
const LAYERS: [&[&str]; 5] = [
    // Pure: no ranks, no files, no clock.
    &[
        "num",
        "error",
        "partition",
        "deck",
        "mandelbrot/kernel",
        "mandelbrot/palette",
        "mandelbrot/bands",
        "mandelbrot/pieces",
        "counter_sort/grammar",
        "counter_sort/histogram",
        "counter_sort/emit",
        "counter_sort/stats",
        "counter_sort/template",
        "generate/keys",
        "generate/numbers",
        "generate/random",
        "generate/records",
        "generate/zipf",
        "heap",
        "mergesort/buffer",
        "mergesort/digest",
        "mergesort/form",
        "mergesort/lines",
        "mergesort/merge",
        "mergesort/records",
        "mergesort/select",
        "mergesort/vector",
        "scaling/analysis",
        "scaling/compare",
        "scaling/expand",
        "scaling/export",
        "scaling/figures",
        "scaling/input",
        "scaling/models",
        "scaling/pages",
        "scaling/render",
        "scaling/report",
        "scaling/sample",
        "scaling/scripts",
        "scaling/stats",
        "scaling/study",
        "scaling/text_table",
        "units",
        "store/png",
        "store/crc",
    ],
    &["comm", "store", "measure", "threads", "fault", "context", "stop", "verify"],
    &["mandelbrot", "counter_sort", "generate", "mergesort", "scaling"],
    &["job"],
    &["cli", "start", "main", "lib"],
];

/// Exceptions, each with its reason.
const UPWARD: [(&str, &str); 10] = [
    // The name of the record's schema.
    ("src/scaling/input.rs", "measure/record"),
    // The trait that jobs implement lives above them; it names none of them.
    ("src/counter_sort/mod.rs", "job"),
    ("src/generate/items.rs", "job"),
    ("src/generate/mod.rs", "job"),
    ("src/mandelbrot/mod.rs", "job"),
    ("src/mergesort/mod.rs", "job"),
    ("src/mandelbrot/recolor.rs", "job"),
    // A job's arguments are turned into its spec beside the spec.
    ("src/mandelbrot/recolor.rs", "cli"),
    // `Computed`, what the kernel loop hands over, is plain data.
    ("src/mandelbrot/pieces.rs", "mandelbrot"),
    ("src/error.rs", "nothing"),
];

fn layer(module: &str) -> usize {
    let fits = |entry: &str| module == entry || module.starts_with(&format!("{entry}/"));
    let found = LAYERS.iter().enumerate().flat_map(|(level, entries)| {
        entries.iter().filter(|entry| fits(entry)).map(move |entry| (entry.len(), level))
    });
    found.max().unwrap_or_else(|| panic!("{module} is in no layer")).1
}

#[test]
fn imports_go_downward() {
    for (path, text) in sources() {
        let name = path.to_str().unwrap();
        let Some(module) = name.strip_prefix("src/").and_then(|name| name.strip_suffix(".rs"))
        else {
            continue;
        };
        let module = module.trim_end_matches("/mod");
        let mine = layer(module);
        for import in code(&text).split("crate::").skip(1) {
            let path: String = import
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == ':')
                .collect();
            let target = path.trim_end_matches(':').replace("::", "/");
            let theirs = layer(&target);
            let excused = UPWARD.iter().any(|(from, to)| *from == name && target.starts_with(to));
            assert!(theirs <= mine || excused, "{name} (layer {mine}) imports {target} ({theirs})");
        }
    }
}

#[test]
fn files_are_short_and_say_what_they_are() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
        assert!(text.starts_with("//!"), "{} does not say what it is", path.display());
        let wide = text.lines().position(|line| line.chars().count() > 110);
        assert!(wide.is_none(), "{}:{} is too wide", path.display(), wide.unwrap_or(0) + 1);
    }
}
