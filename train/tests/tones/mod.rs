//! Three artists with one note each, in noise, and a network small enough to be trained in a second.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::fs;
use std::path::Path;

use leitmotif_dataset::store::{ClipRow, Dataset, DatasetInfo, DatasetWriter, Part, write_split};
use leitmotif_models::{HeadKind, Network, Random, TimePool};
use leitmotif_train::learn::config::FitConfig;
use leitmotif_train::learn::task::Task;

/// Name of the split that [`dataset`] writes.
pub(crate) const SPLIT: &str = "song-seed1";
/// Samples of a clip: four segments of the network, and a remainder that evaluation drops.
pub(crate) const CLIP: usize = 4 * 243 + 28;

/// Writes a data set of `artists` artists with six songs of two clips each: three for training, one for validation (if
/// asked for), the others for test.
pub(crate) fn dataset(folder: &Path, artists: usize, validation: bool) {
    dataset_of(folder, artists, validation, 2);
}

/// The same with this number of clips for each song.
pub(crate) fn dataset_of(folder: &Path, artists: usize, validation: bool, clips: usize) {
    let info = DatasetInfo { name: "tones".into(), clip_samples: CLIP, ..DatasetInfo::default() };
    let mut writer = DatasetWriter::create_or_resume(folder, info).unwrap();
    for (artist, hertz) in [700.0, 1900.0, 4100.0].into_iter().enumerate().take(artists) {
        for song in 0..6 {
            let mut random = Random::derive(9, "tone", &[artist as u64, song]);
            let phase = random.uniform(0.0, 6.0);
            let samples: Vec<f32> = (0..clips * CLIP)
                .map(|t| {
                    let tone = (std::f64::consts::TAU * hertz * t as f64 / 16_000.0 + phase).sin();
                    (0.3 * tone + 0.1 * random.normal()) as f32
                })
                .collect();
            let rows: Vec<ClipRow> = (0..clips)
                .map(|clip| ClipRow {
                    clip: format!("{artist}/{song}#{clip}"),
                    song: format!("{artist}/{song}"),
                    song_group: format!("{artist}/{song}"),
                    artist: format!("Artist, \"{artist}\" 🎷"),
                    start: (clip * CLIP) as u64,
                    samples: CLIP as u64,
                    ..ClipRow::default()
                })
                .collect();
            writer.append_song(&rows, &samples).unwrap();
        }
    }
    writer.finish().unwrap();
    let dataset = Dataset::open(folder).unwrap();
    let part_of = |row: ClipRow<&str>| match row.song.split_once('/').unwrap().1 {
        "0" | "1" | "2" => Part::Train,
        "3" if validation => Part::Validation,
        "3" => Part::Train,
        _ => Part::Test,
    };
    let parts: Vec<Option<Part>> = dataset.clips().iter().map(|row| Some(part_of(row))).collect();
    write_split(folder, SPLIT, dataset.clips(), &parts).unwrap();
}

/// The data set of [`dataset`] with three artists, opened.
pub(crate) fn task(folder: &Path, validation: bool) -> Task {
    dataset(folder, 3, validation);
    Task::open(folder, SPLIT).unwrap()
}

/// The description of [`network`].
pub(crate) const TOML: &str = r#"
name = "tiny"
description = "five blocks of eight filters"
segment = 243
window = 4
head = { kind = "dense", units = 16 }
blocks = [
  { filters = 8, stride = 3 },
  { filters = 8, pool = 3 },
  { filters = 8, pool = 3 },
  { filters = 8, pool = 3 },
  { filters = 8, pool = 3 },
]
"#;

/// 243 samples down to one position, four segments a clip.
pub(crate) fn network(head: HeadKind) -> Network {
    Network::from_toml(TOML).unwrap().with_head(head)
}

/// The description of [`pooled_network`], for each pooling over time.
pub(crate) const POOLED: &str = r#"
name = "pooled"
description = "energies, two residual blocks, a convolution block and a pooling over time"
segment = 243
window = 4
pool = "POOL"
head = { kind = "dense", units = 16, dropout = 0.25 }
blocks = [
  { kind = "energy", filters = 8, kernel = 24, stride = 6, padding = 12 },
  { kind = "residual", filters = 6, squeeze = 2, pool = 3 },
  { filters = 8 },
  { kind = "residual", filters = 8, pool = 2 },
]
"#;

/// 243 samples down to six positions, which are pooled.
pub(crate) fn pooled_network(pool: TimePool, head: HeadKind) -> Network {
    Network::from_toml(&POOLED.replace("POOL", &pool.to_string())).unwrap().with_head(head)
}

pub(crate) const POOLS: [TimePool; 3] = [TimePool::Mean, TimePool::Statistics, TimePool::Attention];

/// Energies and 2-D convolutions that leave bands and positions over.
pub(crate) fn image_network(head: HeadKind) -> Network {
    const IMAGE: &str = r#"
name = "image"
description = "2-D convolutions over bands and time"
segment = 243
window = 4
pool = "statistics"
head = { kind = "dense", units = 16, dropout = 0.25 }
blocks = [
  { kind = "energy", filters = 7, kernel = 24, stride = 3, padding = 12, pool = 2 },
  { kind = "conv2d", filters = 4, pool = 2 },
  { kind = "conv2d", filters = 5, kernel = 5 },
  { kind = "conv2d", filters = 6, pool = 3 },
]
"#;
    Network::from_toml(IMAGE).unwrap().with_head(head)
}

/// Settings that train on the tones in a few epochs.
pub(crate) fn config() -> FitConfig {
    FitConfig {
        epochs: 4,
        batch: 6,
        steps_per_epoch: Some(10),
        learning_rate: 0.01,
        norm_momentum: Some(0.8),
        seed: 5,
        threads: 1,
        ..FitConfig::default()
    }
}

/// The lines of a run's history without its times, each as a file's name and content.
pub(crate) fn history(run: &Path) -> Vec<(String, Vec<u8>)> {
    let history = fs::read_to_string(run.join("history.csv")).unwrap();
    let header: Vec<&str> = history.lines().next().unwrap().split(',').collect();
    let without_times = |line: &str| {
        let columns = header.iter().zip(line.split(','));
        let columns = columns.filter(|(name, _)| !["seconds", "clips_per_second"].contains(name));
        let kept: Vec<&str> = columns.map(|(_, value)| value).collect();
        ("history.csv".to_owned(), kept.join(",").into_bytes())
    };
    history.lines().map(without_times).collect()
}

/// Copies a folder, or one file.
pub(crate) fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        copy(&from.join(&name), &to.join(&name));
    }
}
