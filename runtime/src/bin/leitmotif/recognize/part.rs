//! `--part K/N`: one of several parts of the files, so that several machines or processes share them.

use std::str::FromStr;

use super::inputs::Input;

/// Every `of`-th file from the `number`-th on, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    number: usize,
    of: usize,
}

impl FromStr for Part {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers =
            text.split_once('/').and_then(|(k, n)| Some((k.parse().ok()?, n.parse().ok()?)));
        match numbers {
            Some((number, of)) if number >= 1 && number <= of => Ok(Self { number, of }),
            _ => Err("it must be K/N with K from 1 to N, as in 3/16"),
        }
    }
}

impl Part {
    /// The files of this part: sorted first, so that every process divides the same files alike.
    pub(super) fn of(self, mut files: Vec<Input>) -> Vec<Input> {
        files.sort();
        files.into_iter().skip(self.number - 1).step_by(self.of).collect()
    }
}
