//! What Open MPI is told before it starts, by environment variables, unless the user decided.
//!
//! Other MPI libraries do not read them. The price: what a user's file of parameters says about the
//! same things is overruled; the environment and `mpirun --mca` are not.
#![allow(unsafe_code)]

/// Tells it. Called once, before MPI starts.
pub(super) fn tune() {
    let variable = |name: &str| std::env::var(name).ok();
    for (name, value) in settings(variable, num_cores()) {
        // SAFETY: dcomp has started no thread before MPI, so nobody reads the environment now.
        unsafe { std::env::set_var(name, value) };
    }
}

fn settings(
    variable: impl Fn(&str) -> Option<String>,
    cores: u64,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let number = |name| variable(name)?.parse::<u64>().ok();
    let here = number("OMPI_COMM_WORLD_LOCAL_SIZE");
    let alone = here.is_some() && here == number("OMPI_COMM_WORLD_SIZE");
    // It polls at full speed while waiting. With more ranks than cores a waiting rank would take
    // the core from the rank it waits for, so it is told to yield.
    let crowded = here.is_some_and(|ranks| ranks > cores);
    // The layer for networks that match messages themselves takes 0.2 s to find that it has none,
    // more than all the rest of MPI_Init; ranks of one machine need no network.
    let settings = [
        (crowded, "OMPI_MCA_mpi_yield_when_idle", "1"),
        // An exchange of all with all goes pair by pair, each pair a handshake for which both must have
        // had their turn; ranks that share cores get through it faster with all pairs at once.
        (crowded, "OMPI_MCA_coll_tuned_use_dynamic_rules", "1"),
        (crowded, "OMPI_MCA_coll_tuned_alltoallv_algorithm", "1"),
        (alone, "OMPI_MCA_pml", "^cm"),
    ];
    settings
        .into_iter()
        .filter(move |(wanted, name, _)| *wanted && variable(name).is_none())
        .map(|(_, name, value)| (name, value))
}

/// Cores of this machine that any process may use; a rank's own mask may be one core.
pub(super) fn num_cores() -> u64 {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cores = text.lines().filter(|line| line.starts_with("processor")).count();
    crate::num::to_u64(cores.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(variables: &[(&str, &str)], cores: u64) -> Vec<(&'static str, &'static str)> {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        settings(|name| Some(find(name)?.1.to_owned()), cores).collect()
    }

    #[test]
    fn only_what_fits_and_the_user_did_not_decide() {
        const HERE: &str = "OMPI_COMM_WORLD_LOCAL_SIZE";
        const ALL: &str = "OMPI_COMM_WORLD_SIZE";
        let (yields, plain) = (("OMPI_MCA_mpi_yield_when_idle", "1"), ("OMPI_MCA_pml", "^cm"));
        let rules = ("OMPI_MCA_coll_tuned_use_dynamic_rules", "1");
        let linear = ("OMPI_MCA_coll_tuned_alltoallv_algorithm", "1");
        assert_eq!(told(&[], 2), []);
        assert_eq!(told(&[("PMI_SIZE", "4")], 2), []);
        assert_eq!(told(&[(HERE, "2"), (ALL, "2")], 2), [plain]);
        assert_eq!(told(&[(HERE, "3"), (ALL, "3")], 2), [yields, rules, linear, plain]);
        // Several machines: the network may be what is missing here.
        assert_eq!(told(&[(HERE, "2"), (ALL, "4")], 2), []);
        assert_eq!(told(&[(HERE, "3"), (ALL, "6")], 2), [yields, rules, linear]);
        let decided = [(HERE, "3"), (ALL, "3"), ("OMPI_MCA_pml", "ucx"), (yields.0, "0")];
        assert_eq!(told(&decided, 2), [rules, linear]);
    }
}
