//! Models, audio and devices that cannot be used: each has its own error.
#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::fs;

use leitmotif::audio::{AudioError, Level};
use leitmotif::session::{Session, runtime_info};
use leitmotif::{Device, Error, Recognizer, SessionOptions};
use support::{GRAPHS, SEGMENT, edited, noise, tiny};

fn on(device: Device) -> SessionOptions {
    SessionOptions::on(device)
}

fn refusal(model: &[u8]) -> Error {
    Recognizer::from_bytes(model, &on(Device::Cpu)).expect_err("a bad model was opened")
}

#[test]
fn a_model_without_a_card_is_refused() {
    for graph in GRAPHS {
        // `Card::KEY` and the prefix of a tool's version.
        let error = refusal(&edited(graph, &[("leitmotif", "leitmotiv")]));
        assert!(matches!(error, Error::NoCard { .. }), "{error:?}");
        assert!(error.to_string().contains("`leitmotif-export`"));
    }
}

#[test]
fn a_card_of_another_version_is_refused_with_both_versions() {
    let error = refusal(&edited("clip", &[("{\"version\":2", "{\"version\":9")]));
    assert!(matches!(error, Error::CardVersion { found: 9, supported: 2, .. }), "{error:?}");
}

#[test]
fn a_card_that_contradicts_itself_is_refused() {
    for edit in [
        ("{\"version\":2", "{\"versiom\":2"),
        ("\"graph\":\"clip\"", "\"graph\":\"step\""),
        ("\"embedding_units\":5", "\"embedding_units\":6"),
        ("\"max_seconds_per_call\":", "\"max_seconds_per_cell\":"),
        ("\"Cy\"]", "\"Cy\"}"),
    ] {
        let error = refusal(&edited("clip", &[edit]));
        assert!(matches!(error, Error::BadCard { .. }), "{edit:?}: {error:?}");
    }
}

#[test]
fn a_graph_of_another_shape_than_its_card_is_refused_with_both() {
    let units =
        [("\"embedding_units\":5", "\"embedding_units\":6"), ("\"units\":5", "\"units\":6")];
    for graph in GRAPHS {
        match refusal(&edited(graph, &units)) {
            Error::WrongShape { name, expected, found, .. } => {
                assert!(["embedding", "h"].contains(&name.as_str()), "{name}");
                assert!(expected.ends_with("[batch, 6]"), "{expected}");
                assert_eq!(found, "[any, 5]");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_graph_with_another_hop_than_its_card_is_refused_when_it_runs() {
    let edits = [
        ("\"hop_samples\":729", "\"hop_samples\":365"),
        ("\"hop\":729", "\"hop\":365"),
        ("\"samples\":5103", "\"samples\":2919"),
    ];
    let recognizer = Recognizer::from_bytes(&edited("clip", &edits), &on(Device::Cpu)).unwrap();
    match recognizer.recognize_samples(&noise(1, 5 * 365 + SEGMENT)) {
        Err(Error::WrongShape { name, expected, found, .. }) => {
            assert_eq!(name, "segment_probabilities");
            assert_eq!((expected.as_str(), found.as_str()), ("[1, 6, 3]", "[1, 3, 3]"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_graph_without_a_promised_output_is_refused() {
    match refusal(&edited("segment", &[("embedding", "embeddong"), ("embeddong_u", "embedding_u")]))
    {
        Error::WrongShape { name, found, .. } => {
            assert_eq!((name.as_str(), found.as_str()), ("embedding", "missing"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_graph_with_a_surplus_input_is_refused() {
    // A `step` graph with the card of a `segment` graph has inputs for states.
    let card = fs::read(tiny("segment")).unwrap();
    let error = refusal(&with_card_of(&fs::read(tiny("step")).unwrap(), &card));
    match error {
        Error::WrongShape { name, .. } => assert_eq!(name, "h"),
        other => panic!("{other:?}"),
    }
}

/// `model` with the metadata entry `leitmotif` of another model in place of its own.
fn with_card_of(model: &[u8], other: &[u8]) -> Vec<u8> {
    // metadata_props is field 14 of ModelProto, and the file's last: tag 0x72, length, then key and value.
    let entry = |bytes: &[u8]| {
        let key = b"\x0a\x09leitmotif\x12";
        let at = bytes.windows(key.len()).position(|w| w == key).unwrap();
        let (value, digits) = varint(&bytes[at + key.len()..]);
        let start = (0..at).rev().find(|i| bytes[*i] == 0x72).unwrap();
        start..at + key.len() + digits + value
    };
    let (mine, theirs) = (entry(model), entry(other));
    [&model[..mine.start], &other[theirs], &model[mine.end..]].concat()
}

fn varint(bytes: &[u8]) -> (usize, usize) {
    let digits = bytes.iter().position(|b| b & 0x80 == 0).unwrap() + 1;
    let value = bytes[..digits].iter().rev().fold(0, |v, b| (v << 7) | usize::from(b & 0x7f));
    (value, digits)
}

#[test]
fn a_truncated_model_is_refused_wherever_it_ends() {
    let model = fs::read(tiny("sequence")).unwrap();
    for length in (0..model.len()).step_by(97).chain([1, 2, model.len() - 1]) {
        match refusal(&model[..length]) {
            // A model that is cut between two fields is valid, but lacks its card.
            Error::ModelRefused { .. } | Error::NoCard { .. } => {}
            other => panic!("{length} bytes: {other:?}"),
        }
    }
}

#[test]
fn a_damaged_model_is_an_error_or_a_model_and_never_a_crash() {
    let model = fs::read(tiny("clip")).unwrap();
    let mut state = 1u32;
    let mut next = |most: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % most
    };
    for _ in 0..150 {
        let mut damaged = model.clone();
        for _ in 0..3 {
            let at = next(damaged.len());
            damaged[at] = next(256) as u8;
        }
        if let Ok(recognizer) = Recognizer::from_bytes(&damaged, &on(Device::Cpu)) {
            let _ = recognizer.recognize_samples(&noise(1, 8 * SEGMENT));
        }
    }
}

#[test]
fn other_files_are_not_models() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    for content in ["", "this is no model\n", "{\"version\": 1}"] {
        fs::write(&path, content).unwrap();
        let error = Recognizer::open(&path).expect_err("text was opened");
        assert!(matches!(error, Error::ModelRefused { .. }), "{content:?}: {error:?}");
        assert!(error.to_string().contains("model.onnx"), "{error}");
    }
    for path in [folder.path().join("missing.onnx"), folder.path().to_owned()] {
        let error = Recognizer::open(&path).expect_err("nothing was opened");
        assert!(matches!(error, Error::ModelUnreadable { .. }), "{error:?}");
    }
}

#[test]
fn a_model_with_weights_in_another_file_is_refused_with_its_name() {
    // One more initializer, in a part of the graph behind everything else: protobuf merges both.
    let location = b"\x0a\x08location\x12\x09other.bin";
    let entry = [&[0x6a, location.len() as u8][..], location].concat();
    let tensor = [&[0x2a, entry.len() as u8][..], &entry].concat();
    let graph = [&[0x3a, tensor.len() as u8][..], &tensor].concat();
    for graph_kind in GRAPHS {
        let model = [fs::read(tiny(graph_kind)).unwrap(), graph.clone()].concat();
        match refusal(&model) {
            Error::ExternalData { location, .. } => assert_eq!(location, "other.bin"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn an_output_that_is_not_a_probability_is_an_error() {
    // The last layer's bias, behind its name and its length of 12 bytes.
    let mut model = fs::read(tiny("clip")).unwrap();
    let at = model.windows(13).position(|part| part == b"output.biasJ\x0c").unwrap() + 13;
    model[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let recognizer = Recognizer::from_bytes(&model, &on(Device::Cpu)).unwrap();
    match recognizer.recognize_samples(&noise(1, SEGMENT)) {
        Err(Error::BadOutput { value, .. }) => assert!(!value.is_finite()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn samples_that_were_never_divided_are_refused_and_loud_ones_scaled() {
    let recognizer = Recognizer::open_with(tiny("clip"), &on(Device::Cpu)).unwrap();
    let quiet = noise(1, SEGMENT);
    let peak = Level::peak(&quiet);
    let full: Vec<f32> = quiet.iter().map(|x| x / peak).collect();
    let loud: Vec<f32> = quiet.iter().map(|x| x * 16.0 / peak).collect();
    let (full, loud) = (recognizer.recognize_samples(&full), recognizer.recognize_samples(&loud));
    let (full, loud) = (full.unwrap(), loud.unwrap());
    assert_eq!(loud.peak, 1.0);
    for (full, loud) in full.artists.iter().zip(&loud.artists) {
        assert_eq!(full.artist, loud.artist);
        assert!((full.probability - loud.probability).abs() < 1e-5);
    }
    let error = recognizer.recognize_samples(&[1e30; SEGMENT]).unwrap_err();
    assert!(matches!(error, Error::OutOfScale { .. }), "{error:?}");
    let integers: Vec<f32> = quiet.iter().map(|x| (x * 32_768.0).round()).collect();
    let error = recognizer.recognize_samples(&integers).unwrap_err();
    assert!(matches!(error, Error::OutOfScale { .. }), "{error:?}");
    assert!(error.to_string().contains("divide them by 32,768"), "{error}");
}

#[test]
fn bad_audio_is_an_error_of_audio_decoding() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let song = fs::read(support::data("audio/s16.flac")).unwrap();
    let recognizer = Recognizer::open(tiny("clip")).unwrap();
    let error = |path| match recognizer.recognize_file(path) {
        Err(Error::Audio(error)) => error,
        other => panic!("{other:?}"),
    };
    let missing = error(folder.path().join("missing.mp3"));
    assert!(matches!(missing, AudioError::NotFound { .. }));
    assert!(matches!(error(write("empty.mp3", b"")), AudioError::Empty { .. }));
    let text = error(write("text.mp3", "no music, only words\n".repeat(500).as_bytes()));
    assert!(matches!(text, AudioError::UnknownFormat { .. }), "{text:?}");
    error(write("cut.flac", &song[..30]));
}

#[test]
fn a_truncated_file_is_recognised_as_far_as_it_goes_and_marked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.flac");
    let song = fs::read(support::data("audio/s16.flac")).unwrap();
    fs::write(&path, &song[..song.len() / 2]).unwrap();
    let answer = Recognizer::open(tiny("clip")).unwrap().recognize_file(&path).unwrap();
    assert!(answer.audio.unwrap().truncated);
    assert!(answer.seconds < 1.5, "{}", answer.seconds);
}

#[test]
fn a_run_that_does_not_fit_the_graph_is_an_error() {
    let mut session = Session::open(&tiny("segment"), &on(Device::Cpu)).unwrap();
    let samples = noise(1, SEGMENT);
    for inputs in [
        &[("waveform", &[1, SEGMENT - 1][..], &samples[1..])][..],
        &[("waveform", &[2, SEGMENT], &samples)],
        &[("waveforms", &[1, SEGMENT], &samples)],
        &[],
    ] {
        let error = session.run(inputs).expect_err("it ran");
        assert!(matches!(error, Error::Run { .. }), "{error:?}");
    }
    // The session still works.
    assert_eq!(session.run(&[("waveform", &[1, SEGMENT], &samples)]).unwrap().len(), 3);
}

#[test]
fn cuda_where_it_cannot_run_is_an_error_with_the_reason_and_auto_takes_the_cpu() {
    let Some(obstacle) = runtime_info(None).unwrap().cuda_obstacle else {
        println!("skipped: CUDA runs on this machine");
        return;
    };
    for number in [0, 3] {
        match Recognizer::open_with(tiny("clip"), &on(Device::Cuda(number))) {
            Err(Error::CudaUnavailable { reason }) => {
                assert!(reason.to_lowercase().contains("cuda"), "{reason}");
                assert!(reason.contains(&obstacle), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
    let recognizer = Recognizer::open(tiny("clip")).unwrap();
    assert_eq!(recognizer.device().device, Device::Cpu);
    assert!(recognizer.device().why.contains(&obstacle), "{:?}", recognizer.device());
}

#[test]
fn a_broken_model_is_an_error_of_the_model_on_any_device() {
    let error = Recognizer::from_bytes(b"no model", &on(Device::Cuda(0)));
    assert!(matches!(error, Err(Error::ModelRefused { .. })), "{error:?}");
}

#[test]
fn a_process_keeps_the_onnx_runtime_it_opened() {
    let open = runtime_info(None).unwrap().library;
    let same = on(Device::Cpu).with_onnx_runtime(&open);
    Recognizer::open_with(tiny("clip"), &same).unwrap();
    let other = on(Device::Cpu).with_onnx_runtime(tiny("clip"));
    match Recognizer::open_with(tiny("clip"), &other) {
        Err(Error::OnnxRuntimeOpen { open: found }) => assert_eq!(found, open),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_profile_names_every_nodes_provider() {
    let folder = tempfile::tempdir().unwrap();
    let input = noise(1, SEGMENT);
    let inputs = [("waveform", &[1, SEGMENT][..], &input[..])];
    let options = on(Device::Cpu).with_profile(folder.path().join("run"));
    let mut session = Session::open(&tiny("segment"), &options).unwrap();
    session.run(&inputs).unwrap();
    let file = session.end_profile().unwrap();
    assert_eq!(file.parent(), Some(folder.path()));
    assert!(fs::read_to_string(file).unwrap().contains("CPUExecutionProvider"));

    let mut session = Session::open(&tiny("segment"), &on(Device::Cpu)).unwrap();
    let error = session.end_profile().unwrap_err().to_string();
    assert!(error.contains("no profile"), "{error}");
}
