//! WAV, RF64 and AIFF: files of chunks, each with its size, whose sizes are often wrong or were never known.
//!
//! A program that writes to a pipe, or stops in the middle, leaves 0 or the largest number in place of sizes; editors
//! forget the outer one. The audio is therefore found by its own chunk and by the bytes that are there, and the demuxer
//! is given sizes that fit. RF64, the WAV of more than 4 GB, is presented as WAV: its sizes of 32 bits are meaningless,
//! and those of 64 bits are in a chunk of their own, `ds64`, before all others. EBU Tech 3306; ITU-R BS.2088 calls the
//! same format BW64.

use std::io;

use super::stream::{Stream, bytes_at};

/// Most chunks examined before the audio data.
const MOST_CHUNKS: usize = 1024;
/// Sizes of 32 bits from here on stand for an unknown length, as do those just below 2³¹: writers of streams subtract
/// their header from the largest signed or unsigned number.
const UNKNOWN: [std::ops::RangeInclusive<u32>; 2] =
    [0xffff_ff00..=u32::MAX, 0x7fff_ff00..=0x8000_0000];
/// In place of a 32-bit size: unknown to the demuxer, which then reads to the end.
const TO_THE_END: u32 = u32::MAX;

/// What the demuxer needs to read such a file.
pub(super) struct Outline {
    /// Bytes to present in place of others, and their positions.
    pub(super) patches: Vec<(u64, Vec<u8>)>,
    /// Where the audio data begins and ends; other chunks may follow.
    pub(super) data: u64,
    pub(super) end: u64,
    /// The WAV's format tag.
    pub(super) format: u16,
    /// Whether a size is wrong: it cannot be that of the bytes that are there, although they are not cut off.
    pub(super) wrong_size: bool,
    /// Whether the audio data is known to be cut off here, because the demuxer is not given the size that says so.
    pub(super) cut: bool,
    /// Whether the demuxer reads to the end because it is given no size, and takes that for a file that is cut off.
    pub(super) to_the_end: bool,
}

/// WAVE's format tags for MPEG audio: frames that need no WAV around them (RFC 2361).
pub(super) const MPEG: [u16; 2] = [0x0050, 0x0055];

/// The outline of the WAV or RF64 file between two positions of a stream; `None` if it has no audio data.
pub(super) fn wave(
    stream: &mut Box<dyn Stream>,
    start: u64,
    end: u64,
) -> io::Result<Option<Outline>> {
    let stated = bytes_at(stream, start + 4)?.map_or(0, u32::from_le_bytes);
    // Under the name of a WAV of unknown size, in which the demuxer compares no chunk with the whole.
    let mut patches = vec![(start, b"RIFF\xff\xff\xff\xff".to_vec())];
    let mut at = start + 12;
    let (mut long, mut format) = (None, 0);
    for _ in 0..MOST_CHUNKS {
        let Some((name, size)) = chunk(stream, at, u32::from_le_bytes)? else { break };
        match &name {
            // The size of the file, then that of the audio data.
            b"ds64" => long = bytes_at(stream, at + 16)?.map(u64::from_le_bytes),
            b"fmt " => format = bytes_at(stream, at + 8)?.map_or(0, u16::from_le_bytes),
            b"data" => {
                let data = at + 8;
                let there = end.saturating_sub(data);
                let unwritten = size == 0 && there > 0 && !chunks_follow(stream, data, end)?;
                let size = match long {
                    _ if unwritten => there,
                    // A length that was never written is unknown in 64 bits too.
                    Some(long @ 1..=0xffff_ffff_ffff_fffe) if size == u32::MAX => long,
                    _ if is_unknown(size) => there,
                    _ => u64::from(size),
                };
                // Beyond what 32 bits hold, the demuxer reads to the end, which lies behind the audio data.
                let short = u32::try_from(size).ok().filter(|size| !is_unknown(*size));
                patches.push((at + 4, short.unwrap_or(TO_THE_END).to_le_bytes().to_vec()));
                let whole = size <= there;
                let sound = data.saturating_add(size);
                let misplaced = !is_unknown(stated) && {
                    let outer = start + 8 + u64::from(stated);
                    outer < sound || outer > end + 1
                };
                let (end, to_the_end) = (sound.min(end), short.is_none());
                let wrong_size = unwritten || (whole && misplaced);
                let cut = to_the_end && !whole;
                return Ok(Some(Outline {
                    patches,
                    data,
                    end,
                    format,
                    wrong_size,
                    cut,
                    to_the_end,
                }));
            }
            _ => {}
        }
        // Chunks begin at even positions.
        at += 8 + u64::from(size).next_multiple_of(2);
    }
    Ok(None)
}

/// The outline of the AIFF file between two positions of a stream; `None` if it has no audio data.
pub(super) fn aiff(
    stream: &mut Box<dyn Stream>,
    start: u64,
    end: u64,
) -> io::Result<Option<Outline>> {
    let stated = u64::from(bytes_at(stream, start + 4)?.map_or(0, u32::from_be_bytes));
    let mut patches = Vec::new();
    let mut at = start + 12;
    let (mut sound, mut unwritten) = (None, false);
    for _ in 0..MOST_CHUNKS {
        let Some((name, size)) = chunk(stream, at, u32::from_be_bytes)? else { break };
        let there = end.saturating_sub(at + 8);
        let mut length = u64::from(size);
        if &name == b"SSND" {
            if is_unknown(size) || (size == 0 && there > 0 && !chunks_follow(stream, at + 8, end)?)
            {
                unwritten = size == 0;
                length = there;
                let short = u32::try_from(there).unwrap_or(TO_THE_END);
                patches.push((at + 4, short.to_be_bytes().to_vec()));
            }
            sound = Some((at + 8, length));
            if length > there {
                // The demuxer would skip it to look for further chunks.
                patches.push((at + 4, (there as u32).to_be_bytes().to_vec()));
                at = end;
                break;
            }
        }
        let next = (at + 8).saturating_add(length.next_multiple_of(2));
        // Only what is there whole: the demuxer reads all chunks first.
        if next > end + 1 {
            break;
        }
        at = next;
        if at >= end {
            break;
        }
    }
    let Some((data, length)) = sound else { return Ok(None) };
    let inner = at.saturating_sub(start + 8);
    let sound_end = data.saturating_add(length);
    let whole = sound_end <= end;
    let wrong_size = unwritten
        || (whole && stated < sound_end.saturating_sub(start + 8))
        || (whole && start + 8 + stated > end + 1);
    let outer = u32::try_from(inner).unwrap_or(TO_THE_END);
    patches.push((start + 4, outer.to_be_bytes().to_vec()));
    let (format, cut, to_the_end) = (0, !whole, false);
    Ok(Some(Outline { patches, data, end, format, wrong_size, cut, to_the_end }))
}

fn is_unknown(size: u32) -> bool {
    UNKNOWN.iter().any(|range| range.contains(&size))
}

/// A chunk's name and size; `None` at the end.
fn chunk(
    stream: &mut Box<dyn Stream>,
    at: u64,
    number: fn([u8; 4]) -> u32,
) -> io::Result<Option<([u8; 4], u32)>> {
    let Some([a, b, c, d, size @ ..]) = bytes_at::<8>(stream, at)? else { return Ok(None) };
    Ok(Some(([a, b, c, d], number(size))))
}

/// Whether the bytes from `at` to `end` look like a chunk with a printable name rather than samples.
fn chunks_follow(stream: &mut Box<dyn Stream>, at: u64, end: u64) -> io::Result<bool> {
    let Some(header) = bytes_at::<8>(stream, at)? else { return Ok(false) };
    let [a, b, c, d, size @ ..] = header;
    let named = [a, b, c, d].iter().all(|byte| (0x20..0x7f).contains(byte));
    let fits = |size: u32| at + 8 + u64::from(size) <= end;
    Ok(named && (fits(u32::from_le_bytes(size)) || fits(u32::from_be_bytes(size))))
}
