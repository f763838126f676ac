//! Tells the program its own revision and compiler, for the run record.

use std::process::Command;

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let version = output(&rustc, &["--version"]).unwrap_or_else(|| "unknown".into());
    let git = output("git", &["rev-parse", "--short=12", "HEAD"]);
    let changes = output("git", &["status", "--porcelain", "--untracked-files=no"]);
    println!("cargo::rustc-env=DCOMP_BUILD_RUSTC={version}");
    println!("cargo::rustc-env=DCOMP_BUILD_GIT={}", git.unwrap_or_else(|| "unknown".into()));
    println!(
        "cargo::rustc-env=DCOMP_BUILD_DIRTY={}",
        changes.is_some_and(|changes| !changes.is_empty())
    );
    // A commit moves the log of HEAD; a change of the code changes what is compiled.
    for path in [".git/logs/HEAD", "src", "jobs", "Cargo.toml", "build.rs"] {
        println!("cargo::rerun-if-changed={path}");
    }
}
