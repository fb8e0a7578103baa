//! How long does one training step take? Every preset with both heads, two clips, on 2 CPU threads.

#[path = "../src/trainer.rs"]
mod trainer;

use std::time::Duration;

use criterion::{Criterion, SamplingMode, Throughput};
use leitmotif_benches::cases::{self, HEADS, STEP_THREADS, TRAINED};
use leitmotif_benches::unless_failed;
use leitmotif_models::Network;
use trainer::Trainer;

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    tch::set_num_threads(i32::try_from(STEP_THREADS)?);
    let mut group = criterion.benchmark_group("step");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for preset in TRAINED {
        for head in HEADS {
            let network = Network::preset(preset)?.with_head(head);
            let case = cases::step(&network);
            let mut trainer = Trainer::new(&network)?;
            group.throughput(Throughput::Elements(case.music_seconds.unwrap_or(0.0) as u64));
            let mut done = Ok(());
            group.bench_function(&case.name, |bencher| {
                bencher.iter(|| unless_failed(&mut done, || trainer.step()))
            });
            done?;
        }
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
