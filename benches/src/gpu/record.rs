//! What `scripts/gpu/measure` records: a JSON file a step, in it one entry a part.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::results::read_json;

/// Keys of an entry that has a reason in the place of a result.
const REASONS: [&str; 4] = ["error", "failure", "skipped", "too_large"];

/// A step of the measurement.
#[derive(Default, Deserialize)]
pub(super) struct Step {
    step: String,
    state: String,
    parts: BTreeMap<String, Value>,
}

impl Step {
    /// Reads `path` with `.json` behind it; a step that was not run has no parts.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let path = path.with_extension("json");
        if path.exists() { read_json(&path) } else { Ok(Step::default()) }
    }

    /// The result of a part; `None` where it was not measured.
    pub(super) fn part<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<T>> {
        let Some(found) = self.parts.get(name) else { return Ok(None) };
        let tried: Tried<T> = serde_json::from_value(found.clone())
            .with_context(|| format!("{}.json: {name}", self.step))?;
        Ok(tried.0)
    }

    /// Names of the parts.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.keys().map(String::as_str)
    }

    /// The parts that failed.
    pub(super) fn failed(&self) -> Option<String> {
        let parts = self.state.strip_prefix("failed: ")?;
        Some(format!("`{}`: {parts}", self.step))
    }
}

/// A result, or `None` where there is a reason in its place.
pub(super) struct Tried<T>(pub(super) Option<T>);

impl<'de, T: DeserializeOwned> Deserialize<'de> for Tried<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        if REASONS.iter().any(|reason| value.get(reason).is_some()) {
            return Ok(Tried(None));
        }
        serde_json::from_value(value).map(|value| Tried(Some(value))).map_err(D::Error::custom)
    }
}
