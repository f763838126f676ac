//! Manual pages and completions from the definition of the command line: one page for the program and one
//! for each subcommand.
//!
//! They are made by an example and by a test, so that the program itself carries none of it.

use std::fs::File;
use std::io::{Result, Write};
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use dcomp::cli::Cli;

/// What every page ends with: the contract on exit codes, the variables that count for every job.
const SECTIONS: &str = r#".SH "EXIT STATUS"
The same on all ranks. A launcher may change it; the run record says it too.
.TP
\fB0\fR
Done and verified.
.TP
\fB1\fR
The run's own check found a wrong result.
.TP
\fB2\fR
A flag, a deck or the way of starting is wrong; nothing was computed.
.TP
\fB65\fR
The input data break the rules of their format.
.TP
\fB70\fR
A bug in dcomp.
.TP
\fB74\fR
The operating system refused a read, a write or a file; or a rank or the launcher was lost.
.TP
\fB75\fR
Stopped early; the same again goes on.
.SH ENVIRONMENT
.TP
\fBDCOMP_\fIKEY\fR
Any key of the job's deck, such as \fBDCOMP_MAX_ITERATIONS\fR or \fBDCOMP_HANG_TIMEOUT\fR. Flags win over
variables, variables over the deck, the deck over defaults; \fB\-\-dry\-run\fR shows which one counts.
.TP
\fBSLURM_CPUS_PER_TASK\fR
Threads per rank, when \fB\-\-threads\fR does not say.
.TP
\fBOMPI_COMM_WORLD_SIZE\fR, \fBPMI_SIZE\fR, \fBPMIX_RANK\fR, \fBSLURM_STEPID\fR
Set by launchers: whether this process is one of many ranks. Without them MPI is not started.
.TP
\fBHDF5_USE_FILE_LOCKING\fR
Set to FALSE unless it is set: dcomp locks its files itself.
"#;

/// A page for this command and each below it; the names of the files.
fn pages(directory: &Path, command: &Command, names: &mut Vec<String>) -> Result<()> {
    let name = format!("{}.1", title(command));
    let mut page = Vec::new();
    // The help's last words are the exit codes, which have a section here.
    let man = Man::new(command.clone().after_help("")).source("dcomp").manual("dcomp");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    let below: Vec<&Command> = below(command).collect();
    if !below.is_empty() {
        man.render_subcommands_section(&mut page)?;
    }
    page.write_all(SECTIONS.as_bytes())?;
    File::create(directory.join(&name))?.write_all(&page)?;
    names.push(name);
    below.into_iter().try_for_each(|command| pages(directory, command, names))
}

/// What a command's page is called: the words that start it, joined.
pub fn title(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The subcommands, `help` aside.
pub fn below(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|command| command.get_name() != "help")
}

/// The program's command line, names of subcommands filled in.
pub fn definition() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

/// Makes all of it in a directory: `man/*.1` and `completions/`. The names of the pages.
pub fn write(directory: &Path) -> Result<Vec<String>> {
    let (man, completions) = (directory.join("man"), directory.join("completions"));
    std::fs::create_dir_all(&man)?;
    std::fs::create_dir_all(&completions)?;
    let mut names = Vec::new();
    pages(&man, &definition(), &mut names)?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut Cli::command(), "dcomp", &completions)?;
    }
    Ok(names)
}
