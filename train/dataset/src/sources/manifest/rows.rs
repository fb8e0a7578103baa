//! Parses and validates the rows of a manifest.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::sources::error::Problem;
use crate::sources::track::Excerpt;

/// The columns of a manifest; the first two are required.
pub const COLUMNS: [&str; 8] =
    ["path", "artist", "album", "title", "song_group", "genre", "start_seconds", "end_seconds"];

/// A valid row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) path: String,
    pub(super) artist: String,
    pub(super) album: String,
    pub(super) title: String,
    pub(super) song_group: String,
    pub(super) genre: String,
    pub(super) excerpt: Excerpt,
}

impl Row {
    /// The path; where the song is an excerpt, followed by `@` and its start and end in seconds.
    pub(super) fn id(&self) -> String {
        let Excerpt { start_seconds, end_seconds } = self.excerpt;
        match end_seconds {
            Some(end) => format!("{}@{start_seconds}-{end}", self.path),
            None if start_seconds > 0.0 => format!("{}@{start_seconds}", self.path),
            None => self.path.clone(),
        }
    }
}

/// Parses and validates a manifest; the error is the list of all problems.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<Row>, Vec<Problem>> {
    // Spreadsheets write a byte-order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(bytes);
    let header = reader
        .byte_headers()
        .map_err(|error| vec![Problem::of_line(1, error.to_string())])?
        .clone();
    let columns = columns(&header)?;
    let mut rows = Vec::new();
    let mut problems = Vec::new();
    let mut seen: HashMap<PathBuf, u64> = HashMap::new();
    let mut excerpts: HashMap<PathBuf, Vec<(Excerpt, u64)>> = HashMap::new();
    for record in reader.into_byte_records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                problems.push(Problem::of_line(
                    error.position().map_or(0, csv::Position::line),
                    error.to_string(),
                ));
                break;
            }
        };
        let line = record.position().map_or(0, |position| line_of(bytes, position));
        if record.len() != header.len() {
            problems.push(Problem::of_line(
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
                    problems.push(Problem::in_column(
                        line,
                        "path",
                        format!("`{}` is already on line {first}", row.path),
                    ));
                } else {
                    let path = simplified(&row.path);
                    excerpts.entry(path).or_default().push((row.excerpt, line));
                }
                rows.push(row);
            }
        }
    }
    problems.extend(excerpts.into_iter().flat_map(|(path, of_file)| overlaps(&path, of_file)));
    problems.sort_by_key(|problem| problem.line);
    if problems.is_empty() && rows.is_empty() {
        problems.push(Problem::of_line(1, "the manifest has no rows".to_owned()));
    }
    if problems.is_empty() { Ok(rows) } else { Err(problems) }
}

/// Finds overlapping excerpts of one file: as two songs they could be in two parts of a split.
fn overlaps(path: &Path, mut excerpts: Vec<(Excerpt, u64)>) -> Vec<Problem> {
    let end = |excerpt: &Excerpt| excerpt.end_seconds.unwrap_or(f64::INFINITY);
    excerpts.sort_by(|(a, _), (b, _)| a.start_seconds.total_cmp(&b.start_seconds));
    let mut problems = Vec::new();
    // The previous excerpt that ends last.
    let mut longest: Option<(Excerpt, u64)> = None;
    for (excerpt, line) in excerpts {
        match longest {
            Some((before, other)) if excerpt.start_seconds < end(&before) => {
                let (first, later) = (line.min(other), line.max(other));
                let what = format!("overlaps the excerpt of `{}` on line {first}", path.display());
                problems.push(Problem::in_column(later, "start_seconds", what));
                if end(&excerpt) > end(&before) {
                    longest = Some((excerpt, line));
                }
            }
            _ => longest = Some((excerpt, line)),
        }
    }
    problems
}

/// The columns of the header, in order, or its problems.
fn columns(header: &csv::ByteRecord) -> Result<Vec<&'static str>, Vec<Problem>> {
    let mut columns = Vec::new();
    let mut problems = Vec::new();
    for name in header {
        let column = String::from_utf8_lossy(name).trim().to_owned();
        match COLUMNS.iter().find(|known| **known == column) {
            None => problems.push(Problem::in_column(
                1,
                &column,
                format!("unknown column; the columns are {}", COLUMNS.join(", ")),
            )),
            Some(known) if columns.contains(known) => {
                problems.push(Problem::in_column(1, known, "the column appears twice".to_owned()))
            }
            Some(known) => columns.push(*known),
        }
    }
    for needed in ["path", "artist"] {
        if !columns.contains(&needed) {
            problems.push(Problem::in_column(1, needed, "the column is missing".to_owned()));
        }
    }
    if problems.is_empty() { Ok(columns) } else { Err(problems) }
}

/// Validates one record; the error is the list of its problems.
/// The line on which a record begins. The reader's position is still before what it skips: the second half of a line
/// break `\r\n`, and empty lines.
fn line_of(bytes: &[u8], position: &csv::Position) -> u64 {
    let begin = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let rest = bytes.get(begin..).unwrap_or_default();
    let skipped = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n'));
    position.line() + skipped.filter(|byte| **byte == b'\n').count() as u64
}

fn row(record: &csv::ByteRecord, columns: &[&'static str], line: u64) -> Result<Row, Vec<Problem>> {
    let mut row = Row::default();
    let (mut start, mut end) = (None, None);
    let mut problems = Vec::new();
    for (value, column) in record.iter().zip(columns) {
        let Ok(value) = std::str::from_utf8(value) else {
            problems.push(Problem::in_column(
                line,
                column,
                "not UTF-8; save the manifest as UTF-8".to_owned(),
            ));
            continue;
        };
        let value = value.trim();
        if value.contains(char::is_control) {
            problems.push(Problem::in_column(
                line,
                column,
                "holds a line break or another control character".to_owned(),
            ));
        } else if value.is_empty() && ["path", "artist"].contains(column) {
            problems.push(Problem::in_column(line, column, "is empty".to_owned()));
        }
        let number = match *column {
            "start_seconds" => Some(&mut start),
            "end_seconds" => Some(&mut end),
            _ => None,
        };
        if let Some(number) = number {
            match seconds(value) {
                Ok(seconds) => *number = seconds,
                Err(what) => problems.push(Problem::in_column(line, column, what)),
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
        problems.push(Problem::in_column(
            line,
            "end_seconds",
            "must be greater than start_seconds".to_owned(),
        ));
    }
    if problems.is_empty() { Ok(row) } else { Err(problems) }
}

/// A number of seconds; `None` where the field is empty.
fn seconds(text: &str) -> Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds >= 0.0 => Ok(Some(seconds)),
        _ => Err(format!("`{text}` is not a number of seconds, 0 or more (12.5)")),
    }
}

/// `a/./b` is `a/b`. `..` stays, because it depends on links.
fn simplified(path: &str) -> PathBuf {
    Path::new(path).components().filter(|part| *part != Component::CurDir).collect()
}

/// The file name of a path without its extension.
pub(super) fn file_stem(path: &str) -> String {
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
    fn columns_may_be_in_any_order() {
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
    fn lines_are_counted_alike_after_either_kind_of_line_break() {
        for text in
            ["path,artist\na,A\n\nb,\n\"c\nd\",C\ne,\n", "path,artist\n\na,A\nb,\nc,C\n\ne,\n"]
        {
            let lines = |text: &str| -> Vec<u64> {
                parse(text.as_bytes()).unwrap_err().iter().map(|problem| problem.line).collect()
            };
            let found = lines(text);
            assert_eq!(found, lines(&text.replace('\n', "\r\n")), "{text:?}");
            assert!(found.starts_with(&[4]) && found.ends_with(&[7]), "{found:?}");
        }
    }

    #[test]
    fn unknown_missing_and_repeated_columns_are_reported() {
        assert_eq!(
            problems(b"path,year,path\nx,1,y\n"),
            [
                "line 1, column `year`: unknown column; the columns are path, artist, album, title, \
                 song_group, genre, start_seconds, end_seconds",
                "line 1, column `path`: the column appears twice",
                "line 1, column `artist`: the column is missing",
            ]
        );
    }

    #[test]
    fn all_bad_values_are_reported_with_line_and_column() {
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
    fn duplicate_rows_are_reported_with_the_first() {
        assert_eq!(
            problems(b"path,artist\na/b.ogg,A\nc.ogg,A\na/./b.ogg,B\n"),
            ["line 4, column `path`: `a/./b.ogg` is already on line 2"]
        );
    }

    #[test]
    fn bad_numbers_are_reported() {
        assert_eq!(
            problems(b"path,artist,start_seconds,end_seconds\na,A,1e3x,NaN\nb,B,-1,inf\nc,C,9,9\nd,D,\"1,5\",\n"),
            [
                "line 2, column `start_seconds`: `1e3x` is not a number of seconds, 0 or more (12.5)",
                "line 2, column `end_seconds`: `NaN` is not a number of seconds, 0 or more (12.5)",
                "line 3, column `start_seconds`: `-1` is not a number of seconds, 0 or more (12.5)",
                "line 3, column `end_seconds`: `inf` is not a number of seconds, 0 or more (12.5)",
                "line 4, column `end_seconds`: must be greater than start_seconds",
                "line 5, column `start_seconds`: `1,5` is not a number of seconds, 0 or more (12.5)",
            ]
        );
    }

    #[test]
    fn excerpts_of_one_file_are_separate_songs() {
        let rows = parse(b"path,artist,start_seconds,end_seconds\na,A,0,60.5\na,A,60.5,\nb,A,,\n")
            .unwrap();
        assert_eq!(rows.iter().map(Row::id).collect::<Vec<_>>(), ["a@0-60.5", "a@60.5", "b"]);
        assert_eq!(
            problems(b"path,artist,start_seconds\na,A,7\n./a,A,7.0\n"),
            ["line 3, column `path`: `./a` is already on line 2"]
        );
    }

    #[test]
    fn excerpts_of_one_file_must_not_overlap() {
        let header = "path,artist,title,start_seconds,end_seconds\n";
        let of = |rows: &str| problems(format!("{header}{rows}").as_bytes());
        assert_eq!(
            of("a,A,S,0,100\na,A,T,90,200\nb,A,T,90,200\n"),
            ["line 3, column `start_seconds`: overlaps the excerpt of `a` on line 2"]
        );
        // Within the first but after a shorter one; the whole file; excerpts out of order.
        assert_eq!(
            of("a,A,S,0,100\na,A,T,10,20\n./a,A,U,99,\nc,A,V,50,60\nc,A,W,,\n"),
            [
                "line 3, column `start_seconds`: overlaps the excerpt of `a` on line 2",
                "line 4, column `start_seconds`: overlaps the excerpt of `a` on line 2",
                "line 6, column `start_seconds`: overlaps the excerpt of `c` on line 5",
            ]
        );
    }

    #[test]
    fn an_empty_manifest_is_an_error() {
        assert_eq!(problems(b"path,artist\n"), ["line 1: the manifest has no rows"]);
        assert!(!problems(b"").is_empty());
    }
}
