//! One file in, mono blocks at the file's own rate out. The only file that knows symphonia.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use leitmotif_models::SampleRate;
use symphonia::core::{
    audio::{Audio, AudioBuffer, GenericAudioBufferRef, conv::IntoSample, sample::Sample},
    codecs::{
        CodecParameters,
        audio::{
            AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
            well_known::{self, CODEC_ID_OPUS},
        },
    },
    common::Limit,
    errors::Error as SymphoniaError,
    formats::{
        FormatOptions, FormatReader, Track, TrackType, probe::Hint, well_known::FORMAT_ID_ISOMP4,
    },
    io::{MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
    packet::Packet,
};

#[cfg(feature = "opus")]
use super::opus::{self, Opus};
use super::{AudioError, AudioInfo, mp4};

/// Full scale is 1; a float file may exceed it, but nothing a million times as loud is sound.
const ABSURD: f32 = 1e6;
/// Failures of the container in a row before the rest of the file is given up.
const PATIENCE: usize = 64;
/// Tags and pictures are skipped here; what a header claims of their size must not be believed.
const TAG_BYTES: usize = 1 << 20;

/// A file under decoding.
pub(super) struct Decoder {
    path: PathBuf,
    format: Box<dyn FormatReader>,
    track: u32,
    codec: Codec,
    /// Floats come from the file as they are and may be NaN; other codecs never hold such numbers.
    float_pcm: bool,
    /// Frames the file promised, for noticing that it was cut off.
    promised: Option<u64>,
    heard: u64,
    /// Samples at the start that the container asks to drop and that the decoder does not.
    skip: u64,
    /// Samples after those that it asks to hear, where it says.
    left: Option<u64>,
    ended: bool,
    /// The first thing that went wrong, kept for the case that nothing goes right.
    complaint: Option<String>,
    pub(super) info: AudioInfo,
}

impl Decoder {
    /// Opens a file and finds its audio track. Nothing is decoded yet.
    pub(super) fn open(path: &Path) -> Result<Self, AudioError> {
        let file = open_file(path)?;
        let stream = MediaSourceStream::new(Box::new(file), MediaSourceStreamOptions::default());
        let metadata = MetadataOptions::default()
            .limit_tag_bytes(Limit::Maximum(TAG_BYTES))
            .limit_visual_bytes(Limit::Maximum(TAG_BYTES));
        let format = symphonia::default::get_probe()
            .probe(&Hint::new(), stream, FormatOptions::default(), metadata)
            .map_err(|error| probe_error(path, error))?;
        let track = format
            .default_track(TrackType::Audio)
            .or_else(|| format.first_track(TrackType::Audio))
            .ok_or_else(|| AudioError::NoAudio { path: path.to_path_buf() })?;
        let parameters = audio_parameters(path, track)?;
        let codec = make_decoder(path, parameters)?;
        let info = AudioInfo {
            codec: codec.name().to_owned(),
            sample_rate: SampleRate(parameters.sample_rate.unwrap_or(0)),
            channels: parameters.channels.as_ref().map_or(0, |channels| channels.count()),
            duration_seconds: duration(track),
            skipped_packets: 0,
            truncated: false,
        };
        let (skip, left) = edited(path, format.as_ref(), track);
        Ok(Self {
            path: path.to_path_buf(),
            track: track.id,
            float_pcm: is_float_pcm(parameters),
            promised: left.or(track.num_frames),
            heard: 0,
            skip,
            left,
            ended: false,
            complaint: None,
            codec,
            info,
            format,
        })
    }

    /// Decodes the next packet that holds samples into `mono`, replacing what it held, and returns the block's
    /// own rate; `None` at the end.
    pub(super) fn next_block(
        &mut self,
        mono: &mut Vec<f32>,
    ) -> Result<Option<SampleRate>, AudioError> {
        mono.clear();
        while let Some(packet) = self.next_packet()? {
            if packet.track_id != self.track {
                continue;
            }
            let (rate, channels) = match self.codec.decode(&packet, mono) {
                Ok(decoded) => decoded,
                Err(Failure::System(error)) => return Err(unreadable(&self.path, error)),
                Err(Failure::Packet(reason)) => {
                    mono.clear();
                    self.pass_over(reason);
                    continue;
                }
            };
            self.cut_to_edit(mono);
            if mono.is_empty() {
                continue;
            }
            if let Some(bad) = mono.iter().position(|sample| !(-ABSURD..=ABSURD).contains(sample)) {
                if self.float_pcm {
                    let seconds = rate.seconds(self.heard + bad as u64);
                    return Err(AudioError::NotFinite { path: self.path.clone(), seconds });
                }
                mono.clear();
                self.pass_over("a packet decodes to numbers that are no sound".to_owned());
                continue;
            }
            if self.heard == 0 {
                // Some containers leave both to the codec, and some are wrong.
                self.info.sample_rate = rate;
                self.info.channels = channels;
            }
            self.heard += mono.len() as u64;
            return Ok(Some(rate));
        }
        self.finish()
    }

    /// The container's next packet; `None` at the end of the file, wherever that is.
    fn next_packet(&mut self) -> Result<Option<Packet>, AudioError> {
        if self.ended {
            return Ok(None);
        }
        for _ in 0..PATIENCE {
            match self.format.next_packet() {
                Ok(Some(packet)) => return Ok(Some(packet)),
                Ok(None) => {
                    self.ended = true;
                    return Ok(None);
                }
                Err(SymphoniaError::ResetRequired) => {
                    if !self.follow_chain()? {
                        break;
                    }
                }
                Err(SymphoniaError::IoError(error)) if is_end(&error) => break,
                Err(SymphoniaError::IoError(error)) => return Err(unreadable(&self.path, error)),
                Err(error) => self.pass_over(error.to_string()),
            }
        }
        self.ended = true;
        self.info.truncated = true;
        Ok(None)
    }

    /// Chained Ogg: another recording follows in the same file. Whether its audio can be decoded.
    fn follow_chain(&mut self) -> Result<bool, AudioError> {
        let Some(track) = self.format.default_track(TrackType::Audio) else {
            return Ok(false);
        };
        let parameters = audio_parameters(&self.path, track)?;
        self.codec = make_decoder(&self.path, parameters)?;
        self.float_pcm = is_float_pcm(parameters);
        self.track = track.id;
        self.promised = match (self.promised, track.num_frames) {
            (Some(before), Some(more)) => Some(before.saturating_add(more)),
            _ => None,
        };
        Ok(true)
    }

    /// Drops what lies outside of the stretch that the container asks for.
    fn cut_to_edit(&mut self, mono: &mut Vec<f32>) {
        if self.skip > 0 {
            let dropped =
                usize::try_from(self.skip).map_or(mono.len(), |skip| skip.min(mono.len()));
            mono.drain(..dropped);
            self.skip -= dropped as u64;
        }
        if let Some(left) = &mut self.left {
            mono.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= mono.len() as u64;
            self.ended |= *left == 0;
        }
    }

    fn pass_over(&mut self, reason: String) {
        self.info.skipped_packets += 1;
        self.complaint.get_or_insert(reason);
    }

    fn finish(&mut self) -> Result<Option<SampleRate>, AudioError> {
        if self.heard == 0 {
            let path = self.path.clone();
            return Err(match self.complaint.take() {
                Some(reason) => AudioError::Damaged { path, reason },
                None if self.info.truncated => AudioError::Truncated { path },
                None => AudioError::NoAudio { path },
            });
        }
        // Encoder delays that containers count and codecs trim stay below this.
        const SLACK: u64 = 8192;
        if self.info.skipped_packets == 0
            && self.promised.is_some_and(|promised| self.heard + SLACK < promised)
        {
            self.info.truncated = true;
        }
        Ok(None)
    }
}

fn open_file(path: &Path) -> Result<File, AudioError> {
    let fail = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => AudioError::NotFound { path: path.to_path_buf() },
        _ => unreadable(path, source),
    };
    // Looked at before opening: opening a pipe would wait for its other end.
    let metadata = std::fs::metadata(path).map_err(fail)?;
    if !metadata.is_file() {
        return Err(AudioError::NotAFile { path: path.to_path_buf() });
    }
    if metadata.len() == 0 {
        return Err(AudioError::Empty { path: path.to_path_buf() });
    }
    File::open(path).map_err(fail)
}

fn unreadable(path: &Path, source: io::Error) -> AudioError {
    AudioError::Unreadable { path: path.to_path_buf(), source }
}

fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}

fn probe_error(path: &Path, error: SymphoniaError) -> AudioError {
    let path = path.to_path_buf();
    match error {
        SymphoniaError::IoError(error) if is_end(&error) => AudioError::Truncated { path },
        SymphoniaError::IoError(source) => AudioError::Unreadable { path, source },
        // What is not known, not supported and not there share one error; only its text tells them apart.
        SymphoniaError::Unsupported(what) if what.starts_with("core (probe)") => {
            AudioError::UnknownFormat { path }
        }
        SymphoniaError::Unsupported(what)
            if !["missing", "not marked"].iter().any(|lack| what.contains(lack)) =>
        {
            unsupported(path, what.to_owned())
        }
        error => AudioError::Damaged { path, reason: error.to_string() },
    }
}

fn unsupported(path: PathBuf, codec: String) -> AudioError {
    let advice = "convert it to FLAC, WAV, MP3, Vorbis or AAC-LC".to_owned();
    AudioError::UnsupportedCodec { path, codec, advice }
}

fn audio_parameters<'t>(
    path: &Path,
    track: &'t Track,
) -> Result<&'t AudioCodecParameters, AudioError> {
    match &track.codec_params {
        Some(CodecParameters::Audio(parameters)) => Ok(parameters),
        _ => Err(AudioError::NoAudio { path: path.to_path_buf() }),
    }
}

/// A decoder of packets.
enum Codec {
    Symphonia(Box<dyn AudioDecoder>),
    #[cfg(feature = "opus")]
    Opus(Box<Opus>),
}

/// Why a packet gave no samples.
enum Failure {
    /// The packet is damaged; the next may not be.
    Packet(String),
    /// The system failed.
    System(io::Error),
}

impl Codec {
    fn name(&self) -> &str {
        match self {
            Codec::Symphonia(decoder) => decoder.codec_info().short_name,
            #[cfg(feature = "opus")]
            Codec::Opus(_) => "opus",
        }
    }

    /// Decodes a packet, appends the mean of its channels to `mono`, and says its rate and number of channels.
    fn decode(
        &mut self,
        packet: &Packet,
        mono: &mut Vec<f32>,
    ) -> Result<(SampleRate, usize), Failure> {
        match self {
            Codec::Symphonia(decoder) => {
                let block = decoder.decode(packet).map_err(|error| match error {
                    SymphoniaError::IoError(error) if !is_end(&error) => Failure::System(error),
                    error => Failure::Packet(error.to_string()),
                })?;
                mix(&block, mono);
                Ok((SampleRate(block.spec().rate()), block.num_planes()))
            }
            #[cfg(feature = "opus")]
            Codec::Opus(decoder) => {
                let trim = packet.trim_end.get();
                decoder.decode(&packet.data, trim, mono).map_err(Failure::Packet)?;
                Ok((opus::RATE, decoder.channels()))
            }
        }
    }
}

fn make_decoder(path: &Path, parameters: &AudioCodecParameters) -> Result<Codec, AudioError> {
    if parameters.codec == CODEC_ID_OPUS {
        return make_opus(path.to_path_buf(), parameters);
    }
    // Delay and padding are cut by the decoders, as far as the container tells them.
    let options = AudioDecoderOptions::default().gapless(true);
    let decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &options);
    decoder.map(Codec::Symphonia).map_err(|error| {
        let path = path.to_path_buf();
        match error {
            SymphoniaError::Unsupported(what) => {
                let name = codec_name(parameters);
                unsupported(path, format!("{name} ({what})"))
            }
            error => AudioError::Damaged { path, reason: error.to_string() },
        }
    })
}

#[cfg(feature = "opus")]
fn make_opus(path: PathBuf, parameters: &AudioCodecParameters) -> Result<Codec, AudioError> {
    let head = parameters.extra_data.as_deref().unwrap_or_default();
    Opus::new(head)
        .map(|opus| Codec::Opus(Box::new(opus)))
        .map_err(|reason| unsupported(path, format!("Opus ({reason})")))
}

#[cfg(not(feature = "opus"))]
fn make_opus(path: PathBuf, _: &AudioCodecParameters) -> Result<Codec, AudioError> {
    let advice = "build with the feature `opus`, or convert it to FLAC, WAV, MP3, Vorbis or AAC-LC";
    Err(AudioError::UnsupportedCodec { path, codec: "Opus".to_owned(), advice: advice.to_owned() })
}

/// Samples to drop at the start and samples to hear after those, as an MP4 file's edit list says.
fn edited(path: &Path, format: &dyn FormatReader, track: &Track) -> (u64, Option<u64>) {
    let is_mp4 = format.format_info().format == FORMAT_ID_ISOMP4;
    let edit = is_mp4
        .then(|| File::open(path).ok())
        .flatten()
        .and_then(|mut file| mp4::edit(&mut file, track.id));
    let rate = track.codec_params.as_ref().and_then(|codec| codec.audio()?.sample_rate);
    let (Some(edit), Some(rate)) = (edit, rate) else { return (0, None) };
    let samples = |seconds: f64| (seconds * f64::from(rate)).round() as u64;
    (samples(edit.start), Some(samples(edit.length)).filter(|&length| length > 0))
}

/// A name for the codecs that people meet and that are not decoded.
fn codec_name(parameters: &AudioCodecParameters) -> String {
    match parameters.codec {
        well_known::CODEC_ID_AAC => "AAC of a kind beyond LC".to_owned(),
        well_known::CODEC_ID_AC3 => "AC-3".to_owned(),
        well_known::CODEC_ID_EAC3 => "E-AC-3".to_owned(),
        well_known::CODEC_ID_SPEEX => "Speex".to_owned(),
        other => format!("codec {other}"),
    }
}

fn is_float_pcm(parameters: &AudioCodecParameters) -> bool {
    use well_known::{
        CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_F64LE,
    };
    [CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_F64LE]
        .contains(&parameters.codec)
}

fn duration(track: &Track) -> Option<f64> {
    let seconds = track.time_base?.calc_duration(track.duration?)?.as_secs_f64();
    seconds.is_finite().then_some(seconds)
}

/// The mean of a block's channels, appended to `mono`.
fn mix(block: &GenericAudioBufferRef<'_>, mono: &mut Vec<f32>) {
    match block {
        GenericAudioBufferRef::U8(buffer) => mean(buffer, mono),
        GenericAudioBufferRef::U16(buffer) => mean(buffer, mono),
        GenericAudioBufferRef::U24(buffer) => mean(buffer, mono),
        GenericAudioBufferRef::U32(buffer) => mean(buffer, mono),
        GenericAudioBufferRef::S8(buffer) => mean(buffer, mono),
        GenericAudioBufferRef::S16(buffer) => mean(buffer, mono),
        GenericAudioBufferRef::S24(buffer) => mean(buffer, mono),
        GenericAudioBufferRef::S32(buffer) => mean(buffer, mono),
        GenericAudioBufferRef::F32(buffer) => mean(buffer, mono),
        GenericAudioBufferRef::F64(buffer) => mean(buffer, mono),
    }
}

fn mean<S: Sample + IntoSample<f32>>(buffer: &AudioBuffer<S>, mono: &mut Vec<f32>) {
    let mut planes = buffer.iter_planes();
    let Some(first) = planes.next() else { return };
    let start = mono.len();
    mono.extend(first.iter().map(|&sample| IntoSample::<f32>::into_sample(sample)));
    let channels = buffer.num_planes();
    if channels == 1 {
        return;
    }
    let sums = mono.get_mut(start..).unwrap_or_default();
    for plane in planes {
        for (sum, &sample) in sums.iter_mut().zip(plane) {
            *sum += IntoSample::<f32>::into_sample(sample);
        }
    }
    let share = 1.0 / channels as f32;
    for sum in sums {
        *sum *= share;
    }
}
