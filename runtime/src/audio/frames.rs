//! Finds where MPEG or ADTS frames begin that have no container.
//!
//! Two bytes of a frame's header occur by chance in any data, and so do four in a megabyte. Frames therefore count only
//! where several follow each other, each beginning where the one before it ends.

use std::io::{self, Read, Seek, SeekFrom};

use super::stream::Stream;

/// Frames that must follow each other, or as many as there are before the end.
const CHAIN: usize = 4;
/// Bytes that are searched at a time, and the most bytes of a chain beyond them: the longest frame of MPEG has 2,881
/// bytes, that of ADTS 8,191.
const WINDOW: usize = 1 << 16;
const REACH: usize = CHAIN * 8192;
/// Most bytes searched. Pictures and other data before the sound are smaller.
const MOST_SEARCHED: u64 = 16 << 20;

/// Where the first chain of frames begins between two positions of a stream.
pub(super) fn find(stream: &mut Box<dyn Stream>, start: u64, end: u64) -> io::Result<Option<u64>> {
    let last = end.min(start.saturating_add(MOST_SEARCHED));
    let mut at = start;
    let mut bytes = Vec::new();
    while at < last {
        let wanted = (end - at).min((WINDOW + REACH) as u64);
        stream.seek(SeekFrom::Start(at))?;
        bytes.clear();
        stream.as_mut().take(wanted).read_to_end(&mut bytes)?;
        let whole = at + bytes.len() as u64 >= end;
        let found = (0..bytes.len().min(WINDOW))
            .find(|&place| bytes.get(place..).is_some_and(|rest| is_chain(rest, whole)));
        if let Some(place) = found {
            return Ok(Some(at + place as u64));
        }
        at += WINDOW as u64;
    }
    Ok(None)
}

/// Whether frames follow each other from the first byte on. `whole` if the file ends with these bytes.
fn is_chain(bytes: &[u8], whole: bool) -> bool {
    let mut rest = bytes;
    let mut kind = None;
    for number in 0..CHAIN {
        let Some(frame) = Frame::read(rest) else {
            // Less than a header may be left at the end.
            return whole && number > 0 && rest.len() < 4;
        };
        if kind.is_some_and(|kind| kind != frame.kind) {
            return false;
        }
        kind = Some(frame.kind);
        match rest.get(frame.length..) {
            Some(more) => rest = more,
            // The last frame of a file is often incomplete.
            None => return whole && number > 0,
        }
    }
    true
}

/// A frame's header.
struct Frame {
    /// What all frames of one stream have in common.
    kind: [u8; 2],
    /// Bytes from its header to the next.
    length: usize,
}

impl Frame {
    fn read(bytes: &[u8]) -> Option<Self> {
        let &[0xff, version, rates, size, ..] = bytes else { return None };
        if version & 0xe0 != 0xe0 {
            return None;
        }
        if version & 0xf6 == 0xf0 {
            return Self::adts(bytes, version, rates, size);
        }
        // ISO/IEC 11172-3, section 2.4.2.3; MPEG 2.5 has no standard.
        let (version_bits, layer_bits) = (version >> 3 & 3, version >> 1 & 3);
        let (bit_rate, rate) = (usize::from(rates >> 4), usize::from(rates >> 2 & 3));
        let first = version_bits == 3;
        let layer = match layer_bits {
            3 => 1,
            2 => 2,
            1 => 3,
            _ => return None,
        };
        // One of the four versions is reserved.
        let divisor = match version_bits {
            3 => 1,
            2 => 2,
            0 => 4,
            _ => return None,
        };
        let hertz = *[44_100, 48_000, 32_000].get(rate)? / divisor;
        let table: [usize; 15] = match (first, layer) {
            (true, 1) => [0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448],
            (true, 2) => [0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384],
            (true, _) => [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
            (false, 1) => [0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256],
            (false, _) => [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
        };
        // The first bit rate is a free one, which is not decoded.
        let bits = 1000 * table.get(bit_rate).filter(|&&bits| bits > 0)?;
        let padding = usize::from(rates >> 1 & 1);
        let length = match (layer, first) {
            (1, _) => (12 * bits / hertz + padding) * 4,
            (3, false) => 72 * bits / hertz + padding,
            _ => 144 * bits / hertz + padding,
        };
        Some(Frame { kind: [version & 0xfe, rates & 0x0c], length })
    }

    /// ISO/IEC 14496-3, 1.A.2.2: the fixed header, then 13 bits of length.
    fn adts(bytes: &[u8], version: u8, rates: u8, size: u8) -> Option<Self> {
        let &[_, _, _, _, middle, low, ..] = bytes else { return None };
        let length = usize::from(size & 3) << 11 | usize::from(middle) << 3 | usize::from(low >> 5);
        let known = rates >> 2 & 0x0f < 13 && length >= 7;
        known.then_some(Frame { kind: [version, rates & 0xfd], length })
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn found(bytes: Vec<u8>) -> Option<u64> {
        let end = bytes.len() as u64;
        let mut stream: Box<dyn Stream> = Box::new(Cursor::new(bytes));
        find(&mut stream, 0, end).unwrap()
    }

    /// Frames of MPEG 1, layer III, 128 kbit/s, 44.1 kHz: 417 bytes each.
    fn frames(count: usize) -> Vec<u8> {
        let frame = |_| [0xff, 0xfb, 0x90, 0].into_iter().chain([0x55; 413]);
        (0..count).flat_map(frame).collect()
    }

    #[test]
    fn frames_are_found_behind_any_bytes() {
        for before in [0, 1, 417, WINDOW - 2, WINDOW, 3 * WINDOW + 5] {
            let mut bytes = vec![0x20; before];
            bytes.extend(frames(5));
            assert_eq!(found(bytes), Some(before as u64));
        }
    }

    #[test]
    fn frames_that_do_not_follow_each_other_are_chance() {
        let mut bytes = Vec::new();
        for gap in 1..40 {
            bytes.extend(frames(3));
            bytes.extend(vec![0x20; gap]);
        }
        assert_eq!(found(bytes), None);
    }

    #[test]
    fn a_short_file_needs_no_more_frames_than_it_has() {
        assert_eq!(found(frames(2)), Some(0));
        let mut cut = frames(3);
        cut.truncate(1000);
        assert_eq!(found(cut), Some(0));
        assert_eq!(found(frames(1)[..100].to_vec()), None);
    }

    #[test]
    fn lengths_are_those_of_the_standards() {
        for (header, length) in [
            ([0xff, 0xfb, 0x92, 0, 0, 0], 418),
            ([0xff, 0xf3, 0x80, 0, 0, 0], 208),
            ([0xff, 0xe3, 0x18, 0, 0, 0], 72),
            ([0xff, 0xfd, 0x84, 0, 0, 0], 384),
            ([0xff, 0xff, 0x84, 0, 0, 0], 256),
            ([0xff, 0xf1, 0x50, 0x80, 0x2e, 0x7f], 371),
        ] {
            assert_eq!(Frame::read(&header).unwrap().length, length, "{header:x?}");
        }
    }
}
