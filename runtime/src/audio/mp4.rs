//! What an MP4 file's edit list says of its sound: where it begins after the encoder's delay and how long it lasts.
//!
//! symphonia reads MP4 but does not act on edit lists, and an AAC encoder's delay (1,024 to 2,112 samples) would be heard
//! as silence. Only the common list of one stretch of sound is acted on; whatever is unusual is left alone.
//! ISO/IEC 14496-12, 8.6.6.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

/// Boxes looked at before a file is given up; a movie has dozens.
const PATIENCE: usize = 4096;

/// The stretch of a sound track that is meant to be heard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edit {
    /// Seconds dropped at the start.
    pub(super) start: f64,
    /// Seconds heard; 0 for all there are.
    pub(super) length: f64,
}

/// The edit of the sound track with the given track number; `None` where the file is no MP4 or has none.
pub(super) fn edit(file: &mut File, track: u32) -> Option<Edit> {
    let end = file.seek(SeekFrom::End(0)).ok()?;
    let mut patience = PATIENCE;
    let (kind, ..) = boxes(file, 0, end, &mut patience)?.into_iter().next()?;
    if kind != *b"ftyp" {
        return None;
    }
    let (movie, movie_end) = child(file, 0, end, b"moov", &mut patience)?;
    let (header, _) = child(file, movie, movie_end, b"mvhd", &mut patience)?;
    let movie_scale = time_scale(file, header)?;
    for (kind, start, end) in boxes(file, movie, movie_end, &mut patience)? {
        if kind != *b"trak" {
            continue;
        }
        let (header, _) = child(file, start, end, b"tkhd", &mut patience)?;
        // Version 1 has 64-bit times before the number.
        let number = if version(file, header)? == 1 { header + 20 } else { header + 12 };
        if u32_at(file, number)? != track {
            continue;
        }
        let (media, media_end) = child(file, start, end, b"mdia", &mut patience)?;
        let (header, _) = child(file, media, media_end, b"mdhd", &mut patience)?;
        let media_scale = time_scale(file, header)?;
        let (edits, edits_end) = child(file, start, end, b"edts", &mut patience)?;
        let (list, _) = child(file, edits, edits_end, b"elst", &mut patience)?;
        return one_entry(file, list, movie_scale, media_scale);
    }
    None
}

/// The edit of a list of one entry.
fn one_entry(file: &mut File, list: u64, movie_scale: f64, media_scale: f64) -> Option<Edit> {
    if u32_at(file, list + 4)? != 1 {
        return None;
    }
    let (length, start) = if version(file, list)? == 1 {
        (u64_at(file, list + 8)?, i64::from_be_bytes(bytes(file, list + 16)?))
    } else {
        let start = i32::from_be_bytes(bytes(file, list + 12)?);
        (u64::from(u32_at(file, list + 8)?), i64::from(start))
    };
    // −1 marks silence instead of sound.
    (start >= 0)
        .then(|| Edit { start: start as f64 / media_scale, length: length as f64 / movie_scale })
}

/// Ticks per second of a `mvhd` or `mdhd`.
fn time_scale(file: &mut File, header: u64) -> Option<f64> {
    let at = if version(file, header)? == 1 { header + 20 } else { header + 12 };
    match u32_at(file, at)? {
        0 => None,
        scale => Some(f64::from(scale)),
    }
}

/// The content of the first box of a kind among those between two positions.
fn child(
    file: &mut File,
    start: u64,
    end: u64,
    kind: &[u8; 4],
    patience: &mut usize,
) -> Option<(u64, u64)> {
    let found = boxes(file, start, end, patience)?.into_iter().find(|(of, ..)| of == kind)?;
    Some((found.1, found.2))
}

/// Kind, start and end of the content of each box between two positions.
fn boxes(
    file: &mut File,
    start: u64,
    end: u64,
    patience: &mut usize,
) -> Option<Vec<([u8; 4], u64, u64)>> {
    let mut found = Vec::new();
    let mut at = start;
    while at + 8 <= end {
        *patience = patience.checked_sub(1)?;
        let size = u32_at(file, at)?;
        let kind = bytes(file, at + 4)?;
        let (header, size) = match size {
            0 => (8, end - at),
            1 => (16, u64_at(file, at + 8)?),
            size => (8, u64::from(size)),
        };
        let next = at.checked_add(size)?;
        if size < header || next > end {
            return None;
        }
        found.push((kind, at + header, next));
        at = next;
    }
    Some(found)
}

fn version(file: &mut File, header: u64) -> Option<u8> {
    bytes::<1>(file, header).map(|[version]| version)
}

fn u32_at(file: &mut File, at: u64) -> Option<u32> {
    bytes(file, at).map(u32::from_be_bytes)
}

fn u64_at(file: &mut File, at: u64) -> Option<u64> {
    bytes(file, at).map(u64::from_be_bytes)
}

fn bytes<const N: usize>(file: &mut File, at: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    file.seek(SeekFrom::Start(at)).ok()?;
    file.read_exact(&mut bytes).ok()?;
    Some(bytes)
}
