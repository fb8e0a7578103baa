//! The memory that the code books of a Vorbis header would take, counted before a decoder unpacks them.
//!
//! A few bytes may describe a book of 16 MiB, and a header has up to 256 of them.
//! Vorbis I specification, 3.2.1 and 4.2.4.

/// Precedes the code books of a setup header.
const MARK: &[u8] = b"\x05vorbis";

/// Bytes of the vectors of all code books that a stream's headers describe, up to the first invalid one; stops counting
/// beyond `limit`.
pub(super) fn book_bytes(headers: &[u8], limit: u64) -> u64 {
    let Some(at) = headers.windows(MARK.len()).position(|part| part == MARK) else { return 0 };
    let mut bits = Bits { bytes: headers, at: 8 * (at + MARK.len()) };
    let mut total = 0;
    for _ in 0..=bits.take(8).unwrap_or(0) {
        let Some(book) = book(&mut bits) else { break };
        total += book;
        if total > limit {
            break;
        }
    }
    total
}

/// Bytes of the vectors and code words of the next code book.
fn book(bits: &mut Bits<'_>) -> Option<u64> {
    if bits.take(24)? != 0x56_4342 {
        return None;
    }
    let (dimensions, entries) = (bits.take(16)?, bits.take(24)?);
    if bits.take(1)? == 1 {
        // Lengths in order: how many entries have each.
        bits.take(5)?;
        let mut known = 0;
        while known < entries {
            let width = 32 - (entries - known).leading_zeros();
            known += bits.take(width as usize)?;
        }
    } else {
        let sparse = bits.take(1)? == 1;
        for _ in 0..entries {
            if !sparse || bits.take(1)? == 1 {
                bits.take(5)?;
            }
        }
    }
    let words = 16 * u64::from(entries);
    let values = match bits.take(4)? {
        0 => return Some(words),
        1 => lookup_values(entries, dimensions)?,
        2 => u64::from(entries) * u64::from(dimensions),
        _ => return None,
    };
    bits.skip(64)?;
    let width = bits.take(4)? + 1;
    bits.skip(1)?;
    bits.skip(usize::try_from(values.checked_mul(u64::from(width))?).ok()?)?;
    Some(words + 4 * u64::from(entries) * u64::from(dimensions))
}

/// The greatest number whose power of `dimensions` is at most `entries`; 9.2.3.
fn lookup_values(entries: u32, dimensions: u32) -> Option<u64> {
    let entries = u64::from(entries);
    let fits = |value: u64| value.checked_pow(dimensions).is_some_and(|power| power <= entries);
    (dimensions > 0).then(|| (1..).take_while(|&value| fits(value)).last().unwrap_or(0))
}

/// A reader of bits, the lowest first.
struct Bits<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Bits<'_> {
    /// The next `count` bits, at most 32.
    fn take(&mut self, count: usize) -> Option<u32> {
        let value = (0..count).try_fold(0, |value, bit| {
            let at = self.at + bit;
            let byte = self.bytes.get(at / 8)?;
            Some(value | u32::from(byte >> (at % 8) & 1) << bit)
        });
        self.at += count;
        value
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.at = self.at.checked_add(count).filter(|at| *at <= 8 * self.bytes.len())?;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header of books of 2¹⁷ entries in `dimensions` dimensions, all code words of 17 bits.
    fn header(books: u32, dimensions: u32) -> Vec<u8> {
        let mut bits = Vec::new();
        let mut put = |value: u32, count: u32| bits.extend((0..count).map(|bit| value >> bit & 1));
        put(books - 1, 8);
        for _ in 0..books {
            put(0x56_4342, 24);
            put(dimensions, 16);
            put(1 << 17, 24);
            // In order: all of length 17.
            put(1, 1);
            put(16, 5);
            put(1 << 17, 18);
            // One value at each place.
            put(1, 4);
            put(0, 32);
            put(0, 32);
            put(0, 4);
            put(0, 1);
            put(0, lookup_values(1 << 17, dimensions).unwrap() as u32);
        }
        let bytes = bits.chunks(8).map(|byte| {
            byte.iter().enumerate().fold(0, |byte, (bit, value)| byte | (*value as u8) << bit)
        });
        MARK.iter().copied().chain(bytes).collect()
    }

    #[test]
    fn bytes_of_huge_books_are_counted() {
        let one = (16 + 4 * 32) << 17;
        assert_eq!(book_bytes(&header(1, 32), u64::MAX), one);
        assert_eq!(book_bytes(&header(200, 32), u64::MAX), 200 * one);
        assert_eq!(book_bytes(&header(200, 32), 3 * one), 4 * one);
        assert!(header(200, 32).len() < 8_000);
        assert_eq!(book_bytes(&header(3, 5)[..40], u64::MAX), (16 + 4 * 5) << 17);
        assert_eq!(book_bytes(b"", u64::MAX), 0);
        assert_eq!(book_bytes(MARK, u64::MAX), 0);
    }

    #[test]
    fn real_books_are_small() {
        let file = include_bytes!("../../tests/data/audio/stereo.ogg");
        let bytes = book_bytes(file, u64::MAX);
        assert!((100_000..2_000_000).contains(&bytes), "{bytes}");
    }
}
