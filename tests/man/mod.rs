//! Manual pages and completions: each subcommand has one, each option is in it, and programs read them.

mod pages;

use std::path::Path;

use clap::Command;

use crate::util::Dir;
use pages::{below, definition, title, write};

/// Every command with its page.
fn all(command: &Command) -> Vec<&Command> {
    let mut found = vec![command];
    found.extend(below(command).flat_map(all));
    found
}

fn options(command: &Command) -> impl Iterator<Item = &str> {
    command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set())
        .filter_map(clap::Arg::get_long)
}

#[test]
fn every_option_of_every_command_is_in_its_page() {
    let dir = Dir::new("man");
    let mut names = write(&dir.path("")).unwrap();
    let definition = definition();
    let commands = all(&definition);
    assert!(commands.len() > 12, "{} commands", commands.len());
    let mut expected: Vec<String> =
        commands.iter().map(|command| format!("{}.1", title(command))).collect();
    names.sort();
    expected.sort();
    assert_eq!(names, expected);
    assert!(names.contains(&"dcomp-generate-numbers.1".into()));
    for command in commands {
        let name = title(command);
        let page = String::from_utf8(dir.read(&format!("man/{name}.1"))).unwrap();
        let plain = page.replace("\\-", "-");
        for option in options(command) {
            assert!(plain.contains(&format!("--{option}\\fR")), "--{option} in {name}.1");
        }
        for section in ["NAME", "SYNOPSIS", "\"EXIT STATUS\"", "ENVIRONMENT"] {
            assert!(page.contains(&format!(".SH {section}\n")), "{section} in {name}.1");
        }
        reads(&dir, &format!("man/{name}.1"));
    }
}

/// groff takes the page without a warning, where it is installed, and shows its sections.
fn reads(dir: &Dir, page: &str) {
    if !Path::new("/usr/bin/groff").exists() {
        eprintln!("{page}: no groff here to read it");
        return;
    }
    let shown = dir.program("groff", &["-man", "-ww", "-Tutf8", "-Kutf8", "-z", page]).ok();
    assert_eq!(shown.stderr, "", "{page}");
}

#[test]
fn every_option_is_completed_in_every_shell() {
    let dir = Dir::new("completions");
    write(&dir.path("")).unwrap();
    let definition = definition();
    let all_options: Vec<&str> = all(&definition).into_iter().flat_map(options).collect();
    assert!(all_options.len() > 100);
    for (file, written) in [("dcomp.bash", "--"), ("_dcomp", "--"), ("dcomp.fish", "-l ")] {
        let text = String::from_utf8(dir.read(&format!("completions/{file}"))).unwrap();
        for option in &all_options {
            assert!(text.contains(&format!("{written}{option}")), "--{option} in {file}");
        }
    }
    // The shell itself: what follows `dcomp mandelbrot --hang`.
    let script = "source completions/dcomp.bash; COMP_WORDS=(dcomp mandelbrot --hang); COMP_CWORD=2; \
                  _dcomp dcomp --hang mandelbrot; printf '%s\\n' \"${COMPREPLY[@]}\"";
    let told = dir.program("bash", &["-c", script]).ok().stdout;
    assert_eq!(told.trim(), "--hang-timeout");
}
