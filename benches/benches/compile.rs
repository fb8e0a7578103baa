//! How long does it take to compile a checkpoint? From the folder to the bytes of the graph for files.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use criterion::{Criterion, SamplingMode, Throughput};
use leitmotif_benches::cases::{self, COMPILED};
use leitmotif_benches::{fresh, unless_failed};
use leitmotif_export::{Checkpoint, ExportError, compile};
use leitmotif_models::{GraphKind, Network};

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for (preset, head) in COMPILED {
        let network = Network::preset(preset)?.with_head(head);
        let case = cases::compile(&network);
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("checkpoints").join(&case.name);
        fresh::checkpoint(&folder, &network)?;
        let kinds = GraphKind::of_head(head);
        let kind = kinds.first().copied().context("a head without graphs")?;
        let whole = || -> Result<usize, ExportError> {
            Ok(compile(&Checkpoint::open(&folder)?, kind, "fresh")?.bytes().len())
        };
        group.throughput(Throughput::Bytes(case.bytes.unwrap_or(0)));
        let mut done = Ok(());
        group
            .bench_function(&case.name, |bencher| bencher.iter(|| unless_failed(&mut done, whole)));
        done?;
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
