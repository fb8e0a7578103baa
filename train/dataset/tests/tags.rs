//! Tags in every format and encoding, with missing and multiple values.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use leitmotif_dataset::sources::tags::{Tags, read};
use lofty::config::WriteOptions;
use lofty::ogg::tag::VorbisComments;
use lofty::tag::{ItemKey, Tag, TagExt, TagType};

/// How an ID3v2 frame's text is written.
#[derive(Clone, Copy)]
enum Encoding {
    Latin1 = 0,
    Utf16 = 1,
    Utf16BigEndian = 2,
    Utf8 = 3,
}

impl Encoding {
    fn write(self, text: &str) -> Vec<u8> {
        let units = text.encode_utf16();
        match self {
            Encoding::Latin1 => latin1(text),
            Encoding::Utf16 => {
                std::iter::once(0xfeff).chain(units).flat_map(u16::to_le_bytes).collect()
            }
            Encoding::Utf16BigEndian => units.flat_map(u16::to_be_bytes).collect(),
            Encoding::Utf8 => text.as_bytes().to_vec(),
        }
    }
}

fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
}

/// An ID3v2 tag of version 2.3 or 2.4.
fn id3v2(version: u8, encoding: Encoding, frames: &[(&str, &str)]) -> Vec<u8> {
    let syncsafe = |n: usize| [n >> 21, n >> 14, n >> 7, n].map(|x| (x & 0x7f) as u8);
    let mut body = Vec::new();
    for (id, text) in frames {
        let text = encoding.write(text);
        body.extend(id.as_bytes());
        let length = text.len() + 1;
        body.extend(if version == 4 { syncsafe(length) } else { (length as u32).to_be_bytes() });
        body.extend([0, 0, encoding as u8]);
        body.extend(text);
    }
    [b"ID3".as_slice(), &[version, 0, 0], &syncsafe(body.len()), &body].concat()
}

/// An ID3v1.1 tag: 128 bytes at the end.
fn id3v1(title: &str, artist: &str, album: &str, track: u8, genre: u8) -> Vec<u8> {
    let field = |text: &str, length| {
        let mut bytes = latin1(text);
        bytes.resize(length, 0);
        bytes
    };
    [
        b"TAG".to_vec(),
        field(title, 30),
        field(artist, 30),
        field(album, 30),
        field("1998", 4),
        field("", 29),
        vec![track, genre],
    ]
    .concat()
}

/// Ten empty frames of MPEG-1 layer 3 at 128 kbit/s.
fn mp3() -> Vec<u8> {
    let mut frame = vec![0xff, 0xfb, 0x90, 0x64];
    frame.resize(417, 0);
    frame.repeat(10)
}

/// A FLAC file without audio frames, with Vorbis comments.
fn flac(comments: &[&str]) -> Vec<u8> {
    let mut info = vec![0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0];
    // 16 kHz, one channel, 16 bits, 16,000 samples.
    info.extend(((16_000u64 << 44) | (15 << 36) | 16_000).to_be_bytes());
    info.extend([0; 16]);
    let text = |text: &str| [&(text.len() as u32).to_le_bytes(), text.as_bytes()].concat();
    let mut block = text("by hand");
    block.extend((comments.len() as u32).to_le_bytes());
    block.extend(comments.iter().flat_map(|comment| text(comment)));
    let length = |n: usize| [(n >> 16) as u8, (n >> 8) as u8, n as u8];
    [b"fLaC".as_slice(), &[0], &length(info.len()), &info, &[0x84], &length(block.len()), &block]
        .concat()
}

/// A WAV of one second of silence with a RIFF INFO list.
fn wav(items: &[(&str, &[u8])]) -> Vec<u8> {
    let chunk = |id: &str, body: &[u8]| {
        let mut bytes = [id.as_bytes(), &(body.len() as u32).to_le_bytes(), body].concat();
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    };
    let format = [1, 0, 1, 0, 0x80, 0x3e, 0, 0, 0, 0x7d, 0, 0, 2, 0, 16, 0];
    let items = items.iter().flat_map(|(id, text)| chunk(id, &[text, b"\0".as_slice()].concat()));
    let list = [b"INFO".to_vec(), items.collect()].concat();
    let body = [
        b"WAVE".to_vec(),
        chunk("fmt ", &format),
        chunk("data", &[0; 32_000]),
        chunk("LIST", &list),
    ];
    chunk("RIFF", &body.concat())
}

fn read_bytes(name: &str, bytes: &[u8]) -> Tags {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    read(&path)
}

/// Reads the tags of a copy of one of the runtime's test files, to which `write` adds tags.
fn read_copy(name: &str, write: impl Fn(&Path)) -> Tags {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    let from =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runtime/tests/data/audio").join(name);
    std::fs::copy(from, &path).unwrap();
    write(&path);
    read(&path)
}

/// The tags that each format below has, as far as it supports them.
fn full() -> Tags {
    Tags {
        artist: Some("Sigur Rós".into()),
        album_artist: Some("Ýmsir".into()),
        album: Some("Ágætis byrjun".into()),
        title: Some("Svefn-g-englar".into()),
        track: Some(2),
        genres: vec!["Rock".into(), "Ambient".into()],
        compilation: true,
        seconds: None,
        unreadable: None,
    }
}

fn check(tags: Tags, expected: &Tags, what: &str) {
    assert_eq!(Tags { seconds: None, ..tags }, *expected, "{what}");
}

const FRAMES: [(&str, &str); 7] = [
    ("TPE1", "Sigur Rós"),
    ("TPE2", "Ýmsir"),
    ("TALB", "Ágætis byrjun"),
    ("TIT2", "Svefn-g-englar"),
    ("TRCK", "2/10"),
    ("TCON", "Rock;Ambient"),
    ("TCMP", "1"),
];

#[test]
fn id3v2_is_read_in_both_versions_and_every_encoding() {
    use Encoding::{Latin1, Utf8, Utf16, Utf16BigEndian};
    for (version, encoding, what) in [
        (3, Latin1, "2.3, Latin-1"),
        (3, Utf16, "2.3, UTF-16"),
        (4, Latin1, "2.4, Latin-1"),
        (4, Utf16, "2.4, UTF-16"),
        (4, Utf16BigEndian, "2.4, UTF-16BE"),
        (4, Utf8, "2.4, UTF-8"),
    ] {
        let file = [id3v2(version, encoding, &FRAMES), mp3()].concat();
        check(read_bytes("a.mp3", &file), &full(), what);
    }
    let beyond = id3v2(3, Utf16, &[("TPE1", "椎名林檎 🎸"), ("TCON", "(17)")]);
    let tags = read_bytes("a.mp3", &[beyond, mp3()].concat());
    assert_eq!(
        (tags.artist.as_deref(), tags.genres),
        (Some("椎名林檎 🎸"), vec!["Rock".to_owned()])
    );
}

#[test]
fn id3v1_is_read_and_fills_in_what_id3v2_lacks() {
    let v1 = id3v1("Svefn-g-englar", "Sigur Rós", "Ágætis byrjun", 2, 17);
    let expected =
        Tags { album_artist: None, compilation: false, genres: vec!["Rock".into()], ..full() };
    check(read_bytes("a.mp3", &[mp3(), v1.clone()].concat()), &expected, "ID3v1");
    let v2 =
        id3v2(4, Encoding::Utf8, &[("TIT2", "Svefn-g-englar (long title that ID3v1 would cut)")]);
    let both = read_bytes("a.mp3", &[v2, mp3(), v1].concat());
    assert_eq!(both.title.as_deref(), Some("Svefn-g-englar (long title that ID3v1 would cut)"));
    assert_eq!((both.artist.as_deref(), both.track), (Some("Sigur Rós"), Some(2)));
}

#[test]
fn vorbis_comments_are_read_in_flac_and_in_ogg() {
    let comments = [
        ("artist", "Sigur Rós"),
        ("ALBUMARTIST", "Ýmsir"),
        ("Album", "Ágætis byrjun"),
        ("TITLE", "Svefn-g-englar"),
        ("TRACKNUMBER", "02"),
        ("GENRE", "Rock"),
        ("GENRE", "Ambient"),
        ("COMPILATION", "1"),
    ];
    let lines = comments.map(|(key, text)| format!("{key}={text}"));
    let tags = read_bytes("a.flac", &flac(&lines.each_ref().map(String::as_str)));
    assert_eq!(tags.seconds, Some(1.0));
    check(tags, &full(), "FLAC");
    for name in ["mono.ogg", "mono.opus"] {
        let tags = read_copy(name, |path| {
            let mut tag = VorbisComments::new();
            comments.iter().for_each(|(key, text)| tag.push((*key).into(), (*text).into()));
            tag.save_to_path(path, WriteOptions::default()).unwrap();
        });
        check(tags, &full(), name);
    }
}

#[test]
fn mp4_and_riff_info_are_read() {
    let tags = read_copy("lc.m4a", |path| {
        let mut tag = Tag::new(TagType::Mp4Ilst);
        for (key, text) in [
            (ItemKey::TrackArtist, "Sigur Rós"),
            (ItemKey::AlbumArtist, "Ýmsir"),
            (ItemKey::AlbumTitle, "Ágætis byrjun"),
            (ItemKey::TrackTitle, "Svefn-g-englar"),
            (ItemKey::TrackNumber, "2"),
            (ItemKey::TrackTotal, "10"),
            (ItemKey::Genre, "Rock;Ambient"),
            (ItemKey::FlagCompilation, "1"),
        ] {
            assert!(tag.insert_text(key, text.to_owned()), "{key:?}");
        }
        tag.save_to_path(path, WriteOptions::default()).unwrap();
    });
    check(tags, &full(), "MP4");
    let tags = read_bytes(
        "a.wav",
        &wav(&[
            ("IART", "Sigur Rós".as_bytes()),
            ("IPRD", "Ágætis byrjun".as_bytes()),
            ("INAM", b"Svefn-g-englar"),
            ("IPRT", b"2"),
            ("IGNR", b"Rock;Ambient"),
        ]),
    );
    assert_eq!(tags.seconds, Some(1.0));
    check(tags, &Tags { album_artist: None, compilation: false, ..full() }, "RIFF INFO");
}

#[test]
fn the_first_of_several_artists_is_used() {
    let artist = |tags: Tags| tags.artist.unwrap();
    let mp3_of = |version, encoding, text| {
        artist(read_bytes("a.mp3", &[id3v2(version, encoding, &[("TPE1", text)]), mp3()].concat()))
    };
    assert_eq!(mp3_of(4, Encoding::Utf8, "Queen\0David Bowie"), "Queen");
    assert_eq!(mp3_of(4, Encoding::Utf16BigEndian, "Queen\0David Bowie"), "Queen");
    assert_eq!(mp3_of(4, Encoding::Utf8, "\0Queen\0"), "Queen");
    assert_eq!(mp3_of(4, Encoding::Utf8, "Queen feat. David Bowie"), "Queen feat. David Bowie");
    // A slash separates values in ID3v2.3, but it is also part of names.
    assert_eq!(mp3_of(3, Encoding::Latin1, "AC/DC"), "AC/DC");
    let repeated = flac(&["ARTIST=Queen", "ARTIST=David Bowie"]);
    assert_eq!(artist(read_bytes("a.flac", &repeated)), "Queen");
    assert_eq!(
        artist(read_bytes("a.flac", &flac(&["ARTIST=", "ARTIST=David Bowie"]))),
        "David Bowie"
    );
}

#[test]
fn the_compilation_flag_is_read() {
    for (flag, is_one) in [("1", true), ("0", false), ("", false), ("true", true)] {
        let file = flac(&["ARTIST=A", &format!("COMPILATION={flag}")]);
        assert_eq!(read_bytes("a.flac", &file).compilation, is_one, "{flag}");
    }
    for (flag, is_one) in [("1", true), ("0", false)] {
        let tag = id3v2(3, Encoding::Latin1, &[("TCMP", flag)]);
        assert_eq!(read_bytes("a.mp3", &[tag, mp3()].concat()).compilation, is_one, "{flag}");
    }
}

/// A frame of ID3v2.3 with any content.
fn frame(id: &str, body: &[u8]) -> Vec<u8> {
    [id.as_bytes(), &(body.len() as u32).to_be_bytes(), &[0, 0], body].concat()
}

/// An MP3 with these frames of ID3v2.3.
fn mp3_with(frames: &[Vec<u8>]) -> Vec<u8> {
    let body = frames.concat();
    let size = [(body.len() >> 7) as u8, (body.len() & 0x7f) as u8];
    [b"ID3\x03\0\0\0\0".as_slice(), &size, &body, &mp3()].concat()
}

/// An Ogg stream of these packets, each in a page of its own.
fn ogg(packets: &[Vec<u8>]) -> Vec<u8> {
    let page = |packet: &Vec<u8>| {
        let mut lengths = vec![255; packet.len() / 255];
        lengths.push((packet.len() % 255) as u8);
        let mut page = b"OggS\0\0".to_vec();
        page.extend([0; 20]);
        page.push(lengths.len() as u8);
        [page, lengths, packet.clone()].concat()
    };
    packets.iter().flat_map(page).collect()
}

/// FLAC in Ogg: the metadata blocks of `flac` as packets.
fn ogg_flac(comments: &[&str]) -> Vec<u8> {
    let file = flac(comments);
    let (info, block) = file.split_at(4 + 4 + 34);
    ogg(&[[b"\x7fFLAC\x01\0\0\x01", info].concat(), block.to_vec()])
}

#[test]
fn what_is_wrong_beside_an_artist_does_not_lose_it() {
    let artist = frame("TPE1", b"\0Right");
    let genre = frame("TCON", b"\0Rock");
    for (what, wrong) in [
        ("a title of half a UTF-16 unit", frame("TIT2", b"\x01\xff\xfeT\0\0")),
        ("a comment cut short", frame("COMM", b"\0en")),
        ("a title in an encoding that does not exist", frame("TIT2", b"\x09Title")),
        ("an artist in UTF-16 with half a unit", frame("TPE1", b"\x01\xff\xfeR\0i\0\0")),
    ] {
        let tags = read_bytes("a.mp3", &mp3_with(&[wrong, artist.clone()]));
        assert!(tags.artist.is_some_and(|name| name.starts_with('R')), "{what}");
        assert_eq!(tags.unreadable, None, "{what}");
        assert!(tags.seconds.is_some(), "{what}");
    }
    let date = frame("TDRC", b"\0sometime");
    let tags = read_bytes("a.mp3", &mp3_with(&[date, artist.clone(), genre.clone()]));
    assert_eq!((tags.artist.as_deref(), tags.genres), (Some("Right"), vec!["Rock".to_owned()]));
    let mut no_sound = mp3_with(&[artist, genre]);
    no_sound.truncate(no_sound.len() - mp3().len());
    let tags = read_bytes("a.mp3", &no_sound);
    assert_eq!((tags.artist.as_deref(), tags.genres), (Some("Right"), vec!["Rock".to_owned()]));
}

#[test]
fn containers_that_the_library_does_not_know_are_read() {
    let names = |tags: Tags| (tags.artist, tags.title, tags.track, tags.unreadable);
    let right = (Some("Right".to_owned()), Some("T".to_owned()), Some(3), None);
    let comments = ["ARTIST=Right", "title=T", "TRACKNUMBER=3/9"];
    assert_eq!(names(read_bytes("a.oga", &ogg_flac(&comments))), right);
    // Longer than a page's segment of 255 bytes.
    let long = format!("COMMENT={}", "x".repeat(1000));
    let comments = [long.as_str(), "ARTIST=Right", "title=T", "TRACKNUMBER=3/9"];
    assert_eq!(names(read_bytes("a.oga", &ogg_flac(&comments))), right);

    // The first item has an odd length.
    let mut wave = wav(&[("ISFT", b"Lavf"), ("IART", b"Right"), ("INAM", b"T"), ("IPRT", b"3")]);
    let riff_size = wave[4..8].to_vec();
    wave[4..8].fill(0xff);
    assert_eq!(names(read_bytes("piped.wav", &wave)), right);
    // RF64 has its sizes in a chunk of its own.
    let data = wave.windows(4).position(|id| id == b"data").unwrap();
    wave[data + 4..data + 8].fill(0xff);
    let mut sizes = b"ds64\x1c\0\0\0".to_vec();
    sizes.extend(riff_size);
    sizes.extend([0; 4]);
    sizes.extend(32_000u64.to_le_bytes());
    sizes.extend([0; 12]);
    for magic in [b"RF64", b"BW64"] {
        let file = [magic, &wave[4..12], &sizes, &wave[12..]].concat();
        assert_eq!(names(read_bytes("a.wav", &file)), right);
    }
}

#[test]
fn an_artist_beside_a_damaged_tag_of_another_kind_is_read() {
    let damaged = mp3_with(&[frame("COMM", b"\0en")]);
    let id3 = |frames: &[Vec<u8>]| {
        let file = mp3_with(frames);
        file[..file.len() - mp3().len()].to_vec()
    };
    let chunk = |id: &str, body: &[u8]| {
        let mut bytes = [id.as_bytes(), &(body.len() as u32).to_be_bytes(), body].concat();
        bytes.resize(bytes.len().next_multiple_of(2), 0);
        bytes
    };
    let aiff = [
        b"AIFF".to_vec(),
        chunk("ID3 ", &id3(&[frame("COMM", b"\0en")])),
        chunk("AUTH", b"Right"),
        chunk("NAME", b"T"),
    ];
    let mut wave = wav(&[]);
    let tag = id3(&[frame("COMM", b"\0en"), frame("TPE1", b"\0Right"), frame("TIT2", b"\0T")]);
    wave.extend([b"id3 ".as_slice(), &(tag.len() as u32).to_le_bytes(), &tag].concat());
    let size = wave.len() as u32 - 8;
    wave[4..8].copy_from_slice(&size.to_le_bytes());
    for (name, file) in [
        ("a.mp3", [damaged, id3v1("T", "Right", "", 0, 255)].concat()),
        ("b.aiff", chunk("FORM", &aiff.concat())),
        ("c.wav", wave),
        ("d.flac", [id3(&[frame("COMM", b"\0en")]), flac(&["ARTIST=Right", "TITLE=T"])].concat()),
    ] {
        let tags = read_bytes(name, &file);
        assert_eq!(
            (tags.artist.as_deref(), tags.title.as_deref()),
            (Some("Right"), Some("T")),
            "{name}"
        );
    }
}

#[test]
fn tags_that_nobody_can_read_are_told_from_no_tags() {
    let ape = [b"APETAGEX".as_slice(), &[0xd0, 7, 0, 0, 0xff, 0xff, 0xff, 0x7f], &[0; 16]].concat();
    let atom = |id: &[u8; 4], body: &[u8]| {
        [&(body.len() as u32 + 8).to_be_bytes(), id.as_slice(), body].concat()
    };
    let list = atom(b"ilst", b"\0\0\x7f\xff\xa9ART");
    let meta = atom(b"meta", &[b"\0\0\0\0", list.as_slice()].concat());
    let mp4 = [atom(b"ftyp", b"M4A \0\0\0\0"), atom(b"moov", &atom(b"udta", &meta))].concat();
    let mut cut_off = flac(&["ARTIST=Right"]);
    cut_off.truncate(cut_off.len() - 2);
    for (name, file, kind) in [
        ("a.mp3", mp3_with(&[frame("TPE1", b"\x09Right")]), "ID3v2"),
        ("b.mp3", [b"ID3\x03\0\0\0\x7f\0\0".as_slice(), &mp3()[..100]].concat(), "ID3v2"),
        ("c.wav", wav(&[("IART", b"Bj\xf6rk")]), "RIFF INFO"),
        ("d.flac", cut_off, "Vorbis comments"),
        (
            "e.oga",
            ogg(&[b"\x7fFLAC".to_vec(), b"\x84\0\0\x04\xff\0\0\0".to_vec()]),
            "Vorbis comments",
        ),
        ("f.m4a", mp4, "MP4"),
        ("g.mp3", [b"no sound".repeat(20), ape].concat(), "APE"),
    ] {
        let tags = read_bytes(name, &file);
        assert_eq!((tags.artist, tags.unreadable), (None, Some(kind)), "{name}");
    }
    for (name, file) in [
        ("a.mp3", mp3()),
        ("b.mp3", mp3_with(&[frame("TIT2", b"\0Title")])),
        // A damaged comment, but all fields that matter, then padding.
        ("b2.mp3", mp3_with(&[frame("COMM", b"\0en"), frame("TIT2", b"\0Title"), vec![0; 47]])),
        ("c.wav", wav(&[("INAM", b"Title")])),
        ("d.flac", flac(&["TITLE=T"])),
        ("e.oga", ogg_flac(&["TITLE=T"])),
        ("f.mp3", b"a text file with the extension of music\n".repeat(50)),
    ] {
        assert_eq!(read_bytes(name, &file).unreadable, None, "{name}");
    }
    let tags = read_copy("lc.m4a", |path| {
        let mut tag = Tag::new(TagType::Mp4Ilst);
        assert!(tag.insert_text(ItemKey::TrackTitle, "Title".to_owned()));
        tag.save_to_path(path, WriteOptions::default()).unwrap();
    });
    assert_eq!((tags.title.as_deref(), tags.unreadable), (Some("Title"), None));
}

#[test]
fn an_artist_beside_a_damaged_comment_is_read_in_every_version_of_id3v2() {
    // Each artist is "Aÿ" in UTF-16 or Latin-1; unsynchronisation puts a zero after 0xFF.
    let tag = |version: u8, flags: u8, body: &[u8]| {
        [b"ID3", [version, 0, flags, 0, 0, 0, body.len() as u8].as_slice(), body, &mp3()].concat()
    };
    for (what, file) in [
        ("2.2", tag(2, 0, b"COM\0\0\x03\0enTP1\0\0\x03\0A\xff")),
        ("2.3, unsynchronised", {
            tag(3, 0x80, b"COMM\0\0\0\x03\0\0\0enTPE1\0\0\0\x07\0\0\x01\xff\0\xfeA\0\xff\0\0")
        }),
        ("2.3, extended header", {
            tag(3, 0x40, b"\0\0\0\x06\0\0\0\0\0\0COMM\0\0\0\x03\0\0\0enTPE1\0\0\0\x03\0\0\0A\xff")
        }),
        ("2.4, one frame unsynchronised", {
            tag(4, 0, b"COMM\0\0\0\x03\0\0\0enTPE1\0\0\0\x09\0\x02\x01\xff\0\xfeA\0\xff\0\0")
        }),
        ("2.4, padded", tag(4, 0, b"COMM\0\0\0\x03\0\0\0enTPE1\0\0\0\x03\0\0\0A\xff\0\0\0\0\0\0")),
    ] {
        let tags = read_bytes("a.mp3", &file);
        assert_eq!((tags.artist.as_deref(), tags.unreadable), (Some("Aÿ"), None), "{what}");
    }
}
