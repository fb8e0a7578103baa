//! What of the data set is left out, and which names are one artist: `train/dataset/data/magnatagatune.toml`, and a list of the user's.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::sources::{Problem, SourceError};

/// The project's own rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rules {
    pub(super) pseudo_artists: BTreeSet<String>,
    pub(super) empty_files: BTreeSet<String>,
    pub(super) likely_aliases: BTreeMap<String, String>,
}

impl Rules {
    pub(super) fn built_in() -> Result<Self, SourceError> {
        toml::from_str(include_str!("../../../data/magnatagatune.toml"))
            .map_err(|error| SourceError::BrokenList { reason: error.to_string() })
    }
}

/// Which names are one artist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Aliases {
    /// Every name is an artist.
    #[default]
    None,
    /// The five pairs that look like one artist: `train/dataset/data/magnatagatune.toml`.
    Likely,
    /// A file of lines `alias TAB artist`.
    File(std::path::PathBuf),
}

impl From<std::ffi::OsString> for Aliases {
    fn from(text: std::ffi::OsString) -> Self {
        match text.to_str() {
            Some("none") => Aliases::None,
            Some("likely") => Aliases::Likely,
            _ => Aliases::File(text.into()),
        }
    }
}

impl Aliases {
    /// Each name that is taken for another, and that other.
    pub(super) fn read(&self, rules: &Rules) -> Result<BTreeMap<String, String>, SourceError> {
        match self {
            Aliases::None => Ok(BTreeMap::new()),
            Aliases::Likely => Ok(rules.likely_aliases.clone()),
            Aliases::File(path) => {
                let text = read_text(path)?;
                resolve(&text)
                    .map_err(|problems| SourceError::Manifest { path: path.clone(), problems })
            }
        }
    }
}

/// The text of a small file of the user's.
pub(super) fn read_text(path: &Path) -> Result<String, SourceError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SourceError::Unreadable { path: path.to_owned(), source })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}

/// The lines of a text that hold something and are no comment, numbered from 1 and cut at tabs.
pub(super) fn tabbed(text: &str) -> impl Iterator<Item = (u64, Vec<&str>)> {
    (1..).zip(text.lines()).filter_map(|(number, line)| Some((number, fields(line)?)))
}

/// A line cut at tabs; nothing of one that is empty or a comment.
pub(super) fn fields(line: &str) -> Option<Vec<&str>> {
    (!line.trim().is_empty() && !line.starts_with('#'))
        .then(|| line.split('\t').map(str::trim).collect())
}

/// Aliases of aliases followed to their end.
fn resolve(text: &str) -> Result<BTreeMap<String, String>, Vec<Problem>> {
    let mut direct: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
    let mut problems = Vec::new();
    for (line, fields) in tabbed(text) {
        match fields.as_slice() {
            [alias, artist] if !alias.is_empty() && !artist.is_empty() => {
                if let Some((_, first)) = direct.insert(alias, (artist, line)) {
                    problems.push(Problem::whole(
                        line,
                        format!("`{alias}` has an artist on line {first} already"),
                    ));
                }
            }
            _ => problems.push(Problem::whole(line, "not `alias TAB artist`".to_owned())),
        }
    }
    let mut resolved = BTreeMap::new();
    for (alias, (mut artist, line)) in direct.iter().map(|(alias, found)| (*alias, *found)) {
        let mut steps = 0;
        while let Some((next, _)) = direct.get(artist)
            && steps <= direct.len()
        {
            (artist, steps) = (next, steps + 1);
        }
        if steps > direct.len() {
            problems.push(Problem::whole(
                line,
                format!("`{alias}` leads in a circle: an alias needs an artist that is none"),
            ));
        }
        resolved.insert(alias.to_owned(), artist.to_owned());
    }
    problems.sort_by_key(|problem| problem.line);
    if problems.is_empty() { Ok(resolved) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        resolve(text).unwrap_err().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn aliases_of_aliases_are_followed() {
        let found = resolve("# names\r\na\tb\r\nb\tc\r\n\r\nx\tc\r\n").unwrap();
        let pairs: Vec<_> = found.iter().map(|(alias, of)| (alias.as_str(), of.as_str())).collect();
        assert_eq!(pairs, [("a", "c"), ("b", "c"), ("x", "c")]);
    }

    #[test]
    fn circles_and_lines_that_are_none_are_named() {
        assert_eq!(
            problems("a\tb\nb\ta\nc\td\nc\te\nf g\n\th\n"),
            [
                "line 1: `a` leads in a circle: an alias needs an artist that is none",
                "line 2: `b` leads in a circle: an alias needs an artist that is none",
                "line 4: `c` has an artist on line 3 already",
                "line 5: not `alias TAB artist`",
                "line 6: not `alias TAB artist`",
            ]
        );
        assert!(!problems("a\ta\n").is_empty());
    }

    #[test]
    fn the_built_in_rules_parse() {
        let rules = Rules::built_in().unwrap();
        assert_eq!((rules.pseudo_artists.len(), rules.empty_files.len()), (5, 3));
        assert_eq!(Aliases::Likely.read(&rules).unwrap().len(), 5);
    }
}
