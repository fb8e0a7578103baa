//! What to recognise: files, folders, lists of them, and standard input.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use leitmotif::audio::MusicFiles;
use leitmotif::{Answer, Error, RecognizeOptions, Recognizer};
use leitmotif_models::text::with_causes;

use crate::Usage;

/// A file on standard input is held in memory: 1 GiB is three hours of a CD.
const MOST_STDIN_BYTES: u64 = 1 << 30;

/// What standard input is called.
const STDIN: &str = "-";

/// One recording.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Input {
    Stdin,
    File(PathBuf),
}

/// The recordings, and what gives none: a path, and a message that names it.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    pub(super) files: Vec<Input>,
    pub(super) problems: Vec<(PathBuf, String)>,
}

impl Inputs {
    /// Those of `paths`, then those that the file `list` names; folders are searched.
    pub(super) fn find(paths: &[PathBuf], list: Option<&Path>) -> anyhow::Result<Self> {
        let is_stdin = |path: &&Path| path.as_os_str() == STDIN;
        if paths.iter().map(PathBuf::as_path).chain(list).filter(is_stdin).count() > 1 {
            return Err(Usage("standard input can be read once: name - once").into());
        }
        let mut inputs = Self::default();
        for path in paths {
            if path.as_os_str() == STDIN {
                inputs.files.push(Input::Stdin);
            } else {
                inputs.add(path.clone());
            }
        }
        if let Some(list) = list {
            read_list(list)?.into_iter().for_each(|path| inputs.add(path));
        }
        Ok(inputs)
    }

    fn add(&mut self, path: PathBuf) {
        if !path.is_dir() {
            self.files.push(Input::File(path));
            return;
        }
        let unreadable = |path: PathBuf, error: io::Error| {
            let problem = "cannot be read";
            let text = format!("{}: {problem} ({error}): check its permissions", path.display());
            (path, text)
        };
        match MusicFiles::below(&path) {
            Ok(found) => {
                if found.music.is_empty() && found.unreadable.is_empty() {
                    let none = "there is no audio file in it: name the files";
                    self.problems.push((path.clone(), format!("{}: {none}", path.display())));
                }
                self.files.extend(found.music.into_iter().map(Input::File));
                let problems = found.unreadable.into_iter();
                self.problems.extend(problems.map(|(path, error)| unreadable(path, error)));
            }
            Err(error) => self.problems.push(unreadable(path, error)),
        }
    }
}

/// The paths in a list, one a line; empty lines are passed over.
fn read_list(list: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || {
        if list.as_os_str() != STDIN {
            return fs::read(list);
        }
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().with_context(|| format!("the list {} cannot be read", list.display()))?;
    let lines = bytes.split(|byte| *byte == b'\n');
    let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    Ok(lines.filter(|line| !line.is_empty()).map(|line| PathBuf::from(os_string(line))).collect())
}

#[cfg(unix)]
fn os_string(bytes: &[u8]) -> OsString {
    std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec())
}

#[cfg(not(unix))]
fn os_string(bytes: &[u8]) -> OsString {
    String::from_utf8_lossy(bytes).into_owned().into()
}

impl Input {
    /// The name in rows and messages, with U+FFFD in place of what is not UTF-8.
    pub(super) fn name(&self) -> Cow<'_, str> {
        match self {
            Input::Stdin => STDIN.into(),
            Input::File(path) => path.to_string_lossy(),
        }
    }

    /// The name by which a row is of this input; `None` where the row's may be another file's.
    pub(super) fn exact_name(&self) -> Option<&str> {
        match self {
            Input::Stdin => None,
            Input::File(path) => path.to_str(),
        }
    }

    /// Recognises it; an error is a message that names it.
    pub(super) fn recognize(
        &self,
        recognizer: &Recognizer,
        options: &RecognizeOptions,
    ) -> Result<Answer, String> {
        let answer = match self {
            Input::File(path) => recognizer.recognize_file_with(path, options),
            Input::Stdin => {
                return recognize_stdin(recognizer, options)
                    .map_err(|error| format!("standard input: {error}"));
            }
        };
        answer.map_err(|error| match error {
            // These name the recording themselves.
            Error::Audio(_) | Error::TooShort { .. } => with_causes(&error),
            error => format!("{}: {}", self.name(), with_causes(&error)),
        })
    }
}

fn recognize_stdin(recognizer: &Recognizer, options: &RecognizeOptions) -> Result<Answer, String> {
    let mut bytes = Vec::new();
    let read = io::stdin().lock().take(MOST_STDIN_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| format!("it cannot be read ({error})"))?;
    if bytes.len() as u64 > MOST_STDIN_BYTES {
        return Err("it is longer than 1 GiB: name a file".to_owned());
    }
    let answer = recognizer.recognize_reader(Cursor::new(bytes), "it", options);
    answer.map_err(|error| with_causes(&error))
}
