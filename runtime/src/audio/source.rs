//! A file as the demuxer is shown it: without the tags and pictures around the sound, and under a guard.
//!
//! The demuxer would load every tag and picture into memory, whatever its size, and only to drop it. So they are
//! passed over by their stated sizes before it sees the file: ID3v2 tags at the start; ID3v1 and APE tags at the end
//! of MP3, AAC and FLAC files; all of FLAC's metadata but its stream information; and the `udta` and `meta` boxes of
//! MP4. RF64 is shown as WAV. What is left passes the [`Guard`], which bounds every header and every packet.

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

use super::{
    limit::{Guard, Trouble},
    mp4::{self, Edit},
    wave,
};

/// Anything that holds a file's bytes.
pub(super) trait Stream: Read + Seek + Send + Sync {}

impl<S: Read + Seek + Send + Sync> Stream for S {}

/// Tags or metadata blocks looked at before the rest is left to the demuxer.
const PATIENCE: usize = 1024;
/// Zeros after an ID3 tag that are passed over with it, at most; some programs pad without saying so.
const PADDING: usize = 4096;

/// The part of a stream that holds sound.
pub(super) struct Source {
    stream: Box<dyn Stream>,
    guard: Arc<Guard>,
    /// What is shown before the stream's bytes from `start`.
    head: Vec<u8>,
    start: u64,
    end: u64,
    /// Where the stream stands.
    at: u64,
    /// Where the reader stands, in what it is shown.
    position: u64,
    /// Bytes shown in the place of others, and where those lie in the stream.
    patches: Vec<(u64, Vec<u8>)>,
    /// The edits of MP4 tracks, by track number.
    edits: Vec<(u32, Edit)>,
    /// Whether frame after frame follows without a container.
    bare: bool,
    /// The first bytes after all tags.
    lead: [u8; 4],
}

/// What is wrong with a stream as a whole.
#[derive(Debug)]
pub(super) enum Flaw {
    /// It has no bytes.
    Empty,
    /// It ends inside of its tag.
    Truncated,
    /// The system failed.
    System(io::Error),
}

impl From<io::Error> for Flaw {
    fn from(error: io::Error) -> Self {
        Flaw::System(error)
    }
}

impl Source {
    /// Finds the sound in a stream of the length it has now; what is appended later is not heard.
    pub(super) fn new(mut stream: Box<dyn Stream>, guard: Arc<Guard>) -> Result<Self, Flaw> {
        let mut end = stream.seek(SeekFrom::End(0))?;
        if end == 0 {
            return Err(Flaw::Empty);
        }
        let mut start = after_id3(&mut stream, end)?;
        let lead: [u8; 8] = bytes_at(&mut stream, start)?.unwrap_or_default();
        let bare = matches!(lead, [0xff, 0xe0..=0xff, ..]);
        let (mut head, mut patches, mut edits) = (Vec::new(), Vec::new(), Vec::new());
        if bare || lead.starts_with(b"fLaC") {
            end = before_tags(&mut stream, start, end)?;
        }
        if lead.starts_with(b"fLaC") {
            if let Some((information, frames)) = flac_frames(&mut stream, start, end)? {
                // The marker, and the one block said to be the last.
                head.extend(b"fLaC\x80\0\0\x22");
                head.extend(information);
                start = frames;
            }
        } else if lead.ends_with(b"ftyp")
            && let Some(outline) = mp4::outline(&mut stream, start, end)
        {
            patches = outline.patches;
            edits = outline.edits;
        } else if (lead.starts_with(b"RF64") || lead.starts_with(b"BW64"))
            && let Some(outline) = wave::outline(&mut stream, start, end)?
        {
            patches = outline.patches;
            end = outline.end;
        }
        stream.seek(SeekFrom::Start(start))?;
        let lead = lead.first_chunk().copied().unwrap_or_default();
        Ok(Self {
            stream,
            guard,
            head,
            start,
            end,
            at: start,
            position: 0,
            patches,
            edits,
            bare,
            lead,
        })
    }

    /// Whether MPEG or ADTS frames follow each other from the first byte on, without a container.
    pub(super) fn bare(&self) -> bool {
        self.bare
    }

    /// The first bytes after all tags.
    pub(super) fn lead(&self) -> [u8; 4] {
        self.lead
    }

    /// The edits of MP4 tracks, by track number.
    pub(super) fn take_edits(&mut self) -> Vec<(u32, Edit)> {
        std::mem::take(&mut self.edits)
    }

    /// Bytes that are shown.
    pub(super) fn length(&self) -> u64 {
        self.head.len() as u64 + (self.end - self.start)
    }

    /// Reads from the stream, under the guard and not past the end.
    fn read_stream(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let place = self.start + (self.position - self.head.len() as u64);
        let left = usize::try_from(self.end.saturating_sub(place)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        let wanted = self.guard.admit(wanted)?;
        let Some(buffer) = buffer.get_mut(..wanted) else { return Ok(0) };
        if self.at != place {
            self.at = self.stream.seek(SeekFrom::Start(place))?;
        }
        let read = loop {
            match self.stream.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        // `admit` has counted the work up to here; this was waiting.
        self.guard.pass_over();
        for (start, patch) in &self.patches {
            for (place, &byte) in (*start..).zip(patch) {
                let index =
                    place.checked_sub(self.at).and_then(|index| usize::try_from(index).ok());
                if let Some(shown) = index.and_then(|index| buffer.get_mut(index)) {
                    *shown = byte;
                }
            }
        }
        self.at += read as u64;
        self.guard.count(read);
        Ok(read)
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let in_head = usize::try_from(self.position).ok().and_then(|at| self.head.get(at..));
        let read = match in_head {
            Some(mut rest) if !rest.is_empty() => rest.read(buffer)?,
            _ => self.read_stream(buffer).map_err(|error| {
                let kind = error.kind();
                self.guard.note(Trouble::System(error));
                io::Error::from(kind)
            })?,
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.length().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

/// Where the content begins behind the ID3v2 tags at the start, and the zeros behind each.
fn after_id3(stream: &mut Box<dyn Stream>, end: u64) -> Result<u64, Flaw> {
    let mut start = 0;
    for _ in 0..PATIENCE {
        let Some(header) = bytes_at::<10>(stream, start)? else { break };
        // The size has seven bits a byte; versions are never 255. ID3v2.4, section 3.1.
        let [b'I', b'D', b'3', version, revision, flags, size @ ..] = header else { break };
        if version == 0xff || revision == 0xff || size.iter().any(|&byte| byte >= 0x80) {
            break;
        }
        let size = size.iter().fold(0, |size, &byte| size << 7 | u64::from(byte));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        start += 10 + size + footer;
        if start >= end {
            return Err(Flaw::Truncated);
        }
        let mut ahead = Vec::new();
        stream.seek(SeekFrom::Start(start))?;
        stream.as_mut().take(PADDING as u64).read_to_end(&mut ahead)?;
        start += ahead.iter().position(|&byte| byte != 0).unwrap_or(0) as u64;
    }
    Ok(start)
}

/// Where the content ends before ID3v1 and APE tags.
fn before_tags(stream: &mut Box<dyn Stream>, start: u64, end: u64) -> io::Result<u64> {
    let mut end = end;
    // One of each, in either order.
    for _ in 0..3 {
        if let Some(tag) = end.checked_sub(128).filter(|&tag| tag >= start)
            && bytes_at(stream, tag)? == Some(*b"TAG")
        {
            end = tag;
        }
        let Some(footer) = end.checked_sub(32).filter(|&footer| footer >= start) else { break };
        if bytes_at(stream, footer)? != Some(*b"APETAGEX") {
            break;
        }
        let size = bytes_at(stream, footer + 12)?.map_or(0, u32::from_le_bytes);
        let flags = bytes_at(stream, footer + 20)?.map_or(0, u32::from_le_bytes);
        // The size counts the footer and not the header.
        let size = u64::from(size) + if flags >> 31 == 0 { 0 } else { 32 };
        match end.checked_sub(size).filter(|&tag| tag >= start && size >= 32) {
            Some(tag) => end = tag,
            None => break,
        }
    }
    Ok(end)
}

/// The stream information of a FLAC file and where its frames begin; `None` where its blocks make no sense.
fn flac_frames(
    stream: &mut Box<dyn Stream>,
    start: u64,
    end: u64,
) -> io::Result<Option<([u8; 34], u64)>> {
    let mut information = None;
    let mut at = start + 4;
    for _ in 0..PATIENCE {
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

/// `N` bytes at a place; `None` where the stream ends before.
pub(super) fn bytes_at<const N: usize>(
    stream: &mut Box<dyn Stream>,
    at: u64,
) -> io::Result<Option<[u8; N]>> {
    stream.seek(SeekFrom::Start(at))?;
    let mut bytes = [0; N];
    match stream.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}
