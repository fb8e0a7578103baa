//! The structure of an MP4 file around its audio: its edit lists, where its tags lie, and whether it was cut off.
//!
//! symphonia reads MP4 but ignores edit lists, so an AAC encoder's delay (1,024 to 2,112 samples) would be decoded as
//! silence. Only the common list of one stretch of audio is applied; any other list is ignored.
//! ISO/IEC 14496-12, 8.6.6.

use std::io::{Read, Seek, SeekFrom};

/// Most boxes that are read of a file; a movie has dozens.
const MOST_BOXES: usize = 4096;

/// The stretch of an audio track that is meant to be played.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edit {
    /// Seconds dropped at the start.
    pub(super) start: f64,
    /// Seconds played; 0 for all there are.
    pub(super) length: f64,
}

/// What has to be known of a file before it is demuxed.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Outline {
    /// The edit of each track that has one, by track number.
    pub(super) edits: Vec<(u32, Edit)>,
    /// Bytes to present in place of others, and their positions: boxes of tags and pictures are renamed to `free`, and a
    /// box that was cut off gets the size that is left of it, because symphonia would not read it otherwise.
    pub(super) patches: Vec<(u64, Vec<u8>)>,
}

/// A box: its kind, and the positions of itself and its content.
#[derive(Clone, Copy)]
struct FoundBox {
    kind: [u8; 4],
    at: u64,
    start: u64,
    end: u64,
    /// Whether it is cut off.
    cut: bool,
}

/// The outline of the file between two positions of a stream; `None` if it is not MP4 or has no movie.
pub(super) fn outline(
    stream: &mut (impl Read + Seek + ?Sized),
    start: u64,
    end: u64,
) -> Option<Outline> {
    let mut reader = BoxReader { stream, boxes_left: MOST_BOXES };
    // A fragmented file has a box for every second of audio; the movie comes before those.
    let top = reader.boxes(start, end, |known, next| {
        [*b"mdat", *b"moof"].contains(&next.kind)
            && known.iter().any(|found| found.kind == *b"moov")
    });
    let movie = top.iter().find(|found| found.kind == *b"moov")?;
    let mut outline = Outline::default();
    outline.hide_tags(&top);
    if let Some(cut) = top.last().filter(|found| found.cut) {
        let size = cut.end - cut.at;
        let patch = match u32::try_from(size) {
            Ok(short) if cut.start - cut.at == 8 => (cut.at, short.to_be_bytes().to_vec()),
            _ => (cut.at + 8, size.to_be_bytes().to_vec()),
        };
        outline.patches.push(patch);
    }
    let inside = reader.boxes(movie.start, movie.end, |_, _| false);
    outline.hide_tags(&inside);
    let header = inside.iter().find(|found| found.kind == *b"mvhd")?;
    let movie_scale = reader.time_scale(header.start)?;
    for track in inside.iter().filter(|found| found.kind == *b"trak") {
        let parts = reader.boxes(track.start, track.end, |_, _| false);
        outline.hide_tags(&parts);
        outline.edits.extend(reader.edit(&parts, movie_scale));
    }
    Some(outline)
}

impl Outline {
    fn hide_tags(&mut self, boxes: &[FoundBox]) {
        let tags = boxes.iter().filter(|found| [*b"udta", *b"meta"].contains(&found.kind));
        self.patches.extend(tags.map(|found| (found.at + 4, b"free".to_vec())));
    }
}

struct BoxReader<'s, S: Read + Seek + ?Sized> {
    stream: &'s mut S,
    boxes_left: usize,
}

impl<S: Read + Seek + ?Sized> BoxReader<'_, S> {
    /// The number and the edit of the track with these boxes.
    fn edit(&mut self, track: &[FoundBox], movie_scale: f64) -> Option<(u32, Edit)> {
        let child = |kind: &[u8; 4]| track.iter().find(|found| found.kind == *kind).copied();
        let header = child(b"tkhd")?.start;
        // Version 1 has 64-bit times before the number.
        let number = if self.version(header)? == 1 { header + 20 } else { header + 12 };
        let number = self.u32_at(number)?;
        let (media, edits) = (child(b"mdia")?, child(b"edts")?);
        let header = self.child(media, b"mdhd")?;
        let media_scale = self.time_scale(header.start)?;
        let list = self.child(edits, b"elst")?.start;
        // A list of one entry.
        if self.u32_at(list + 4)? != 1 {
            return None;
        }
        let (length, start) = if self.version(list)? == 1 {
            (self.u64_at(list + 8)?, i64::from_be_bytes(self.bytes(list + 16)?))
        } else {
            let start = i32::from_be_bytes(self.bytes(list + 12)?);
            (u64::from(self.u32_at(list + 8)?), i64::from(start))
        };
        // −1 marks an edit of silence.
        let edit = Edit { start: start as f64 / media_scale, length: length as f64 / movie_scale };
        (start >= 0).then_some((number, edit))
    }

    /// Ticks per second of a `mvhd` or `mdhd`.
    fn time_scale(&mut self, header: u64) -> Option<f64> {
        let at = if self.version(header)? == 1 { header + 20 } else { header + 12 };
        match self.u32_at(at)? {
            0 => None,
            scale => Some(f64::from(scale)),
        }
    }

    /// The first box of a kind inside of another.
    fn child(&mut self, parent: FoundBox, kind: &[u8; 4]) -> Option<FoundBox> {
        self.boxes(parent.start, parent.end, |_, _| false)
            .into_iter()
            .find(|found| found.kind == *kind)
    }

    /// The boxes between two positions, up to and including the first that is cut off or for which `is_last` is true;
    /// that gets the boxes before it and the box.
    fn boxes(
        &mut self,
        start: u64,
        end: u64,
        is_last: impl Fn(&[FoundBox], &FoundBox) -> bool,
    ) -> Vec<FoundBox> {
        let mut found = Vec::new();
        let mut at = start;
        while at + 8 <= end {
            let Some(next) = self.box_at(at, end) else { break };
            at = next.end;
            let last = next.cut || is_last(&found, &next);
            found.push(next);
            if last {
                break;
            }
        }
        found
    }

    fn box_at(&mut self, at: u64, end: u64) -> Option<FoundBox> {
        self.boxes_left = self.boxes_left.checked_sub(1)?;
        let (header, size) = match self.u32_at(at)? {
            0 => (8, end - at),
            1 => (16, self.u64_at(at + 8)?),
            size => (8, u64::from(size)),
        };
        let whole = at.checked_add(size).filter(|_| size >= header)?;
        let start = at + header;
        let found = FoundBox {
            kind: self.bytes(at + 4)?,
            at,
            start,
            end: whole.min(end),
            cut: whole > end,
        };
        (found.end >= start).then_some(found)
    }

    fn version(&mut self, header: u64) -> Option<u8> {
        self.bytes::<1>(header).map(|[version]| version)
    }

    fn u32_at(&mut self, at: u64) -> Option<u32> {
        self.bytes(at).map(u32::from_be_bytes)
    }

    fn u64_at(&mut self, at: u64) -> Option<u64> {
        self.bytes(at).map(u64::from_be_bytes)
    }

    fn bytes<const N: usize>(&mut self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.stream.seek(SeekFrom::Start(at)).ok()?;
        self.stream.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }
}
