//! RF64, the WAV of more than 4 GB: presented to the demuxer as the WAV of unknown length that it supports.
//!
//! Its sizes of 32 bits are meaningless; those of 64 bits are in a chunk of their own, `ds64`, before all others.
//! EBU Tech 3306; ITU-R BS.2088 calls the same format BW64.

use std::io;

use super::stream::{Stream, bytes_at};

/// Most chunks examined before the audio data.
const MOST_CHUNKS: usize = 1024;
/// In place of a 32-bit size: the size is in `ds64`.
const IN_DS64: u32 = u32::MAX;

/// What the demuxer needs to read an RF64 file as WAV.
pub(super) struct Outline {
    /// Bytes to present in place of others, and their positions.
    pub(super) patches: Vec<(u64, Vec<u8>)>,
    /// Where the audio data ends, as far as the file states; other chunks may follow.
    pub(super) end: u64,
}

/// The outline of the RF64 file between two positions of a stream; `None` if it has no audio data.
pub(super) fn outline(
    stream: &mut Box<dyn Stream>,
    start: u64,
    end: u64,
) -> io::Result<Option<Outline>> {
    // The name alone makes it a WAV: the size beside it is unused in both.
    let mut patches = vec![(start, b"RIFF".to_vec())];
    let mut at = start + 12;
    let mut long = None;
    for _ in 0..MOST_CHUNKS {
        let Some(name) = bytes_at::<4>(stream, at)? else { break };
        let Some(size) = bytes_at(stream, at + 4)?.map(u32::from_le_bytes) else { break };
        match &name {
            // The size of the file, then that of the audio data.
            b"ds64" => long = bytes_at(stream, at + 16)?.map(u64::from_le_bytes),
            b"data" => {
                let size = match (size, long) {
                    (IN_DS64, Some(long)) => long,
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
        // Chunks begin at even positions.
        at += 8 + u64::from(size).next_multiple_of(2);
    }
    Ok(None)
}
