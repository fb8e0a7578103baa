//! A CSV manifest: one song a row, columns `path` and `artist` (needed), `album`, `title`, `song_group`, `genre` (several: `;`), and
//! `start_seconds` and `end_seconds` where only a stretch of the file is the song.
//!
//! Paths are relative to the manifest. A manifest is written on purpose, so what is wrong in it is an error with line and column, all of them
//! at once; what is wrong with the audio it names (missing, damaged) is found while preparing, and the others go on.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use super::error::{Problem, SourceError};
use super::left_out::{LeftOut, Reason};
use super::names::{is_pseudo_artist, song_group};
use super::tags;
use super::track::{Excerpt, Found, Track};

/// The columns a manifest may have; the first two it must have.
pub const COLUMNS: [&str; 8] =
    ["path", "artist", "album", "title", "song_group", "genre", "start_seconds", "end_seconds"];

/// Larger manifests are refused: a mistaken file name should not fill the memory.
const MAX_BYTES: u64 = 1 << 30;

/// Reads the manifest `file`; rows of pseudo-artists are left out, everything else that is wrong is an error.
///
/// `progress` hears the number of rows done so far, whose files' playing times are read; `stopped` is asked between files.
pub fn find(
    file: &Path,
    progress: &mut dyn FnMut(usize),
    stopped: &dyn Fn() -> bool,
) -> Result<Found, SourceError> {
    let unreadable = |source| SourceError::Unreadable { path: file.to_owned(), source };
    // However the path was typed, the same manifest is the same source, or an interrupted `prepare` would not go on.
    let file = &file.canonicalize().map_err(unreadable)?;
    let size = file.metadata().map_err(unreadable)?.len();
    if size > MAX_BYTES {
        return Err(unreadable(std::io::Error::other(format!(
            "{size} bytes are more than a manifest may have ({MAX_BYTES})"
        ))));
    }
    let bytes = std::fs::read(file).map_err(unreadable)?;
    let rows = parse(&bytes)
        .map_err(|problems| SourceError::Manifest { path: file.to_owned(), problems })?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut tracks = Vec::new();
    let mut left_out = Vec::new();
    for (number, row) in rows.into_iter().enumerate() {
        if stopped() {
            return Err(SourceError::Stopped);
        }
        if is_pseudo_artist(&row.artist) {
            left_out.push(LeftOut {
                path: row.id(),
                reason: Reason::PseudoArtist { artist: row.artist },
            });
            continue;
        }
        let (id, path) = (row.id(), folder.join(&row.path));
        let title = if row.title.is_empty() { stem(&row.path) } else { row.title };
        let song_group = if row.song_group.is_empty() {
            song_group(&row.artist, &title)
        } else {
            row.song_group
        };
        let genres = row
            .genre
            .split(';')
            .map(str::trim)
            .filter(|genre| !genre.is_empty())
            .map(str::to_owned)
            .collect();
        let seconds = tags::read(&path).seconds.map(|seconds| row.excerpt.of(seconds));
        progress(number + 1);
        tracks.push(Track {
            id,
            path: path.into(),
            artist: row.artist,
            album: row.album,
            title,
            song_group,
            genres,
            excerpt: row.excerpt,
            seconds,
            clips: Vec::new(),
        });
    }
    Ok(Found {
        tracks,
        left_out,
        other_files: 0,
        // Who wrote a manifest meant its names.
        united: Vec::new(),
        name: stem(&file.to_string_lossy()),
        licence: "that of your own music".to_owned(),
        notes: "made from a manifest".to_owned(),
        source: format!("manifest {}", file.display()),
    })
}

/// One row as written.
#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    path: String,
    artist: String,
    album: String,
    title: String,
    song_group: String,
    genre: String,
    excerpt: Excerpt,
}

impl Row {
    /// The path, with the stretch after `@` where it is not the whole file.
    fn id(&self) -> String {
        let Excerpt { start_seconds, end_seconds } = self.excerpt;
        match end_seconds {
            Some(end) => format!("{}@{start_seconds}-{end}", self.path),
            None if start_seconds > 0.0 => format!("{}@{start_seconds}", self.path),
            None => self.path.clone(),
        }
    }
}

/// Rows of a manifest, or all its problems.
fn parse(bytes: &[u8]) -> Result<Vec<Row>, Vec<Problem>> {
    // Spreadsheets write a byte-order mark before the first column's name.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header =
        reader.byte_headers().map_err(|error| vec![Problem::whole(1, error.to_string())])?.clone();
    let columns = columns(&header)?;
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    let mut seen: HashMap<PathBuf, u64> = HashMap::new();
    let mut stretches: HashMap<PathBuf, Vec<(Excerpt, u64)>> = HashMap::new();
    for record in reader.into_byte_records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                problems.push(Problem::whole(
                    error.position().map_or(0, csv::Position::line),
                    error.to_string(),
                ));
                break;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            problems.push(Problem::whole(
                line,
                format!(
                    "{} fields where the header has {}; quote fields that hold commas",
                    record.len(),
                    header.len()
                ),
            ));
            continue;
        }
        match row(&record, &columns, line) {
            Err(found) => problems.extend(found),
            Ok(row) => {
                if let Some(first) = seen.insert(simplified(&row.id()), line) {
                    problems.push(Problem::at(
                        line,
                        "path",
                        format!("`{}` is already on line {first}", row.path),
                    ));
                } else {
                    let path = simplified(&row.path);
                    stretches.entry(path).or_default().push((row.excerpt, line));
                }
                rows.push(row);
            }
        }
    }
    problems.extend(stretches.into_iter().flat_map(|(path, of_file)| overlaps(&path, of_file)));
    problems.sort_by_key(|problem| problem.line);
    if problems.is_empty() && rows.is_empty() {
        problems.push(Problem::whole(1, "the manifest names no song".to_owned()));
    }
    if problems.is_empty() { Ok(rows) } else { Err(problems) }
}

/// Stretches of one file that share sound: as two songs they could lie on two sides of a split.
fn overlaps(path: &Path, mut stretches: Vec<(Excerpt, u64)>) -> Vec<Problem> {
    let end = |excerpt: &Excerpt| excerpt.end_seconds.unwrap_or(f64::INFINITY);
    stretches.sort_by(|(a, _), (b, _)| a.start_seconds.total_cmp(&b.start_seconds));
    let mut problems = Vec::new();
    // Of those before, the one that ends last.
    let mut longest: Option<(Excerpt, u64)> = None;
    for (excerpt, line) in stretches {
        match longest {
            Some((before, other)) if excerpt.start_seconds < end(&before) => {
                let (first, later) = (line.min(other), line.max(other));
                let what = format!("shares a stretch of `{}` with line {first}", path.display());
                problems.push(Problem::at(later, "start_seconds", what));
                if end(&excerpt) > end(&before) {
                    longest = Some((excerpt, line));
                }
            }
            _ => longest = Some((excerpt, line)),
        }
    }
    problems
}

/// The header's columns in order, or what is wrong with them.
fn columns(header: &csv::ByteRecord) -> Result<Vec<&'static str>, Vec<Problem>> {
    let mut columns = Vec::new();
    let mut problems = Vec::new();
    for name in header {
        let shown = String::from_utf8_lossy(name).trim().to_owned();
        match COLUMNS.iter().find(|known| **known == shown) {
            None => problems.push(Problem::at(
                1,
                &shown,
                format!("unknown column; known are {}", COLUMNS.join(", ")),
            )),
            Some(known) if columns.contains(known) => {
                problems.push(Problem::at(1, known, "the column is there twice".to_owned()))
            }
            Some(known) => columns.push(*known),
        }
    }
    for needed in ["path", "artist"] {
        if !columns.contains(&needed) {
            problems.push(Problem::at(1, needed, "the column is missing".to_owned()));
        }
    }
    if problems.is_empty() { Ok(columns) } else { Err(problems) }
}

/// One record as a row, or every column that is wrong.
fn row(record: &csv::ByteRecord, columns: &[&'static str], line: u64) -> Result<Row, Vec<Problem>> {
    let mut row = Row::default();
    let (mut start, mut end) = (None, None);
    let mut problems = Vec::new();
    for (value, column) in record.iter().zip(columns) {
        let Ok(value) = std::str::from_utf8(value) else {
            problems.push(Problem::at(
                line,
                column,
                "not UTF-8; save the manifest as UTF-8".to_owned(),
            ));
            continue;
        };
        let value = value.trim();
        if value.contains(char::is_control) {
            problems.push(Problem::at(
                line,
                column,
                "holds a line break or another control character".to_owned(),
            ));
        } else if value.is_empty() && ["path", "artist"].contains(column) {
            problems.push(Problem::at(line, column, "is empty".to_owned()));
        }
        let number = match *column {
            "start_seconds" => Some(&mut start),
            "end_seconds" => Some(&mut end),
            _ => None,
        };
        if let Some(number) = number {
            match seconds(value) {
                Ok(seconds) => *number = seconds,
                Err(what) => problems.push(Problem::at(line, column, what)),
            }
            continue;
        }
        let field = match *column {
            "path" => &mut row.path,
            "artist" => &mut row.artist,
            "album" => &mut row.album,
            "title" => &mut row.title,
            "song_group" => &mut row.song_group,
            _ => &mut row.genre,
        };
        value.clone_into(field);
    }
    row.excerpt = Excerpt { start_seconds: start.unwrap_or(0.0), end_seconds: end };
    if end.is_some_and(|end| end <= row.excerpt.start_seconds) {
        problems.push(Problem::at(line, "end_seconds", "must lie after start_seconds".to_owned()));
    }
    if problems.is_empty() { Ok(row) } else { Err(problems) }
}

/// A number of seconds; nothing where the field is empty.
fn seconds(text: &str) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(Some(seconds)),
        _ => Err(format!("`{text}` is not a number of seconds, 0 or more (12.5)")),
    }
}

/// `a/./b` is `a/b`; anything else stays, so that no link is judged by its name.
fn simplified(path: &str) -> PathBuf {
    Path::new(path).components().filter(|part| *part != Component::CurDir).collect()
}

fn stem(path: &str) -> String {
    Path::new(path).file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Problems of a manifest, as printed.
    fn problems(bytes: &[u8]) -> Vec<String> {
        parse(bytes).expect_err("this manifest is wrong").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_manifest_reads_in_any_order_of_columns() {
        let rows = parse(
            "\u{feff}artist,path,genre\r\n\"Tom, Dick & \"\"H\"\" 🎸\",a b.ogg,Rock;Pop\r\n"
                .as_bytes(),
        )
        .unwrap();
        assert_eq!(
            rows,
            [Row {
                path: "a b.ogg".into(),
                artist: "Tom, Dick & \"H\" 🎸".into(),
                genre: "Rock;Pop".into(),
                ..Row::default()
            }]
        );
    }

    #[test]
    fn unknown_missing_and_repeated_columns_are_named() {
        assert_eq!(
            problems(b"path,year,path\nx,1,y\n"),
            [
                "line 1, column `year`: unknown column; known are path, artist, album, title, song_group, genre, start_seconds, end_seconds",
                "line 1, column `path`: the column is there twice",
                "line 1, column `artist`: the column is missing",
            ]
        );
    }

    #[test]
    fn bad_values_are_named_with_line_and_column_all_at_once() {
        assert_eq!(
            problems(b"path,artist,title\na.ogg,A,T\n,A,T\nb.ogg,\xff\xfe,T\nc.ogg, ,\"T\nU\"\nd.ogg,A\n"),
            [
                "line 3, column `path`: is empty",
                "line 4, column `artist`: not UTF-8; save the manifest as UTF-8",
                "line 5, column `artist`: is empty",
                "line 5, column `title`: holds a line break or another control character",
                "line 7: 2 fields where the header has 3; quote fields that hold commas",
            ]
        );
    }

    #[test]
    fn duplicate_rows_are_named_with_the_first() {
        assert_eq!(
            problems(b"path,artist\na/b.ogg,A\nc.ogg,A\na/./b.ogg,B\n"),
            ["line 4, column `path`: `a/./b.ogg` is already on line 2"]
        );
    }

    #[test]
    fn bad_numbers_are_named() {
        assert_eq!(
            problems(b"path,artist,start_seconds,end_seconds\na,A,1e3x,NaN\nb,B,-1,inf\nc,C,9,9\nd,D,\"1,5\",\n"),
            [
                "line 2, column `start_seconds`: `1e3x` is not a number of seconds, 0 or more (12.5)",
                "line 2, column `end_seconds`: `NaN` is not a number of seconds, 0 or more (12.5)",
                "line 3, column `start_seconds`: `-1` is not a number of seconds, 0 or more (12.5)",
                "line 3, column `end_seconds`: `inf` is not a number of seconds, 0 or more (12.5)",
                "line 4, column `end_seconds`: must lie after start_seconds",
                "line 5, column `start_seconds`: `1,5` is not a number of seconds, 0 or more (12.5)",
            ]
        );
    }

    #[test]
    fn stretches_of_one_file_are_songs_of_their_own() {
        let rows = parse(b"path,artist,start_seconds,end_seconds\na,A,0,60.5\na,A,60.5,\nb,A,,\n")
            .unwrap();
        assert_eq!(rows.iter().map(Row::id).collect::<Vec<_>>(), ["a@0-60.5", "a@60.5", "b"]);
        assert_eq!(
            problems(b"path,artist,start_seconds\na,A,7\n./a,A,7.0\n"),
            ["line 3, column `path`: `./a` is already on line 2"]
        );
    }

    #[test]
    fn stretches_of_one_file_may_not_overlap() {
        let header = "path,artist,title,start_seconds,end_seconds\n";
        let of = |rows: &str| problems(format!("{header}{rows}").as_bytes());
        assert_eq!(
            of("a,A,S,0,100\na,A,T,90,200\nb,A,T,90,200\n"),
            ["line 3, column `start_seconds`: shares a stretch of `a` with line 2"]
        );
        // Within the first, after a shorter one; the whole file; an order other than that of the lines.
        assert_eq!(
            of("a,A,S,0,100\na,A,T,10,20\n./a,A,U,99,\nc,A,V,50,60\nc,A,W,,\n"),
            [
                "line 3, column `start_seconds`: shares a stretch of `a` with line 2",
                "line 4, column `start_seconds`: shares a stretch of `a` with line 2",
                "line 6, column `start_seconds`: shares a stretch of `c` with line 5",
            ]
        );
    }

    #[test]
    fn an_empty_manifest_is_an_error() {
        assert_eq!(problems(b"path,artist\n"), ["line 1: the manifest names no song"]);
        assert!(!problems(b"").is_empty());
    }
}
