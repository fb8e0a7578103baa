//! Many files at once.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

use super::answer::Answer;
use super::call::RecognizeOptions;
use super::error::Error;
use super::recognizer::Recognizer;

/// Recognises many files on several threads, which decode and wait for their turn in the network.
///
/// ```
/// use std::ops::ControlFlow;
///
/// use leitmotif::{Batch, Recognizer};
///
/// let recognizer = Recognizer::open("tests/data/tiny.clip.onnx")?;
/// let files = ["tests/data/audio/mtat.mp3", "missing.mp3"];
/// let mut right = 0;
/// Batch::new(&recognizer).in_order().run(&files, |_, path, answer| {
///     match answer {
///         Ok(answer) => right += answer.segments.min(1),
///         Err(error) => eprintln!("{}: {error}", path.display()),
///     }
///     ControlFlow::Continue(())
/// });
/// assert_eq!(right, 1);
/// # Ok::<(), leitmotif::Error>(())
/// ```
#[derive(Debug, Clone)]
#[must_use]
pub struct Batch {
    recognizer: Recognizer,
    options: RecognizeOptions,
    jobs: usize,
    in_order: bool,
}

impl Batch {
    /// Files that may wait for one that is slow, for each job, where results are wanted in order.
    const AHEAD: usize = 16;

    /// As many files at once as the recognizer has sessions (on a GPU one, unless `with_jobs` says more), each with the
    /// default options.
    pub fn new(recognizer: &Recognizer) -> Self {
        let jobs = recognizer.most_sessions();
        Self {
            recognizer: recognizer.clone(),
            options: RecognizeOptions::default(),
            jobs,
            in_order: false,
        }
    }

    /// With these options for each file; a time limit is that of one file.
    pub fn with_options(self, options: &RecognizeOptions) -> Self {
        Self { options: options.clone(), ..self }
    }

    /// With this number of files at once, at least one.
    pub fn with_jobs(self, jobs: usize) -> Self {
        Self { jobs: jobs.max(1), ..self }
    }

    /// With results in the order of the files, not as they are there.
    pub fn in_order(self) -> Self {
        Self { in_order: true, ..self }
    }

    /// Recognises the files and calls `each`, on this thread, with the number of the file, its path and its answer, until
    /// it breaks or the options' token is cancelled; files not begun by then have no result. A file that cannot be
    /// recognised is an error of its own and harms no other.
    ///
    /// A panic in `each` ends the batch and goes on to the caller.
    pub fn run<P: AsRef<Path> + Sync>(
        &self,
        files: &[P],
        mut each: impl FnMut(usize, &Path, Result<Answer, Error>) -> ControlFlow<()>,
    ) {
        let (next, done, stopped) =
            (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
        let jobs = self.jobs.clamp(1, files.len().max(1));
        let ahead = jobs.saturating_mul(Self::AHEAD);
        std::thread::scope(|scope| {
            let (results, received) = mpsc::sync_channel(jobs);
            // Whatever ends this closure, threads begin no further file.
            let _end = OnDrop(|| stopped.store(true, Ordering::Relaxed));
            for _ in 0..jobs {
                let results = results.clone();
                let (next, done, stopped) = (&next, &done, &stopped);
                scope.spawn(move || {
                    // A file whose thread panicked has no result: others would wait for it for ever.
                    let _end = OnDrop(|| {
                        if std::thread::panicking() {
                            stopped.store(true, Ordering::Relaxed);
                        }
                    });
                    let ends = || {
                        let token = self.options.cancel.as_ref();
                        token.is_some_and(|token| token.is_cancelled())
                            || stopped.load(Ordering::Relaxed)
                    };
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        let Some(file) = files.get(number) else { return };
                        while self.in_order
                            && number > done.load(Ordering::Relaxed) + ahead
                            && !ends()
                        {
                            std::thread::sleep(std::time::Duration::from_millis(1));
                        }
                        if ends() {
                            return;
                        }
                        let answer = self.recognizer.recognize_file_with(file, &self.options);
                        if results.send((number, answer)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(results);
            let mut early = BTreeMap::new();
            let mut give = |number: usize, answer| {
                let path = files.get(number).map_or(Path::new(""), AsRef::as_ref);
                each(number, path, answer)
            };
            for (number, answer) in received {
                if !self.in_order {
                    if give(number, answer).is_break() {
                        return;
                    }
                    continue;
                }
                early.insert(number, answer);
                while let Some(answer) = early.remove(&done.load(Ordering::Relaxed)) {
                    if give(done.fetch_add(1, Ordering::Relaxed), answer).is_break() {
                        return;
                    }
                }
            }
            // Files before these were cut off by the token.
            for (number, answer) in early {
                if give(number, answer).is_break() {
                    return;
                }
            }
        });
    }

    /// All answers, in the order of the files. A file that was not begun, since the options' token was cancelled, has
    /// [`Error::Cancelled`].
    pub fn answers(&self, files: &[PathBuf]) -> Vec<Result<Answer, Error>> {
        let mut answers: Vec<_> = files.iter().map(|_| Err(Error::Cancelled)).collect();
        self.run(files, |number, _, answer| {
            if let Some(place) = answers.get_mut(number) {
                *place = answer;
            }
            ControlFlow::Continue(())
        });
        answers
    }
}

struct OnDrop<F: Fn()>(F);

impl<F: Fn()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
