//! How fast is a file decoded? Decode, mix to mono and resample to 16 kHz, three minutes in each format.

use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use leitmotif::audio::{Resampler, UnsupportedRate, read_all};
use leitmotif_benches::cases::{self, RATES};
use leitmotif_benches::{music, unless_failed};
use leitmotif_models::SampleRate;

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let files = music::make(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("music"))?;
    let seconds = music::SECONDS as u64;
    let mut group = criterion.benchmark_group("decode");
    group.sample_size(10).throughput(Throughput::Elements(seconds));
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut done = Ok(());
        group.bench_function(cases::decode(&name).name, |bencher| {
            bencher.iter(|| unless_failed(&mut done, || read_all(&file, SampleRate::NETWORK)))
        });
        done?;
    }
    group.finish();

    let mut group = criterion.benchmark_group("resample");
    group.sample_size(10).throughput(Throughput::Elements(seconds));
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    for rate in RATES {
        let samples: Vec<f32> =
            (0..music::SECONDS * rate as usize).map(|n| (n as f32 * 0.05).sin()).collect();
        let whole = || -> Result<usize, UnsupportedRate> {
            let mut out = Vec::with_capacity(music::SECONDS * 16_000);
            let mut resampler = Resampler::new(SampleRate(rate), SampleRate::NETWORK)?;
            for block in samples.chunks(1152) {
                resampler.push(block, &mut out);
            }
            resampler.finish(&mut out);
            Ok(out.len())
        };
        let mut done = Ok(());
        group.bench_function(cases::resample(rate).name, |bencher| {
            bencher.iter(|| unless_failed(&mut done, whole))
        });
        done?;
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
