#!/bin/bash
# What only this site knows, in one place for all scripts of this directory: copy this to slurm/site.sh,
# which git does not track (so records do not call the program changed), and fill it in. Each script
# sources it, if it is there, before anything else; it may leave variables unset that others have set.

# Modules that dcomp was built with.
#   module load gcc openmpi hdf5
# Or Spack:
#   . ~/spack/share/spack/setup-env.sh && spack load openmpi hdf5

# The plugin by which srun speaks to MPI: pmix (the default here) for Open MPI, pmi2 or cray_shasta for
# the MPICH family; `srun --mpi=list` shows what the site has.
#   export SLURM_MPI_TYPE=pmi2

# Debian's and Ubuntu's Open MPI forbid the component that shares the work counter over plain TCP; each node
# then has a fixed share of a picture. To let nodes help each other there too:
#   export OMPI_MCA_osc=^ucx

# Slurm 22.05's default way for ranks to wait for each other in MPI_Init lets some leave early under load
# (segmentation faults at the start); where that is seen:
#   export SLURM_PMIX_FENCE=ring

# Where dcomp lies, when it is not $home/target/release/dcomp.
#   export DCOMP=$HOME/bin/dcomp

# Account and partition are needed before a job starts, so they belong to the shell that submits:
#   export SBATCH_ACCOUNT=... SBATCH_PARTITION=...
