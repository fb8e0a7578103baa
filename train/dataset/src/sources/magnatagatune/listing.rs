//! Reads the list of clips: `clip_info_final.csv` of the data set, a list of paths, or the folder of the audio.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::clip::{Clip, parse_path};
use super::rules::fields;
use crate::digest::NameDigest;
use crate::sources::{Problem, SourceError};

/// Where to read the list of clips.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// `clip_info_final.csv`: tab-separated, with a header.
    ClipInfo(PathBuf),
    /// Lines `clip_id TAB mp3_path`, without a header.
    Paths(PathBuf),
    /// The folder of the audio, with the folders `0` to `f`.
    Folder(PathBuf),
}

/// A list of clips.
#[derive(Debug, Default)]
pub(super) struct ClipList {
    pub(super) clips: Vec<Clip>,
    /// Rows of clips without audio in the data set.
    pub(super) without_audio: usize,
    /// Files in the folder that are not clips.
    pub(super) other_files: usize,
}

impl Listing {
    pub(super) fn read(&self) -> Result<ClipList, SourceError> {
        let file = |path: &Path| -> Result<BufReader<File>, SourceError> {
            let file = File::open(path)
                .map_err(|source| SourceError::Unreadable { path: path.to_owned(), source })?;
            Ok(BufReader::new(file))
        };
        let with_path = |path: &Path| {
            let path = path.to_owned();
            move |error| match error {
                ListError::Unreadable(source) => SourceError::Unreadable { path, source },
                ListError::Problems(problems) => SourceError::Manifest { path, problems },
            }
        };
        match self {
            Listing::ClipInfo(path) => clip_info(file(path)?).map_err(with_path(path)),
            Listing::Paths(path) => paths(file(path)?).map_err(with_path(path)),
            Listing::Folder(path) => folder(path),
        }
    }
}

/// Why a list cannot be used.
#[derive(Debug)]
enum ListError {
    Unreadable(io::Error),
    Problems(Vec<Problem>),
}

const NOT_A_PATH: &str = "is not a path of MagnaTagATune (X/artist-album-NN-title-START-END.mp3)";

/// Collects clips, and finds duplicates.
#[derive(Default)]
struct ListBuilder {
    list: ClipList,
    problems: Vec<Problem>,
    /// The line of each clip id.
    ids: HashMap<u64, u64>,
    /// The line of each path, whose digest saves a copy of the list.
    paths: HashMap<NameDigest, u64>,
    /// The distinct written names.
    written: HashSet<Rc<str>>,
}

impl ListBuilder {
    fn add(&mut self, line: u64, id: &str, path: &str, written_names: Option<[&str; 3]>) {
        let mut problem = |column, what| self.problems.push(Problem::in_column(line, column, what));
        match id.parse() {
            Err(_) => problem("clip_id", format!("`{id}` is not a number")),
            Ok(id) => {
                if let Some(first) = self.ids.insert(id, line) {
                    problem("clip_id", format!("{id} is already on line {first}"));
                }
            }
        }
        if let Some(first) = self.paths.insert(NameDigest::of(path), line) {
            problem("mp3_path", format!("`{path}` is already on line {first}"));
        }
        let Some((_, start)) = parse_path(path) else {
            return problem("mp3_path", format!("`{path}` {NOT_A_PATH}"));
        };
        let written_names =
            written_names.map(|names| Box::new(names.map(|name| self.intern(name))));
        self.list.clips.push(Clip { path: path.into(), start, written_names });
    }

    fn intern(&mut self, name: &str) -> Rc<str> {
        if let Some(known) = self.written.get(name) {
            return Rc::clone(known);
        }
        let name: Rc<str> = name.into();
        self.written.insert(Rc::clone(&name));
        name
    }

    fn end(mut self) -> Result<ClipList, ListError> {
        if self.problems.is_empty() && self.list.clips.is_empty() {
            self.problems.push(Problem::of_line(1, "has no clips".to_owned()));
        }
        if self.problems.is_empty() {
            Ok(self.list)
        } else {
            Err(ListError::Problems(self.problems))
        }
    }
}

/// Reads lines `clip_id TAB mp3_path`.
fn paths(mut text: impl BufRead) -> Result<ClipList, ListError> {
    let mut rows = ListBuilder::default();
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        if text.read_line(&mut line).map_err(ListError::Unreadable)? == 0 {
            break;
        }
        match fields(line.strip_prefix('\u{feff}').unwrap_or(&line)).as_deref() {
            // A header is optional.
            None | Some(["clip_id", "mp3_path"]) => {}
            Some(["clip_id", ..]) => {
                let what = "more columns than `clip_id TAB mp3_path`; for the data set's own list use --clip-info";
                return Err(ListError::Problems(vec![Problem::of_line(number, what.to_owned())]));
            }
            Some([id, path]) => rows.add(number, id, path, None),
            Some(fields) => {
                let what = format!(
                    "{} fields separated by tabs where `clip_id TAB mp3_path` has 2",
                    fields.len()
                );
                rows.problems.push(Problem::of_line(number, what));
            }
        }
    }
    rows.end()
}

/// The columns of `clip_info_final.csv` that are used, of ten.
const COLUMNS: [&str; 5] = ["clip_id", "title", "artist", "album", "mp3_path"];

/// Reads `clip_info_final.csv`.
fn clip_info(text: impl Read) -> Result<ClipList, ListError> {
    let header_is_wrong = |what| ListError::Problems(vec![Problem::of_line(1, what)]);
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').flexible(true).from_reader(text);
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => return Err(header_is_wrong(error.to_string())),
    };
    let index_of = |name: &str| header.iter().position(|column| column.trim() == name);
    let missing: Vec<&str> =
        COLUMNS.iter().copied().filter(|name| index_of(name).is_none()).collect();
    if !missing.is_empty() {
        let first = header.iter().next().unwrap_or_default();
        let hint = match [',', ';'].into_iter().find(|separator| first.contains(*separator)) {
            Some(separator) => {
                format!(
                    "; its columns seem to be separated by `{separator}`; they must be separated by tabs"
                )
            }
            None => String::new(),
        };
        let what = format!("the header has no {}{hint}", missing.join(", "));
        return Err(header_is_wrong(what));
    }
    let indices = COLUMNS.map(|name| index_of(name).unwrap_or_default());
    let mut rows = ListBuilder::default();
    let mut record = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                rows.problems.push(Problem::of_line(line, error.to_string()));
                break;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            let what = format!("{} fields where the header has {}", record.len(), header.len());
            rows.problems.push(Problem::of_line(line, what));
            continue;
        }
        let [id, title, artist, album, path] =
            indices.map(|index| record.get(index).unwrap_or_default().trim());
        if path.is_empty() {
            rows.list.without_audio += 1;
            continue;
        }
        rows.add(line, id, path, Some([artist, album, title]));
    }
    rows.end()
}

/// Lists the clips in a folder.
fn folder(root: &Path) -> Result<ClipList, SourceError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| SourceError::Unreadable { path, source }
    };
    if !root.is_dir() {
        return Err(SourceError::NotAFolder { path: root.to_owned() });
    }
    let mut listed = ClipList::default();
    let mut archive = None;
    for entry in std::fs::read_dir(root).map_err(unreadable(root))? {
        let entry = entry.map_err(unreadable(root))?;
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            listed.other_files += 1;
            continue;
        };
        if name.starts_with("mp3.zip") {
            archive = Some(entry.path());
        }
        if !(name.len() == 1 && entry.path().is_dir()) {
            listed.other_files += 1;
            continue;
        }
        for file in std::fs::read_dir(entry.path()).map_err(unreadable(&entry.path()))? {
            let file = file.map_err(unreadable(&entry.path()))?;
            let path = file.file_name().to_str().map(|file| format!("{name}/{file}"));
            match path.and_then(|path| Some((parse_path(&path)?.1, path))) {
                Some((start, path)) => {
                    listed.clips.push(Clip { path: path.into(), start, written_names: None })
                }
                None => listed.other_files += 1,
            }
        }
    }
    if listed.clips.is_empty() {
        return Err(match archive {
            Some(archive) => SourceError::StillPacked { path: root.to_owned(), archive },
            None => SourceError::NoClips { path: root.to_owned() },
        });
    }
    // The system returns file names in any order.
    listed.clips.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str =
        "f/american_bach_soloists-j_s__bach_solo_cantatas-01-bwv54__i_aria-30-59.mp3";

    fn paths(text: &str) -> Result<ClipList, ListError> {
        super::paths(text.as_bytes())
    }

    fn clip_info(text: &str) -> Result<ClipList, ListError> {
        super::clip_info(text.as_bytes())
    }

    fn problems(error: ListError) -> Vec<String> {
        match error {
            ListError::Problems(problems) => problems.iter().map(ToString::to_string).collect(),
            ListError::Unreadable(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn all_problems_of_a_list_of_paths_are_reported() {
        let listed = paths(&format!("clip_id\tmp3_path\r\n2\t{PATH}\r\n")).unwrap();
        assert_eq!(listed.clips.len(), 1);
        let found =
            problems(paths(&format!("2\t{PATH}\n2\t{PATH}\nx\tf/a-b\n7 {PATH}\n")).unwrap_err());
        assert_eq!(found.len(), 5, "{found:?}");
        assert_eq!(found[0], "line 2, column `clip_id`: 2 is already on line 1");
        assert!(found[1].contains("is already on line 1") && found[2].contains("is not a number"));
        assert!(found[3].contains("is not a path of MagnaTagATune"));
        assert!(found[4].contains("1 fields separated by tabs"));
        assert!(
            problems(paths("clip_id\ttitle\tmp3_path\n").unwrap_err())[0].contains("--clip-info")
        );
        assert_eq!(problems(paths("").unwrap_err()), ["line 1: has no clips"]);
    }

    const HEADER: &str = "clip_id\ttrack_number\ttitle\tartist\talbum\turl\tsegmentStart\tsegmentEnd\t\
                          original_url\tmp3_path";

    #[test]
    fn clip_info_is_read_with_its_written_names() {
        let row = |id: u32, path: &str| {
            format!(
                "{id}\t1\t\"BWV54 - \"\"I\"\" Aria\"\tAmerican Bach Soloists\tJ.S. Bach\tu\t30\t59\to\t{path}"
            )
        };
        let text = format!("{HEADER}\r\n{}\r\n{}\r\n", row(2, PATH), row(3, ""));
        let listed = clip_info(&text).unwrap();
        assert_eq!((listed.clips.len(), listed.without_audio), (1, 1));
        let written = listed.clips[0].written_names.clone().unwrap();
        assert_eq!(
            written.each_ref().map(|name| &**name),
            ["American Bach Soloists", "J.S. Bach", "BWV54 - \"I\" Aria"]
        );
    }

    #[test]
    fn other_separators_and_missing_columns_are_reported() {
        let found = problems(clip_info(&HEADER.replace('\t', ",")).unwrap_err());
        assert!(
            found[0].contains("no clip_id, title, artist, album, mp3_path")
                && found[0].contains("separated by `,`"),
            "{found:?}"
        );
        let found = problems(clip_info(&HEADER.replace("\tmp3_path", "")).unwrap_err());
        assert_eq!(found, ["line 1: the header has no mp3_path"]);
        let found = problems(clip_info(&format!("{HEADER}\n2\t1\n")).unwrap_err());
        assert_eq!(found, ["line 2: 2 fields where the header has 10"]);
    }

    #[test]
    fn a_packed_folder_is_an_error_with_the_commands_to_unpack_it() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(folder(root.path()), Err(SourceError::NoClips { .. })));
        std::fs::write(root.path().join("mp3.zip.001"), "").unwrap();
        let error = folder(root.path()).unwrap_err().to_string();
        assert!(error.contains("cat") && error.contains("unzip"), "{error}");
        std::fs::create_dir(root.path().join("f")).unwrap();
        std::fs::write(root.path().join(PATH), "").unwrap();
        std::fs::write(root.path().join("f/notes.txt"), "").unwrap();
        let listed = folder(root.path()).unwrap();
        assert_eq!((listed.clips.len(), listed.other_files), (1, 2));
    }
}
