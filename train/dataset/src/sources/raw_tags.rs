//! Reads tags that the tag library refuses: those of containers it does not know (FLAC in Ogg, RF64), and those of
//! files that are damaged elsewhere. Also says where tags exist that cannot be read.
//!
//! Lengths come from files that nobody vouches for: each is checked against a limit before memory is taken.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

/// Larger blocks of tags are not read; FLAC allows 16 MiB.
const MAX_BLOCK: u64 = 16 << 20;

/// Chunks, blocks and pages that are walked over before the search ends.
const MAX_STEPS: usize = 20_000;

/// A field of a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    Artist,
    AlbumArtist,
    Album,
    Title,
    Track,
    Genre,
    Compilation,
}

/// The tags of one file.
#[derive(Debug, Default, PartialEq)]
pub(super) struct RawTags {
    /// Fields in the order of the file; their text is not yet trimmed.
    pub(super) fields: Vec<(Field, String)>,
    /// A kind of tags that is there and damaged, or whose artist is not in the encoding that it states.
    pub(super) damaged: Option<&'static str>,
    /// A kind of tags that is there and that this reader does not know.
    pub(super) unknown: Option<&'static str>,
}

/// Reads the tags of `path`; what cannot be read at all has none.
pub(super) fn read(path: &Path) -> RawTags {
    let mut tags = RawTags::default();
    let Ok(file) = File::open(path) else { return tags };
    let Ok(length) = file.metadata().map(|metadata| metadata.len()) else { return tags };
    let mut file = Reader { file: BufReader::new(file), length };
    // The end of the file ends the search; a block of tags that is cut off has been marked as damaged.
    let _ = at_start(&mut file, &mut tags);
    let _ = at_end(&mut file, &mut tags);
    tags
}

struct Reader {
    file: BufReader<File>,
    length: u64,
}

impl Reader {
    fn bytes<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        self.file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The next `length` bytes; an error where the file is shorter or the length is absurd.
    fn block(&mut self, length: u64) -> io::Result<Vec<u8>> {
        if length > MAX_BLOCK {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut block = Vec::new();
        self.file.by_ref().take(length).read_to_end(&mut block)?;
        if block.len() as u64 == length {
            Ok(block)
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    fn position(&mut self) -> io::Result<u64> {
        self.file.stream_position()
    }

    fn seek(&mut self, to: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(to)).map(|_| ())
    }
}

/// The tags of the container, and an ID3v2 tag before it.
fn at_start(file: &mut Reader, tags: &mut RawTags) -> io::Result<()> {
    let mut start = 0;
    let mut magic = file.bytes::<12>()?;
    if magic.starts_with(b"ID3") {
        let length = 10 + u64::from(sync_safe(&magic, 6));
        file.seek(0)?;
        id3v2_block(file, length, tags);
        start = length;
        file.seek(start)?;
        magic = file.bytes()?;
    }
    match &magic {
        [b'R', b'I', b'F', b'F', .., b'W', b'A', b'V', b'E']
        | [b'R', b'F', b'6', b'4', .., b'W', b'A', b'V', b'E']
        | [b'B', b'W', b'6', b'4', .., b'W', b'A', b'V', b'E'] => chunks(file, Order::Little, tags),
        [b'F', b'O', b'R', b'M', .., b'A', b'I', b'F', b'F' | b'C'] => {
            chunks(file, Order::Big, tags)
        }
        [b'f', b'L', b'a', b'C', ..] => flac(file, start + 4, tags),
        [b'O', b'g', b'g', b'S', ..] => ogg(file, start, tags),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => mp4(file, start, file.length, tags),
        _ => Ok(()),
    }
}

/// The tags that programs put behind the sound.
fn at_end(file: &mut Reader, tags: &mut RawTags) -> io::Result<()> {
    let mut end = file.length;
    if let Some(at) = end.checked_sub(128) {
        file.seek(at)?;
        let block = file.bytes::<128>()?;
        if block.starts_with(b"TAG") {
            end = at;
            for (field, range) in
                [(Field::Title, 3..33), (Field::Artist, 33..63), (Field::Album, 63..93)]
            {
                let bytes = block.get(range).unwrap_or_default();
                tags.fields.push((field, latin1(bytes)));
            }
        }
    }
    if let Some(at) = end.checked_sub(32) {
        file.seek(at)?;
        if &file.bytes::<8>()? == b"APETAGEX" {
            tags.unknown = Some("APE");
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Order {
    Little,
    Big,
}

impl Order {
    fn u32(self, bytes: [u8; 4]) -> u32 {
        match self {
            Order::Little => u32::from_le_bytes(bytes),
            Order::Big => u32::from_be_bytes(bytes),
        }
    }
}

/// The chunks of WAV, RF64 and AIFF.
fn chunks(file: &mut Reader, order: Order, tags: &mut RawTags) -> io::Result<()> {
    let mut sound_bytes = None;
    for _ in 0..MAX_STEPS {
        let id = file.bytes::<4>()?;
        let mut size = u64::from(order.u32(file.bytes()?));
        let start = file.position()?;
        match &id {
            b"ds64" => {
                file.bytes::<8>()?;
                sound_bytes = Some(u64::from_le_bytes(file.bytes()?));
            }
            b"data" if size == u64::from(u32::MAX) => size = sound_bytes.unwrap_or(size),
            b"LIST" if size >= 4 && &file.bytes::<4>()? == b"INFO" => match file.block(size - 4) {
                Ok(block) => riff_info(&block, tags),
                Err(_) => tags.damaged = Some("RIFF INFO"),
            },
            b"id3 " | b"ID3 " => id3v2_block(file, size, tags),
            b"NAME" | b"AUTH" => {
                let field = if &id == b"NAME" { Field::Title } else { Field::Artist };
                let block = file.block(size).ok();
                let text = block.and_then(|block| utf8(&block));
                push(tags, field, text, "AIFF text");
            }
            _ => {}
        }
        // Chunks start at even positions.
        file.seek(start.saturating_add(size).saturating_add(size % 2))?;
    }
    Ok(())
}

fn riff_info(mut block: &[u8], tags: &mut RawTags) {
    const KIND: &str = "RIFF INFO";
    while let Some((header, rest)) = block.split_at_checked(8) {
        let size = u32::from_le_bytes(
            header.get(4..8).and_then(|b| b.try_into().ok()).unwrap_or_default(),
        );
        let Some(text) = rest.get(..size as usize) else {
            tags.damaged = Some(KIND);
            return;
        };
        let field = match header.get(..4) {
            Some(b"IART") => Some(Field::Artist),
            Some(b"IPRD") => Some(Field::Album),
            Some(b"INAM") => Some(Field::Title),
            Some(b"IPRT" | b"ITRK") => Some(Field::Track),
            Some(b"IGNR") => Some(Field::Genre),
            _ => None,
        };
        if let Some(field) = field {
            push(tags, field, utf8(text), KIND);
        }
        block = rest.get(size as usize + size as usize % 2..).unwrap_or_default();
    }
}

/// The metadata blocks of FLAC, from `start`.
fn flac(file: &mut Reader, start: u64, tags: &mut RawTags) -> io::Result<()> {
    file.seek(start)?;
    for _ in 0..MAX_STEPS {
        let [kind, a, b, c] = file.bytes()?;
        let length = u64::from(u32::from_be_bytes([0, a, b, c]));
        let next = file.position()? + length;
        if kind & 0x7f == 4 {
            match file.block(length) {
                Ok(block) => vorbis_comments(&block, tags),
                Err(_) => tags.damaged = Some(VORBIS),
            }
        }
        if kind & 0x80 != 0 {
            break;
        }
        file.seek(next)?;
    }
    Ok(())
}

const VORBIS: &str = "Vorbis comments";

/// The header packets of the first stream in an Ogg file, from `start`.
fn ogg(file: &mut Reader, start: u64, tags: &mut RawTags) -> io::Result<()> {
    file.seek(start)?;
    let mut serial = None;
    let mut packet = Vec::new();
    let mut is_flac = false;
    let mut packets = 0;
    for _ in 0..MAX_STEPS {
        let header = file.bytes::<27>()?;
        let [b'O', b'g', b'g', b'S', .., segments] = header else { return Ok(()) };
        let lengths = file.block(u64::from(segments))?;
        let stream = header.get(14..18).map(<[u8]>::to_vec);
        let is_first_stream = *serial.get_or_insert_with(|| stream.clone()) == stream;
        for length in lengths {
            let segment = file.block(u64::from(length))?;
            if !is_first_stream {
                continue;
            }
            packet.extend(segment);
            if length == 255 {
                if packet.len() as u64 > MAX_BLOCK {
                    return Ok(());
                }
                continue;
            }
            packets += 1;
            if packets == 1 {
                is_flac = packet.starts_with(b"\x7fFLAC");
            } else if let Some(comments) = packet.strip_prefix(b"\x03vorbis") {
                vorbis_comments(comments, tags);
                return Ok(());
            } else if let Some(comments) = packet.strip_prefix(b"OpusTags") {
                vorbis_comments(comments, tags);
                return Ok(());
            } else if let (true, Some((header, block))) = (is_flac, packet.split_at_checked(4)) {
                let kind = header.first().copied().unwrap_or_default();
                if kind & 0x7f == 4 {
                    vorbis_comments(block, tags);
                }
                // The last block of metadata, or a frame of sound.
                if kind & 0x80 != 0 {
                    return Ok(());
                }
            } else {
                return Ok(());
            }
            packet.clear();
        }
    }
    Ok(())
}

fn vorbis_comments(block: &[u8], tags: &mut RawTags) {
    if read_vorbis_comments(block, tags).is_none() {
        tags.damaged = Some(VORBIS);
    }
}

/// `None` where the block ends too early.
fn read_vorbis_comments(block: &[u8], tags: &mut RawTags) -> Option<()> {
    let mut rest = block;
    text_of_length(&mut rest)?;
    for _ in 0..number(&mut rest)? {
        let comment = text_of_length(&mut rest)?;
        let Some(equals) = comment.iter().position(|byte| *byte == b'=') else { continue };
        let (key, text) = comment.split_at(equals);
        let field = match key.to_ascii_uppercase().as_slice() {
            b"ARTIST" => Field::Artist,
            b"ALBUMARTIST" | b"ALBUM ARTIST" => Field::AlbumArtist,
            b"ALBUM" => Field::Album,
            b"TITLE" => Field::Title,
            b"TRACKNUMBER" => Field::Track,
            b"GENRE" => Field::Genre,
            b"COMPILATION" => Field::Compilation,
            _ => continue,
        };
        push(tags, field, utf8(text.get(1..)?), VORBIS);
    }
    Some(())
}

fn number(rest: &mut &[u8]) -> Option<u32> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u32::from_le_bytes(*number))
}

fn text_of_length<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = number(rest)? as usize;
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(text)
}

/// Whether an MP4 file has a list of tags: `moov`, `udta`, `meta`, `ilst`, each within the one before it.
fn mp4(file: &mut Reader, start: u64, end: u64, tags: &mut RawTags) -> io::Result<()> {
    let (mut at, mut end) = (start, end);
    for _ in 0..MAX_STEPS {
        if at + 8 > end {
            break;
        }
        file.seek(at)?;
        let mut size = u64::from(u32::from_be_bytes(file.bytes()?));
        let id = file.bytes::<4>()?;
        let mut body = at + 8;
        if size == 1 {
            size = u64::from_be_bytes(file.bytes()?);
            body += 8;
        }
        let next = if size == 0 { end } else { at.saturating_add(size).min(end) };
        match &id {
            b"moov" | b"udta" => (at, end) = (body, next),
            // Four bytes of version and flags come first.
            b"meta" => (at, end) = (body + 4, next),
            b"ilst" if next > body => {
                tags.unknown = Some("MP4");
                break;
            }
            _ if next <= at => break,
            _ => at = next,
        }
    }
    Ok(())
}

const ID3V2: &str = "ID3v2";

/// An ID3v2 tag of `length` bytes with its header.
fn id3v2_block(file: &mut Reader, length: u64, tags: &mut RawTags) {
    let is_read = file.block(length).ok().and_then(|block| id3v2(&block, tags));
    if is_read.is_none() {
        tags.damaged = Some(ID3V2);
    }
}

/// `None` where the tag is not as its header says.
fn id3v2(tag: &[u8], tags: &mut RawTags) -> Option<()> {
    let (header, rest) = tag.split_first_chunk::<10>()?;
    let [b'I', b'D', b'3', version @ 2..=4, _, flags, ..] = header else { return None };
    let mut frames = rest.get(..sync_safe(header, 6) as usize)?.to_vec();
    let is_unsynchronised = flags & 0x80 != 0;
    if is_unsynchronised && *version < 4 {
        frames = synchronised(&frames);
    }
    let mut rest = frames.as_slice();
    if flags & 0x40 != 0 {
        let size = match version {
            2 => return None,
            3 => u32::from_be_bytes(*rest.first_chunk()?).checked_add(4)?,
            _ => sync_safe(rest, 0),
        };
        rest = rest.get(size as usize..)?;
    }
    let id_length = if *version == 2 { 3 } else { 4 };
    while let Some((id, after)) = rest.split_at_checked(id_length) {
        // Padding.
        if id.first() == Some(&0) {
            break;
        }
        let (size, flags, after) = match version {
            2 => {
                let (size, after) = after.split_first_chunk::<3>()?;
                (u32::from_be_bytes([0, size[0], size[1], size[2]]), 0, after)
            }
            _ => {
                let (header, after) = after.split_first_chunk::<6>()?;
                let size = if *version == 3 {
                    u32::from_be_bytes([header[0], header[1], header[2], header[3]])
                } else {
                    sync_safe(header, 0)
                };
                (size, header[5], after)
            }
        };
        let (body, after) = after.split_at_checked(size as usize)?;
        rest = after;
        let field = match id {
            b"TPE1" | b"TP1" => Field::Artist,
            b"TPE2" | b"TP2" => Field::AlbumArtist,
            b"TALB" | b"TAL" => Field::Album,
            b"TIT2" | b"TT2" => Field::Title,
            b"TRCK" | b"TRK" => Field::Track,
            b"TCMP" | b"TCP" => Field::Compilation,
            _ => continue,
        };
        let text = match (*version == 4, flags) {
            // The frame alone is unsynchronised.
            (true, 0x02) => text_frame(&synchronised(body)),
            (true, 0) if is_unsynchronised => text_frame(&synchronised(body)),
            (_, 0) => text_frame(body),
            // Compressed, encrypted or grouped.
            _ => None,
        };
        push(tags, field, text, ID3V2);
    }
    Some(())
}

/// Removes the zeros that keep a tag from looking like sound.
fn synchronised(bytes: &[u8]) -> Vec<u8> {
    let mut after_ff = false;
    let mut kept = bytes.to_vec();
    kept.retain(|byte| {
        let is_kept = !(after_ff && *byte == 0);
        after_ff = *byte == 0xff;
        is_kept
    });
    kept
}

/// The text of an ID3v2 frame: a byte for the encoding, then the text.
fn text_frame(body: &[u8]) -> Option<String> {
    let (encoding, text) = body.split_first()?;
    match (encoding, text) {
        (0, _) => Some(latin1(text)),
        (1, [0xff, 0xfe, text @ ..]) => utf16(text, u16::from_le_bytes),
        (1, [0xfe, 0xff, text @ ..]) | (2, text) => utf16(text, u16::from_be_bytes),
        (3, _) => utf8(text),
        _ => None,
    }
}

/// A half unit at the end, as some programs write, is dropped.
fn utf16(text: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    let units: Vec<u16> =
        text.chunks_exact(2).filter_map(|pair| pair.first_chunk().copied().map(unit)).collect();
    String::from_utf16(&units).ok()
}

fn utf8(text: &[u8]) -> Option<String> {
    std::str::from_utf8(text).ok().map(str::to_owned)
}

fn latin1(text: &[u8]) -> String {
    text.iter().take_while(|byte| **byte != 0).map(|byte| char::from(*byte)).collect()
}

/// A number of four bytes with seven bits each.
fn sync_safe(bytes: &[u8], at: usize) -> u32 {
    bytes.iter().skip(at).take(4).fold(0, |number, byte| number << 7 | u32::from(byte & 0x7f))
}

/// Adds a field; an artist without readable text is damage.
fn push(tags: &mut RawTags, field: Field, text: Option<String>, kind: &'static str) {
    match text {
        Some(text) => tags.fields.push((field, text)),
        None if matches!(field, Field::Artist | Field::AlbumArtist) => tags.damaged = Some(kind),
        None => {}
    }
}
