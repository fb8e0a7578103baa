//! How fast is a file heard? Decode, mix to mono and resample to 16 kHz, three minutes in each format.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use leitmotif::audio::{Resampler, read_all};
use leitmotif_models::SampleRate;

fn ears(criterion: &mut Criterion) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("music");
    let files = match leitmotif_benches::music::make(&folder) {
        Ok(files) => files,
        Err(error) => {
            eprintln!("{error:#}");
            std::process::exit(1);
        }
    };
    let mut group = criterion.benchmark_group("hear three minutes");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Elements(180));
    for file in files {
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(read_all(&file, SampleRate::NETWORK).map(|(s, _)| s.len())))
        });
    }
    group.finish();

    let mut group = criterion.benchmark_group("resample three minutes to 16 kHz");
    group.sample_size(10).measurement_time(Duration::from_secs(5));
    group.throughput(Throughput::Elements(180));
    for rate in [44_100, 48_000, 22_050, 96_000] {
        let samples: Vec<f32> = (0..180 * rate).map(|n| (n as f32 * 0.05).sin()).collect();
        group.bench_function(rate.to_string(), |bencher| {
            bencher.iter(|| {
                let mut out = Vec::with_capacity(180 * 16_000);
                if let Ok(mut resampler) = Resampler::new(SampleRate(rate), SampleRate::NETWORK) {
                    for block in samples.chunks(1152) {
                        resampler.push(block, &mut out);
                    }
                    resampler.finish(&mut out);
                }
                black_box(out.len())
            })
        });
    }
    group.finish();
}

criterion_group!(benches, ears);
criterion_main!(benches);
