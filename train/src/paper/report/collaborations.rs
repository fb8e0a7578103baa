//! Section 3.7: solo artists confused with their own collaborations, which are recognised by shared names.

use std::collections::{BTreeMap, BTreeSet};

use leitmotif_models::argmax;

use super::results::SeriesResults;
use super::table::{Cell, Table};

/// Words that join names.
const JOINERS: [&str; 9] = ["and", "with", "feat", "ft", "featuring", "vs", "versus", "und", "et"];

/// One row for each pair and series: clips of the first artist that were predicted as the second.
pub(super) fn table(name: &str, all_series: &[SeriesResults<'_>]) -> Table {
    let mut table = Table::new(
        format!("{name}-collaborations"),
        "Artists that share a name, and how often one was predicted for the other (all runs together)",
        &["line", "true artist", "answer", "clips", "of", "%"],
    );
    for series in all_series {
        let mut confused: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        let mut clips: BTreeMap<&str, usize> = BTreeMap::new();
        let mut artists: BTreeSet<&str> = BTreeSet::new();
        for run in &series.runs {
            let classes = run.predictions.classes();
            artists.extend(classes.iter().map(String::as_str));
            for clip in run.predictions.clips() {
                let predicted = argmax(&clip.probabilities);
                if let (Some(truth), Some(predicted)) =
                    (classes.get(clip.truth.0), classes.get(predicted))
                {
                    *clips.entry(truth).or_default() += 1;
                    *confused.entry((truth, predicted)).or_default() += 1;
                }
            }
        }
        for (truth, predicted) in related(&artists) {
            let (n, of) =
                (confused.get(&(truth, predicted)), clips.get(truth).copied().unwrap_or(0));
            let n = n.copied().unwrap_or(0);
            let share = (of > 0).then(|| 100.0 * n as f64 / of as f64);
            table.rows.push(vec![
                Cell::text(&series.series.label),
                Cell::text(truth),
                Cell::text(predicted),
                Cell::count(n),
                Cell::count(of),
                Cell::maybe(share, 2),
            ]);
        }
    }
    table
}

/// Every pair, in both directions, where one name contains the other, or both contain the same one.
fn related<'a>(artists: &BTreeSet<&'a str>) -> Vec<(&'a str, &'a str)> {
    let members: Vec<(&str, Vec<Vec<String>>)> =
        artists.iter().map(|artist| (*artist, members(artist))).collect();
    let shares = |a: &[Vec<String>], b: &[Vec<String>]| {
        a.iter().any(|one| b.iter().any(|other| contains(one, other) || contains(other, one)))
    };
    let mut pairs = Vec::new();
    for (truth, ours) in &members {
        for (other, theirs) in &members {
            if truth != other && shares(ours, theirs) {
                pairs.push((*truth, *other));
            }
        }
    }
    pairs
}

/// The names in a name, as words: `jacob_heringman_and_catherine_king` has two.
fn members(artist: &str) -> Vec<Vec<String>> {
    let mut members = vec![Vec::new()];
    let lower = artist.to_lowercase();
    for part in lower.split_inclusive(['&', '+', ',', ';', '/', '(', ')']) {
        for word in
            part.split(|c: char| !c.is_alphanumeric() && c != '\'').filter(|w| !w.is_empty())
        {
            if JOINERS.contains(&word) {
                members.push(Vec::new());
            } else if let Some(name) = members.last_mut() {
                name.push(word.to_owned());
            }
        }
        if part.ends_with(['&', '+', ',', ';', '/', '(', ')']) {
            members.push(Vec::new());
        }
    }
    members.retain(|name| !name.is_empty());
    members
}

/// Whether the words of `short` are adjacent in `long`. A single word must be the whole name or its beginning:
/// `The Band` and `Another Band` share no name.
fn contains(long: &[String], short: &[String]) -> bool {
    match short {
        [] => false,
        [word] => long.first() == Some(word) && word.chars().count() > 3,
        _ => long.windows(short.len()).any(|words| words == short),
    }
}

#[cfg(test)]
mod tests {
    use leitmotif_models::Predictions;

    use super::super::measure::tests::{run, series};
    use super::*;

    fn pairs(artists: &[&'static str]) -> Vec<(&'static str, &'static str)> {
        related(&artists.iter().copied().collect())
    }

    #[test]
    fn collaborations_share_a_whole_name() {
        let both = [
            ("jacob_heringman", "jacob_heringman_and_catherine_king"),
            ("jacob_heringman_and_catherine_king", "jacob_heringman"),
        ];
        let artists = ["jacob_heringman", "jacob_heringman_and_catherine_king", "jacob_kirkegaard"];
        assert_eq!(pairs(&artists), both);
        assert_eq!(pairs(&["Seismic Anamoly", "Seismic Anamoly & Friends"]).len(), 2);
        assert_eq!(pairs(&["philharmonia_baroque", "philharmonia_baroque_orchestra"]).len(), 2);
        // Two collaborations with one member in common.
        assert_eq!(pairs(&["Ann Lee with Bob Fox", "Cy Gray, Ann Lee"]).len(), 2);
        for apart in [["The Band", "Another Band"], ["Ed", "Ed Martin"], ["A and B", "and"]] {
            assert_eq!(pairs(&apart), []);
        }
    }

    #[test]
    fn clips_are_counted_over_all_runs() {
        let series = series();
        let mut runs = [
            run("1", &[("1", "x", 0, 1), ("2", "x", 0, 0)]),
            run("2", &[("1", "x", 0, 1), ("3", "y", 1, 1)]),
        ];
        for run in &mut runs {
            let classes = ["Ann Lee", "Ann Lee & Bob", "C", "D"].map(str::to_owned).to_vec();
            let clips = run.predictions.clips().to_vec();
            run.predictions = Predictions::new(classes, clips).unwrap();
        }
        let all = [SeriesResults { series: &series, runs: runs.iter().collect(), planned: 2 }];
        let rows: Vec<String> = table("topk", &all).rows.iter().map(|r| format!("{r:?}")).collect();
        assert_eq!(rows.len(), 2, "{rows:?}");
        assert!(rows[0].contains("Number(2.0, 0), Number(3.0, 0), Number(66.67, 2)"), "{rows:?}");
        assert!(rows[1].contains("Number(0.0, 0), Number(1.0, 0), Number(0.0, 2)"), "{rows:?}");
    }
}
