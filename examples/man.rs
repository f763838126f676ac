//! Writes manual pages and completions to the directory that is named: `make man`.
#![expect(clippy::print_stdout, reason = "the closing line of a tool")]

#[path = "../tests/man/pages.rs"]
mod pages;

use std::path::PathBuf;

fn main() -> std::io::Result<()> {
    let directory = PathBuf::from(std::env::args_os().nth(1).unwrap_or_else(|| "target".into()));
    let names = pages::write(&directory)?;
    let place = directory.display();
    println!("{} pages in {place}/man, completions in {place}/completions", names.len());
    Ok(())
}
