//! The words that start ranks. Pure; what the surroundings are is found out by the runner.

use super::super::expand::{self, Values};
use super::points::Point;

/// How ranks are started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Launcher {
    /// Inside an allocation of Slurm.
    Srun {
        /// The MPI plugin, unless the site's default (`SLURM_MPI_TYPE`) is to be taken.
        mpi: Option<String>,
    },
    /// Open MPI's or another `mpirun`.
    Mpirun {
        /// Whether it takes Open MPI's options.
        open_mpi: bool,
        /// CPUs of this machine.
        cpus: u64,
    },
    /// The user's own words; a single `none` starts the program plainly.
    Own(Vec<String>),
}

impl Launcher {
    /// Its name, for messages and records.
    pub fn name(&self) -> &str {
        match self {
            Self::Srun { .. } => "srun",
            Self::Mpirun { .. } => "mpirun",
            Self::Own(words) => words.first().map_or("none", String::as_str),
        }
    }

    /// The words in front of a program.
    pub fn words(&self, point: &Point, values: &Values) -> Vec<String> {
        match self {
            // Steps run one after the other, each on just what it needs: --exact. -K1 ends all
            // ranks with the first that fails. pmix is what Open MPI understands.
            Self::Srun { mpi } => {
                let mut words = vec![
                    "srun".to_owned(),
                    "--exact".into(),
                    "--kill-on-bad-exit=1".into(),
                    format!("--nodes={}", point.nodes()),
                    format!("--ntasks={}", point.ranks),
                    format!("--cpus-per-task={}", point.threads),
                ];
                words.extend(mpi.iter().map(|mpi| format!("--mpi={mpi}")));
                if point.ranks.is_multiple_of(point.nodes()) {
                    words.push(format!("--ntasks-per-node={}", point.ranks / point.nodes()));
                }
                words
            }
            Self::Mpirun { open_mpi, cpus } => {
                let mut words = vec!["mpirun".to_owned(), "-n".into(), point.ranks.to_string()];
                // Open MPI binds two ranks to a core each, more to a socket: threads need room.
                if *open_mpi && point.threads > 1 {
                    if point.cores() <= *cpus {
                        words.extend(["--map-by".into(), format!("slot:PE={}", point.threads)]);
                    } else {
                        words.extend(["--bind-to".into(), "none".into()]);
                    }
                }
                words
            }
            Self::Own(words) if words.len() == 1 && words[0] == "none" => Vec::new(),
            Self::Own(words) => words
                .iter()
                .map(|word| expand::word(word, values).unwrap_or_else(|_| word.clone()))
                .collect(),
        }
    }
}
