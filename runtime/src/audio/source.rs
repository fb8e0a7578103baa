//! A file as the demuxer reads it: without the tags and pictures around the audio, and within a [`Budget`].
//!
//! The demuxer would load every tag and picture into memory, whatever its size, only to drop it. They are therefore
//! skipped by their stated sizes: ID3v2 tags at the start; ID3v1 and APE tags at the end of MP3, AAC and FLAC files; all
//! of FLAC's metadata but its stream information; and the `udta` and `meta` boxes of MP4. Zeros, pictures and other
//! bytes in front of MPEG or ADTS frames are skipped too. What a header states wrongly is presented as it should be: the
//! sizes of [`chunks`], FLAC's block sizes. The budget limits every header and every packet of the rest.

use std::{
    io::{self, Read, Seek, SeekFrom},
    sync::Arc,
};

use super::{
    AudioNote, chunks, flac,
    foreign::{self, Foreign},
    frames,
    limit::{Budget, StopReason},
    mp4::{self, Edit},
    stream::{Stream, bytes_at},
};

/// Most tags or metadata blocks that are skipped here; the demuxer gets the rest.
const MOST_TAGS: usize = 1024;
/// Most zeros that are skipped at the start and after tags: downloads that lack their beginning have megabytes of them.
const MOST_ZEROS: u64 = 64 << 20;
/// Bytes in front of the sound from which on they are worth a note; some programs pad tags without stating it.
const PADDING: u64 = 4096;

/// The part of a stream that holds audio.
pub(super) struct Source {
    stream: Box<dyn Stream>,
    budget: Arc<Budget>,
    /// Presented before the stream's bytes from `start`.
    head: Vec<u8>,
    start: u64,
    end: u64,
    /// The stream's position.
    at: u64,
    /// The reader's position, in the bytes presented to it.
    position: u64,
    /// Bytes presented in place of others, and the positions of those in the stream.
    patches: Vec<(u64, Vec<u8>)>,
    /// The edits of MP4 tracks, by track number.
    edits: Vec<(u32, Edit)>,
    /// Whether frames follow each other without a container.
    bare: bool,
    /// The first bytes after all tags.
    lead: [u8; 4],
    /// What the file is if it has a format that is not decoded.
    foreign: Option<Foreign>,
    notes: Vec<AudioNote>,
    /// Whether the audio is known to be cut off.
    cut: bool,
    /// Whether the end of the bytes is that of the audio.
    to_the_end: bool,
}

/// Why a stream has no audio to demux.
#[derive(Debug)]
pub(super) enum SourceError {
    /// It has no bytes.
    Empty,
    /// It ends inside of a tag.
    Truncated,
    /// It has a format that is not decoded.
    Foreign(Foreign),
    /// The system failed.
    System(io::Error),
}

impl From<io::Error> for SourceError {
    fn from(error: io::Error) -> Self {
        SourceError::System(error)
    }
}

impl Source {
    /// Finds the audio in a stream of its present length; bytes appended later are not read.
    pub(super) fn new(
        mut stream: Box<dyn Stream>,
        budget: Arc<Budget>,
    ) -> Result<Self, SourceError> {
        let mut end = stream.seek(SeekFrom::End(0))?;
        if end == 0 {
            return Err(SourceError::Empty);
        }
        let (mut start, mut skipped) = after_id3(&mut stream, end)?;
        let mut beginning = Vec::new();
        stream.seek(SeekFrom::Start(start))?;
        stream.as_mut().take(foreign::BEGINNING as u64).read_to_end(&mut beginning)?;
        let mut bare = matches!(*beginning, [0xff, 0xe0..=0xff, ..]);
        let mut foreign = None;
        if !has_container(&beginning) {
            foreign = foreign::recognise(&beginning).filter(|_| !bare);
            match &foreign {
                Some(foreign) if !foreign.is_picture => {
                    return Err(SourceError::Foreign(foreign.clone()));
                }
                _ => {}
            }
            if let Some(first) = frames::find(&mut stream, start, end)? {
                skipped += first - start;
                (start, bare) = (first, true);
            } else if let Some(foreign) = foreign {
                return Err(SourceError::Foreign(foreign));
            }
        } else if beginning.starts_with(b"OggS") {
            // Others are video, whose audio may be decoded, or have none.
            foreign = foreign::recognise(&beginning).filter(|found| found.format == "Ogg Speex");
        }
        let lead: [u8; 8] = bytes_at(&mut stream, start)?.unwrap_or_default();
        let (mut head, mut patches, mut edits, mut notes) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut cut, mut to_the_end) = (false, false);
        if skipped > PADDING {
            notes.push(AudioNote::BytesBefore { bytes: skipped });
        }
        if bare || lead.starts_with(b"fLaC") {
            end = before_tags(&mut stream, start, end)?;
        }
        if lead.starts_with(b"fLaC") {
            if let Some((mut information, frames)) = flac::frames(&mut stream, start, end)? {
                if flac::mend_block_sizes(&mut stream, &mut information, frames)? {
                    notes.push(AudioNote::WrongHeader);
                }
                // The marker, then the stream information marked as the last block.
                head.extend(b"fLaC\x80\0\0\x22");
                head.extend(information);
                start = frames;
            }
        } else if lead.ends_with(b"ftyp")
            && let Some(outline) = mp4::outline(&mut stream, start, end)
        {
            patches = outline.patches;
            edits = outline.edits;
        } else if let Some(outline) = chunked(&mut stream, lead, start, end)? {
            (cut, to_the_end) = (outline.cut, outline.to_the_end);
            if outline.wrong_size {
                notes.push(AudioNote::WrongHeader);
            }
            if chunks::MPEG.contains(&outline.format) {
                // Frames that need no WAV around them.
                (start, end, bare) = (outline.data, outline.end, true);
            } else {
                let mut data = Vec::new();
                stream.seek(SeekFrom::Start(outline.data))?;
                stream.as_mut().take(foreign::BEGINNING as u64).read_to_end(&mut data)?;
                if let Some(coded) = foreign::coded_in_samples(&data) {
                    let format = coded.to_owned();
                    return Err(SourceError::Foreign(Foreign {
                        format,
                        is_audio: true,
                        is_picture: false,
                    }));
                }
                (patches, end) = (outline.patches, outline.end);
            }
        }
        stream.seek(SeekFrom::Start(start))?;
        let lead = lead.first_chunk().copied().unwrap_or_default();
        Ok(Self {
            stream,
            budget,
            head,
            start,
            end,
            at: start,
            position: 0,
            patches,
            edits,
            bare,
            lead,
            foreign,
            notes,
            cut,
            to_the_end,
        })
    }

    /// Whether MPEG or ADTS frames follow each other from the first byte, without a container.
    pub(super) fn bare(&self) -> bool {
        self.bare
    }

    /// The first bytes after all tags.
    pub(super) fn lead(&self) -> [u8; 4] {
        self.lead
    }

    /// What the file is if it has a format that is not decoded.
    pub(super) fn take_foreign(&mut self) -> Option<Foreign> {
        self.foreign.take()
    }

    /// Whether the audio is known to be cut off, though the demuxer does not notice.
    pub(super) fn cut(&self) -> bool {
        self.cut
    }

    /// Whether the end of the bytes is that of the audio, though the demuxer expects more.
    pub(super) fn to_the_end(&self) -> bool {
        self.to_the_end
    }

    /// What is remarkable about the file's bytes.
    pub(super) fn take_notes(&mut self) -> Vec<AudioNote> {
        std::mem::take(&mut self.notes)
    }

    /// The edits of MP4 tracks, by track number.
    pub(super) fn take_edits(&mut self) -> Vec<(u32, Edit)> {
        std::mem::take(&mut self.edits)
    }

    /// Number of bytes presented.
    pub(super) fn length(&self) -> u64 {
        self.head.len() as u64 + (self.end - self.start)
    }

    /// Reads from the stream, within the budget and not past the end.
    fn read_stream(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let place = self.start + (self.position - self.head.len() as u64);
        let left = usize::try_from(self.end.saturating_sub(place)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        if wanted == 0 {
            return Ok(0);
        }
        let wanted = self.budget.admit(wanted)?;
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
        // `admit` has counted the work before the read; the read itself was waiting.
        self.budget.skip_time();
        for (start, patch) in &self.patches {
            for (place, &byte) in (*start..).zip(patch) {
                let index =
                    place.checked_sub(self.at).and_then(|index| usize::try_from(index).ok());
                if let Some(original) = index.and_then(|index| buffer.get_mut(index)) {
                    *original = byte;
                }
            }
        }
        self.at += read as u64;
        self.budget.count_bytes(read);
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
                self.budget.stop(StopReason::System(error));
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

/// Whether a file begins as a container that is decoded.
fn has_container(beginning: &[u8]) -> bool {
    match beginning {
        [b'O', b'g', b'g', b'S', ..] | [b'f', b'L', b'a', b'C', ..] => true,
        [b'R', b'I', b'F', b'F', _, _, _, _, kind @ ..] => kind.starts_with(b"WAVE"),
        [b'R', b'F', b'6', b'4', ..] | [b'B', b'W', b'6', b'4', ..] => true,
        [b'F', b'O', b'R', b'M', _, _, _, _, kind @ ..] => kind.starts_with(b"AIF"),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => true,
        _ => false,
    }
}

/// The outline of a WAV, RF64 or AIFF file.
fn chunked(
    stream: &mut Box<dyn Stream>,
    lead: [u8; 8],
    start: u64,
    end: u64,
) -> io::Result<Option<chunks::Outline>> {
    match &lead {
        [b'R', b'I', b'F', b'F', ..]
        | [b'R', b'F', b'6', b'4', ..]
        | [b'B', b'W', b'6', b'4', ..] => chunks::wave(stream, start, end),
        [b'F', b'O', b'R', b'M', ..] => chunks::aiff(stream, start, end),
        _ => Ok(None),
    }
}

/// Where the content begins, after zeros and ID3v2 tags at the start, and how many bytes of zeros there are.
fn after_id3(stream: &mut Box<dyn Stream>, end: u64) -> Result<(u64, u64), SourceError> {
    // MP4 begins with the high bytes of a small number.
    let mut zeros = Some(zeros_at(stream, 0, MOST_ZEROS)?).filter(|&zeros| zeros > 8).unwrap_or(0);
    let mut start = zeros;
    for _ in 0..MOST_TAGS {
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
            return Err(SourceError::Truncated);
        }
        let padding = zeros_at(stream, start, MOST_ZEROS.saturating_sub(zeros))?;
        start += padding;
        zeros += padding;
    }
    Ok((start, zeros))
}

/// The number of zeros at a position; 0 if nothing else follows or they are more than `most`.
fn zeros_at(stream: &mut Box<dyn Stream>, at: u64, most: u64) -> io::Result<u64> {
    let mut block = Vec::new();
    let mut zeros = 0;
    stream.seek(SeekFrom::Start(at))?;
    while zeros < most {
        block.clear();
        if stream.as_mut().take(1 << 16).read_to_end(&mut block)? == 0 {
            return Ok(0);
        }
        match block.iter().position(|&byte| byte != 0) {
            Some(more) => return Ok(zeros + more as u64),
            None => zeros += block.len() as u64,
        }
    }
    Ok(0)
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
