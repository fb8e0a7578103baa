//! Writes a data set of synthetic clips as large as the real one, to measure the speed of training with the disk included.
//!
//! Each artist has its own tone in noise, so that the loss can fall; how fast it falls says nothing about music. With
//! `--within` writing ends early, and the data set is what has been written by then.

use std::f64::consts::TAU;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::ensure;
use clap::Parser;
use leitmotif_dataset::store::{ClipRow, Dataset, DatasetInfo, DatasetWriter, Part, write_split};
use leitmotif_models::{GoldenInput, SampleRate};
use serde_json::json;

#[derive(Parser)]
struct Arguments {
    /// Folder of the data set
    folder: PathBuf,
    /// Clips to write; 24,847 as the paper
    #[arg(long, default_value_t = 24_847)]
    clips: usize,
    /// Artists, in turn; 222 as the paper
    #[arg(long, default_value_t = 222)]
    artists: usize,
    /// Samples of a clip; 465,984 as MagnaTagATune's
    #[arg(long, default_value_t = 465_984)]
    samples: usize,
    /// Stop writing after so many seconds, once every artist has a song in the training part
    #[arg(long)]
    within: Option<f64>,
}

/// Clips of a song: the store syncs to disk after every song, and a song for each clip would take longer than the clips.
const CLIPS_PER_SONG: usize = 8;
/// Songs of the test part.
const TEST_SONGS: usize = 2;
/// Name of the split.
const SPLIT: &str = "song-seed1";

fn main() -> anyhow::Result<()> {
    let Arguments { folder, clips, artists, samples, within } = Arguments::parse();
    ensure!(artists >= TEST_SONGS, "--artists: at least {TEST_SONGS}");
    let least = artists + TEST_SONGS;
    ensure!(clips >= least * CLIPS_PER_SONG, "--clips: at least {}", least * CLIPS_PER_SONG);
    let began = Instant::now();
    let info = DatasetInfo {
        name: "synthetic clips".to_owned(),
        licence: "CC0-1.0".to_owned(),
        clip_samples: samples,
        ..DatasetInfo::default()
    };
    let mut writer = DatasetWriter::create_or_resume(&folder, info)?;
    // Every clip is another stretch of this noise: generating new samples would take longer than writing them.
    let noise = GoldenInput { seed: 1, samples: 2 * samples }.samples();
    let tones: Vec<Vec<f32>> = (0..artists).map(|artist| tone(artist, artists, samples)).collect();
    let is_late = || within.is_some_and(|most| began.elapsed().as_secs_f64() > most);
    for (song, first) in (0..clips).step_by(CLIPS_PER_SONG).enumerate() {
        if song >= least && is_late() {
            break;
        }
        let artist = song % artists;
        let numbers = first..clips.min(first + CLIPS_PER_SONG);
        let mut rows = Vec::new();
        let mut sound = Vec::with_capacity(numbers.len() * samples);
        for clip in numbers {
            rows.push(row(clip, song, artist, samples));
            let start = clip.wrapping_mul(7919) % samples;
            let tone = tones.get(artist).into_iter().flatten();
            sound.extend(noise.iter().skip(start).zip(tone).map(|(noise, tone)| noise + tone));
        }
        writer.append_song(&rows, &sound)?;
    }
    writer.finish()?;
    let dataset = Dataset::open(&folder)?;
    // The first songs: their artists have later songs too, so the training part has every artist.
    let part = |clip| if clip < TEST_SONGS * CLIPS_PER_SONG { Part::Test } else { Part::Train };
    let parts: Vec<_> = (0..dataset.clips().len()).map(|clip| Some(part(clip))).collect();
    write_split(&folder, SPLIT, dataset.clips(), &parts)?;
    let (written, seconds) = (dataset.clips().len(), began.elapsed().as_secs_f64());
    let bytes = 2 * written * samples;
    println!(
        "{}",
        json!({ "split": SPLIT, "clips": written, "asked": clips, "artists": artists, "samples": samples,
            "bytes": bytes, "seconds": seconds })
    );
    Ok(())
}

fn row(clip: usize, song: usize, artist: usize, samples: usize) -> ClipRow {
    ClipRow {
        clip: format!("clip{clip:06}"),
        song: format!("song{song:05}"),
        artist: format!("artist{artist:04}"),
        samples: samples as u64,
        ..ClipRow::default()
    }
}

/// A quiet sine; the artists' frequencies spread evenly over four octaves from 110 Hz.
fn tone(artist: usize, artists: usize, samples: usize) -> Vec<f32> {
    let hertz = 110.0 * (4.0 * artist as f64 / artists as f64).exp2();
    let step = TAU * hertz / f64::from(SampleRate::NETWORK.0);
    (0..samples).map(|i| (0.1 * (step * i as f64).sin()) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_has_the_frequency_of_its_artist() {
        let rises = |tone: &[f32]| tone.windows(2).filter(|w| w[0] < 0.0 && w[1] >= 0.0).count();
        // A second of 110 Hz, and of 440 Hz, two octaves above.
        assert_eq!(rises(&tone(0, 4, 16_000)) + 1, 110);
        assert_eq!(rises(&tone(2, 4, 16_000)) + 1, 440);
    }
}
