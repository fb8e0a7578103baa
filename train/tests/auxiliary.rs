//! Music of other artists that a network is trained on, too, and that is no answer of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod tones;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use leitmotif_models::HeadKind;
use leitmotif_models::checkpoint::LAST;
use leitmotif_train::error::TrainError;
use leitmotif_train::learn::auxiliary::AuxiliaryConfig;
use leitmotif_train::learn::batches::Balance;
use leitmotif_train::learn::checkpoint::Checkpoint;
use leitmotif_train::learn::config::FitConfig;
use leitmotif_train::learn::evaluate::evaluate;
use leitmotif_train::learn::fit::{Outcome, fit};
use leitmotif_train::learn::probe;
use leitmotif_train::learn::start::{Changes, Start};
use leitmotif_train::learn::task::Task;
use leitmotif_train::model::network::Model;
use tch::Device;
use tones::{SPLIT, config, dataset, network};

/// A data set of two artists and one of three, of whom the third is the only other one.
fn folders(root: &Path) -> (PathBuf, PathBuf) {
    let (two, three) = (root.join("two"), root.join("three"));
    dataset(&two, 2, false);
    dataset(&three, 3, false);
    (two, three)
}

fn task(two: &Path, auxiliary: &[PathBuf]) -> Task {
    Task::open(two, SPLIT).unwrap().with_auxiliary(auxiliary).unwrap()
}

fn settings(outlier_exposure: f64) -> FitConfig {
    let auxiliary = AuxiliaryConfig { share: 0.34, outlier_exposure };
    FitConfig { auxiliary, weight_average: Some(0.8), balance: Balance::Artists, ..config() }
}

fn run(out: &Path, task: &Task, start: Start) -> Result<Outcome, TrainError> {
    fit(out, task, start, Device::Cpu, &AtomicBool::new(false))
}

fn fresh(head: HeadKind, config: FitConfig) -> Start {
    let (network, config) = (Box::new(network(head)), Box::new(config));
    Start::Fresh { network, config, pretrained: None }
}

const UNCHANGED: Start = Start::Resume(Changes::NONE);

#[test]
fn only_other_artists_are_auxiliary_and_each_batch_has_their_share() {
    let root = tempfile::tempdir().unwrap();
    let (two, three) = folders(root.path());
    let task = task(&two, std::slice::from_ref(&three));
    let auxiliary = task.auxiliary.as_ref().unwrap();
    assert_eq!(auxiliary.artists, ["Artist, \"2\" 🎷"]);
    assert_eq!(auxiliary.examples.len(), 12);
    assert_eq!(auxiliary.note().clips, 12);
    let clips = task.clips();
    let names: Vec<String> = auxiliary.examples.iter().map(|of| clips.name(of.clip)).collect();
    assert!(names.iter().all(|name| name.starts_with("2/")), "{names:?}");

    for balance in [Balance::Artists, Balance::Clips] {
        let config = FitConfig { steps_per_epoch: None, balance, ..settings(0.0) };
        let batches = probe::batches(&task, &network(HeadKind::Dense), &config).unwrap();
        // Of six clips four are of the task, which has 16.
        assert_eq!(batches.steps_per_epoch(), 4);
        let mut places = [0; 6];
        for step in 0..20 {
            let chosen = batches.examples(0, step);
            let further: Vec<bool> = chosen.iter().map(|example| example.class == 2).collect();
            assert_eq!(further.iter().filter(|of| **of).count(), 2, "{chosen:?}");
            places.iter_mut().zip(further).for_each(|(place, of)| *place += usize::from(of));
            let batch = batches.batch(0, step).unwrap();
            assert_eq!(batch.targets.len(), 6 * 3);
            for (example, row) in chosen.iter().zip(batch.segments.chunks_exact(4 * 243)) {
                let mut read = vec![0.0; 243];
                clips.read(example.clip, 0, &mut read).unwrap();
                assert_eq!(read, row[..243]);
            }
        }
        // Mixup's neighbours would otherwise be the same kinds each time.
        assert!(places.iter().all(|count| *count > 0), "{places:?}");
    }

    let same = Task::open(&two, SPLIT).unwrap().with_auxiliary(std::slice::from_ref(&two));
    assert!(same.unwrap_err().to_string().contains("its artists are all in the data set"));
    let twice = Task::open(&two, SPLIT).unwrap().with_auxiliary(&[three.clone(), three]);
    assert!(twice.unwrap_err().to_string().contains("in another --auxiliary"));
}

#[test]
fn a_checkpoint_has_the_own_artists_alone_and_resumes_to_the_bit() {
    let root = tempfile::tempdir().unwrap();
    let (two, three) = folders(root.path());
    let task_of = |auxiliary: &[PathBuf]| task(&two, auxiliary);
    let with = std::slice::from_ref(&three);
    let task = task_of(with);
    for head in [HeadKind::Dense, HeadKind::Lstm] {
        let name = |what: &str| root.path().join(format!("{head} {what}"));
        let outcome = run(&name("whole"), &task, fresh(head, settings(0.5))).unwrap();
        assert!(outcome.last.unwrap().song_accuracy.value > 0.9);
        let whole = Checkpoint::read(&name("whole").join(LAST)).unwrap();
        assert_eq!(whole.record.classes.len(), 2);
        assert!(whole.weights["output.weight"].shape.starts_with(&[2]));
        assert!(!whole.weights.keys().any(|name| name.starts_with("auxiliary")));
        assert!(whole.optimizer["auxiliary.weight"].shape.starts_with(&[1]));

        let stop = AtomicBool::new(false);
        let (out, start) = (name("stopped"), fresh(head, settings(0.5)));
        std::thread::scope(|scope| {
            let running = scope.spawn(|| fit(&out, &task, start, Device::Cpu, &stop));
            while !running.is_finished() && !name("stopped").join(LAST).exists() {
                std::thread::sleep(Duration::from_micros(200));
            }
            stop.store(true, std::sync::atomic::Ordering::SeqCst);
            assert!(matches!(running.join().unwrap(), Err(TrainError::Interrupted)));
        });
        let reason = |auxiliary: &[PathBuf]| {
            run(&name("stopped"), &task_of(auxiliary), UNCHANGED).unwrap_err().to_string()
        };
        assert!(reason(&[]).contains("name it with --auxiliary"), "{}", reason(&[]));
        run(&name("stopped"), &task, UNCHANGED).unwrap();
        let read = |what: &str, file: &str| fs::read(name(what).join(LAST).join(file)).unwrap();
        for file in ["weights.safetensors", "optimizer.safetensors"] {
            assert_eq!(read("whole", file), read("stopped", file), "{file}");
        }
    }
    let without = root.path().join("without");
    run(&without, &task_of(&[]), fresh(HeadKind::Dense, settings(0.5))).unwrap();
    let refused = run(&without, &task, UNCHANGED).unwrap_err().to_string();
    assert!(refused.contains("leave --auxiliary out"), "{refused}");
}

#[test]
fn outlier_exposure_leaves_the_network_undecided_about_auxiliary_music() {
    let root = tempfile::tempdir().unwrap();
    let (two, three) = folders(root.path());
    let task = task(&two, std::slice::from_ref(&three));
    let certainty = |exposure: f64| {
        let out = root.path().join(exposure.to_string());
        run(&out, &task, fresh(HeadKind::Dense, settings(exposure))).unwrap();
        let Checkpoint { record, weights, .. } = Checkpoint::read(&out.join(LAST)).unwrap();
        let model = Model::from_values(record.network, 2, &weights, Device::Cpu).unwrap();
        let of = |task: &Task| {
            let never = AtomicBool::new(false);
            let evaluation = evaluate(&model, task, &task.test, &never, |_| {}).unwrap();
            let rows = evaluation.predictions.clips().to_vec();
            rows.iter().map(|row| f64::from(row.certainty)).sum::<f64>() / rows.len() as f64
        };
        let unknown = Task::open_unknown(&three, None, &task.classes).unwrap();
        (of(&task), of(&unknown))
    };
    let ((_, without), (known, with)) = (certainty(0.0), certainty(2.0));
    assert!(with < 0.65 && with + 0.1 < without && known > 0.8, "{without} {with} {known}");
}
