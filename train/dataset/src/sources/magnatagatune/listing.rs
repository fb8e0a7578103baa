//! Which clips there are: from the data set's own `clip_info_final.csv`, from a list of paths, or from the folder of its audio.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::rules::fields;
use crate::digest::NameDigest;
use crate::sources::{Problem, SourceError};

/// Where the list of clips comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listing {
    /// `clip_info_final.csv`: tab-separated, with a header.
    ClipInfo(PathBuf),
    /// Lines `clip_id TAB mp3_path`, without a header.
    Paths(PathBuf),
    /// The folder that holds `0/` to `f/`.
    Folder(PathBuf),
}

/// One clip of the list. There may be a million: what its path says is not kept beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Clip {
    /// Its file, below the folder of the audio: `f/artist-album-01-title-30-59.mp3`.
    pub(super) path: Box<str>,
    /// Where it begins in its recording, in seconds.
    pub(super) start: u32,
    /// Artist, album and title as people write them, where the list tells.
    pub(super) shown: Option<Box<[Rc<str>; 3]>>,
}

impl Clip {
    /// What its path says.
    pub(super) fn names(&self) -> Names<'_> {
        // There is no clip of another path.
        spelled(&self.path).map(|(names, _)| names).unwrap_or_default()
    }
}

/// The names in a path, as it spells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Names<'a> {
    pub(super) artist: &'a str,
    pub(super) album: &'a str,
    pub(super) number: &'a str,
    pub(super) title: &'a str,
}

/// A list, read.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) clips: Vec<Clip>,
    /// Rows of clips that the data set describes and has no audio of.
    pub(super) without_audio: usize,
    /// Files of the folder that are none of its clips.
    pub(super) other_files: usize,
}

impl Listing {
    pub(super) fn read(&self) -> Result<Listed, SourceError> {
        let file = |path: &Path| -> Result<BufReader<File>, SourceError> {
            let file = File::open(path)
                .map_err(|source| SourceError::Unreadable { path: path.to_owned(), source })?;
            Ok(BufReader::new(file))
        };
        let wrong = |path: &Path| {
            let path = path.to_owned();
            move |wrong| match wrong {
                Wrong::Unreadable(source) => SourceError::Unreadable { path, source },
                Wrong::Problems(problems) => SourceError::Manifest { path, problems },
            }
        };
        match self {
            Listing::ClipInfo(path) => clip_info(file(path)?).map_err(wrong(path)),
            Listing::Paths(path) => paths(file(path)?).map_err(wrong(path)),
            Listing::Folder(path) => folder(path),
        }
    }
}

/// What is wrong with a list.
#[derive(Debug)]
enum Wrong {
    Unreadable(io::Error),
    Problems(Vec<Problem>),
}

/// What a path spells: `X/artist-album-NN-title-START-END.mp3`, five dashes in every one.
fn spelled(path: &str) -> Option<(Names<'_>, u32)> {
    let (folder, file) = path.split_once('/')?;
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let mut letters = folder.chars();
    if !(letters.next().is_some_and(is_hex) && letters.next().is_none()) {
        return None;
    }
    let mut parts = file.strip_suffix(".mp3")?.split('-');
    let mut part = || parts.next();
    let [artist, album, number, title] = [part()?, part()?, part()?, part()?];
    let (start, end): (u32, u32) = (part()?.parse().ok()?, part()?.parse().ok()?);
    if part().is_some() || artist.is_empty() || start >= end {
        return None;
    }
    Some((Names { artist, album, number, title }, start))
}

const NOT_A_PATH: &str = "is no path of MagnaTagATune (X/artist-album-NN-title-START-END.mp3)";

/// Clips under way, with what must not be there twice.
#[derive(Default)]
struct Rows {
    listed: Listed,
    problems: Vec<Problem>,
    ids: HashMap<u64, u64>,
    /// Known by half of their SHA-256: a copy of each would be as long as the list.
    paths: HashMap<NameDigest, u64>,
    /// Names as people write them, each once.
    written: HashSet<Rc<str>>,
}

impl Rows {
    fn add(&mut self, line: u64, id: &str, path: &str, shown: Option<[&str; 3]>) {
        let mut problem = |column, what| self.problems.push(Problem::at(line, column, what));
        match id.parse() {
            Err(_) => problem("clip_id", format!("`{id}` is no number")),
            Ok(id) => {
                if let Some(first) = self.ids.insert(id, line) {
                    problem("clip_id", format!("{id} is already on line {first}"));
                }
            }
        }
        if let Some(first) = self.paths.insert(NameDigest::of(path), line) {
            problem("mp3_path", format!("`{path}` is already on line {first}"));
        }
        let Some((_, start)) = spelled(path) else {
            return problem("mp3_path", format!("`{path}` {NOT_A_PATH}"));
        };
        let shown = shown.map(|names| Box::new(names.map(|name| self.once(name))));
        self.listed.clips.push(Clip { path: path.into(), start, shown });
    }

    fn once(&mut self, name: &str) -> Rc<str> {
        if let Some(known) = self.written.get(name) {
            return Rc::clone(known);
        }
        let name: Rc<str> = name.into();
        self.written.insert(Rc::clone(&name));
        name
    }

    fn end(mut self) -> Result<Listed, Wrong> {
        if self.problems.is_empty() && self.listed.clips.is_empty() {
            self.problems.push(Problem::whole(1, "lists no clip".to_owned()));
        }
        if self.problems.is_empty() { Ok(self.listed) } else { Err(Wrong::Problems(self.problems)) }
    }
}

/// Lines `clip_id TAB mp3_path`.
fn paths(mut text: impl BufRead) -> Result<Listed, Wrong> {
    let mut rows = Rows::default();
    let mut line = String::new();
    for number in 1.. {
        line.clear();
        if text.read_line(&mut line).map_err(Wrong::Unreadable)? == 0 {
            break;
        }
        match fields(line.strip_prefix('\u{feff}').unwrap_or(&line)).as_deref() {
            // A header is not asked for, and does no harm.
            None | Some(["clip_id", "mp3_path"]) => {}
            Some(["clip_id", ..]) => {
                let what = "more columns than `clip_id TAB mp3_path`; name the data set's own list with --clip-info";
                return Err(Wrong::Problems(vec![Problem::whole(number, what.to_owned())]));
            }
            Some([id, path]) => rows.add(number, id, path, None),
            Some(fields) => {
                let what = format!(
                    "{} fields separated by tabs where `clip_id TAB mp3_path` has 2",
                    fields.len()
                );
                rows.problems.push(Problem::whole(number, what));
            }
        }
    }
    rows.end()
}

/// The columns that are read of `clip_info_final.csv`; it has five more.
const COLUMNS: [&str; 5] = ["clip_id", "title", "artist", "album", "mp3_path"];

/// The data set's own list.
fn clip_info(text: impl Read) -> Result<Listed, Wrong> {
    let header_is_wrong = |what| Wrong::Problems(vec![Problem::whole(1, what)]);
    let mut reader = csv::ReaderBuilder::new().delimiter(b'\t').flexible(true).from_reader(text);
    let header = match reader.headers() {
        Ok(header) => header.clone(),
        Err(error) => return Err(header_is_wrong(error.to_string())),
    };
    let place = |name: &str| header.iter().position(|column| column.trim() == name);
    let missing: Vec<&str> = COLUMNS.iter().copied().filter(|name| place(name).is_none()).collect();
    if !missing.is_empty() {
        let first = header.iter().next().unwrap_or_default();
        let hint = match [',', ';'].into_iter().find(|separator| first.contains(*separator)) {
            Some(separator) => {
                format!("; its columns seem to be separated by `{separator}`, and must be by tabs")
            }
            None => String::new(),
        };
        let what = format!("the header has no {}{hint}", missing.join(", "));
        return Err(header_is_wrong(what));
    }
    let places = COLUMNS.map(|name| place(name).unwrap_or_default());
    let mut rows = Rows::default();
    let mut record = csv::StringRecord::new();
    loop {
        match reader.read_record(&mut record) {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                rows.problems.push(Problem::whole(line, error.to_string()));
                break;
            }
        }
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != header.len() {
            let what = format!("{} fields where the header has {}", record.len(), header.len());
            rows.problems.push(Problem::whole(line, what));
            continue;
        }
        let [id, title, artist, album, path] =
            places.map(|place| record.get(place).unwrap_or_default().trim());
        if path.is_empty() {
            rows.listed.without_audio += 1;
            continue;
        }
        rows.add(line, id, path, Some([artist, album, title]));
    }
    rows.end()
}

/// The clips that a folder holds.
fn folder(root: &Path) -> Result<Listed, SourceError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |source| SourceError::Unreadable { path, source }
    };
    if !root.is_dir() {
        return Err(SourceError::NotAFolder { path: root.to_owned() });
    }
    let mut listed = Listed::default();
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
            match path.and_then(|path| Some((spelled(&path)?.1, path))) {
                Some((start, path)) => {
                    listed.clips.push(Clip { path: path.into(), start, shown: None })
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
    // Folders list their files in no order.
    listed.clips.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str =
        "f/american_bach_soloists-j_s__bach_solo_cantatas-01-bwv54__i_aria-30-59.mp3";

    fn paths(text: &str) -> Result<Listed, Wrong> {
        super::paths(text.as_bytes())
    }

    fn clip_info(text: &str) -> Result<Listed, Wrong> {
        super::clip_info(text.as_bytes())
    }

    fn shown(wrong: Wrong) -> Vec<String> {
        match wrong {
            Wrong::Problems(problems) => problems.iter().map(ToString::to_string).collect(),
            Wrong::Unreadable(error) => vec![error.to_string()],
        }
    }

    #[test]
    fn a_path_spells_everything() {
        let (names, start) = spelled(PATH).unwrap();
        assert_eq!((names.artist, names.number, start), ("american_bach_soloists", "01", 30));
        assert_eq!((names.album, names.title), ("j_s__bach_solo_cantatas", "bwv54__i_aria"));
        for wrong in [
            "x/a-b-01-c-0-29.mp3",
            "ff/a-b-01-c-0-29.mp3",
            "f/a-b-01-c-d-0-29.mp3",
            "f/a-b-01-c-29-29.mp3",
            "f/a-b-01-c-0-29.wav",
            "a-b-01-c-0-29.mp3",
            "f/-b-01-c-0-29.mp3",
        ] {
            assert_eq!(spelled(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn lists_of_paths_name_what_is_wrong_all_at_once() {
        let listed = paths(&format!("clip_id\tmp3_path\r\n2\t{PATH}\r\n")).unwrap();
        assert_eq!(listed.clips.len(), 1);
        let found =
            shown(paths(&format!("2\t{PATH}\n2\t{PATH}\nx\tf/a-b\n7 {PATH}\n")).unwrap_err());
        assert_eq!(found.len(), 5, "{found:?}");
        assert_eq!(found[0], "line 2, column `clip_id`: 2 is already on line 1");
        assert!(found[1].contains("is already on line 1") && found[2].contains("is no number"));
        assert!(found[3].contains("is no path of MagnaTagATune"));
        assert!(found[4].contains("1 fields separated by tabs"));
        assert!(shown(paths("clip_id\ttitle\tmp3_path\n").unwrap_err())[0].contains("--clip-info"));
        assert_eq!(shown(paths("").unwrap_err()), ["line 1: lists no clip"]);
    }

    const HEADER: &str = "clip_id\ttrack_number\ttitle\tartist\talbum\turl\tsegmentStart\tsegmentEnd\toriginal_url\tmp3_path";

    #[test]
    fn the_data_sets_own_list_is_read_with_its_names() {
        let row = |id: u32, path: &str| {
            format!(
                "{id}\t1\t\"BWV54 - \"\"I\"\" Aria\"\tAmerican Bach Soloists\tJ.S. Bach\tu\t30\t59\to\t{path}"
            )
        };
        let text = format!("{HEADER}\r\n{}\r\n{}\r\n", row(2, PATH), row(3, ""));
        let listed = clip_info(&text).unwrap();
        assert_eq!((listed.clips.len(), listed.without_audio), (1, 1));
        let shown = listed.clips[0].shown.clone().unwrap();
        assert_eq!(
            shown.each_ref().map(|name| &**name),
            ["American Bach Soloists", "J.S. Bach", "BWV54 - \"I\" Aria"]
        );
    }

    #[test]
    fn other_separators_and_missing_columns_are_named() {
        let found = shown(clip_info(&HEADER.replace('\t', ",")).unwrap_err());
        assert!(
            found[0].contains("no clip_id, title, artist, album, mp3_path")
                && found[0].contains("separated by `,`"),
            "{found:?}"
        );
        let found = shown(clip_info(&HEADER.replace("\tmp3_path", "")).unwrap_err());
        assert_eq!(found, ["line 1: the header has no mp3_path"]);
        let found = shown(clip_info(&format!("{HEADER}\n2\t1\n")).unwrap_err());
        assert_eq!(found, ["line 2: 2 fields where the header has 10"]);
    }

    #[test]
    fn a_folder_still_packed_is_told_so() {
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
