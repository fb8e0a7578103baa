//! The folder of Hugging Face's form, as the Hub and its libraries expect it: <https://huggingface.co/docs/hub/model-cards>,
//! <https://huggingface.co/docs/transformers.js/custom_usage>.
//!
//! Everything in it repeats the card inside the `.onnx` file, but for what [`About`] adds; nothing of this project reads it.
//!
//! `model_type` is `wav2vec2`, because the libraries take only types that they list, and this is the one whose input is the
//! samples as they are. Its feature extractor changes nothing but the type of the numbers.

use serde::{Serialize, Serializer};

use crate::about::About;
use crate::compile::Artifact;
use crate::hub_readme::readme;

/// The files of the folder, by their paths in it with `/`, the model's last. `artifact` is one of
/// [`Recipe::huggingface`](crate::Recipe::huggingface).
///
/// ```
/// # fn main() -> Result<(), leitmotif_export::ExportError> {
/// use leitmotif_export::{About, Checkpoint, Recipe, compile_as, hub_folder};
/// use leitmotif_models::GraphKind;
///
/// let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/tiny-dense");
/// let checkpoint = Checkpoint::open(folder.as_ref())?;
/// let recipe = Recipe { huggingface: true, ..Recipe::named("tiny") };
/// let artifact = compile_as(&checkpoint, GraphKind::Clip, &recipe)?;
/// let names: Vec<String> = hub_folder(&artifact, &About::default()).into_iter().map(|(name, _)| name).collect();
/// assert_eq!(names, ["README.md", "config.json", "preprocessor_config.json", "onnx/model.onnx"]);
/// # Ok(())
/// # }
/// ```
pub fn hub_folder(artifact: &Artifact, about: &About) -> Vec<(String, Vec<u8>)> {
    let card = artifact.card();
    let config = Config {
        architectures: ["Wav2Vec2ForSequenceClassification"],
        model_type: "wav2vec2",
        problem_type: "single_label_classification",
        id2label: &card.classes,
        label2id: &card.classes,
        // Else a browser would look for a file of eight bits.
        transformers_js: TransformersJs { dtype: card.precision.to_string() },
    };
    let preprocessor = Preprocessor {
        feature_extractor_type: "Wav2Vec2FeatureExtractor",
        feature_size: 1,
        sampling_rate: card.sample_rate.0,
        do_normalize: false,
        return_attention_mask: false,
        padding_side: "right",
        padding_value: 0.0,
    };
    vec![
        ("README.md".to_owned(), readme(artifact, about).into_bytes()),
        ("config.json".to_owned(), json(&config)),
        ("preprocessor_config.json".to_owned(), json(&preprocessor)),
        (format!("onnx/{}", artifact.file_name()), artifact.bytes().to_vec()),
    ]
}

#[derive(Serialize)]
struct Config<'a> {
    architectures: [&'static str; 1],
    model_type: &'static str,
    problem_type: &'static str,
    #[serde(serialize_with = "by_number")]
    id2label: &'a [String],
    #[serde(serialize_with = "by_label")]
    label2id: &'a [String],
    #[serde(rename = "transformers.js_config")]
    transformers_js: TransformersJs,
}

#[derive(Serialize)]
struct TransformersJs {
    dtype: String,
}

#[derive(Serialize)]
struct Preprocessor {
    feature_extractor_type: &'static str,
    feature_size: u32,
    sampling_rate: u32,
    do_normalize: bool,
    return_attention_mask: bool,
    padding_side: &'static str,
    padding_value: f32,
}

fn by_number<S: Serializer>(labels: &&[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter().enumerate())
}

fn by_label<S: Serializer>(labels: &&[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(labels.iter().enumerate().map(|(number, label)| (label, number)))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    // Plain structures of texts and numbers: there is nothing that JSON could not hold.
    let mut text = serde_json::to_vec_pretty(value).unwrap_or_default();
    text.push(b'\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_in_the_order_of_their_numbers() {
        let labels: Vec<String> = (0..12).map(|number| format!("artist {}", 12 - number)).collect();
        let text = String::from_utf8(json(&Labels { labels: &labels })).unwrap();
        let places = (0..12).map(|number| text.find(&format!("\"{number}\":")).unwrap());
        assert!(places.is_sorted(), "{text}");
    }

    #[derive(Serialize)]
    struct Labels<'a> {
        #[serde(serialize_with = "by_number")]
        labels: &'a [String],
    }
}
