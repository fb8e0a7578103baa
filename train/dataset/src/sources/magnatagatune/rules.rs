//! Rules for leaving out clips and for aliases of artists: `train/dataset/data/magnatagatune.toml`, and a list of the
//! user.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::sources::{Problem, SourceError};

/// The contents of `magnatagatune.toml`.
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

/// The names that denote one artist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Aliases {
    /// Each name is an artist.
    #[default]
    None,
    /// Five pairs that are probably one artist each: `train/dataset/data/magnatagatune.toml`.
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
    /// Maps each alias to its artist.
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

/// Reads a text file, without a byte-order mark.
pub(super) fn read_text(path: &Path) -> Result<String, SourceError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| SourceError::Unreadable { path: path.to_owned(), source })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned())
}

/// The lines of a text except blank ones and comments, numbered from 1 and split at tabs.
pub(super) fn tabbed(text: &str) -> impl Iterator<Item = (u64, Vec<&str>)> {
    (1..).zip(text.lines()).filter_map(|(number, line)| Some((number, fields(line)?)))
}

/// The fields of a line, split at tabs; `None` for a blank line or a comment.
pub(super) fn fields(line: &str) -> Option<Vec<&str>> {
    (!line.trim().is_empty() && !line.starts_with('#'))
        .then(|| line.split('\t').map(str::trim).collect())
}

/// Parses lines `alias TAB artist`, and follows aliases of aliases.
fn resolve(text: &str) -> Result<BTreeMap<String, String>, Vec<Problem>> {
    let mut direct: BTreeMap<&str, (&str, u64)> = BTreeMap::new();
    let mut problems = Vec::new();
    for (line, fields) in tabbed(text) {
        match fields.as_slice() {
            [alias, artist] if !alias.is_empty() && !artist.is_empty() => {
                if let Some((_, first)) = direct.insert(alias, (artist, line)) {
                    problems.push(Problem::of_line(
                        line,
                        format!("`{alias}` already has an artist on line {first}"),
                    ));
                }
            }
            _ => problems.push(Problem::of_line(line, "not `alias TAB artist`".to_owned())),
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
            problems.push(Problem::of_line(line, format!("`{alias}` is in a cycle of aliases")));
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
    fn cycles_and_invalid_lines_are_reported() {
        assert_eq!(
            problems("a\tb\nb\ta\nc\td\nc\te\nf g\n\th\n"),
            [
                "line 1: `a` is in a cycle of aliases",
                "line 2: `b` is in a cycle of aliases",
                "line 4: `c` already has an artist on line 3",
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
