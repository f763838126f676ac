//! Studies from text: what is refused, and the words that come out.

use super::launcher::Launcher;
use super::points::{Place, of};
use super::*;
use crate::deck::Source;

fn flags(text: &str) -> Layer {
    Layer { source: Source::Flag, values: text.parse().unwrap() }
}

fn study(text: &str) -> Study {
    resolve(Some((text, "s/strong.toml")), flags("")).unwrap_or_else(|error| panic!("{error}"))
}

fn error(text: &str) -> String {
    resolve(None, flags(text)).unwrap_err().message
}

#[test]
fn a_file_and_flags_make_a_study() {
    let text = "command = \"dcomp mandelbrot -n 'a b'\"\nranks = [4, 1, 2, 2]\nuntil = \"2%\"";
    let study = resolve(Some((text, "x/strong.toml")), flags("repeats = 9")).unwrap();
    assert_eq!(study.command, ["dcomp", "mandelbrot", "-n", "a b"]);
    assert_eq!((study.ranks.as_slice(), study.repeats), ([1, 2, 4].as_slice(), 9));
    assert_eq!((study.name.as_str(), study.until), ("strong", Some(0.02)));
    assert!(study.is_job() && study.times_run());
    let text = toml::to_string(&study).unwrap();
    assert_eq!(resolve(Some((&text, "other.toml")), flags("")).unwrap(), study, "{text}");
}

#[test]
fn mistakes_name_the_key_and_the_way_out() {
    let command = "command = [\"x\"]\n";
    for (text, expected) in [
        ("", "a study needs what to run: -- COMMAND..., for example -- dcomp mandelbrot"),
        (command, "a study needs the rank counts: --ranks 1,2,4"),
        ("command = []\nranks = \"1\"", "--command: it is empty"),
        ("command = \"x\"\nranks = \"1,x\"", "--ranks: `1,x` is no list of rank counts"),
        ("command = \"x\"\nranks = \"0,1\"", "--ranks: give one or more rank counts"),
        ("command = \"x\"\nranks = 1\nbaseline = 2", "--baseline: 2 is none of the rank counts"),
        ("command = \"x\"\nranks = 1\nuntil = \"0%\"", "--until: give a percentage"),
        ("command = \"x\"\nranks = 1\nuntil = \"x\"", "--until: `x` is no percentage"),
        ("command = \"x\"\nranks = 1\ntimeout = \"x\"", "--timeout: `x` is no time"),
        ("command = \"x\"\nranks = 1\ntimeout = \"0s\"", "--timeout: give a time"),
        ("command = \"x\"\nranks = 1\ntiming = \"run\"", "--timing: only jobs of dcomp"),
        ("command = \"x\"\nranks = 1\nextract = \"(\"", "--extract: regex parse error"),
        ("command = \"x\"\nranks = 1\nrate = true", "--rate: a rate is read from"),
        ("command = \"x\"\nranks = 1\nrepeats = 0", "--repeats: 0; give 1 to 10000"),
        ("command = \"x {rank}\"\nranks = 1", "--command: {rank} is not known; known are {cores}"),
        ("command = \"x\"\nranks = 1\ngrow = [\"n=1*rank\"]", "--grow: `1*rank` is no growth"),
        ("command = \"x\"\nranks = 1\ngrow = [\"ranks=1\"]", "--grow: `ranks` cannot be a name"),
        ("command = \"x\"\nranks = 1\ngrow = [\"n\"]", "--grow: `n` has no ="),
        ("command = \"x\"\nranks = 1\nwork = \"x\"", "--work: `x` is no growth"),
        ("command = \"x 'y\"\nranks = 1", "--command: a quote does not end"),
        ("command = \"x\"\nranks = 1\nrepeat = 3", "--repeat is not a key"),
    ] {
        let message = error(text);
        assert!(message.starts_with(expected), "{text}: {message}");
    }
    let other = resolve(Some(("job = \"mandelbrot\"", "jobs/m.toml")), flags("")).unwrap_err();
    assert!(other.message.contains("start it with dcomp run"), "{other}");
}

#[test]
fn words_get_the_launcher_unless_they_place_their_ranks() {
    let mpirun = Launcher::Mpirun { open_mpi: true, cpus: 8 };
    let words = |text: &str, launcher: &Launcher| {
        let study = study(text);
        let point = of(&study, Place::default())[1];
        point.words(&study, launcher, "/bin/dcomp", &point.values(&study, 3, "d")).join(" ")
    };
    let ranks = "ranks = \"1,4\"\n";
    assert_eq!(
        words(&format!("{ranks}command = \"./a {{repeat}}\""), &mpirun),
        "mpirun -n 4 ./a 3"
    );
    let own = "command = \"mpiexec -n {ranks} ./a\"";
    assert_eq!(words(&format!("{ranks}{own}"), &mpirun), "mpiexec -n 4 ./a");
    let job = format!("{ranks}command = \"dcomp run x.toml\"\nthreads = 2");
    assert_eq!(
        words(&job, &mpirun),
        "mpirun -n 4 --map-by slot:PE=2 /bin/dcomp run x.toml --threads 2"
    );
    let srun = Launcher::Srun { mpi: Some("pmix".into()) };
    let nodes = format!("{job}\nranks_per_node = 2");
    assert_eq!(
        words(&nodes, &srun),
        "srun --exact --kill-on-bad-exit=1 --nodes=2 --ntasks=4 --cpus-per-task=2 --mpi=pmix \
         --ntasks-per-node=2 /bin/dcomp run x.toml --threads 2"
    );
    let none = Launcher::Own(vec!["none".into()]);
    assert_eq!(words(&format!("{ranks}command = \"./a\""), &none), "./a");
    let own = Launcher::Own(vec!["jsrun".into(), "-n{ranks}".into()]);
    assert_eq!(words(&format!("{ranks}command = \"./a\""), &own), "jsrun -n4 ./a");
}

#[test]
fn nodes_fill_up() {
    let mut study = study("ranks = \"1,3,4,7\"\ncommand = \"x\"\nthreads = 2");
    let nodes = |study: &Study, place| -> Vec<(u64, u64)> {
        of(study, place).iter().map(|point| (point.nodes(), point.ranks_per_node)).collect()
    };
    assert_eq!(nodes(&study, Place::default()), [(1, 1), (1, 3), (1, 4), (1, 7)]);
    let place = Place { cpus_per_node: Some(6) };
    assert_eq!(nodes(&study, place), [(1, 1), (1, 3), (2, 3), (3, 3)]);
    study.ranks_per_node = Some(4);
    assert_eq!(nodes(&study, place), [(1, 1), (1, 3), (1, 4), (2, 4)]);
}

#[test]
fn weak_series_grow_their_names() {
    let study = study(
        "ranks = \"1,4\"\nmode = \"weak\"\ncommand = \"dcomp mandelbrot -W {w}\"\n\
         work = \"10*ranks\"\n[grow]\nw = \"100*sqrt(ranks)\"",
    );
    let points = of(&study, Place::default());
    let launcher = Launcher::Own(vec!["none".into()]);
    let words = |at: usize| {
        let values = points[at].values(&study, 1, "d");
        points[at].words(&study, &launcher, "dcomp", &values).join(" ")
    };
    assert_eq!(
        (words(0).as_str(), words(1).as_str()),
        ("dcomp mandelbrot -W 100", "dcomp mandelbrot -W 200")
    );
    assert_eq!(points[1].work(&study), Some(40.0));
}
