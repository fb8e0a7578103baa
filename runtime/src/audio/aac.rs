//! Which kind of AAC a stream is. Only AAC-LC in mono and stereo can be decoded; all others are refused by name.
//!
//! HE-AAC is AAC-LC at half the rate with instructions to rebuild the upper half of the band, which an encoder may put
//! where a decoder of AAC-LC ignores them: the decoded music would lack everything above 5 to 8 kHz without an error.
//! ISO/IEC 14496-3, 1.6.2.1 (AudioSpecificConfig), 1.6.6.2 (sync extension) and 4.5.2.8.2 (fill elements).

const HE: &str = "HE-AAC (AAC with spectral band replication)";

/// The name of the kind of AAC that an AudioSpecificConfig describes; `None` for AAC-LC in mono or stereo.
pub(super) fn beyond_lc(config: &[u8]) -> Option<String> {
    let mut bits = Bits { bytes: config, at: 0 };
    let unknown = || Some("AAC of an unknown kind".to_owned());
    let Some(object) = bits.object_type() else { return unknown() };
    let channels = bits.rate().and_then(|_| bits.take(4));
    let Some(channels) = channels else { return unknown() };
    let kind = match object {
        2 => return lc(&mut bits, channels),
        1 => "AAC Main",
        3 => "AAC-SSR",
        4 => "AAC-LTP",
        5 => HE,
        23 => "AAC-LD",
        29 => "HE-AAC v2 (AAC with spectral band replication and parametric stereo)",
        39 => "AAC-ELD",
        42 => "xHE-AAC (USAC)",
        _ => return Some(format!("AAC of object type {object}")),
    };
    Some(kind.to_owned())
}

/// As [`beyond_lc`], for what follows the channels in the configuration of AAC-LC.
fn lc(bits: &mut Bits<'_>, channels: u32) -> Option<String> {
    let short = bits.take(1)? == 1;
    if bits.take(1)? == 1 {
        bits.take(14)?;
    }
    bits.take(1)?;
    if short {
        return Some("AAC-LC with frames of 960 samples".to_owned());
    }
    match channels {
        1 | 2 => {}
        0 => return Some("AAC-LC whose channels are described inside of its stream".to_owned()),
        7 => return Some("AAC-LC with 8 channels (at most 2 are supported)".to_owned()),
        channels => {
            return Some(format!("AAC-LC with {channels} channels (at most 2 are supported)"));
        }
    }
    // The sync extension repeats object type 5, then a bit for whether it is present.
    let extended = bits.take(11)? == 0x2b7 && bits.take(5)? == 5 && bits.take(1)? == 1;
    extended.then(|| HE.to_owned())
}

/// The name of the kind of AAC that an ADTS header describes; `None` for AAC-LC in mono or stereo.
pub(super) fn adts_beyond_lc(header: [u8; 4]) -> Option<String> {
    let mut bits = Bits { bytes: &header, at: 0 };
    if bits.take(12)? != 0xfff {
        return None;
    }
    bits.take(4)?;
    let profile = bits.take(2)?;
    bits.take(5)?;
    let channels = bits.take(3)?;
    let name = match (profile, channels) {
        (0, _) => "AAC Main".to_owned(),
        (2, _) => "AAC-SSR".to_owned(),
        (3, _) => "AAC-LTP".to_owned(),
        (_, 0) => "AAC-LC whose channels are described inside of its stream".to_owned(),
        (_, 1 | 2) => return None,
        (_, channels) => {
            let channels = if channels == 7 { 8 } else { channels };
            format!("AAC-LC with {channels} channels (at most 2 are supported)")
        }
    };
    Some(name)
}

/// The name of a stream all of whose packets end in spectral band replication.
pub(super) fn he() -> String {
    HE.to_owned()
}

/// Whether a packet ends in a fill element with spectral band replication, as all packets of HE-AAC do.
///
/// The elements before it cannot be parsed without decoding them, so the packet is read from its end: the end mark, then
/// any fill element of a length that fits. One packet of AAC-LC in about seventy looks like that by chance.
pub(super) fn ends_in_replication(packet: &[u8]) -> bool {
    let bits = Bits { bytes: packet, at: 0 };
    let Some(last) = packet.iter().rposition(|&byte| byte != 0) else { return false };
    let zeros = packet.get(last).map_or(0, |byte| byte.trailing_zeros() as usize);
    let Some(mut end) = (8 * (last + 1)).checked_sub(zeros + 3) else { return false };
    if bits.peek(end, 3) != Some(7) {
        return false;
    }
    // Fill elements of padding may follow it.
    for _ in 0..4 {
        let replicates = |(_, content): (usize, usize)| {
            content + 4 <= end && matches!(bits.peek(content, 4), Some(0xd | 0xe))
        };
        if fill(&bits, end).any(replicates) {
            return true;
        }
        let fills = |&(_, content): &(usize, usize)| {
            let mut rest = (content..end).step_by(8).skip(1);
            content == end
                || matches!(bits.peek(content, 4), Some(0 | 1))
                    && rest.all(|at| bits.peek(at, 8) == Some(0xa5))
        };
        let Some((start, _)) = fill(&bits, end).find(fills) else { return false };
        end = start;
    }
    false
}

/// Where fill elements that end at a bit may begin, and where their content begins.
fn fill<'b>(bits: &'b Bits<'_>, end: usize) -> impl Iterator<Item = (usize, usize)> + 'b {
    (0..=269).filter_map(move |count: usize| {
        // Four bits count up to 14 bytes; 15 stands for eight more bits that count from 14.
        let (header, short) = if count < 15 { (7, count) } else { (15, 15) };
        let start = end.checked_sub(header + 8 * count)?;
        let fits = bits.peek(start, 3)? == 6
            && bits.peek(start + 3, 4)? as usize == short
            && (count < 15 || bits.peek(start + 7, 8)? as usize == count - 14);
        fits.then_some((start, start + header))
    })
}

/// A reader of bits, the highest first.
struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next `count` bits, at most 24.
    fn take(&mut self, count: usize) -> Option<u32> {
        let value = self.peek(self.at, count)?;
        self.at += count;
        Some(value)
    }

    fn peek(&self, at: usize, count: usize) -> Option<u32> {
        (at..at + count).try_fold(0, |value, at| {
            let byte = self.bytes.get(at / 8)?;
            Some(value << 1 | u32::from(byte >> (7 - at % 8) & 1))
        })
    }

    fn object_type(&mut self) -> Option<u32> {
        match self.take(5)? {
            31 => Some(32 + self.take(6)?),
            object => Some(object),
        }
    }

    /// The rate, or its index.
    fn rate(&mut self) -> Option<u32> {
        match self.take(4)? {
            15 => self.take(24),
            index => Some(index),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_beyond_lc_are_named() {
        // AAC-LC, 44,100 Hz, stereo; then the same with the sync extension absent and present.
        assert_eq!(beyond_lc(&[0x12, 0x10]), None);
        assert_eq!(beyond_lc(&[0x12, 0x10, 0x56, 0xe5, 0x00]), None);
        assert_eq!(beyond_lc(&[0x13, 0x10, 0x56, 0xe5, 0x98]).unwrap(), HE);
        // HE-AAC and its second version as the object type.
        assert_eq!(beyond_lc(&[0x2b, 0x92, 0x08, 0x00]).unwrap(), HE);
        assert!(beyond_lc(&[0xeb, 0x8a, 0x08, 0x00]).unwrap().contains("v2"));
        assert!(beyond_lc(&[0x12, 0x30]).unwrap().contains("6 channels"));
        assert!(beyond_lc(&[0x12, 0x00]).unwrap().contains("inside of its stream"));
        assert!(beyond_lc(&[0x12, 0x14]).unwrap().contains("960"));
        assert!(beyond_lc(&[0x0a, 0x10]).unwrap().contains("Main"));
        assert!(beyond_lc(&[0xf9, 0x46, 0x40]).unwrap().contains("xHE-AAC"));
        assert!(beyond_lc(&[0x12]).is_some());
    }

    #[test]
    fn adts_headers_beyond_lc_are_named() {
        assert_eq!(adts_beyond_lc([0xff, 0xf1, 0x50, 0x80]), None);
        assert!(adts_beyond_lc([0xff, 0xf1, 0x10, 0x80]).unwrap().contains("Main"));
        assert!(adts_beyond_lc([0xff, 0xf1, 0x51, 0x80]).unwrap().contains("6 channels"));
    }

    /// A packet of some bits, then these elements as bits, then the end mark.
    fn packet(elements: &[&str]) -> Vec<u8> {
        let mut bits = "001011100110100111000101".repeat(9) + &elements.concat() + "111";
        bits += &"0".repeat(bits.len().next_multiple_of(8) - bits.len());
        bits.as_bytes()
            .chunks(8)
            .map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap())
            .collect()
    }

    #[test]
    fn replication_is_found_at_the_end_of_a_packet() {
        let payload = |bytes: usize| "01001101".repeat(bytes);
        let short = format!("1100110{}{}", "11010110", payload(5));
        let long = format!("1101111{:08b}{}{}", 40 - 14, "11101001", payload(39));
        let filling = format!("1100011{}{}", "00000000", "10100101".repeat(2));
        assert!(ends_in_replication(&packet(&[&short])));
        assert!(ends_in_replication(&packet(&[&long])));
        assert!(ends_in_replication(&packet(&[&long, &filling])));
        assert!(ends_in_replication(&packet(&[&short, "1100000"])));
        assert!(!ends_in_replication(&packet(&[])));
        assert!(!ends_in_replication(&packet(&[&filling])));
        assert!(!ends_in_replication(&[]));
        assert!(!ends_in_replication(&[0, 0]));
        assert!(!ends_in_replication(&[7]));
    }
}
