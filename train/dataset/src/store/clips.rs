//! All clips of a data set in little memory: a million of them in about 250 MB.
//!
//! Most of a row is text that other rows have too, so every text is kept once and rows hold numbers.

use std::hash::{BuildHasher as _, RandomState};

use hashbrown::HashTable;

use super::row::ClipRow;

/// Rows of clips, in the order in which they were added; a row is lent as a [`ClipRow`] of `&str`.
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
    rows: Vec<Packed>,
    texts: Texts,
}

/// 2³² different names and more in one data set.
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
        } = *row;
        let texts = &mut self.texts;
        let packed = Packed {
            clip: texts.number(clip)?,
            song: texts.number(song)?,
            artist: texts.number(artist)?,
            album: texts.number(album)?,
            title: texts.number(title)?,
            song_group: texts.number(song_group)?,
            genre: texts.number(genre)?,
            source: texts.number(source)?,
            start,
            samples,
            shard,
            offset,
        };
        self.rows.push(packed);
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row at a place.
    pub fn get(&self, place: usize) -> Option<ClipRow<&str>> {
        self.rows.get(place).map(|packed| self.row(packed))
    }

    /// The last row.
    pub fn last(&self) -> Option<ClipRow<&str>> {
        self.rows.last().map(|packed| self.row(packed))
    }

    /// All rows in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = ClipRow<&str>> + Clone {
        self.rows.iter().map(|packed| self.row(packed))
    }

    /// By the name of a clip its place: what a reader of names builds once.
    pub(super) fn places(&self) -> Places<'_> {
        let mut places = vec![None; self.texts.ends.len()];
        for (place, packed) in self.rows.iter().enumerate() {
            if let Some(slot) = places.get_mut(packed.clip as usize) {
                *slot = u32::try_from(place).ok();
            }
        }
        Places { texts: &self.texts, places }
    }

    /// The numbers of the last row's clip and song, which tell them from all others.
    pub(super) fn last_numbers(&self) -> Option<(u32, u32)> {
        self.rows.last().map(|packed| (packed.clip, packed.song))
    }

    fn row(&self, packed: &Packed) -> ClipRow<&str> {
        let text = |number| self.texts.text(number);
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
        }
    }
}

/// Where clips stand in a table, by their names.
pub(super) struct Places<'a> {
    texts: &'a Texts,
    places: Vec<Option<u32>>,
}

impl Places<'_> {
    pub(super) fn of(&self, clip: &str) -> Option<usize> {
        let number = self.texts.find(clip)?;
        self.places.get(number as usize).copied().flatten().map(|place| place as usize)
    }
}

/// A row of numbers: 64 bytes.
#[derive(Debug)]
struct Packed {
    clip: u32,
    song: u32,
    artist: u32,
    album: u32,
    title: u32,
    song_group: u32,
    genre: u32,
    source: u32,
    shard: u32,
    start: u64,
    samples: u64,
    offset: u64,
}

/// Texts, each once, numbered as they came.
#[derive(Debug, Default)]
struct Texts {
    /// End to end.
    all: String,
    /// Where each ends in `all`.
    ends: Vec<usize>,
    /// The numbers, to be found by their texts.
    numbers: HashTable<u32>,
    hasher: RandomState,
}

impl Texts {
    fn number(&mut self, text: &str) -> Result<u32, TooManyNames> {
        if let Some(number) = self.find(text) {
            return Ok(number);
        }
        let number = u32::try_from(self.ends.len()).map_err(|_| TooManyNames)?;
        self.all.push_str(text);
        self.ends.push(self.all.len());
        let Texts { all, ends, numbers, hasher } = self;
        numbers.insert_unique(hasher.hash_one(text), number, |number| {
            hasher.hash_one(lent(all, ends, *number))
        });
        Ok(number)
    }

    fn find(&self, text: &str) -> Option<u32> {
        let is_it = |number: &u32| self.text(*number) == text;
        self.numbers.find(self.hasher.hash_one(text), is_it).copied()
    }

    fn text(&self, number: u32) -> &str {
        lent(&self.all, &self.ends, number)
    }
}

/// The text of a number; numbers are given by [`Texts`] alone.
fn lent<'a>(all: &'a str, ends: &[usize], number: u32) -> &'a str {
    let number = number as usize;
    let start = number.checked_sub(1).and_then(|before| ends.get(before)).copied().unwrap_or(0);
    ends.get(number).and_then(|end| all.get(start..*end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were_given_and_texts_are_kept_once() {
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
        let places = clips.places();
        assert!((0..1000).all(|place| places.of(&rows[place].clip) == Some(place)));
        assert_eq!((places.of("ß0"), places.of("nobody")), (None, None));
    }
}
