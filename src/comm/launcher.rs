//! Who started this process? Decided from environment variables alone, before `MPI_Init`.
//!
//! `MPI_Init` without a launcher costs half a second and aborts on many login nodes, so it is
//! called only when a launcher left its mark. The variables are those that Open MPI, MPICH,
//! PMIx, PMI and a Slurm step set. A batch script that calls dcomp without `srun` has
//! `SLURM_PROCID` but no `SLURM_STEPID`: that is no launcher.

use crate::error::{Error, Result};

/// What the environment says about the start of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Launch {
    /// No launcher: one rank, no MPI.
    Alone,
    /// A launcher started this process as `rank` of `size`, as far as its variables tell.
    Mpi {
        /// The rank according to the launcher; 0 when it does not say.
        rank: u64,
        /// The number of ranks according to the launcher, when it says.
        size: Option<u64>,
    },
}

/// Variables that hold the rank, then those that hold the world's size, most specific first.
const RANK: [&str; 4] = ["OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "MV2_COMM_WORLD_RANK"];
const SIZE: [&str; 3] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE"];

/// Reads the launcher's variables through `variable`.
///
/// # Errors
/// When `srun` started several tasks without an MPI plugin: each would believe to be alone and
/// all would write the same file.
pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Result<Launch> {
    let number = |name: &&str| variable(name).and_then(|text| text.trim().parse::<u64>().ok());
    let any = |names: &[&str]| names.iter().any(|name| variable(name).is_some());
    let step_tasks = number(&"SLURM_STEP_NUM_TASKS");
    if any(&RANK) || any(&SIZE) {
        let size = SIZE.iter().find_map(number).or(step_tasks);
        return Ok(Launch::Mpi { rank: RANK.iter().find_map(number).unwrap_or(0), size });
    }
    match (variable("SLURM_STEPID"), step_tasks) {
        (Some(_), Some(tasks)) if tasks > 1 => Err(Error::usage(format!(
            "srun started {tasks} tasks but gave them no MPI, so each would run the whole job; \
             use srun --mpi=pmix (srun --mpi=list shows what this cluster has)"
        ))),
        _ => Ok(Launch::Alone),
    }
}

/// [`detect`] on the real environment.
///
/// # Errors
/// As [`detect`].
pub fn detect_from_environment() -> Result<Launch> {
    detect(|name| std::env::var(name).ok())
}

/// How many of `size` ranks share this machine, as far as the launcher tells; all when it does not.
pub fn local_size(size: u64) -> u64 {
    let told = ["OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "SLURM_NTASKS_PER_NODE"];
    let number = |name: &&str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    told.iter().find_map(number).unwrap_or(size).clamp(1, size.max(1))
}

/// The rank this process has been told, for deciding who prints before MPI is up.
pub fn told_rank() -> u64 {
    match detect_from_environment() {
        Ok(Launch::Mpi { rank, .. }) => rank,
        Ok(Launch::Alone) => 0,
        // The tasks of a step without MPI share one refusal.
        Err(_) => {
            let task = std::env::var("SLURM_PROCID").ok();
            task.and_then(|text| text.parse().ok()).unwrap_or(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(pairs: &[(&str, &str)]) -> Result<Launch> {
        detect(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, v)| (*v).to_owned()))
    }

    #[test]
    fn nobody_and_batch_script_are_alone() {
        assert_eq!(with(&[]), Ok(Launch::Alone));
        assert_eq!(with(&[("SLURM_PROCID", "0"), ("SLURM_JOB_ID", "7")]), Ok(Launch::Alone));
        assert_eq!(
            with(&[("SLURM_STEPID", "0"), ("SLURM_STEP_NUM_TASKS", "1")]),
            Ok(Launch::Alone)
        );
    }

    #[test]
    fn launchers_are_recognised() {
        let ompi =
            [("OMPI_COMM_WORLD_SIZE", "4"), ("OMPI_COMM_WORLD_RANK", "2"), ("PMIX_RANK", "2")];
        assert_eq!(with(&ompi), Ok(Launch::Mpi { rank: 2, size: Some(4) }));
        let mpich = [("PMI_RANK", "1"), ("PMI_SIZE", "3")];
        assert_eq!(with(&mpich), Ok(Launch::Mpi { rank: 1, size: Some(3) }));
        let pmix = [("PMIX_RANK", "5"), ("SLURM_STEPID", "0"), ("SLURM_STEP_NUM_TASKS", "8")];
        assert_eq!(with(&pmix), Ok(Launch::Mpi { rank: 5, size: Some(8) }));
    }

    #[test]
    fn srun_without_mpi_is_refused() {
        let error = with(&[("SLURM_STEPID", "0"), ("SLURM_STEP_NUM_TASKS", "8")]).unwrap_err();
        assert_eq!(error.kind.exit_code(), 2);
        assert!(error.message.contains("--mpi=pmix"), "{error}");
    }
}
