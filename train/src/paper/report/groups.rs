//! Runs that may be counted together: those that differ only in their seeds.

use leitmotif_dataset::split::SplitRequest;
use leitmotif_models::Network;
use serde_json::json;

use super::results::{Results, Run};
use crate::learn::config::FitConfig;

/// Finished runs by what they have in common, with its name: `model1, lstm, by song`.
pub(super) fn group_runs(results: &Results) -> Vec<(String, Vec<&Run>)> {
    let keys = results.experiments.iter().flat_map(|planned| planned.runs.iter().flatten());
    groups(keys.filter_map(|key| results.runs.get(key)))
}

/// Runs under the name of what they have in common, each run once, in the order of `all`.
fn groups<'a>(all: impl Iterator<Item = &'a Run>) -> Vec<(String, Vec<&'a Run>)> {
    let mut grouped: Vec<(String, Vec<&Run>)> = Vec::new();
    for run in all {
        let identity = identity(run);
        let place = grouped.iter().position(|(known, _)| *known == identity);
        match place.and_then(|place| grouped.get_mut(place)) {
            Some((_, runs)) if runs.iter().any(|known| known.key == run.key) => {}
            Some((_, runs)) => runs.push(run),
            None => grouped.push((identity, vec![run])),
        }
    }
    let firsts: Vec<&Run> = grouped.iter().filter_map(|(_, runs)| runs.first().copied()).collect();
    let names: Vec<String> = firsts.iter().map(|run| distinct_name(run, &firsts)).collect();
    names.into_iter().zip(grouped.into_iter().map(|(_, runs)| runs)).collect()
}

/// Network, settings and kind of split, without names and seeds.
fn identity(run: &Run) -> String {
    let network =
        Network { description: String::new(), classes: None, ..run.record.network.clone() };
    let config = FitConfig { seed: 0, ..run.config.bare() };
    let split = SplitRequest { seed: 0, ..run.split };
    json!([network, config, split]).to_string()
}

/// The run's short name, and the details in which it differs from others of that name.
fn distinct_name(run: &Run, all: &[&Run]) -> String {
    let name = short_name(run);
    let alike: Vec<[String; 6]> =
        all.iter().filter(|other| short_name(other) == name).map(|other| details(other)).collect();
    let own = details(run);
    let differs = |i: &usize| alike.iter().any(|other| other.get(*i) != own.get(*i));
    let different: Vec<usize> = (0..own.len()).filter(differs).collect();
    let same = |other: &&[String; 6]| different.iter().all(|i| other.get(*i) == own.get(*i));
    let mut words: Vec<&str> =
        different.iter().filter_map(|i| own.get(*i)).map(String::as_str).collect();
    // Rarer settings, and networks of one name, differ only in the key.
    if alike.iter().filter(same).count() > 1 {
        words.extend(run.key.rsplit('-').next());
    }
    if words.is_empty() { name } else { format!("{name} ({})", words.join(", ")) }
}

fn short_name(run: &Run) -> String {
    let network = &run.record.network;
    format!("{}, {}, by {}", network.name, network.head.kind, run.split.protocol)
}

fn details(run: &Run) -> [String; 6] {
    let (config, split) = (&run.config, &run.split);
    [
        format!("{} epochs", config.epochs),
        config.patience.map_or_else(
            || "no early stopping".to_owned(),
            |patience| format!("early stopping after {patience} epochs"),
        ),
        format!("batch {}", config.batch),
        format!("learning rate {}", config.learning_rate),
        format!("{} % test", 100.0 * split.test),
        format!("{} % validation", 100.0 * split.validation),
    ]
}

#[cfg(test)]
mod tests {
    use super::super::measure::tests::run;
    use super::*;

    fn names(runs: &[Run]) -> Vec<(String, usize)> {
        groups(runs.iter()).into_iter().map(|(name, runs)| (name, runs.len())).collect()
    }

    #[test]
    fn runs_that_differ_in_more_than_seeds_are_kept_apart_and_named_by_it() {
        let of = |key: &str, change: fn(&mut Run)| {
            let mut run = run(key, &[("1", "x", 0, 0)]);
            change(&mut run);
            run
        };
        let seeds = [
            of("a-1", |_| ()),
            of("a-2", |run| run.config.seed = 2),
            // Slightly different shares, or another name of the split's file, do not make another kind of split.
            of("a-3", |run| {
                run.split.seed = 9;
                run.record.split.test_share = 0.204;
                run.record.split.protocol = "song-test20".to_owned();
            }),
            of("a-3", |run| run.config.threads = 7),
        ];
        assert_eq!(names(&seeds), [("example, dense, by song".to_owned(), 3)]);
        let longer =
            [of("a-1", |run| run.config.epochs = 8), of("a-2", |run| run.config.epochs = 50)];
        let apart =
            ["8 epochs", "50 epochs"].map(|e| (format!("example, dense, by song ({e})"), 1));
        assert_eq!(names(&longer), apart);
        let other = [
            of("a-1", |run| (run.config.batch, run.config.patience) = (8, Some(3))),
            of("a-2", |run| run.split.test = 0.25),
            of("a-3", |run| run.record.network.blocks[0].filters += 1),
            of("a-4f", |run| run.config.label_smoothing = 0.1),
        ];
        let all = names(&other);
        assert!(all.iter().all(|(_, runs)| *runs == 1) && all.len() == 4, "{all:?}");
        assert!(all[0].0.contains("early stopping after 3 epochs, batch 8"), "{all:?}");
        assert!(all[1].0.contains("25 % test"), "{all:?}");
        assert!(all[2].0.ends_with(", 3)") && all[3].0.ends_with(", 4f)"), "{all:?}");
    }
}
