//! What can this machine do at most? Arithmetic, memory and ffmpeg's decoders: what the other benches' figures are compared with.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, ensure};
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, SamplingMode, Throughput};
use leitmotif_benches::cases::{self, PRODUCT, THREADS, TRIAD};
use leitmotif_benches::music;
use tch::{Device, Kind, Tensor};

fn main() -> anyhow::Result<()> {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("limits");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(4));
    for threads in THREADS {
        product(&mut group, threads)?;
    }
    for threads in THREADS {
        triad(&mut group, threads);
    }
    for file in music::make(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("music"))? {
        ffmpeg(&mut group, &file)?;
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}

/// libtorch's product of matrices.
fn product(group: &mut BenchmarkGroup<'_, WallTime>, threads: usize) -> anyhow::Result<()> {
    let case = cases::product(threads);
    tch::set_num_threads(i32::try_from(threads)?);
    let side = i64::try_from(PRODUCT)?;
    let a = Tensor::f_rand([side, side], (Kind::Float, Device::Cpu))?;
    let _ = a.f_matmul(&a)?;
    group.throughput(Throughput::Elements(2 * case.multiply_adds.unwrap_or(0)));
    group.bench_function(&case.name, |bencher| bencher.iter(|| a.f_matmul(&a)));
    Ok(())
}

/// STREAM's triad (McCalpin 1995), each thread on its share of the arrays.
fn triad(group: &mut BenchmarkGroup<'_, WallTime>, threads: usize) {
    let case = cases::triad(threads);
    let (mut a, b, c) = (vec![0.0f32; TRIAD], vec![1.0f32; TRIAD], vec![2.0f32; TRIAD]);
    let share = TRIAD.div_ceil(threads);
    group.throughput(Throughput::Bytes(case.bytes.unwrap_or(0)));
    group.bench_function(&case.name, |bencher| {
        bencher.iter(|| {
            std::thread::scope(|scope| {
                for ((a, b), c) in a.chunks_mut(share).zip(b.chunks(share)).zip(c.chunks(share)) {
                    scope.spawn(move || {
                        for ((a, b), c) in a.iter_mut().zip(b).zip(c) {
                            *a = b + 3.0 * c;
                        }
                    });
                }
            });
            std::hint::black_box(&mut a).len()
        })
    });
}

/// Decode, mix to mono and resample to 16 kHz on one thread, the program's start included.
fn ffmpeg(group: &mut BenchmarkGroup<'_, WallTime>, file: &Path) -> anyhow::Result<()> {
    let case = cases::ffmpeg(&file.file_name().unwrap_or_default().to_string_lossy());
    let whole = || {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-nostdin", "-loglevel", "quiet", "-threads", "1", "-i"]).arg(file);
        ffmpeg.args(["-ac", "1", "-ar", "16000", "-f", "f32le", "-"]).stdout(Stdio::null()).status()
    };
    let done = whole().context(
        "ffmpeg's decoders are a limit to compare with; `make doctor` says how to get it",
    )?;
    ensure!(done.success(), "{}: ffmpeg failed ({done})", file.display());
    group.throughput(Throughput::Elements(music::SECONDS as u64));
    group.bench_function(&case.name, |bencher| bencher.iter(whole));
    Ok(())
}
