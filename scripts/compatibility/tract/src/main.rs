//! Runs jobs (`../cases.py`) in tract: `leitmotif-compatibility-tract JOBS` prints one JSON object a line for each.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Context;
use serde::{Deserialize, Serialize};
use tract_onnx::prelude::*;

#[derive(Deserialize)]
struct Job {
    model: String,
    inputs: Vec<String>,
    outputs: Vec<String>,
    calls: Vec<Call>,
}

#[derive(Deserialize)]
struct Call {
    feeds: BTreeMap<String, Feed>,
    carry: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Feed {
    dims: Vec<usize>,
    file: String,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Answers(Vec<Answer>),
    Error(String),
}

#[derive(Serialize)]
struct Answer {
    dims: Vec<usize>,
    data: Vec<f32>,
}

fn main() -> anyhow::Result<()> {
    let jobs = std::env::args().nth(1).context("name the file of jobs")?;
    let jobs: Vec<Job> = serde_json::from_str(&fs::read_to_string(jobs)?)?;
    for job in jobs {
        let outcome = match answers(&job) {
            Ok(answers) => Outcome::Answers(answers),
            Err(error) => Outcome::Error(format!("{error:#}").replace('\n', " ")),
        };
        println!("{}", serde_json::to_string(&outcome)?);
    }
    Ok(())
}

/// Runs the calls in order. Free axes stay symbols: one plan serves every call.
fn answers(job: &Job) -> TractResult<Vec<Answer>> {
    let model = tract_onnx::onnx().model_for_path(&job.model)?.into_optimized()?.into_runnable()?;
    let at = |name: &String| job.outputs.iter().position(|output| output == name);
    let mut before: TVec<TValue> = tvec![];
    let mut found = Vec::new();
    for call in &job.calls {
        let mut inputs = tvec![];
        for name in &job.inputs {
            let value = match call.feeds.get(name) {
                Some(feed) => tensor(feed)?.into(),
                None => {
                    let output = call.carry.get(name).and_then(at);
                    let value = output.and_then(|output| before.get(output));
                    value.cloned().with_context(|| format!("nothing to feed `{name}` with"))?
                }
            };
            inputs.push(value);
        }
        before = model.run(inputs)?;
        let output = at(&"probabilities".to_owned()).and_then(|output| before.get(output));
        let output = output.context("no probabilities")?;
        found.push(Answer { dims: output.shape().to_vec(), data: output.to_plain_array_view::<f32>()?.iter().copied().collect() });
    }
    Ok(found)
}

fn tensor(feed: &Feed) -> TractResult<Tensor> {
    let bytes = fs::read(&feed.file)?;
    let values: Vec<f32> =
        bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Tensor::from_shape(&feed.dims, &values)
}
