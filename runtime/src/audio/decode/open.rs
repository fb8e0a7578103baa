//! From a stream of bytes to the packets of one audio track: probing the format and choosing among tracks.

use std::{
    io::{Seek, SeekFrom},
    path::Path,
    sync::LazyLock,
};

use symphonia::core::{
    codecs::{CodecParameters, audio::AudioCodecParameters},
    errors::Error as SymphoniaError,
    formats::{
        FormatOptions, FormatReader, Track, TrackType,
        probe::{Hint, Probe},
        well_known::{
            FORMAT_ID_ADTS, FORMAT_ID_ISOMP4, FORMAT_ID_MP1, FORMAT_ID_MP2, FORMAT_ID_MP3,
            FORMAT_ID_OGG,
        },
    },
    io::{MediaSource, MediaSourceStream, MediaSourceStreamOptions},
    meta::MetadataOptions,
};
use symphonia::default::formats::{
    AdtsReader, AiffReader, FlacReader, IsoMp4Reader, MpaReader, OggReader, WavReader,
};

use super::codec::{Codec, unsupported};
use crate::audio::{AudioError, aac, source::Source, stream::is_end};

/// The formats of frames without a container.
static FRAMES: LazyLock<Probe> = LazyLock::new(|| {
    let mut probe = Probe::new();
    probe.register_format::<AdtsReader<'_>>();
    probe.register_format::<MpaReader<'_>>();
    probe
});

/// The containers, without readers of tags: those would load as much as a tag claims to hold.
static CONTAINERS: LazyLock<Probe> = LazyLock::new(|| {
    let mut probe = Probe::new();
    probe.register_format::<FlacReader<'_>>();
    probe.register_format::<IsoMp4Reader<'_>>();
    probe.register_format::<AiffReader<'_>>();
    probe.register_format::<WavReader<'_>>();
    probe.register_format::<OggReader<'_>>();
    probe
});

impl MediaSource for Source {
    /// False if frames follow each other without a container: symphonia would only seek to estimate their number.
    fn is_seekable(&self) -> bool {
        !self.bare()
    }

    fn byte_len(&self) -> Option<u64> {
        Some(self.length())
    }
}

/// The packets of a stream.
pub(super) fn packets(path: &Path, source: Source) -> Result<Box<dyn FormatReader>, AudioError> {
    let (bare, lead) = (source.bare(), source.lead());
    let stream = MediaSourceStream::new(Box::new(source), MediaSourceStreamOptions::default());
    demux(path, stream, bare, lead)
}

/// The packets of a container's stream, once more from the first.
pub(super) fn again(
    path: &Path,
    format: Box<dyn FormatReader>,
) -> Result<Box<dyn FormatReader>, AudioError> {
    let mut stream = format.into_inner();
    stream.seek(SeekFrom::Start(0)).map_err(|error| probe_error(path, error.into()))?;
    demux(path, stream, false, [0; 4])
}

fn demux(
    path: &Path,
    stream: MediaSourceStream<'static>,
    bare: bool,
    lead: [u8; 4],
) -> Result<Box<dyn FormatReader>, AudioError> {
    // Two bytes that look like a frame's header are in any file: frames count only where several were found.
    let probe = if bare { &FRAMES } else { &CONTAINERS };
    let mut format = probe
        .probe(&Hint::new(), stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(|error| probe_error(path, error))?;
    drop_tags(format.as_mut());
    if bare
        && format.format_info().format == FORMAT_ID_ADTS
        && let Some(kind) = aac::adts_beyond_lc(lead)
    {
        return Err(unsupported(path, kind));
    }
    Ok(format)
}

/// Drops tags, which would otherwise accumulate over the recordings of a chained file.
pub(super) fn drop_tags(format: &mut dyn FormatReader) {
    while format.metadata().pop().is_some() {}
}

fn probe_error(path: &Path, error: SymphoniaError) -> AudioError {
    let path = path.to_path_buf();
    match error {
        SymphoniaError::IoError(error) if is_end(&error) => AudioError::Truncated { path },
        // Failures of the system stop the budget: any other is the demuxer's own.
        SymphoniaError::IoError(error) => AudioError::Damaged { path, reason: error.to_string() },
        // symphonia has one error for unknown, unsupported and missing things; only its text distinguishes them.
        SymphoniaError::Unsupported(what) if what.starts_with("core (probe)") => {
            AudioError::UnknownFormat { path }
        }
        SymphoniaError::Unsupported(what)
            if !["missing", "not marked"].iter().any(|lack| what.contains(lack)) =>
        {
            unsupported(&path, what.to_owned())
        }
        error => AudioError::Damaged { path, reason: error.to_string() },
    }
}

/// The audio track to decode: the container's default, else the first that can be decoded.
pub(super) fn choose<'f>(
    path: &Path,
    format: &'f dyn FormatReader,
) -> Result<(&'f Track, &'f AudioCodecParameters, Codec), AudioError> {
    let in_mp4 = is_mp4(format);
    let default = format.default_track(TrackType::Audio);
    let mut first_error = None;
    for track in default.into_iter().chain(format.tracks()) {
        let Some(CodecParameters::Audio(parameters)) = &track.codec_params else { continue };
        match Codec::new(path, parameters, in_mp4) {
            Ok(codec) => return Ok((track, parameters, codec)),
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or_else(|| AudioError::NoAudio { path: path.to_path_buf() }))
}

pub(super) fn is_mp4(format: &dyn FormatReader) -> bool {
    format.format_info().format == FORMAT_ID_ISOMP4
}

pub(super) fn is_ogg(format: &dyn FormatReader) -> bool {
    format.format_info().format == FORMAT_ID_OGG
}

/// Whether MPEG frames follow each other without a container, with at most a tag in the first to state their length.
pub(super) fn is_bare_mpeg(format: &dyn FormatReader) -> bool {
    [FORMAT_ID_MP1, FORMAT_ID_MP2, FORMAT_ID_MP3].contains(&format.format_info().format)
}

/// Whether a track's length is stated by the file; symphonia estimates some from the first frames.
pub(super) fn states_length(format: &dyn FormatReader, bare: bool) -> bool {
    let estimated = is_bare_mpeg(format) && !bare;
    !estimated && format.format_info().format != FORMAT_ID_ADTS
}
