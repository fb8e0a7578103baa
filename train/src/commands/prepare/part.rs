//! `leitmotif-train prepare … --part K/N`: prepares one part of a data set.

use std::ffi::OsString;
use std::path::Path;

use leitmotif_dataset::prepare::{PartOf, PartReport, PartRun, Plan, prepare_part};

use super::display::ProgressDisplay;
use crate::console::log;
use crate::error::TrainError;

/// Prepares a part of `plan` in its folder below `parts`, and prints what it holds.
pub(super) fn run(
    plan: &Plan,
    part: PartOf,
    parts: &Path,
    json: bool,
    stopped: &(dyn Fn() -> bool + Sync),
) -> anyhow::Result<()> {
    let command = without_part(std::env::args_os());
    let run = PartRun { part, parts, command: &command };
    let folder = run.folder();
    log!(
        "part {part} of {} songs of {} artists, in {}",
        plan.songs(),
        plan.artists(),
        folder.display()
    );
    let display = ProgressDisplay::for_songs("decoding", part.songs(plan));
    let mut update = |progress| display.update_songs(&progress);
    let report = prepare_part(plan, &run, &mut update, stopped);
    display.bar.finish_and_clear();
    let report = report?;
    print(&report, parts, &folder, json)?;
    if !report.finished {
        log!(
            "stopped; what is done is kept in {}, and the same command resumes from there",
            folder.display()
        );
        return Err(TrainError::Interrupted.into());
    }
    Ok(())
}

fn print(report: &PartReport, parts: &Path, folder: &Path, as_json: bool) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(report)?;
    super::super::print(|out| {
        if as_json {
            return writeln!(out, "{json}");
        }
        write!(out, "{report}")?;
        if report.decoded_seconds == 0.0 {
            writeln!(out, "nothing was left to decode; part: {}", folder.display())?;
        } else {
            writeln!(
                out,
                "{:.1} hours decoded in {:.0} s, {:.0} times real time; part: {}",
                report.decoded_seconds / 3600.0,
                report.wall_seconds,
                report.decoded_seconds / report.wall_seconds.max(1e-3),
                folder.display()
            )?;
        }
        writeln!(
            out,
            "once all parts are there: leitmotif-train dataset merge {} --out DATASET",
            parts.display()
        )
    })
}

/// The command line without the option `--part`, so that a message can say how another part is made.
fn without_part(arguments: impl Iterator<Item = OsString>) -> Vec<String> {
    let mut arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
    let mut rest = Vec::new();
    while let Some(argument) = arguments.next() {
        if argument == "--part" {
            arguments.next();
        } else if !argument.starts_with("--part=") {
            rest.push(argument);
        }
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_another_part_is_that_of_this_one_but_for_its_number() {
        for line in ["p prepare --part 3/16 folder --out o", "p prepare folder --out o --part=3/16"]
        {
            let rest = without_part(line.split(' ').map(OsString::from)).join(" ");
            assert_eq!(rest, "p prepare folder --out o");
        }
    }
}
