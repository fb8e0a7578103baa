//! Names what a file is that is not decoded. The only file that knows `file-format`.

use file_format::{FileFormat, Kind};

/// Beginnings of audio that `file-format` 0.29 does not know, or without reading further does not know as audio.
const SIGNATURES: [(&[u8], &str); 12] = [
    (b"caff", "Core Audio Format"),
    (b"TTA1", "True Audio"),
    (b"ajkg", "Shorten"),
    (b"OFR ", "OptimFROG"),
    (b"riff\x2e\x91\xcf\x11", "Wave64"),
    (b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media (ASF)"),
    (b"RIFX", "WAV with big-endian numbers"),
    // ETSI TS 102 114: the sync words of 16 and of 14 bits, each in both byte orders.
    (b"\x7f\xfe\x80\x01", DTS),
    (b"\xfe\x7f\x01\x80", DTS),
    (b"\x1f\xff\xe8\x00", DTS),
    (b"\xff\x1f\x00\xe8", DTS),
];
const DTS: &str = "DTS";
/// Bytes of a file's beginning that are enough to name it.
pub(super) const BEGINNING: usize = 16 << 10;

/// A file that is certainly not one that is decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Foreign {
    /// The name of its format.
    pub(super) format: String,
    /// Whether the format is one of audio or video.
    pub(super) is_audio: bool,
    /// Whether sound may follow: pictures lie in front of MPEG frames where a program forgot the tag around them.
    pub(super) is_picture: bool,
}

/// What a file with this beginning is, if it is certainly not one that is decoded.
pub(super) fn recognise(beginning: &[u8]) -> Option<Foreign> {
    let known = SIGNATURES.iter().find(|(signature, _)| beginning.starts_with(signature));
    if let Some((_, name)) = known {
        return Some(Foreign { format: (*name).to_owned(), is_audio: true, is_picture: false });
    }
    // The boxes that QuickTime files without a type begin with; the demuxer needs one.
    let boxes: [&[u8]; 6] = [b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"];
    if beginning.get(4..8).is_some_and(|name| boxes.contains(&name)) {
        let format = "QuickTime without a file type".to_owned();
        return Some(Foreign { format, is_audio: true, is_picture: false });
    }
    let format = FileFormat::from_bytes(beginning);
    let is_ours = matches!(
        format,
        FileFormat::Mpeg12AudioLayer2
            | FileFormat::Mpeg12AudioLayer3
            | FileFormat::AdvancedAudioCoding
            | FileFormat::AudioInterchangeFileFormat
            | FileFormat::WaveformAudio
            | FileFormat::FreeLosslessAudioCodec
            | FileFormat::OggFlac
            | FileFormat::OggVorbis
            | FileFormat::OggOpus
            | FileFormat::OggMultiplexedMedia
    );
    // Executables and the like have signatures of two bytes, which audio may begin with.
    let is_sure = matches!(
        format.kind(),
        Kind::Audio
            | Kind::Video
            | Kind::Image
            | Kind::Archive
            | Kind::Compressed
            | Kind::Database
            | Kind::Disk
            | Kind::Document
            | Kind::Ebook
            | Kind::Package
            | Kind::Playlist
            | Kind::Presentation
            | Kind::Spreadsheet
    ) || format == FileFormat::CompoundFileBinary;
    (is_sure && !is_ours).then(|| Foreign {
        format: format.name().to_owned(),
        is_audio: matches!(format.kind(), Kind::Audio | Kind::Video),
        is_picture: format.kind() == Kind::Image,
    })
}

/// The coded audio that the samples of a WAV carry in place of sound, by the beginning of its data. Played as samples it
/// is noise.
pub(super) fn coded_in_samples(data: &[u8]) -> Option<&'static str> {
    // A square wave of full scale has these sync words at its edges: what follows in every frame counts too.
    let is_dts = |part: &[u8]| {
        matches!(
            part,
            [0x7f, 0xfe, 0x80, 0x01, 0xfc..=0xff, _]
                | [0xfe, 0x7f, 0x01, 0x80, _, 0xfc..=0xff]
                | [0x1f, 0xff, 0xe8, 0x00, 0x07, 0xf0..=0xff]
                | [0xff, 0x1f, 0x00, 0xe8, 0xf0..=0xff, 0x07]
        )
    };
    // IEC 61937: a burst's preamble, then the kind of what it carries.
    let is_burst = |part: &[u8]| matches!(part, [0x72, 0xf8, 0x1f, 0x4e, kind, _] if [1, 11, 12, 13, 17, 21].contains(&(kind & 0x1f)));
    let twice = |is: &dyn Fn(&[u8]) -> bool| data.windows(6).filter(|part| is(part)).count() >= 2;
    if twice(&is_dts) {
        return Some("DTS in WAV");
    }
    twice(&is_burst).then_some("AC-3 or DTS in WAV (IEC 61937)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audio_that_is_not_decoded_is_named() {
        for (beginning, expected) in [
            (&b".snd\0\0\0\x18"[..], Some("Au")),
            (b"caff\0\x01\0\0", Some("Core Audio Format")),
            (b"wvpk\0\0\0\0", Some("WavPack")),
            (b"MAC \x96\x0f", Some("Monkey's Audio")),
            (b"PK\x03\x04\x14\0", Some("ZIP")),
            (b"\xff\xd8\xff\xe0", Some("Joint Photographic Experts Group")),
            (b"fLaC\0\0\0\x22", None),
            (b"RIFF\0\0\0\0WAVE", None),
            (b"MZ\x90\0", None),
            (b"just some text", None),
            (b"", None),
        ] {
            let found = recognise(beginning).map(|foreign| foreign.format);
            assert_eq!(found.as_deref(), expected, "{beginning:?}");
        }
    }

    #[test]
    fn one_sync_word_in_samples_is_chance() {
        let mut data = vec![1; 4096];
        data[100..106].copy_from_slice(b"\xff\x1f\x00\xe8\xf1\x07");
        assert_eq!(coded_in_samples(&data), None);
        data[2148..2154].copy_from_slice(b"\xff\x1f\x00\xe8\xf1\x07");
        assert_eq!(coded_in_samples(&data), Some("DTS in WAV"));
        let square: Vec<u8> = (0..4096)
            .flat_map(|n| (if n / 50 % 2 == 0 { 32_766i16 } else { -32_767 }).to_le_bytes())
            .collect();
        assert_eq!(coded_in_samples(&square), None);
    }
}
