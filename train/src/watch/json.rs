//! The events of a run as lines of JSON, for programs.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::time::{Duration, Instant};

use crate::console::log;
use crate::learn::events::{Event, Observer};

/// Writes a line of JSON for each event, of steps and evaluations one a second at most.
///
/// A reader that goes away ends the lines and not the training.
pub struct JsonLines<W> {
    out: Option<W>,
    between: Duration,
    last: Option<Instant>,
}

impl<W: Write> JsonLines<W> {
    /// Lines to `out`.
    pub fn new(out: W) -> Self {
        JsonLines { out: Some(out), between: Duration::from_secs(1), last: None }
    }

    fn is_due(&mut self) -> bool {
        let due = self.last.is_none_or(|last| last.elapsed() >= self.between);
        if due {
            self.last = Some(Instant::now());
        }
        due
    }
}

impl<W: Write> Observer for JsonLines<W> {
    fn observe(&mut self, event: &Event<'_>) {
        if matches!(event, Event::Step(_) | Event::Evaluation(_)) && !self.is_due() {
            return;
        }
        let Some(out) = &mut self.out else { return };
        if let Err(error) = write_line(out, event) {
            self.out = None;
            if error.kind() != ErrorKind::BrokenPipe {
                log!("standard output cannot be written, so training goes on without it: {error}");
            }
        }
    }
}

impl<W> fmt::Debug for JsonLines<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").field("last", &self.last).finish_non_exhaustive()
    }
}

fn write_line(out: &mut impl Write, event: &Event<'_>) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    out.write_all(&line)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::learn::events::{EpochEvent, StartEvent, StepEvent};
    use crate::learn::history::EpochRow;

    fn lines(bytes: &[u8]) -> Vec<Value> {
        let text = std::str::from_utf8(bytes).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn an_epoch_has_every_column_of_the_history() {
        let mut written = Vec::new();
        let row =
            EpochRow { epoch: 2, loss: 1.5, validation_songs: Some(0.5), ..EpochRow::default() };
        let mut json = JsonLines::new(&mut written);
        json.observe(&Event::Start(&StartEvent {
            network: "tiny".into(),
            ..StartEvent::default()
        }));
        json.observe(&Event::Epoch(EpochEvent { row: &row, best: true, epochs: 3 }));
        json.observe(&Event::Stopped { reason: "interrupted".into() });
        let lines = lines(&written);
        let events: Vec<&Value> = lines.iter().map(|line| &line["event"]).collect();
        assert_eq!(events, ["start", "epoch", "stopped"]);
        let columns = serde_json::to_value(&row).unwrap();
        for (name, value) in columns.as_object().unwrap() {
            assert_eq!(&lines[1][name], value, "{name}");
        }
        assert_eq!((&lines[1]["best"], &lines[1]["epochs"]), (&true.into(), &3.into()));
        assert_eq!(lines[0]["network"], "tiny");
    }

    #[test]
    fn steps_are_written_once_in_a_while_and_epochs_always() {
        for (between, expected) in [(Duration::MAX, 1), (Duration::ZERO, 3)] {
            let mut written = Vec::new();
            let mut json = JsonLines { between, ..JsonLines::new(&mut written) };
            for step in 1..=3 {
                json.observe(&Event::Step(StepEvent { step, ..StepEvent::default() }));
            }
            let row = EpochRow::default();
            json.observe(&Event::Epoch(EpochEvent { row: &row, best: false, epochs: 1 }));
            let lines = lines(&written);
            let steps = lines.iter().filter(|line| line["event"] == "step").count();
            assert_eq!((steps, lines.len()), (expected, expected + 1), "{between:?}");
        }
    }

    #[test]
    fn a_reader_that_goes_away_ends_the_lines_alone() {
        #[derive(Debug, Default)]
        struct Closed(usize);
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                self.0 += 1;
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut closed = Closed::default();
        let mut json = JsonLines::new(&mut closed);
        for _ in 0..3 {
            json.observe(&Event::Stopped { reason: String::new() });
        }
        assert_eq!(closed.0, 1);
    }
}
