//! What a result was measured on: processor, cores, commit, date.

use std::fs;
use std::process::Command;

use serde::{Deserialize, Serialize};

/// Processor, cores, commit and date of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor, as the system names it.
    pub processor: String,
    /// Processors that may be used.
    pub cores: usize,
    /// Commit that was measured, with `+` where files other than results and their tables differed from it.
    pub commit: String,
    /// Day of the measurement, `YYYY-MM-DD`.
    pub date: String,
}

impl Machine {
    /// This machine; `unknown` where the system does not say.
    pub fn here() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpu
            .lines()
            .find_map(|line| line.strip_prefix("model name"))
            .and_then(|rest| rest.split_once(':'))
            .map_or("unknown".to_owned(), |(_, name)| name.trim().to_owned());
        // Measuring changes its own results and the tables in the documents.
        let sources = [":/", ":(exclude,top,glob)**/README.md", ":(exclude,top)benches/results"];
        let status = ["status", "--porcelain", "--untracked-files=no", "--"];
        let changed = command_output("git", &[&status[..], &sources].concat());
        let mark = if changed.is_some_and(|changes| !changes.is_empty()) { "+" } else { "" };
        let commit = command_output("git", &["rev-parse", "--short", "HEAD"]);
        Machine {
            processor,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            commit: commit.map_or("unknown".to_owned(), |commit| commit + mark),
            date: command_output("date", &["-u", "+%F"]).unwrap_or_else(|| "unknown".to_owned()),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Machine { processor, cores, commit, date } = self;
        write!(f, "{date}, {cores} cores of {processor}, commit {commit}")
    }
}

fn command_output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
