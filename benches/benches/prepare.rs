//! How fast does a folder of music become a data set? Tags, decoding, cutting and storing, on 1 and 2 threads.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use criterion::{BatchSize, Criterion, SamplingMode, Throughput};
use leitmotif_benches::cases::{self, THREADS};
use leitmotif_benches::music;
use leitmotif_dataset::prepare::{Options, plan, prepare};
use leitmotif_dataset::sources::tagged;

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = home.join("library");
    music::library(&library)?;
    let mut group = criterion.benchmark_group("prepare");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for threads in THREADS {
        let case = cases::prepare(threads);
        let options = Options { threads, ..Options::default() };
        let whole = |out: tempfile::TempDir| -> anyhow::Result<(tempfile::TempDir, usize)> {
            let found = tagged::find(&library, tagged::TagsPolicy::Read, &mut |_| (), &|| false)?;
            let plan = plan(found, out.path(), &options)?;
            let mut clips = 0;
            prepare(&plan, out.path(), &mut |progress| clips = progress.clips, &|| false)?;
            Ok((out, clips))
        };
        // Inside the timed loop an error would only look fast.
        let (_, clips) = whole(tempfile::tempdir_in(home)?)?;
        ensure!(clips == music::LIBRARY_CLIPS, "{clips} clips instead of {}", music::LIBRARY_CLIPS);
        group.throughput(Throughput::Elements(clips as u64));
        group.bench_function(&case.name, |bencher| {
            bencher.iter_batched(
                || tempfile::tempdir_in(home),
                |out| whole(out?),
                BatchSize::PerIteration,
            )
        });
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
