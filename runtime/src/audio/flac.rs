//! The header of a native FLAC file: without tags and pictures, and with block sizes that can be.

use std::io;

use super::stream::{Stream, bytes_at};

/// Most metadata blocks; files with more are left to the demuxer.
const MOST_BLOCKS: usize = 1024;
/// The smallest block size (RFC 9639, section 8.2).
const LEAST_BLOCK: u16 = 16;

/// The stream information of a FLAC file and where its frames begin; `None` if its blocks are invalid.
pub(super) fn frames(
    stream: &mut Box<dyn Stream>,
    start: u64,
    end: u64,
) -> io::Result<Option<([u8; 34], u64)>> {
    let mut information = None;
    let mut at = start + 4;
    for _ in 0..MOST_BLOCKS {
        let Some([kind, size @ ..]) = bytes_at::<4>(stream, at)? else { break };
        let size = size.iter().fold(0, |size, &byte| size << 8 | u64::from(byte));
        if kind & 0x7f == 0 && size == 34 {
            information = bytes_at(stream, at + 4)?;
        }
        at += 4 + size;
        if at > end {
            break;
        }
        if kind & 0x80 != 0 {
            return Ok(information.map(|information| (information, at)));
        }
    }
    Ok(None)
}

/// Replaces block sizes that cannot be by those of the first frame: they are hints, and every frame states its own.
/// Whether there was one.
pub(super) fn mend_block_sizes(
    stream: &mut Box<dyn Stream>,
    information: &mut [u8; 34],
    frames: u64,
) -> io::Result<bool> {
    let [a, b, c, d, ..] = *information;
    let (least, most) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    if least >= LEAST_BLOCK && least <= most {
        return Ok(false);
    }
    let header = bytes_at::<12>(stream, frames)?.unwrap_or_default();
    // Streams of one block size must state it twice; others number samples instead of frames.
    let (least, most) = match fixed_block_size(header) {
        Some(size) => (size, size),
        None => (LEAST_BLOCK, u16::MAX),
    };
    let sizes = [least.to_be_bytes(), most.to_be_bytes()].concat();
    information.iter_mut().zip(sizes).for_each(|(byte, size)| *byte = size);
    Ok(true)
}

/// The block size in the header of a frame whose stream has only one; RFC 9639, sections 9.1.1 and 9.1.6.
fn fixed_block_size(header: [u8; 12]) -> Option<u16> {
    let [0xff, 0xf8, sizes, _, number, ..] = header else { return None };
    let after = 4 + usize::from(number.leading_ones().clamp(1, 7) as u8);
    let byte = |place: usize| header.get(place).copied().map(u16::from);
    match sizes >> 4 {
        1 => Some(192),
        code @ 2..=5 => Some(576 << (code - 2)),
        6 => byte(after)?.checked_add(1),
        7 => (byte(after)? << 8 | byte(after + 1)?).checked_add(1),
        code @ 8..=15 => Some(256 << (code - 8)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn block_sizes_are_read_from_frame_headers() {
        for (sizes, rest, expected) in [
            (0x19, [0, 0, 0, 0, 0, 0, 0, 0], Some(192)),
            (0x39, [0, 0, 0, 0, 0, 0, 0, 0], Some(1152)),
            (0xc9, [0, 0, 0, 0, 0, 0, 0, 0], Some(4096)),
            (0x69, [0, 99, 0, 0, 0, 0, 0, 0], Some(100)),
            // A number of two bytes lies in front.
            (0x79, [0xc2, 0x80, 0x12, 0x33, 0, 0, 0, 0], Some(0x1234)),
            (0x79, [0, 0xff, 0xff, 0, 0, 0, 0, 0], None),
            (0x09, [0, 0, 0, 0, 0, 0, 0, 0], None),
        ] {
            let mut header = [0xff, 0xf8, sizes, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            header[4..].copy_from_slice(&rest);
            assert_eq!(fixed_block_size(header), expected, "{header:x?}");
            header[1] = 0xf9;
            assert_eq!(fixed_block_size(header), None, "a stream of several sizes");
        }
    }
}
