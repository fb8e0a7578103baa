//! `leitmotif enroll`: songs of new artists, written to a gallery that `recognize --gallery` answers by.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use leitmotif::audio::MusicFiles;
use leitmotif::{Gallery, GalleryError, Recognizer};
use leitmotif_models::text::{count, printable};

use crate::console::{INTERRUPTED, STOP, log, stop_on_ctrl_c, wait_if_ending};
use crate::files;
use crate::gallery::load;
use crate::model::RunOptions;

#[derive(clap::Args)]
pub(crate) struct Enroll {
    /// Songs, or folders of songs; without --artist, folders that hold a folder of songs for each artist, by the artist's
    /// name
    #[arg(required = true, value_name = "FILE|FOLDER")]
    paths: Vec<PathBuf>,
    /// The artist of all these songs
    #[arg(long, value_name = "NAME")]
    artist: Option<String>,
    /// The model, a file made by leitmotif-export
    #[arg(long, value_name = "MODEL.onnx", env = "LEITMOTIF_MODEL")]
    model: PathBuf,
    /// The gallery, made if it is not there; songs are added to those in it, and those that are in it by artist and name
    /// are skipped. It is written after the first song, every 30 seconds and at the end
    #[arg(long, value_name = "FILE")]
    gallery: PathBuf,
    #[command(flatten)]
    options: RunOptions,
}

/// How often the gallery is written: what a kill may lose.
const EVERY: Duration = Duration::from_secs(30);

/// A file to enrol.
struct Song {
    artist: String,
    /// Its path below the artist's folder, or its file name.
    name: String,
    path: PathBuf,
}

impl Enroll {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        let (songs, mut failed) = self.songs();
        files::check_writable(&self.gallery)?;
        stop_on_ctrl_c("this song")?;
        let recognizer = self.options.open(&self.model)?;
        let mut gallery = match self.gallery.try_exists() {
            Ok(false) => Gallery::new(recognizer.card()),
            _ => load(&self.gallery, &recognizer)?,
        };
        let mut written = (gallery.songs(), None);
        let mut done = 0;
        for song in songs.iter().take_while(|_| !STOP.is_cancelled()) {
            done += 1;
            // Enrolling a folder again adds what is new in it, whatever the device or graph.
            let known = gallery.artists().any(|(artist, mut songs)| {
                artist == song.artist && songs.any(|name| name == song.name)
            });
            if known {
                log(&format!("{} is enrolled already", song.path.display()));
                continue;
            }
            match enroll(song, &recognizer, &mut gallery) {
                Ok(()) if is_due(written.1, Instant::now()) => {
                    gallery.save(&self.gallery)?;
                    written = (gallery.songs(), Some(Instant::now()));
                }
                Ok(()) => {}
                Err(error) if is_again(&error, song) => {
                    log(&format!("{} is enrolled already", song.path.display()));
                }
                Err(error) => {
                    failed += 1;
                    log(&format!("{}: {error:#}", song.path.display()));
                }
            }
        }
        if gallery.songs() > written.0 {
            gallery.save(&self.gallery)?;
        }
        let mut out = io::stdout().lock();
        for (artist, songs) in gallery.artists() {
            writeln!(out, "{}: {}", printable(artist), count(songs.count(), "song"))?;
        }
        match gallery.min_similarity() {
            Some(least) => {
                writeln!(out, "none of these artists: below a similarity of {least:.2}")?
            }
            None => writeln!(out, "none of these artists: too few songs to say from where on")?,
        }
        if done < songs.len() {
            let rest = "the same command goes on with the rest";
            log(&format!("stopped after {done} of {}; {rest}", count(songs.len(), "song")));
            return Ok(ExitCode::from(INTERRUPTED));
        }
        Ok(if failed > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }

    /// The songs with their artists, and the number of paths that gave none.
    fn songs(&self) -> (Vec<Song>, usize) {
        let (mut songs, mut failed) = (Vec::new(), 0);
        let mut fail = |path: &Path, problem: &str| {
            log(&format!("{}: {problem}", path.display()));
            failed += 1;
        };
        for path in &self.paths {
            let below = match (path.is_dir(), &self.artist) {
                (true, _) => MusicFiles::below(path),
                (false, Some(artist)) => {
                    let name = text(path.file_name().map(Path::new).unwrap_or(path));
                    songs.push(Song { artist: artist.clone(), name, path: path.clone() });
                    continue;
                }
                (false, None) => {
                    fail(path, "whose song is it? Name the artist with --artist");
                    continue;
                }
            };
            let found = match below {
                Ok(found) => found,
                Err(error) => {
                    fail(path, &format!("cannot be read ({error}): check its permissions"));
                    continue;
                }
            };
            for (path, error) in &found.unreadable {
                fail(path, &format!("cannot be read ({error}): check its permissions"));
            }
            if found.music.is_empty() && found.unreadable.is_empty() {
                fail(path, "there is no audio file in it: name the files");
            }
            for file in found.music {
                match self.song(path, &file) {
                    Some(song) => songs.push(song),
                    None => {
                        fail(&file, "it is in no artist's folder: name the artist with --artist")
                    }
                }
            }
        }
        (songs, failed)
    }

    /// A file below `folder` as a song: the first folder on the way is the artist unless one is named.
    fn song(&self, folder: &Path, file: &Path) -> Option<Song> {
        let name = file.strip_prefix(folder).unwrap_or(file);
        let path = file.to_owned();
        if let Some(artist) = &self.artist {
            return Some(Song { artist: artist.clone(), name: text(name), path });
        }
        let mut parts = name.components();
        let artist = text(Path::new(parts.next()?.as_os_str()));
        let name = parts.as_path();
        (name != Path::new("")).then(|| Song { artist, name: text(name), path })
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn enroll(song: &Song, recognizer: &Recognizer, gallery: &mut Gallery) -> anyhow::Result<()> {
    let answer = recognizer.recognize_file(&song.path);
    wait_if_ending();
    let answer = answer?;
    anyhow::ensure!(!answer.is_silent(), "it is silent: choose another song");
    gallery.enroll(&song.artist, &song.name, &answer.embedding)?;
    Ok(())
}

/// Whether the gallery is to be written now. The first song is not waited for: what cannot be written is said early.
fn is_due(written: Option<Instant>, now: Instant) -> bool {
    written.is_none_or(|written| now.duration_since(written) >= EVERY)
}

/// Whether the song is in the gallery already, for the same artist.
fn is_again(error: &anyhow::Error, song: &Song) -> bool {
    matches!(
        error.downcast_ref(),
        Some(GalleryError::SameSong { enrolled_artist, .. }) if *enrolled_artist == song.artist
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_song_is_written_at_once_and_then_every_30_seconds() {
        let now = Instant::now();
        assert!(is_due(None, now));
        for (seconds, due) in [(0, false), (29, false), (30, true), (100, true)] {
            assert_eq!(is_due(Some(now), now + Duration::from_secs(seconds)), due);
        }
    }
}
