//! The model card of Hugging Face's form: metadata in YAML, <https://huggingface.co/docs/hub/model-cards#model-card-metadata>,
//! and a page for people.
//!
//! Every text of the metadata is written as JSON writes it, which YAML reads as it is: a name may hold quotes, colons or a
//! line that looks like the end of the metadata.

use std::fmt::Write as _;

use leitmotif_models::text::{count, escape_html, printable};
use leitmotif_models::{Card, HeadKind, Scores};

use crate::about::About;
use crate::compile::Artifact;

/// The text of `README.md`.
pub(crate) fn readme(artifact: &Artifact, about: &About) -> String {
    let card = artifact.card();
    let file = format!("onnx/{}", artifact.file_name());
    let parts = [
        metadata(card, about),
        introduction(card),
        usage(card, &file),
        limits(card),
        results(card),
        origin(card, about),
    ];
    parts.concat()
}

fn metadata(card: &Card, about: &About) -> String {
    let license = if about.license.is_empty() { "unknown" } else { &about.license };
    let mut lines = vec![
        "---".to_owned(),
        format!("license: {}", quoted(license)),
        "library_name: transformers.js".to_owned(),
        "pipeline_tag: audio-classification".to_owned(),
        "tags:".to_owned(),
    ];
    lines
        .extend(["music", "artist-recognition", "onnx", "leitmotif"].map(|tag| format!("- {tag}")));
    if !about.datasets.is_empty() {
        lines.push("datasets:".to_owned());
        lines.extend(about.datasets.iter().map(|name| format!("- {}", quoted(name))));
    }
    if let Some(scores) = &card.scores {
        lines.extend([
            "model-index:".to_owned(),
            format!("- name: {}", quoted(&card.name)),
            "  results:".to_owned(),
            "  - task:".to_owned(),
            "      type: audio-classification".to_owned(),
            "      name: artist recognition".to_owned(),
            "    dataset:".to_owned(),
            format!("      name: {}", quoted(&card.dataset.name)),
            format!("      type: {}", quoted(&slug(&card.dataset.name))),
            "      split: test".to_owned(),
            "    metrics:".to_owned(),
        ]);
        for (kind, name, value) in metrics(scores) {
            lines.push(format!("    - type: {kind}"));
            lines.push(format!("      name: {name}"));
            lines.push(format!("      value: {value:.4}"));
        }
    }
    lines.push("---\n\n".to_owned());
    lines.join("\n")
}

/// Kind of metric, as the Hub has it, what it is of, and its value as a share.
fn metrics(scores: &Scores) -> [(&'static str, &'static str, f64); 3] {
    [
        ("accuracy", "accuracy by song", scores.song_accuracy.value),
        ("accuracy", "accuracy by clip", scores.clip_accuracy.value),
        ("f1", "macro-F1 by song", scores.song_macro_f1.value),
    ]
}

fn introduction(card: &Card) -> String {
    format!(
        "# {}\n\nNames the artist of a recording, one of {}, from its raw waveform. Network: {}, {}.\n\n",
        plain(&card.name),
        card.classes.len(),
        plain(&card.network.name),
        plain(card.network.description.trim_end_matches('.'))
    )
}

fn usage(card: &Card, file: &str) -> String {
    let rate = card.sample_rate.0;
    format!(
        r#"## Use

`samples` are mono (the mean of the channels), {rate} a second, floats in [-1, 1]: the whole recording. Resamplers differ
in the highest frequencies, and some answers with them; ffmpeg comes nearest to the one of the training by

```sh
ffmpeg -i SONG -ac 1 -af aresample={rate}:filter_size=128:cutoff=0.99 -c:a pcm_s16le SONG.wav
```

```js
import {{ pipeline }} from '@huggingface/transformers';
const classifier = await pipeline('audio-classification', 'THIS FOLDER OR OWNER/NAME');
console.log(await classifier(samples, {{ top_k: 3 }})); // samples: Float32Array
```

```python
import json, numpy, onnxruntime
from transformers import AutoFeatureExtractor
extractor = AutoFeatureExtractor.from_pretrained("THIS FOLDER")
session = onnxruntime.InferenceSession("{file}")
feeds = extractor(samples, sampling_rate={rate}, return_tensors="np")
logits = session.run(["logits"], {{"input_values": feeds["input_values"]}})[0][0]
probabilities = numpy.exp(logits - logits.max()) / numpy.exp(logits - logits.max()).sum()
labels = json.load(open("config.json"))["id2label"]
print(labels[str(probabilities.argmax())], probabilities.max())
```

"#
    )
}

fn limits(card: &Card) -> String {
    let least = card.sample_rate.seconds(card.segment_samples as u64);
    let mut text = format!(
        "- A recording has at least {least:.1} seconds; what is left after its last segment of so many is dropped. Up to \
         {:.0} seconds fit into half a gigabyte.\n- One recording a call: the zeros with which a shorter one would be \
         filled up count as silence.\n- In Node transformers.js decodes no audio files; give it samples. A browser \
         decodes them with a resampler of its own. Python's \
         `transformers.pipeline` loads PyTorch's weights, and this model has none.\n- `model_type` is `wav2vec2` because \
         these libraries know no other type that takes samples; the network is another.\n",
        card.max_seconds_per_call
    );
    if card.network.head.kind == HeadKind::Lstm {
        let _ = writeln!(
            text,
            "- An LSTM runs over windows of {}, each from zero states; the windows are cut in the file.",
            count(card.window_segments, "segment")
        );
    }
    match &card.confidence {
        Some(confidence) => {
            let _ = writeln!(
                text,
                "- The probabilities are calibrated: logits are divided by the temperature {:.3}. That a recording is of \
                 none of these artists, which is said below a certainty of {:.2}, cannot be seen from them.",
                confidence.temperature, confidence.threshold
            );
        }
        None => text += "- The probabilities are not calibrated.\n",
    }
    text.push('\n');
    text
}

fn results(card: &Card) -> String {
    let Some(scores) = &card.scores else { return String::new() };
    let mut text = format!(
        "## Scores\n\nOn {} ({}) that it was not trained on.\n\n| score | value |\n|---|---|\n",
        count(scores.songs, "song"),
        count(scores.clips, "clip")
    );
    for (_, name, value) in metrics(scores) {
        let _ = writeln!(text, "| {name} | {:.1} % |", 100.0 * value);
    }
    let _ = writeln!(
        text,
        "| always the largest artist, by song | {:.1} % |\n\n95 % interval by song: {:.0} to {:.0} %.\n",
        100.0 * scores.majority_songs,
        100.0 * scores.song_accuracy.low,
        100.0 * scores.song_accuracy.high
    );
    text
}

fn origin(card: &Card, about: &About) -> String {
    let dataset = &card.dataset;
    let mut text = format!(
        "## Training data\n\n{}: {} of {}.",
        plain(&dataset.name),
        count(dataset.clips, "clip"),
        count(dataset.songs, "song")
    );
    for (what, note) in [("Licence of the music", &dataset.licence), ("Notes", &dataset.notes)] {
        if !note.is_empty() {
            let _ = write!(text, " {what}: {}.", plain(note).trim_end_matches('.'));
        }
    }
    text += "\n\n## Artists\n\n";
    for artist in &card.classes {
        let _ = writeln!(text, "- {}", plain(artist));
    }
    let made = [
        ("Author", plain(&about.author)),
        ("Mail", plain(&about.email)),
        ("Page", link(&about.link)),
        ("Published", plain(&about.date)),
        ("Cite", plain(&about.citation)),
    ];
    text += "\n## Origin\n\n";
    for (what, value) in made.into_iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(text, "- {what}: {value}");
    }
    let _ = writeln!(
        text,
        "- Made by [leitmotif]({}); the metadata key `{}` of the file has the whole card.",
        env!("CARGO_PKG_REPOSITORY"),
        Card::KEY
    );
    text
}

/// A text of the metadata: as JSON, with what YAML refuses escaped too.
fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let is_refused = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    json.chars().fold(String::new(), |mut text, c| {
        if is_refused(c) {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        } else {
            text.push(c);
        }
        text
    })
}

/// A name in the form of an identifier: `open game music (small)` is `open-game-music-small`.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-").to_lowercase();
    if slug.is_empty() { "unnamed".to_owned() } else { slug }
}

/// A text on the page, with what Markdown or HTML would take for its own escaped, also at the start of a line.
fn plain(text: &str) -> String {
    let printed = printable(text);
    let text = escape_html(printed.trim());
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let mut plain = String::new();
    for (at, c) in text.char_indices() {
        let begins = at == 0 && matches!(c, '+' | '-' | '=');
        let numbers = at == digits && digits > 0 && matches!(c, '.' | ')');
        let anywhere =
            matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '$' | '!');
        if anywhere || numbers || begins {
            plain.push('\\');
        }
        plain.push(c);
    }
    plain
}

/// An address as Markdown's own kind of link; as plain text if it cannot be one.
fn link(address: &str) -> String {
    let is_address = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '\\' | '`' | '"');
    let is_link = ["http://", "https://"].iter().any(|scheme| address.starts_with(scheme));
    if is_link && address.chars().all(is_address) { format!("<{address}>") } else { plain(address) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_holds_any_text_on_one_line() {
        assert_eq!(quoted("a: \"b\"\n---\u{85}\u{2028}"), r#""a: \"b\"\n---\u0085\u2028""#);
    }

    #[test]
    fn a_name_on_the_page_is_no_markup() {
        assert_eq!(plain("[a](b) <i>*c*_d\n"), r"\[a\](b) &lt;i&gt;\*c\*\_d\\n");
    }

    #[test]
    fn a_name_on_the_page_begins_no_block() {
        for (name, written) in [
            ("~~~", r"\~\~\~"),
            ("1. FC", r"1\. FC"),
            ("12) x", r"12\) x"),
            ("- x", r"\- x"),
            ("---", r"\---"),
            ("+ x", r"\+ x"),
            ("===", r"\==="),
            ("> x", "&gt; x"),
            ("![a](b)", r"\!\[a\](b)"),
            ("$x$", r"\$x\$"),
            ("    four", "four"),
            ("65daysofstatic - 1.5", "65daysofstatic - 1.5"),
        ] {
            assert_eq!(plain(name), written);
        }
    }

    #[test]
    fn an_address_is_a_link_and_other_text_is_not() {
        assert_eq!(link("https://example.org/a_b?c=1"), "<https://example.org/a_b?c=1>");
        assert_eq!(link("https://a.b/> <b>"), "https://a.b/&gt; &lt;b&gt;");
        assert_eq!(link("my_page"), r"my\_page");
    }

    #[test]
    fn an_identifier_has_letters_digits_and_hyphens() {
        assert_eq!(slug("open game music (small)"), "open-game-music-small");
        assert_eq!(slug("!"), "unnamed");
    }
}
