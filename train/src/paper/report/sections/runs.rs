//! Every run with its settings, machine and duration; and the decisions that the paper leaves open.

use crate::paper::report::document::Section;
use crate::paper::report::results::Results;
use crate::paper::report::table::{Cell, Layout, Table, Visibility};

/// Decisions, progress and runs.
pub(in crate::paper::report) fn section(results: &Results) -> Section {
    let mut table = Table::new(
        "runs",
        "Finished runs; training hours are those of the epochs, and the total includes evaluation and repeated epochs",
        &[
            "run",
            "split",
            "split’s digest",
            "seed",
            "epochs",
            "judged epoch",
            "batch",
            "rate",
            "values to learn",
            "hours of learning",
            "hours in all",
            "clips/s",
            "device",
            "machine",
            "versions",
        ],
    )
    .with_visibility(Visibility::Folded)
    .with_layout(Layout::Shared);
    for run in results.runs.values() {
        let (record, config) = (&run.record, &run.config);
        let rows = run.history.rows();
        let training: f64 = rows.iter().map(|row| row.seconds).sum();
        let speed =
            rows.iter().map(|row| row.clips_per_second).sum::<f64>() / rows.len().max(1) as f64;
        let all: f64 = run.sessions.iter().map(|session| session.seconds).sum();
        let mut machines: Vec<String> = run
            .sessions
            .iter()
            .map(|s| match &s.card {
                Some(card) => format!("{card}; {}, {} threads, {}", s.processor, s.cores, s.system),
                None => format!("{}, {} threads, {}", s.processor, s.cores, s.system),
            })
            .collect();
        machines.dedup();
        let versions: Vec<String> =
            record.tools.iter().map(|(tool, version)| format!("{tool} {version}")).collect();
        let costs = record.network.costs(record.classes.len());
        table.rows.push(vec![
            Cell::text(&run.key),
            Cell::text(format!("{}-seed{}", record.split.protocol, record.split.seed)),
            Cell::text(record.split.digest.clone().unwrap_or_default()),
            Cell::count(record.seed as usize),
            Cell::count(rows.len()),
            Cell::count(record.epoch),
            Cell::count(config.batch),
            Cell::number(config.learning_rate, 5),
            Cell::number(costs.trainable() as f64, 0),
            Cell::number(training / 3600.0, 3),
            if all > 0.0 { Cell::number(all / 3600.0, 3) } else { Cell::Empty },
            Cell::number(speed, 1),
            Cell::text(&config.device),
            Cell::text(machines.join("; then ")),
            Cell::text(versions.join(", ")),
        ]);
    }
    let mut choices = Table::new(
        "choices",
        "Choices that the paper leaves open",
        &["experiments", "scale", "choice"],
    );
    for planned in &results.experiments {
        for choice in &planned.scale.choices {
            let known = choices.rows.iter_mut().find(|row| {
                row.get(1) == Some(&Cell::text(&planned.scale.name))
                    && row.get(2) == Some(&Cell::text(choice))
            });
            match known.and_then(|row| row.first_mut()) {
                Some(Cell::Text(names)) => *names += &format!(", {}", planned.experiment.name),
                _ => choices.rows.push(vec![
                    Cell::text(&planned.experiment.name),
                    Cell::text(&planned.scale.name),
                    Cell::text(choice),
                ]),
            }
        }
    }
    let mut progress = Table::new("progress", "Progress", &["experiment", "scale", "runs", "done"]);
    for planned in &results.experiments {
        let mut keys: Vec<&String> = planned.runs.iter().flatten().collect();
        keys.sort();
        keys.dedup();
        let done = keys.iter().filter(|key| results.runs.contains_key(**key)).count();
        progress.rows.push(vec![
            Cell::text(&planned.experiment.name),
            Cell::text(&planned.scale.name),
            Cell::count(keys.len()),
            Cell::count(done),
        ]);
    }
    Section {
        id: "runs".to_owned(),
        title: "Runs and settings".to_owned(),
        text: vec![
            "Adam, categorical cross-entropy, batch norm before each activation, as in section 3.2 of the paper. Training accuracy is \
             a running mean over the steps of an epoch, as the paper’s framework prints it; with a dense head it is of segments. The \
             test part is evaluated after every epoch for the curves alone, and nothing is selected by it."
                .to_owned(),
        ],
        figures: Vec::new(),
        tables: vec![choices, progress, table],
    }
}
