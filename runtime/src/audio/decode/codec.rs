//! Decodes packets to mono, with symphonia's decoders or those of MPEG audio and Opus.

use std::path::Path;

use leitmotif_models::SampleRate;
use symphonia::core::{
    codecs::audio::{
        AudioCodecId, AudioCodecParameters, AudioDecoder, AudioDecoderOptions,
        well_known::{self, CODEC_ID_AAC, CODEC_ID_OPUS, CODEC_ID_VORBIS},
    },
    errors::Error as SymphoniaError,
    packet::Packet,
};

use super::mix::Mixer;
#[cfg(feature = "opus")]
use crate::audio::opus::{self, Opus};
use crate::audio::{AudioError, aac, limit::MOST_BYTES, mpeg::Mpeg, vorbis};

/// Most frames that a decoder allocates before the first packet; its buffers grow if a packet holds more.
const MOST_FRAMES: u64 = 65_536;

/// A decoder of packets.
pub(super) enum Codec {
    Symphonia(Box<dyn AudioDecoder>),
    Mpeg(Mpeg),
    #[cfg(feature = "opus")]
    Opus(Box<Opus>),
}

impl Codec {
    /// A decoder for these parameters.
    pub(super) fn new(
        path: &Path,
        parameters: &AudioCodecParameters,
        in_mp4: bool,
    ) -> Result<Self, AudioError> {
        if parameters.codec == CODEC_ID_OPUS {
            return opus(path, parameters, in_mp4);
        }
        if let Some(layer) = mpeg_layer(parameters.codec) {
            return Ok(Codec::Mpeg(Mpeg::new(layer)));
        }
        let name = name(parameters);
        if parameters.codec == CODEC_ID_AAC
            && let Some(kind) = parameters.extra_data.as_deref().and_then(aac::beyond_lc)
        {
            return Err(unsupported(path, kind));
        }
        let channels = parameters.channels.as_ref().map_or(0, |channels| channels.count());
        if parameters.codec == CODEC_ID_VORBIS && channels > 2 {
            // symphonia 0.6.1 undoes the coupling of channels in the wrong order (Vorbis I, 4.3.5: the last step comes
            // first). From two coupling steps on it decodes to noise without an error.
            let kind = format!("Vorbis with {channels} channels (at most 2 are supported)");
            return Err(unsupported(path, kind));
        }
        if parameters.codec == CODEC_ID_VORBIS
            && let Some(headers) = &parameters.extra_data
            && vorbis::book_bytes(headers, MOST_BYTES) > MOST_BYTES
        {
            let path = path.to_path_buf();
            return Err(AudioError::TooLarge { path, mebibytes: MOST_BYTES >> 20 });
        }
        let mut parameters = parameters.clone();
        parameters.max_frames_per_packet =
            parameters.max_frames_per_packet.map(|frames| frames.min(MOST_FRAMES));
        // Decoders cut the delay and padding that the container states.
        let options = AudioDecoderOptions::default().gapless(true);
        let decoder = symphonia::default::get_codecs().make_audio_decoder(&parameters, &options);
        decoder.map(Codec::Symphonia).map_err(|error| match error {
            SymphoniaError::Unsupported(what) => unsupported(path, format!("{name} ({what})")),
            error => AudioError::Damaged { path: path.to_path_buf(), reason: error.to_string() },
        })
    }

    pub(super) fn name(&self) -> &str {
        match self {
            Codec::Symphonia(decoder) => decoder.codec_info().short_name,
            Codec::Mpeg(decoder) => decoder.name(),
            #[cfg(feature = "opus")]
            Codec::Opus(_) => "opus",
        }
    }

    /// Whether a file of this codec holds exactly as many samples as it states: PCM and FLAC, which have neither encoder
    /// delay nor edit list.
    pub(super) fn has_no_delay(&self) -> bool {
        self.name() == "flac" || self.name().starts_with("pcm")
    }

    /// The decoder of MPEG audio, if it is that.
    pub(super) fn mpeg(&mut self) -> Option<&mut Mpeg> {
        match self {
            Codec::Mpeg(decoder) => Some(decoder),
            _ => None,
        }
    }

    /// Keeps the samples at the start that the codec's own header asks to drop: the container's edit list cuts them.
    pub(super) fn keep_start(&mut self) {
        match self {
            Codec::Symphonia(_) | Codec::Mpeg(_) => {}
            #[cfg(feature = "opus")]
            Codec::Opus(decoder) => decoder.keep_start(),
        }
    }

    /// Decodes a packet, or says why it cannot; appends it to `mono` through `mixer`, and returns its rate and number of channels.
    pub(super) fn decode(
        &mut self,
        packet: &Packet,
        mixer: &mut Mixer,
        mono: &mut Vec<f32>,
    ) -> Result<(SampleRate, usize), String> {
        match self {
            Codec::Symphonia(decoder) => {
                let block = decoder.decode(packet).map_err(|error| error.to_string())?;
                mixer.mix(&block, mono);
                Ok((SampleRate(block.spec().rate()), block.num_planes()))
            }
            Codec::Mpeg(decoder) => {
                let frame = decoder.decode(&packet.data)?;
                mixer.mix_interleaved(frame.channels, frame.samples, mono);
                Ok((frame.rate, frame.channels))
            }
            #[cfg(feature = "opus")]
            Codec::Opus(decoder) => {
                let trim = packet.trim_end.get();
                let channels = decoder.channels();
                let samples = decoder.decode(&packet.data, trim)?;
                mixer.mix_interleaved(channels, samples, mono);
                Ok((opus::RATE, channels))
            }
        }
    }
}

#[cfg(feature = "opus")]
fn opus(path: &Path, parameters: &AudioCodecParameters, in_mp4: bool) -> Result<Codec, AudioError> {
    let head = parameters.extra_data.as_deref().unwrap_or_default();
    let opus = if in_mp4 { Opus::in_mp4(head) } else { Opus::new(head) };
    opus.map(|opus| Codec::Opus(Box::new(opus)))
        .map_err(|reason| unsupported(path, format!("Opus ({reason})")))
}

#[cfg(not(feature = "opus"))]
fn opus(path: &Path, _: &AudioCodecParameters, _: bool) -> Result<Codec, AudioError> {
    let advice = "build with the feature `opus`, or convert it to FLAC, WAV, MP3, Vorbis or AAC-LC";
    let path = path.to_path_buf();
    Err(AudioError::UnsupportedCodec { path, codec: "Opus".to_owned(), advice: advice.to_owned() })
}

/// The name of a codec, of common ones that are not supported too.
fn name(parameters: &AudioCodecParameters) -> String {
    match parameters.codec {
        CODEC_ID_AAC => "AAC".to_owned(),
        well_known::CODEC_ID_AC3 => "AC-3".to_owned(),
        well_known::CODEC_ID_EAC3 => "E-AC-3".to_owned(),
        well_known::CODEC_ID_SPEEX => "Speex".to_owned(),
        other => format!("codec {other}"),
    }
}

pub(super) fn unsupported(path: &Path, codec: String) -> AudioError {
    let advice = "convert it to FLAC, WAV, MP3, Vorbis or AAC-LC".to_owned();
    AudioError::UnsupportedCodec { path: path.to_path_buf(), codec, advice }
}

/// The name of a layer of MPEG audio.
fn mpeg_layer(codec: AudioCodecId) -> Option<&'static str> {
    match codec {
        well_known::CODEC_ID_MP1 => Some("mp1"),
        well_known::CODEC_ID_MP2 => Some("mp2"),
        well_known::CODEC_ID_MP3 => Some("mp3"),
        _ => None,
    }
}

pub(super) fn is_float_pcm(parameters: &AudioCodecParameters) -> bool {
    use well_known::{
        CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_F64LE,
    };
    [CODEC_ID_PCM_F32BE, CODEC_ID_PCM_F32LE, CODEC_ID_PCM_F64BE, CODEC_ID_PCM_F64LE]
        .contains(&parameters.codec)
}
