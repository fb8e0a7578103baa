//! A file as a stream of mono samples at the rate that is asked for.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use leitmotif_models::SampleRate;
use serde::Serialize;

use super::{AudioError, Resampler, TimeLimit, decode::Decoder, source::Stream};

/// What is known of a file; final once it has been read to its end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AudioInfo {
    /// Short name of the codec: `mp3`, `vorbis`, `flac`, `pcm_s16le`, `aac`, `alac`, `opus`…
    pub codec: String,
    /// The file's own rate, before resampling.
    pub sample_rate: SampleRate,
    /// The file's own number of channels, before mixing.
    pub channels: usize,
    /// Length in seconds as the file states it. MP3 without a Xing or VBRI tag and ADTS do not.
    pub duration_seconds: Option<f64>,
    /// Damaged packets passed over so far.
    pub skipped_packets: usize,
    /// Whether less was heard, damaged packets included, than the file's own structure says there is: it was cut
    /// off, or so damaged that whole stretches were lost. Of a file that does not state its length (see
    /// `duration_seconds`) it is known only where a packet is cut through.
    pub truncated: bool,
}

/// Streams a file: decoded, mixed to mono and resampled, in memory that does not grow with its length.
///
/// ```no_run
/// use leitmotif::audio::AudioReader;
/// use leitmotif_models::SampleRate;
///
/// let mut reader = AudioReader::open("song.mp3".as_ref(), SampleRate::NETWORK)?;
/// let mut block = Vec::new();
/// while reader.read(&mut block)? > 0 {
///     println!("{} samples more", block.len());
///     block.clear();
/// }
/// # Ok::<(), leitmotif::audio::AudioError>(())
/// ```
pub struct AudioReader {
    path: PathBuf,
    decoder: Decoder,
    rate: SampleRate,
    /// The rate of the blocks that `resampler` takes.
    native: SampleRate,
    resampler: Resampler,
    /// The block decoded last; not yet taken by the resampler where `waiting`.
    mono: Vec<f32>,
    waiting: bool,
    ended: bool,
}

impl fmt::Debug for AudioReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AudioReader")
            .field("path", &self.path)
            .field("rate", &self.rate)
            .field("info", self.info())
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

impl AudioReader {
    /// Opens a file to hear it at `rate`.
    ///
    /// Decodes up to the first block of samples, so that a file without any is refused here.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`]; each names the file, what is wrong with it and what to do.
    pub fn open(path: &Path, rate: SampleRate) -> Result<Self, AudioError> {
        Self::new(Box::new(open_file(path)?), path, rate)
    }

    /// Hears what `reader` holds, from its first byte to its last, at `rate`; errors name it `name`.
    ///
    /// # Errors
    ///
    /// As [`AudioReader::open`].
    pub fn from_reader(
        reader: impl Read + Seek + Send + Sync + 'static,
        name: &Path,
        rate: SampleRate,
    ) -> Result<Self, AudioError> {
        Self::new(Box::new(reader), name, rate)
    }

    fn new(stream: Box<dyn Stream>, path: &Path, rate: SampleRate) -> Result<Self, AudioError> {
        let mut decoder = Decoder::open(stream, path, TimeLimit::default())?;
        let mut mono = Vec::new();
        decoder.work();
        let Some(native) = decoder.next_block(&mut mono)? else {
            return Err(AudioError::NoAudio { path: path.to_path_buf() });
        };
        decoder.rest();
        let resampler = resampler(path, native, rate)?;
        Ok(Self {
            path: path.to_path_buf(),
            decoder,
            rate,
            native,
            resampler,
            mono,
            waiting: true,
            ended: false,
        })
    }

    /// Sets how long the file may keep its listener busy, the time since opening included; before, the default holds.
    pub fn set_time_limit(&mut self, limit: TimeLimit) {
        self.decoder.set_time_limit(limit);
    }

    /// Appends the next block of mono samples to `out` and returns how many they are; 0 once, and for good, at the end.
    ///
    /// Full scale is 1; lossy codecs overshoot it a little. A file of `n` samples at its own rate gives
    /// `n · rate / own rate` samples, rounded half up. Allocates nothing once its buffers have grown to one packet.
    ///
    /// # Errors
    ///
    /// [`AudioError::Unreadable`] where the system fails to read on, [`AudioError::NotFinite`] at a sample that is no
    /// number, [`AudioError::UnsupportedCodec`] or [`AudioError::UnsupportedRate`] where a second recording in the file
    /// cannot be heard, [`AudioError::TookTooLong`] or [`AudioError::TooLarge`] where the rest would cost too much, and
    /// [`AudioError::Damaged`] where its decoder gives up. After an error, the file has ended.
    pub fn read(&mut self, out: &mut Vec<f32>) -> Result<usize, AudioError> {
        self.decoder.work();
        let read = self.try_read(out);
        self.decoder.rest();
        self.ended |= read.is_err();
        read
    }

    fn try_read(&mut self, out: &mut Vec<f32>) -> Result<usize, AudioError> {
        let before = out.len();
        while !self.ended && out.len() == before {
            if self.waiting {
                self.resampler.push(&self.mono, out);
                self.waiting = false;
                continue;
            }
            match self.decoder.next_block(&mut self.mono)? {
                Some(native) => {
                    self.waiting = true;
                    if native != self.native {
                        // A chained recording or a damaged header: what came before ends here.
                        self.resampler.finish(out);
                        self.resampler = resampler(&self.path, native, self.rate)?;
                        self.native = native;
                    }
                }
                None => {
                    self.ended = true;
                    self.resampler.finish(out);
                }
            }
        }
        Ok(out.len() - before)
    }

    /// What is known of the file so far.
    pub fn info(&self) -> &AudioInfo {
        &self.decoder.info
    }
}

/// Reads a whole file: [`AudioReader`] with the samples collected.
///
/// # Errors
///
/// As [`AudioReader::open`] and [`AudioReader::read`].
pub fn read_all(path: &Path, rate: SampleRate) -> Result<(Vec<f32>, AudioInfo), AudioError> {
    let mut reader = AudioReader::open(path, rate)?;
    let mut samples = Vec::new();
    while reader.read(&mut samples)? > 0 {}
    Ok((samples, reader.info().clone()))
}

fn open_file(path: &Path) -> Result<File, AudioError> {
    let fail = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => AudioError::NotFound { path: path.to_path_buf() },
        _ => AudioError::Unreadable { path: path.to_path_buf(), source },
    };
    // Looked at before opening: opening a pipe would wait for its other end.
    let metadata = std::fs::metadata(path).map_err(fail)?;
    if !metadata.is_file() {
        return Err(AudioError::NotAFile { path: path.to_path_buf() });
    }
    File::open(path).map_err(fail)
}

fn resampler(path: &Path, from: SampleRate, to: SampleRate) -> Result<Resampler, AudioError> {
    Resampler::new(from, to)
        .map_err(|error| AudioError::UnsupportedRate { path: path.to_path_buf(), rate: error.0 })
}
