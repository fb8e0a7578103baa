//! RF64, the WAV of more than 4 GB: shown to the demuxer as the WAV of unknown length that it knows.
//!
//! Its sizes of 32 bits say nothing; those of 64 bits stand in a chunk of their own, `ds64`, before all others.
//! EBU Tech 3306; ITU-R BS.2088 calls the same file BW64.

use std::io;

use super::source::{Stream, bytes_at};

/// Chunks looked at before the sound.
const PATIENCE: usize = 1024;
/// What stands for a size that is told in 64 bits.
const ELSEWHERE: u32 = u32::MAX;

/// What is known of a file before it is demuxed.
pub(super) struct Outline {
    /// Bytes to show in the place of others, and where.
    pub(super) patches: Vec<(u64, Vec<u8>)>,
    /// Where the sound ends, as far as the file says; other chunks may follow.
    pub(super) end: u64,
}

/// The outline of the RF64 file between two positions of a stream; `None` where it holds no sound.
pub(super) fn outline(
    stream: &mut Box<dyn Stream>,
    start: u64,
    end: u64,
) -> io::Result<Option<Outline>> {
    // The name alone makes it a WAV: the size beside it says nothing in both.
    let mut patches = vec![(start, b"RIFF".to_vec())];
    let mut at = start + 12;
    let mut long = None;
    for _ in 0..PATIENCE {
        let Some(name) = bytes_at::<4>(stream, at)? else { break };
        let Some(size) = bytes_at(stream, at + 4)?.map(u32::from_le_bytes) else { break };
        match &name {
            // The whole file's size, then the sound's.
            b"ds64" => long = bytes_at(stream, at + 16)?.map(u64::from_le_bytes),
            b"data" => {
                let size = match (size, long) {
                    (ELSEWHERE, Some(long)) => long,
                    (size, _) => u64::from(size),
                };
                if let Ok(short) = u32::try_from(size) {
                    patches.push((at + 4, short.to_le_bytes().to_vec()));
                }
                let end = at.saturating_add(8).saturating_add(size).min(end);
                return Ok(Some(Outline { patches, end }));
            }
            _ => {}
        }
        // Chunks begin at even places.
        at += 8 + u64::from(size).next_multiple_of(2);
    }
    Ok(None)
}
