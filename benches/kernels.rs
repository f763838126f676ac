//! Criterion benches of what runs per pixel: kernels, colours, PNG strips.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dcomp::mandelbrot::kernel::{Isa, Lattice, Skips, Window, iterate};
use dcomp::mandelbrot::palette::{Colorer, Palette};
use dcomp::num::to_usize;
use dcomp::store::png::{Depth, Layout};

const WIDTH: u32 = 160;
const HEIGHT: u32 = 120;

fn lattice() -> Lattice {
    Lattice {
        re0: -2.5,
        re_step: 3.5 / f64::from(WIDTH),
        im0: -1.0,
        im_step: 2.0 / f64::from(HEIGHT),
    }
}

fn counts(isa: Isa, max: u32, skips: Skips) -> Vec<u32> {
    let window = Window::whole(WIDTH, HEIGHT);
    let mut counts = vec![0; to_usize(window.len())];
    iterate(isa, window.points(lattice()), max, skips, |at, pixel| counts[at] = pixel.steps);
    counts
}

fn kernels(criterion: &mut Criterion) {
    for (limit, skips, what) in
        [(1000, Skips::NONE, "plain"), (1000, Skips::ALL, "skips"), (64, Skips::ALL, "shallow")]
    {
        let mut group = criterion.benchmark_group(format!("mandelbrot-{what}-{limit}"));
        group.throughput(Throughput::Elements(u64::from(WIDTH * HEIGHT)));
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_available()) {
            let name = isa.to_string();
            group.bench_function(name, |bencher| bencher.iter(|| counts(isa, limit, skips)));
        }
    }
}

fn pictures(criterion: &mut Criterion) {
    let counts = counts(Isa::best(), 1000, Skips::ALL);
    let fractions = vec![0.5; counts.len()];
    for depth in [Depth::Eight, Depth::Sixteen] {
        let layout = Layout::new(WIDTH, HEIGHT, depth).expect("a small picture");
        let mut pixels = vec![0; to_usize(layout.row_bytes() * u64::from(HEIGHT))];
        let mut group = criterion.benchmark_group(format!("picture-{depth:?}"));
        group.throughput(Throughput::Elements(u64::from(WIDTH * HEIGHT)));
        for palette in [Palette::Classic, Palette::Viridis] {
            let colorer = Colorer::new(palette, 1000, None);
            group.bench_function(format!("color-{palette}"), |bencher| {
                bencher.iter(|| {
                    colorer.color_row(&counts, &fractions, depth, &mut pixels);
                    black_box(pixels[0])
                });
            });
            group.bench_function(format!("strip-{palette}"), |bencher| {
                bencher.iter(|| layout.encode_strip(0, &pixels));
            });
        }
    }
}

criterion_group!(benches, kernels, pictures);
criterion_main!(benches);
