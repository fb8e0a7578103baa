//! A file's bytes, read below the demuxer.

use std::io::{self, Read, Seek, SeekFrom};

/// Anything that holds a file's bytes.
pub(super) trait Stream: Read + Seek + Send + Sync {}

impl<S: Read + Seek + Send + Sync> Stream for S {}

/// `N` bytes at a position; `None` if the stream ends before.
pub(super) fn bytes_at<const N: usize>(
    stream: &mut Box<dyn Stream>,
    at: u64,
) -> io::Result<Option<[u8; N]>> {
    stream.seek(SeekFrom::Start(at))?;
    let mut bytes = [0; N];
    match stream.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if is_end(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether an error means that the stream ended.
pub(super) fn is_end(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof
}
