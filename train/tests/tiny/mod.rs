//! The paper's experiments with networks that train in a second, and the program that runs them.

#![allow(dead_code, reason = "each test program uses its own part")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Sizes of a scale's networks.
pub(crate) struct Sizes {
    /// Samples of the long segments; the short ones have a third.
    pub(crate) segment: usize,
    /// Segments of a clip: long, short, short and half over.
    pub(crate) windows: [usize; 3],
    /// First block beside its filters: it makes 81 positions of a long segment.
    pub(crate) first: &'static str,
}

/// A few segments of one note.
pub(crate) const TONES: Sizes = Sizes { segment: 243, windows: [4, 12, 23], first: "stride = 3" };

/// Three seconds in the paper's proportions.
pub(crate) const SECONDS: Sizes = Sizes {
    segment: 6_561,
    windows: [7, 21, 41],
    first: "kernel = 81, stride = 27, padding = 27, pool = 3",
};

/// Networks of the paper's names, four epochs, two runs.
pub(crate) fn scale(sizes: &Sizes) -> String {
    let network = |name: &str, model: &str, segment: usize, window: usize, filters: usize| {
        let deeper = if segment == sizes.segment { 4 } else { 3 };
        format!(
            "[networks.{model}]\nname = \"{name}\"\nsegment = {segment}\nhop = {}\nwindow = {window}\n\
             head = {{ kind = \"dense\", units = 8 }}\nblocks = [{{ filters = {filters}, {} }},{}]\n",
            if model == "model4" { segment / 2 } else { segment },
            sizes.first,
            format!("{{ filters = {filters}, pool = 3 }},").repeat(deeper)
        )
    };
    let settings = "name = \"tiny\"\nabout = \"three notes\"\nepochs = 4\nruns = 2\nsplits = 1\ntest = 0.3\nvalidation = 0.0\n\
                    batch = 4\nrate = 0.01\nnorm_momentum = 0.5\nchoices = [\"Tiny networks.\"]\n";
    let (long, short) = (sizes.segment, sizes.segment / 3);
    let [in_long, in_short, half_over] = sizes.windows;
    [
        settings.to_owned(),
        network("tiny1", "model1", long, in_long, 6),
        network("tiny2", "model2", long, in_long, 12),
        network("tiny3", "model3", short, in_short, 6),
        network("tiny4", "model4", short, half_over, 6),
    ]
    .concat()
}

/// `leitmotif-train` in a folder, not started yet; no argument holds a space.
pub(crate) fn program(arguments: &str, folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_leitmotif-train"));
    command.args(arguments.split(' ')).current_dir(folder);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Its exit status and what it printed.
pub(crate) fn ends(arguments: &str, folder: &Path) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = program(arguments, folder).output().unwrap();
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (status.code(), text(&stdout), text(&stderr))
}

/// The rows of a table in a report's JSON.
pub(crate) fn rows(report: &Value, id: &str) -> Vec<Vec<Value>> {
    let sections = report["sections"].as_array().unwrap().iter();
    let mut tables = sections.flat_map(|s| s["tables"].as_array().unwrap());
    let table = tables.find(|t| t["id"] == id).unwrap_or_else(|| panic!("no table {id}"));
    serde_json::from_value(table["rows"].clone()).unwrap()
}
