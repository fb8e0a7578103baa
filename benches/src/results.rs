//! The files of `benches/results/DATE-MACHINE`: `own.json` of the criterion benches, beside the `*.jsonl` of [`crate::pairs`].

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::cases::{self, Case};
use crate::machine::Machine;

/// The folder of all results.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("results")
}

/// The newest result file of this name, by the date in its folder's name; `None` where there is none yet.
///
/// # Errors
///
/// Where the folder cannot be read.
pub fn newest(folder: &Path, name: &str) -> anyhow::Result<Option<PathBuf>> {
    Ok(newest_first(folder, name)?.into_iter().next())
}

/// Every result file of this name, the newest first.
///
/// # Errors
///
/// Where the folder cannot be read.
pub fn newest_first(folder: &Path, name: &str) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path().join(name)));
    let mut files: Vec<PathBuf> = files.filter(|file| file.is_file()).collect();
    files.sort_by(|a, b| b.cmp(a));
    Ok(files)
}

/// Name of the file with the criterion results.
pub const OWN: &str = "own.json";

/// Results of every case of the criterion benches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Own {
    /// What it was measured on.
    pub machine: Machine,
    /// One entry a case.
    pub timed: Vec<Timed>,
}

/// The time of one pass of a case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timed {
    /// The timed case.
    #[serde(flatten)]
    pub case: Case,
    /// Seconds: the median of all samples.
    pub median: f64,
    /// Lower end of its 95 % interval.
    pub low: f64,
    /// Upper end of its 95 % interval.
    pub high: f64,
    /// Seconds of the fastest sample.
    pub least: f64,
}

impl Own {
    /// Collects what `cargo bench` wrote to criterion's folder after `since`.
    ///
    /// # Errors
    ///
    /// A case that is missing, older or unreadable.
    pub fn gather(criterion: &Path, since: SystemTime) -> anyhow::Result<Self> {
        let cases = cases::all()?;
        let timed = cases.into_iter().map(|case| Timed::read(criterion, case, since));
        Ok(Own { machine: Machine::here(), timed: timed.collect::<anyhow::Result<_>>()? })
    }

    /// Reads a file that [`Own::write`] wrote.
    ///
    /// # Errors
    ///
    /// A file that cannot be read.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        read_json(path)
    }

    /// Writes all of it to `path`.
    ///
    /// # Errors
    ///
    /// A file that cannot be written.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| path.display().to_string())
    }

    /// The result of a case.
    ///
    /// # Errors
    ///
    /// Where it is missing.
    pub fn of(&self, case: &Case) -> anyhow::Result<&Timed> {
        let found =
            self.timed.iter().find(|t| (&t.case.group, &t.case.name) == (&case.group, &case.name));
        found.with_context(|| missing(case))
    }

    /// The share of the machine's limit that a case's fastest pass reached, between 0 and (but for chance) 1: by multiply-adds
    /// of libtorch's product of matrices, else by bytes of the triad.
    ///
    /// # Errors
    ///
    /// Where the limit was not measured, or the case counts neither.
    pub fn share(&self, timed: &Timed) -> anyhow::Result<f64> {
        let Case { threads, multiply_adds, bytes, .. } = &timed.case;
        let (limit, work) = match (multiply_adds, bytes) {
            (Some(work), _) => (self.of(&cases::product(*threads))?, *work),
            (None, Some(work)) => (self.of(&cases::triad(*threads))?, *work),
            (None, None) => bail!("{} has no limit", timed.case.name),
        };
        let most = limit.case.multiply_adds.or(limit.case.bytes).unwrap_or(0);
        Ok((work as f64 / timed.least) / (most as f64 / limit.least))
    }
}

impl Timed {
    /// Reads `GROUP/NAME/new` of criterion's folder.
    fn read(criterion: &Path, case: Case, since: SystemTime) -> anyhow::Result<Self> {
        let folder = criterion.join(&case.group).join(&case.name).join("new");
        let path = folder.join("estimates.json");
        let written = fs::metadata(&path).and_then(|file| file.modified());
        let written = written.with_context(|| missing(&case))?;
        ensure!(written >= since, "{} is of an earlier run: {}", path.display(), missing(&case));
        let Estimates { median } = read_json(&path)?;
        let Sample { iters, times } = read_json(&folder.join("sample.json"))?;
        let each = times.iter().zip(&iters).map(|(time, passes)| time / passes);
        let least = each.fold(f64::INFINITY, f64::min);
        let Interval { lower_bound, upper_bound } = median.confidence_interval;
        let seconds = |nanoseconds: f64| nanoseconds * 1e-9;
        Ok(Timed {
            case,
            median: seconds(median.point_estimate),
            low: seconds(lower_bound),
            high: seconds(upper_bound),
            least: seconds(least),
        })
    }

    /// 10⁹ floating-point operations a second, two for a multiply-add, by the median; 0 where none were counted.
    pub fn gflops(&self) -> f64 {
        2e-9 * self.case.multiply_adds.unwrap_or(0) as f64 / self.median
    }

    /// Seconds of music a second, by the median; 0 where no music goes through.
    pub fn speed(&self) -> f64 {
        self.case.music_seconds.unwrap_or(0.0) / self.median
    }

    /// 10⁹ bytes a second, by the median; 0 where none were counted.
    pub fn gigabytes(&self) -> f64 {
        1e-9 * self.case.bytes.unwrap_or(0) as f64 / self.median
    }
}

fn missing(case: &Case) -> String {
    format!("no result of {}/{}: `make bench` measures it", case.group, case.name)
}

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
    serde_json::from_str(&text).with_context(|| path.display().to_string())
}

/// Of criterion's `estimates.json`, in nanoseconds.
#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
    confidence_interval: Interval,
}

#[derive(Deserialize)]
struct Interval {
    lower_bound: f64,
    upper_bound: f64,
}

/// Of criterion's `sample.json`: passes and nanoseconds of each sample.
#[derive(Deserialize)]
struct Sample {
    iters: Vec<f64>,
    times: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_of_criterion_are_read_in_seconds() {
        let folder = tempfile::tempdir().unwrap();
        let case = cases::product(1);
        let began = SystemTime::UNIX_EPOCH;
        let missing = Timed::read(folder.path(), case.clone(), began).unwrap_err().to_string();
        assert!(
            missing.contains("limits/product-1") && missing.contains("make bench"),
            "{missing}"
        );

        let new = folder.path().join("limits/product-1/new");
        fs::create_dir_all(&new).unwrap();
        let interval = r#"{"confidence_level":0.95,"lower_bound":2.5e9,"upper_bound":4e9}"#;
        let median =
            format!(r#"{{"median":{{"point_estimate":3e9,"confidence_interval":{interval}}}}}"#);
        fs::write(new.join("estimates.json"), median).unwrap();
        let sample = r#"{"sampling_mode":"Flat","iters":[2.0,2.0],"times":[4e9,8e9]}"#;
        fs::write(new.join("sample.json"), sample).unwrap();
        let timed = Timed::read(folder.path(), case.clone(), began).unwrap();
        assert_eq!([timed.least, timed.low, timed.median, timed.high], [2.0, 2.5, 3.0, 4.0]);
        assert!(
            Timed::read(
                folder.path(),
                case,
                SystemTime::now() + std::time::Duration::from_secs(60)
            )
            .is_err()
        );
    }

    #[test]
    fn a_share_is_of_the_limit_with_as_many_threads() {
        let timed =
            |case: Case, least| Timed { case, median: least, low: least, high: least, least };
        let machine = Machine::here();
        let limits = [(cases::product(1), 1.0), (cases::product(2), 0.5), (cases::triad(1), 1.0)];
        let own = Own { machine, timed: limits.map(|(case, least)| timed(case, least)).to_vec() };
        let half = Case { multiply_adds: Some(cases::PRODUCT.pow(3) / 2), ..cases::product(2) };
        assert!((own.share(&timed(half, 0.5)).unwrap() - 0.5).abs() < 1e-9);
        let all = Case { bytes: Some(3 * 4 * cases::TRIAD as u64), ..cases::triad(1) };
        assert!((own.share(&timed(all, 1.0)).unwrap() - 1.0).abs() < 1e-9);
        assert!(own.share(&timed(cases::prepare(1), 1.0)).is_err());
    }
}
