# The README's two commands are `make run` and `make test`; both do everything from a bare Debian
# machine with Rust and make. Each target is one or two plain commands.

# Root in a container and more ranks than cores: what Open MPI wants to be told. MPICH ignores it.
export OMPI_ALLOW_RUN_AS_ROOT = 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM = 1
export OMPI_MCA_rmaps_base_oversubscribe = 1

.PHONY: run setup setup-test build test lint bench fuzz campaign man clean

run: build
	mpirun -n $$(nproc) target/release/dcomp mandelbrot --force
	@echo "The picture is $(CURDIR)/mandelbrot.png"

setup:
	@scripts/setup run

setup-test:
	@scripts/setup test

build: setup
	cargo build --release --locked

test: setup-test lint
	cargo test --release --locked

lint: setup-test
	cargo fmt --check
	cargo clippy --release --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --release --locked --no-deps --quiet
	cargo deny --locked check --hide-inclusion-graph licenses bans sources
	shellcheck scripts/setup .ci/run slurm/* tests/slurm/cluster

bench: setup
	cargo bench --locked --bench kernels -- --quick
	cargo bench --locked --bench ratios
	cargo bench --locked --bench parse
	cargo bench --locked --bench histogram
	cargo bench --locked --bench counter_sort
	cargo bench --locked --bench mergesort

# A minute for each parser; needs cargo-fuzz, whose compiler flags stable Rust takes only like this.
fuzz: setup
	for target in checkpoint deck grammar lines png record records select studies words; do \
	    RUSTC_BOOTSTRAP=1 cargo fuzz run $$target -- -max_total_time=60 -max_len=400 || exit 1; \
	done

# A picture of a gigapixel on 4 ranks, its memory in its record, then the tables of rehearsed
# balance.
campaign: setup-test build
	mpirun -n 4 target/release/dcomp mandelbrot -W 32768 -H 32768 -n 64 --palette viridis \
	    --output target/gigapixel.png --force
	target/release/dcomp verify target/gigapixel.png
	grep -A 4 peak_rss_bytes target/gigapixel.png.json
	cargo test --release --locked --test dcomp -- --ignored --nocapture --test-threads 1

# target/man/*.1 and target/completions/ for bash, zsh and fish.
man: setup
	cargo run --release --locked --quiet --example man -- target

clean:
	cargo clean
