//! What this process stands on: an allocation of Slurm or a machine, and what starts ranks there.

use std::path::Path;

use super::usage;
use crate::error::Result;
use crate::measure::cpu_model;
use crate::num::to_u64;
use crate::scaling::expand;
use crate::scaling::sample::Machine;
use crate::scaling::study::Study;
use crate::scaling::study::launcher::Launcher;
use crate::scaling::study::points::{Place, Point};

/// The surroundings of a study.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// What starts ranks.
    pub launcher: Launcher,
    /// CPUs of a node that this process may use.
    pub cpus: u64,
    /// The allocation's nodes; none outside of one.
    pub nodes: Option<u64>,
}

impl Surroundings {
    /// Looks at the environment and at what is on `PATH`.
    ///
    /// # Errors
    /// When nothing that starts ranks is there and the study needs it.
    pub fn find(study: &Study) -> Result<Self> {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
        let here = std::thread::available_parallelism().map_or(1, usize::from);
        let allocation = number("SLURM_JOB_ID").is_some() && find("srun");
        let nodes = number("SLURM_JOB_NUM_NODES").or_else(|| number("SLURM_NNODES"));
        let cpus = number("SLURM_CPUS_ON_NODE").filter(|_| allocation).unwrap_or(to_u64(here));
        let nodes = if allocation { Some(nodes.unwrap_or(1)) } else { None };
        Ok(Self { launcher: launcher(study, allocation, cpus)?, cpus, nodes })
    }

    /// What decides how ranks fill nodes.
    pub fn place(&self) -> Place {
        Place { cpus_per_node: self.nodes.map(|_| self.cpus) }
    }

    /// CPUs of all nodes.
    pub fn cores(&self) -> u64 {
        self.cpus * self.nodes.unwrap_or(1)
    }

    /// Refuses what cannot start here.
    ///
    /// # Errors
    /// When a size needs more nodes than there are.
    pub fn check(&self, study: &Study, points: &[Point]) -> Result<()> {
        let most = points.iter().max_by_key(|point| point.nodes());
        match (self.nodes, most) {
            (Some(nodes), Some(point)) if point.nodes() > nodes => Err(usage(format!(
                "{} ranks need {} nodes at {} ranks a node, and this allocation has {nodes}; give fewer \
                 ranks than that or ask for more nodes",
                point.ranks,
                point.nodes(),
                point.ranks_per_node
            ))),
            (_, None) => {
                Err(usage(format!("no size of the study {} has so many nodes", study.name)))
            }
            _ => Ok(()),
        }
    }

    /// As the record of a run that tells no machine itself.
    pub fn machine(&self) -> Machine {
        let hosts = match std::env::var("SLURM_JOB_NODELIST") {
            Ok(list) if self.nodes.is_some() => vec![list],
            _ => vec![crate::comm::host_name()],
        };
        Machine { hosts, cpu_model: cpu_model(), cores: self.cores() }
    }
}

fn launcher(study: &Study, allocation: bool, cpus: u64) -> Result<Launcher> {
    if !study.launcher.is_empty() {
        return Ok(Launcher::Own(study.launcher.clone()));
    }
    let places_itself = study.command.iter().any(|word| expand::mentions(word, "ranks"));
    if places_itself && !study.is_job() {
        return Ok(Launcher::Own(vec!["none".into()]));
    }
    if allocation {
        // The site's choice comes before ours.
        let told = std::env::var_os("SLURM_MPI_TYPE").is_some();
        return Ok(Launcher::Srun { mpi: (!told).then(|| "pmix".into()) });
    }
    if !find("mpirun") {
        return Err(usage(
            "mpirun is not on PATH, so no ranks can be started; load an MPI module, or say how with \
             --launcher 'WORDS -n {ranks}' (--launcher none for a program without ranks)",
        ));
    }
    let version = std::process::Command::new("mpirun").arg("--version").output();
    let open_mpi =
        version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("Open MPI"));
    Ok(Launcher::Mpirun { open_mpi, cpus })
}

/// Whether a program is on `PATH`.
fn find(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| is_program(&directory.join(program)))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}
