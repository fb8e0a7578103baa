//! How fast is a recording recognised? One segment, one clip, one song through each graph of model 1, on 1 and 2 CPU threads.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use criterion::{Criterion, SamplingMode, Throughput};
use leitmotif::audio::read_all;
use leitmotif::{Device, Recognizer, SessionOptions};
use leitmotif_benches::cases::{self, HEADS, Length, SERVED, THREADS};
use leitmotif_benches::{fresh, music, unless_failed};
use leitmotif_models::{Network, SampleRate};

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let files = music::make(&folder.join("music"))?;
    let song = files.iter().find(|file| file.ends_with("flac.flac")).context("no song")?;
    let (mut song, _) = read_all(song, SampleRate::NETWORK)?;
    // The file that ffmpeg loops ends some samples early.
    song.resize(music::SECONDS * 16_000, 0.0);
    let mut group = criterion.benchmark_group("serve");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for head in HEADS {
        let network = Network::preset(SERVED)?.with_head(head);
        for (kind, path) in fresh::graphs(&folder.join("models"), &network)? {
            for threads in THREADS {
                let options = SessionOptions::on(Device::Cpu).with_threads(threads);
                let recognizer = Recognizer::open_with(&path, &options)?;
                for length in Length::ALL {
                    let case = cases::serve(&network, kind, length, threads);
                    let samples = song.get(..length.samples(&network)).context("a short song")?;
                    group
                        .throughput(Throughput::Elements(case.music_seconds.unwrap_or(0.0) as u64));
                    let mut done = Ok(());
                    group.bench_function(&case.name, |bencher| {
                        bencher.iter(|| {
                            unless_failed(&mut done, || recognizer.recognize_samples(samples))
                        })
                    });
                    done?;
                }
            }
        }
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}
