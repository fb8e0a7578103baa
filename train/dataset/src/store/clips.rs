//! All clips of a data set in little memory: a million of them in about 250 MB.
//!
//! Most text of a row occurs in other rows too, so each text is interned: stored once, and referred to by an id.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

use super::row::ClipRow;
use super::sample_digest::SampleDigest;

/// The rows of clips, in the order in which they were added; a row is returned as a [`ClipRow`] of borrowed text.
///
/// ```
/// use leitmotif_dataset::store::{ClipRow, Clips};
///
/// let mut clips = Clips::default();
/// clips.push(&ClipRow { clip: "a#0", song: "a", artist: "A", ..ClipRow::default() })?;
/// assert_eq!(clips.iter().next().map(|row| row.artist), Some("A"));
/// # Ok::<(), leitmotif_dataset::store::TooManyNames>(())
/// ```
#[derive(Debug, Default)]
pub struct Clips {
    rows: Vec<PackedRow>,
    texts: Interner,
}

/// The data set has 2³² or more different names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than 4,294,967,295 different names; divide the music into several data sets")]
pub struct TooManyNames;

impl Clips {
    /// A table of `rows`.
    ///
    /// # Errors
    ///
    /// [`TooManyNames`].
    pub fn of<S: AsRef<str>>(
        rows: impl IntoIterator<Item = ClipRow<S>>,
    ) -> Result<Self, TooManyNames> {
        let mut clips = Clips::default();
        for row in rows {
            clips.push(&row.view())?;
        }
        Ok(clips)
    }

    /// Adds a row at the end. Names are not checked here.
    ///
    /// # Errors
    ///
    /// [`TooManyNames`].
    pub fn push(&mut self, row: &ClipRow<&str>) -> Result<(), TooManyNames> {
        let ClipRow {
            clip,
            song,
            artist,
            album,
            title,
            song_group,
            genre,
            start,
            samples,
            shard,
            offset,
            source,
            audio,
        } = *row;
        let texts = &mut self.texts;
        let packed = PackedRow {
            clip: texts.intern(clip)?,
            song: texts.intern(song)?,
            artist: texts.intern(artist)?,
            album: texts.intern(album)?,
            title: texts.intern(title)?,
            song_group: texts.intern(song_group)?,
            genre: texts.intern(genre)?,
            source: texts.intern(source)?,
            start,
            samples,
            shard,
            offset,
            audio,
        };
        self.rows.push(packed);
        Ok(())
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row at an index.
    pub fn get(&self, index: usize) -> Option<ClipRow<&str>> {
        self.rows.get(index).map(|packed| self.unpack(packed))
    }

    /// The last row.
    pub fn last(&self) -> Option<ClipRow<&str>> {
        self.rows.last().map(|packed| self.unpack(packed))
    }

    /// All rows, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ClipRow<&str>> + Clone {
        self.rows.iter().map(|packed| self.unpack(packed))
    }

    /// An index from clip names to row indices.
    pub(super) fn name_index(&self) -> NameIndex<'_> {
        let mut rows = vec![None; self.texts.ends.len()];
        for (index, packed) in self.rows.iter().enumerate() {
            if let Some(slot) = rows.get_mut(packed.clip as usize) {
                *slot = u32::try_from(index).ok();
            }
        }
        NameIndex { texts: &self.texts, rows }
    }

    /// The text ids of the last row's clip and song.
    pub(super) fn last_ids(&self) -> Option<(u32, u32)> {
        self.rows.last().map(|packed| (packed.clip, packed.song))
    }

    fn unpack(&self, packed: &PackedRow) -> ClipRow<&str> {
        let text = |id| self.texts.text(id);
        ClipRow {
            clip: text(packed.clip),
            song: text(packed.song),
            artist: text(packed.artist),
            album: text(packed.album),
            title: text(packed.title),
            song_group: text(packed.song_group),
            genre: text(packed.genre),
            start: packed.start,
            samples: packed.samples,
            shard: packed.shard,
            offset: packed.offset,
            source: text(packed.source),
            audio: packed.audio,
        }
    }
}

/// Finds the row of a clip by its name.
pub(super) struct NameIndex<'a> {
    texts: &'a Interner,
    /// The row of each text id that is a clip's name.
    rows: Vec<Option<u32>>,
}

impl NameIndex<'_> {
    pub(super) fn row_of(&self, clip: &str) -> Option<usize> {
        let id = self.texts.find(clip)?;
        self.rows.get(id as usize).copied().flatten().map(|index| index as usize)
    }
}

/// A row whose texts are ids: 64 bytes.
#[derive(Debug)]
struct PackedRow {
    clip: u32,
    song: u32,
    artist: u32,
    album: u32,
    title: u32,
    song_group: u32,
    genre: u32,
    source: u32,
    shard: u32,
    audio: Option<SampleDigest>,
    start: u64,
    samples: u64,
    offset: u64,
}

/// Distinct texts; ids count from 0 in the order of insertion.
#[derive(Debug, Default)]
struct Interner {
    /// All texts, concatenated.
    all: String,
    /// The end of each text in `all`.
    ends: Vec<usize>,
    /// Ids, hashed by their texts.
    ids: HashTable<u32>,
    hasher: RandomState,
}

impl Interner {
    fn intern(&mut self, text: &str) -> Result<u32, TooManyNames> {
        if let Some(id) = self.find(text) {
            return Ok(id);
        }
        let id = u32::try_from(self.ends.len()).map_err(|_| TooManyNames)?;
        self.all.push_str(text);
        self.ends.push(self.all.len());
        let Interner { all, ends, ids, hasher } = self;
        ids.insert_unique(hasher.hash_one(text), id, |id| hasher.hash_one(text_of(all, ends, *id)));
        Ok(id)
    }

    fn find(&self, text: &str) -> Option<u32> {
        let is_equal = |id: &u32| self.text(*id) == text;
        self.ids.find(self.hasher.hash_one(text), is_equal).copied()
    }

    fn text(&self, id: u32) -> &str {
        text_of(&self.all, &self.ends, id)
    }
}

/// The text of an id, which comes from [`Interner::intern`].
fn text_of<'a>(all: &'a str, ends: &[usize], id: u32) -> &'a str {
    let id = id as usize;
    let start = id.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(id).and_then(|end| all.get(start..*end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_row_is_small() {
        assert_eq!(size_of::<PackedRow>(), 64);
    }

    #[test]
    fn rows_are_returned_unchanged_and_texts_are_stored_once() {
        let rows: Vec<ClipRow> = (0..1000u32)
            .map(|number| ClipRow {
                clip: format!("ß{}#{number}", number / 3),
                song: format!("ß{}", number / 3),
                artist: format!("artist {}", number % 7),
                source: format!("ß{}", number / 3),
                start: u64::from(number) << 40,
                samples: 7,
                shard: number,
                offset: u64::MAX - u64::from(number),
                audio: (number % 2 == 0).then(|| SampleDigest::of(&number.to_le_bytes())),
                ..ClipRow::default()
            })
            .collect();
        let clips = Clips::of(rows.iter().map(ClipRow::view)).unwrap();
        assert_eq!(clips.len(), 1000);
        assert!(clips.iter().map(ClipRow::owned).eq(rows.iter().cloned()));
        assert_eq!(clips.get(999).map(|row| row.clip), clips.last().map(|row| row.clip));
        assert_eq!(clips.get(1000), None);
        // Clips, songs, artists and the empty text.
        assert_eq!(clips.texts.ends.len(), 1000 + 334 + 7 + 1);
        let index = clips.name_index();
        assert!((0..1000).all(|row| index.row_of(&rows[row].clip) == Some(row)));
        assert_eq!((index.row_of("ß0"), index.row_of("unknown")), (None, None));
    }
}
