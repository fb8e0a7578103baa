//! A file as a stream of mono samples at a requested rate.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use leitmotif_models::SampleRate;

use super::{AudioError, AudioInfo, Level, Resampler, TimeLimit, decode::Decoder, stream::Stream};

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
    /// The block decoded last; if `pending`, the resampler has not taken it yet.
    mono: Vec<f32>,
    pending: bool,
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
    /// Opens a file to decode it at `rate`.
    ///
    /// Decodes up to the first block of samples, so that a file without audio is refused here.
    ///
    /// # Errors
    ///
    /// Any [`AudioError`]; each names the file, the problem and a remedy.
    pub fn open(path: &Path, rate: SampleRate) -> Result<Self, AudioError> {
        Self::new(Box::new(open_file(path)?), path, rate)
    }

    /// Decodes the bytes of `reader`, from the first to the last, at `rate`; errors name it `name`.
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
        decoder.start_work();
        let Some(native) = decoder.next_block(&mut mono)? else {
            return Err(AudioError::NoAudio { path: path.to_path_buf() });
        };
        decoder.pause_work();
        let resampler = resampler(path, native, rate)?;
        Ok(Self {
            path: path.to_path_buf(),
            decoder,
            rate,
            native,
            resampler,
            mono,
            pending: true,
            ended: false,
        })
    }

    /// Sets the limit on decoding time, including the time since opening, for which the default applied.
    pub fn set_time_limit(&mut self, limit: TimeLimit) {
        self.decoder.set_time_limit(limit);
    }

    /// Appends the next block of mono samples to `out` and returns their number; 0 at the end, then always.
    ///
    /// All lie within full scale, [-1, 1], by the rule of [`Level`](super::Level). A file of `n` samples at its own rate gives
    /// `n · rate / own rate` samples, rounded half up. Allocates nothing once its buffers have grown to one packet.
    ///
    /// # Errors
    ///
    /// [`AudioError::Unreadable`] if the system fails to read on, [`AudioError::NotFinite`] at a sample that is not
    /// finite, [`AudioError::UnsupportedCodec`] or [`AudioError::UnsupportedRate`] if a further recording in the file
    /// cannot be decoded, [`AudioError::TookTooLong`] or [`AudioError::TooLarge`] if the rest exceeds a limit, and
    /// [`AudioError::Damaged`] if its decoder panics. After an error, the file has ended.
    pub fn read(&mut self, out: &mut Vec<f32>) -> Result<usize, AudioError> {
        self.decoder.start_work();
        let read = self.try_read(out);
        self.decoder.pause_work();
        self.ended |= read.is_err();
        read
    }

    fn try_read(&mut self, out: &mut Vec<f32>) -> Result<usize, AudioError> {
        let before = out.len();
        while !self.ended && out.len() == before {
            if self.pending {
                self.resampler.push(&self.mono, out);
                self.pending = false;
                continue;
            }
            match self.decoder.next_block(&mut self.mono)? {
                Some(native) => {
                    self.pending = true;
                    if native != self.native {
                        // A chained recording or a damaged header: the previous recording ends here.
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
        Level::clip(out.get_mut(before..).unwrap_or_default());
        Ok(out.len() - before)
    }

    /// The file's properties, as far as they are known.
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
    // Checked before opening: opening a pipe would wait for its other end.
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
